"""Bad input: each case gives the documented result, none a library's traceback, a hang or a silent loss."""

import csv
import os
import struct
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from crnnlib import features
from crnnlib.errors import DataError

RNG = np.random.default_rng(0)
NOISE = (0.1 * RNG.standard_normal(5 * 16000)).astype(np.float32)
GOOD = None


def encoded(data=NOISE, sr=16000, **options):
    """Bytes of an audio file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song"
        soundfile.write(path, data, sr, **{"format": "WAV", **options})
        return path.read_bytes()


def patched(data, offset, new):
    """Bytes with some replaced."""
    return data[:offset] + new + data[offset + len(new) :]


def with_sample(value):
    """A signal with one odd sample."""
    return np.concatenate([NOISE[:100], [np.float32(value)], NOISE[100:]])


MP3 = encoded(format="MP3")
OGG = encoded(format="OGG", subtype="VORBIS")
OPUS = encoded(format="OGG", subtype="OPUS")
FLAC = encoded(format="FLAC")
WAV = encoded()
AIFF = encoded(format="AIFF")
FLOAT = encoded(subtype="FLOAT")
STEREO = np.stack([NOISE, NOISE], axis=1)

# name of the file -> (its bytes, or how to make it; the reason that failures.csv gives, or GOOD)
CASES = {
    # nothing, or no audio
    "zero bytes.mp3": (b"", "corrupt or no audio"),
    "zero bytes.wav": (b"", "corrupt or no audio"),
    "text.mp3": (b"la la la\n" * 500, "corrupt or no audio"),
    "page.flac": (b"<!doctype html><p>404</p>", "corrupt or no audio"),
    "noise.mp3": (RNG.bytes(30000), "corrupt or no audio"),
    "noise.ogg": (RNG.bytes(30000), "corrupt or no audio"),
    "movie.mp3": (b"\0\0\0\x20ftypM4A " + RNG.bytes(3000), "corrupt or no audio"),
    "zip.mp3": (b"PK\x03\x04" + RNG.bytes(3000), "corrupt or no audio"),
    "samples.raw": (NOISE.tobytes(), "corrupt or no audio"),
    "huge tag.mp3": (b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f", "corrupt or no audio"),
    # cut short
    "half.mp3": (MP3[: len(MP3) // 2], "cut short"),
    "head.mp3": (MP3[:2000], "cut short"),
    "stub.mp3": (MP3[:100], "corrupt or no audio"),
    "less a byte.mp3": (MP3[:-1], GOOD),
    "half.ogg": (OGG[: len(OGG) // 2], "cut short"),
    "less a byte.ogg": (OGG[:-1], "cut short"),
    "magic.ogg": (b"OggS", "cut short"),
    "half.opus": (OPUS[: len(OPUS) // 2], "cut short"),
    "half.flac": (FLAC[: len(FLAC) // 2], "corrupt or no audio"),
    "magic.flac": (b"fLaC", "corrupt or no audio"),
    "half.wav": (WAV[: len(WAV) // 2], "cut short"),
    "magic.wav": (b"RIFF", "cut short"),
    "half.aiff": (AIFF[: len(AIFF) // 2], "cut short"),
    # damaged inside, or in the header
    "hole.mp3": (patched(MP3, len(MP3) // 2, bytes(4000)), "corrupt or no audio"),
    "hole.ogg": (patched(OGG, len(OGG) // 2, RNG.bytes(8000)), "cut short"),
    "hole.flac": (patched(FLAC, len(FLAC) // 2, RNG.bytes(4000)), "corrupt or no audio"),
    "endless.flac": (patched(FLAC, 21, bytes([FLAC[21] | 15, 255, 255, 255, 255])), "cut short"),
    "rate 0.wav": (patched(WAV, 24, struct.pack("<I", 0)), "corrupt or no audio"),
    "rate 1.wav": (patched(WAV, 24, struct.pack("<I", 1)), "corrupt or no audio"),
    "rate of all ones.wav": (patched(WAV, 24, b"\xff" * 4), "corrupt or no audio"),
    "no channels.wav": (patched(WAV, 22, b"\0\0"), "corrupt or no audio"),
    "60000 channels.wav": (patched(WAV, 22, struct.pack("<H", 60000)), "corrupt or no audio"),
    "unknown codec.wav": (patched(WAV, 20, b"\x0f\x27"), "corrupt or no audio"),
    # audio that says nothing
    "silence.wav": (encoded(0 * NOISE), "silent"),
    "near silence.wav": (encoded(1e-4 * NOISE, subtype="FLOAT"), "silent"),
    "channels cancel.wav": (encoded(np.stack([NOISE, -NOISE], axis=1), subtype="FLOAT"), "silent"),
    "10 ms.wav": (encoded(NOISE[:160]), "too short"),
    "no samples.wav": (encoded(NOISE[:0]), "too short"),
    "a sample less than a window.wav": (encoded(NOISE[:2047]), "too short"),
    "nan.wav": (encoded(with_sample(np.nan), subtype="FLOAT"), "not finite"),
    "infinite.wav": (encoded(with_sample(np.inf), subtype="FLOAT"), "not finite"),
    "nan, converted.wav": (encoded(with_sample(np.nan), 44100, subtype="FLOAT"), "not finite"),
    "absurdly loud.wav": (encoded(with_sample(1e30), subtype="FLOAT"), "not finite"),
    # no file
    "missing.mp3": (None, "missing"),
    "folder.mp3": (Path.mkdir, "not a regular file"),
    "pipe.mp3": (os.mkfifo, "not a regular file"),
    "loop.mp3": (lambda path: path.symlink_to(path), "missing"),
    "dangling.mp3": (lambda path: path.symlink_to("nowhere.mp3"), "missing"),
    "device.mp3": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    f"{'x' * 300}.mp3": (None, "unreadable"),
    # odd, but music
    "a window.wav": (encoded(NOISE[:2048]), GOOD),
    "8 bits.wav": (encoded(subtype="PCM_U8"), GOOD),
    "24 bits.wav": (encoded(subtype="PCM_24"), GOOD),
    "doubles.wav": (encoded(subtype="DOUBLE"), GOOD),
    "mu-law.wav": (encoded(subtype="ULAW"), GOOD),
    "8 kHz.wav": (encoded(sr=8000), GOOD),
    "96 kHz.wav": (encoded(np.repeat(NOISE, 6), 96000), GOOD),
    "6 channels.wav": (encoded(np.stack([NOISE] * 6, axis=1), 48000), GOOD),
    "written to a pipe.wav": (patched(WAV, 4, b"\xff" * 4), GOOD),
    "written to a pipe.flac": (patched(FLAC, 21, bytes([FLAC[21] & 240, 0, 0, 0, 0])), GOOD),
    "old tag at the end.flac": (FLAC + b"TAG" + bytes(125), GOOD),
    "old tag at the end.ogg": (OGG + b"TAG" + bytes(125), GOOD),
    "ogg in truth.mp3": (OGG, GOOD),
    "no suffix": (OGG, GOOD),
    "stereo.ogg": (encoded(STEREO, 44100, format="OGG", subtype="VORBIS"), GOOD),
    # odd names
    'it\'s "two"  spaces.wav': (WAV, GOOD),
    "-rf *?$(HOME).wav": (WAV, GOOD),
    "two\nlines\r.wav": (WAV, GOOD),
    "<b>emoji 🎸 ёлка 音楽.wav": (WAV, GOOD),
    f"{'é' * 123}.wav": (WAV, GOOD),  # 250 bytes
    os.fsdecode(b"not text \xff\xfe.wav"): (WAV, GOOD),
    "=cmd(),@sum.wav": (b"", "corrupt or no audio"),
    "two\nlines, broken.mp3": (b"", "corrupt or no audio"),
    os.fsdecode(b"not text, broken \xff.mp3"): (b"", "corrupt or no audio"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder of all cases."""
    root = tmp_path_factory.mktemp("bad")
    for name, (made, _) in CASES.items():
        if isinstance(made, bytes):
            (root / name).write_bytes(made)
        elif made:
            made(root / name)
    return root


def table(paths):
    """Track table of files."""
    rows = [("artist", "album", f"title {n:03d}", str(path)) for n, path in enumerate(paths)]
    tracks = pd.DataFrame(rows, columns=["artist", "album", "title", "path"], index=["/".join(r[:3]) for r in rows])
    tracks.attrs["corpus"] = "bad"
    return tracks


def test_there_are_forty_bad_inputs_and_more():
    assert sum(reason is not GOOD for _, reason in CASES.values()) >= 40


@pytest.mark.parametrize("name", CASES, ids=ascii)
def test_load_audio_gives_the_documented_result(folder, name):
    path, reason = folder / name, CASES[name][1]
    if reason is GOOD:
        y = features.load_audio(path)
        assert y.dtype == np.float32
        assert y.ndim == 1
        assert len(y) >= 2048
        assert np.isfinite(features.log_mel(y)).all()
    else:
        with pytest.raises(DataError) as caught:
            features.load_audio(path)
        assert str(caught.value).startswith(f"{path}: {reason}")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_extract_lists_every_failure_and_keeps_the_rest(folder, home, n_jobs):
    tracks = table([folder / name for name in CASES])
    expected = {i: reason for i, (_, reason) in zip(tracks.index, CASES.values(), strict=True) if reason is not GOOD}
    with pytest.warns(UserWarning, match=rf"bad: {len(expected)} of {len(CASES)} tracks cannot be used \(.*silent"):
        store = features.extract(tracks, n_jobs=n_jobs, progress=False)
    with (store.folder / "failures.csv").open(newline="", encoding="utf-8") as lines:
        listed = {row["track_id"]: row for row in csv.DictReader(lines)}
    assert {i: row["reason"].startswith(expected[i]) for i, row in listed.items()} == dict.fromkeys(expected, True)
    assert set(store.track_ids) == set(tracks.index) - set(expected)
    assert all(store.n_frames(i) for i in store.track_ids)
    assert {path.suffix for path in store.folder.iterdir()} == {".npy", ".csv"}


def test_a_corpus_of_failures_is_an_error(folder, home):
    with pytest.raises(
        DataError, match=r"bad: 2 of 2 tracks cannot be used \(1 missing, 1 silent\); see .*failures.csv"
    ):
        features.extract(table([folder / "missing.mp3", folder / "silence.wav"]), n_jobs=1, progress=False)


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.parametrize("locked", ["song", "folder"])
def test_unreadable_files_and_folders_are_told(locked):
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "inner").mkdir()
        path = root / "inner" / "song.wav"
        path.write_bytes(WAV)
        root.chmod(0o755)
        (path if locked == "song" else path.parent).chmod(0)
        me = os.geteuid()
        try:
            if me == 0:  # whom modes do not stop
                os.seteuid(65534)
            with pytest.raises(DataError, match=r"song.wav: unreadable \(Permission denied\)"):
                features.load_audio(path)
        finally:
            os.seteuid(me)
            path.parent.chmod(0o755)
