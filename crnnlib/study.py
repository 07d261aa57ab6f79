"""A grid of trials that loses no work: what is recorded is not run again, what was cut short goes on.

Records (see `crnnlib.records`) are named ``<recipe>-<split>-<frames>-<seed>-<id>``. See chapter 5,
*Train across clip lengths*.
"""

import contextlib
import dataclasses
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from crnnlib import features, files, grouping, musicnn, records, splits
from crnnlib.errors import DataError, ParameterError
from crnnlib.records import Trial
from crnnlib.training import PAPER, Recipe, identity, train, with_statistics

__all__ = ["Grid", "run", "several_albums"]

CLIP_LENGTHS = (1.0, 3.0, 5.0, 10.0, 20.0, 30.0)


@dataclasses.dataclass(frozen=True)
class Grid:
    """Which trials to run: every clip length with every split, recipe and trial.

    Parameters
    ----------
    clip_lengths : sequence of float
        In seconds; the paper's six by default.
    kinds : sequence of {"song", "album"}
        Splits. By album, and for both with `matched`, classes with a single album are left out.
    trials : int, default=3
        Trials of each cell. Trial t draws its split and its network with seed t.
    folds : int, optional
        Split each trial into so many folds, so that every song is tested once per trial; by default one split each,
        as the paper does.
    recipes : sequence of Recipe
        How to train.
    matched : bool, default=False
        Draw one split a trial such that song and album splits have the same artists and numbers of songs
        (`splits.matched_pair`): the difference of their scores is the producer effect.

    Raises
    ------
    ParameterError
        If a split is unknown, there is no recipe, a length or number is not positive, or folds are asked for together
        with `matched`.

    Examples
    --------
    >>> grid = Grid(clip_lengths=(1.0, 3.0), kinds=("song",), trials=2)
    >>> [
    ...     (clip_s, split.name, recipe.name, seed)
    ...     for clip_s, split, recipe, seed in grid.cells(tracks)
    ... ]
    [(3.0, 'song', 'paper', 0), (1.0, 'song', 'paper', 0), (3.0, 'song', 'paper', 1), (1.0, 'song', 'paper', 1)]
    """

    clip_lengths: Sequence[float] = CLIP_LENGTHS
    kinds: Sequence[str] = ("song", "album")
    trials: int = 3
    folds: int | None = None
    recipes: Sequence[Recipe] = (PAPER,)
    matched: bool = False

    def __post_init__(self):
        if not set(self.kinds) <= {"song", "album"} or not self.kinds:
            raise ParameterError(f"kinds={self.kinds}: expected 'song', 'album' or both")
        if len(self.recipes) == 0:
            raise ParameterError("recipes: expected at least one, e.g. crnnlib.training.PAPER")
        if len(self.clip_lengths) == 0 or not all(0 < clip_s < math.inf for clip_s in self.clip_lengths):
            raise ParameterError(f"clip_lengths={self.clip_lengths}: expected positive lengths in seconds, e.g. 3.0")
        if self.trials < 1 or (self.folds is not None and (self.folds < 2 or self.matched)):
            raise ParameterError(
                f"trials={self.trials}, folds={self.folds}, matched={self.matched}: expected 1 or more trials, in 2 "
                "or more folds or matched or neither"
            )

    def cells(self, tracks: pd.DataFrame, label: str = "artist", same=()) -> Iterator[tuple]:
        """Every trial as (clip_s, split, recipe, seed): all of one split, long clips first, then the next split."""
        drawn = [
            (self._draw(kind, tracks, seed, label, same), seed) for seed in range(self.trials) for kind in self.kinds
        ]
        order = sorted(self.clip_lengths, reverse=True)
        for folds, seed in drawn:
            for split, clip_s, recipe in itertools.product(folds, order, self.recipes):
                yield clip_s, split, recipe, seed

    def _draw(self, kind, tracks, seed, label, same):
        if kind == "album" or self.matched:
            tracks = several_albums(tracks, label, same, self.folds)
        if self.matched:
            song, album = splits.matched_pair(tracks, seed, label, same)
            return [song if kind == "song" else album]
        if self.folds is None:
            draw = splits.song_split if kind == "song" else splits.album_split
            return [draw(tracks, seed=seed, label=label, same=same)]
        draw = splits.song_folds if kind == "song" else splits.album_folds
        return draw(tracks, k=self.folds, seed=seed, label=label, same=same)


def several_albums(tracks: pd.DataFrame, label: str = "artist", same=(), folds: int | None = None) -> pd.DataFrame:
    """The part of a corpus that an album split can use: classes with two albums or more, and three songs.

    In folds, a class needs as many albums as there are folds, and two songs that are not on the largest of them.

    Parameters
    ----------
    tracks : pandas.DataFrame
        Track table.
    label : str, default="artist"
        Column to predict.
    same : sequence of collections of str, optional
        Ids that stay together, as `Store.duplicates` gives them: albums that share a recording count once.
    folds : int, optional
        As in `Grid`.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    ParameterError
        If there is no such column.
    DataError
        If fewer than two classes are left.

    Examples
    --------
    >>> from crnnlib.corpora import opengame20
    >>> several_albums(opengame20.listing())["artist"].nunique()
    7
    """
    albums, units = (grouping.classes(tracks, label, same, albums=whole, songs=1) for whole in (True, False))
    least = folds or 2
    songs = {name: [grouping.n_songs(album, units[name]) for album in own] for name, own in albums.items()}
    wide = [name for name, of in songs.items() if len(of) >= least and sum(of) >= 3]
    if folds:
        wide = [name for name in wide if sum(songs[name]) - max(songs[name]) >= 2]
    if len(wide) < 2:
        raise DataError(
            f"{len(wide)} classes have {least} albums and songs enough: an album split needs two; use "
            f"{'fewer folds or ' if least > 2 else ''}a song split"
        )
    return tracks[tracks[label].astype(str).isin(wide)]


def run(grid, tracks, store, label="artist", folder=None, progress=True, scheduler=None) -> list[Trial]:
    """Run the trials of a grid that have no record yet, and return all of its trials.

    Parameters
    ----------
    grid : Grid
        What to run.
    tracks : pandas.DataFrame
        Track table; tracks that the store lacks are left out.
    store : features.Store
        Its log-mel; a recipe with another front end reads the same seconds of the same tracks through that.
    label : str, default="artist"
        Column to predict.
    folder : str or pathlib.Path, optional
        Of the records; by default ``$CRNNLIB_HOME/results/<corpus>``.
    progress : bool, default=True
        Show a bar of trials with the time that is left, and one of epochs below it.
    scheduler : str, optional
        Address of a Dask scheduler whose workers see the same files: each trains one trial at a time, on those that
        declare a ``GPU`` resource where any do. Needs ``crnnlib[dask]``.

    Returns
    -------
    list of Trial
        In the grid's order.

    Raises
    ------
    ParameterError
        If Dask is missing, no scheduler answers at the address, or a worker has several threads.

    Examples
    --------
    >>> quick = Recipe("quick", variant="rnn", max_epochs=1)
    >>> trials = run(Grid((1.0,), ["song"], trials=1, recipes=[quick]), tracks, store)
    >>> [(trial.record["split"]["name"], trial.record["clip_s"]) for trial in trials]
    [('song', 1.0)]
    """
    tracks = tracks[tracks.index.isin(store.track_ids)]  # the store lacks what could not be read
    folder = Path(folder) if folder else files.home() / "results" / store.corpus
    files.sweep(folder)
    stores = {"log-mel": store}
    if any(recipe.front_end == "musicnn" for recipe in grid.recipes):
        stores["musicnn"] = features.extract(tracks, musicnn.Maps(store.settings.max_s), n_jobs=1, progress=progress)
    jobs = {}  # by name, so that what is asked for twice is one trial
    for cell in grid.cells(tracks, label, store.duplicates()):
        own = stores[cell[2].front_end]
        name = _name(own, tracks, cell, label)
        jobs[name] = (own, tracks, cell, label, str(folder), name)
    names = list(jobs)
    jobs = [job for name, job in jobs.items() if not (folder / f"{name}.json").exists()]
    with tqdm(
        total=len(names), initial=len(names) - len(jobs), desc="study", unit="trial", disable=not progress
    ) as bar:
        for _ in _distributed(jobs, scheduler) if scheduler else (_run_one(*job, progress) for job in jobs):
            bar.update()
    return [records.read(folder / f"{name}.json") for name in names]


def _name(store, tracks, cell, label):
    clip_s, split, recipe, seed = cell
    n_frames = store.settings.n_frames(clip_s)
    trial_id = identity(store, tracks, split, n_frames, recipe, seed, label)
    return f"{recipe.name}-{split.name}-{n_frames:03d}-{seed}-{trial_id}"


def _recorded(store, tracks, cell, label, folder):
    """The trial of a cell if its network is on record, under whatever name of the split or of the recipe."""
    clip_s, split, recipe, seed = cell
    for own in dict.fromkeys((recipe, dataclasses.replace(recipe, statistics=False))):
        trial_id = _name(store, tracks, (clip_s, split, own, seed), label).rpartition("-")[2]
        for done in Path(folder).glob(f"[!.]*-{trial_id}.json"):
            trial = records.read(done)
            trial = trial if own == recipe else with_statistics(trial, store, tracks, split)
            trial.record["split"]["name"], trial.record["recipe"]["name"] = split.name, recipe.name
            return trial
    return None


def _run_one(store, tracks, cell, label, folder, name, progress=False):
    """Train one cell and record it, unless another study has meanwhile; also on a Dask worker."""
    if Path(folder, f"{name}.json").exists():
        return name
    if (trial := _recorded(store, tracks, cell, label, folder)) is not None:
        records.save(trial, folder, name)
        return name
    clip_s, split, recipe, seed = cell
    trial = train(store, tracks, split, clip_s, recipe, seed, label, progress)
    model = files.home() / "models" / store.corpus / f"{name}.keras"
    with files.atomic(model.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(trial.record, indent=1), "utf-8")
    with files.atomic(model) as temporary:
        trial.model.save(temporary)
    records.save(trial, folder, name)
    done = files.home() / "checkpoints" / trial.record["id"]
    for written in (done, model.parent):
        files.sweep(written)  # after a study that was killed
    with contextlib.suppress(OSError):  # another study may be training the same
        (done / "state.npz").unlink()
        done.rmdir()
    return name


def _distributed(jobs, scheduler):
    try:
        import distributed
    except ImportError as error:
        raise ParameterError("scheduler: needs Dask; pip install -e '.[dask]' where crnnlib lies") from error
    try:
        client = distributed.Client(scheduler)
    except (OSError, ValueError) as error:
        raise ParameterError(f"scheduler={scheduler!r}: no Dask scheduler answers there ({error})") from error
    with client:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        resources = {"GPU": 1} if any("GPU" in worker["resources"] for worker in workers) else None
        if not resources and any(worker["nthreads"] > 1 for worker in workers):
            raise ParameterError("scheduler: a worker has several threads, which would share the random numbers of "
                                 "their trials; start each with `dask worker --nthreads 1`")  # fmt: skip
        futures = [client.submit(_run_one, *job, pure=False, resources=resources, retries=3) for job in jobs]
        for future in distributed.as_completed(futures):
            yield future.result()
