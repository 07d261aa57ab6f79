"""Composition for the demo corpus: from an artist's habits, as ``demo.toml`` lists them, to the notes of a song.

Time is counted in sixteenths from the start of the song, pitch in MIDI numbers, harmony in degrees of the mode, from 0.
A song is a bar or two of introduction, then verse and chorus, four bars each, in turn, then one bar to close.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

__all__ = ["Event", "compose"]


class Event(NamedTuple):
    """One note, or one stroke on a drum.

    Parameters
    ----------
    layer : {"lead", "second", "chords", "bass", "pad", "drums"}
        What it is for.
    sound : str
        What plays it: an instrument or a drum of ``crnnlib.corpora.synth``.
    step : float
        When, in sixteenths from the start.
    length : int
        How long, in sixteenths; 0 for drums.
    midi : int
        Pitch; 0 for drums.
    loud : float
        About 1.

    Examples
    --------
    >>> Event("lead", "flute", 32, 4, 69, 1.0).sound
    'flute'
    """

    layer: str
    sound: str
    step: float
    length: int
    midi: int
    loud: float


def compose(artist: dict, modes: dict, bars: int, turn: int, rng: np.random.Generator) -> Iterator[Event]:
    """Write a song in the manner of an artist.

    Parameters
    ----------
    artist : dict
        An ``[[artist]]`` of ``demo.toml``.
    modes : dict
        Semitones of each mode's seven degrees.
    bars : int
        Length of the song, at least 2.
    turn : int
        Number of the song among the artist's: instruments are taken in turn, so that all albums share one palette.
    rng : numpy.random.Generator
        Draws key, mode, patterns, motifs and loudness.

    Yields
    ------
    Event
        Layer by layer, bar by bar.

    Examples
    --------
    >>> from crnnlib.corpora.demo import library
    >>> rng = np.random.default_rng(0)
    >>> events = list(compose(library()["artist"][0], library()["modes"], 12, 0, rng))
    >>> sorted({event.layer for event in events})
    ['bass', 'chords', 'drums', 'lead', 'pad', 'second']
    """
    steps = 4 * artist.get("beats", 4)
    mode = modes[_pick(rng, artist["modes"])]
    tonic = artist["register"] - 6 + int(rng.integers(12))
    band = {role: _in_turn(artist[role], turn, k % 2) for k, role in enumerate(("lead", "chords", "bass", "pad"))}
    verse, chorus = _part(artist, mode, rng), _part(artist, mode, rng)
    melody = _Melody(artist, mode, tonic, rng)
    intro = 2 if bars >= 12 else bars // 8
    for bar in range(bars):
        here, turn_of_phrase = bar * steps, (bar - intro) % 4
        opening, closing, lifted = bar < intro, bar == bars - 1, bar >= intro and (bar - intro) // 4 % 2 == 1
        part = chorus if lifted else verse
        degree = 0 if closing else part["progression"][turn_of_phrase]
        tones = [degree + k for k in ((0, 2, 4, 6) if artist.get("sevenths") and not closing else (0, 2, 4))]
        pitches = [tonic + _semitones(mode, tone) for tone in tones]
        chord = sorted(_near(midi, artist["register"] - 10) for midi in pitches)
        for step, length, mark in _marks("x" + "." * (steps - 1) if closing else part["chords"], "x1234"):
            for k, midi in enumerate(chord if mark == "x" else [(*chord, chord[0] + 12)[int(mark) - 1]]):
                yield Event("chords", band["chords"], here + step + 0.06 * k, length, midi, rng.uniform(0.8, 1.0))
        if opening:
            light = {drum: beat for drum, beat in part["drums"].items() if drum not in ("kick", "snare")}
            yield from _strokes(light, here, rng, fill=False)
            continue
        root = _near(pitches[0], 39)
        heights = {"1": root, "8": root + 12, "3": _near(pitches[1], root + 5), "5": _near(pitches[2], root + 5)}
        for step, length, mark in _marks("1" + "." * (steps - 1) if closing else part["bass"], "1358"):
            yield Event("bass", band["bass"], here + step, length, heights[mark], rng.uniform(0.85, 1.0))
        if lifted or closing:
            for midi in chord:
                yield Event("pad", band["pad"], here, steps, midi + 12 * (artist["register"] > 70), 1.0)
        if closing:
            yield Event("lead", band["lead"], here, steps, _near(tonic, melody.midi), 1.0)
            if {"snare", "clap"} & part["drums"].keys():
                yield Event("drums", "crash", here, 0, 0, 0.7)
            yield Event("drums", "kick", here, 0, 0, 1.0)
            continue
        for step, length, midi, third in melody.bar(part["motifs"][(0, 1, 0, 2)[turn_of_phrase]], tones, 2 * lifted):
            loud = rng.uniform(0.8, 1.0) + 0.12 * (step % 8 == 0)
            yield Event("lead", band["lead"], here + step, length, midi, loud)
            if lifted:
                yield Event("second", band["lead"], here + step, length, third, loud)
        yield from _strokes(part["drums"], here, rng, fill=turn_of_phrase == 3)


class _Melody:
    """A voice that walks the scale by a motif's moves, stays near its register, and meets the chord on strong beats."""

    def __init__(self, artist, mode, tonic, rng):
        self.pentatonic, self.mode, self.tonic = artist.get("pentatonic", False), mode, tonic
        self.centre = min(range(-14, 15), key=lambda degree: abs(self._pitch(degree) - artist["register"]))
        self.degree, self.midi = self.centre, artist["register"]

    def _pitch(self, degree):
        return self.tonic + _semitones(self.mode, degree)

    def bar(self, motif, tones, lift):
        """Step, length, pitch, and the pitch a third below, of each note."""
        for (step, length, _), move in zip(_marks(motif["rhythm"], "x"), motif["moves"], strict=False):
            degree = self.degree + move
            if abs(degree - self.centre - lift) > 4:
                degree = self.degree - max(1, abs(move)) * (1 if self.degree > self.centre + lift else -1)
            if step % 8 == 0 or length >= 6:
                within = (tone + 7 * octave for tone in tones for octave in range(-4, 5))
                degree = min(within, key=lambda tone: (abs(tone - degree), tone))
            elif self.pentatonic and degree % 7 in (3, 6):
                degree -= 1
            self.degree, self.midi = degree, self._pitch(degree)
            yield step, length, self.midi, self._pitch(degree - 2)


def _part(artist, mode, rng):
    """What a verse or a chorus repeats: progression (without diminished chords, if it can be), patterns, motifs."""
    perfect = {degree for degree in range(7) if _semitones(mode, degree + 4) - _semitones(mode, degree) == 7}
    progressions = [p for p in artist["progressions"] if perfect.issuperset(p)] or artist["progressions"]
    rhythms = [artist["rhythms"][k] for k in rng.permutation(len(artist["rhythms"]))[:3]]
    return {
        "progression": _pick(rng, progressions),
        "chords": _pick(rng, artist["chord_patterns"]),
        "bass": _pick(rng, artist["bass_patterns"]),
        "drums": _pick(rng, artist["drums"]),
        "motifs": [{"rhythm": rhythm, "moves": _moves(artist, rng)} for rhythm in rhythms],
    }


def _moves(artist, rng):
    size = np.where(rng.random(16) < artist["leap"], rng.integers(2, 5, 16), rng.choice([0, 1, 1, 1, 2], 16))
    return (size * np.where(rng.random(16) < 0.5 + artist["rise"], 1, -1)).tolist()


def _strokes(drums, here, rng, fill):
    """A bar of drums; a fill replaces its last quarter."""
    for name, beat in drums.items():
        for step, mark in enumerate(beat[: -4 if fill else None]):
            if mark != ".":
                yield Event("drums", name, here + step, 0, 0, (1.0 if mark == "x" else 0.45) * rng.uniform(0.85, 1.0))
    if fill:
        steps = len(next(iter(drums.values())))
        name = next((name for name in ("snare", "brush", "rim") if name in drums), "tom")
        for step in sorted(rng.choice(4, 3, replace=False).tolist()):
            yield Event("drums", name, here + steps - 4 + step, 0, 0, rng.uniform(0.4, 0.7))


def _marks(pattern, onsets):
    """Onsets of a pattern as (step, length, mark); a note ends at the next onset or rest."""
    for step, mark in enumerate(pattern):
        if mark in onsets:
            rest = pattern[step + 1 :]
            yield step, 1 + next((k for k, later in enumerate(rest) if later != "."), len(rest)), mark


def _semitones(mode, degree):
    return 12 * (degree // 7) + mode[degree % 7]


def _near(midi, centre):
    """The same note in the octave around `centre`."""
    return centre - 6 + (midi - centre + 6) % 12


def _in_turn(options, turn, drift):
    """Options one after the other; with `drift`, each round starts one further on, to meet new partners."""
    return options[(turn + drift * (turn // len(options))) % len(options)]


def _pick(rng, options):
    return options[int(rng.integers(len(options)))]
