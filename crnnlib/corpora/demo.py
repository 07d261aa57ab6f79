"""The demo corpus: songs by eight artists who do not exist, composed and synthesised from a seed.

An artist is a way of writing (modes, progressions, rhythms, tempo, register: ``crnnlib.corpora.score``) and a choice of
instruments (``crnnlib.corpora.synth``); an album is a studio that marks each song (``crnnlib.corpora.studio``).
Artists and studios are listed in ``demo.toml``. A studio serves several artists, and none of them twice, so that a
classifier that listens to the studio is fooled by the next album: the producer effect, with a knob. See
chapter 1.
"""

import functools
import json
import numbers
import tomllib
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import soundfile
from tqdm.auto import tqdm

from crnnlib.corpora.score import compose
from crnnlib.corpora.studio import NEUTRAL, Studio, produce
from crnnlib.corpora.synth import SR, drum, note
from crnnlib.errors import ParameterError
from crnnlib.files import DAMAGED, atomic, home, sweep

__all__ = ["library", "make"]

_VERSION = 4  # another sound, another version: corpora of an older one are made anew
_DEFAULTS = {"seed": 0, "producer_effect": 1.0, "artists": 8, "albums": 6, "songs": 3, "seconds": 25.0}
_LIMITS = {"seed": (0, 2**31), "producer_effect": (0, 2), "artists": (2, 8), "albums": (1, 6), "songs": (1, 99)}
_LIMITS |= {"seconds": (4, 600)}
_STUDIO_ORDER = (0, 3, 5, 6, 1, 2)  # an artist's n-th album was made this many studios down the list
_TAIL_S = 1.5
_LEVELS = {"lead": 0.85, "second": 0.4, "chords": 0.5, "pad": 0.25, "bass": 0.8}
_DRUMS = {"kick": 2.3, "snare": 3.0, "brush": 2.0, "rim": 1.6, "clap": 3.0, "hat": 1.0, "open": 1.0}
_DRUMS |= {"shaker": 1.1, "tamb": 1.0, "tom": 2.0, "crash": 1.5}


def make(
    folder: str | Path | None = None,
    seed: int = 0,
    producer_effect: float = 1.0,
    n_artists: int = 8,
    n_albums: int = 6,
    n_songs: int = 3,
    seconds: float = 25.0,
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
        How far albums of one artist differ in production, from 0, not at all, to 2, twice as far as usual.
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
    >>> little = {"n_artists": 2, "n_albums": 1, "n_songs": 1, "seconds": 4}
    >>> tracks = make("demo", **little, progress=False)
    >>> tracks["album"].tolist()
    ['Weir', 'Night_Ferry']
    """
    values = (seed, producer_effect, n_artists, n_albums, n_songs, seconds)
    settings = _checked(dict(zip(_DEFAULTS, values, strict=True)))
    odd = {key: str(value).removesuffix(".0") for key, value in settings.items() if value != _DEFAULTS[key]}
    name = "demo" + "".join(f"-{key}{value}" for key, value in odd.items())
    ours = folder is None
    folder = home() / "corpora" / name if ours else Path(folder).absolute()
    tracks = _plan(folder, settings)
    _claim(folder, settings, ours)
    missing = [track for track in tracks.itertuples() if not Path(track.path).exists()]
    jobs = (joblib.delayed(_write)(track.path, track.song, settings) for track in missing)
    workers = min(joblib.cpu_count(), 1 + len(missing) // 16)
    done = joblib.Parallel(n_jobs=workers, return_as="generator_unordered")(jobs)
    for _ in tqdm(done, "demo corpus", len(missing), unit="song", disable=not progress or not missing):
        pass
    sweep(folder)
    tracks = tracks.drop(columns="song")
    tracks.attrs["corpus"] = name
    return tracks


def _checked(settings):
    for key, value in settings.items():
        kind = numbers.Integral if isinstance(_DEFAULTS[key], int) else numbers.Real
        low, high = _LIMITS[key]
        if not isinstance(value, kind) or not low <= value <= high:
            whole = "a whole number" if kind is numbers.Integral else "a number"
            raise ParameterError(f"demo corpus, {key}={value!r}: expected {whole} from {low} to {high}")
    return {key: type(_DEFAULTS[key])(value) for key, value in settings.items()}


def _claim(folder, settings, ours):
    """Mark a folder as this corpus; empty it if an older version, whose default settings may differ, filled it."""
    note = folder / "demo.json"
    sweep(folder)
    if note.exists():
        try:
            held = json.loads(note.read_text("utf-8"))
            of = held["settings"]
        except DAMAGED:
            held, of = {}, "settings that cannot be read"
        if of != settings and not ours:
            raise ParameterError(f"{folder}: holds the demo corpus of {of}; choose another folder")
        if held == {"version": _VERSION, "settings": settings}:
            return
        for path in folder.glob("*/*/*.mp3"):
            path.unlink()
    elif folder.exists() and (not folder.is_dir() or any(folder.glob("[!.]*"))):
        raise ParameterError(f"{folder}: neither empty nor a demo corpus; choose another folder")
    with atomic(note) as temporary:
        temporary.write_text(json.dumps({"version": _VERSION, "settings": settings}))


@functools.cache
def library() -> dict:
    """Read what the demo corpus is made of.

    Returns
    -------
    dict
        ``demo.toml``: `artist` and `studio` (lists of dict), `modes`, `titles`. Shared: do not change it.

    Examples
    --------
    >>> library()["artist"][0]["name"]
    'the_paper_lanterns'
    """
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))


def _plan(folder, settings):
    words = library()["titles"]
    rows = []
    for a in range(settings["artists"]):
        artist = library()["artist"][a]
        names = np.random.default_rng([settings["seed"], 3, a]).permutation(len(words["first"]) * len(words["second"]))
        for b, album in enumerate(artist["albums"][: settings["albums"]]):
            for c in range(settings["songs"]):
                first, second = divmod(names[(b + 6 * c) % names.size], len(words["second"]))
                title = f"{c + 1:02d}-{words['first'][first]}_{words['second'][second]}"
                path = folder / artist["name"] / album / f"{title}.mp3"
                bars, bar_s, _ = _time((a, b, c), settings)
                row = {"artist": artist["name"], "album": album, "title": title, "path": str(path)}
                row |= {"seconds": bars * bar_s + _TAIL_S, "licence": "CC0-1.0", "song": (a, b, c)}
                rows.append({"track_id": f"{artist['name']}/{album}/{title}"} | row)
    return pd.DataFrame(rows).set_index("track_id").sort_index()


def _time(song, settings):
    """Bars of a song, seconds of a bar, and the generator that has drawn them."""
    artist = library()["artist"][song[0]]
    rng = np.random.default_rng([settings["seed"], 1, *song])
    bar_s = artist.get("beats", 4) * 60 / rng.uniform(*artist["bpm"])
    return max(2, round((settings["seconds"] * rng.uniform(0.9, 1.1) - _TAIL_S) / bar_s)), bar_s, rng


def _studio(song, settings):
    """The studio of a song's album."""
    a, b, _ = song
    rng = np.random.default_rng([settings["seed"], 2, a, b])
    listed = library()["studio"]
    chosen = Studio(
        **{key: value for key, value in listed[(a + _STUDIO_ORDER[b]) % len(listed)].items() if key != "name"}
    )
    return NEUTRAL.towards(chosen, settings["producer_effect"] * rng.uniform(0.75, 1.1))


def _write(path, song, settings):
    y = _render(song, settings)
    encoding = {"format": "MP3", "subtype": "MPEG_LAYER_III", "compression_level": 0.83, "bitrate_mode": "CONSTANT"}
    with atomic(path) as temporary, soundfile.SoundFile(temporary, "w", SR, 1, **encoding) as file:
        file.write(y)  # 32 kbit/s


def _render(song, settings):
    bars, bar_s, rng = _time(song, settings)
    artist = library()["artist"][song[0]]
    studio = _studio(song, settings)
    step_s = bar_s / (4 * artist.get("beats", 4))
    gains = {layer: 10 ** (getattr(studio, f"{layer}_db", 0.0) / 20) for layer in (*_LEVELS, "drums")}
    mix = np.zeros(round((bars * bar_s + _TAIL_S) * SR))
    sounds = {}
    for event in compose(artist, library()["modes"], bars, sum(song), rng):
        late = artist.get("swing", 0.0) * (round(event.step) % 4 == 2) * 1.3
        start = round(((event.step + late) * step_s + abs(rng.normal(0, 0.005))) * SR)
        key = event.sound, event.midi, event.length
        if key not in sounds and event.layer == "drums":
            sounds[key] = _DRUMS[event.sound] * drum(event.sound, studio.tuning, seed=song[0])
        elif key not in sounds:
            sounds[key] = note(event.sound, event.midi, event.length * step_s, seed=song[0])
        sound = sounds[key][: mix.size - start]
        mix[start : start + sound.size] += gains[event.layer] * _LEVELS.get(event.layer, 1.0) * event.loud * sound
    y = produce(mix, studio, seed=[settings["seed"], 4, *song[:2]])
    y[-SR:] *= np.linspace(1, 0, SR) ** 2
    y[: SR // 200] *= np.linspace(0, 1, SR // 200)
    return y
