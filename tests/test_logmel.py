"""Log-mel: the authors' values, and librosa's."""

import dataclasses
import math

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crnnlib import logmel
from crnnlib.errors import DataError, ParameterError
from crnnlib.logmel import LogMel


def by_librosa(y, **changes):
    """What librosa makes of a signal under our settings."""
    s = dataclasses.replace(LogMel(), **changes)
    power = librosa.feature.melspectrogram(
        y=y, sr=s.sr, n_fft=s.n_fft, hop_length=s.hop_length, n_mels=s.n_mels, pad_mode="reflect"
    )
    return librosa.power_to_db(power, ref=1.0, top_db=s.top_db).T


def music(seconds, sr=16000, channels=1):
    """A few decaying chords over faint noise, shape (samples, channels)."""
    rng = np.random.default_rng(1)
    time = np.arange(int(seconds * sr)) / sr
    notes = sum(np.sin(2 * np.pi * f * time) / n for n, f in enumerate((110, 277, 440, 1318, 3520), 2))
    shape = (len(time), channels)
    sound = 0.3 * (notes * np.exp(-3 * (time % 0.5)))[:, None] * rng.uniform(0.5, 1, channels)
    return (sound + 0.001 * rng.standard_normal(shape)).astype(np.float32)


# The transform


def test_log_mel_is_that_of_the_authors(fixtures):
    with np.load(fixtures / "authors_logmel.npz", allow_pickle=False) as authors:
        loud = authors["audio"].astype(np.float32) / 32768
        for y, expected in ((loud, authors["log_mel"]), (authors["audio_quiet"], authors["log_mel_quiet"])):
            ours = logmel.log_mel(y)
            assert ours.dtype == np.float32
            np.testing.assert_allclose(ours, expected.T, atol=0.01, rtol=0)
            np.testing.assert_allclose(ours.astype(np.float16), expected.T, atol=0.04, rtol=0)


@settings(max_examples=30)
@given(
    n=st.integers(2048, 80000),
    seed=st.integers(0, 99),
    level=st.sampled_from([1e-3, 0.1, 1.0, 30.0]),
    silent=st.booleans(),
)
def test_log_mel_is_that_of_librosa_at_any_length_and_level(n, seed, level, silent):
    y = (level * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)
    y[n // 3 :] *= not silent
    np.testing.assert_allclose(logmel.log_mel(y), by_librosa(y), atol=0.01, rtol=0)


@pytest.mark.parametrize(
    "changes",
    [{"n_mels": 40}, {"n_fft": 1024, "hop_length": 160}, {"sr": 22050}, {"top_db": 60.0}, {"hop_length": 3000}],
    ids=str,
)
def test_log_mel_is_that_of_librosa_under_other_settings(changes):
    y = music(4)[:, 0]
    np.testing.assert_allclose(logmel.log_mel(y, LogMel(**changes)), by_librosa(y, **changes), atol=0.01, rtol=0)


def test_log_mel_of_a_pure_tone_keeps_its_range():
    y = np.sin(2 * np.pi * 1000 * np.arange(64000) / 16000).astype(np.float32)
    ours, expected = logmel.log_mel(y), by_librosa(y)
    np.testing.assert_allclose(ours, expected, atol=0.01, rtol=0)
    assert ours.max() - ours.min() == pytest.approx(80, abs=1e-4)


@pytest.mark.parametrize("shape", [(2047,), (0,), (4096, 2), ()])
def test_log_mel_refuses_what_is_no_signal(shape):
    with pytest.raises(DataError, match="expected one row of at least n_fft=2048"):
        logmel.log_mel(np.zeros(shape))


# The settings


def test_clip_lengths_are_those_of_the_paper():
    assert [LogMel().n_frames(clip_s) for clip_s in (1, 3, 5, 6, 10, 20, 30)] == [32, 94, 157, 188, 313, 628, 911]
    assert LogMel(hop_length=256).n_frames(20) == 1250
    assert LogMel().n_frames(20.5) == math.ceil(20.5 * 31.25)


@pytest.mark.parametrize("clip_s", [0, -1, math.nan, math.inf])
def test_a_clip_has_a_positive_length(clip_s):
    with pytest.raises(ParameterError, match=r"expected a positive length in seconds, e.g. 3.0"):
        LogMel().n_frames(clip_s)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("sr", 0, "a positive whole number, e.g. 16000"),
        ("sr", 16000.5, "a positive whole number"),
        ("n_fft", 2047, "a positive even number, e.g. 2048"),
        ("hop_length", -512, "a positive whole number, e.g. 512"),
        ("n_mels", math.nan, "a positive whole number"),
        ("top_db", 0, "a positive number, e.g. 80.0"),
        ("max_s", -3, "a positive number, e.g. 30.0"),
        ("max_s", math.inf, "a positive number"),
    ],
)
def test_settings_are_checked(name, value, expected):
    with pytest.raises(ParameterError, match=f"{name}={value}: expected {expected}"):
        LogMel(**{name: value})


def test_digest_names_the_settings():
    assert LogMel().digest == LogMel(sr=16000.0, top_db=80).digest
    assert len({LogMel().digest, LogMel(max_s=30).digest, LogMel(n_mels=64).digest}) == 3
    assert len(LogMel().digest) == 8
