"""Folders of music: any tree artist/album/song, and artist20 with its official lists.

The layers below a root are artist, album and song; deeper ones (a disc, say) become part of the title, a song right
below its artist has no album. Listings are sorted; hidden names are passed over; links are followed, after the real
folders, and no folder is read twice. What is audio and cannot be used, or cannot be read, is reported.
"""

import os
import stat
from pathlib import Path

import pandas as pd

from crnnlib import files
from crnnlib.corpora import names, table
from crnnlib.errors import DataError

__all__ = ["ARTISTS", "SUFFIXES", "artist20", "artist20_lists", "from_folder", "is_artist20", "walk"]

#: Files that are taken as audio; libsndfile decodes them.
SUFFIXES = (".aif", ".aiff", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav")
_OTHER_AUDIO = (".aac", ".ape", ".m4a", ".m4b", ".mka", ".mp4", ".mpc", ".webm", ".wma", ".wv")

#: The artists of artist20, as its folders spell them.
ARTISTS = (
    *("aerosmith", "beatles", "creedence_clearwater_revival", "cure", "dave_matthews_band", "depeche_mode"),
    *("fleetwood_mac", "garth_brooks", "green_day", "led_zeppelin", "madonna", "metallica", "prince", "queen"),
    *("radiohead", "roxette", "steely_dan", "suzanne_vega", "tori_amos", "u2"),
)
_TRACKS, _ALBUMS = 1413, 6
_HINT = "see the page on artist20 in the book"


def walk(folder: str | Path) -> tuple[list[Path], list[str]]:
    """List the audio files below a folder; what is hidden, by a name that begins with a dot, is passed over.

    Parameters
    ----------
    folder : str or pathlib.Path
        The root.

    Returns
    -------
    list of pathlib.Path
        Regular files with a suffix in `SUFFIXES`, sorted.
    list of str
        What was left out, as ``path: reason``.

    Raises
    ------
    DataError
        If `folder` is no folder, or cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> walk(tempfile.mkdtemp())
    ([], [])
    """
    root = files.located(folder)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; expected artist/album/song below it")
    found, skipped, seen = [], [], set()
    real, linked = [root], []
    while real or linked:
        here = real.pop() if real else linked.pop(0)
        try:
            identity = (here.stat().st_dev, here.stat().st_ino)
            entries = [] if identity in seen else sorted(os.scandir(here), key=lambda entry: entry.name)
            seen.add(identity)
        except OSError as error:
            if here == root:
                raise DataError(f"{root}: {error.strerror}; expected a folder that can be read") from error
            skipped.append(f"{here}: {error.strerror}")
            continue
        for entry in entries:
            path = here / entry.name
            if entry.name.startswith("."):
                continue
            try:
                kind = path.stat().st_mode
            except OSError as error:
                skipped.append(f"{path}: {error.strerror}")
                continue
            if stat.S_ISDIR(kind):
                (linked if entry.is_symlink() else real).append(path)
            elif path.suffix.lower() in SUFFIXES and stat.S_ISREG(kind):
                found.append(path)
            elif path.suffix.lower() in SUFFIXES:
                skipped.append(f"{path}: not a regular file")
            elif path.suffix.lower() in _OTHER_AUDIO:
                skipped.append(f"{path}: not decoded here, convert it to flac or ogg")
    return sorted(found), sorted(skipped)


def from_folder(folder: str | Path) -> pd.DataFrame:
    """Read a tree artist/album/song.

    Parameters
    ----------
    folder : str or pathlib.Path
        The root, which holds the artists.

    Returns
    -------
    pandas.DataFrame
        Track table; the corpus is named after the folder and a hash of its path.

    Raises
    ------
    DataError
        If it is no folder, or holds no audio in such a tree.

    Examples
    --------
    >>> import tempfile
    >>> from_folder(tempfile.mkdtemp())  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    crnnlib.errors.DataError: ...: no audio below it; expected artist/album/song.mp3 (or ...)
    """
    return _table(folder, names.slug(folder))


def artist20(folder: str | Path | None = None) -> pd.DataFrame:
    """Read artist20, whole: 1,413 tracks, 20 artists, six albums each.

    Parameters
    ----------
    folder : str or pathlib.Path, optional
        What the archives unpack to (``mp3s-32k/`` and ``lists/``, alone or inside ``artist20/``), or the folder with
        ``artists/``; by default ``corpora/artist20`` below `crnnlib.files.home`.

    Returns
    -------
    pandas.DataFrame
        Track table; ids as in the official lists.

    Raises
    ------
    DataError
        If it is absent or not whole; the message says what is missing.

    References
    ----------
    Ellis, "Classifying music audio with timbral and chroma features", ISMIR 2007.

    Examples
    --------
    >>> artist20("nowhere")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    crnnlib.errors.DataError: .../nowhere: no mp3s-32k/ and no artists/ in it; artist20 is sent on request: see ...
    """
    root, music = _find(folder)
    tracks = _table(music, "artist20")
    ids, artists = set(tracks.index), set(tracks["artist"])
    official = set(artist20_lists(root).get("all", ())) if _lists(root) else ids
    albums = tracks.groupby("artist")["album"].nunique()
    differences = {
        "not there": official - ids,
        "not in the lists": ids - official,
        "artists not there": set(ARTISTS) - artists,
        "unknown artists": artists - set(ARTISTS),
        f"artists without exactly {_ALBUMS} albums": {f"{a} ({n})" for a, n in albums.items() if n != _ALBUMS},
    }
    faults = [f"{what}: {names.listed(sorted(which), 6)}" for what, which in differences.items() if which]
    if len(tracks) != _TRACKS:
        faults.insert(0, f"{len(tracks)} tracks, expected {_TRACKS}")
    if faults:
        raise DataError(
            f"{music}: not the whole of artist20: {'. '.join(faults)}. Unpack it again ({_HINT}), or take what is "
            f"there as a corpus of its own: corpora.from_folder({str(music)!r})"
        )
    return tracks


def artist20_lists(folder: str | Path | None = None) -> dict[str, tuple[str, ...]]:
    """Read the official lists of artist20.

    Parameters
    ----------
    folder : str or pathlib.Path, optional
        As for `artist20`.

    Returns
    -------
    dict of tuple of str
        Track ids of each ``lists/a20-<name>-tracks.list``: ``all``, ``trn`` (three albums an artist), ``val`` (one)
        and ``tst`` (two).

    Raises
    ------
    DataError
        If there are no lists, a line is not ``artist/Album/NN-Title``, or the parts overlap.

    Examples
    --------
    >>> from crnnlib import splits
    >>> Path("artist20/mp3s-32k").mkdir(parents=True)
    >>> Path("artist20/lists").mkdir()
    >>> for name, album in {"trn": "War", "val": "October", "tst": "Boy"}.items():
    ...     _ = Path(f"artist20/lists/a20-{name}-tracks.list").write_text(
    ...         f"u2/{album}/01-Song\\n"
    ...     )
    >>> splits.official(artist20_lists("artist20")).test
    ('u2/Boy/01-Song',)
    """
    root, _ = _find(folder)
    lists: dict[str, tuple[str, ...]] = {}
    for path in _lists(root):
        ids = []
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            parts = line.strip().split("/")
            if parts == [""]:
                continue
            if len(parts) != 3 or not all(parts):
                raise DataError(f"{path}, line {number}: {line!r}; expected artist/Album/NN-Title")
            ids.append(names.track_id(*parts))
        lists[path.name.removeprefix("a20-").removesuffix("-tracks.list")] = tuple(ids)
    if not lists:
        raise DataError(f"{root}: no lists/a20-*-tracks.list; unpack artist20-baseline.tgz there ({_HINT})")
    parts = [set(lists.get(name, ())) for name in ("trn", "val", "tst")]
    if len(set.union(*parts)) != sum(map(len, parts)):
        raise DataError(f"{root}: the lists trn, val and tst share tracks; unpack artist20-baseline.tgz again")
    return lists


def is_artist20(folder: Path) -> bool:
    """Tell artist20 from other folders by its layout or the names of its artists.

    Parameters
    ----------
    folder : pathlib.Path
        An existing folder.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_artist20(Path("/"))
    False
    """
    if any((folder / inner / "mp3s-32k").is_dir() for inner in ("", "artist20")):
        return True
    there = folder / "artists"
    return there.is_dir() and sum((there / artist).is_dir() for artist in ARTISTS) > len(ARTISTS) // 2


def _find(folder: str | Path | None) -> tuple[Path, Path]:
    """Root with the lists, and the folder with the artists."""
    start = files.located(folder) if folder else files.home() / "corpora" / "artist20"
    for root in (start, start / "artist20"):
        for music in (root / "mp3s-32k", root / "artists"):
            if music.is_dir():
                return root, music
    raise DataError(f"{start}: no mp3s-32k/ and no artists/ in it; artist20 is sent on request: {_HINT}")


def _lists(root: Path) -> list[Path]:
    return sorted((root / "lists").glob("a20-*-tracks.list"))


def _table(folder: str | Path, corpus: str) -> pd.DataFrame:
    root = files.located(folder)
    found, skipped = walk(root)
    if not found:
        kinds = ", ".join(s[1:] for s in SUFFIXES if s != ".mp3")
        raise DataError(
            f"{root}: no audio below it; expected artist/album/song.mp3 (or {kinds}). {names.listed(skipped)}".rstrip(
                ". "
            )
        )
    rows = []
    for path in found:
        artist, *between = path.relative_to(root).parts[:-1] or [None]
        if artist is None:
            skipped.append(f"{path}: lies in no artist's folder (from_tags goes by tags instead)")
            continue
        album, *deeper = between or [names.NO_ALBUM]
        rows.append({"artist": artist, "album": album, "title": " - ".join([*deeper, path.stem]), "path": str(path)})
    return table.build(rows, corpus, sorted(skipped))
