"""Maps are repeatable and keep neighbours; the numbers beside them are those of the definition."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from crnnlib import embeddings
from crnnlib.errors import DataError, ParameterError


@pytest.fixture
def clouds():
    """Vectors of 3 artists, 2 albums each, 3 songs an album, 5 clips a song: artists far apart, albums near."""
    rng = np.random.default_rng(0)
    artist = np.repeat(["a", "b", "c"], 30)
    album = np.tile(np.repeat(["x", "y"], 15), 3)
    song = np.repeat(np.arange(18), 5)
    centre = {"a": 0, "b": 20, "c": 40}
    vectors = (
        rng.normal(size=(90, 8)) * 0.3 + np.array([centre[a] for a in artist])[:, None] + 2.0 * (album == "y")[:, None]
    )
    return vectors.astype(np.float16), artist, album, song


@pytest.mark.parametrize("method", ["umap", "tsne", "pca"])
def test_a_map_is_the_same_for_the_same_seed_and_keeps_artists_together(clouds, method):
    vectors, artist, *_ = clouds
    plane = embeddings.project(vectors, method, seed=1)
    assert plane.shape == (90, 2)
    assert plane.dtype == np.float32
    assert np.isfinite(plane).all()
    np.testing.assert_array_equal(plane, embeddings.project(vectors, method, seed=1))
    distance = np.linalg.norm(plane[:, None] - plane[None], axis=-1) + 1e9 * np.eye(90)
    assert np.mean(artist[distance.argmin(1)] == artist) > 0.95


@pytest.mark.parametrize(("method", "rows"), [("umap", 4), ("umap", 17), ("tsne", 4), ("tsne", 40), ("pca", 4)])
def test_a_handful_of_songs_has_a_map(method, rows):
    vectors = np.random.default_rng(0).normal(size=(rows, 32))
    assert np.isfinite(embeddings.project(vectors, method)).all()


def test_equal_vectors_have_a_map():
    assert np.isfinite(embeddings.project(np.ones((30, 4)), "tsne")).all()


@pytest.mark.parametrize(
    ("vectors", "method", "error", "said"),
    [
        (np.ones((3, 2)), "pca", DataError, r"shape \(3, 2\)"),
        (np.ones(8), "pca", DataError, r"shape \(8,\)"),
        (np.full((9, 2), np.nan), "pca", DataError, "NaN"),
        (np.ones((9, 2)), "UMAP", ParameterError, "method='UMAP': expected one of umap, tsne, pca"),
    ],
)
def test_bad_vectors_are_refused(vectors, method, error, said):
    with pytest.raises(error, match=said):
        embeddings.project(vectors, method)


def test_quality_of_separated_clouds_is_high(clouds):
    found = embeddings.quality(*clouds)
    assert found["purity_artist"] == 1.0
    assert found["silhouette_artist"] > 0.8
    # The ten nearest are the ten clips of the album's two other songs.
    assert found["purity_album"] == 1.0
    assert found["album_within_artist"] == 1.0
    assert found["album_within_artist_chance"] < 0.7


def test_quality_of_noise_is_at_chance(clouds):
    _, artist, album, song = clouds
    noise = np.random.default_rng(0).normal(size=(90, 8))
    found = embeddings.quality(noise, artist, album, song)
    assert found["purity_artist"] == pytest.approx(found["purity_artist_chance"], abs=0.06)
    assert found["purity_album"] == pytest.approx(found["purity_album_chance"], abs=0.06)
    assert found["purity_artist_chance"] == pytest.approx(25 / 85)
    assert found["purity_album_chance"] == pytest.approx(10 / 85)
    assert found["album_within_artist"] == pytest.approx(found["album_within_artist_chance"], abs=0.25)


def test_clips_of_the_same_song_do_not_count_as_neighbours():
    # Each song is a point of its own, far from all others: only its own clips are near.
    song = np.repeat(np.arange(8), 6)
    artist = np.where(song < 4, "a", "b")
    rng = np.random.default_rng(0)
    vectors = 100 * rng.normal(size=(8, 16))[song] + rng.normal(size=(48, 16))
    assert embeddings.quality(vectors, artist, ["x"] * 48, song, k=5)["purity_artist"] < 0.9


def test_purity_can_reach_one_where_a_label_has_few_rows():
    # Two other songs by the artist, one clip each: more neighbours of that label there are not.
    vectors = np.random.default_rng(0).normal(size=(6, 4)) + 99 * np.repeat([0, 1], 3)[:, None]
    found = embeddings.quality(vectors, np.repeat(["a", "b"], 3), ["x"] * 6, range(6), k=10)
    assert found["purity_artist"] == 1.0
    assert found["purity_artist_chance"] == pytest.approx(2 / 5)


def test_album_is_read_within_the_artist_only():
    # The same two studios serve both artists: across artists the album's name would be no album at all.
    rng = np.random.default_rng(0)
    artist, album = np.repeat(["a", "b"], 20), np.tile(np.repeat(["x", "y"], 10), 2)
    vectors = rng.normal(size=(40, 4)) + 9 * (album == "y")[:, None]
    found = embeddings.quality(vectors, artist, album, range(40))
    assert found["album_within_artist"] == 1.0
    assert found["purity_artist"] < 0.7


def test_without_a_second_album_nothing_is_read():
    vectors = np.random.default_rng(0).normal(size=(12, 4))
    found = embeddings.quality(vectors, np.repeat(["a", "b"], 6), ["x"] * 12, range(12))
    assert np.isnan(found["album_within_artist"])


def test_quality_is_repeatable(clouds):
    assert embeddings.quality(*clouds, seed=3) == embeddings.quality(*clouds, seed=3)


def test_labels_must_match_vectors(clouds):
    vectors, artist, album, song = clouds
    with pytest.raises(DataError, match="albums: 89 labels"):
        embeddings.quality(vectors, artist, album[1:], song)
    with pytest.raises(ParameterError, match="k=0"):
        embeddings.quality(vectors, artist, album, song, k=0)


def test_networks_are_judged_one_by_one_and_beside_the_spectrum_of_the_same_clips(clouds):
    vectors, artist, album, song = clouds
    names = np.array([f"{one}" for one in song])
    tracks = pd.DataFrame({"artist": artist, "album": album}, names)[~pd.Index(names).duplicated()]
    start = np.tile(np.arange(5) * 2, 18)
    clips = SimpleNamespace(track_id=names, start=start)

    def trial(bottleneck, seed):
        about = {"recipe": {"name": "paper"}, "split": {"name": "album-1of3"}, "seed": seed, "n_frames": 2}
        return SimpleNamespace(record=about, test_clips=clips, bottleneck=bottleneck)

    trials = [trial(vectors, 0), trial(vectors[::-1], 1), trial(vectors[:, :0], 2)]  # of the last no bottleneck is kept
    rows = embeddings.qualities(trials, tracks)
    assert rows[["recipe", "split", "seed"]].to_numpy().tolist() == [["paper", "album", 0], ["paper", "album", 1]]
    for row, one in zip(rows.to_dict("records"), (vectors, vectors[::-1]), strict=True):
        assert {**row, **embeddings.quality(one, artist, album, song)} == row

    store = {name: np.repeat(vectors[names == name], 2, axis=0) for name in tracks.index}
    twins = embeddings.qualities(trials[1:], tracks, store)
    assert twins["album_within_artist"].tolist() == [embeddings.quality(*clouds)["album_within_artist"]]
