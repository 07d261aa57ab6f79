"""How good, how sure, and is the difference real: scores with intervals, over songs.

Conventions: F1 is scikit-learn's over the classes that occur as truth or as decision, a class never hit counting 0;
`f1_weighted` weighs classes by their songs (the paper's), `f1_macro` equally. Intervals are 95 % percentile bootstraps
that resample whole songs, or whole groups of songs such as albums, never single clips. Introduced in notebook 06.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn import metrics

from crnnlib.errors import ParameterError
from crnnlib.voting import Scores

__all__ = ["interval", "scores"]

METRICS = ("f1_weighted", "f1_macro", "accuracy", "top3")


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
    >>> songs = Scores([[0.9, 0.1], [0.6, 0.4]], [0, 1], ["s", "t"], ("a", "z"), level="song")
    >>> {name: round(value, 3) for name, value in scores(songs).items()}
    {'f1_weighted': 0.333, 'f1_macro': 0.333, 'accuracy': 0.5, 'top3': 1.0, 'n': 2}
    """
    f1 = {
        f"f1_{average}": float(metrics.f1_score(s.truth, s.predicted, average=average, zero_division=0))
        for average in ("weighted", "macro")
    }
    accuracy = float(metrics.accuracy_score(s.truth, s.predicted))
    return f1 | {"accuracy": accuracy, "top3": float(_in_top(s).mean()), "n": s.n}


def interval(
    s: Scores,
    metric: str = "f1_weighted",
    n_boot: int = 2000,
    groups: Sequence | Mapping | pd.Series | None = None,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % bootstrap interval of a score.

    Parameters
    ----------
    s : Scores
        Clip or song level.
    metric : {"f1_weighted", "f1_macro", "accuracy", "top3"}
        Which of `scores`.
    n_boot : int
        Number of resamples.
    groups : sequence of length n, or mapping from track_id, optional
        What is resampled as a whole: by default songs. Give artist and album together for albums; with fewer than
        about 20 groups the interval is too narrow.
    seed : int
        Of the resamples.

    Returns
    -------
    tuple of float
        Low and high end.

    Raises
    ------
    ParameterError
        If `metric` is unknown, `n_boot` is below 1, or a row has no group.

    Examples
    --------
    >>> songs = Scores(np.eye(2)[[0, 1] * 20], [0, 1] * 10 + [0] * 20, range(40), ("a", "z"), level="song")
    >>> low, high = interval(songs, "accuracy")
    >>> low < 0.75 < high
    True
    """
    labels = _groups(s, groups)
    drawn = _resampled(s, labels, _weights(len(np.unique(labels)), n_boot, seed), np.unique(labels), metric)
    return _ends(drawn)


def _in_top(s: Scores, k: int = 3) -> np.ndarray:
    # Shares of votes hold many zeros: a class that got no vote is not a guess, however the tie is broken.
    best = np.argsort(-s.probabilities, axis=1, kind="stable")[:, :k]
    given = s.probabilities[np.arange(s.n), s.truth] > 0
    return (best == s.truth[:, None]).any(1) & given


def _groups(s: Scores, groups) -> np.ndarray:
    if groups is None:
        return s.track_id
    if isinstance(groups, Mapping | pd.Series):
        missing = sorted(set(s.track_id) - set(groups.keys()))
        if missing:
            raise ParameterError(f"groups name no group for {missing[0]!r} ({len(missing)} songs missing)")
        return np.asarray([str(groups[track]) for track in s.track_id])
    labels = np.asarray(list(groups), str)
    if labels.shape != (s.n,):
        raise ParameterError(f"groups: {labels.size} values; expected one for each of {s.n} rows")
    return labels


def _weights(n_groups: int, n_boot: int, seed: int) -> np.ndarray:
    if n_boot < 1:
        raise ParameterError(f"n_boot={n_boot}: expected at least 1, e.g. 2000")
    return np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=n_boot).astype(float)


def _resampled(s: Scores, labels: np.ndarray, weights: np.ndarray, names: np.ndarray, metric: str) -> np.ndarray:
    """The metric in every resample, from counts per group: scikit-learn would take minutes for 2,000."""
    if metric not in METRICS:
        raise ParameterError(f"metric={metric!r}: expected one of {', '.join(METRICS)}")
    group = np.searchsorted(names, labels)

    def drawn(columns: np.ndarray) -> np.ndarray:
        counts = np.zeros((len(names), columns.shape[1]))
        np.add.at(counts, group, columns)
        return weights @ counts

    if metric in ("accuracy", "top3"):
        hit = s.correct if metric == "accuracy" else _in_top(s)
        hits, rows = drawn(np.stack([hit, np.ones(s.n)], axis=1)).T
        return hits / np.maximum(rows, 1)
    one_hot = np.eye(len(s.classes))
    support, decided = drawn(one_hot[s.truth]), drawn(one_hot[s.predicted])
    f1 = 2 * drawn(one_hot[s.truth] * s.correct[:, None]) / np.maximum(support + decided, 1)
    share = support if metric == "f1_weighted" else (support + decided > 0).astype(float)
    return (f1 * share).sum(1) / np.maximum(share.sum(1), 1)


def _ends(drawn: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)
