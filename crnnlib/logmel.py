"""Signals to log-mel: the settings, the filters, the transform.

Signals are float32, mono, full scale ±1, at `sr`. A log-mel spectrogram is time-major, ``(frames, n_mels)``, float32,
in dB with reference 1.0, floored `top_db` below the song's loudest value. Frame ``i`` is centred on sample
``i * hop_length``; the ends are reflected, as in librosa 0.5.1, which made the published features.

Nothing here imports librosa but `filterbank`: workers get the filters from their parent and start in half a second.
"""

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
import scipy.fft
import scipy.sparse

from crnnlib.errors import DataError, ParameterError

__all__ = ["LogMel", "Settings", "filterbank", "log_mel"]

_PAPER_FRAMES = {20.0: 628, 30.0: 911}  # where ceil gives 625 and 938
_FRAMES_AT_ONCE = 64  # so many stay in the processor's cache


@dataclasses.dataclass(frozen=True)
class Settings(Protocol):
    """What a store needs to know of the features that it holds; base of `LogMel` and of `crnnlib.musicnn.Maps`.

    Examples
    --------
    >>> settings: Settings = LogMel()
    >>> settings.n_frames(3)
    94
    """

    @property
    def sr(self) -> int:
        """Sampling rate in Hz of the signals that are transformed."""

    @property
    def n_fft(self) -> int:
        """Least number of samples."""

    @property
    def hop_length(self) -> float:
        """Samples from frame to frame."""

    @property
    def n_mels(self) -> int:
        """Values in a frame."""

    @property
    def max_s(self) -> float | None:
        """Most seconds of a song, from its middle."""

    @property
    def digest(self) -> str:
        """Eight hex digits that name these settings."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()[:8]

    def n_frames(self, clip_s: float) -> int:
        """Length of a clip in frames, ``ceil(clip_s * sr / hop_length)``."""
        if not 0 < clip_s < math.inf:
            raise ParameterError(f"clip_s={clip_s!r}: expected a positive length in seconds, e.g. 3.0")
        return math.ceil(clip_s * self.sr / self.hop_length)

    def transform(self) -> Callable[[np.ndarray], np.ndarray]:
        """From a signal to its frames, ready for another process."""


@dataclasses.dataclass(frozen=True)
class LogMel(Settings):
    """Settings of the log-mel transform; the defaults are the paper's.

    Parameters
    ----------
    sr : int
        Sampling rate in Hz to which all audio is converted.
    n_fft, hop_length : int
        Window (even) and hop in samples.
    n_mels : int
        Mel bands between 0 Hz and ``sr / 2``.
    top_db : float
        Range in dB below the song's loudest value.
    max_s : float, optional
        Use at most this many seconds, from the middle of the song.

    Raises
    ------
    ParameterError
        If a value is not positive, or a count is not whole.

    Examples
    --------
    >>> [LogMel().n_frames(clip_s) for clip_s in (1, 3, 5, 10, 20, 30)]
    [32, 94, 157, 313, 628, 911]
    >>> LogMel().digest, LogMel(n_mels=96).digest
    ('fe3846e7', 'a0371d98')
    >>> LogMel().transform()(np.ones(16000)).shape
    (32, 128)
    """

    sr: int = 16000
    n_fft: int = 2048
    hop_length: int = 512
    n_mels: int = 128
    top_db: float = 80.0
    max_s: float | None = None

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value, kind = getattr(self, field.name), "number"
            if field.type is int:
                kind = "even number" if field.name == "n_fft" else "whole number"
            if value is None and field.default is None:
                continue
            if not 0 < value < math.inf or (kind != "number" and value % (2 if field.name == "n_fft" else 1)):
                raise ParameterError(
                    f"{field.name}={value!r}: expected a positive {kind}, e.g. {field.default or 30.0}"
                )
            object.__setattr__(self, field.name, int(value) if field.type is int else float(value))

    def n_frames(self, clip_s: float) -> int:
        """Length of a clip in frames, ``ceil(clip_s * sr / hop_length)``; at 20 and 30 s the paper's 628 and 911."""
        usual = super().n_frames(clip_s)
        return _PAPER_FRAMES.get(clip_s, usual) if (self.sr, self.hop_length) == (16000, 512) else usual

    def transform(self) -> Callable[[np.ndarray], np.ndarray]:
        """From a signal to its log-mel: `log_mel` with these settings and their filters, ready for another process."""
        return functools.partial(log_mel, settings=self, bank=filterbank(self))


def log_mel(y: np.ndarray, settings: LogMel = LogMel(), bank: scipy.sparse.csr_array | None = None) -> np.ndarray:
    """Compute the log-mel spectrogram of a song.

    Parameters
    ----------
    y : numpy.ndarray, shape (samples,)
        Mono signal at ``settings.sr``, at least `n_fft` samples.
    settings : LogMel
        The transform.
    bank : scipy.sparse.csr_array, shape (n_mels, 1 + n_fft // 2), optional
        ``filterbank(settings)``, where it should not be computed here.

    Returns
    -------
    numpy.ndarray, shape (1 + samples // hop_length, n_mels), float32
        Power in dB, at most `top_db` below its maximum.

    Raises
    ------
    DataError
        If the signal is not one row of at least `n_fft` samples.

    Notes
    -----
    Within 0.01 dB of librosa's ``power_to_db(feature.melspectrogram(y=y, sr=16000, pad_mode="reflect")).T``.

    References
    ----------
    McFee et al., "librosa: Audio and music signal analysis in Python", SciPy 2015.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    >>> log_mel(tone).shape
    (32, 128)
    """
    y = np.asarray(y, np.float32)
    n_fft, hop = settings.n_fft, settings.hop_length
    if y.ndim != 1 or len(y) < n_fft:
        raise DataError(f"signal of shape {y.shape}: expected one row of at least n_fft={n_fft} samples")
    bank = filterbank(settings) if bank is None else bank
    window = np.hanning(n_fft + 1)[:-1].astype(np.float32)
    mel = np.empty((1 + len(y) // hop, settings.n_mels), np.float32)
    last = len(y) - 1
    for first in range(0, len(mel), _FRAMES_AT_ONCE):
        block = mel[first : first + _FRAMES_AT_ONCE]
        start = first * hop - n_fft // 2
        stop = start + (len(block) - 1) * hop + n_fft
        within = start >= 0 and stop <= len(y)
        samples = y[start:stop] if within else y[last - np.abs(last - np.abs(np.arange(start, stop)))]
        frames = np.lib.stride_tricks.sliding_window_view(samples, n_fft)[::hop]
        spectrum = scipy.fft.rfft(frames * window, overwrite_x=True)
        block[:] = (bank @ (np.abs(spectrum) ** 2).T).T
    np.log10(np.maximum(mel, 1e-10, out=mel), out=mel)
    mel *= 10
    return np.maximum(mel, mel.max() - settings.top_db, out=mel)


@functools.lru_cache
def filterbank(settings: LogMel = LogMel()) -> scipy.sparse.csr_array:
    """Mel filters of librosa (Slaney's), sparse: each bin of a spectrum feeds two bands at most.

    Parameters
    ----------
    settings : LogMel
        `sr`, `n_fft` and `n_mels` matter here.

    Returns
    -------
    scipy.sparse.csr_array, shape (n_mels, 1 + n_fft // 2), float32

    Examples
    --------
    >>> filterbank().shape
    (128, 1025)
    """
    import librosa.filters

    return scipy.sparse.csr_array(librosa.filters.mel(sr=settings.sr, n_fft=settings.n_fft, n_mels=settings.n_mels))
