"""Audio files to signals: decode, mix down, convert the sampling rate, and refuse what is no song.

Signals are float32, mono, full scale ±1, at the settings' `sr`.
"""

import math
import os
from pathlib import Path

import numpy as np
import soundfile
import soxr

from crnnlib.errors import DataError
from crnnlib.logmel import LogMel, Settings

__all__ = ["load_audio", "named", "skipped"]

_SILENCE = 1e-4  # -80 dB of full scale: three steps of 16 bits
_RATES = (1000, 768000)
_SAMPLES_AT_ONCE = 65536  # so many stay in the processor's cache
_OGG_PAGE = 65307
_UNKNOWN = 2**62  # what libsndfile gives for a flac that was written to a pipe is larger


def load_audio(path: str | Path, settings: Settings = LogMel()) -> np.ndarray:
    """Decode a file to mono at the settings' sampling rate.

    Parameters
    ----------
    path : str or pathlib.Path
        Anything that libsndfile decodes: wav, flac, ogg, mp3, ...
    settings : LogMel
        `sr`, `n_fft` (the least length) and `max_s` matter here; what `max_s` leaves out is not decoded.

    Returns
    -------
    numpy.ndarray, shape (samples,), float32
        The channels' mean, converted as ``librosa.load(path, sr=settings.sr)`` does.

    Raises
    ------
    DataError
        If the file is missing, unreadable, no audio, corrupt, cut short (an mp3 by more than a second, or a tenth
        of what is wanted of it; flac, ogg, wav and aiff at all), silent (peak below 1e-4), shorter than `n_fft`
        samples, or not finite.

    Examples
    --------
    >>> load_audio("/nowhere/song.mp3")
    Traceback (most recent call last):
        ...
    crnnlib.errors.DataError: /nowhere/song.mp3: missing
    """
    try:
        return _read(Path(path), settings)
    except DataError as reason:
        raise DataError(f"{path}: {reason}") from None
    except OSError as error:
        raise DataError(f"{path}: unreadable ({error.strerror})") from error
    except (soundfile.SoundFileError, TypeError) as error:  # a name that ends in .raw is a TypeError
        words = getattr(error, "error_string", str(error))
        words = "no frame of mpeg audio" if "does not exist" in words else words.strip(" .")
        raise DataError(f"{path}: corrupt or no audio ({words})") from error


def skipped(path: str | Path, settings: Settings = LogMel()) -> float:
    """Tell where in a file `load_audio` begins: half of what `max_s` leaves out lies before.

    Parameters
    ----------
    path : str or pathlib.Path
        Anything that `load_audio` reads.
    settings : LogMel
        `max_s` matters here.

    Returns
    -------
    float
        Seconds; 0 without `max_s`.

    Raises
    ------
    DataError
        If the file cannot be read.

    Examples
    --------
    >>> song = tracks["path"].iloc[0]
    >>> skipped(song), skipped(song, LogMel(max_s=2))
    (0.0, 1.0)
    """
    if settings.max_s is None:
        return 0.0
    try:
        about = soundfile.info(named(path))
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    whole = about.duration
    if about.frames >= _UNKNOWN:
        whole = len(load_audio(path, LogMel(sr=settings.sr))) / settings.sr
    return max(0.0, (whole - settings.max_s) / 2)


def named(path: str | Path) -> str | bytes:
    """Name a file as `soundfile` takes it, also where the name is no valid text.

    Parameters
    ----------
    path : str or pathlib.Path
        Of the file.

    Returns
    -------
    bytes or str
        Bytes on POSIX, where names are bytes.

    Examples
    --------
    >>> named("song.mp3") == (b"song.mp3" if os.name == "posix" else "song.mp3")
    True
    """
    return os.fsencode(path) if os.name == "posix" else str(path)


def _read(path: Path, settings: Settings) -> np.ndarray:
    """Do the work of `load_audio`; a `DataError` from here gives the reason alone."""
    if not path.is_file():  # before it is opened: a named pipe would wait for ever
        raise DataError("not a regular file" if path.exists() else "missing")
    if _cut_short(path):
        raise DataError("cut short (the file ends before what its header or last page announces)")
    with soundfile.SoundFile(named(path)) as song:
        y = _decode(song, settings)
    if len(y) < settings.n_fft:
        raise DataError(f"too short ({len(y)} samples at {settings.sr} Hz, expected {settings.n_fft} or more)")
    peak = float(max(y.max(), -y.min()))
    if not peak < 1e9:
        raise DataError(f"not finite (peak {peak})")
    if peak < _SILENCE:
        raise DataError(f"silent (peak {peak:.1e}, expected {_SILENCE} or more)")
    return y


def _decode(song: soundfile.SoundFile, settings: Settings) -> np.ndarray:
    sr, wanted = song.samplerate, song.frames
    if not _RATES[0] <= sr <= _RATES[1]:
        raise DataError(f"corrupt or no audio (sampling rate {sr} Hz, expected {_RATES[0]} to {_RATES[1]})")
    most = math.inf if settings.max_s is None else round(settings.max_s * sr)
    if most < wanted < _UNKNOWN:
        song.seek((wanted - most) // 2)
        wanted = most
    # soundfile would seek after every block if it could, and an mp3 decoder then begins anew, loudly
    song.seekable = lambda: False
    convert = soxr.ResampleStream(sr, settings.sr, 1, quality="HQ").resample_chunk if sr != settings.sr else None
    buffer = np.empty((_SAMPLES_AT_ONCE, song.channels), np.float32)
    blocks, n = [np.empty(0, np.float32)], 0
    while n < wanted and len(block := song.read(out=buffer[: wanted - n])):
        n += len(block)
        mono = sum(block.T) / song.channels
        blocks.append(convert(mono) if convert else mono)
    if wanted < _UNKNOWN and wanted - n > min(sr, wanted / 10):
        raise DataError(f"cut short ({n / sr:.1f} s of {wanted / sr:.1f} s)")
    if not convert:
        y = np.concatenate(blocks)
    else:
        y = np.concatenate([*blocks, convert(blocks[0], last=True)])
        y = np.pad(y, (0, 1))[: math.ceil(n * settings.sr / sr)]  # librosa's length
    if wanted >= _UNKNOWN and settings.max_s is not None:
        most = round(settings.max_s * settings.sr)
        y = y[max(0, (len(y) - most) // 2) :][:most]
    return y


def _cut_short(path: Path) -> bool:
    """Tell whether a container announces more than the file holds; the decoder ends such files without a word."""
    with path.open("rb") as raw:
        head, size = raw.read(8), raw.seek(0, os.SEEK_END)
        if head[:4] in (b"RIFF", b"FORM"):
            announced = int.from_bytes(head[4:], "little" if head[:4] == b"RIFF" else "big") + 8
            return size + 1 < announced < 2**31 - 2**16  # what is written to a pipe announces the most there can be
        if head[:4] == b"OggS":
            raw.seek(max(0, size - _OGG_PAGE))
            tail = raw.read()
            page = tail[max(0, tail.rfind(b"OggS")) :]
            n_segments = sum(page[26:27])
            is_last = sum(page[5:6]) & 4
            return not is_last or len(page) < 27 + n_segments + sum(page[27 : 27 + n_segments])
    return False
