"""Resampling: the fast counts are scikit-learn's scores, songs stay whole, and differences are paired."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from test_evaluation import noisy

from crnnlib import evaluation, intervals
from crnnlib.errors import DataError, ParameterError
from crnnlib.voting import Scores, pool


@given(st.integers(1, 60), st.integers(2, 6), st.integers(0, 500), st.sampled_from(intervals.METRICS))
def test_resampled_scores_equal_scikit_learns_on_the_drawn_rows(n, n_classes, seed, metric):
    s = noisy(n, n_classes, seed=seed)
    weights = intervals._weights(n, 3, seed)
    fast = intervals._resampled(s, s.track_id, np.unique(s.track_id), weights, metric)
    for drawn, value in zip(weights.astype(int), fast, strict=True):
        rows = np.repeat(np.arange(n), drawn)
        assert value == pytest.approx(evaluation.scores(s.take(rows))[metric])


def test_interval_covers_the_truth_about_as_often_as_it_says():
    skill, hits = 1.0, 0
    truth = evaluation.scores(noisy(100_000, skill=skill, seed=99))["accuracy"]
    for seed in range(200):
        low, high = intervals.interval(noisy(150, skill=skill, seed=seed), "accuracy", n_boot=400)
        hits += low <= truth <= high
    assert 0.89 <= hits / 200 <= 0.99


def test_a_trial_without_a_song_in_a_resample_is_not_scored_there():
    right, truth = np.eye(2)[[0, 1, 0]], [0, 1, 0]
    trials = [Scores(right, truth, list(names), ("a", "z"), level="song") for names in ("abc", "def", "ghi")]
    assert intervals.interval(trials) == (1.0, 1.0)


def test_interval_is_repeatable_and_the_seed_matters():
    s = noisy()
    assert intervals.interval(s) == intervals.interval(s)
    assert intervals.interval(s) != intervals.interval(s, seed=1)


def test_rows_of_one_song_are_resampled_together():
    clips = noisy(40, skill=0.5)
    copied = pool([clips] * 10)  # ten times the rows, no more evidence
    assert intervals.interval(copied) == pytest.approx(intervals.interval(clips))


def test_interval_of_several_trials_is_that_of_their_mean():
    trials = [noisy(150, skill=skill, seed=seed) for seed, skill in enumerate((0.3, 3.0))]
    low, high = intervals.interval(trials, "accuracy")
    ends = [intervals.interval(one, "accuracy") for one in trials]
    assert ends[0][1] < low < np.mean([one.correct.mean() for one in trials]) < high < ends[1][0]
    assert intervals.interval([trials[0]]) == intervals.interval(trials[0])
    assert intervals.interval([trials[0]] * 3) == pytest.approx(intervals.interval(trials[0]))


def test_albums_as_groups_widen_the_interval():
    rng = np.random.default_rng(0)
    album = np.repeat(np.arange(30), 10)
    good = rng.random(30) < 0.5  # an album is recognised as a whole, or not at all
    truth = np.zeros(300, int)
    p = np.where(good[album][:, None], [[1.0, 0.0]], [[0.0, 1.0]])
    s = Scores(p, truth, [f"{i:03d}" for i in range(300)], ("a", "b"), level="song")
    by_song, by_album = intervals.interval(s, "accuracy"), intervals.interval(s, "accuracy", groups=album)
    assert np.diff(by_album) > 2 * np.diff(by_song)
    table = pd.Series(album, index=s.track_id)
    assert intervals.interval(s, "accuracy", groups=table) == by_album
    assert intervals.interval(s, "accuracy", groups=table.to_dict()) == by_album


def test_compare_pairs_songs_in_any_order():
    a, b = noisy(300, skill=1.6, seed=1), noisy(300, skill=1.6, seed=1)
    same = intervals.compare(a, b.take(np.random.default_rng(0).permutation(300)))
    assert (same["difference"], same["low"], same["high"]) == pytest.approx((0, 0, 0))
    assert same["p_bootstrap"] == same["p_mcnemar"] == 1


def test_pairing_sees_what_two_separate_intervals_do_not():
    b = noisy(200, skill=1.0, seed=1)
    better = b.probabilities.copy()
    fixed = np.flatnonzero(~b.correct)[:12]
    better[fixed] = np.eye(5)[b.truth[fixed]]
    a = Scores(better, b.truth, b.track_id, b.classes, level="song")
    result = intervals.compare(a, b, "accuracy")
    assert result["difference"] == pytest.approx(12 / 200)
    assert result["low"] > 0
    assert result["p_bootstrap"] < 0.01
    assert result["p_mcnemar"] == pytest.approx(scipy.stats.binomtest(0, 12).pvalue)
    assert intervals.interval(a, "accuracy")[0] < intervals.interval(b, "accuracy")[1]


def test_compare_of_pooled_trials_gives_an_interval_but_no_mcnemar():
    a, b = pool([noisy(seed=1, skill=2)] * 3), pool([noisy(seed=1, skill=2)] * 3)
    result = intervals.compare(a, b)
    assert result["n"] == 200
    assert np.isnan(result["p_mcnemar"])


def test_compare_refuses_different_songs():
    with pytest.raises(DataError, match=r"1 songs are in one test only, e\.g\. 0199"):
        intervals.compare(noisy(200), noisy(199))


def test_compare_refuses_answers_to_different_questions():
    a = noisy(200)
    other = Scores(a.probabilities, a.truth, a.track_id, [f"{name}!" for name in a.classes], level="song")
    with pytest.raises(DataError, match="one question"):
        intervals.compare(a, other)
    with pytest.raises(DataError, match="one question"):
        intervals.compare(a, dataclasses.replace(a, truth=a.truth[::-1]))


def test_producer_effect_is_paired_where_songs_are_shared():
    heard = noisy(200, skill=3.0, seed=1)
    unheard = Scores(heard.probabilities[:, ::-1], heard.truth, heard.track_id, heard.classes, level="song")
    shared = intervals.producer_effect(heard, unheard)
    apart = Scores(unheard.probabilities, unheard.truth, ["x" + t for t in unheard.track_id], heard.classes)
    independent = intervals.producer_effect(heard, apart)
    assert (shared["shared"], independent["shared"]) == (200, 0)
    assert shared["difference"] == independent["difference"] == shared["song"] - shared["album"]
    assert shared["song"] == pytest.approx(evaluation.scores(heard)["f1_weighted"])
    assert shared["low"] > 0.2
    same = intervals.producer_effect(heard, heard)
    assert same["high"] - same["low"] < 1e-12 < independent["high"] - independent["low"]


def test_holm_is_stricter_than_each_test_alone():
    p = np.array([0.001, 0.04, 0.02, 0.9])
    corrected = intervals.holm(p)
    assert corrected.tolist() == pytest.approx([0.004, 0.08, 0.06, 0.9])
    assert (corrected >= p).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: intervals.interval(s, "f1"), "metric='f1': expected one of f1_weighted"),
        (lambda s: intervals.interval(s, n_boot=0), "n_boot=0"),
        (lambda s: intervals.interval([]), "no scores"),
        (lambda s: intervals.interval(s, groups=["a"]), "1 values; expected one for each of 200"),
        (lambda s: intervals.interval(s, groups={"0000": "a"}), "no group for '0001'"),
    ],
)
def test_bad_parameters_are_refused(call, message):
    with pytest.raises(ParameterError, match=message):
        call(noisy())
