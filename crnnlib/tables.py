"""Tables that a reader compares: trials picked and pooled, the paper's layout with own scores, paired differences.

Conventions: a trial is a `training.Trial` (its `record`, `test_clips` and `songs` are used); a split is named by its
kind, "song" or "album", whatever its folds; scores are shares in [0, 1]. Introduced in chapter 6, *Read the results*.
"""

from collections.abc import Iterable, Mapping
from itertools import product

import pandas as pd

from crnnlib import evaluation, published, splits, voting
from crnnlib.errors import DataError, ParameterError
from crnnlib.voting import Scores

__all__ = [
    "beside_paper",
    "both_splits",
    "differences",
    "fullest",
    "matched",
    "one_design",
    "overview",
    "pick",
    "pooled",
]

NOT_RUN, NOT_PUBLISHED = "not run", "none"


def pick(trials: Iterable, recipe=None, split=None, clip_s=None, seed=None, design=None) -> list:
    """Keep the trials that agree with everything asked for.

    Parameters
    ----------
    trials : iterable of Trial
        From `study.run`, `records.load` or `records.results`.
    recipe : str, optional
        Name of the recipe.
    split : {"song", "album"}, optional
        Kind of the split.
    clip_s : float, optional
        Clip length in seconds.
    seed : int, optional
        Number of the trial.
    design : str, optional
        How its split was drawn, as `splits.design` says.

    Returns
    -------
    list of Trial
        In their order; empty where nothing agrees.

    Examples
    --------
    >>> pick([], recipe="paper", clip_s=3.0)
    []
    """
    wanted = (recipe, split, clip_s, seed, design)

    def agrees(trial) -> bool:
        own = (*_cell(trial), trial.record["seed"], _design(trial))
        return all(asked in (None, has) for asked, has in zip(wanted, own, strict=True))

    return [trial for trial in trials if agrees(trial)]


def fullest(trials: Iterable, recipes: Iterable[str]) -> str:
    """Name the recipe with the most cells on record, that is, pairs of split and clip length.

    Parameters
    ----------
    trials : iterable of Trial
        From `records.results`.
    recipes : iterable of str
        Names to choose from; of equals, the first.

    Returns
    -------
    str

    Examples
    --------
    >>> fullest([], ["paper", "live"])
    'paper'
    """
    trials = list(trials)
    return max(recipes, key=lambda name: len({_cell(trial) for trial in pick(trials, recipe=name)}))


def one_design(trials: Iterable, across_lengths: bool = False) -> list:
    """Keep one design for each recipe, split and clip length: the one that tests the most songs.

    A cell that has been run both with one split a trial and with folds would count some songs twice.

    Parameters
    ----------
    trials : iterable of Trial
        From `records.results`.
    across_lengths : bool
        Keep the same design for all clip lengths of a recipe and split, so that they compare: the one with the most
        clip lengths, and of these the one that tests the most songs.

    Returns
    -------
    list of Trial
        In their order; of equal designs, the one with the first trial.

    Examples
    --------
    >>> one_design([])
    []
    """
    trials = list(trials)
    cells = [_cell(trial)[: 2 if across_lengths else 3] for trial in trials]
    tested: dict = {}
    for cell, trial in zip(cells, trials, strict=True):
        lengths, songs = tested.setdefault(cell, {}).setdefault(_design(trial), (set(), set()))
        lengths.add(trial.record["clip_s"])
        songs.update(trial.record["split"]["test"])
    best = {cell: max(designs, key=lambda one: [*map(len, designs[one])]) for cell, designs in tested.items()}
    return [trial for cell, trial in zip(cells, trials, strict=True) if best[cell] == _design(trial)]


def matched(a: Iterable, b: Iterable) -> tuple[list, list]:
    """Keep the trials of two settings that were tested on the same songs with the same seed.

    Parameters
    ----------
    a, b : iterable of Trial
        Of one setting each.

    Returns
    -------
    tuple of list of Trial
        Of equal length, partner by partner; empty where nothing matches.

    Examples
    --------
    >>> matched([], [])
    ([], [])
    """
    of_b = {_tested(trial): trial for trial in b}
    kept = [trial for trial in a if _tested(trial) in of_b]
    return kept, [of_b[_tested(trial)] for trial in kept]


def both_splits(trials: Iterable, recipe: str, clip_s: float) -> tuple[list, list]:
    """The trials of a recipe by song and those by album, if both are there and name the same classes.

    Parameters
    ----------
    trials : iterable of Trial
        From `records.results`.
    recipe : str
        Its name.
    clip_s : float
        Clip length in seconds.

    Returns
    -------
    song, album : list of Trial
        Both empty where one is missing or the classes differ: their scores would not compare.

    Examples
    --------
    >>> both_splits([], "paper", 3.0)
    ([], [])
    """
    trials = list(trials)
    song, album = (pick(trials, recipe=recipe, split=kind, clip_s=clip_s) for kind in ("song", "album"))
    if not (song and album) or song[0].record["classes"] != album[0].record["classes"]:
        return [], []
    return song, album


def pooled(trials: Iterable, level: str = "song") -> Scores:
    """The decisions of several folds or trials as one set of scores.

    Parameters
    ----------
    trials : iterable of Trial
        With the same classes.
    level : {"song", "clip"}
        Songs by the recipe's own vote, or clips.

    Returns
    -------
    Scores

    Raises
    ------
    DataError
        If there are no trials, or their classes differ.
    ParameterError
        If `level` is neither.

    Examples
    --------
    >>> pooled([])
    Traceback (most recent call last):
        ...
    crnnlib.errors.DataError: no scores to pool: expected at least one fold or trial
    """
    if level not in ("song", "clip"):
        raise ParameterError(f"level={level!r}: expected 'song' or 'clip'")
    return voting.pool([trial.songs if level == "song" else trial.test_clips for trial in trials])


def beside_paper(summary: pd.DataFrame, level: str = "song") -> pd.DataFrame:
    """One's own scores under the paper's, clip length by clip length.

    Parameters
    ----------
    summary : pandas.DataFrame
        From `study.summary`, of one recipe.
    level : {"song", "clip"}
        Whose scores.

    Returns
    -------
    pandas.DataFrame
        Text. Rows are split and what is told (mean and best of the paper's trials, then mean, best, 95 % interval,
        number of trials and of what each tested), columns are the clip lengths of both. "not run" where there is no
        trial here, "none" where the paper has none.

    Raises
    ------
    ParameterError
        If `summary` holds several recipes, or `level` is neither.

    Examples
    --------
    >>> row = {"recipe": "paper", "split": "song", "level": "song", "clip_s": 3.0, "mean": 0.9, "best": 0.91,
    ...        "low": 0.8, "high": 0.95, "trials": 3, "n": 140}
    >>> beside_paper(pd.DataFrame([row])).loc[("song split", "here: 95 % interval"), ["1 s", "3 s"]].tolist()
    ['not run', '0.800 to 0.950']
    """
    if level not in ("song", "clip"):
        raise ParameterError(f"level={level!r}: expected 'song' or 'clip'")
    if not summary.empty and summary["recipe"].nunique() > 1:
        raise ParameterError(f"{summary['recipe'].nunique()} recipes in one table: expected one")
    paper = {key[1:]: row for key, row in published.cells().iterrows() if key[0] == level}
    rows = summary[summary["level"] == level].to_dict("records") if not summary.empty else []
    ours = {(row["split"], row["clip_s"]): row for row in rows}
    lengths = sorted({float(clip_s) for _, clip_s in (*paper, *ours)})
    things = "songs" if level == "song" else "clips"
    told = {
        "paper: mean": (paper, NOT_PUBLISHED, lambda row: f"{row['mean']:.3f}"),
        "paper: best": (paper, NOT_PUBLISHED, lambda row: f"{row['best']:.3f}"),
        "here: mean": (ours, NOT_RUN, lambda row: f"{row['mean']:.3f}"),
        "here: best": (ours, NOT_RUN, lambda row: f"{row['best']:.3f}"),
        "here: 95 % interval": (ours, NOT_RUN, lambda row: f"{row['low']:.3f} to {row['high']:.3f}"),
        f"here: trials × {things}": (ours, NOT_RUN, lambda row: f"{row['trials']} × {row['n']}"),
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
        Two settings tested on the same songs; the second is taken from the first.
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
    >>> right = Scores(np.eye(2)[[0, 1] * 10], [0, 1] * 10, range(20), ("a", "z"), level="song")
    >>> blind = Scores(np.eye(2)[[0] * 20], [0, 1] * 10, range(20), ("a", "z"), level="song")
    >>> differences({"listens - does not": (right, blind)}, "accuracy")["difference"].tolist()
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
    """One row per corpus, recipe and split, for one clip length; the paper's on artist20 comes first.

    Parameters
    ----------
    summaries : mapping from corpus to pandas.DataFrame
        From `study.summary`.
    clip_s : float
        Clip length in seconds; of a corpus without it, the nearest there is.

    Returns
    -------
    pandas.DataFrame
        Columns corpus, recipe, clips, split, "F1, clip level" and "F1, song level" (weighted, mean of the trials),
        "95 % interval" (song level), trials, and songs (tested per trial).

    Examples
    --------
    >>> overview({}, clip_s=3)["F1, song level"].tolist()
    ['0.937', '0.651']
    """
    paper = published.trials().groupby(["level", "split", "clip_s"])
    paper = paper.agg(mean=("f1_weighted", "mean"), trials=("trial", "size"), n=("support", "max")).reset_index()
    paper = paper.assign(recipe="paper", low=float("nan"), high=float("nan"))
    rows = []
    for corpus, summary in {"artist20, as published": paper, **summaries}.items():
        for recipe, split in product(summary["recipe"].unique(), ("song", "album")):
            mine = summary[(summary["recipe"] == recipe) & (summary["split"] == split)]
            if mine.empty:
                continue
            nearest = min(mine["clip_s"], key=lambda length: abs(length - clip_s))
            clip, song = (
                mine[(mine["clip_s"] == nearest) & (mine["level"] == level)].iloc[0] for level in ("clip", "song")
            )
            known = pd.notna(song["low"])
            rows.append({
                "corpus": corpus, "recipe": recipe, "clips": f"{nearest:g} s", "split": split,
                "F1, clip level": f"{clip['mean']:.3f}", "F1, song level": f"{song['mean']:.3f}",
                "95 % interval": f"{song['low']:.2f} to {song['high']:.2f}" if known else "not published",
                "trials": int(song["trials"]), "songs": int(song["n"]),
            })  # fmt: skip
    return pd.DataFrame(rows)


def _cell(trial) -> tuple:
    record = trial.record
    return record["recipe"]["name"], splits.design(record["split"]["name"])[0], record["clip_s"]


def _design(trial) -> str:
    return splits.design(trial.record["split"]["name"])[1]


def _tested(trial) -> tuple:
    return trial.record["seed"], tuple(trial.record["split"]["test"])
