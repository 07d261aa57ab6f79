"""Baselines: they learn what is there, nothing where nothing is, and are the models they are named after."""

import dataclasses
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.fft
import scipy.stats

from crnnlib import baselines, corpora, evaluation, features, gaussians, musicnn, splits
from crnnlib.errors import DataError, ParameterError
from crnnlib.voting import pool

PLAIN = ("gaussian", "gaussian+chroma", "svm", "logistic")


@pytest.fixture(scope="module")
def split(tracks):
    return splits.song_split(tracks, seed=0, test=0.25)


@pytest.mark.parametrize("name", PLAIN)
def test_artists_who_sound_different_are_told_apart(name, tracks, store):
    folds = splits.song_folds(tracks, k=4, seed=0)
    songs = pool([baselines.run(name, tracks, store, fold, progress=False) for fold in folds])
    # Chords are drawn blindly of the artist: chroma can only disturb.
    assert evaluation.scores(songs)["f1_weighted"] > (0.5 if "chroma" in name else 0.8)
    assert songs.level == "song"
    assert songs.classes == ("Ada", "Bo Diddley", "Çelik")
    assert sorted(songs.track_id) == list(tracks.index)
    assert [songs.classes[t] for t in songs.truth] == tracks.loc[songs.track_id, "artist"].tolist()
    np.testing.assert_allclose(songs.probabilities.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("name", PLAIN)
def test_two_classes_and_another_label_work_too(name, tracks, store, split):
    tracks = tracks.assign(mood=np.where(tracks["artist"] == "Ada", "calm", "wild"))
    songs = baselines.run(name, tracks, store, split, label="mood", progress=False)
    assert songs.classes == ("calm", "wild")
    assert songs.n == len(split.test)
    assert songs.probabilities.shape == (songs.n, 2)
    assert songs.correct.mean() > (0.5 if "chroma" in name else 0.8)


def test_a_baseline_beside_trials_takes_their_splits_and_label(tracks, store, split):
    record = {"split": dataclasses.asdict(split), "label": "album"}
    alone = baselines.run("logistic", tracks, store, split, "album", progress=False)
    beside = baselines.beside([SimpleNamespace(record=record)] * 2, "logistic", tracks, store)
    assert beside.classes == alone.classes
    np.testing.assert_array_equal(beside.probabilities, np.concatenate([alone.probabilities] * 2))


def test_a_split_that_leaks_or_has_nothing_to_learn_is_refused(tracks, store, split):
    leaking = dataclasses.replace(split, test=split.test + split.train[:1])
    with pytest.raises(DataError, match="share a track"):
        baselines.run("logistic", tracks, store, leaking, progress=False)
    with pytest.raises(DataError, match="two or more to learn"):
        baselines.run("logistic", tracks.assign(artist="Ada"), store, split, progress=False)


def test_test_songs_teach_nothing(tracks, store, split):
    # With the labels of the test songs exchanged, the very same decisions must come out.
    honest = baselines.run("logistic", tracks, store, split, progress=False)
    lied = tracks.copy()
    lied.loc[list(split.test), "artist"] = tracks.loc[list(split.test), "artist"].to_numpy()[::-1]
    assert (baselines.run("logistic", lied, store, split, progress=False).predicted == honest.predicted).all()


@pytest.mark.parametrize("name", ["gaussian", "svm", "logistic"])
def test_shuffled_labels_end_at_chance(name, monkeypatch):
    rng = np.random.default_rng(0)
    artist = np.repeat(np.arange(4), 60)
    frames = [rng.normal(size=(50, 20)) + 3 * np.eye(20)[a] + rng.normal(size=20) for a in artist]
    table = np.stack([np.concatenate([gaussians.pack(f), f.std(0)]) for f in frames])
    rows = [
        {"artist": f"artist {a}", "album": "x", "title": f"{i:03d}", "path": f"/{i:03d}"} for i, a in enumerate(artist)
    ]
    tracks = corpora.table.build(rows, "synthetic")
    tracks["shuffled"] = rng.permutation(tracks["artist"])
    place = {track: i for i, track in enumerate(tracks.index)}
    monkeypatch.setattr(baselines, "song_statistics", lambda t, *_: table[[place[i] for i in t.index]])
    folds = splits.song_folds(tracks, k=3, seed=0)
    real = pool([baselines.run(name, tracks, None, fold) for fold in folds])
    control = pool([baselines.run(name, tracks, None, fold, label="shuffled") for fold in folds])
    assert evaluation.interval(real, "accuracy")[0] > 0.3
    low, high = evaluation.interval(control, "accuracy")
    assert low < 0.25 < high


def test_gaussian_evidence_is_the_likelihood_of_every_frame(tracks, store, split):
    learn, test = sorted(split.train + split.validation), sorted(split.test)
    mfcc = {i: scipy.fft.dct(np.asarray(store[i], float), norm="ortho")[:, :20] for i in tracks.index}
    artists = sorted(set(tracks["artist"]))
    known = np.array([artists.index(a) for a in tracks.loc[learn, "artist"]])
    table = baselines.song_statistics(tracks.loc[learn + test], store, progress=False)
    evidence = gaussians.evidence(gaussians.unpack(table, 20), known, len(artists))
    for column, artist in enumerate(artists):
        frames = np.concatenate([mfcc[i] for i in learn if tracks.loc[i, "artist"] == artist])
        cov = np.cov(frames.T, bias=True)
        model = scipy.stats.multivariate_normal(frames.mean(0), cov + 1e-3 * np.trace(cov) / 20 * np.eye(20))
        expected = [model.logpdf(mfcc[i]).mean() for i in test]
        np.testing.assert_allclose(evidence[:, column], expected, rtol=1e-3, atol=0.01)


def test_chroma_forgets_the_key():
    rng = np.random.default_rng(0)
    scale = np.array([1, 0.1, 0.6, 0.1, 0.8, 0.5, 0.1, 0.9, 0.1, 0.6, 0.1, 0.4])
    songs = [np.clip(scale + 0.1 * rng.normal(size=(80, 12)), 0, 1) for _ in range(20)]
    keys = rng.integers(0, 12, 20)
    table = np.stack([gaussians.pack(np.roll(s, k, axis=1)) for s, k in zip(songs, keys, strict=True)])
    _, mean, cov = gaussians.to_one_key(gaussians.unpack(table, 12), first=15)
    assert np.abs(mean - mean[0]).max() < 0.1
    _, plain, _ = gaussians.unpack(table, 12)
    assert np.abs(plain - plain[0]).max() > 0.5
    assert np.abs(cov - cov[0]).max() < 0.05


def test_statistics_are_computed_once_per_content(tracks, store, home, tmp_path):
    copies = tracks.copy()
    copies["path"] = [str(shutil.copy(path, tmp_path / f"{i}.wav")) for i, path in enumerate(tracks["path"])]
    first = baselines.song_statistics(copies, store, "chroma", progress=False)
    for path in copies["path"]:
        (tmp_path / path).unlink()
    again = baselines.song_statistics(copies, store, "chroma", progress=False)
    assert first.shape == (24, 157)
    assert first.dtype == np.float32
    assert (again == first).all()
    assert len(list((home / "statistics" / "chroma").glob("*.npy"))) == 24


def test_chroma_is_ready_once_its_statistics_are_in_the_cache(tracks, store, home):
    shutil.rmtree(home / "statistics", ignore_errors=True)
    assert baselines.ready(tracks, store) == ("gaussian", "svm", "logistic")
    baselines.song_statistics(tracks, store, "chroma", progress=False)
    assert baselines.ready(tracks, store) == ("gaussian", "gaussian+chroma", "svm", "logistic")


def test_statistics_follow_the_settings_of_the_store(tracks, store):
    shorter = features.extract(tracks, dataclasses.replace(store.settings, max_s=2.0), n_jobs=1, progress=False)
    for kind in ("mfcc", "chroma"):
        whole = baselines.song_statistics(tracks, store, kind, progress=False)
        cut = baselines.song_statistics(tracks, shorter, kind, progress=False)
        assert (cut[:, 0] < whole[:, 0]).all()


def test_musicnn_probe_learns_from_embeddings(tracks, store, split, home, monkeypatch):
    monkeypatch.setattr(musicnn, "fetch", lambda: None)  # untrained: even random filters hear these three apart
    songs = baselines.run("musicnn", tracks, store, split, progress=False)
    assert songs.n == len(split.test)
    assert songs.correct.mean() > 0.7
    assert np.load(next((home / "statistics" / "musicnn").glob("*.npy")), allow_pickle=False).shape == (3412,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t, s, f: baselines.run("forest", t, s, f), "name='forest': expected one of gaussian, gaussian"),
        (lambda t, s, f: baselines.run("svm", t, s, f, label="genre"), "label='genre': expected a column"),
        (lambda t, s, f: baselines.song_statistics(t, s, "tempo"), "kind='tempo': expected one of mfcc, chroma"),
    ],
)
def test_bad_parameters_are_refused(call, message, tracks, store, split):
    with pytest.raises(ParameterError, match=message):
        call(tracks, store, split)


def test_damaged_statistics_are_computed_anew(tracks, store, home):
    some = tracks.iloc[:2]
    first = baselines.song_statistics(some, store, "mfcc", progress=False)
    path = next((home / "statistics" / "mfcc").glob("*.npy"))
    path.write_bytes(path.read_bytes()[:100])
    np.testing.assert_array_equal(baselines.song_statistics(some, store, "mfcc", progress=False), first)
    assert len(path.read_bytes()) > 100
