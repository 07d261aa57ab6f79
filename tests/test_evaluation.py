"""Scores: scikit-learn's numbers under our names, and what calibration adds."""

import numpy as np
import pytest
from sklearn import metrics

from crnnlib import evaluation
from crnnlib.errors import ParameterError
from crnnlib.voting import Scores, majority_vote


def noisy(n=200, n_classes=5, skill=1.0, seed=0, repeats=1):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, n)
    logits = rng.normal(size=(n * repeats, n_classes)) + skill * np.eye(n_classes)[np.repeat(truth, repeats)]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    names = np.repeat([f"{i:04d}" for i in range(n)], repeats)
    return Scores(p, np.repeat(truth, repeats), names, tuple("abcdefgh"[:n_classes]), level="song")


def test_scores_are_scikit_learns():
    s = noisy()
    result = evaluation.scores(s)
    for average in ("weighted", "macro"):
        assert result[f"f1_{average}"] == metrics.f1_score(s.truth, s.predicted, average=average)
    assert result["accuracy"] == metrics.accuracy_score(s.truth, s.predicted)
    assert result["top3"] == metrics.top_k_accuracy_score(s.truth, s.probabilities, k=3)
    assert result["n"] == 200
    assert result["f1_weighted"] != result["f1_macro"]


def test_per_class_and_confusion_name_classes_that_never_occur():
    s = Scores([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0]], [0, 1], ["s", "t"], ("a", "b", "c"), level="song")
    table = evaluation.per_class(s)
    assert table.loc["a"].tolist() == [pytest.approx(2 / 3), 0.5, 1.0, 1, 2]
    assert table.loc["c"].tolist() == [0, 0, 0, 0, 0]
    counts = evaluation.confusion(s)
    assert table.columns.tolist() == ["f1", "precision", "recall", "n", "predicted"]
    assert table.index.name == "class"
    assert counts.loc["b", "a"] == 1
    assert counts.to_numpy().sum() == 2
    assert (counts.index.name, counts.columns.name) == ("truth", "predicted")


def test_per_class_f1_weighs_up_to_the_weighted_f1():
    s = noisy(seed=3)
    table = evaluation.per_class(s)
    assert np.average(table["f1"], weights=table["n"]) == pytest.approx(evaluation.scores(s)["f1_weighted"])


def test_ece_is_near_zero_for_honest_probabilities_and_large_for_boasts():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([0.5, 0.5, 0.5], 5000)
    truth = (p.cumsum(1) < rng.random((5000, 1))).sum(1).clip(0, 2)
    names = [f"{i:04d}" for i in range(5000)]
    honest = evaluation.ece(Scores(p, truth, names, ("a", "b", "c")))
    boast = evaluation.ece(Scores(np.eye(3)[p.argmax(1)], truth, names, ("a", "b", "c")))
    assert honest < 0.03
    assert boast == pytest.approx(1 - (p.argmax(1) == truth).mean(), abs=1e-6)


def test_calibration_counts_every_row_once_at_the_edges_too():
    p = np.array([[0.5, 0.5], [1.0, 0.0], [0.9, 0.1], [0.91, 0.09]])
    table = evaluation.calibration(Scores(p, [0, 0, 1, 1], list("wxyz"), ("a", "b")))
    assert table["n"].sum() == 4
    assert ((table["low"] < table["confidence"]) & (table["confidence"] <= table["high"])).all()
    assert table["low"].tolist() == pytest.approx([0.4, 0.8, 0.9])
    assert table["high"].tolist() == pytest.approx([0.5, 0.9, 1.0])
    assert table.columns.tolist()[:2] == ["low", "high"]
    certain = evaluation.calibration(Scores(np.eye(2), [0, 0], list("yz"), ("a", "b")), n_bins=1)
    assert certain.loc[0, ["low", "high", "confidence", "accuracy", "n"]].tolist() == [0, 1, 1, 0.5, 2]
    with pytest.raises(ParameterError, match="n_bins=0"):
        evaluation.calibration(noisy(), n_bins=0)


def test_ece_weighs_bins_by_their_rows():
    s = Scores([[0.95, 0.05]] * 3 + [[0.55, 0.45]], [0, 0, 0, 1], list("wxyz"), ("a", "b"))
    assert evaluation.ece(s) == pytest.approx((3 * 0.05 + 0.55) / 4)
    assert evaluation.ece(s, n_bins=1) == pytest.approx(abs((3 * 0.95 + 0.55) / 4 - 0.75))


def test_voting_changes_calibration():
    clips = noisy(skill=1.5, repeats=10)
    assert evaluation.ece(majority_vote(clips)) != pytest.approx(evaluation.ece(clips), abs=0.01)


def test_whatever_judges_a_difference_is_found_here():
    for name in ("interval", "compare", "producer_effect", "holm"):
        assert callable(getattr(evaluation, name))


def test_vote_curve_hears_clips_in_order_of_start():
    p = np.array([[0.9, 0.1], [0.1, 0.9], [0.1, 0.9]])
    clips = Scores(p, [1, 1, 1], ["s"] * 3, ("a", "z"), start=[188, 0, 94])
    curve = evaluation.vote_curve(clips, clip_s=3.0)
    assert curve["seconds"].tolist() == [3, 6, 9]
    assert curve["accuracy"].tolist() == [1, 1, 1]
    assert evaluation.vote_curve(Scores(p, [1, 1, 1], ["s"] * 3, ("a", "z")), 3.0)["accuracy"].tolist() == [0, 0, 1]


def test_vote_curve_needs_scores():
    with pytest.raises(ParameterError, match="no scores"):
        evaluation.vote_curve([], 3.0)


def test_vote_curve_ends_at_the_score_of_all_clips():
    rng = np.random.default_rng(1)
    song = np.repeat(np.arange(20), rng.integers(3, 30, 20))
    p = rng.dirichlet([1, 1, 1], song.size) + 0.4 * np.eye(3)[song % 3]
    p /= p.sum(1, keepdims=True)
    clips = Scores(p, song % 3, [f"{i:02d}" for i in song], ("a", "b", "c"), start=np.arange(song.size))
    curve = evaluation.vote_curve(clips, 1.0, vote=majority_vote)
    assert curve["f1_weighted"].iloc[-1] == pytest.approx(evaluation.scores(majority_vote(clips))["f1_weighted"])
    assert tuple(curve[["low", "high"]].iloc[-1]) == evaluation.interval(majority_vote(clips))
    assert (curve["low"] <= curve["high"]).all()
    assert curve["clips"].iloc[-1] == np.bincount(song).max()
    assert curve["clips"].is_monotonic_increasing


def test_vote_curve_of_trials_votes_within_each_and_scores_them_together():
    p = np.array([[0.9, 0.1], [0.1, 0.9]])
    first, second = (Scores(one, [0, 0], ["s", "s"], ("a", "z"), start=[0, 94]) for one in (p, p[::-1]))
    curve = evaluation.vote_curve([first, second], clip_s=3.0)
    assert curve["accuracy"].tolist()[0] == 0.5  # mixed, the two would vote as one song of four clips
    assert evaluation.vote_curve([first], 3.0).equals(evaluation.vote_curve(first, 3.0))


def test_vote_curve_hears_a_fibonacci_number_of_clips_and_all():
    for n, heard in ((1, [1]), (2, [1, 2]), (8, [1, 2, 3, 5, 8]), (20, [1, 2, 3, 5, 8, 13, 20])):
        clips = Scores(np.full((n, 2), 0.5), [0] * n, ["s"] * n, ("a", "z"), start=np.arange(n))
        curve = evaluation.vote_curve(clips, clip_s=1.0)
        assert curve["clips"].tolist() == heard


@pytest.mark.parametrize("clip_s", [0, -1.0, float("nan")])
def test_vote_curve_refuses_lengths_that_are_none(clip_s):
    with pytest.raises(ParameterError, match="clip_s"):
        evaluation.vote_curve(Scores([[0.9, 0.1]], [0], ["s"], ("a", "z")), clip_s)
