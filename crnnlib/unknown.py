"""When to say "none of these": songs by artists that a network was never trained on.

Conventions: confidence is the largest probability of a song or clip; a decision is kept where confidence reaches a
threshold, else refused. The truth of unknown songs is none of the classes and is not read. See chapter 9,
*Identify your own music*.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from crnnlib.errors import ParameterError
from crnnlib.voting import Scores

__all__ = ["refusals", "separation"]


def separation(known: Scores, unknown: Scores, n_boot: int = 2000, seed: int = 0) -> dict:
    """How well confidence alone tells known artists from unknown ones.

    Parameters
    ----------
    known, unknown : Scores
        Test songs by artists of the training set, and songs by others; a row a song.
    n_boot : int
        Resamples, of known and unknown songs apart.
    seed : int
        Of the resamples.

    Returns
    -------
    dict
        `auc`, the chance that a known song is more confident than an unknown one (ties count half), with `low` and
        `high` of its 95 % interval, and `n_known` and `n_unknown`.

    Raises
    ------
    ParameterError
        If `n_boot` is below 1.

    References
    ----------
    Hendrycks & Gimpel, "A baseline for detecting misclassified and out-of-distribution examples", ICLR 2017.

    Examples
    --------
    >>> sure = Scores(
    ...     [[0.9, 0.1], [0.8, 0.2]], [0, 0], ["s", "t"], ("a", "z"), level="song"
    ... )
    >>> unsure = Scores(
    ...     [[0.6, 0.4], [0.5, 0.5]], [0, 0], ["u", "v"], ("a", "z"), level="song"
    ... )
    >>> separation(sure, unsure)["auc"]
    1.0
    """
    if n_boot < 1:
        raise ParameterError(f"n_boot={n_boot}: expected at least 1, e.g. 2000")
    ours, others = known.confidence[:, None], unknown.confidence[None, :]
    wins = (ours > others) + 0.5 * (ours == others)
    rng = np.random.default_rng(seed)
    of_ours, of_others = (rng.multinomial(n, np.full(n, 1 / n), n_boot) for n in (known.n, unknown.n))
    drawn = ((of_ours @ wins) * of_others).sum(1) / wins.size
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {
        "auc": float(wins.mean()),
        "low": float(low),
        "high": float(high),
        "n_known": known.n,
        "n_unknown": unknown.n,
    }


def refusals(known: Scores, unknown: Scores, thresholds: Iterable[float] = np.linspace(0, 1, 21)) -> pd.DataFrame:
    """What each threshold keeps and refuses.

    Parameters
    ----------
    known, unknown : Scores
        As for `separation`.
    thresholds : sequence of float, in [0, 1]
        Least confidence of a decision that is kept.

    Returns
    -------
    pandas.DataFrame
        A row per threshold: `threshold`; `kept`, the share of known songs with an answer; `right`, the share of these
        answers that are right (NaN where there are none); `refused`, the share of unknown songs without an answer.

    Examples
    --------
    >>> known = Scores(
    ...     [[0.9, 0.1], [0.4, 0.6]], [0, 0], ["s", "t"], ("a", "z"), level="song"
    ... )
    >>> unknown = Scores([[0.7, 0.3]], [0], ["u"], ("a", "z"), level="song")
    >>> refusals(known, unknown, [0.5, 0.8]).values.tolist()
    [[0.5, 1.0, 0.5, 0.0], [0.8, 0.5, 1.0, 1.0]]
    """
    ours, others = known.confidence, unknown.confidence
    rows = []
    for threshold in map(float, thresholds):  # compared in the precision of the confidence
        kept = ours >= threshold
        right = known.correct[kept].mean() if kept.any() else float("nan")
        rows.append((threshold, kept.mean(), right, (others < threshold).mean()))
    return pd.DataFrame(rows, columns=["threshold", "kept", "right", "refused"])
