"""The network that ships with crnnlib: whole, safe, and the one that its record describes."""

import numpy as np
import pytest
import soundfile

from crnnlib import corpora, identify, records, voting
from crnnlib.recipes import BEYOND, Recipe


@pytest.fixture(scope="module")
def shipped():
    return identify.load_model(identify.SHIPPED)


def test_without_a_trained_model_the_shipped_one_answers(home, shipped, tmp_path):
    assert identify.find_model("never trained") == identify.SHIPPED
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "noise.wav", 0.1 * rng.normal(size=16000 * 7), 16000)
    clips = identify.score_file(shipped, tmp_path / "noise.wav")
    assert clips.classes == shipped.classes
    assert clips.n == 2
    np.testing.assert_allclose(clips.probabilities.sum(1), 1, atol=1e-3)


def test_starts_count_from_the_beginning_of_the_file(shipped, tmp_path):
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "long.wav", 0.1 * rng.normal(size=16000 * 150), 16000)
    settings, clips = shipped.settings, identify.score_file(shipped, tmp_path / "long.wav")
    assert settings.max_s == 120
    assert clips.start[0] * settings.hop_length / settings.sr == pytest.approx(15, abs=0.02)


def test_shipped_model_is_what_its_record_says(shipped):
    record = shipped.record
    assert Recipe(**record["recipe"]) == BEYOND
    assert record["corpus"] == "opengame20"
    assert len(shipped.classes) == 20
    assert shipped.network.count_params() == record["n_parameters"]
    assert not set(record["split"]["test"]) & set(record["split"]["train"] + record["split"]["validation"])


def test_shipped_model_has_its_scores_among_the_committed_records(shipped):
    (trial,) = [one for one in records.results("opengame20") if one.record["id"] == shipped.record["id"]]
    assert trial.record["scores"] == shipped.record["scores"]


@pytest.mark.corpus
def test_shipped_model_answers_as_recorded(shipped, real_home):
    (trial,) = [one for one in records.results("opengame20") if one.record["id"] == shipped.record["id"]]
    paths = corpora.load("opengame20-small")["path"]
    recorded = trial.test_clips
    asked = sorted(set(recorded.track_id) & set(paths.index))
    assert len(asked) >= 5
    for track_id in asked:
        own = recorded.take(recorded.track_id == track_id)
        clips = identify.score_file(shipped, paths[track_id])
        assert clips.n == own.n
        np.testing.assert_allclose(clips.probabilities, own.probabilities, atol=0.1)
        np.testing.assert_allclose(
            voting.soft_vote(clips).probabilities, voting.soft_vote(own).probabilities, atol=0.05
        )
