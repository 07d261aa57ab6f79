"""Tables that a reader compares: a row per trial, means of trials, the paper's layout with own scores, differences.

Conventions: a trial is a `records.Trial`; scores are shares in [0, 1]. See chapter 6, *Read the results*.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd

from crnnlib import evaluation, published, selection, splits
from crnnlib.errors import DataError, ParameterError
from crnnlib.records import Trial
from crnnlib.voting import Scores

__all__ = ["beside_paper", "bracketed", "differences", "overview", "per_trial", "summary"]

NOT_RUN, NOT_PUBLISHED = "not run", "none"


def per_trial(trials: Sequence[Trial]) -> pd.DataFrame:
    """One row per trial and level, with its scores.

    Parameters
    ----------
    trials : sequence of Trial
        From `study.run`, `records.load` or `records.results`.

    Returns
    -------
    pandas.DataFrame
        Columns recipe, split (song or album), design (of `splits.design`), fold, clip_s, n_frames, seed, level, and the
        scores of `evaluation.scores`.

    Examples
    --------
    >>> per_trial([]).empty
    True
    """
    rows = []
    for trial in trials:
        record = trial.record
        split, design = splits.design(record["split"]["name"])
        about = {
            "recipe": record["recipe"]["name"],
            "split": split,
            "design": design,
            "fold": record["split"]["name"],
            **{key: record[key] for key in ("clip_s", "n_frames", "seed")},
        }
        rows += [{**about, "level": level, **record["scores"][level]} for level in ("clip", "song")]
    return pd.DataFrame(rows)


def summary(trials: Sequence[Trial], metric: str = "f1_weighted") -> pd.DataFrame:
    """One row per recipe, split, design, clip length, label, features and level: mean and best of its trials.

    Folds of one trial are pooled before scoring, so that each trial is one number over all its test songs. A trial
    without all of its folds, of one state of the corpus, is left out; a fold that was run twice belongs to two trials.
    The 95 % interval is of the mean: it resamples songs, at clip level too, the same for all trials.

    Parameters
    ----------
    trials : sequence of Trial
        From `study.run`, `records.load` or `records.results`.
    metric : str, default="f1_weighted"
        A key of `evaluation.scores`.

    Returns
    -------
    pandas.DataFrame
        Columns recipe, split, design (of `splits.design`), level, clip_s, mean, best, trials, n (rows tested per
        trial), low, high, label, and max_s (seconds used of each song; none means all).

    Examples
    --------
    >>> summary([]).empty
    True
    """
    groups = {}
    for trial in trials:
        record = trial.record
        drawn = splits.design(record["split"]["name"])
        how = json.dumps(record["features"], sort_keys=True)
        key = (record["recipe"]["name"], *drawn, record["clip_s"], record["label"], how)
        groups.setdefault(key, {}).setdefault(record["seed"], []).append(trial)
    rows = []
    for (recipe, split, design, clip_s, label, how), seeds in sorted(groups.items()):
        whole = [folds for run in seeds.values() for folds in selection.whole(run)]
        for level in ("clip", "song") if whole else ():
            pooled = [selection.pooled(folds, level) for folds in whole]
            low, high = evaluation.interval(pooled, metric)
            values = [evaluation.scores(one)[metric] for one in pooled]
            rows.append({
                "recipe": recipe, "split": split, "design": design, "level": level, "clip_s": clip_s,
                "mean": np.mean(values), "best": max(values), "trials": len(values), "n": pooled[0].n,
                "low": low, "high": high, "label": label, "max_s": json.loads(how)["max_s"],
            })  # fmt: skip
    return pd.DataFrame(rows)


def beside_paper(summary: pd.DataFrame, level: str = "song") -> pd.DataFrame:
    """One's own scores under the paper's, clip length by clip length.

    Parameters
    ----------
    summary : pandas.DataFrame
        From `tables.summary`, of one recipe and one design.
    level : {"song", "clip"}
        Scores of songs or of single clips.

    Returns
    -------
    pandas.DataFrame
        Text. A row for each split and each figure: mean and best of the paper's trials, then mean, best, 95 % interval,
        number of trials and of what each tested, and the difference of the means. Columns are the clip lengths of
        both. "not run" where there is no trial here, "none" where the paper has none.

    Raises
    ------
    ParameterError
        If the summary holds several recipes, or several rows for one cell; if `level` is neither.

    Examples
    --------
    >>> row = {"recipe": "paper", "split": "song", "level": "song", "clip_s": 3.0}
    >>> row |= {"mean": 0.9, "best": 0.91, "low": 0.8, "high": 0.95, "trials": 3, "n": 140}
    >>> table = beside_paper(pd.DataFrame([row]))
    >>> table.loc[("song split", "here: 95 % interval"), ["1 s", "3 s"]].tolist()
    ['not run', '0.800 to 0.950']
    >>> table.loc[("song split", "here - paper: means"), ["1 s", "3 s"]].tolist()
    ['not run', '-0.037']
    """
    if level not in ("song", "clip"):
        raise ParameterError(f"level={level!r}: expected 'song' or 'clip'")
    if not summary.empty and summary["recipe"].nunique() > 1:
        raise ParameterError(f"{summary['recipe'].nunique()} recipes in one table: expected one")
    if not summary.empty:
        _one_each(summary)
    paper = {key[1:]: row for key, row in published.cells().iterrows() if key[0] == level}
    rows = summary[summary["level"] == level].to_dict("records") if not summary.empty else []
    ours = {(row["split"], row["clip_s"]): row for row in rows}
    lengths = sorted({float(clip_s) for _, clip_s in (*paper, *ours)})
    things = "songs" if level == "song" else "clips"
    apart = {key: row["mean"] - paper[key]["mean"] if key in paper else None for key, row in ours.items()}
    told = {
        "paper: mean": (paper, NOT_PUBLISHED, lambda row: f"{row['mean']:.3f}"),
        "paper: best": (paper, NOT_PUBLISHED, lambda row: f"{row['best']:.3f}"),
        "here: mean": (ours, NOT_RUN, lambda row: f"{row['mean']:.3f}"),
        "here: best": (ours, NOT_RUN, lambda row: f"{row['best']:.3f}"),
        "here: 95 % interval": (ours, NOT_RUN, lambda row: f"{row['low']:.3f} to {row['high']:.3f}"),
        f"here: trials × {things}": (ours, NOT_RUN, lambda row: f"{row['trials']} × {row['n']}"),
        "here - paper: means": (apart, NOT_RUN, lambda step: NOT_PUBLISHED if step is None else f"{step:+.3f}"),
    }
    body = {
        (f"{split} split", what): [say(of[split, s]) if (split, s) in of else without for s in lengths]
        for split in ("song", "album")
        for what, (of, without, say) in told.items()
    }
    return pd.DataFrame.from_dict(body, orient="index", columns=[f"{s:g} s" for s in lengths]).set_axis(
        pd.MultiIndex.from_tuples(body, names=["split", "weighted F1"])
    )


def differences(
    pairs: Mapping[str, tuple[Scores, Scores]], metric: str = "f1_weighted", n_boot: int = 2000
) -> pd.DataFrame:
    """Paired comparisons in one table, their p values corrected together.

    Parameters
    ----------
    pairs : mapping from label to (Scores, Scores)
        Two settings tested on the same songs; the second is subtracted from the first.
    metric : str
        A key of `evaluation.scores`.
    n_boot : int
        Resamples of the songs.

    Returns
    -------
    pandas.DataFrame
        Indexed by label: the two scores `a` and `b`, their `difference` with `low` and `high` of its 95 % interval,
        `p_bootstrap`, `p_mcnemar` (accuracy; NaN where a song was tested more than once), `p`, which is Holm's
        correction of `p_bootstrap` over the table, and `n` songs.

    Raises
    ------
    DataError
        If there are no pairs, or the songs of a pair differ.

    Examples
    --------
    >>> import numpy as np
    >>> truth, names, classes = [0, 1] * 10, range(20), ("a", "z")
    >>> right = Scores(np.eye(2)[truth], truth, names, classes, level="song")
    >>> blind = Scores(np.eye(2)[[0] * 20], truth, names, classes, level="song")
    >>> table = differences({"listens - does not": (right, blind)}, "accuracy")
    >>> table["difference"].tolist()
    [0.5]
    """
    if not pairs:
        raise DataError("no pairs to compare: expected two settings that were tested on the same songs")
    rows = {}
    for label, (a, b) in pairs.items():
        found = evaluation.compare(a, b, metric, n_boot)
        ends = {"a": evaluation.scores(a)[metric], "b": evaluation.scores(b)[metric]}
        rows[label] = ends | found
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("a - b")
    table["p"] = evaluation.holm(table["p_bootstrap"])
    return table[["a", "b", "difference", "low", "high", "p_bootstrap", "p_mcnemar", "p", "n"]]


def overview(summaries: Mapping[str, pd.DataFrame], clip_s: float = 3.0) -> pd.DataFrame:
    """One row per corpus, recipe and split, for one clip length; the paper's rows, on artist20, come first.

    Parameters
    ----------
    summaries : mapping from corpus to pandas.DataFrame
        From `tables.summary`.
    clip_s : float
        Clip length in seconds; of a corpus without it, the nearest there is.

    Returns
    -------
    pandas.DataFrame
        Columns corpus, recipe, split, "F1, song level" and "F1, clip level" (weighted, mean of the trials, with a 95 %
        interval over songs, which the paper has not), clips, design (of `splits.design`), and "trials × songs" (tested
        per trial).

    Raises
    ------
    ParameterError
        If a summary has several designs, labels or features for one recipe and split; see `selection.one_design`.

    Examples
    --------
    >>> overview({})["F1, song level"].tolist()
    ['0.937', '0.651']
    """
    paper = published.trials().groupby(["level", "split", "clip_s"])
    paper = paper.agg(
        mean=("f1_weighted", "mean"), trials=("trial", "size"), n=("support", "max"), fewest=("support", "min")
    ).reset_index()
    paper = paper.assign(recipe="paper", design="one split", low=float("nan"), high=float("nan"))
    rows = []
    for corpus, summary in {"artist20 (paper)": paper, **summaries}.items():
        for recipe, split in product(summary["recipe"].unique(), ("song", "album")):
            mine = summary[(summary["recipe"] == recipe) & (summary["split"] == split)]
            if mine.empty:
                continue
            _one_each(mine)
            nearest = min(mine["clip_s"], key=lambda length: abs(length - clip_s))
            clip, song = (
                mine[(mine["clip_s"] == nearest) & (mine["level"] == level)].iloc[0] for level in ("clip", "song")
            )
            fewest = "" if song.get("fewest", song["n"]) == song["n"] else f"{song['fewest']:.0f} to "
            rows.append({
                "corpus": corpus, "recipe": recipe, "split": split, "F1, song level": bracketed(song),
                "F1, clip level": bracketed(clip), "clips": f"{nearest:g} s", "design": song["design"],
                "trials × songs": f"{song['trials']:.0f} × {fewest}{song['n']:.0f}",
            })  # fmt: skip
    return pd.DataFrame(rows)


def bracketed(row: pd.Series) -> str:
    """Write a score with its interval.

    Parameters
    ----------
    row : pandas.Series
        Of `tables.summary`: `mean`, `low` and `high`; the interval may be NaN.

    Returns
    -------
    str

    Examples
    --------
    >>> bracketed(pd.Series({"mean": 0.5, "low": 0.4, "high": 0.625}))
    '0.500 (0.40 to 0.62)'
    """
    known = f" ({row['low']:.2f} to {row['high']:.2f})" if pd.notna(row["low"]) else ""
    return f"{row['mean']:.3f}{known}"


def _one_each(rows: pd.DataFrame) -> None:
    cells = rows.groupby(["split", "level", "clip_s"]).size()
    if cells.max() > 1:
        raise ParameterError(
            f"{cells.max()} rows for the {' '.join(map(str, cells.idxmax()))} s: expected one; "
            "choose with selection.one_design or selection.pick"
        )
