"""Studios for the demo corpus: what a production does to every mix that leaves it.

Signals are one-dimensional float64 arrays at `SR` hertz, mono, full scale ±1.
"""

import dataclasses

import numpy as np
from scipy.signal import lfilter

from crnnlib.corpora.synth import SR

__all__ = ["NEUTRAL", "Studio", "produce"]


@dataclasses.dataclass(frozen=True)
class Studio:
    """What a studio is and does, in decibels, hertz, seconds and milliseconds.

    Parameters
    ----------
    tilt_db : float
        Slope of the equaliser per octave, around 800 Hz.
    bump_db, bump_hz : float
        Height and place of its one wide bell.
    low_hz, high_hz : float
        Where the band ends.
    reverb_s, wet_db : float
        Reverberation time and level of the room.
    comb_db, comb_ms : float
        Level and delay of one copy: a stereo recording folded down.
    drive_db : float
        Gain into saturation.
    squeeze : float
        Compression: 0 leaves dynamics alone, 1 evens them out.
    hiss_db, hum_db : float
        Level of noise and of 50 Hz hum, relative to full scale at a loudness of -20.
    loudness_db : float
        Root mean square of the finished song, relative to full scale.
    drums_db, bass_db, lead_db : float
        Balance of the mix.
    tuning : float
        Of the drums, in semitones.

    Examples
    --------
    >>> NEUTRAL.towards(Studio(tilt_db=-4.0), 0.5).tilt_db
    -2.0
    """

    tilt_db: float = 0.0
    bump_db: float = 0.0
    bump_hz: float = 1000.0
    low_hz: float = 35.0
    high_hz: float = 7400.0
    reverb_s: float = 0.4
    wet_db: float = -18.0
    comb_db: float = -60.0
    comb_ms: float = 5.0
    drive_db: float = 0.0
    squeeze: float = 0.2
    hiss_db: float = -85.0
    hum_db: float = -95.0
    loudness_db: float = -22.0
    drums_db: float = 0.0
    bass_db: float = 0.0
    lead_db: float = 0.0
    tuning: float = 0.0

    def towards(self, other: "Studio", share: float) -> "Studio":
        """Blend two studios: `share` 0 is this one, 1 is `other`; frequencies and times move in ratios."""
        mixed = {}
        for field in dataclasses.fields(self):
            a, b = getattr(self, field.name), getattr(other, field.name)
            ratio = field.name.endswith(("_hz", "_s", "_ms"))
            mixed[field.name] = a * (b / a) ** share if ratio else a + share * (b - a)
        return Studio(**mixed)


NEUTRAL = Studio()


def produce(mix: np.ndarray, studio: Studio, seed: int = 0) -> np.ndarray:
    """Master a mix: saturate, equalise, add room, compress, add noise, set the loudness.

    Parameters
    ----------
    mix : numpy.ndarray
        Mono signal of any level.
    studio : Studio
        The album's production.
    seed : int
        Draws the room and the noise; songs of one album share it.

    Returns
    -------
    numpy.ndarray
        As long as `mix`, within -6 dB of full scale (coarse coding overshoots by up to 6), without offset.

    Examples
    --------
    >>> y = produce(np.sin(np.arange(SR) / 20), NEUTRAL)
    >>> y.size == SR and float(abs(y).max()) < 0.46
    True
    """
    rng = np.random.default_rng(seed)
    y = mix / (np.sqrt(np.mean(mix**2)) * 4 + 1e-9)
    drive = 10 ** (studio.drive_db / 20)
    y = np.tanh(drive * y) / np.tanh(drive)
    y = _room_and_tone(y, studio, rng)
    y /= np.sqrt(np.mean(y**2)) + 1e-9
    hop = 160
    level = np.sqrt(lfilter([0.06], [1, -0.94], np.pad(y**2, (0, -y.size % hop)).reshape(-1, hop).mean(1)) + 0.02)
    gain = level ** -np.clip(studio.squeeze, 0, 0.9)
    y *= np.interp(np.arange(y.size), np.arange(gain.size) * hop, gain)
    y /= np.sqrt(np.mean(y**2)) + 1e-9
    time = np.arange(y.size) / SR
    y += 10 ** ((studio.hiss_db + 20) / 20) * lfilter([1, -0.3], [1, -0.7], rng.standard_normal(y.size))
    for k, level in enumerate((1.0, 0.6, 0.4, 0.3, 0.15)):
        y += 10 ** ((studio.hum_db + 20) / 20) * level * np.sin(2 * np.pi * 50 * (k + 1) * time)
    y *= 10 ** (np.clip(studio.loudness_db, -34, -14) / 20)
    knee, room = 0.27, 0.18
    over = np.abs(y) > knee
    y[over] = np.sign(y[over]) * (knee + room * np.tanh((np.abs(y[over]) - knee) / room))
    return y - y.mean()


def _room_and_tone(y, studio, rng):
    """Equaliser, doubling and reverberation in one pass through the frequency domain."""
    n = 1 << int(np.ceil(np.log2(y.size + 3 * SR)))
    f = np.fft.rfftfreq(n, 1 / SR)
    octave = np.log2(np.maximum(f, 10) / 800)
    tone = np.clip(studio.tilt_db * octave, -24, 24)
    tone += studio.bump_db * np.exp(-((np.log2(np.maximum(f, 10) / studio.bump_hz) / 0.6) ** 2))
    tone -= 10 * np.log10(1 + (studio.low_hz / np.maximum(f, 10)) ** 6)
    tone -= 10 * np.log10(1 + (f / np.minimum(studio.high_hz, 7800)) ** 8)
    t = np.arange(min(int(1.2 * studio.reverb_s * SR), 3 * SR)) / SR
    tail = lfilter([0.5, 0.2], [1, -0.3], rng.standard_normal(t.size)) * 10 ** (-3 * t / studio.reverb_s)
    tail[: SR // 80] = 0.0
    tail *= 10 ** (studio.wet_db / 20) / np.sqrt(np.sum(tail**2))
    path = 1 + np.fft.rfft(tail, n)
    path += 10 ** (studio.comb_db / 20) * np.exp(-2j * np.pi * f * studio.comb_ms / 1000)
    return np.fft.irfft(np.fft.rfft(y, n) * path * 10 ** (tone / 20), n)[: y.size]
