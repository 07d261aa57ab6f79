"""Decoding: librosa's audio, and no more of it than asked for."""

import librosa
import numpy as np
import pytest
import soundfile
from test_logmel import by_librosa, music

from crnnlib import audio, logmel
from crnnlib.logmel import LogMel


def write(path, sound, sr, **options):
    """Write a file in blocks: libsndfile's Vorbis encoder overflows its stack on long ones."""
    with soundfile.SoundFile(path, "w", sr, sound.shape[1], **options) as file:
        for start in range(0, len(sound), 16384):
            file.write(sound[start : start + 16384])
    return path


FORMATS = {
    "mp3": {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": 0.83},
    "ogg": {"format": "OGG", "subtype": "VORBIS"},
    "flac": {"format": "FLAC"},
    "wav": {"format": "WAV", "subtype": "FLOAT"},
}


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(("sr", "channels"), [(16000, 1), (44100, 2), (48000, 1), (22050, 2), (8000, 1)])
def test_load_audio_is_librosa_load(tmp_path, suffix, sr, channels):
    path = write(tmp_path / f"song.{suffix}", music(7.3, sr, channels), sr, **FORMATS[suffix])
    expected, _ = librosa.load(path, sr=16000)
    ours = audio.load_audio(path)
    assert ours.dtype == np.float32
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    np.testing.assert_allclose(logmel.log_mel(ours), by_librosa(expected), atol=0.01, rtol=0)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(("sr", "channels"), [(16000, 1), (44100, 2)])
def test_max_s_decodes_the_middle_and_no_more(tmp_path, monkeypatch, suffix, sr, channels):
    path = write(tmp_path / f"song.{suffix}", music(30, sr, channels), sr, **FORMATS[suffix])
    with soundfile.SoundFile(path) as file:
        first = (file.frames - 4 * sr) // 2
        whole = file.read(dtype="float32", always_2d=True).mean(axis=1)
    decoded, read = [], soundfile.SoundFile.read
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *a, **o: decoded.append(read(*a, **o)) or decoded[-1])
    ours = audio.load_audio(path, LogMel(max_s=4))
    assert sum(map(len, decoded)) == 4 * sr
    assert len(ours) == 4 * 16000
    expected = whole[first : first + 4 * sr]
    if sr == 16000:
        np.testing.assert_allclose(ours, expected, atol=1e-6)
    else:
        np.testing.assert_allclose(ours, librosa.resample(expected, orig_sr=sr, target_sr=16000), atol=1e-6)


def test_max_s_leaves_a_shorter_song_alone(tmp_path):
    path = write(tmp_path / "song.wav", music(3), 16000)
    np.testing.assert_array_equal(audio.load_audio(path, LogMel(max_s=3)), audio.load_audio(path))


def test_max_s_takes_the_middle_of_a_flac_of_unknown_length(tmp_path):
    path = write(tmp_path / "song.flac", music(5), 16000)
    whole = audio.load_audio(path)
    data = bytearray(path.read_bytes())
    data[21:26] = bytes([data[21] & 240, 0, 0, 0, 0])
    path.write_bytes(data)
    np.testing.assert_array_equal(audio.load_audio(path), whole)
    np.testing.assert_array_equal(audio.load_audio(path, LogMel(max_s=1)), whole[32000:48000])
    assert audio.skipped(path, LogMel(max_s=1)) == 2


def test_a_long_song_is_decoded_block_by_block(tmp_path):
    sound = music(20, 22050, 2)
    path = write(tmp_path / "song.flac", sound, 22050)
    np.testing.assert_allclose(audio.load_audio(path, LogMel(sr=22050)), sound.mean(axis=1), atol=1e-4)
