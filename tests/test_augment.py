"""Augmentation: the identity outside training, and inside it what its name says."""

import numpy as np
import pytest

from crnnlib.augment import Mask, RandomEqualiser


@pytest.mark.parametrize("layer", [RandomEqualiser(3.0, 6.0), Mask(16, 0.2)])
def test_nothing_happens_outside_training(layer):
    clips = np.random.default_rng(0).normal(size=(2, 32, 128)).astype("float32")
    np.testing.assert_array_equal(layer(clips, training=False), clips)


def test_equaliser_adds_one_smooth_curve_per_clip():
    change = np.asarray(RandomEqualiser(0.0, 6.0, seed=1)(np.zeros((500, 4, 128), "float32"), training=True))
    assert np.ptp(change, axis=1).max() < 1e-5  # the same at all times
    assert np.abs(np.diff(change[:, 0])).max() < 2.0  # smooth over frequency
    assert 5.0 < change[:, 0, [0, -1]].std() < 7.0  # as strong as asked at the knots
    assert len(np.unique(change[:, 0, 0])) == 500


def test_gain_shifts_all_bands_alike():
    change = np.asarray(RandomEqualiser(3.0, 0.0, seed=1)(np.zeros((500, 4, 128), "float32"), training=True))
    assert np.ptp(change, axis=(1, 2)).max() < 1e-5
    assert 2.6 < change[:, 0, 0].std() < 3.4


def test_mask_hides_a_run_of_bands_and_of_frames_behind_the_mean():
    clips = np.random.default_rng(0).normal(size=(200, 50, 128)).astype("float32")
    hidden = np.asarray(Mask(16, 0.2, seed=1)(clips, training=True)) != clips
    bands, frames = hidden.all(1), hidden.all(2)
    assert bands.sum(1).max() <= 17
    assert frames.sum(1).max() <= 11
    assert bands.sum(1).mean() == pytest.approx(8, abs=1.5)
    np.testing.assert_array_equal(hidden, bands[:, None, :] | frames[:, :, None])
    assert (np.diff(bands.astype(int), axis=1) == 1).sum(1).max() <= 1  # one run


def test_same_seed_draws_the_same():
    clips = np.zeros((3, 8, 128), "float32")
    first, second = (np.asarray(RandomEqualiser(seed=7)(clips, training=True)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
