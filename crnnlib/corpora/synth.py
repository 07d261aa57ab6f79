"""Instruments for the demo corpus: a note, a stroke on a drum.

Signals are one-dimensional float64 arrays at `SR` hertz, mono. Pitches are MIDI numbers (69 = 440 Hz). Four families of
synthesis suffice: wavetables that darken as they ring, frequency modulation, plucked strings, struck bars.
"""

import dataclasses

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

__all__ = ["INSTRUMENTS", "SR", "drum", "note"]

SR = 16000
_TABLE = 4096

# Harmonic recipes of the wavetable instruments: amplitude of partial k at frequency f.
_SPECTRA = {
    "saw": lambda k, f: 1.0 / k,
    "square": lambda k, f: (k % 2) / k,
    "hollow": lambda k, f: np.where(k % 2, 1.0, 0.25) / k**0.8 / (1 + (f / 2200) ** 2),
    "flute": lambda k, f: np.array([1, 0.45, 0.18, 0.05, 0.02])[np.minimum(k, 5) - 1] * (k < 6),
    "organ": lambda k, f: np.array([1, 0.8, 0.55, 0.35, 0, 0.25, 0, 0.2])[np.minimum(k, 8) - 1] * (k < 9),
    "bowed": lambda k, f: (1 + 1.5 * np.exp(-(((f - 1200) / 500) ** 2))) / k**1.2,
    "ah": lambda k, f: _formants(f, [(720, 110, 1), (1150, 120, 0.6), (2700, 250, 0.25)]) / k**0.4,
    "oo": lambda k, f: _formants(f, [(380, 90, 1), (850, 110, 0.35), (2400, 250, 0.08)]) / k**0.4,
    "horn": lambda k, f: np.exp(-(((f - 650) / 900) ** 2)) / k**0.3,
}


def _formants(f, peaks):
    return 0.02 + sum(a / (1 + ((f - centre) / width) ** 2) for centre, width, a in peaks)


@dataclasses.dataclass(frozen=True)
class _Instrument:
    """How one instrument sounds; times in seconds, `dark` in hertz, of strings the damping, 0 to 1."""

    kind: str  # wave, fm, string or bar
    spectrum: str = "saw"
    attack: float = 0.01
    decay: float = 0.4
    sustain: float = 0.7
    release: float = 0.12
    dark: float = 1500.0
    detune: float = 0.0
    vibrato: float = 0.0
    breath: float = 0.0
    ratio: float = 1.0
    index: float = 2.0


INSTRUMENTS = {
    "guitar": _Instrument("string", decay=1.8, sustain=0.35, release=0.2, dark=0.5),
    "harp": _Instrument("string", decay=3.0, sustain=0.5, release=0.5, dark=0.15),
    "banjo": _Instrument("string", decay=0.6, sustain=0.1, release=0.1, dark=0.25),
    "upright": _Instrument("string", decay=1.2, sustain=0.4, release=0.1, dark=0.85),
    "voice": _Instrument("wave", "ah", 0.06, 0.5, 0.85, 0.15, 2500, 0.001, 0.012, 0.04),
    "choir": _Instrument("wave", "oo", 0.2, 0.5, 0.9, 0.4, 2500, 0.006, 0.006, 0.02),
    "clarinet": _Instrument("wave", "hollow", 0.04, 0.3, 0.85, 0.08, 1800, 0.0, 0.004, 0.015),
    "flute": _Instrument("wave", "flute", 0.06, 0.3, 0.85, 0.1, 3000, 0.0, 0.008, 0.06),
    "fiddle": _Instrument("wave", "bowed", 0.07, 0.3, 0.9, 0.12, 2600, 0.0, 0.009, 0.015),
    "strings": _Instrument("wave", "bowed", 0.25, 0.6, 0.9, 0.5, 2200, 0.005, 0.004),
    "accordion": _Instrument("wave", "hollow", 0.04, 0.3, 0.95, 0.06, 4000, 0.007, 0.0),
    "organ": _Instrument("wave", "organ", 0.01, 0.2, 0.95, 0.05, 4000, 0.0, 0.004),
    "horn": _Instrument("wave", "horn", 0.04, 0.25, 0.75, 0.09, 900, 0.0, 0.006, 0.01),
    "brass": _Instrument("wave", "saw", 0.03, 0.25, 0.75, 0.08, 1300, 0.002, 0.004),
    "synth": _Instrument("wave", "saw", 0.005, 0.25, 0.55, 0.12, 900, 0.004, 0.003),
    "chip": _Instrument("wave", "square", 0.003, 0.3, 0.6, 0.04, 5000, 0.0, 0.006),
    "sweep": _Instrument("wave", "saw", 0.35, 1.2, 0.6, 0.6, 500, 0.006, 0.0),
    "subbass": _Instrument("wave", "saw", 0.005, 0.25, 0.6, 0.06, 220, 0.0, 0.0),
    "squarebass": _Instrument("wave", "square", 0.004, 0.2, 0.6, 0.05, 500, 0.0, 0.0),
    "tuba": _Instrument("wave", "horn", 0.03, 0.2, 0.7, 0.08, 300, 0.0, 0.0),
    "epiano": _Instrument("fm", decay=1.1, sustain=0.15, release=0.2, ratio=1.0, index=1.6),
    "bell": _Instrument("fm", decay=1.6, sustain=0.05, release=0.8, ratio=3.51, index=1.8),
    "fmbass": _Instrument("fm", decay=0.5, sustain=0.4, release=0.08, ratio=1.0, index=2.2),
    "marimba": _Instrument("bar", decay=0.35, ratio=3.9, release=0.1),
    "vibes": _Instrument("bar", decay=1.6, ratio=4.0, vibrato=0.25, release=0.3),
    "musicbox": _Instrument("bar", decay=0.9, ratio=6.1, index=0.5, release=0.4),
}


def note(instrument: str, midi: float, seconds: float, seed: int = 0) -> np.ndarray:
    """One note, with its release after `seconds`.

    Parameters
    ----------
    instrument : str
        A name in `INSTRUMENTS`.
    midi : float
        Pitch; 69 is 440 Hz.
    seconds : float
        From attack to release.
    seed : int
        Draws breath noise and the pluck of strings.

    Returns
    -------
    numpy.ndarray
        Float64, root-mean-square 1 over its loudest tenth of a second.

    Examples
    --------
    >>> note("guitar", 60, 0.5).size == round((0.5 + 0.2) * SR)
    True
    """
    sound = INSTRUMENTS[instrument]
    rng = np.random.default_rng([seed, round(midi * 10)])
    n = round((seconds + sound.release) * SR)
    t = np.arange(n) / SR
    f0 = 440.0 * 2 ** ((midi - 69) / 12)
    y = {"wave": _wave, "fm": _fm, "string": _string, "bar": _bar}[sound.kind](sound, f0, t, rng)
    y *= np.minimum(1.0, (t + 0.5 / SR) / sound.attack)
    y *= np.clip((t[-1] - t) / sound.release, 0, 1) ** 1.5
    loudest = np.sqrt(np.convolve(y[::4] ** 2, np.full(400, 1 / 400), "same").max())
    return y / (loudest + 1e-9)


def _wave(s, f0, t, rng):
    """Two band-limited wavetables, bright fading into dark; several of them, detuned, make an ensemble."""
    k = np.arange(1, int(7400 / f0) + 1)
    amplitude = _SPECTRA[s.spectrum](k, k * f0)
    bright, dark = np.zeros((2, _TABLE // 2 + 1), complex)
    bright[k] = amplitude * np.exp(1j * rng.uniform(0, 2 * np.pi, k.size))
    dark[k] = bright[k] / (1 + (k * f0 / s.dark) ** 2)
    bright, dark = np.fft.irfft(bright), np.fft.irfft(dark)
    opening = s.sustain * 0.5 + (1 - s.sustain * 0.5) * np.exp(-t / s.decay)
    delayed = np.clip(t - 0.12, 0, 0.25) * 4
    lfo = s.vibrato * delayed * np.sin(2 * np.pi * rng.uniform(4.8, 5.8) * t)
    y = np.zeros_like(t)
    for detune in (-s.detune, s.detune) if s.detune else (0.0,):
        phase = np.cumsum(f0 * (1 + detune) * (1 + lfo)) / SR + rng.uniform()
        where = (phase * _TABLE).astype(np.int64) & (_TABLE - 1)
        y += dark[where] + opening * (bright[where] - dark[where])
    y *= s.sustain + (1 - s.sustain) * np.exp(-t / s.decay)
    if s.breath:
        y += s.breath * y.std() * lfilter([1, -0.6], [1, -0.4], rng.standard_normal(t.size))
    return y


def _fm(s, f0, t, rng):
    index = s.index * np.exp(-t / (0.5 * s.decay)) * min(1.0, 300 / f0) ** 0.5
    y = np.sin(2 * np.pi * f0 * t + index * np.sin(2 * np.pi * s.ratio * f0 * t))
    return y * (s.sustain + (1 - s.sustain) * np.exp(-t / s.decay))


def _string(s, f0, t, rng):
    """Karplus and Strong's plucked string; a fractional delay keeps it in tune."""
    blend = 0.25 + 0.25 * s.dark
    whole, part = divmod(SR / f0 - blend, 1)
    whole = int(whole)
    pluck = np.zeros(t.size)
    burst = lfilter([1 - s.dark], [1, -s.dark], rng.uniform(-1, 1, min(whole + 2, t.size)))
    pluck[: burst.size] = burst - burst.mean()
    loop = np.convolve([1 - part, part], [1 - blend, blend])
    feedback = np.zeros(whole + 4)
    feedback[0] = 1.0
    feedback[whole : whole + 3] = -loop * 0.001 ** (1 / (f0 * s.decay * 1.5))
    return lfilter([1.0], feedback, pluck)


def _bar(s, f0, t, rng):
    y = np.zeros_like(t)
    for ratio, level, decay in ((1, 1, 1), (s.ratio, 0.25 + 0.5 * (s.index == 0.5), 0.3), (s.ratio * 2.6, 0.1, 0.12)):
        if ratio * f0 < 7500:
            y += level * np.exp(-t / (s.decay * decay)) * np.sin(2 * np.pi * ratio * f0 * t)
    return y * (1 + s.vibrato * np.sin(2 * np.pi * 5.0 * t))


def drum(name: str, tuning: float = 0.0, seed: int = 0) -> np.ndarray:
    """One stroke on a drum.

    Parameters
    ----------
    name : str
        kick, snare, brush, rim, clap, hat, open, shaker, tamb, tom or crash.
    tuning : float
        Semitones; the drums of another kit.
    seed : int
        Draws the noise.

    Returns
    -------
    numpy.ndarray
        Float64, peak 1.

    Examples
    --------
    >>> float(abs(drum("kick")).max())
    1.0
    """
    # tone Hz, tone decay s, sweep, noise share, noise decay s, band of the noise Hz
    tone, ring, sweep, share, decay, low, high = {
        "kick": (52, 0.16, 2.2, 0.05, 0.01, 800, 4000),
        "snare": (190, 0.07, 0.4, 0.8, 0.12, 1200, 6500),
        "brush": (190, 0.03, 0.2, 0.95, 0.16, 1800, 6500),
        "rim": (820, 0.02, 0.1, 0.3, 0.015, 1500, 5000),
        "clap": (400, 0.01, 0.0, 1.0, 0.11, 900, 3000),
        "hat": (4100, 0.01, 0.0, 0.95, 0.035, 5000, 7600),
        "open": (4100, 0.02, 0.0, 0.95, 0.2, 4500, 7600),
        "shaker": (3000, 0.01, 0.0, 1.0, 0.05, 3500, 7000),
        "tamb": (5200, 0.08, 0.0, 0.8, 0.09, 4500, 7600),
        "tom": (105, 0.2, 0.6, 0.12, 0.04, 300, 2500),
        "crash": (3300, 0.1, 0.0, 0.97, 0.9, 2500, 7600),
    }[name]
    rng = np.random.default_rng([seed, round(tuning * 100) + 5000])
    factor = 2 ** (tuning / 12)
    t = np.arange(round(SR * 5 * max(ring, decay))) / SR
    frequency = tone * factor * (1 + sweep * np.exp(-t / 0.03))
    body = np.sin(2 * np.pi * np.cumsum(frequency) / SR) * np.exp(-t / ring)
    band = butter(2, [min(low * factor, 6000), min(high * factor, 7800)], "bandpass", fs=SR, output="sos")
    noise = sosfilt(band, rng.standard_normal(t.size)) * np.exp(-t / (decay / factor))
    if name == "clap":
        noise *= 1 + 2 * ((t % 0.012 < 0.004) & (t < 0.036))
    y = (1 - share) * body + share * noise / np.abs(noise).max()
    y *= np.minimum(1, (t + 0.0005) / 0.002) * np.clip((t[-1] - t) / 0.01, 0, 1)
    return y / np.abs(y).max()
