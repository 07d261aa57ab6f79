"""Log-mel back to sound."""

import numpy as np
import pytest

from crnnlib import features, inverse
from crnnlib.errors import DataError

SR = 16000


def melody():
    """Four notes with three overtones each, half a second in all."""
    t = np.arange(SR // 8) / SR
    notes = [sum(np.sin(2 * np.pi * k * f * t) / k for k in (1, 2, 3)) * np.exp(-6 * t) for f in (220, 277, 330, 440)]
    return 0.2 * np.concatenate(notes)


@pytest.mark.parametrize("change", [{}, {"n_mels": 32}, {"n_fft": 4096}, {"hop_length": 1024}])
def test_a_picture_of_the_sound_found_is_nearly_the_one_given(change):
    settings = features.LogMel(top_db=40, **change)
    mel = features.log_mel(melody(), settings)
    again = features.log_mel(inverse.log_mel_to_audio(mel, settings), settings)
    kept = min(len(mel), len(again))
    assert np.abs(mel[:kept] - again[:kept]).mean() < 4


def test_equal_seeds_give_equal_sounds():
    mel = features.log_mel(melody())
    first, second, other = (inverse.log_mel_to_audio(mel, rounds=2, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("shape", [(94,), (1, 128), (94, 64)])
def test_a_picture_of_another_shape_is_refused(shape):
    with pytest.raises(DataError, match="128"):
        inverse.log_mel_to_audio(np.zeros(shape))
