"""Which trials belong together: picked by what they are, paired, pooled.

Conventions: a trial is a `records.Trial`; a split is named by its kind, "song" or "album", whatever its folds.
See chapter 6, *Read the results*.
"""

from collections.abc import Iterable

from crnnlib import splits, voting
from crnnlib.errors import ParameterError
from crnnlib.voting import Scores

__all__ = ["both_splits", "fullest", "matched", "one_design", "pick", "pooled", "whole"]


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
        If `level` is neither "clip" nor "song".

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


def whole(trials: Iterable) -> list[tuple]:
    """Deal folds out to the trials that they make up.

    Parameters
    ----------
    trials : iterable of Trial
        Of one setting, one design and one seed.

    Returns
    -------
    list of tuple of Trial
        All folds of a trial each, or its only split. A fold that was run twice belongs to two; what is not whole, on
        one state of the corpus, to none.

    Examples
    --------
    >>> whole([])
    []
    """
    states: dict[tuple, dict[str, list]] = {}
    for trial in trials:
        name, folds = trial.record["split"]["name"], _design(trial).partition(" folds")
        songs = sorted(
            {song for part in ("train", "validation", "test") for song in trial.record["split"].get(part, ())}
        )
        key = (int(folds[0]), *songs) if folds[1] else (1,)
        states.setdefault(key, {}).setdefault(name, []).append(trial)
    complete = [zip(*folds.values(), strict=False) for (k, *_), folds in states.items() if len(folds) == k]
    return [folds for run in complete for folds in run]


def _cell(trial) -> tuple:
    record = trial.record
    return record["recipe"]["name"], splits.design(record["split"]["name"])[0], record["clip_s"]


def _design(trial) -> str:
    return splits.design(trial.record["split"]["name"])[1]


def _tested(trial) -> tuple:
    return trial.record["seed"], tuple(trial.record["split"]["test"])
