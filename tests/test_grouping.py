"""Units: what belongs together stays together, and parts get what they asked for."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnnlib import grouping
from crnnlib.errors import DataError, ParameterError


def table(rows, **columns):
    """Track table of (artist, album) pairs, numbered."""
    tracks = pd.DataFrame(rows, columns=["artist", "album"], index=[f"{n:03d}" for n in range(len(rows))])
    return tracks.assign(**columns)


def test_ties_reach_through_a_chain_and_across_albums():
    tracks = table([("A", "x"), ("A", "x"), ("A", "y"), ("A", "z"), ("B", "x"), ("B", "x"), ("B", "y")])
    same = [("001", "002"), ("002", "003"), ("006", "gone")]
    assert grouping.classes(tracks, "artist", same)["A"] == [["000"], ["001", "002", "003"]]
    assert grouping.classes(tracks, "artist", same, albums=True)["A"] == [["000", "001", "002", "003"]]
    assert grouping.classes(tracks, "artist", same, albums=True)["B"] == [["004", "005"], ["006"]]


def test_albums_of_one_name_and_two_artists_are_two():
    tracks = table([("A", "Greatest Hits")] * 3 + [("B", "Greatest Hits")] * 3)
    assert grouping.classes(tracks, "artist", albums=True) == {
        "A": [["000", "001", "002"]],
        "B": [["003", "004", "005"]],
    }


@pytest.mark.parametrize(
    ("tracks", "options", "message"),
    [
        (table([("A", "x"), ("A", "y")]), {}, "artist is A throughout"),
        (table([("A", "x"), ("B", "y")]), {"label": "genre"}, "label='genre'"),
        (table([("A", "x"), ("B", "y")], genre=["rock", None]), {"label": "genre"}, "no genre for 1 tracks: 001"),
        (table([("A", "x"), ("B", "y")]), {"same": [("000", "001")]}, "000; 001: one unit, but artist is A; B"),
        (table([("A", "x"), ("B", "y"), ("B", "y")]), {"least": 2}, r"1 of 2 .* songs: A; use .*min_tracks=2"),
        (table([("A", "x")] * 4 + [("B", "y"), ("B", "z")]), {"least": 2, "albums": True}, r"2 of 2 .*min_albums=2"),
    ],
)
def test_a_corpus_that_cannot_be_grouped_is_refused(tracks, options, message):
    with pytest.raises((DataError, ParameterError), match=message):
        grouping.classes(tracks, **{"label": "artist", **options})


sizes_of_units = st.lists(st.integers(1, 4), min_size=3, max_size=30)


@given(sizes_of_units, st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20)))
def test_fill_places_every_unit_whole_and_leaves_no_part_empty(sizes, wanted):
    units = [[f"{n}-{m}" for m in range(size)] for n, size in enumerate(sizes)]
    parts = grouping.fill(units, wanted)
    assert sorted(grouping.flat(parts)) == sorted(grouping.flat(units))
    assert all(parts)
    assert all(sum(not set(unit).isdisjoint(part) for part in parts) == 1 for unit in units)


@given(st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20)))
def test_fill_meets_the_sizes_of_single_songs_exactly(wanted):
    parts = grouping.fill([[str(n)] for n in range(sum(wanted))], wanted)
    assert tuple(map(len, parts)) == wanted


@given(st.integers(0, 40), st.integers(2, 6), st.integers(0, 9))
def test_deal_gives_each_card_once_and_even_piles(n, k, first):
    cards = list(range(n))
    piles = list(grouping.deal(cards, k, first))
    assert sorted(grouping.flat(pile for pile, _ in piles)) == cards
    assert all(sorted(pile + rest) == cards for pile, rest in piles)
    assert max(len(pile) for pile, _ in piles) - min(len(pile) for pile, _ in piles) <= 1


def test_shuffled_keeps_all_and_follows_the_generator():
    units = [[str(n)] for n in range(50)]
    once, again = (grouping.shuffled(units, np.random.default_rng(3)) for _ in range(2))
    assert once == again != units
    assert sorted(once) == sorted(units)
