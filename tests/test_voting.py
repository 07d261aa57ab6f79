"""Votes: the authors' rule as they ran it, ours beside it, and the table of scores that both take."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from crnnlib.errors import DataError, ParameterError
from crnnlib.voting import Scores, majority_vote, pool, soft_vote


@pytest.fixture(scope="module")
def authors(fixtures):
    with np.load(fixtures / "authors_votes.npz", allow_pickle=False) as z:
        return dict(z)


def clips_of(probabilities, song, truth=None, **more):
    probabilities = np.asarray(probabilities)
    truth = np.zeros(len(probabilities), int) if truth is None else truth
    return Scores(probabilities, truth, song, tuple("abcdefgh"[: probabilities.shape[1]]), **more)


@st.composite
def random_clips(draw):
    n, n_classes, n_songs = draw(st.integers(1, 40)), draw(st.integers(2, 6)), draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    # Coarse values, so that ties and clips at exactly the threshold do occur.
    p = rng.integers(0, 5, (n, n_classes)) + 1e-9
    songs = np.sort(rng.integers(0, n_songs, n))
    return clips_of(p / p.sum(1, keepdims=True), [f"{i:02d}" for i in songs], songs % n_classes)


def test_majority_vote_equals_the_authors(authors):
    names = [f"song {i:03d}" for i in authors["song"]]
    songs = majority_vote(clips_of(authors["probabilities"], names, authors["label"]))
    assert songs.predicted.tolist() == authors["voted"].tolist()
    assert songs.truth.tolist() == authors["actual"].tolist()
    assert songs.level == "song"
    assert songs.start is None


def test_fixture_tells_the_rule_from_its_neighbours(authors):
    names = [f"song {i:03d}" for i in authors["song"]]
    clips = clips_of(authors["probabilities"], names, authors["label"])
    for wrong in (majority_vote(clips, threshold=0.0), majority_vote(clips, threshold=0.7), soft_vote(clips)):
        assert wrong.predicted.tolist() != authors["voted"].tolist()


@given(random_clips(), st.sampled_from([0.0, 0.3, 0.5, 0.9]))
def test_majority_vote_is_the_mode_of_confident_clips_lowest_of_equals(clips, threshold):
    songs = majority_vote(clips, threshold)
    for name, decision in zip(songs.track_id, songs.predicted, strict=True):
        own = clips.probabilities[clips.track_id == name]
        sure = own[own.max(1) > threshold]
        expected = scipy.stats.mode((sure if len(sure) else own).argmax(1)).mode
        assert decision == expected


@given(random_clips(), st.integers(0, 100))
def test_votes_do_not_depend_on_the_order_of_clips(clips, seed):
    shuffled = clips.take(np.random.default_rng(seed).permutation(clips.n))
    for vote in (majority_vote, soft_vote):
        a, b = vote(clips), vote(shuffled)
        assert a.track_id.tolist() == b.track_id.tolist() == sorted(set(clips.track_id))
        np.testing.assert_allclose(a.probabilities, b.probabilities, atol=1e-6)
        np.testing.assert_allclose(a.probabilities.sum(1), 1, atol=1e-5)


def test_equal_titles_in_two_albums_stay_two_songs():
    clips = clips_of([[0.9, 0.1], [0.2, 0.8]], ["a/first/01-Intro", "a/second/01-Intro"])
    assert majority_vote(clips).n == 2


def test_soft_vote_is_the_geometric_mean():
    p = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1]])
    mean = np.sqrt(p[0] * p[1])
    np.testing.assert_allclose(soft_vote(clips_of(p, ["s", "s"])).probabilities[0], mean / mean.sum(), rtol=1e-5)


def test_soft_vote_of_a_float16_record_equals_that_of_the_network():
    rng = np.random.default_rng(0)
    p = scipy.special.softmax(rng.normal(0, 9, (300, 6)), axis=1).astype(np.float32)
    song = np.repeat([f"{i:02d}" for i in range(30)], 10)
    live, record = soft_vote(clips_of(p, song)), soft_vote(clips_of(p.astype(np.float16), song))
    assert (p.astype(np.float16) == 0).any()
    assert live.predicted.tolist() == record.predicted.tolist()
    np.testing.assert_allclose(live.probabilities, record.probabilities, atol=0.01)


def test_one_sure_and_wrong_clip_cannot_veto_twenty():
    p = np.full((21, 2), [0.9, 0.1])
    p[0] = [0.0, 1.0]
    assert soft_vote(clips_of(p, ["s"] * 21)).predicted[0] == 0


def test_rows_that_are_taken_keep_their_start_and_decision():
    songs = clips_of([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], list("stu"), start=[0, 32, 64], predicted=[1, 1, 0])
    some = songs.take([2, 0])
    assert (some.track_id.tolist(), some.start.tolist(), some.predicted.tolist()) == (["u", "s"], [64, 0], [0, 1])


def test_pool_keeps_decisions_and_forgets_starts_that_a_part_lacks():
    decided = clips_of([[0.9, 0.1]], ["s"], start=[0], predicted=[1])
    assert pool([decided]).predicted.tolist() == [1]
    assert pool([decided, clips_of([[0.9, 0.1]], ["t"])]).start is None


def test_pool_keeps_every_row_and_where_it_started():
    fold = clips_of([[0.9, 0.1], [0.2, 0.8]], ["s", "t"], [0, 1], start=[0, 94])
    pooled = pool([fold, fold, fold])
    assert pooled.n == 6
    assert pooled.start.tolist() == [0, 94] * 3
    with pytest.raises(DataError, match="kinds"):
        pool([fold, soft_vote(fold)])
    with pytest.raises(DataError, match="at least one"):
        pool([])


def test_a_class_without_votes_is_no_guess():
    songs = Scores(np.eye(5)[[4]], [0], ["s"], tuple("abcde"), level="song")
    assert not songs.in_top(3)[0]
    assert Scores([[0.5, 0.1, 0.3, 0.0, 0.1]], [2], ["s"], tuple("abcde")).in_top(2)[0]


def test_scores_hold_text_and_float32_whatever_came_in():
    s = Scores([[0.5, 0.5]], [1], np.array(["s"], dtype=object), ["a", "z"])
    assert s.probabilities.dtype == np.float32
    assert s.track_id.dtype.kind == "U"
    assert s.predicted.tolist() == [0]


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"probabilities": np.zeros((0, 2)), "truth": [], "track_id": []}, DataError, "0 rows"),
        ({"probabilities": [[0.5, np.nan]]}, DataError, "NaN"),
        ({"probabilities": [[1.0]]}, DataError, "expected \\(1 rows, 2 classes\\)"),
        ({"truth": [2]}, DataError, "truth 2 to 2: expected 0 to 1"),
        ({"predicted": [-1]}, DataError, "predicted"),
        ({"track_id": ["s", "t"]}, DataError, "track_id"),
        ({"start": [0, 1]}, DataError, "start"),
        ({"level": "frame"}, ParameterError, "'clip' or 'song'"),
        (
            {"probabilities": [[0.5, 0.5]] * 2, "truth": [0, 1], "track_id": ["s", "s"]},
            DataError,
            "two truths",
        ),
    ],
)
def test_bad_scores_are_refused(fields, error, message):
    given = {"probabilities": [[0.5, 0.5]], "truth": [0], "track_id": ["s"], "classes": ("a", "z")} | fields
    with pytest.raises(error, match=message):
        Scores(**given)


def test_bad_parameters_are_refused():
    clips = clips_of([[0.9, 0.1]], ["s"])
    for threshold in (-0.1, 1.0, float("nan")):
        with pytest.raises(ParameterError, match="threshold"):
            majority_vote(clips, threshold)


def test_confidence_is_the_probability_of_the_decision():
    s = Scores([[0.75, 0.25], [0.25, 0.75]], [0, 0], ["s", "t"], ("a", "z"), predicted=[0, 0])
    assert s.confidence.tolist() == [0.75, 0.25]
