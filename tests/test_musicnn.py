"""The pretrained tagger: our Keras build against the outputs of its own graph, and how it is fetched."""

import os
import subprocess
from pathlib import Path

import keras
import librosa
import numpy as np
import pytest
import scipy.fft

import conftest
from crnnlib import features, musicnn
from crnnlib.errors import DataError, ParameterError


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The pretrained weights, from the user's cache or fetched; on CI their absence is a failure."""
    cached = Path(conftest.REAL_HOME or "") / "models" / "musicnn-msd.npz"
    if conftest.REAL_HOME and cached.exists():
        return cached
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRNNLIB_HOME", str(tmp_path_factory.mktemp("musicnn")))
        try:
            return musicnn.fetch()
        except DataError as error:
            pytest.fail(str(error)) if os.environ.get("CI") else pytest.skip(str(error))


@pytest.fixture(scope="module")
def untrained():
    return musicnn.network()


@pytest.mark.slow
def test_outputs_equal_the_original_graphs(weights, fixtures):
    # The reference is the graph in the package, run by TensorFlow on this input.
    t, band = np.meshgrid(np.arange(187), np.arange(96), indexing="ij")
    x = np.stack([1.5 + np.sin(t / 5 + band / 7) + sign * 0.5 * np.sin(t * band / 50) for sign in (1, -1)])
    outputs = musicnn.network(weights).predict(x.astype(np.float32), verbose=0)
    with np.load(fixtures / "musicnn_reference.npz", allow_pickle=False) as reference:
        assert set(reference) == set(outputs)
        for name in reference:
            np.testing.assert_allclose(outputs[name], reference[name], atol=1e-4, rtol=1e-5, err_msg=name)


@pytest.mark.slow
def test_weights_are_fetched_once_and_hold_no_optimiser_state(weights, monkeypatch):
    monkeypatch.setenv("CRNNLIB_HOME", str(weights.parents[1]))
    monkeypatch.setattr(musicnn, "_install", lambda folder: pytest.fail("fetched again"))
    assert musicnn.fetch() == weights
    with np.load(weights, allow_pickle=False) as arrays:
        assert sum(a.size for a in arrays.values()) == musicnn.network().count_params()


def test_damaged_weights_are_refused(tmp_path):
    for content in (b"", b"not an archive"):
        (tmp_path / "weights.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"weights\.npz: damaged"):
            musicnn.network(tmp_path / "weights.npz")


def test_patches_are_compressed_mel_side_by_side():
    y = np.random.default_rng(0).normal(size=16000 * 7).astype(np.float32) * 0.1
    mel = librosa.feature.melspectrogram(y=y, sr=16000, n_fft=512, hop_length=256, n_mels=96, pad_mode="reflect").T
    cut = musicnn.patches(y)
    assert cut.shape == (2, 187, 96)
    np.testing.assert_allclose(cut[1], np.log10(10000 * mel[187:374] + 1), rtol=1e-5)


def test_a_short_signal_is_repeated():
    y = np.random.default_rng(0).normal(size=16000).astype(np.float32)
    (patch,) = musicnn.patches(y)
    n = 1 + 16000 // 256
    np.testing.assert_array_equal(patch[n : 2 * n], patch[:n])


def test_loud_music_stays_finite():
    assert np.isfinite(musicnn.patches(np.sin(np.arange(16000 * 3, dtype=np.float32)) * 100)).all()


def test_embedding_is_mean_and_deviation_over_patches(untrained):
    y = np.random.default_rng(0).normal(size=16000 * 10).astype(np.float32)
    out = untrained.predict(musicnn.patches(y), verbose=0)
    vector = musicnn.embed(untrained, y)
    assert vector.shape == (3412,)
    np.testing.assert_allclose(vector[:753], out["max_pool"].mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(vector[1506:1706], out["penultimate"].mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(vector[1706:2459], out["max_pool"].std(0), rtol=1e-3, atol=1e-5)
    assert (musicnn.embed(untrained, y[:48000])[1706:] == 0).all()
    with pytest.raises(ParameterError, match="mono"):
        musicnn.embed(untrained, np.zeros((2, 48000)))


def test_without_an_installer_the_error_says_what_to_run(home, monkeypatch):
    monkeypatch.setattr(musicnn.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(musicnn.shutil, "which", lambda name: None)
    with pytest.raises(DataError, match="python -m ensurepip"):
        musicnn.fetch()
    assert not (home / "models").exists()


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_the_wheel_is_pinned_by_version_and_hash_and_failure_is_told(installer, home, monkeypatch):
    calls = []

    def run(command, **options):
        calls.append((command, Path(command[-1]).read_text()))
        return subprocess.CompletedProcess(command, 1, "", "error: no network")

    monkeypatch.setattr(musicnn.importlib.util, "find_spec", lambda name: installer == "pip" or None)
    monkeypatch.setattr(musicnn.shutil, "which", lambda name: "/bin/uv")
    monkeypatch.setattr(musicnn.subprocess, "run", run)
    with pytest.raises(DataError, match=r"musicnn==0\.1\.0 could not be fetched \(error: no network\)"):
        musicnn.fetch()
    ((command, pin),) = calls
    assert installer in command[:3]
    assert {"--no-deps", "--require-hashes", "--only-binary"} <= set(command)
    assert "musicnn==0.1.0 --hash=sha256:f38a4890" in pin
    assert not (home / "models").exists()


def test_rows_of_the_store_are_means_and_maxima_of_thirds_of_a_patch(untrained, monkeypatch):
    view = keras.Model(untrained.input, untrained.get_layer("maps").output)
    monkeypatch.setattr(musicnn, "_maps", lambda: view)
    y = np.random.default_rng(0).normal(size=16000 * 7).astype(np.float32)
    rows, out = musicnn.Maps().transform()(y), untrained.predict(musicnn.patches(y), verbose=0)
    assert rows.shape == (6, musicnn.Maps.n_mels)
    parts = [len(one) for one in np.array_split(range(187), 3)]
    pooled = rows[:, : 2 * 753].reshape(2, 3, 2, 753)
    np.testing.assert_allclose(
        np.average(pooled[:, :, 0], axis=1, weights=parts), out["mean_pool"], rtol=1e-3, atol=1e-5
    )
    np.testing.assert_allclose(pooled[:, :, 1].max(1), out["max_pool"], rtol=1e-4, atol=1e-6)
    cepstra = scipy.fft.dct(musicnn.patches(y)[1, :63], norm="ortho")[:, :30]  # the first third of the second patch
    np.testing.assert_allclose(rows[3, 1506:1536], cepstra.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(rows[3, 1566:], np.diff(cepstra, axis=0).std(0), rtol=1e-4, atol=1e-5)


def test_a_store_of_rows_has_its_own_folder_and_clip_lengths(untrained, tracks, home, monkeypatch):
    view = keras.Model(untrained.input, untrained.get_layer("maps").output)
    monkeypatch.setattr(musicnn, "_maps", lambda: view)
    store = features.extract(tracks.iloc[:2], musicnn.Maps(max_s=4), n_jobs=1, progress=False)
    assert {store[track].shape for track in store.track_ids} == {(3, 1596)}
    assert store.folder != features.extract(tracks.iloc[:2], n_jobs=1, progress=False).folder
    assert musicnn.Maps().digest != musicnn.Maps(max_s=4).digest
    with pytest.raises(ParameterError, match="positive length"):
        musicnn.Maps().n_frames(0)
