"""Which songs a model learns from, is chosen by, and is judged on.

A split is three disjoint sets of track ids. In a *song* split an album may lie on all sides, and a model can tell
artists by how their albums were produced; in an *album* split the test albums were never heard. An album is its name
together with its artist. Everything is deterministic by `seed` and blind to the order of rows. `label` is the column
that holds the class; every class is in every part. Tracks listed together in `same`, such as `Store.duplicates` gives,
stay together.

An album split validates on albums that training never heard where the test leaves a class two or more; where it leaves
one, on songs of that.
"""

import dataclasses
import math
import numbers
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from crnnlib.errors import DataError, ParameterError
from crnnlib.grouping import classes, deal, fill, flat, n_songs, share, shuffled
from crnnlib.partition import Split, design

__all__ = ["Split", "album_folds", "album_split", "design", "matched_pair", "official", "song_folds", "song_split"]

_ALBUMS = 6  # of an artist in artist20: one to the test, one to validation, and as many folds
_VALIDATION = 0.1


def song_split(
    tracks: pd.DataFrame, seed: int = 0, test: float = 0.1, validation: float = 0.1, label: str = "artist", same=()
) -> Split:
    """Split songs at random within each class, as the paper's song split does.

    Parameters
    ----------
    tracks : pandas.DataFrame
        Track table; at least three songs a class.
    seed : int
        Seed of the shuffle.
    test, validation : float
        Share of a class's songs for the test, and of what is left for validation; at least one song each.
    label : str
        Column of the class.
    same : sequence of collections of track ids
        Groups that stay together, in training where there is room.

    Returns
    -------
    Split

    Raises
    ------
    ParameterError
        If a share is not between 0 and 1.
    DataError
        If there is a single class, or one with fewer than three songs.

    Examples
    --------
    >>> split = song_split(tracks)
    >>> len(split.train), len(split.validation), len(split.test)
    (18, 3, 3)
    """
    for name, value in (("test", test), ("validation", validation)):
        if not 0 < value < 1:
            raise ParameterError(f"{name}={value!r}: expected a share between 0 and 1, e.g. 0.1")
    rng = np.random.default_rng(seed)
    parts = []
    for songs in classes(tracks, label, same, least=3).values():
        n = len(flat(songs))
        n_test = share(n, test)
        n_validation = share(n - n_test, validation)
        parts.append(fill(shuffled(songs, rng), (n - n_test - n_validation, n_validation, n_test)))
    return _gather("song", parts)


def song_folds(tracks: pd.DataFrame, k: int = 5, seed: int = 0, label: str = "artist", same=()) -> list[Split]:
    """Cut a corpus into `k` song splits that together test every song exactly once.

    Parameters
    ----------
    tracks, seed, label, same
        As for `song_split`.
    k : int
        Number of folds; no more than songs in the smallest class. Validation is a tenth of what a test leaves.

    Returns
    -------
    list of Split

    Raises
    ------
    ParameterError
        If `k` is not a whole number of at least 2.
    DataError
        If there is a single class, or one with too few songs.

    Examples
    --------
    >>> [(fold.name, len(fold.test)) for fold in song_folds(tracks, k=2)]
    [('song-1of2', 12), ('song-2of2', 12)]
    """
    k = _whole(k)
    folds: list[list] = [[] for _ in range(k)]
    rng = np.random.default_rng(seed)
    of_class = classes(tracks, label, same, least=max(k, 4 if k == 2 else 3))
    for turn, songs in enumerate(of_class.values()):
        for fold, (tested, rest) in zip(folds, deal(shuffled(songs, rng), k, turn), strict=True):
            n = len(flat(rest))
            n_validation = share(n, _VALIDATION)
            fold.append((*fill(shuffled(rest, rng), (n - n_validation, n_validation)), flat(tested)))
    return [_gather(f"song-{number}of{k}", fold) for number, fold in enumerate(folds, 1)]


def album_split(tracks: pd.DataFrame, seed: int = 0, label: str = "artist", same=()) -> Split:
    """Split albums at random within each class: one in six to the test, one in six to validation, the rest to training.

    At least one album is tested; a class of two has songs of the other one for validation. With six albums an artist,
    as in artist20, that is the paper's album split.

    Parameters
    ----------
    tracks : pandas.DataFrame
        Track table; at least two albums and three songs a class.
    seed, label, same
        As for `song_split`.

    Returns
    -------
    Split

    Raises
    ------
    DataError
        If there is a single class, or one with a single album or fewer than three songs.

    Examples
    --------
    >>> split = album_split(tracks)
    >>> len(split.train), len(split.validation), len(split.test)
    (9, 3, 12)
    """
    rng = np.random.default_rng(seed)
    songs = classes(tracks, label, same)
    parts = []
    for name, albums in classes(tracks, label, same, least=2, albums=True).items():
        albums = shuffled(albums, rng)
        if len(albums) == 2:  # the one left to train on has to spare songs for validation
            albums.sort(key=lambda album: n_songs(album, songs[name]) > 1)
        n = share(len(albums), 1 / _ALBUMS)
        parts.append(_hold_out(albums[:n], albums[n:], songs[name], rng))
    return _gather("album", parts)


def album_folds(
    tracks: pd.DataFrame, k: int | None = None, seed: int = 0, label: str = "artist", same=()
) -> list[Split]:
    """Cut a corpus into `k` album splits that together test every album exactly once.

    With six albums a class that is artist20's jackknife, save that of the five albums left one validates.

    Parameters
    ----------
    tracks, seed, label, same
        As for `album_split`.
    k : int, optional
        Number of folds; by default as many as the class with the fewest albums has, at most six.

    Returns
    -------
    list of Split

    Raises
    ------
    ParameterError
        If `k` is not a whole number of at least 2.
    DataError
        If there is a single class, or one with fewer than `k` albums, or one that has a single song to train on.

    Examples
    --------
    >>> one, other = album_folds(tracks)
    >>> one.name, len(one.test), set(one.test) & set(other.test)
    ('album-1of2', 12, set())
    """
    of_class = classes(tracks, label, same, least=2 if k is None else _whole(k), albums=True)
    k = k or min(_ALBUMS, *map(len, of_class.values()))
    songs = classes(tracks, label, same)
    folds: list[list] = [[] for _ in range(k)]
    rng = np.random.default_rng(seed)
    for turn, (name, albums) in enumerate(of_class.items()):
        albums = shuffled(albums, rng)
        sizes = [n_songs(album, songs[name]) for album in albums]
        if (len(albums), k) == (3, 2) and sizes[1] == 1:  # which the test of the other two would leave alone
            longest = max((0, 2), key=lambda number: sizes[number])
            albums[1], albums[longest] = albums[longest], albums[1]
        for fold, (tested, rest) in zip(folds, deal(albums, k, turn), strict=True):
            fold.append(_hold_out(tested, shuffled(rest, rng), songs[name], rng))
    return [_gather(f"album-{number}of{k}", fold) for number, fold in enumerate(folds, 1)]


def matched_pair(tracks: pd.DataFrame, seed: int = 0, label: str = "artist", same=()) -> tuple[Split, Split]:
    """Draw a song and an album split that differ in nothing but what they hold apart.

    Both give each class equally many songs in training, in validation and in the test, so that the difference of their
    scores is the producer effect and not the amount of music. A group in `same` may shift a count by its size.

    Parameters
    ----------
    tracks, seed, label, same
        As for `album_split`.

    Returns
    -------
    tuple of Split
        The song split, the album split.

    Raises
    ------
    DataError
        As `album_split` does.

    Examples
    --------
    >>> [(split.name, len(split.train)) for split in matched_pair(tracks)]
    [('song-matched', 9), ('album-matched', 9)]
    """
    album = album_split(tracks, seed, label, same)
    rng = np.random.default_rng(seed)
    parts = []
    for songs in classes(tracks, label, same, least=3).values():
        ids = set(flat(songs))
        sizes = [len(ids.intersection(part)) for part in (album.train, album.validation, album.test)]
        parts.append(fill(shuffled(songs, rng), sizes))
    return _gather("song-matched", parts), dataclasses.replace(album, name="album-matched")


def official(lists: Mapping[str, Iterable[str]]) -> Split:
    """Make artist20's own split from its lists: three albums an artist to train on, one to validate, two to test.

    Its other protocol, the jackknife over albums, is ``album_folds(tracks, k=6)``.

    Parameters
    ----------
    lists : mapping
        Track ids by ``trn``, ``val`` and ``tst``, as `corpora.folders.artist20_lists` reads them.

    Returns
    -------
    Split

    Raises
    ------
    DataError
        If a list is missing or empty.

    Examples
    --------
    >>> official({"trn": ["a/x/1"], "val": ["a/y/1"], "tst": ["a/z/1"]}).name
    'album-official'
    """
    for name in ("trn", "val", "tst"):
        if not lists.get(name):
            raise DataError(
                f"no official list a20-{name}-tracks.list; expected it in lists/, or use album_split(tracks)"
            )
    return Split("album-official", tuple(lists["trn"]), tuple(lists["val"]), tuple(lists["tst"]))


def _hold_out(tested: list, rest: list, songs: list, rng) -> tuple[list[str], list[str], list[str]]:
    """Take validation from the albums that the test leaves, or from the songs of the only one."""
    if len(rest) > 1:
        n = share(len(tested) + len(rest), 1 / _ALBUMS)
        return flat(rest[n:]), flat(rest[:n]), flat(tested)
    songs = [unit for unit in songs if unit[0] in rest[0]]
    if len(songs) < 2:
        raise DataError(
            f"{rest[0][0]!r} would be the only song to train on; expected two, one of them to validate; "
            "leave its artist out with corpora.select(tracks, artists=[...])"
        )
    n = len(flat(songs))
    n_validation = share(n, _VALIDATION)
    train, validation = fill(shuffled(songs, rng), (n - n_validation, n_validation))
    return train, validation, flat(tested)


def _gather(name: str, parts: list) -> Split:
    return Split(name, *(tuple(flat(part)) for part in zip(*parts, strict=True)))


def _whole(k: int) -> int:
    if not isinstance(k, numbers.Real) or not 2 <= k < math.inf or k != int(k):
        raise ParameterError(f"k={k!r}: expected a whole number of folds, at least 2")
    return int(k)
