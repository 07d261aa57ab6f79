"""Augmentation: the identity outside training, and inside it what its name says."""

import numpy as np
import pytest

from crnnlib.augment import Mask, RandomChannel, RandomEqualiser, RandomShift


@pytest.mark.parametrize("layer", [RandomChannel(), RandomEqualiser(3.0, 6.0), RandomShift(3), Mask(16, 0.2)])
def test_nothing_happens_outside_training(layer):
    clips = np.random.default_rng(0).normal(size=(2, 32, 128)).astype("float32")
    np.testing.assert_array_equal(layer(clips, training=False), clips)


def test_a_share_of_the_clips_is_changed():
    clips = np.zeros((1000, 4, 128), "float32")
    changed = (np.asarray(RandomEqualiser(3.0, 6.0, p=0.3, seed=1)(clips, training=True)) != clips).any((1, 2))
    assert changed.mean() == pytest.approx(0.3, abs=0.05)


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


def test_channel_changes_dynamics_band_and_noise():
    rng = np.random.default_rng(0)
    beat = np.where(np.arange(40) % 2, 0.0, -20.0)  # loud and soft frames in turn
    clips = np.tile(beat[:, None], (400, 1, 128)).astype("float32")
    clips[:, :, 64:] -= 60.0
    clips += rng.normal(scale=0.01, size=clips.shape).astype("float32")
    out = np.asarray(RandomChannel(seed=1)(clips, training=True))
    low = out[:, :, :32].mean(2)
    swing = low[:, 1::2].mean(1) - low[:, ::2].mean(1)  # 20 dB, less up to 40 %, plus up to 20 %
    assert 11.5 < swing.min() < 13.5
    assert 22.5 < swing.max() < 24.5
    floor = out[:, :, 64:96].mean((1, 2)) - out.max((1, 2))
    assert floor.max() > -45  # noise as loud as 35 dB below the peak covers what was 60 below
    assert (out.max((1, 2)) - out.min((1, 2))).max() <= 80.01
    assert (out[:, 1, 120] < clips[:, 1, 120] - 5).any()  # the band ends below


def test_shift_moves_whole_clips_along_the_mel_axis():
    clips = np.tile(np.arange(128, dtype="float32"), (700, 4, 1))
    moved = np.asarray(RandomShift(3, seed=1)(clips, training=True))
    by = moved[:, 0, 64] - 64
    np.testing.assert_array_equal(moved, np.clip(clips + by[:, None, None], 0, 127))  # the end band fills the gap
    values, counts = np.unique(by, return_counts=True)
    assert values.tolist() == [-3, -2, -1, 0, 1, 2, 3]
    assert counts.min() > 60


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
