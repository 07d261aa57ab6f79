"""Songs that a page can play: small mp3 files, a spectrogram each, and the player around them.

Conventions: sound is 16 kHz mono; mp3 at about 32 kbit/s; times in seconds from the start of the song; a spectrogram is
a PNG of `PIXELS_PER_S` columns a second, 64 bands high, the lowest at the bottom. Files lie below `listen_folder`,
named after what is in them, and are copied into the site by the book's extension. See chapters 1, 2, 3,
7 and 9.
"""

import base64
import hashlib
import html
import io
import json
import shutil
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from plotly.colors import sample_colorscale
from tqdm.auto import tqdm

from crnnlib import audio, files
from crnnlib.errors import DataError, ParameterError
from crnnlib.figures import theme
from crnnlib.logmel import LogMel, log_mel

__all__ = ["PIXELS_PER_S", "SR", "Player", "listen_folder", "player", "sounds"]

#: Columns of a spectrogram picture per second of sound.
PIXELS_PER_S = 15.625
#: Sampling rate of what the book plays, in Hz.
SR = 16000
EXCERPT_S = 6.0
MOST_EXCERPTS = 20


@dataclass(frozen=True)
class Player:
    """A list of songs to listen to; a notebook shows it, and `show` and `save` put it under a figure.

    Parameters
    ----------
    songs : tuple of dict
        `id`, `title`, `group` (the artist), `note` (album, licence), `seconds`, and the files `audio` and `image`,
        relative to `listen_folder`.
    clip_s : float, optional
        How long a click plays. None plays to the end.

    Examples
    --------
    >>> Player(({"id": "a/b/c", "audio": "x.mp3", "image": "x.png"},)).files
    ('x.mp3', 'x.png')
    >>> heard = player(tracks.head(1))
    >>> heard.site()[:25], heard.lab()[:29]
    ('<div class="crnn-player" ', '<div><label>Listen to <select')
    """

    songs: tuple[dict, ...]
    clip_s: float | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """What the page needs, relative to `listen_folder`."""
        return tuple(song[kind] for song in self.songs for kind in ("audio", "image"))

    def site(self) -> str:
        """HTML for the book: ``figures.js`` makes the player, and loads a song when it is first played."""
        told = json.dumps({"clip_s": self.clip_s, "songs": self.songs}, ensure_ascii=False).replace("<", "\\u003c")
        return (
            f'<div class="crnn-player" data-files="{html.escape(" ".join(self.files))}" hidden>'
            f'<script type="application/json">{told}</script></div>'
        )

    def lab(self) -> str:
        """HTML for JupyterLab, where a page's files are out of reach: short excerpts inside the page."""
        step = -(-len(self.songs) // MOST_EXCERPTS)
        options = "".join(
            f'<option value="{_excerpt(listen_folder() / song["audio"], song["seconds"])}">'
            f"{html.escape(': '.join(filter(None, (song['group'], song['title']))).replace('_', ' '))}</option>"
            for song in self.songs[::step]
        )
        listen = "this.parentNode.querySelector('audio').src=this.value"
        first = "this.src||(this.src=this.parentNode.querySelector('select').value)"
        return (
            f'<div><label>Listen to <select onchange="{listen}">{options}</select></label> '
            f'<audio controls style="vertical-align:middle" onpointerenter="{first}" onfocus="{first}"></audio></div>'
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {
            "text/plain": f"{len(self.songs)} songs",
            "text/html": f"{self.site()}<!--lab-->{self.lab()}<!--/lab-->",
        }


def listen_folder() -> Path:
    """Folder of what can be played.

    Returns
    -------
    pathlib.Path

    Examples
    --------
    >>> listen_folder().name
    'listen'
    """
    return files.home() / "listen"


def player(tracks: pd.DataFrame, clip_s: float | None = None, progress: bool = True) -> Player:
    """Make songs playable: decode each, write mp3 and spectrogram once, and list them.

    Parameters
    ----------
    tracks : pandas.DataFrame
        A track table; keep it to the songs of the page, at 4 kB a second of sound.
    clip_s : float, optional
        How long a click plays, in seconds.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    Player

    Raises
    ------
    ParameterError
        If there are no songs.
    DataError
        If a file cannot be read.

    Examples
    --------
    >>> [
    ...     (song["title"], song["seconds"])
    ...     for song in player(tracks.head(2), clip_s=3).songs
    ... ]
    [('01-Song 1', 4.03), ('02-Song 2', 4.48)]
    """
    if tracks.empty:
        raise ParameterError("tracks without a song: expected one or more to listen to")
    settings, made = LogMel(sr=SR), []
    label = theme.corpus_label(tracks)
    synthetic = label if label.startswith("synthetic") else None
    for track_id, track in tqdm(list(tracks.iterrows()), desc="sound", unit="song", disable=not progress):
        source = Path(track["path"])
        if not source.is_file():
            raise DataError(f"{source}: missing; load the corpus again, e.g. corpora.load('demo')")
        key = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
        song = _entry(tracks.attrs.get("corpus", "music"), key)
        image = listen_folder() / song["image"]
        if not (image.exists() and (listen_folder() / song["audio"]).exists()):
            sound = audio.load_audio(source, settings)
            _write(sound, song, source if _fits(source) else None)
        notes = [track["album"], track.get("licence"), synthetic]
        note = " · ".join(one for one in notes if isinstance(one, str))
        about = {"id": track_id, "title": track["title"], "group": track["artist"], "note": note}
        made.append(about | song | {"seconds": round(_columns(image) / PIXELS_PER_S, 2)})
    return Player(tuple(made), clip_s)


def sounds(named: Mapping[str, np.ndarray]) -> Player:
    """Make arrays playable: what a notebook has computed rather than read.

    Parameters
    ----------
    named : mapping from str to array, shape (samples,)
        Mono sound in [-1, 1] at 16 kHz; louder is scaled down.

    Returns
    -------
    Player

    Raises
    ------
    ParameterError
        If there is nothing to play, or no sound in an array.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    >>> sounds({"a tone": tone}).songs[0]["seconds"]
    1.0
    """
    if not named or not all(np.ndim(one) == 1 and np.size(one) and np.isfinite(one).all() for one in named.values()):
        raise ParameterError(f"named={list(named)}: expected one array or more, each a row of finite samples")
    made = []
    for title, sound in named.items():
        sound = np.asarray(sound, np.float32)
        sound = sound / max(1.0, float(np.abs(sound).max()))
        song = _entry("computed", hashlib.sha256(sound.tobytes()).hexdigest()[:16])
        if not (listen_folder() / song["image"]).exists():
            _write(sound, song, None)
        about = {"id": title, "title": title, "group": "", "note": ""}
        made.append(about | song | {"seconds": round(len(sound) / SR, 2)})
    return Player(tuple(made))


def _entry(folder: str, key: str) -> dict:
    return {"audio": f"{folder}/{key}.mp3", "image": f"{folder}/{key}.png"}


def _fits(source: Path) -> bool:
    if source.suffix.lower() != ".mp3":
        return False
    about = soundfile.info(audio.named(source))
    return about.samplerate == SR and about.channels == 1 and source.stat().st_size < 5000 * about.duration


def _write(sound: np.ndarray, song: dict, ready: Path | None) -> None:
    with files.atomic(listen_folder() / song["audio"]) as temporary:
        if ready:
            shutil.copyfile(ready, temporary)
        else:
            soundfile.write(temporary, sound, SR, format="MP3", bitrate_mode="CONSTANT", compression_level=0.85)
    # The picture comes last: where it lies, the sound is whole.
    mel = log_mel(np.pad(sound, (0, max(0, 2048 - len(sound)))), LogMel(sr=SR))
    even = mel[: max(len(mel) // 2 * 2, 2)].reshape(-1, 2, mel.shape[1] // 2, 2).mean((1, 3))
    with files.atomic(listen_folder() / song["image"]) as temporary:
        temporary.write_bytes(_png(even.T[::-1]))


def _png(level: np.ndarray) -> bytes:
    """Picture of levels in dB, 60 dB from black to bright: written here, so that no imaging library is needed."""
    shades = 64
    index = np.clip((level - level.max() + 60) / 60 * (shades - 1), 0, shades - 1).astype(np.uint8)
    colours = sample_colorscale("Magma", np.linspace(0, 1, shades).tolist(), colortype="tuple")
    palette = np.round(np.array(colours) * 255).astype(np.uint8).tobytes()
    lines = b"".join(b"\0" + row.tobytes() for row in index)
    height, width = index.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    packed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _columns(image: Path) -> int:
    return struct.unpack(">I", image.read_bytes()[16:20])[0]


def _excerpt(audio: Path, seconds: float) -> str:
    middle = int(max(0.0, (seconds - EXCERPT_S) / 2) * SR)
    sound, _ = soundfile.read(audio, dtype="float32")
    packed = io.BytesIO()
    soundfile.write(
        packed,
        sound[middle : middle + int(EXCERPT_S * SR)],
        SR,
        format="MP3",
        bitrate_mode="CONSTANT",
        compression_level=0.85,
    )
    return "data:audio/mpeg;base64," + base64.b64encode(packed.getvalue()).decode()
