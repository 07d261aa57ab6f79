"""Which songs a model learns from, is chosen by, and is judged on.

A split is three disjoint tuples of track ids. In a *song* split every album may lie on both sides, and a model can tell
artists by how their albums were produced; in an *album* split the test albums were never heard. An album is its name
together with its artist. All functions are deterministic by `seed`, blind to the order of rows, and take the column
that holds the class (`label`). Tracks of equal content, as `Store.duplicates` lists them, stay together (`same`).

Every class is in every part. Where an artist has three albums or more, the albums of validation are heard neither in
training nor in the test; with two, validation is songs of the training album.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from crnnlib.errors import DataError, ParameterError

__all__ = ["Split", "album_folds", "album_split", "matched_pair", "official", "song_folds", "song_split"]

_MOST_ALBUM_FOLDS = 6  # artist20's own protocol
_VALIDATION = 0.1


@dataclasses.dataclass(frozen=True)
class Split:
    """Track ids of training, validation and test.

    Parameters
    ----------
    name : str
        Its kind first: ``song``, ``song-2of5``, ``album``, ``album-matched``, ...
    train, validation, test : tuple of str
        Sorted track ids.

    Examples
    --------
    >>> Split("song", ("a/x/1",), ("a/x/2",), ("a/x/3",)).test
    ('a/x/3',)
    """

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def check(self, tracks: pd.DataFrame, store=None) -> "Split":
        """Prove that nothing leaks, and return the split.

        Parameters
        ----------
        tracks : pandas.DataFrame
            Track table.
        store : features.Store, optional
            If given, no two parts may hold audio of equal content.

        Raises
        ------
        DataError
            If a part is empty, an id is unknown or in two parts, an album split shares an album between the test and the
            rest (or between validation and training, where the artist has albums enough), or equal audio straddles.
        """
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        for part, ids in parts.items():
            if not ids:
                raise DataError(f"split {self.name!r}: {part} is empty")
            unknown = sorted(set(ids) - set(tracks.index))
            if unknown:
                raise DataError(f"split {self.name!r}: {part} names {len(unknown)} unknown tracks: {_few(unknown)}")
        self._disjoint(parts, {i: i for ids in parts.values() for i in ids}, "tracks")
        if self.name.startswith("album"):
            album = dict(zip(tracks.index, zip(tracks["artist"], tracks["album"], strict=True), strict=True))
            self._disjoint({"test": self.test, "training or validation": self.train + self.validation}, album, "albums")
            heard = {}
            for i in (*self.train, *self.validation):
                heard.setdefault(album[i][0], set()).add(album[i])
            rich = {artist for artist, albums in heard.items() if len(albums) > 1}
            narrowed = {p: [i for i in parts[p] if album[i][0] in rich] for p in ("train", "validation")}
            self._disjoint(narrowed, album, "albums")
        if store is not None:
            group = {i: n for n, ids in enumerate(store.duplicates()) for i in ids}
            self._disjoint({p: [i for i in ids if i in group] for p, ids in parts.items()}, group, "equal audio", group)
        return self

    def _disjoint(self, parts: Mapping, key: Mapping, what: str, show=None) -> None:
        owner = {}
        for part, ids in parts.items():
            for i in ids:
                other, first = owner.setdefault(key[i], (part, i))
                if other != part:
                    where = f"{first!r} and {i!r}" if show else repr(key[i])
                    raise DataError(f"split {self.name!r}: {other} and {part} share {what}: {where}")
                if what == "tracks" and first is not i and ids.count(i) > 1:
                    raise DataError(f"split {self.name!r}: {part} repeats {i!r}")


def song_split(tracks, seed=0, test=0.1, validation=0.1, label="artist", same: Sequence[Sequence[str]] = ()) -> Split:
    """Split songs at random within each class, as the paper's song split.

    Parameters
    ----------
    tracks : pandas.DataFrame
        Track table; at least three songs a class.
    seed : int
        Of the shuffle.
    test, validation : float
        Share of each class' songs for the test, and of the rest for validation; at least one song.
    label : str
        Column of the class.
    same : sequence of sequences of track ids
        Groups that stay together, in training where sizes allow.

    Returns
    -------
    Split

    Raises
    ------
    DataError
        If there is a single class, or one with fewer than three songs.
    """
    for name, share in (("test", test), ("validation", validation)):
        if not 0 < share < 1:
            raise ParameterError(f"{name}={share!r}: expected a share between 0 and 1, e.g. 0.1")
    rng = np.random.default_rng(seed)
    parts = []
    for units in _classes(tracks, label, same, least=3).values():
        n = sum(map(len, units))
        n_test = _share(n, test)
        n_validation = _share(n - n_test, validation)
        parts.append(_fill(_shuffled(units, rng), (n - n_test - n_validation, n_validation, n_test)))
    return _gather("song", parts)


def song_folds(tracks, k=5, seed=0, label="artist", same: Sequence[Sequence[str]] = ()) -> list[Split]:
    """Cut the corpus into `k` song splits whose tests hold every song exactly once.

    Parameters
    ----------
    tracks, seed, label, same
        As for `song_split`.
    k : int
        Number of folds; at most the number of songs in the smallest class, which needs three.

    Returns
    -------
    list of Split
        Validation is a tenth of each class' remaining songs.
    """
    if k != int(k) or k < 2:
        raise ParameterError(f"k={k!r}: expected a whole number of folds, at least 2")
    rng = np.random.default_rng(seed)
    folds = [[] for _ in range(k)]
    for units in _classes(tracks, label, same, least=max(k, 3)).values():
        dealt = _deal(_shuffled(units, rng), folds)
        for fold, tested in zip(folds, dealt, strict=True):
            rest = _shuffled([u for u in units if u not in tested], rng)
            n = sum(map(len, rest))
            train, held = _fill(rest, (n - _share(n, _VALIDATION), _share(n, _VALIDATION)))
            fold.append((train, held, [i for u in tested for i in u]))
    return [_gather(f"song-{n}of{k}", fold) for n, fold in enumerate(folds, 1)]


def album_split(tracks, seed=0, label="artist", same: Sequence[Sequence[str]] = ()) -> Split:
    """Split albums at random within each class: one in six to the test, one in six to validation.

    The rest is for training. On artist20, with six albums an artist, that is the paper's album split.

    Parameters
    ----------
    tracks, seed, label, same
        As for `song_split`; at least two albums a class.

    Returns
    -------
    Split

    Raises
    ------
    DataError
        If there is a single class, or one with a single album.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for units in _classes(tracks, label, same, least=2, albums=True).values():
        units = _shuffled(units, rng)
        n_test = _share(len(units), 1 / _MOST_ALBUM_FOLDS)
        parts.append(_hold_out(units[:n_test], units[n_test:], rng))
    return _gather("album", parts)


def album_folds(tracks, k=None, seed=0, label="artist", same: Sequence[Sequence[str]] = ()) -> list[Split]:
    """Cut the corpus into `k` album splits whose tests hold every album exactly once; on artist20, its 6-fold jackknife.

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
    DataError
        If there is a single class, or one with fewer than `k` albums.
    """
    if k is not None and (k != int(k) or k < 2):
        raise ParameterError(f"k={k!r}: expected a whole number of folds, at least 2")
    classes = _classes(tracks, label, same, least=k or 2, albums=True)
    k = k or min(_MOST_ALBUM_FOLDS, *map(len, classes.values()))
    rng = np.random.default_rng(seed)
    folds = [[] for _ in range(k)]
    for units in classes.values():
        for fold, tested in zip(folds, _deal(_shuffled(units, rng), folds), strict=True):
            fold.append(_hold_out(tested, _shuffled([u for u in units if u not in tested], rng), rng))
    return [_gather(f"album-{n}of{k}", fold) for n, fold in enumerate(folds, 1)]


def matched_pair(tracks, seed=0, label="artist", same: Sequence[Sequence[str]] = ()) -> tuple[Split, Split]:
    """Draw a song and an album split that differ in nothing but what they hold apart.

    Each class has equally many songs in training, in validation and in the test of both, so that a difference in score
    is the producer effect, not the amount of music. Groups in `same` may shift a count by their size.

    Parameters
    ----------
    tracks, seed, label, same
        As for `album_split`.

    Returns
    -------
    tuple of Split
        The song split, the album split.
    """
    album = album_split(tracks, seed, label, same)
    rng = np.random.default_rng(seed)
    parts = []
    for units in _classes(tracks, label, same, least=3).values():
        ids = {i for u in units for i in u}
        counts = [len(ids.intersection(part)) for part in (album.train, album.validation, album.test)]
        parts.append(_fill(_shuffled(units, rng), counts))
    return _gather("song-matched", parts), dataclasses.replace(album, name="album-matched")


def official(lists: Mapping[str, Iterable[str]]) -> Split:
    """Make artist20's own split from its lists: three albums an artist to train, one to validate, two to test.

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
        If a list is missing.

    Examples
    --------
    >>> official({"trn": ["a/x/1"], "val": ["a/y/1"], "tst": ["a/z/1"]}).name
    'album-official'
    """
    missing = [name for name in ("trn", "val", "tst") if not lists.get(name)]
    if missing:
        raise DataError(
            f"artist20 lists: no a20-{missing[0]}-tracks.list; see the page on artist20, or use album_split"
        )
    return Split("album-official", *(tuple(sorted(lists[name])) for name in ("trn", "val", "tst")))


def _classes(tracks, label: str, same, least: int, albums=False) -> dict:
    """Map each class to its units, lists of track ids that no split may part: albums, or songs with their equals."""
    if label not in tracks:
        raise ParameterError(f"label={label!r}: expected a column of the track table: {', '.join(tracks.columns)}")
    tracks = tracks.sort_index()
    parent = {i: i for i in tracks.index}

    def root(i):
        while parent[i] != i:
            i = parent[i]
        return i

    ties = [[i for i in group if i in parent] for group in same]
    if albums:
        ties += [list(ids) for ids in tracks.groupby(["artist", "album"]).groups.values()]
    for group in ties:
        for i in group[1:]:
            parent[max(root(group[0]), root(i))] = min(root(group[0]), root(i))
    units = {}
    for i in tracks.index:
        units.setdefault(root(i), []).append(i)
    classes = {}
    for unit in units.values():
        names = sorted(set(tracks.loc[unit, label]))
        if len(names) > 1:
            raise DataError(f"equal audio or one album in {len(names)} classes {names}: {_few(unit)}; drop all but one")
        classes.setdefault(names[0], []).append(unit)
    what = "albums" if albums else "songs"
    if len(classes) < 2:
        raise DataError(f"a single {label}, {next(iter(classes), None)!r}: expected at least two to tell apart")
    poor = [name for name, of in classes.items() if len(of) < least or sum(map(len, of)) < 3]
    if poor:
        hint = (
            f"select(tracks, min_albums={least})"
            if albums and label == "artist"
            else f"select(tracks, min_tracks={least})"
        )
        raise DataError(
            f"{len(poor)} of {len(classes)} with fewer than {least} {what}: {_few(poor)}; use corpora.{hint}"
        )
    return {name: classes[name] for name in sorted(classes)}


def _share(n: int, share: float) -> int:
    return max(1, round(n * share))


def _shuffled(units: list, rng) -> list:
    return [units[i] for i in rng.permutation(len(units))]


def _deal(units: list, folds: list) -> list[list]:
    """Give each fold its units; who comes first in one class comes last in the next, so that folds stay even."""
    k, offset = len(folds), len(folds[0])
    return [[u for n, u in enumerate(units) if (n + offset) % k == fold] for fold in range(k)]


def _fill(units: list, sizes: Sequence[int]) -> list[list[str]]:
    """Fill parts of given sizes; groups come first, and training is the first part."""
    parts = [[] for _ in sizes]
    for unit in sorted(units, key=len, reverse=True):
        room = [size - len(part) for size, part in zip(sizes, parts, strict=True)]
        fits = [n for n, free in enumerate(room) if free >= len(unit)]
        parts[fits[0] if fits else int(np.argmax(room))].extend(unit)
    return parts


def _hold_out(tested: list, rest: list, rng) -> tuple[list[str], list[str], list[str]]:
    """Take validation from the albums that are left, or from the songs of the only one."""
    if len(rest) > 1:
        n = min(_share(len(rest) + len(tested), 1 / _MOST_ALBUM_FOLDS), len(rest) - 1)
        train, held = [i for u in rest[n:] for i in u], [i for u in rest[:n] for i in u]
    else:
        songs = _shuffled([[i] for i in rest[0]], rng)
        if len(songs) < 2:
            raise DataError(
                f"{rest[0][0]!r}: the only song to train on; expected two, one of them to validate; "
                "use corpora.select(tracks, artists=[...]) without its artist"
            )
        n = _share(len(songs), _VALIDATION)
        train, held = _fill(songs, (len(songs) - n, n))
    return train, held, [i for u in tested for i in u]


def _gather(name: str, parts: list) -> Split:
    return Split(name, *(tuple(sorted(i for part in column for i in part)) for column in zip(*parts, strict=True)))


def _few(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
