"""The feature store of a corpus: log-mel, or the maps of a pretrained tagger.

A store is the folder ``features/<corpus>-<digest of the settings>`` below `crnnlib.files.home`, with one ``.npy`` per
track: ``(frames, n_mels)``, float16; log-mel is in dB. A file is whole or absent, so a killed extraction goes on where
it stopped, and two may run at once. It carries its source's time of change, and is made anew when the source has
another. Files are opened on use: no descriptor is held, save by a map that a caller keeps. ``failures.csv`` (track_id,
path, reason) lists what the last extraction could not use; ``index.json`` keeps digests that were asked for.
"""

import collections
import concurrent.futures
import contextlib
import csv
import dataclasses
import hashlib
import json
import os
import re
import warnings
from pathlib import Path

import joblib
import numpy as np
from tqdm.auto import tqdm

from crnnlib import files
from crnnlib.audio import load_audio
from crnnlib.errors import DataError
from crnnlib.logmel import LogMel, Settings, log_mel

__all__ = ["LogMel", "Store", "extract", "load_audio", "log_mel"]

_LITTLE = 2**24  # bytes of audio that one process reads before a second has started


@dataclasses.dataclass(frozen=True)
class Store:
    """Log-mel spectrograms on disk, opened on use; made by `extract`.

    Parameters
    ----------
    folder : pathlib.Path
        Where the files lie.
    settings : LogMel or musicnn.Maps
        How they were made.
    corpus : str
        The corpus' short name.
    track_ids : tuple of str
        The tracks present, sorted.

    Examples
    --------
    >>> song = store.track_ids[0]
    >>> song, store.n_frames(song), [len(digest) for digest in store.digests([song])]
    ('Ada/First/01-Song 1', 126, [64])
    >>> store.duplicates()
    []
    >>> Store(Path("/nowhere"), LogMel(), "demo", ())["artist/album/song"]
    Traceback (most recent call last):
        ...
    crnnlib.errors.DataError: artist/album/song: not in the store /nowhere; run features.extract
    """

    folder: Path
    settings: Settings
    corpus: str
    track_ids: tuple[str, ...]

    def __getitem__(self, track_id: str) -> np.memmap:
        """Memory map of a track, shape (frames, n_mels), float16, dB; read-only."""
        try:
            return np.load(self.folder / _file_name(track_id), mmap_mode="r", allow_pickle=False)
        except FileNotFoundError as error:
            raise DataError(f"{track_id}: not in the store {self.folder}; run features.extract") from error
        except files.DAMAGED as error:
            damaged = self.folder / _file_name(track_id)
            raise DataError(f"{damaged}: damaged ({error}); remove it and run features.extract") from error

    def n_frames(self, track_id: str) -> int:
        """Length of a track in frames."""
        return len(self[track_id])

    def duplicates(self) -> list[list[str]]:
        """Groups of tracks whose stored values are equal, each sorted."""
        groups = collections.defaultdict(list)
        for track_id, digest in zip(self.track_ids, self.digests(self.track_ids), strict=True):
            groups[digest].append(track_id)
        return [group for group in groups.values() if len(group) > 1]

    def digests(self, track_ids) -> list[str]:
        """SHA-256 in hex of the values of several tracks, in their order; kept in ``index.json`` once computed."""
        path = self.folder / "index.json"
        index = {}
        with contextlib.suppress(FileNotFoundError, ValueError):
            kept = json.loads(path.read_text(encoding="utf-8"))
            index = kept if isinstance(kept, dict) else {}
        found, news = [], {}
        for track_id in track_ids:
            name, values = _file_name(track_id), self[track_id]
            status = (self.folder / name).stat()
            key = [status.st_mtime_ns, status.st_size]
            if not isinstance(index.get(name), list) or index[name][:2] != key:
                news[name] = index[name] = [*key, hashlib.sha256(values).hexdigest()]
            found.append(index[name][2])
        if news:
            with files.atomic(path) as temporary:
                temporary.write_text(json.dumps(index, indent=0, sort_keys=True), encoding="utf-8")
        return found


def extract(tracks, settings: Settings = LogMel(), n_jobs=None, progress=True) -> Store:
    """Bring the log-mel store of a corpus up to date, and open it.

    Parameters
    ----------
    tracks : pandas.DataFrame
        Track table.
    settings : LogMel or musicnn.Maps
        The transform.
    n_jobs : int, optional
        Processes; by default one per core, a single one for less than 16 MiB of audio, or what
        ``joblib.parallel_config`` says: its backends take the work to the workers of an engine that is there already.
    progress : bool
        Show how many tracks are done.

    Returns
    -------
    Store
        Log-mel of the tracks that could be used.

    Raises
    ------
    DataError
        If no track can be used, or if a worker is killed. Of some there is one warning, and ``failures.csv``.

    Examples
    --------
    >>> store = extract(tracks)
    >>> store[store.track_ids[0]].shape, store[store.track_ids[0]].dtype
    ((126, 128), dtype('float16'))

    On the machines of a Dask cluster that see the same files (``pip install -e '.[dask]'``):

    >>> with (
    ...     distributed.Client("tcp://scheduler:8786"),
    ...     joblib.parallel_config(backend="dask"),
    ... ):  # doctest: +SKIP
    ...     store = features.extract(tracks)
    """
    from crnnlib.corpora import table  # pandas takes a second, and workers need none of it

    paths = table.validate(tracks)["path"].to_dict()
    corpus = tracks.attrs["corpus"]
    folder = files.home() / "features" / f"{corpus}-{settings.digest}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.sweep(folder)
        failed = {}
        for track_id, reason in _run(paths, folder, settings, n_jobs, progress):
            if reason:
                failed[track_id] = reason
        files.sweep(folder)  # after a worker that was killed
        report = _report(folder / "failures.csv", paths, failed)
    except OSError as error:
        message = f"{folder}: cannot be written ({error.strerror})"
        raise DataError(f"{message}; make room there, or name another place in CRNNLIB_HOME") from error
    if len(failed) == len(paths):
        raise DataError(f"{corpus}: {report}")
    if failed:
        warnings.warn(f"{corpus}: {report}", stacklevel=2)
    return Store(folder, settings, corpus, tuple(sorted(paths.keys() - failed.keys())))


def _file_name(track_id: str) -> str:
    """Readable where it can be, distinct in any case, and short enough for any file system."""
    readable = re.sub(r"[^A-Za-z0-9]+", "_", track_id).strip("_")[:80]
    return f"{readable}-{hashlib.sha256(track_id.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}.npy"


def _status(path: str | Path) -> tuple[int, int]:
    """Time of change in ns and size in bytes; -1 and 0 for what is not there."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return -1, 0
    return status.st_mtime_ns, status.st_size


def _stale(source: str, target: Path) -> bool:
    """Tell whether to extract; what was extracted from a source that is gone since stays good."""
    changed, made = _status(source)[0], _status(target)[0]
    coarse = made % 1_000_000_000 == 0  # as file systems may round
    return made < 0 or (changed >= 0 and abs(changed - made) > (2_000_000_000 if coarse else 1_000_000))


def _run(paths, folder, settings, n_jobs, progress):
    """Extract what is stale; yield (track_id, reason or "") as tracks are done, in any order."""
    pending = [track_id for track_id in paths if _stale(paths[track_id], folder / _file_name(track_id))]
    if not pending:
        return
    backend, chosen = joblib.parallel.get_active_backend()
    if n_jobs is None and chosen is None:
        little = sum(_status(paths[i])[1] for i in pending) < _LITTLE
        n_jobs = 1 if little and isinstance(backend, joblib.parallel.LokyBackend) else -1
    transform = settings.transform()
    jobs = (joblib.delayed(_extract_one)(i, paths[i], folder / _file_name(i), settings, transform) for i in pending)
    with tqdm(total=len(pending), desc="extract", unit="track", disable=not progress) as bar:
        try:
            for result in joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)(jobs):
                bar.update()
                yield result
        except concurrent.futures.BrokenExecutor as error:
            raise DataError("a worker was killed, for want of memory? Run it again to go on, or n_jobs=1") from error


def _extract_one(track_id, path, target, settings, transform) -> tuple[str, str]:
    changed = _status(path)[0]
    try:
        values = transform(load_audio(path, settings)).astype(np.float16)
    except DataError as error:
        target.unlink(missing_ok=True)
        return track_id, str(error).removeprefix(f"{path}: ")
    with files.atomic(target) as temporary:
        np.save(temporary, values, allow_pickle=False)
        os.utime(temporary, ns=(max(changed, 0), max(changed, 0)))
    return track_id, ""


def _report(path: Path, paths: dict, failed: dict) -> str:
    """Write ``failures.csv`` (none if nothing failed) and return the line that sums it up."""
    if not failed:
        path.unlink(missing_ok=True)
        return ""
    with files.atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8", errors="replace") as out:
        rows = [(i, paths[i], failed[i]) for i in sorted(failed)]
        csv.writer(out).writerows([("track_id", "path", "reason"), *rows])
    kinds = collections.Counter(reason.split(" (")[0] for reason in failed.values())
    counts = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
    return f"{len(failed)} of {len(paths)} tracks cannot be used ({counts}); see {path}"
