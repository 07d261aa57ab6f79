"""The CRNN against the authors' outputs, its variants, and the mended batch norm."""

import keras
import numpy as np
import pytest

from crnnlib import models
from crnnlib.augment import Mask
from crnnlib.errors import ParameterError


def authors_model(fixtures, n_frames, **options):
    saved = np.load(fixtures / f"authors_crnn_{n_frames}.npz", allow_pickle=False)
    weights = [saved[f"w{number:02d}"] for number in range(int(saved["n"]))]
    model = models.crnn(n_frames, 6, **options)
    model.set_weights([one.swapaxes(0, 1) if one.ndim == 4 else one for one in weights])  # ours is time-major
    return model, saved["X"][..., 0].swapaxes(1, 2), saved["y"]


@pytest.mark.parametrize("n_frames", [32, 94])
@pytest.mark.parametrize("fast", [None, False])
def test_softmax_equals_the_authors_within_1e_5(fixtures, n_frames, fast):
    model, clips, expected = authors_model(fixtures, n_frames, fast=fast)
    np.testing.assert_allclose(model.predict(clips, verbose=0), expected, atol=1e-5)


def test_bfloat16_keeps_input_and_softmax_in_float32(fixtures):
    model, clips, expected = authors_model(fixtures, 32, dtype="bfloat16")
    assert model.get_layer("normalise").compute_dtype == "float32"
    assert model.get_layer("artist").compute_dtype == "float32"
    assert model.get_layer("block1").compute_dtype == "bfloat16"
    np.testing.assert_allclose(model.predict(clips, verbose=0), expected, atol=0.02)


def test_paper_network_has_its_published_size():
    assert models.crnn(94, 20).count_params() == 394_324


@pytest.mark.parametrize(("variant", "head"), [*((one, "gru") for one in models.VARIANTS), ("paper", "statistics")])
def test_every_variant_gives_probabilities_and_a_bottleneck(variant, head):
    model = models.crnn(94, 3, variant=variant, width=0.25, head=head, non_local=variant == "paper")
    vectors, probabilities = models.bottleneck(model).predict(np.zeros((2, 94, 128), "float32"), verbose=0)
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)
    assert vectors.shape[0] == 2
    assert vectors.ndim == 2


@pytest.mark.parametrize(
    "options",
    [
        {"variant": "crnn9"},
        {"head": "mean"},
        {"variant": "pooled", "head": "statistics"},
        {"variant": "1d", "non_local": True},
        {"n_classes": 1},
        {"n_frames": 15},
        {"n_mels": 64},
    ],
)
def test_impossible_networks_are_refused(options):
    with pytest.raises(ParameterError, match=r"expected|need"):
        models.crnn(**{"n_frames": 94, "n_classes": 20, **options})


def test_recalibrated_statistics_are_those_of_the_clips():
    clips = np.random.default_rng(0).normal(-30, 10, (8, 32, 128)).astype("float32")
    model = models.crnn(32, 3, augment=[Mask()])
    model.get_layer("normalise").moving_mean.assign(np.full(128, -30.0))
    model.get_layer("normalise").moving_variance.assign(np.full(128, 100.0))
    models.recalibrate(models.BlockStatistics(model), [clips[:4], clips[4:]])
    block = model.get_layer("block1")
    seen = ((clips + 30) / np.sqrt(100.001)).astype("float32")
    full = keras.ops.elu(keras.ops.conv(seen[..., None], block.kernel, padding="same") + block.bias)
    np.testing.assert_allclose(block.moving_mean, np.asarray(full).mean((0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(block.moving_variance, np.asarray(full).var((0, 1, 2)), atol=1e-4)


def test_saved_model_loads_in_safe_mode_and_predicts_the_same(tmp_path):
    model = models.crnn(32, 3, non_local=True, head="statistics", augment=[Mask()], dtype="bfloat16")
    clips = np.random.default_rng(0).normal(-30, 10, (3, 32, 128)).astype("float32")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded.predict(clips, verbose=0), model.predict(clips, verbose=0))


@pytest.mark.parametrize(("variant", "least"), [("paper", 16), ("less-pooling", 8), ("1d", 36), ("rnn", 1)])
def test_a_clip_that_the_pools_use_up_is_refused_before_keras_sees_it(variant, least):
    assert models.crnn(least, 2, variant=variant).output_shape == (None, 2)
    with pytest.raises(ParameterError, match=f"at least {least} frames"):
        models.crnn(least - 1, 2, variant=variant)


def test_a_network_however_narrow_has_filters():
    model = models.crnn(94, 3, width=0.001)
    assert all(0 not in weights.shape for weights in model.weights)
