"""The demo corpus: songs by eight artists who do not exist, composed and synthesised from a seed.

An artist is a way of writing (modes, progressions, rhythms, tempo, register) and a choice of instruments; an album is a
studio that leaves its mark on every song (see `crnnlib.corpora.synth`); both are listed in ``demo.toml``. Studios serve
many artists, and never the same artist twice, so that a classifier that listens to the studio is fooled by the next
album: the producer effect, with a knob. Notebook 01 introduces the corpus.
"""

import functools
import json
import tomllib
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import soundfile
from tqdm.auto import tqdm

from crnnlib.corpora import synth
from crnnlib.errors import ParameterError
from crnnlib.files import atomic, home, sweep

__all__ = ["make"]

_VERSION = 1  # another sound, another version: corpora of an older one are made anew
_DEFAULTS = {"seed": 0, "producer_effect": 1.0, "artists": 8, "albums": 4, "songs": 5, "seconds": 28.0}
_STUDIO_ORDER = (0, 3, 5, 6, 1, 2)
_LEVELS = {"lead": 1.0, "second": 0.4, "chords": 0.33, "pad": 0.16, "bass": 0.9}
_DRUMS = {"kick": 2.6, "snare": 1.5, "brush": 0.8, "rim": 0.8, "clap": 1.2, "hat": 0.5, "open": 0.5}
_DRUMS |= {"shaker": 0.5, "tamb": 0.5, "tom": 1.4, "crash": 0.8}


def make(
    folder: str | Path | None = None,
    seed: int = 0,
    producer_effect: float = 1.0,
    n_artists: int = 8,
    n_albums: int = 4,
    n_songs: int = 5,
    seconds: float = 28.0,
    progress: bool = True,
) -> pd.DataFrame:
    """Synthesise the demo corpus, or whatever is still missing of it.

    Parameters
    ----------
    folder : str or pathlib.Path, optional
        Where ``artist/Album/NN-Title.mp3`` go; by default below `crnnlib.files.home`, named after the settings.
    seed : int
        Draws every song and studio. Equal seeds give equal files, whatever the number of processes.
    producer_effect : float
        How far albums of one artist differ in production, from 0 (not at all) over 1 to 2.
    n_artists, n_albums, n_songs : int
        Size: 2 to 8 artists, 1 to 6 albums each, 1 to 99 songs on each album.
    seconds : float
        Typical length of a song; songs end with a bar and differ by a tenth.
    progress : bool
        Show a progress bar.

    Returns
    -------
    pandas.DataFrame
        Track table, with `seconds` and `licence`.

    Raises
    ------
    ParameterError
        If a setting is out of range, or `folder` holds something else.

    Examples
    --------
    >>> import tempfile
    >>> tracks = make(tempfile.mkdtemp(), n_artists=2, n_albums=1, n_songs=1, seconds=4, progress=False)
    >>> tracks["album"].tolist()
    ['Weir', 'Night_Ferry']
    """
    values = (seed, producer_effect, n_artists, n_albums, n_songs, seconds)
    settings = _checked(dict(zip(_DEFAULTS, values, strict=True)))
    changed = "".join(f"-{key}{value:g}" for key, value in settings.items() if value != _DEFAULTS[key])
    folder = Path(folder).absolute() if folder else home() / "corpora" / f"demo{changed}"
    tracks = _plan(folder, settings)
    _claim(folder, settings)
    missing = [track for track in tracks.itertuples() if not Path(track.path).exists()]
    jobs = (joblib.delayed(_write)(track.path, track.song, settings) for track in missing)
    workers = min(joblib.cpu_count(), 1 + len(missing) // 8)
    done = joblib.Parallel(n_jobs=workers, return_as="generator_unordered")(jobs)
    for _ in tqdm(done, "demo corpus", len(missing), unit="song", disable=not progress or not missing):
        pass
    tracks = tracks.drop(columns="song")
    tracks.attrs["corpus"] = f"demo{changed}"
    return tracks


def _checked(settings):
    limits = {"artists": (2, 8), "albums": (1, 6), "songs": (1, 99), "seconds": (2, 600), "producer_effect": (0, 2)}
    for key, (low, high) in limits.items():
        if not low <= settings[key] <= high:
            raise ParameterError(f"demo corpus, {key}={settings[key]}: expected {low} to {high}")
    for key in ("seed", "artists", "albums", "songs"):
        if settings[key] != int(settings[key]) or settings[key] < 0:
            raise ParameterError(f"demo corpus, {key}={settings[key]}: expected a whole number from 0")
    return {key: type(_DEFAULTS[key])(value) for key, value in settings.items()}


def _claim(folder, settings):
    """Mark a folder as this corpus; empty it if an older version of this module filled it."""
    note = folder / "demo.json"
    sweep(folder)
    if note.exists():
        held = json.loads(note.read_text())
        if held["settings"] != settings:
            raise ParameterError(f"{folder}: holds a demo corpus of {held['settings']}; choose another folder")
        if held["version"] == _VERSION:
            return
        for path in folder.glob("*/*/*.mp3"):
            path.unlink()
    elif folder.exists() and any(folder.iterdir()):
        raise ParameterError(f"{folder}: is not empty and no demo corpus; choose another folder")
    with atomic(note) as temporary:
        temporary.write_text(json.dumps({"version": _VERSION, "settings": settings}))


@functools.cache
def _library():
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text())


def _plan(folder, settings):
    words = _library()["titles"]
    rows = []
    for a in range(settings["artists"]):
        artist = _library()["artist"][a]
        names = np.random.default_rng([settings["seed"], 3, a]).permutation(len(words["first"]) * len(words["second"]))
        for b, album in enumerate(artist["albums"][: settings["albums"]]):
            for c in range(settings["songs"]):
                first, second = divmod(names[(b + 6 * c) % names.size], len(words["second"]))
                title = f"{c + 1:02d}-{words['first'][first]}_{words['second'][second]}"
                path = folder / artist["name"] / album / f"{title}.mp3"
                bars, bar_s, _ = _time((a, b, c), settings)
                row = {"artist": artist["name"], "album": album, "title": title, "path": str(path)}
                row |= {"seconds": bars * bar_s + 1.5, "licence": "CC0-1.0", "song": (a, b, c)}
                rows.append({"track_id": f"{artist['name']}/{album}/{title}"} | row)
    return pd.DataFrame(rows).set_index("track_id").sort_index()


def _time(song, settings):
    """Bars of a song, seconds of a bar, and the generator that has drawn them."""
    artist = _library()["artist"][song[0]]
    rng = np.random.default_rng([settings["seed"], 1, *song])
    bar_s = artist.get("beats", 4) * 60 / rng.uniform(*artist["bpm"])
    return max(2, round((settings["seconds"] * rng.uniform(0.9, 1.1) - 1.5) / bar_s)), bar_s, rng


def _write(path, song, settings):
    y = _render(song, settings)
    with (
        atomic(path) as temporary,
        soundfile.SoundFile(
            temporary, "w", synth.SR, 1, "MPEG_LAYER_III", format="MP3", compression_level=0.83, bitrate_mode="CONSTANT"
        ) as file,
    ):
        file.write(y)


def _studio(song, settings):
    """The production of a song's album."""
    a, b, _ = song
    rng = np.random.default_rng([settings["seed"], 2, a, b])
    studios = _library()["studio"]
    chosen = dict(studios[(a + _STUDIO_ORDER[b]) % len(studios)])
    del chosen["name"]
    own = synth.NEUTRAL.towards(synth.Studio(**chosen), rng.uniform(0.8, 1.2))
    return synth.NEUTRAL.towards(own, settings["producer_effect"])


def _render(song, settings):
    bars, bar_s, rng = _time(song, settings)
    artist = _library()["artist"][song[0]]
    studio = _studio(song, settings)
    steps = 4 * artist.get("beats", 4)
    mix = np.zeros(round((bars * bar_s + 1.5) * synth.SR))
    levels = _LEVELS | {"lead": 10 ** (studio.lead_db / 20), "bass": _LEVELS["bass"] * 10 ** (studio.bass_db / 20)}
    sounds = {}
    for layer, name, step, length, pitch, loud in _compose(artist, song, bars, rng):
        late = artist.get("swing", 0.0) * (step % 4 == 2) * 1.3
        start = round(((step + late) / steps * bar_s + abs(rng.normal(0, 0.005))) * synth.SR)
        if layer == "drums":
            key, gain = name, _DRUMS[name] * 10 ** (studio.drums_db / 20)
            if key not in sounds:
                sounds[key] = synth.drum(name, studio.tuning, seed=song[0])
        else:
            key, gain = (name, pitch, length), levels[layer]
            if key not in sounds:
                sounds[key] = synth.note(name, pitch, length / steps * bar_s, seed=song[2])
        sound = sounds[key][: mix.size - start]
        mix[start : start + sound.size] += gain * loud * sound
    mix[-synth.SR // 2 :] *= np.linspace(1, 0, synth.SR // 2) ** 2
    y = synth.produce(mix, studio, seed=[settings["seed"], 4, *song[:2]])
    y[-synth.SR // 5 :] *= np.linspace(1, 0, synth.SR // 5)
    y[:80] *= np.linspace(0, 1, 80)
    return y


def _compose(artist, song, bars, rng):
    """Events of a song: (layer, sound, step from the start, length in steps, MIDI pitch, loudness)."""
    steps = 4 * artist.get("beats", 4)
    mode = _library()["modes"][_pick(rng, artist["modes"])]
    tonic = artist["register"] - 6 + int(rng.integers(12))
    band = {key: _turn(artist[key], song, turn) for turn, key in enumerate(("lead", "chords", "bass", "pad"))}
    parts = [_part(artist, rng) for _ in "AB"]
    intro = 2 if bars >= 8 else 0
    melody = _Melody(artist, mode, tonic, rng)

    def pitch(degree):
        return tonic + 12 * (degree // 7) + mode[degree % 7]

    for bar in range(bars):
        last, here = bar == bars - 1, bar * steps
        chorus = (bar - intro) // 4 % 2 == 1 and bar >= intro
        part = parts[chorus]
        degree = 0 if last else part["progression"][(bar - intro) % 4]
        tones = [degree + k for k in ((0, 2, 4, 6) if artist.get("sevenths") and not last else (0, 2, 4))]
        chord = sorted(_near(pitch(d), 60) for d in tones)
        for step, length, mark in _marks("x" + "." * (steps - 1) if last else part["chords"], "x1234"):
            notes = chord if mark == "x" else [(*chord, chord[0] + 12)[int(mark) - 1]]
            for k, midi in enumerate(notes):
                yield "chords", band["chords"], here + step + 0.08 * k, length, midi, rng.uniform(0.8, 1.0)
        if bar < intro:
            yield from _beat({k: v for k, v in part["drums"].items() if k not in ("kick", "snare")}, here, rng, False)
            continue
        root = _near(pitch(degree), 39)
        heights = {
            "1": root,
            "8": root + 12,
            "3": _near(pitch(degree + 2), root + 5),
            "5": _near(pitch(degree + 4), root + 5),
        }
        for step, length, mark in _marks("1" + "." * (steps - 1) if last else part["bass"], "1358"):
            yield "bass", band["bass"], here + step, length, heights[mark], rng.uniform(0.85, 1.0)
        if chorus or last:
            for midi in chord:
                yield "pad", band["pad"], here, steps, midi + 12 * (artist["register"] > 70), 1.0
        if last:
            yield "lead", band["lead"], here, steps, _near(tonic, melody.last), 1.0
            yield "drums", "crash", here, 0, 0, 0.7
            yield "drums", "kick", here, 0, 0, 1.0
            continue
        for step, length, midi, third in melody.bar(part, (bar - intro) % 4, tones, 2 * chorus):
            loud = rng.uniform(0.8, 1.0) + 0.12 * (step % 8 == 0)
            yield "lead", band["lead"], here + step, length, midi, loud
            if chorus:
                yield "second", band["lead"], here + step, length, third, loud
        yield from _beat(part["drums"], here, rng, fill=(bar - intro) % 4 == 3)


class _Melody:
    """A melody that walks the scale, repeats its motifs, and meets the chords on strong beats."""

    def __init__(self, artist, mode, tonic, rng):
        self.artist, self.rng = artist, rng
        self.pitch = lambda degree: tonic + 12 * (degree // 7) + mode[degree % 7]
        self.centre = min(range(-14, 15), key=lambda degree: abs(self.pitch(degree) - artist["register"]))
        self.degree = self.centre
        self.last = artist["register"]

    def bar(self, part, which, tones, lift):
        rhythm, moves = part["motifs"][(0, 1, 0, 2)[which]]
        for k, (step, length, _) in enumerate(_marks(rhythm, "x")):
            degree = self.degree + int(moves[k])
            if abs(degree - self.centre - lift) > 4:
                degree = self.degree - int(np.sign(self.degree - self.centre - lift)) * max(1, abs(int(moves[k])))
            if step % 8 == 0 or length >= 6:
                degree = min((t + 7 * o for t in tones for o in range(-4, 5)), key=lambda d: (abs(d - degree), d))
            elif self.artist.get("pentatonic") and degree % 7 in (3, 6):
                degree -= 1
            self.degree, self.last = degree, self.pitch(degree)
            yield step, length, self.last, self.pitch(degree - 2)


def _part(artist, rng):
    """What a verse or a chorus repeats: progression, patterns, motifs."""
    drawn = {"progression": _pick(rng, artist["progressions"]), "chords": _pick(rng, artist["chord_patterns"])}
    drawn |= {"bass": _pick(rng, artist["bass_patterns"]), "drums": _pick(rng, artist["drums"])}
    rhythms = [artist["rhythms"][k] for k in rng.permutation(len(artist["rhythms"]))[:3]]
    drawn["motifs"] = [(rhythm, _moves(artist, rng)) for rhythm in rhythms]
    return drawn


def _moves(artist, rng):
    size = np.where(rng.random(16) < artist["leap"], rng.integers(2, 5, 16), rng.choice([0, 1, 1, 1, 2], 16))
    return size * np.where(rng.random(16) < 0.5 + artist["rise"], 1, -1)


def _beat(drums, here, rng, fill):
    for name, pattern in drums.items():
        for step, mark in enumerate(pattern):
            if mark != "." and not (fill and step >= len(pattern) - 4):
                yield "drums", name, here + step, 0, 0, (1.0 if mark == "x" else 0.45) * rng.uniform(0.85, 1.0)
    if fill and drums:
        name = "snare" if "snare" in drums else "tom"
        for step in sorted(rng.choice(4, 3, replace=False)):
            yield "drums", name, here + len(pattern) - 4 + int(step), 0, 0, rng.uniform(0.4, 0.7)


def _marks(pattern, onsets):
    """Onsets of a pattern as (step, length, mark); a note ends at the next onset or rest."""
    for step, mark in enumerate(pattern):
        if mark in onsets:
            rest = pattern[step + 1 :]
            yield step, 1 + next((k for k, m in enumerate(rest) if m != "."), len(rest)), mark


def _near(midi, centre):
    return centre - 6 + (midi - centre + 6) % 12


def _pick(rng, options):
    return options[int(rng.integers(len(options)))]


def _turn(options, song, turn):
    """Each album takes its instruments in turn: albums of an artist share one palette."""
    a, b, c = song
    return options[(a + b * (turn + 1) + c) % len(options)]
