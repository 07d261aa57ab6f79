"""Known and unknown artists told apart by confidence."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from crnnlib import unknown, voting
from crnnlib.errors import ParameterError


def songs(sure, truth=None):
    sure = np.asarray(sure, float)
    names = [f"a/b/{number}" for number in range(len(sure))]
    truth = np.zeros(len(sure), int) if truth is None else truth
    return voting.Scores(np.stack([sure, 1 - sure], 1), truth, names, ("x", "y"), level="song")


def test_separation_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    ours, others = rng.uniform(0.5, 1, 30).round(1), rng.uniform(0.5, 0.9, 20).round(1)
    expected = roc_auc_score([1] * 30 + [0] * 20, np.concatenate([ours, others]))
    found = unknown.separation(songs(ours), songs(others))
    assert found["auc"] == pytest.approx(expected, abs=1e-6)
    assert found["low"] < expected < found["high"]
    assert (found["n_known"], found["n_unknown"]) == (30, 20)


def test_separation_of_equal_confidence_is_chance():
    assert unknown.separation(songs([0.7] * 5), songs([0.7] * 5))["auc"] == 0.5


def test_separation_repeats_with_its_seed():
    ours, others = songs([0.6, 0.7, 0.9]), songs([0.6, 0.8])
    assert unknown.separation(ours, others, seed=3) == unknown.separation(ours, others, seed=3)


def test_separation_needs_resamples():
    with pytest.raises(ParameterError, match="n_boot=0"):
        unknown.separation(songs([0.6]), songs([0.6]), n_boot=0)


def test_threshold_of_zero_refuses_nothing_and_above_one_everything():
    table = unknown.refusals(songs([0.6, 0.9]), songs([0.7]), [0, 1.1])
    assert table[["kept", "refused"]].values.tolist() == [[1, 0], [0, 1]]
    assert np.isnan(table["right"].iloc[1])


def test_right_counts_only_what_is_kept():
    table = unknown.refusals(songs([0.6, 0.9], [1, 0]), songs([0.7]), [0.5, 0.8])
    assert table["right"].tolist() == [0.5, 1.0]


def test_a_threshold_means_the_same_from_any_kind_of_sequence():
    ours = songs([0.9])
    assert unknown.refusals(ours, ours, np.array([0.9])).equals(unknown.refusals(ours, ours, [0.9]))
