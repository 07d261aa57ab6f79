"""Splits: nothing leaks, nobody is missing, and one seed makes one split."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnnlib import splits
from crnnlib.errors import DataError, ParameterError


def table(sizes, **columns):
    """Track table from songs per album per artist, e.g. [[4, 4], [5, 2, 3]]."""
    rows = [
        (f"artist {a:02d}", f"album {b}", f"song {c:02d}")
        for a, albums in enumerate(sizes)
        for b, songs in enumerate(albums)
        for c in range(songs)
    ]
    tracks = pd.DataFrame(rows, columns=["artist", "album", "title"], index=["/".join(row) for row in rows])
    tracks["path"] = "/" + tracks.index + ".mp3"
    tracks.attrs["corpus"] = "example"
    return tracks.assign(**columns)


class Doubles:
    """Stands in for a store that found equal audio."""

    def __init__(self, *groups):
        self.groups = groups

    def duplicates(self):
        return [sorted(group) for group in self.groups]


ARTIST20 = table([[11] * 6] * 20)
LOPSIDED = table([[8, 2], [3, 3, 3], [20, 1, 1, 1], [5, 5, 5, 5, 5, 5, 5]])
DRAWS = {
    "song_split": lambda tracks, **options: [splits.song_split(tracks, **options)],
    "album_split": lambda tracks, **options: [splits.album_split(tracks, **options)],
    "song_folds": splits.song_folds,
    "album_folds": splits.album_folds,
    "matched_pair": lambda tracks, **options: list(splits.matched_pair(tracks, **options)),
}
every_draw = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
corpora = st.lists(st.lists(st.integers(2, 7), min_size=2, max_size=7), min_size=2, max_size=5)


def albums_of(tracks, ids):
    return set(zip(tracks.loc[list(ids), "artist"], tracks.loc[list(ids), "album"], strict=True))


def songs_per_artist(tracks, ids):
    return tracks.loc[list(ids), "artist"].value_counts().to_dict()


# What holds for every corpus


@every_draw
@settings(max_examples=25)
@given(sizes=corpora, seed=st.integers(0, 9))
def test_every_track_is_in_one_part_and_every_artist_in_all(draw, sizes, seed):
    tracks = table([[size + 3 for size in albums] for albums in sizes])
    for split in draw(tracks, seed=seed):
        split.check(tracks)
        assert sorted(split.train + split.validation + split.test) == list(tracks.index)
        for part in (split.train, split.validation, split.test):
            assert set(tracks.loc[list(part), "artist"]) == set(tracks["artist"])
            assert list(part) == sorted(part)


@settings(max_examples=25)
@given(sizes=corpora, seed=st.integers(0, 9))
def test_album_splits_share_no_album_with_the_test_nor_with_validation_where_three_allow(sizes, seed):
    tracks = table(sizes)
    for split in [splits.album_split(tracks, seed), *splits.album_folds(tracks, seed=seed)]:
        tested, trained, validated = (albums_of(tracks, ids) for ids in (split.test, split.train, split.validation))
        assert tested.isdisjoint(trained | validated)
        left = pd.Series([artist for artist, _ in trained | validated]).value_counts()
        assert {artist for artist, _ in trained & validated} <= set(left.index[left == 1])


@settings(max_examples=25)
@given(sizes=corpora, seed=st.integers(0, 9), k=st.integers(2, 4))
def test_folds_test_every_song_exactly_once(sizes, seed, k):
    tracks = table(sizes)
    for folds in (splits.song_folds(tracks, k, seed), splits.album_folds(tracks, seed=seed)):
        assert sorted(i for fold in folds for i in fold.test) == list(tracks.index)


@settings(max_examples=25)
@given(sizes=corpora, seed=st.integers(0, 9))
def test_matched_pair_has_the_same_number_of_songs_of_each_artist_in_each_part(sizes, seed):
    tracks = table(sizes)
    song, album = splits.matched_pair(tracks, seed)
    for part in ("train", "validation", "test"):
        assert songs_per_artist(tracks, getattr(song, part)) == songs_per_artist(tracks, getattr(album, part))


@every_draw
@settings(max_examples=25)
@given(data=st.data(), seed=st.integers(0, 9))
def test_equal_audio_stays_together(draw, data, seed):
    tracks = table([[6, 6, 6, 6]] * 3)
    artists = data.draw(st.lists(st.sampled_from(sorted(set(tracks["artist"]))), max_size=3, unique=True))
    same = []
    for artist in artists:
        own = tracks.index[(tracks["artist"] == artist) & tracks["album"].isin(["album 0", "album 1"])]
        same.append(data.draw(st.lists(st.sampled_from(list(own)), min_size=2, max_size=4, unique=True)))
    for split in draw(tracks, seed=seed, same=same):
        split.check(tracks, Doubles(*same))


@pytest.mark.parametrize("draw", ["album_split", "album_folds"])
def test_equal_audio_of_the_only_album_left_stays_together(draw):
    tracks = table([[6, 6]] * 3)
    same = [list(part.index[:5]) for _, part in tracks.groupby(["artist", "album"])]
    for seed in range(5):
        for split in DRAWS[draw](tracks, seed=seed, same=same):
            split.check(tracks, Doubles(*same))


@every_draw
def test_a_split_depends_on_the_seed_and_on_nothing_else(draw):
    shuffled = LOPSIDED.sample(frac=1, random_state=1)
    shuffled.attrs = LOPSIDED.attrs
    assert draw(LOPSIDED, seed=3) == draw(LOPSIDED, seed=3) == draw(shuffled, seed=3)
    assert draw(ARTIST20, seed=3) != draw(ARTIST20, seed=4)


@every_draw
def test_any_column_may_hold_the_class(draw):
    tracks = table([[4, 4, 4]] * 4)
    tracks["genre"] = tracks["artist"].map(lambda artist: "rock" if artist < "artist 02" else "pop")
    for split in draw(tracks, label="genre"):
        split.check(tracks)
        assert all(
            set(tracks.loc[list(p), "genre"]) == {"rock", "pop"} for p in (split.train, split.validation, split.test)
        )


# The paper's numbers


def test_song_split_has_the_sizes_of_the_paper():
    split = splits.song_split(ARTIST20)
    assert len(split.test) == pytest.approx(0.1 * len(ARTIST20), abs=20)
    assert len(split.validation) == pytest.approx(0.09 * len(ARTIST20), abs=20)


def test_album_split_of_six_albums_takes_one_to_test_and_one_to_validation():
    split = splits.album_split(ARTIST20)
    counts = [len(albums_of(ARTIST20, ids)) for ids in (split.train, split.validation, split.test)]
    assert counts == [80, 20, 20]


def test_album_folds_of_artist20_are_a_jackknife():
    folds = splits.album_folds(ARTIST20)
    assert [fold.name for fold in folds] == [f"album-{n}of6" for n in range(1, 7)]
    assert all(len(albums_of(ARTIST20, fold.test)) == len(albums_of(ARTIST20, fold.validation)) == 20 for fold in folds)


def test_album_folds_are_as_many_as_the_fewest_albums_allow_or_as_asked():
    assert len(splits.album_folds(LOPSIDED)) == 2
    assert len(splits.album_folds(table([[3] * 9, [3] * 8]))) == 6
    assert len(splits.album_folds(table([[3] * 9, [3] * 8]), k=8)) == 8


def test_two_fold_album_test_trains_on_one_album_and_validates_on_its_songs():
    tracks = table([[10, 10]] * 3)
    one, two = splits.album_folds(tracks)
    assert albums_of(tracks, one.train) == albums_of(tracks, one.validation) == albums_of(tracks, two.test)
    assert len(one.validation) == 3


def test_two_folds_of_three_albums_never_leave_a_single_song_to_train_on():
    tracks = table([[5, 5, 1], [1, 6, 1], [4, 4, 4]])
    for seed in range(20):
        folds = splits.album_folds(tracks, 2, seed)
        assert sorted(song for fold in folds for song in fold.check(tracks).test) == sorted(tracks.index)


def test_album_split_of_two_albums_trains_on_the_one_that_can_spare_a_song():
    tracks = table([[1, 2], [2, 1]])
    for seed in range(10):
        assert len(splits.album_split(tracks, seed).check(tracks).test) == 2


def test_folds_differ_little_in_size():
    sizes = [len(fold.test) for fold in splits.song_folds(table([[11]] * 20), k=5)]
    assert max(sizes) - min(sizes) <= 1


def test_validation_of_song_folds_is_a_tenth_of_what_the_test_leaves():
    for fold in splits.song_folds(table([[30]] * 4), k=3):
        assert [len(fold.train), len(fold.validation), len(fold.test)] == [4 * 18, 4 * 2, 4 * 10]


def test_three_songs_of_a_class_carry_three_folds():
    assert len(splits.song_folds(table([[3]] * 2), k=3)) == 3


def test_twelve_albums_leave_two_to_validation():
    for fold in splits.album_folds(table([[3] * 12] * 2), k=12):
        assert [len(ids) for ids in (fold.train, fold.validation, fold.test)] == [2 * 27, 2 * 6, 2 * 3]


def test_splits_are_named_by_kind_and_fold():
    names = {draw: [split.name for split in make(ARTIST20, seed=0)] for draw, make in DRAWS.items()}
    assert names["song_split"] == ["song"]
    assert names["album_split"] == ["album"]
    assert names["song_folds"] == [f"song-{number}of5" for number in range(1, 6)]
    assert names["matched_pair"] == ["song-matched", "album-matched"]


def test_official_split_is_that_of_the_lists():
    parts = {"trn": ["a/x/2", "a/x/1"], "val": ["a/y/1"], "tst": ["a/z/1"], "all": []}
    assert splits.official(parts) == splits.Split("album-official", ("a/x/1", "a/x/2"), ("a/y/1",), ("a/z/1",))
    with pytest.raises(DataError, match="no official list a20-val-tracks"):
        splits.official({**parts, "val": []})


# What a corpus cannot carry


@pytest.mark.parametrize(
    ("draw", "tracks", "options", "message"),
    [
        ("song_split", table([[9]]), {}, "artist is artist 00 throughout; expected two"),
        (
            "song_split",
            table([[9], [2]]),
            {},
            r"fewer than 3 songs: artist 01; use corpora.select\(tracks, min_tracks=3\)",
        ),
        ("song_split", table([[9], [9]]), {"test": 0.0}, "test=0.0: expected a share"),
        ("song_split", table([[9], [9]]), {"test": 1}, "test=1: expected a share"),
        ("song_split", table([[9], [9]]), {"validation": 10}, "validation=10: expected a share"),
        ("song_split", table([[9], [9]]), {"label": "genre"}, "label='genre': expected a column"),
        ("song_folds", table([[9], [4]]), {}, r"fewer than 5 songs: artist 01; use .*min_tracks=5"),
        ("song_folds", table([[9], [3]]), {"k": 2}, "fewer than 4 songs"),
        ("song_folds", table([[9], [9]]), {"k": 1}, "k=1: expected a whole number"),
        ("song_folds", table([[9], [9]]), {"k": 2.5}, "k=2.5: expected a whole number"),
        ("album_split", table([[9], [9, 9]]), {}, r"fewer than 2 albums and 3 songs: artist 00; use .*min_albums=2"),
        ("album_split", table([[9, 9], [1, 1]]), {}, "fewer than 2 albums and 3 songs: artist 01"),
        ("album_split", table([[9, 9]]), {}, "throughout; expected two"),
        ("album_folds", table([[9, 9], [9, 1]]), {}, "'artist 01/album 1/song 00' would be the only song to train on"),
        ("album_folds", table([[9, 9], [9, 9]]), {"k": 3}, "fewer than 3 albums"),
        ("album_folds", table([[9, 9], [9, 9]]), {"k": 0}, "k=0: expected a whole number"),
        ("matched_pair", table([[9], [9, 9]]), {}, "fewer than 2 albums"),
        ("matched_pair", table([[1, 1], [9, 9]]), {}, "fewer than 2 albums and 3 songs: artist 00"),
    ],
)
def test_a_corpus_that_cannot_carry_a_split_is_refused_with_what_to_do(draw, tracks, options, message):
    with pytest.raises((DataError, ParameterError), match=message):
        DRAWS[draw](tracks, **options)


@pytest.mark.parametrize("seed", range(30))
def test_an_album_of_one_recording_is_never_all_that_a_fold_trains_on(seed):
    tracks = table([[5, 5, 2], [5, 5, 5]])
    same = [[track_id for track_id in tracks.index if track_id.startswith("artist 00/album 2")]]
    for fold in splits.album_folds(tracks, 2, seed, same=same):
        assert {track_id[:9] for track_id in fold.train} == {"artist 00", "artist 01"}
        assert {track_id[:9] for track_id in fold.validation} == {"artist 00", "artist 01"}


@pytest.mark.parametrize("k", [float("nan"), float("inf"), "three"])
def test_folds_are_a_whole_number(k):
    with pytest.raises(ParameterError, match="whole number of folds"):
        splits.album_folds(ARTIST20, k=k)


def test_equal_audio_of_two_artists_is_refused():
    same = [("artist 00/album 0/song 00", "artist 01/album 0/song 00")]
    with pytest.raises(DataError, match="one unit, but artist is artist 00; artist 01"):
        splits.song_split(ARTIST20, same=same)
