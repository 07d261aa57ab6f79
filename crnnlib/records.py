"""What a trial leaves behind, on disk.

A record is two files, each written whole: ``NAME.npz`` with the test clips' probabilities and bottleneck (float16),
with some recipes also what statistics say of the test songs, and, last, ``NAME.json`` with everything else. New records
go to ``$CRNNLIB_HOME/results/<corpus>``; `publish` copies them to ``book/results/<corpus>``, where a study never
writes. See chapter 6, *Read the results*.
"""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crnnlib import files, voting
from crnnlib.errors import DataError
from crnnlib.recipes import Recipe

if TYPE_CHECKING:
    import keras  # a reader of records needs none

__all__ = ["Trial", "load", "publish", "read", "results", "save"]

_WIDEST = 64  # values of a bottleneck that are kept: records are committed, and clips are many


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """What one trial left behind.

    Parameters
    ----------
    record : dict
        Everything but arrays: identity, corpus, split, recipe, history, scores, versions, device.
    test_clips : voting.Scores
        Of the test songs, clip by clip.
    bottleneck : numpy.ndarray, shape (n_clips, n_units), float16
        Of the same clips.
    model : keras.Model, optional
        The trained network; None where the trial was read from its record.
    statistics : voting.Scores, optional
        What the recipe's regression on statistics says of the test songs; None where it has none.

    Examples
    --------
    >>> trial.test_clips.n, trial.bottleneck.shape, trial.songs.n
    (13, (13, 32), 3)
    """

    record: dict
    test_clips: voting.Scores
    bottleneck: np.ndarray
    model: "keras.Model | None" = None
    statistics: voting.Scores | None = None

    @property
    def songs(self) -> voting.Scores:
        """The test songs after the recipe's vote."""
        return Recipe(**self.record["recipe"]).to_songs(self.test_clips, self.statistics)


def save(trial: Trial, folder: str | Path, name: str) -> Path:
    """Write the record of a trial: the arrays, then the JSON that says they are there.

    Parameters
    ----------
    trial : Trial
        From `training.train`. A bottleneck of more than 64 values is left out.
    folder : str or pathlib.Path
        Where to.
    name : str
        File name without suffix.

    Returns
    -------
    pathlib.Path
        Path of the JSON file.

    Examples
    --------
    >>> save(trial, "results", "paper-song-032-0").name
    'paper-song-032-0.json'
    >>> read("results/paper-song-032-0.json").test_clips.n == trial.test_clips.n
    True
    """
    clips, target = trial.test_clips, Path(folder, f"{name}.json")
    songs = {track_id: number for number, track_id in enumerate(trial.record["split"]["test"])}
    bottleneck = trial.bottleneck if trial.bottleneck.shape[1] <= _WIDEST else trial.bottleneck[:, :0]
    more = {}
    if trial.statistics is not None:
        order = np.argsort([songs[track_id] for track_id in trial.statistics.track_id])
        more["statistics"] = trial.statistics.probabilities[order].astype(np.float16)
    with files.atomic(target.with_suffix(".npz")) as temporary:
        np.savez_compressed(
            temporary,
            allow_pickle=False,
            **more,
            probabilities=clips.probabilities.astype(np.float16),
            bottleneck=bottleneck.astype(np.float16),
            song=np.array([songs[track_id] for track_id in clips.track_id], np.int32),
            start=np.asarray(clips.start, np.int32),
            truth=np.asarray(clips.truth, np.int16),
        )
    with files.atomic(target) as temporary:
        temporary.write_text(json.dumps(trial.record, indent=1) + "\n", "utf-8")
    return target


def load(folder: str | Path) -> list[Trial]:
    """Read every record of a folder.

    Parameters
    ----------
    folder : str or pathlib.Path
        Where a study put its records.

    Returns
    -------
    list of Trial
        By name; empty where there is no record.

    Raises
    ------
    DataError
        If a record is damaged.

    Examples
    --------
    >>> load("/nowhere")
    []
    """
    return [read(path) for path in _records(folder)]


def results(corpus: str, committed: str | Path | None = None) -> list[Trial]:
    """The trials of a corpus: those committed with the book, and one's own.

    Parameters
    ----------
    corpus : str
        Its short name.
    committed : str or pathlib.Path, optional
        The book's folder of results; by default ``book/results`` of this checkout, if crnnlib runs from one.

    Returns
    -------
    list of Trial
        Each identity once for each name of its recipe and split: a matched album split may hold the songs of a plain
        one.

    Examples
    --------
    >>> results("no-such-corpus")
    []
    """
    committed = Path(committed) if committed else Path(__file__).resolve().parent.parent / "book" / "results"
    known: dict[tuple, Trial] = {}
    for folder in (files.home() / "results" / corpus, committed / corpus):
        for trial in load(folder):
            record = trial.record
            known[record["id"], record["recipe"]["name"], record["split"]["name"]] = trial
    return list(known.values())


def publish(corpus: str, folder: str | Path) -> int:
    """Copy the records of a corpus from the cache to the folder that the book reads.

    Parameters
    ----------
    corpus : str
        Its short name.
    folder : str or pathlib.Path
        For this book ``book/results``.

    Returns
    -------
    int
        Number of records that were not there before.

    Raises
    ------
    DataError
        If a record is damaged; nothing of it is copied.

    Examples
    --------
    >>> _ = save(trial, files.home() / "results" / "mine", "paper-song-032-0")
    >>> publish("mine", "book/results"), publish("mine", "book/results")
    (1, 0)
    """
    copied = 0
    for record in _records(files.home() / "results" / corpus):
        target = Path(folder, corpus, record.name)
        if target.exists():
            continue
        read(record)  # whoever reads the folder later could not go on
        for source in (record.with_suffix(".npz"), record):
            with files.atomic(target.with_suffix(source.suffix)) as temporary:
                shutil.copyfile(source, temporary)
        copied += 1
    return copied


def read(path: str | Path) -> Trial:
    """Read one record.

    Parameters
    ----------
    path : str or pathlib.Path
        Of the ``.json``.

    Returns
    -------
    Trial
        Without its network.

    Raises
    ------
    DataError
        If it is missing or damaged.

    Examples
    --------
    >>> read("nothing.json")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    crnnlib.errors.DataError: nothing.json: there is no such record
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: there is no such record")
    try:
        record = json.loads(path.read_text("utf-8"))
        Recipe(**record["recipe"])
        if lacking := {"id", "corpus", "features", "clip_s", "seed", "label"} - record.keys():
            raise KeyError(", ".join(sorted(lacking)))
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
            names = np.array(record["split"]["test"])[arrays["song"]]
            clips = voting.Scores(
                arrays["probabilities"].astype(np.float32), arrays["truth"], names, tuple(record["classes"]),
                start=arrays["start"], level="clip",
            )  # fmt: skip
            statistics = None
            if "statistics" in arrays:
                _, first = np.unique(arrays["song"], return_index=True)
                statistics = voting.Scores(
                    arrays["statistics"].astype(np.float32), clips.truth[first], record["split"]["test"],
                    clips.classes, level="song",
                )  # fmt: skip
            return Trial(record, clips, arrays["bottleneck"], statistics=statistics)
    except (OSError, *files.DAMAGED) as error:
        raise DataError(f"{path}: not a record of a trial ({error}); delete it and run the study again") from error


def _records(folder: str | Path) -> list[Path]:
    """The records of a folder by name, without what is being written."""
    return sorted(Path(folder).glob("[!.]*.json"))
