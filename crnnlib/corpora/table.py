"""The track table: what every source of music becomes, and the choice of a part of it.

A pandas DataFrame, one row a track, indexed by a unique ``track_id`` (``artist/album/title``, the form of artist20's
own lists) and sorted by it. Columns ``artist, album, title, path`` (str; `path` is absolute), optional ``seconds``
(float) and ``licence`` (str). ``tracks.attrs["corpus"]`` names the corpus. ``crnnlib.corpora.names`` says how names are
cleaned; tracks that would share an id are numbered, ``… (2)``, in the order of their paths. Whatever a source offers
and the table leaves out is announced in one warning and listed in ``tracks.attrs["skipped"]``.
"""

import difflib
import re
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from crnnlib.corpora import names
from crnnlib.errors import DataError, ParameterError

__all__ = ["COLUMNS", "build", "carries", "select", "summary", "validate"]

COLUMNS = ("artist", "album", "title", "path")
_OPTIONAL = ("seconds", "licence")


def build(rows: Iterable[Mapping], corpus: str, skipped: Sequence[str] = ()) -> pd.DataFrame:
    """Make a track table from one mapping per track.

    Parameters
    ----------
    rows : iterable of mapping
        Keys as the columns; `seconds` and `licence` only if the source has them.
    corpus : str
        The corpus' short name, used for folders.
    skipped : sequence of str
        What was left out, as ``path: reason``.

    Returns
    -------
    pandas.DataFrame
        A valid track table.

    Raises
    ------
    DataError
        If there are no rows, or a row is not usable.

    Examples
    --------
    >>> row = {
    ...     "artist": "AC/DC",
    ...     "album": "Live",
    ...     "title": "Jailbreak\\n",
    ...     "path": "/music/j.mp3",
    ... }
    >>> build([row], "example").index.to_list()
    ['AC_DC/Live/Jailbreak']
    """
    table = pd.DataFrame(sorted(rows, key=lambda row: row["path"]))
    if table.empty:
        raise DataError(f"{corpus}: no tracks to use; {names.listed(skipped) or 'expected at least one'}")
    for column in COLUMNS[:3]:
        table[column] = [names.clean(value) for value in table[column]]
    ids = [names.track_id(*three) for three in zip(*(table[c] for c in COLUMNS[:3]), strict=True)]
    table.index = pd.Index(names.number(ids), name="track_id")
    repeats = [new for old, new in zip(ids, table.index, strict=True) if old != new]
    table = table[[c for c in (*COLUMNS, *_OPTIONAL) if c in table]].sort_index()
    table.attrs.update(corpus=corpus, skipped=tuple(skipped))
    if repeats:
        warnings.warn(
            f"{corpus}: {len(repeats)} tracks share artist, album and title with another and are numbered: "
            f"{names.listed(repeats)}. If they are one song in two files, keep one: a split by song would leak.",
            stacklevel=3,
        )
    if skipped:
        warnings.warn(f"{corpus}: {len(skipped)} left out: {names.listed(skipped)}", stacklevel=3)
    return validate(table)


def validate(tracks: pd.DataFrame) -> pd.DataFrame:
    """Check that a DataFrame is a track table, and return it.

    Parameters
    ----------
    tracks : pandas.DataFrame
        See the top of this module.

    Returns
    -------
    pandas.DataFrame
        The same object.

    Raises
    ------
    ParameterError
        If it is no DataFrame, or lacks a column or the corpus' name.
    DataError
        If it is empty or out of order, or an id, a name or a path is not as described.

    Examples
    --------
    >>> validate(pd.DataFrame({"artist": ["A"]}))
    Traceback (most recent call last):
        ...
    crnnlib.errors.ParameterError: track table without album, title, path: expected artist, album, title, path
    """
    if not isinstance(tracks, pd.DataFrame):
        raise ParameterError(f"tracks is a {type(tracks).__name__}: expected a track table, e.g. corpora.load('demo')")
    missing = [c for c in COLUMNS if c not in tracks]
    if missing:
        raise ParameterError(f"track table without {', '.join(missing)}: expected {', '.join(COLUMNS)}")
    if not tracks.attrs.get("corpus"):
        raise ParameterError("track table without attrs['corpus']: expected a short name, e.g. 'my-music'")
    if tracks.empty:
        raise DataError("track table without tracks: expected at least one row")
    ids = tracks.index
    one_line = re.compile(r"[^/]+/[^/]+/[^/]+")
    faults = {
        "ids not of the form artist/album/title on one line": [
            i for i in ids if not (isinstance(i, str) and one_line.fullmatch(i) and names.clean(i) == i)
        ],
        "ids that repeat": ids[ids.duplicated()],
        "paths that are not absolute": [
            p for p in tracks["path"] if not (isinstance(p, str) and Path(p).is_absolute())
        ],
    }
    for column in COLUMNS[:3]:
        column_is_text = [isinstance(value, str) and bool(value.strip()) for value in tracks[column]]
        faults[f"rows without {column}"] = [i for i, good in zip(ids, column_is_text, strict=True) if not good]
    for what, where in faults.items():
        if len(where):
            raise DataError(f"track table with {len(where)} {what}: {names.listed([repr(w) for w in where])}")
    if not ids.is_monotonic_increasing:
        raise DataError("track table out of order: expected it sorted by id; use tracks.sort_index()")
    return tracks


def select(
    tracks: pd.DataFrame, min_tracks: int = 1, min_albums: int = 1, artists: Collection[str] | None = None
) -> pd.DataFrame:
    """Keep the artists that have enough music.

    Parameters
    ----------
    tracks : pandas.DataFrame
        Track table.
    min_tracks, min_albums : int
        Least number of tracks and of albums an artist must have.
    artists : collection of str, optional
        Choose among these only.

    Returns
    -------
    pandas.DataFrame
        Track table of the same corpus.

    Raises
    ------
    ParameterError
        If a number is below one, or an artist is not in the table.
    DataError
        If nobody is left.

    Examples
    --------
    >>> len(tracks), len(select(tracks, artists=["Ada"]))
    (24, 8)
    """
    for name, least in (("min_tracks", min_tracks), ("min_albums", min_albums)):
        if least < 1 or least != int(least):
            raise ParameterError(f"{name}={least}: expected a whole number, at least 1")
    if isinstance(artists, str):
        raise ParameterError(f"artists={artists!r}: expected a list, e.g. [{artists!r}]")
    if artists is not None:
        known = sorted(set(tracks["artist"]))
        for artist in sorted(set(artists) - set(known)):
            near = difflib.get_close_matches(str(artist), known, 3, 0.5) or known[:3]
            raise ParameterError(f"artists: {artist!r} is not in {tracks.attrs.get('corpus')}; there are e.g. {near}")
        tracks = tracks[tracks["artist"].isin(artists)]
    of = tracks.groupby("artist")
    enough = (of["title"].transform("size") >= min_tracks) & (of["album"].transform("nunique") >= min_albums)
    if not enough.any():
        most = f"{of.size().max()} tracks, {of['album'].nunique().max()} albums" if len(tracks) else "no artists chosen"
        raise DataError(f"no artist with {min_tracks} tracks and {min_albums} albums; the most there are: {most}")
    return tracks[enough]


def summary(tracks: pd.DataFrame) -> pd.DataFrame:
    """Count tracks, albums and minutes of each artist.

    Parameters
    ----------
    tracks : pandas.DataFrame
        Track table.

    Returns
    -------
    pandas.DataFrame
        Indexed by artist; columns ``tracks``, ``albums``, and ``minutes`` if the table has lengths.

    Examples
    --------
    >>> row = {"artist": "A", "album": "x", "title": "t", "path": "/t.mp3", "seconds": 90.0}
    >>> summary(build([row], "example")).loc["A"].to_list()
    [1.0, 1.0, 1.5]
    """
    counts: dict[str, tuple] = {"tracks": ("title", "size"), "albums": ("album", "nunique")}
    if "seconds" in tracks:
        counts["minutes"] = ("seconds", lambda seconds: seconds.sum() / 60)
    return tracks.groupby("artist").agg(**counts)


def carries(tracks: pd.DataFrame) -> pd.DataFrame:
    """Say which splits a corpus can carry, and what stands against the others.

    Parameters
    ----------
    tracks : pandas.DataFrame
        Track table.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``song_split, song_folds, album_split, album_folds``; columns ``carried`` (bool), ``artists`` (how
        many have enough music) and ``why``.

    Examples
    --------
    >>> carries(tracks[tracks["album"] == "First"])["carried"].to_dict()
    {'song_split': True, 'song_folds': False, 'album_split': False, 'album_folds': False}
    """
    of = tracks.groupby("artist")
    songs, albums = of.size(), of["album"].nunique()
    fewest = min(6, max(2, albums.min()))
    needs = {
        "song_split": (songs >= 3, "3 songs", "select(tracks, min_tracks=3)", "train, validate, test"),
        "song_folds": (songs >= 5, "5 songs", "select(tracks, min_tracks=5) or fewer folds", "5 folds"),
        "album_split": (
            (albums >= 2) & (songs >= 3),
            "2 albums and 3 songs",
            "select(tracks, min_albums=2, min_tracks=3)",
            "validation albums of their own" if albums.min() >= 3 else "validation from the training albums of some",
        ),
    }
    elsewhere = songs - of["album"].agg(lambda album: album.value_counts().max())
    needs["album_folds"] = (
        needs["album_split"][0] & (elsewhere >= 2),
        "2 albums, and 2 songs that are not on the largest",
        "leave them out",
        f"{fewest} folds, as many as the fewest albums of an artist, up to 6",
    )
    rows = {}
    for split, (enough, least, command, good) in needs.items():
        carried = bool(enough.all()) and len(enough) > 1
        why = good
        if len(enough) < 2:
            why = "a single artist; expected two or more to tell apart"
        elif not carried:
            poor = names.listed(list(enough.index[~enough]))
            why = f"fewer than {least}: {poor}; {command if enough.sum() > 1 else 'too few artists have enough music'}"
        rows[split] = {"carried": carried, "artists": int(enough.sum()), "why": why}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("split")
