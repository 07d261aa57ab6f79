"""How good: scores, classes, confusions and calibration of clips or songs; `intervals` says how sure.

Conventions: F1 is scikit-learn's over the classes that occur as truth or as decision, a class never hit counting 0;
`f1_weighted` weighs classes by their clips or songs (the paper's), `f1_macro` equally. What `crnnlib.intervals` has is
found here as well. See chapter 6, *Read the results*.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from sklearn import metrics

from crnnlib import voting
from crnnlib.errors import ParameterError
from crnnlib.intervals import compare, holm, interval, producer_effect
from crnnlib.voting import Scores

__all__ = [
    "calibration",
    "compare",
    "confusion",
    "ece",
    "holm",
    "interval",
    "per_class",
    "producer_effect",
    "scores",
    "vote_curve",
]


def scores(s: Scores) -> dict:
    """The numbers that sum up a test.

    Parameters
    ----------
    s : Scores
        Clip or song level.

    Returns
    -------
    dict
        `f1_weighted`, `f1_macro`, `accuracy`, `top3` (the truth is among the three most probable classes and not at
        zero) as floats in [0, 1], and `n`, the number of rows.

    Examples
    --------
    >>> songs = Scores(
    ...     [[0.9, 0.1], [0.6, 0.4]], [0, 1], ["s", "t"], ("a", "z"), level="song"
    ... )
    >>> {name: round(value, 3) for name, value in scores(songs).items()}
    {'f1_weighted': 0.333, 'f1_macro': 0.333, 'accuracy': 0.5, 'top3': 1.0, 'n': 2}
    """
    f1 = {
        f"f1_{average}": float(metrics.f1_score(s.truth, s.predicted, average=average, zero_division=0))
        for average in ("weighted", "macro")
    }
    accuracy = float(metrics.accuracy_score(s.truth, s.predicted))
    return f1 | {"accuracy": accuracy, "top3": float(s.in_top().mean()), "n": s.n}


def per_class(s: Scores) -> pd.DataFrame:
    """F1, precision and recall of each class.

    Parameters
    ----------
    s : Scores
        Clip or song level.

    Returns
    -------
    pandas.DataFrame
        Indexed by class name in the order of `Scores.classes`: `f1`, `precision`, `recall`, `n` (rows of the class)
        and `predicted` (rows given to it).

    Examples
    --------
    >>> songs = Scores(
    ...     [[0.9, 0.1], [0.6, 0.4]], [0, 1], ["s", "t"], ("a", "z"), level="song"
    ... )
    >>> per_class(songs)["recall"].to_dict()
    {'a': 1.0, 'z': 0.0}
    """
    numbers = range(len(s.classes))
    columns = metrics.precision_recall_fscore_support(s.truth, s.predicted, labels=numbers, zero_division=0)
    precision, recall, f1, n = columns
    decided = np.bincount(s.predicted, minlength=len(s.classes))
    table = {"f1": f1, "precision": precision, "recall": recall, "n": n, "predicted": decided}
    return pd.DataFrame(table, index=pd.Index(s.classes, name="class"))


def confusion(s: Scores) -> pd.DataFrame:
    """How often each class was taken for each other.

    Parameters
    ----------
    s : Scores
        Clip or song level.

    Returns
    -------
    pandas.DataFrame
        Counts of rows: a row per true class, a column per decision.

    Examples
    --------
    >>> songs = Scores(
    ...     [[0.9, 0.1], [0.6, 0.4]], [0, 1], ["s", "t"], ("a", "z"), level="song"
    ... )
    >>> confusion(songs).loc["z"].to_dict()
    {'a': 1, 'z': 0}
    """
    counts = metrics.confusion_matrix(s.truth, s.predicted, labels=range(len(s.classes)))
    return pd.DataFrame(counts, pd.Index(s.classes, name="truth"), pd.Index(s.classes, name="predicted"))


def calibration(s: Scores, n_bins: int = 10) -> pd.DataFrame:
    """Whether decisions made with confidence p are right in a share p of cases.

    Parameters
    ----------
    s : Scores
        Clip level, or songs after a vote.
    n_bins : int
        Number of equal bins of confidence from 0 to 1; empty ones are left out.

    Returns
    -------
    pandas.DataFrame
        A row per bin: `low`, `high`, mean `confidence`, `accuracy`, `n`.

    Raises
    ------
    ParameterError
        If `n_bins` is not positive.

    Examples
    --------
    >>> songs = Scores(
    ...     [[0.9, 0.1], [0.9, 0.1]], [0, 1], ["s", "t"], ("a", "z"), level="song"
    ... )
    >>> calibration(songs)[["low", "high", "accuracy", "n"]].values.tolist()
    [[0.8, 0.9, 0.5, 2.0]]
    """
    if n_bins < 1:
        raise ParameterError(f"n_bins={n_bins}: expected at least 1, e.g. 10")
    sure = s.confidence.astype(float).round(6)
    place = np.clip(np.ceil(sure * n_bins) - 1, 0, n_bins - 1).astype(int)
    rows = pd.DataFrame({"bin": place, "confidence": sure, "accuracy": s.correct.astype(float)}).groupby("bin")
    table = rows.mean().assign(n=rows.size()).reset_index()
    table.insert(0, "low", table["bin"] / n_bins)
    table.insert(1, "high", (table.pop("bin") + 1) / n_bins)
    return table


def ece(s: Scores, n_bins: int = 10) -> float:
    """Expected calibration error: distance of confidence and accuracy, averaged over all decisions.

    Each counts the distance in its bin of `calibration`.

    Parameters
    ----------
    s : Scores
        Clip level, or songs after a vote.
    n_bins : int
        Number of bins.

    Returns
    -------
    float
        In [0, 1]; 0 is perfect.

    Raises
    ------
    ParameterError
        If `n_bins` is not positive.

    References
    ----------
    Guo et al., "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    >>> songs = Scores(
    ...     [[0.9, 0.1], [0.9, 0.1]], [0, 1], ["s", "t"], ("a", "z"), level="song"
    ... )
    >>> round(ece(songs), 2)
    0.4
    """
    table = calibration(s, n_bins)
    return float(np.average((table["confidence"] - table["accuracy"]).abs(), weights=table["n"]))


def vote_curve(
    clips: Scores | Sequence[Scores], clip_s: float, vote: Callable[[Scores], Scores] = voting.soft_vote
) -> pd.DataFrame:
    """Song-level scores against the seconds of each song that were heard, from its first clip on.

    Parameters
    ----------
    clips : Scores or sequence of Scores
        Clip level. Of several trials each votes for itself, and their songs are scored together, as `voting.pool` does.
    clip_s : float
        Length of a clip in seconds.
    vote : callable, optional
        `voting.soft_vote`, the default, or `voting.majority_vote`.

    Returns
    -------
    pandas.DataFrame
        Columns `clips`, `seconds`, `f1_weighted`, `low` and `high` of its 95 % interval over songs, `accuracy`; a row
        for 1, 2, 3, 5, 8, 13 ... clips, and for all of the longest song. A song shorter than that is heard whole.

    Raises
    ------
    ParameterError
        If `clip_s` is not positive, or there are no scores.

    Examples
    --------
    >>> clips = Scores(
    ...     [[0.4, 0.6], [0.9, 0.1]], [0, 0], ["s", "s"], ("a", "z"), start=[0, 94]
    ... )
    >>> vote_curve(clips, clip_s=3)[["seconds", "accuracy"]].values.tolist()
    [[3.0, 0.0], [6.0, 1.0]]
    """
    if not clip_s > 0:
        raise ParameterError(f"clip_s={clip_s}: expected a positive length in seconds, e.g. 3.0")
    parts = [clips] if isinstance(clips, Scores) else list(clips)
    if not parts:
        raise ParameterError("no scores: expected those of one trial at least")
    places = [_places(part) for part in parts]
    rows = []
    for k in _steps(int(max(place.max() for place in places))):
        songs = voting.pool([vote(part.take(place <= k)) for part, place in zip(parts, places, strict=True)])
        told = scores(songs)
        rows.append((k, k * float(clip_s), told["f1_weighted"], *interval(songs), told["accuracy"]))
    return pd.DataFrame(rows, columns=["clips", "seconds", "f1_weighted", "low", "high", "accuracy"])


def _places(clips: Scores) -> np.ndarray:
    return (
        pd.Series(np.arange(clips.n) if clips.start is None else clips.start)
        .groupby(clips.track_id)
        .rank(method="first")
        .to_numpy()
    )


def _steps(most: int) -> list[int]:
    steps = [1, 2]
    while steps[-1] < most:
        steps.append(steps[-2] + steps[-1])
    return sorted({min(step, most) for step in steps})
