"""Audio to a log-mel store: decode, transform, keep.

Signals are float32, mono, at `sr`, full scale ±1. A log-mel spectrogram is time-major, ``(frames, n_mels)``, in dB with
reference 1.0 and a floor `top_db` below the song's loudest value; float32 when computed, float16 when stored. Frame
``i`` is centred on sample ``i * hop_length``; the ends are reflected, as in librosa 0.5.1, which made the published
features.

A store is a folder with one ``.npy`` per track. A file is whole or absent, so a killed extraction goes on where it
stopped, and two may run at once.
"""

import contextlib
import csv
import dataclasses
import functools
import hashlib
import json
import math
import os
import re
import warnings
from pathlib import Path

import joblib
import numpy as np
import scipy.fft
import soundfile
from tqdm.auto import tqdm

from crnnlib import files
from crnnlib.errors import DataError, ParameterError

__all__ = ["LogMel", "Store", "extract", "load_audio", "log_mel"]

_PAPER_FRAMES = {20.0: 628, 30.0: 911}  # what the paper calls 20 s and 30 s, where ceil gives 625 and 938
_SILENCE = 1e-4
_BLOCK = 128  # frames at a time, so that a block stays in cache


@dataclasses.dataclass(frozen=True)
class LogMel:
    """Settings of the log-mel transform; the defaults are the paper's.

    Parameters
    ----------
    sr : int
        Sampling rate in Hz to which all audio is converted.
    n_fft, hop_length : int
        Window and hop in samples.
    n_mels : int
        Mel bands between 0 Hz and ``sr / 2``.
    top_db : float
        Range in dB below the song's loudest value.
    max_s : float, optional
        Use at most this many seconds, from the middle of the song.

    Raises
    ------
    ParameterError
        If a value is not positive.

    Examples
    --------
    >>> [LogMel().n_frames(clip_s) for clip_s in (1, 3, 5, 10, 20, 30)]
    [32, 94, 157, 313, 628, 911]
    """

    sr: int = 16000
    n_fft: int = 2048
    hop_length: int = 512
    n_mels: int = 128
    top_db: float = 80.0
    max_s: float | None = None

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            if value is None and name == "max_s":
                continue
            whole = name not in ("top_db", "max_s")
            if not (math.isfinite(value) and value > 0) or (whole and value != int(value)):
                kind = "whole number" if whole else "number"
                raise ParameterError(f"{name}={value!r}: expected a positive {kind}, e.g. LogMel().{name}")

    def n_frames(self, clip_s: float) -> int:
        """Length of a clip in frames: ``ceil(clip_s * sr / hop_length)``, save the paper's 628 for 20 and 911 for 30 s."""
        if not (math.isfinite(clip_s) and clip_s > 0):
            raise ParameterError(f"clip_s={clip_s!r}: expected a positive length in seconds, e.g. 3.0")
        if (self.sr, self.hop_length) == (16000, 512) and clip_s in _PAPER_FRAMES:
            return _PAPER_FRAMES[clip_s]
        return math.ceil(clip_s * self.sr / self.hop_length)

    @property
    def digest(self) -> str:
        """Eight hex digits that name these settings."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()[:8]


def load_audio(path: str | Path, settings: LogMel = LogMel()) -> np.ndarray:
    """Decode a file to mono at the settings' sampling rate.

    Parameters
    ----------
    path : str or pathlib.Path
        Anything that soundfile reads: wav, flac, ogg, mp3, ...
    settings : LogMel
        `sr`, `n_fft` (the least length) and `max_s` matter here.

    Returns
    -------
    numpy.ndarray, shape (samples,), float32
        Full scale is ±1.

    Raises
    ------
    DataError
        If the file is missing, unreadable, damaged, silent, shorter than `n_fft` samples, or holds values that are
        not finite.

    Examples
    --------
    >>> load_audio("/nowhere/song.mp3")
    Traceback (most recent call last):
        ...
    crnnlib.errors.DataError: /nowhere/song.mp3: missing
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: {'not a regular file' if path.exists() else 'missing'}")
    try:
        with path.open("rb"), soundfile.SoundFile(os.fsencode(path)) as song:
            sr, length = song.samplerate, song.frames
            if settings.max_s is not None and length > settings.max_s * sr:
                wanted = round(settings.max_s * sr)
                song.seek((length - wanted) // 2)
                length = wanted
            y = song.read(length, dtype="float32", always_2d=True)
    except OSError as error:
        raise DataError(f"{path}: unreadable ({error.strerror})") from error
    except (soundfile.SoundFileError, ValueError, TypeError, MemoryError) as error:
        raise DataError(f"{path}: no audio that can be decoded ({error})") from error
    y = y[:, 0] if y.shape[1] == 1 else y.mean(axis=1)
    if sr != settings.sr:
        import soxr

        n_samples = math.ceil(len(y) * settings.sr / sr)
        y = soxr.resample(y, sr, settings.sr, quality="HQ")[:n_samples]
    if len(y) < settings.n_fft:
        raise DataError(f"{path}: too short ({len(y)} samples at {settings.sr} Hz, expected at least {settings.n_fft})")
    peak = float(np.abs(y).max())
    if not peak < 1e9:
        raise DataError(f"{path}: samples that are not finite (peak {peak})")
    if peak < _SILENCE:
        raise DataError(f"{path}: silent (peak {peak:.1e}, expected at least {_SILENCE})")
    return np.ascontiguousarray(y)


def log_mel(y: np.ndarray, settings: LogMel = LogMel()) -> np.ndarray:
    """Compute the log-mel spectrogram of a song.

    Parameters
    ----------
    y : numpy.ndarray, shape (samples,)
        Mono signal at ``settings.sr``, at least `n_fft` samples.
    settings : LogMel
        The transform.

    Returns
    -------
    numpy.ndarray, shape (1 + samples // hop_length, n_mels), float32
        Power in dB, at most `top_db` below its maximum.

    Raises
    ------
    DataError
        If the signal is shorter than `n_fft` samples.

    Notes
    -----
    Equal within 0.01 dB to ``librosa.power_to_db(librosa.feature.melspectrogram(..., pad_mode="reflect"), top_db=80)``.

    References
    ----------
    McFee et al., "librosa: Audio and Music Signal Analysis in Python", SciPy 2015.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    >>> log_mel(tone).shape
    (32, 128)
    """
    return _log_mel(y, settings, _filters(settings))


@functools.lru_cache
def _filters(settings: LogMel) -> np.ndarray:
    import librosa.filters  # takes a second: once here, and never in a worker

    return librosa.filters.mel(sr=settings.sr, n_fft=settings.n_fft, n_mels=settings.n_mels)


def _log_mel(y: np.ndarray, settings: LogMel, filters: np.ndarray) -> np.ndarray:
    n_fft, hop = settings.n_fft, settings.hop_length
    if len(y) < n_fft:
        raise DataError(f"signal of {len(y)} samples: expected at least n_fft={n_fft}")
    padded = np.pad(np.asarray(y, np.float32), n_fft // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)
    mel = np.empty((len(frames), settings.n_mels), np.float32)
    for start in range(0, len(frames), _BLOCK):
        spectrum = scipy.fft.rfft(frames[start : start + _BLOCK] * window, overwrite_x=True)
        power = spectrum.real**2 + spectrum.imag**2
        np.matmul(power, filters.T, out=mel[start : start + _BLOCK])
    decibels = np.multiply(np.log10(np.maximum(mel, 1e-10, out=mel), out=mel), 10, out=mel)
    return np.maximum(decibels, decibels.max() - settings.top_db, out=decibels)


@dataclasses.dataclass(frozen=True)
class Store:
    """Log-mel spectrograms on disk, opened on use.

    Parameters
    ----------
    folder : pathlib.Path
        Holds one ``.npy`` per track, and ``failures.csv`` where tracks failed.
    settings : LogMel
        How they were made.
    corpus : str
        The corpus' short name.
    track_ids : tuple of str
        The tracks present, sorted.

    Examples
    --------
    >>> Store(Path("/nowhere"), LogMel(), "demo", ())["a/b/c"]
    Traceback (most recent call last):
        ...
    crnnlib.errors.DataError: a/b/c: not in the store /nowhere; run features.extract
    """

    folder: Path
    settings: LogMel
    corpus: str
    track_ids: tuple[str, ...]

    def __getitem__(self, track_id: str) -> np.ndarray:
        """Memory map of a track, shape (frames, n_mels), float16, dB; read-only."""
        try:
            return np.load(self.folder / _file_name(track_id), mmap_mode="r", allow_pickle=False)
        except (FileNotFoundError, ValueError, EOFError) as error:
            raise DataError(f"{track_id}: not in the store {self.folder}; run features.extract") from error

    def n_frames(self, track_id: str) -> int:
        """Length of a track in frames."""
        return len(self[track_id])

    def digest(self, track_id: str) -> str:
        """SHA-256 of a track's stored values, in hex; computed once, then kept in ``index.json``."""
        return self._digests((track_id,))[0]

    def duplicates(self) -> list[list[str]]:
        """Tracks with equal content: a list of sorted track ids for each content that occurs more than once."""
        groups = {}
        for track_id, digest in zip(self.track_ids, self._digests(self.track_ids), strict=True):
            groups.setdefault(digest, []).append(track_id)
        return [sorted(group) for group in groups.values() if len(group) > 1]

    def _digests(self, track_ids) -> list[str]:
        index = {}
        with contextlib.suppress(FileNotFoundError, ValueError):
            index = json.loads((self.folder / "index.json").read_text("utf-8"))
        known, result = dict(index), []
        for track_id in track_ids:
            name, values = _file_name(track_id), self[track_id]
            status = (self.folder / name).stat()
            if index.get(name, [])[:2] != [status.st_mtime_ns, status.st_size]:
                digest = hashlib.sha256(np.ascontiguousarray(values)).hexdigest()
                index[name] = [status.st_mtime_ns, status.st_size, digest]
            result.append(index[name][2])
        if index != known:
            with files.atomic(self.folder / "index.json") as temporary:
                temporary.write_text(json.dumps(index, indent=0, sort_keys=True), "utf-8")
        return result


def extract(tracks, settings: LogMel = LogMel(), n_jobs=None, strict=False, progress=True) -> Store:
    """Bring a corpus' log-mel store up to date and open it.

    Parameters
    ----------
    tracks : pandas.DataFrame
        Track table.
    settings : LogMel
        The transform.
    n_jobs : int, optional
        Processes; by default one per core, or what ``joblib.parallel_config`` says.
    strict : bool
        Raise at the first track that fails; otherwise list failures in ``failures.csv`` and warn once.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Store
        Of all tracks that succeeded.

    Raises
    ------
    DataError
        If all tracks fail, or with `strict` if any does.

    Examples
    --------
    >>> from crnnlib import corpora                              # doctest: +SKIP
    >>> store = extract(corpora.load("demo"))                    # doctest: +SKIP
    """
    from crnnlib.corpora import table

    table.validate(tracks)
    corpus = tracks.attrs["corpus"]
    folder = files.home() / "features" / f"{corpus}-{settings.digest}"
    folder.mkdir(parents=True, exist_ok=True)
    files.sweep(folder)
    paths = tracks["path"].to_dict()
    pending = [i for i in paths if _stale(Path(paths[i]), folder / _file_name(i))]
    failed = {}
    if pending:
        filters = _filters(settings)
        if n_jobs is None and joblib.parallel.get_active_backend()[1] == 1:
            n_jobs = min(joblib.cpu_count(), math.ceil(len(pending) / 4))
        parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")
        jobs = (joblib.delayed(_extract_one)(i, paths[i], folder / _file_name(i), settings, filters) for i in pending)
        with tqdm(total=len(pending), desc="log-mel", unit="track", disable=not progress) as bar:
            for track_id, reason in parallel(jobs):
                if reason and strict:
                    raise DataError(reason)
                if reason:
                    failed[track_id] = reason
                bar.update()
    files.sweep(folder)
    _record_failures(folder, paths, failed)
    if len(failed) == len(paths):
        raise DataError(f"{corpus}: none of {len(paths)} tracks could be read; see {folder / 'failures.csv'}")
    if failed:
        warnings.warn(
            f"{corpus}: {len(failed)} of {len(paths)} tracks failed; see {folder / 'failures.csv'}", stacklevel=2
        )
    return Store(folder, settings, corpus, tuple(sorted(paths.keys() - failed.keys())))


def _file_name(track_id: str) -> str:
    readable = re.sub(r"[^A-Za-z0-9.]+", "_", track_id).strip("_.")[:80]
    return f"{readable}-{hashlib.sha256(track_id.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.npy"


def _stale(source: Path, target: Path) -> bool:
    try:
        return source.stat().st_mtime_ns > target.stat().st_mtime_ns
    except OSError:
        return True


def _extract_one(track_id, path, target, settings, filters) -> tuple[str, str]:
    try:
        values = _log_mel(load_audio(path, settings), settings, filters)
    except DataError as error:
        target.unlink(missing_ok=True)
        return track_id, str(error)
    with files.atomic(target) as temporary:
        np.save(temporary, values.astype(np.float16), allow_pickle=False)
    return track_id, ""


def _record_failures(folder: Path, paths: dict, failed: dict) -> None:
    target = folder / "failures.csv"
    rows = [(i, paths[i], failed[i]) for i in sorted(failed)]
    if not rows:
        target.unlink(missing_ok=True)
        return
    with (
        files.atomic(target) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as out,
    ):
        csv.writer(out).writerows([("track_id", "path", "reason"), *rows])
