"""One split: what its name tells, and what leaks are found."""

import dataclasses
from types import SimpleNamespace

import pytest

from crnnlib import partition, splits
from crnnlib.corpora import table
from crnnlib.errors import DataError


def store_with(*equal):
    """Stands in for a store that found equal audio."""
    return SimpleNamespace(duplicates=lambda: [sorted(equal)])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("song", ("song", "one split")),
        ("song-2of5", ("song", "5 folds")),
        ("album-10of12", ("album", "12 folds")),
        ("album-matched", ("album", "matched")),
    ],
)
def test_the_name_of_a_split_tells_its_kind_and_design(name, expected):
    assert partition.design(name) == expected


def test_check_finds_what_leaks():
    rows = [{"artist": a, "album": b, "title": t, "path": f"/{a}{b}{t}"} for a in "AB" for b in "xyz" for t in "1234"]
    tracks = table.build(rows, "example")
    split = splits.album_split(tracks)
    spare, *train = split.train
    broken = {
        "unknown tracks: nobody": {"train": (*split.train, "nobody")},
        "test repeats a track or is empty": {"test": ()},
        "train repeats a track": {"train": (*split.train, spare)},
        "share a track": {"test": (*split.test, spare)},
        "share an album": {"train": tuple(train), "test": (*split.test, spare)},
    }
    for message, change in broken.items():
        with pytest.raises(DataError, match=message):
            dataclasses.replace(split, **change).check(tracks)
    song = dataclasses.replace(split, name="song", train=tuple(train), test=(*split.test, spare))
    assert song.check(tracks) is song
    with pytest.raises(DataError, match=r"share equal audio: .*same=store.duplicates"):
        split.check(tracks, store_with(split.train[0], split.test[0]))
    assert split.check(tracks, store_with(*split.train[:2])) is split
