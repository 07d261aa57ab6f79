"""Log-mel back to sound, to hear what a picture keeps. For listening only: nothing is learnt from it.

Conventions as in `crnnlib.logmel`: pictures are time-major ``(frames, n_mels)`` in dB, sound is mono float32 at `sr`.
See chapter 2.
"""

import numpy as np

from crnnlib.errors import DataError
from crnnlib.logmel import LogMel, filterbank

__all__ = ["log_mel_to_audio"]

_UPDATES = 30
_TINY = 1e-12


def log_mel_to_audio(mel: np.ndarray, settings: LogMel = LogMel(), rounds: int = 32, seed: int = 0) -> np.ndarray:
    """Find a sound whose log-mel spectrogram is nearly the one given.

    Bands become frequencies by multiplicative updates, which stay positive and weigh quiet bands like loud ones (Lee &
    Seung); a phase is then found by Griffin and Lim's algorithm.

    Parameters
    ----------
    mel : numpy.ndarray, shape (frames, n_mels)
        Levels in dB, as from `log_mel`.
    settings : LogMel
        With which it was made.
    rounds : int
        Iterations of the search for a phase.
    seed : int
        Of the phase it starts from.

    Returns
    -------
    numpy.ndarray, shape ((frames - 1) * hop_length,), float32
        The sound, at ``settings.sr``.

    Raises
    ------
    DataError
        If the picture has fewer than two frames, or another number of bands than the settings say.

    Notes
    -----
    ``librosa.feature.inverse.mel_to_audio`` solves for the frequencies by least squares. That comes within
    1 dB of the picture and takes fifty times as long as this, which comes within 0.02 dB; for five seconds with a
    window of 8,192 samples it asks for 40 GB.

    References
    ----------
    - Griffin & Lim, "Signal estimation from modified short-time Fourier transform", IEEE Trans. ASSP 1984.
    - Lee & Seung, "Algorithms for non-negative matrix factorization", NIPS 2000.

    Examples
    --------
    >>> log_mel_to_audio(np.full((32, 128), -40.0), rounds=1).shape
    (15872,)
    """
    import librosa

    mel = np.asarray(mel, np.float32)
    if mel.ndim != 2 or len(mel) < 2 or mel.shape[1] != settings.n_mels:
        raise DataError(f"picture of shape {mel.shape}: expected (frames, {settings.n_mels}), two frames or more")
    bank, wanted = filterbank(settings), librosa.db_to_power(mel.T)
    weight = np.maximum(bank.sum(0), _TINY)[:, None]
    power = bank.T @ wanted + _TINY
    for _ in range(_UPDATES):
        power *= (bank.T @ (wanted / np.maximum(bank @ power, _TINY))) / weight
    n_fft, hop = settings.n_fft, settings.hop_length
    return librosa.griffinlim(
        np.sqrt(power), n_fft=n_fft, hop_length=hop, n_iter=rounds, random_state=seed, dtype=np.float32
    )
