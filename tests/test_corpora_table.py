"""Names become safe ids, tables are checked at the border, artists are chosen."""

import hypothesis
import hypothesis.strategies as st
import pandas as pd
import pytest

from crnnlib import corpora
from crnnlib.corpora import names, table
from crnnlib.errors import DataError, ParameterError

ODD = st.text(st.characters(), max_size=30) | st.sampled_from(
    ["", ".", "..", "/", "a/b", "\n", "\u2028", "\x85x", "\udcff", "<b>x</b>", "e\u0301", "\x00", "🎵", "  a  b "]
)


def rows(**of):
    """`rows(A={"x": 3})`: artist A, album x, three tracks."""
    return [
        {"artist": a, "album": album, "title": f"{n:02d}", "path": f"/{a}/{album}/{n}.mp3", "seconds": 60.0}
        for a, albums in of.items()
        for album, count in albums.items()
        for n in range(count)
    ]


@pytest.fixture
def tracks():
    return table.build(rows(A={"x": 3, "y": 2}, B={"x": 3, "z": 3, "w": 1}, C={"q": 5}), "example")


@hypothesis.given(ODD, ODD, ODD)
def test_track_id_is_one_safe_line_with_two_slashes(artist, album, title):
    identity = names.track_id(artist, album, title)
    parts = identity.split("/")
    assert len(parts) == 3
    assert all(part.strip() and set(part) - {"."} for part in parts)
    assert len(identity.splitlines()) == 1
    identity.encode("utf-8")
    assert names.track_id(*parts) == identity


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Two\nLines\r\nhere", "Two Lines here"),
        ("tab\tand   spaces ", "tab and spaces"),
        ("Sigur Ro\u0301s", "Sigur Rós"),
        ("<script>alert('x')</script>", "<script>alert('x')</script>"),
        ("🎵", "🎵"),
        ("caf\udce9", "caf\ufffd"),
        ("\x00\x1b[31m", "[31m"),
        (" \n", "(unknown)"),
        (None, "(unknown)"),
        (float("nan"), "(unknown)"),
        (1979, "1979"),
    ],
)
def test_names_become_one_line_of_text(name, expected):
    assert names.clean(name) == expected


@hypothesis.given(st.lists(st.sampled_from(["a", "a (2)", "a (3)", "b"]), max_size=12))
def test_numbered_ids_are_unique_and_keep_the_first(ids):
    numbered = names.number(ids)
    assert len(set(numbered)) == len(ids)
    assert all(numbered[ids.index(original)] == original for original in ids)


def test_tracks_with_one_id_are_numbered_by_path_and_announced():
    same = [{"artist": "A", "album": "x", "title": "Intro", "path": f"/{n}.mp3"} for n in "bca"]
    with pytest.warns(UserWarning, match="2 tracks share artist, album and title"):
        tracks = table.build(same, "example")
    assert tracks["path"].to_dict() == {
        "A/x/Intro": "/a.mp3",
        "A/x/Intro (2)": "/b.mp3",
        "A/x/Intro (3)": "/c.mp3",
    }


def test_table_is_the_same_whatever_the_order_of_rows():
    some = rows(B={"x": 3}, A={"y": 2})
    pd.testing.assert_frame_equal(table.build(some, "e"), table.build(some[::-1], "e"))


def test_table_keeps_columns_order_and_types(tracks):
    assert list(tracks.columns) == ["artist", "album", "title", "path", "seconds"]
    assert tracks.index.name == "track_id"
    assert tracks.index.is_monotonic_increasing
    assert tracks.attrs == {"corpus": "example", "skipped": ()}


def test_what_is_left_out_is_announced_and_kept():
    with pytest.warns(UserWarning, match=r"example: 1 left out: /x.mp3: empty file"):
        tracks = table.build(rows(A={"x": 1}), "example", ["/x.mp3: empty file"])
    assert tracks.attrs["skipped"] == ("/x.mp3: empty file",)


def test_no_rows_are_an_error_that_says_why():
    with pytest.raises(DataError, match=r"no tracks to use; /x.mp3: empty file"):
        table.build([], "example", ["/x.mp3: empty file"])


def broken(change):
    tracks = table.build(rows(A={"x": 2}), "example")
    attrs = tracks.attrs
    tracks = change(tracks)
    if isinstance(tracks, pd.DataFrame) and not tracks.attrs:
        tracks.attrs = attrs
    return tracks


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda t: t.to_dict(), ParameterError, "is a dict"),
        (lambda t: t.drop(columns="album"), ParameterError, "without album"),
        (lambda t: t.set_axis(["A/x/1", "A/x/1"]), DataError, "1 ids that repeat"),
        (lambda t: t.set_axis(["A/x/1", "A/2"]), DataError, "not of the form"),
        (lambda t: t.set_axis(["A/x/1", "A/x/y/2"]), DataError, "not of the form"),
        (lambda t: t.set_axis(["A/x/1", "A/x/2\n"]), DataError, "not of the form"),
        (lambda t: t.set_axis([1, 2]), DataError, "not of the form"),
        (lambda t: t.iloc[::-1], DataError, "out of order"),
        (lambda t: t.iloc[:0], DataError, "without tracks"),
        (lambda t: t.assign(path="music/a.mp3"), DataError, "not absolute"),
        (lambda t: t.assign(artist=None), DataError, "rows without artist"),
        (lambda t: t.assign(title=" "), DataError, "rows without title"),
    ],
)
def test_validate_refuses_what_is_no_track_table(change, error, match):
    with pytest.raises(error, match=match):
        corpora.validate(broken(change))


def test_validate_needs_the_name_of_the_corpus(tracks):
    tracks.attrs = {}
    with pytest.raises(ParameterError, match="corpus"):
        corpora.validate(tracks)


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        ({}, "ABC"),
        ({"min_tracks": 6}, "B"),
        ({"min_albums": 2}, "AB"),
        ({"min_albums": 3}, "B"),
        ({"artists": ["C", "A"]}, "AC"),
        ({"artists": ["C", "A"], "min_albums": 2}, "A"),
    ],
)
def test_select_keeps_whole_artists_with_enough_music(tracks, choice, left):
    chosen = corpora.select(tracks, **choice)
    assert sorted(set(chosen["artist"])) == list(left)
    assert len(chosen) == tracks["artist"].isin(list(left)).sum()
    assert corpora.validate(chosen).attrs["corpus"] == "example"


@pytest.mark.parametrize(
    ("choice", "error", "match"),
    [
        ({"min_tracks": 8}, DataError, "the most there are: 7 tracks, 3 albums"),
        ({"min_tracks": 0}, ParameterError, "min_tracks=0"),
        ({"min_albums": 1.5}, ParameterError, "min_albums=1.5"),
        ({"artists": ["D"]}, ParameterError, "'D' is not in example"),
        ({"artists": "AB"}, ParameterError, "expected a list"),
        ({"artists": []}, DataError, "no artists chosen"),
    ],
)
def test_select_refuses_what_leaves_nobody(tracks, choice, error, match):
    with pytest.raises(error, match=match):
        corpora.select(tracks, **choice)


def test_summary_counts_tracks_albums_minutes(tracks):
    assert corpora.summary(tracks).loc["B"].to_dict() == {"tracks": 7, "albums": 3, "minutes": 7.0}
    assert list(corpora.summary(tracks.drop(columns="seconds")).columns) == ["tracks", "albums"]


@pytest.mark.parametrize(
    ("of", "carried"),
    [
        ({"A": {"x": 3}, "B": {"x": 3}}, "song_split"),
        ({"A": {"x": 5}, "B": {"x": 5}}, "song_split song_folds"),
        ({"A": {"x": 3, "y": 2}, "B": {"x": 2, "y": 3}}, "song_split song_folds album_split album_folds"),
        ({"A": {"x": 1, "y": 1}, "B": {"x": 2, "y": 3}}, ""),
        ({"A": {"x": 9, "y": 9}}, ""),
        ({"A": {"x": 5, "y": 1}, "B": {"x": 2, "y": 3}}, "song_split song_folds album_split"),
        ({"A": {"x": 5, "y": 5}, "B": {"x": 5, "y": 5, "z": 1}}, "song_split song_folds album_split album_folds"),
    ],
)
def test_carries_agrees_with_what_the_splits_do(of, carried):
    from crnnlib import splits

    tracks = table.build(rows(**of), "example")
    told = corpora.carries(tracks)
    assert " ".join(told.index[told["carried"]]) == carried
    assert told["why"].str.len().min() > 0
    for name, possible in told["carried"].items():
        if possible:
            for seed in range(10):
                getattr(splits, name)(tracks, seed=seed)
        else:
            with pytest.raises(DataError):
                getattr(splits, name)(tracks)


def test_carries_names_who_lacks_music_and_the_next_command(tracks):
    why = corpora.carries(tracks).loc["album_split"]
    assert why["artists"] == 2
    assert "fewer than 2 albums and 3 songs: C" in why["why"]
    assert "select(tracks, min_albums=2, min_tracks=3)" in why["why"]


def test_corpora_of_folders_with_one_name_do_not_share_a_slug(tmp_path):
    assert names.slug(tmp_path / "a" / "Müsic 🎵") != names.slug(tmp_path / "b" / "Müsic 🎵")
    assert names.slug(tmp_path / "a" / "Müsic 🎵").startswith("M-sic-")
    assert names.slug("/").startswith("music-")
