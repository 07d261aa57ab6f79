"""From clip scores to song decisions.

Conventions: probabilities are `(n, n_classes)` in [0, 1], rows sum to 1; classes are numbered as in `Scores.classes`;
a tie goes to the lowest class; songs come out sorted by `track_id`. See chapter 6, *Read the results*.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crnnlib.errors import DataError, ParameterError

__all__ = ["Scores", "majority_vote", "pool", "soft_vote"]

# In float16, as probabilities are kept, less than 3e-8 is zero; a floor bounds what one sure and wrong clip can do.
FLOOR = 1e-7


@dataclass(frozen=True, eq=False)
class Scores:
    """What a classifier said about clips or songs, and what was true.

    Parameters
    ----------
    probabilities : array-like, shape (n, n_classes)
        One row a clip (or song), stored as float32.
    truth : array-like of int, shape (n,)
        The true class of each row.
    track_id : array-like of str, shape (n,)
        The song that each row belongs to.
    classes : sequence of str
        Class names; position is class number.
    start : array-like of int, shape (n,), optional
        First frame of each clip within its song.
    level : {"clip", "song"}
        What a row stands for.
    predicted : array-like of int, shape (n,), optional
        The decision per row; by default the most probable class, the lowest of equals.

    Raises
    ------
    ParameterError
        If `level` is neither "clip" nor "song".
    DataError
        If there are no rows, shapes disagree, a probability is not finite, a class is out of range, or one song has
        two truths.

    Examples
    --------
    >>> clips = Scores([[0.9, 0.1], [0.4, 0.6]], [0, 0], ["a/b/c", "a/b/c"], ("a", "z"))
    >>> clips.n, clips.correct.tolist(), clips.in_top(2).tolist()
    (2, [True, False], [True, True])
    >>> clips.take(clips.correct).n
    1
    """

    probabilities: np.ndarray
    truth: np.ndarray
    track_id: np.ndarray
    classes: tuple[str, ...]
    start: np.ndarray | None = None
    level: str = "clip"
    predicted: np.ndarray | None = None

    def __post_init__(self):
        probabilities = np.asarray(self.probabilities, np.float32)
        predicted = probabilities.argmax(1) if self.predicted is None and probabilities.size else self.predicted
        arrays = {
            "probabilities": probabilities,
            "truth": np.asarray(self.truth, int),
            "track_id": np.asarray(self.track_id, str),
            "classes": tuple(map(str, self.classes)),
            "start": None if self.start is None else np.asarray(self.start, int),
            "predicted": np.asarray(predicted),
        }
        for name, value in arrays.items():
            object.__setattr__(self, name, value)
        self._check()

    def _check(self):
        n, n_classes = len(self.truth), len(self.classes)
        if not n or not n_classes:
            raise DataError(f"scores of {n} rows and {n_classes} classes: expected at least one of each")
        if self.level not in ("clip", "song"):
            raise ParameterError(f"level={self.level!r}: expected 'clip' or 'song'")
        if self.probabilities.shape != (n, n_classes):
            raise DataError(f"probabilities {self.probabilities.shape}: expected ({n} rows, {n_classes} classes)")
        for name in ("truth", "track_id", "start", "predicted"):
            value = getattr(self, name)
            if value is not None and value.shape != (n,):
                raise DataError(f"{name} {value.shape}: expected one value for each of {n} rows")
        if not np.isfinite(self.probabilities).all():
            raise DataError("probabilities hold NaN or infinity: training diverged; try a lower learning rate")
        for name in ("truth", "predicted"):
            value = getattr(self, name)
            if value.min() < 0 or value.max() >= n_classes:
                raise DataError(f"{name} {value.min()} to {value.max()}: expected 0 to {n_classes - 1}")
        names, first, song = np.unique(self.track_id, return_index=True, return_inverse=True)
        mixed = self.truth != self.truth[first][song]
        if mixed.any():
            raise DataError(f"{names[song[mixed][0]]}: two truths for one song; expected one label per track_id")

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.truth)

    @property
    def correct(self) -> np.ndarray:
        """Whether each row's decision is the truth, bool of shape (n,)."""
        return self.predicted == self.truth

    @property
    def confidence(self) -> np.ndarray:
        """Probability of each row's decision, float32 of shape (n,)."""
        return self.probabilities[np.arange(self.n), self.predicted]

    def in_top(self, k: int = 3) -> np.ndarray:
        """Whether the truth is among the `k` most probable classes, bool of shape (n,).

        A class without a vote is never among them, though shares of votes hold many zeros that would tie.
        """
        best = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :k]
        return (best == self.truth[:, None]).any(1) & (self.probabilities[np.arange(self.n), self.truth] > 0)

    def take(self, rows) -> "Scores":
        """The given rows, by mask or by index."""
        rows = np.asarray(rows)
        start = None if self.start is None else self.start[rows]
        arrays = self.probabilities[rows], self.truth[rows], self.track_id[rows]
        return Scores(*arrays, self.classes, start, self.level, self.predicted[rows])


def majority_vote(clips: Scores, threshold: float = 0.5) -> Scores:
    """The class that most of a song's confident clips name, as in the paper.

    Parameters
    ----------
    clips : Scores
        Clip level.
    threshold : float, in [0, 1)
        A clip votes if its largest probability is above this. In a song without such clips all vote.

    Returns
    -------
    Scores
        Song level; probabilities are shares of the votes.

    Raises
    ------
    ParameterError
        If `threshold` is outside [0, 1).

    References
    ----------
    Nasrullah & Zhao, "Music artist classification with convolutional recurrent neural networks", IJCNN 2019.

    Examples
    --------
    >>> clips = Scores(
    ...     [[0.9, 0.1], [0.45, 0.55], [0.51, 0.49]], [1, 1, 1], ["s", "s", "s"], ("a", "z")
    ... )
    >>> majority_vote(clips).predicted.tolist()
    [0]
    """
    if not 0 <= threshold < 1:
        raise ParameterError(f"threshold={threshold}: expected a probability from 0 to below 1, e.g. 0.5")
    _, song = np.unique(clips.track_id, return_inverse=True)
    sure = clips.probabilities.max(1) > threshold
    silent = np.bincount(song, sure) == 0
    ballots = np.eye(len(clips.classes))[clips.predicted] * (sure | silent[song])[:, None]
    votes = _sum_by_song(ballots, song)
    return _songs(clips, votes / votes.sum(1, keepdims=True))


def soft_vote(clips: Scores) -> Scores:
    """The class with the largest mean log-probability over all of a song's clips.

    Probabilities are floored at 1e-7 before the logarithm.

    Parameters
    ----------
    clips : Scores
        Clip level.

    Returns
    -------
    Scores
        Song level; probabilities are the clips' geometric mean, scaled to sum to 1.

    Examples
    --------
    >>> clips = Scores([[0.9, 0.1], [0.45, 0.55]], [0, 0], ["s", "s"], ("a", "z"))
    >>> round(float(soft_vote(clips).probabilities[0, 0]), 2)
    0.73
    """
    _, song = np.unique(clips.track_id, return_inverse=True)
    logs = np.log(np.clip(clips.probabilities.astype(float), FLOOR, 1.0))
    mean = _sum_by_song(logs, song) / np.bincount(song)[:, None]
    share = np.exp(mean - mean.max(1, keepdims=True))
    return _songs(clips, share / share.sum(1, keepdims=True))


def pool(parts: Sequence[Scores]) -> Scores:
    """Several folds or trials as one set of scores.

    A song that was tested in several trials keeps a row for each; intervals resample those rows together.

    Parameters
    ----------
    parts : sequence of Scores
        Of one level and with the same classes.

    Returns
    -------
    Scores

    Raises
    ------
    DataError
        If there are no parts, or they differ in level or classes.

    Examples
    --------
    >>> fold = Scores([[0.9, 0.1]], [0], ["s"], ("a", "z"), level="song")
    >>> pool([fold, fold]).n
    2
    """
    parts = list(parts)
    if not parts:
        raise DataError("no scores to pool: expected at least one fold or trial")
    kinds = {(part.level, part.classes) for part in parts}
    if len(kinds) > 1:
        raise DataError(f"{len(kinds)} kinds of level and classes: expected one to pool")
    starts = [part.start for part in parts if part.start is not None]
    return Scores(
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate([part.truth for part in parts]),
        np.concatenate([part.track_id for part in parts]),
        parts[0].classes,
        np.concatenate(starts) if len(starts) == len(parts) else None,
        parts[0].level,
        np.concatenate([part.predicted for part in parts]),
    )


def _sum_by_song(values: np.ndarray, song: np.ndarray) -> np.ndarray:
    total = np.zeros((song.max() + 1, values.shape[1]))
    np.add.at(total, song, values)
    return total


def _songs(clips: Scores, probabilities: np.ndarray) -> Scores:
    names, first = np.unique(clips.track_id, return_index=True)
    return Scores(probabilities, clips.truth[first], names, clips.classes, level="song")
