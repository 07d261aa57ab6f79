"""What no split may part, and how it is dealt out.

A unit is a list of track ids that stay together: an album, or a song with those of equal audio. Of units are made
classes, and of these the parts of a split. `rng` is a `numpy.random.Generator`.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import DisjointSet

from crnnlib.corpora.names import listed
from crnnlib.errors import DataError, ParameterError

__all__ = ["classes", "deal", "fill", "flat", "n_songs", "share", "shuffled"]

Unit = list[str]


def classes(
    tracks: pd.DataFrame,
    label: str,
    same: Sequence[Collection[str]] = (),
    least: int = 1,
    albums: bool = False,
    songs: int | None = None,
) -> dict[str, list[Unit]]:
    """Map each class to its units.

    Parameters
    ----------
    tracks : pandas.DataFrame
        Track table.
    label : str
        Column of the class.
    same : sequence of collections of str
        Ids that stay together; those not in the table do not matter.
    least : int
        Fewest units that each class must have.
    albums : bool
        Whether an album (its name and its artist's) is a unit too.
    songs : int, optional
        Fewest songs that each class must have; by default three with `albums`, else one.

    Returns
    -------
    dict of list of list of str
        Sorted at every level.

    Raises
    ------
    ParameterError
        If there is no such column.
    DataError
        If a label is missing, a unit has two, there is but one class, or one has too few units.

    Examples
    --------
    >>> rows = [("A", "x"), ("A", "x"), ("B", "y"), ("B", "z")]
    >>> tracks = pd.DataFrame(rows, columns=["artist", "album"], index=list("abcd"))
    >>> classes(tracks, "artist")
    {'A': [['a'], ['b']], 'B': [['c'], ['d']]}
    >>> classes(tracks, "artist", same=[("a", "b")])
    {'A': [['a', 'b']], 'B': [['c'], ['d']]}
    """
    if label not in tracks:
        raise ParameterError(f"label={label!r}: expected a column of the track table, one of {', '.join(tracks)}")
    tracks = tracks.sort_index()
    unlabelled = tracks.index[tracks[label].isna()]
    if len(unlabelled):
        raise DataError(f"no {label} for {len(unlabelled)} tracks: {listed(list(unlabelled))}; drop them")
    ties = [sorted(set(group).intersection(tracks.index)) for group in same]
    if albums:
        ties += [list(ids) for ids in tracks.groupby(["artist", "album"]).groups.values()]
    label_of, found = tracks[label].to_dict(), {}
    for unit in _united(tracks.index, ties):
        names = sorted({str(label_of[i]) for i in unit})
        if len(names) > 1:
            raise DataError(f"{listed(unit)}: one unit, but {label} is {listed(names)}; drop all but one")
        found.setdefault(names[0], []).append(unit)
    if len(found) < 2:
        raise DataError(f"{label} is {listed(list(found))} throughout; expected two or more to tell apart")
    songs = songs or (3 if albums else 1)
    poor = sorted(name for name, units in found.items() if len(units) < least or len(flat(units)) < songs)
    if poor:
        needed = f"{least} albums and 3 songs" if albums else f"{least} songs"
        limits = f"min_albums={least}, min_tracks=3" if albums else f"min_tracks={least}"
        command = f"use corpora.select(tracks, {limits})" if label == "artist" else "drop their tracks"
        raise DataError(f"{len(poor)} of {len(found)} have fewer than {needed}: {listed(poor)}; {command}")
    return {name: sorted(found[name]) for name in sorted(found)}


def fill(units: list[Unit], sizes: Sequence[int]) -> list[list[str]]:
    """Fill parts of given sizes, the largest units and the first part first.

    Parameters
    ----------
    units : list of list of str
        At least as many as there are parts.
    sizes : sequence of int
        Tracks wanted in each part. No part stays empty; with units of one track each, the sizes are met exactly.

    Returns
    -------
    list of list of str
        The ids of each part.

    Examples
    --------
    >>> fill([["a"], ["b", "c"], ["d"]], (2, 1, 1))
    [['b', 'c'], ['a'], ['d']]
    """
    parts: list[list[str]] = [[] for _ in sizes]
    ordered = sorted(units, key=len, reverse=True)
    for left, unit in zip(range(len(ordered), 0, -1), ordered, strict=True):
        empty = [n for n, part in enumerate(parts) if not part]
        room = {n: sizes[n] - len(parts[n]) for n in (empty if len(empty) == left else range(len(parts)))}
        fits = [n for n, free in room.items() if free >= len(unit)]
        parts[fits[0] if fits else max(room, key=lambda n: room[n])] += unit
    return parts


def deal(units: list, k: int, first: int = 0) -> Iterator[tuple[list, list]]:
    """Deal units out like cards, the first to pile `first`.

    Parameters
    ----------
    units : list
        Anything.
    k : int
        Number of piles.
    first : int
        Where to begin; one further from class to class keeps the piles even.

    Yields
    ------
    tuple of list
        A pile, and all that is not in it.

    Examples
    --------
    >>> list(deal(["a", "b", "c"], 2))
    [(['a', 'c'], ['b']), (['b'], ['a', 'c'])]
    """
    for pile in range(k):
        chosen = [(n + first) % k == pile for n in range(len(units))]
        yield (
            [unit for unit, here in zip(units, chosen, strict=True) if here],
            [unit for unit, here in zip(units, chosen, strict=True) if not here],
        )


def flat(units: Iterable[Iterable[str]]) -> list[str]:
    """List the ids of units.

    Parameters
    ----------
    units : iterable of iterable of str
        Groups of ids.

    Returns
    -------
    list of str
        Their ids, one group after the other.

    Examples
    --------
    >>> flat([["a", "b"], ["c"]])
    ['a', 'b', 'c']
    """
    return list(chain.from_iterable(units))


def n_songs(album: Unit, songs: Iterable[Unit]) -> int:
    """Count the songs of an album, those of equal audio once.

    Parameters
    ----------
    album : list of str
        Its track ids.
    songs : iterable of Unit
        The songs of its class, as `classes` gives them.

    Returns
    -------
    int

    Examples
    --------
    >>> n_songs(["a", "b", "c"], [["a", "b"], ["c"], ["d"]])
    2
    """
    within = set(album)
    return sum(song[0] in within for song in songs)


def share(n: int, of_one: float) -> int:
    """Round a share of `n`, to at least one.

    Parameters
    ----------
    n : int
        How many there are.
    of_one : float
        The share, in [0, 1].

    Returns
    -------
    int
        Between 1 and `n`.

    Examples
    --------
    >>> share(25, 0.1), share(3, 0.1)
    (2, 1)
    """
    return max(1, round(n * of_one))


def shuffled(units: list, rng: np.random.Generator) -> list:
    """Return the units in random order.

    Parameters
    ----------
    units : list
        Whatever is to be shuffled; left as it is.
    rng : numpy.random.Generator
        Draws the order.

    Returns
    -------
    list
        The same units in another order.

    Examples
    --------
    >>> sorted(shuffled([["a"], ["b"]], np.random.default_rng(0)))
    [['a'], ['b']]
    """
    return [units[n] for n in rng.permutation(len(units))]


def _united(ids: Iterable[str], ties: Iterable[Sequence[str]]) -> list[Unit]:
    """Join ids that ties connect, directly or by a chain of them."""
    units = DisjointSet(ids)
    for first, *others in filter(None, ties):
        for other in others:
            units.merge(first, other)
    return [sorted(unit) for unit in units.subsets()]
