"""How sure is a score, and is a difference real: resampling whole songs.

Conventions: intervals are 95 % percentile bootstraps that draw songs, or groups of songs such as albums, with
replacement; never single clips, which are not independent. See chapter 6, *Read the results*.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from crnnlib.errors import DataError, ParameterError
from crnnlib.voting import Scores

__all__ = ["METRICS", "compare", "holm", "interval", "producer_effect"]

METRICS = ("f1_weighted", "f1_macro", "accuracy", "top3")


def interval(
    s: Scores | Sequence[Scores],
    metric: str = "f1_weighted",
    n_boot: int = 2000,
    groups: Sequence | Mapping | pd.Series | None = None,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % bootstrap interval of a score, or of the mean score of several trials.

    Parameters
    ----------
    s : Scores or sequence of Scores
        Clip or song level. Each of several is scored by itself, where a resample holds songs of its test; a resample
        holds the same songs for all.
    metric : {"f1_weighted", "f1_macro", "accuracy", "top3"}
        Which of `scores`.
    n_boot : int
        Number of resamples.
    groups : mapping from track_id, or for one `Scores` a sequence of length n, optional
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
        If `metric` is unknown, `n_boot` is below 1, there are no scores, or a row has no group.

    Examples
    --------
    >>> named, truth = [0, 1] * 20, [0, 1] * 10 + [0] * 20
    >>> songs = Scores(np.eye(2)[named], truth, range(40), ("a", "z"), level="song")
    >>> low, high = interval(songs, "accuracy")
    >>> low < 0.75 < high
    True
    """
    trials = [s] if isinstance(s, Scores) else list(s)
    if not trials:
        raise ParameterError("no scores: expected those of one trial at least")
    labels = [_groups(one, groups) for one in trials]
    names = np.unique(np.concatenate(labels))
    weights = _weights(len(names), n_boot, seed)
    drawn = [_resampled(one, own, names, weights, metric) for one, own in zip(trials, labels, strict=True)]
    return _ends(np.nanmean(drawn, axis=0))


def compare(
    a: Scores,
    b: Scores,
    metric: str = "f1_weighted",
    n_boot: int = 2000,
    groups: Mapping | pd.Series | None = None,
    seed: int = 0,
) -> dict:
    """Difference of two settings that were tested on the same songs.

    Parameters
    ----------
    a, b : Scores
        Of the same songs; several trials may be pooled.
    metric, n_boot, seed
        As in `interval`; every resample draws the same songs for both.
    groups : mapping from track_id, optional
        As in `interval`.

    Returns
    -------
    dict
        `difference` (a - b), `low` and `high` of its 95 % interval, `p_bootstrap` (two-sided), `p_mcnemar` (exact; NaN
        where a song has several rows, since these are not independent), and `n` songs.

    Raises
    ------
    ParameterError
        If the metric is unknown, `n_boot` is not positive, or `groups` do not name every song.
    DataError
        If the songs differ, or what is true of them.

    Examples
    --------
    >>> truth, names = [0, 1] * 10, range(20)
    >>> right = Scores(np.eye(2)[truth], truth, names, ("a", "z"), level="song")
    >>> blind = Scores(np.eye(2)[[0] * 20], truth, names, ("a", "z"), level="song")
    >>> result = compare(right, blind, "accuracy")
    >>> result["difference"], result["low"] > 0, round(result["p_mcnemar"], 4)
    (0.5, True, 0.002)
    """
    from statsmodels.stats.contingency_tables import mcnemar

    odd = set(a.track_id) ^ set(b.track_id)
    if odd:
        raise DataError(f"{len(odd)} songs are in one test only, e.g. {min(odd)}: expected the same folds for both")
    if a.classes != b.classes or dict(zip(a.track_id, a.truth, strict=True)) != dict(
        zip(b.track_id, b.truth, strict=True)
    ):
        raise DataError("classes or truth differ: expected two answers to one question")
    result = _difference(a, b, metric, n_boot, groups, seed)
    n, p_mcnemar = len(set(a.track_id)), float("nan")
    if a.n == b.n == n:
        hit_a, hit_b = a.correct[a.track_id.argsort()], b.correct[b.track_id.argsort()]
        table = np.bincount(2 * hit_a + hit_b, minlength=4).reshape(2, 2)
        p_mcnemar = float(mcnemar(table, exact=True).pvalue)
    return result | {"p_mcnemar": p_mcnemar, "n": n}


def producer_effect(
    song: Scores,
    album: Scores,
    metric: str = "f1_weighted",
    n_boot: int = 2000,
    groups: Mapping | pd.Series | None = None,
    seed: int = 0,
) -> dict:
    """What a classifier loses when it must do without the albums that it is tested on.

    Meaningful for the same artists and equal numbers of training songs (`splits.matched_pair`).

    Parameters
    ----------
    song, album : Scores
        Tests of the song split and of the album split, at the same level. Songs that both tested are paired.
    metric, n_boot, groups, seed
        As in `compare`.

    Returns
    -------
    dict
        `song`, `album`, their `difference`, `low`, `high`, `p_bootstrap`, and `shared`, the number of paired songs.

    Raises
    ------
    ParameterError
        As in `compare`.

    Examples
    --------
    >>> truth = [0, 1] * 10
    >>> heard = Scores(np.eye(2)[truth], truth, range(20), ("a", "z"), level="song")
    >>> unheard = Scores(np.eye(2)[[0] * 20], truth, range(20), ("a", "z"), level="song")
    >>> producer_effect(heard, unheard, "accuracy")["difference"]
    0.5
    """
    result = _difference(song, album, metric, n_boot, groups, seed)
    ends = {name: _point(s, metric) for name, s in (("song", song), ("album", album))}
    return ends | result | {"shared": len(set(song.track_id) & set(album.track_id))}


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's correction of the p values of several comparisons.

    Parameters
    ----------
    p_values : sequence of float
        One per comparison.

    Returns
    -------
    numpy.ndarray
        Corrected, in the same order; below 0.05 means significant among all of them.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    from statsmodels.stats.multitest import multipletests

    return multipletests(p_values, method="holm")[1]


def _difference(a: Scores, b: Scores, metric: str, n_boot: int, groups, seed: int) -> dict:
    labels = _groups(a, groups), _groups(b, groups)
    names = np.unique(np.concatenate(labels))
    weights = _weights(len(names), n_boot, seed)
    drawn = _resampled(a, labels[0], names, weights, metric) - _resampled(b, labels[1], names, weights, metric)
    low, high = _ends(drawn)
    p = min(1.0, 2 * (1 + min((drawn <= 0).sum(), (drawn >= 0).sum())) / (1 + n_boot))
    return {"difference": _point(a, metric) - _point(b, metric), "low": low, "high": high, "p_bootstrap": float(p)}


def _groups(s: Scores, groups) -> np.ndarray:
    if groups is None:
        return s.track_id
    if isinstance(groups, Mapping | pd.Series):
        missing = sorted(set(s.track_id) - set(groups.keys()))
        if missing:
            raise ParameterError(f"groups name no group for {str(missing[0])!r} ({len(missing)} songs missing)")
        return np.asarray([str(groups[track]) for track in s.track_id])
    labels = np.asarray([str(group) for group in groups])
    if labels.shape != (s.n,):
        raise ParameterError(f"groups: {labels.size} values; expected one for each of {s.n} rows")
    return labels


def _weights(n_groups: int, n_boot: int, seed: int) -> np.ndarray:
    if n_boot < 1:
        raise ParameterError(f"n_boot={n_boot}: expected at least 1, e.g. 2000")
    return np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=n_boot).astype(float)


def _point(s: Scores, metric: str) -> float:
    names = np.unique(s.track_id)
    return float(_resampled(s, s.track_id, names, np.ones((1, len(names))), metric)[0])


def _resampled(s: Scores, labels: np.ndarray, names: np.ndarray, weights: np.ndarray, metric: str) -> np.ndarray:
    """Metric in every resample, NaN where it has no row; from counts per group, 30 times as fast as scikit-learn."""
    if metric not in METRICS:
        raise ParameterError(f"metric={metric!r}: expected one of {', '.join(METRICS)}")
    group = np.searchsorted(names, labels)

    def drawn(columns: np.ndarray) -> np.ndarray:
        counts = np.zeros((len(names), columns.shape[1]))
        np.add.at(counts, group, columns)
        return weights @ counts

    if metric in ("accuracy", "top3"):
        hit = s.correct if metric == "accuracy" else s.in_top()
        hits, rows = drawn(np.stack([hit, np.ones(s.n)], axis=1)).T
        return hits / np.where(rows, rows, np.nan)
    one_hot = np.eye(len(s.classes))
    support, decided = drawn(one_hot[s.truth]), drawn(one_hot[s.predicted])
    f1 = 2 * drawn(one_hot[s.truth] * s.correct[:, None]) / np.maximum(support + decided, 1)
    share = support if metric == "f1_weighted" else (support + decided > 0).astype(float)
    whole = share.sum(1)
    return (f1 * share).sum(1) / np.where(whole, whole, np.nan)


def _ends(drawn: np.ndarray) -> tuple[float, float]:
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return float(low), float(high)
