"""One split: three disjoint sets of songs, and the proof that nothing leaks from one to another.

`crnnlib.splits` draws them and hands `Split` on. See chapter 3, *Split without leaking*.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence

import pandas as pd

from crnnlib.corpora.names import listed
from crnnlib.errors import DataError

__all__ = ["Split", "design"]


@dataclasses.dataclass(frozen=True)
class Split:
    """Track ids of training, validation and test.

    Parameters
    ----------
    name : str
        Its kind comes first: ``song``, ``song-2of5``, ``album``, ``album-matched``, ...
    train, validation, test : iterable of str
        Track ids; kept as sorted tuples.

    Examples
    --------
    >>> Split("song", ["a/x/3", "a/x/1"], ["a/x/2"], ["a/y/1"]).train
    ('a/x/1', 'a/x/3')
    >>> split.check(tracks, store) is split
    True
    """

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self):
        for part in ("train", "validation", "test"):
            object.__setattr__(self, part, tuple(sorted(getattr(self, part))))

    def check(self, tracks: pd.DataFrame, store=None) -> "Split":
        """Prove that nothing leaks, and return the split.

        Parameters
        ----------
        tracks : pandas.DataFrame
            Track table.
        store : features.Store, optional
            If given, no two parts may hold equal audio.

        Raises
        ------
        DataError
            If a part is empty, or names a track that is unknown, repeated or in another part; if an album split tests
            on an album that training or validation holds; if equal audio lies in two parts.
        """
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        for part, ids in parts.items():
            unknown = sorted(set(ids).difference(tracks.index))
            if unknown:
                raise DataError(f"split {self.name!r}: {part} names {len(unknown)} unknown tracks: {listed(unknown)}")
            if len(set(ids)) != len(ids) or not ids:
                raise DataError(f"split {self.name!r}: {part} repeats a track or is empty; expected each id once")
        self._disjoint(parts, {i: i for i in tracks.index}, "a track")
        if self.name.startswith("album"):
            album = dict(zip(tracks.index, zip(tracks["artist"], tracks["album"], strict=True), strict=True))
            self._disjoint({"test": self.test, "the rest": self.train + self.validation}, album, "an album")
        if store is not None:
            equal = {i: group[0] for group in store.duplicates() for i in group}
            self._disjoint(parts, equal, "equal audio", "; draw it with same=store.duplicates()")
        return self

    def _disjoint(self, parts: Mapping[str, Sequence[str]], key: Mapping, what: str, hint: str = "") -> None:
        owner: dict = {}
        for part, ids in parts.items():
            for i in ids:
                other, first = owner.setdefault(key.get(i, i), (part, i))
                if other != part:
                    raise DataError(f"split {self.name!r}: {other} and {part} share {what}: {first!r}, {i!r}{hint}")


def design(name: str) -> tuple[str, str]:
    """Take the name of a split apart: its kind, and how such splits are drawn.

    Scores of one kind and one design belong together; those of another design were tested on more songs or fewer.

    Parameters
    ----------
    name : str
        Of a `Split`.

    Returns
    -------
    kind : {"song", "album"}
    design : str
        "one split", "K folds", "matched" or "official".

    Examples
    --------
    >>> design("album"), design("album-2of3"), design("album-official")
    (('album', 'one split'), ('album', '3 folds'), ('album', 'official'))
    """
    kind, _, way = name.partition("-")
    fold = re.fullmatch(r"\d+of(\d+)", way)
    return kind, f"{fold[1]} folds" if fold else way or "one split"
