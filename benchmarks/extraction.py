"""How fast audio becomes a log-mel store: python benchmarks/extraction.py [--rounds 9] [--tracks 160]

Prints, for 16 kHz mono mp3 (32 kbit/s, as artist20) and 44.1 kHz stereo ogg (as opengame20), the processor time of each
step on one core as a multiple of decoding alone, and the time that a second process saves. The steps of a round take
turns on one file, so that a busy machine slows them alike; a ratio is the median over rounds, then its range.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import librosa
import numpy as np
import pandas as pd
import soundfile
import threadpoolctl

from crnnlib import audio, features, logmel

SETTINGS = logmel.LogMel()
KINDS = {
    "16 kHz mono mp3": (16000, 1, 240, "mp3", {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": 0.83}),
    "44.1 kHz stereo ogg": (44100, 2, 120, "ogg", {"format": "OGG", "subtype": "VORBIS"}),
}


def song(path, sr, channels, seconds, options):
    """Write chords with a beat over noise."""
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", sr, channels, **options) as file:
        for _ in range(seconds):
            time_s = np.arange(sr)[:, None] / sr
            notes = 110 * 2 ** (rng.integers(0, 36, 4) / 12)
            chord = sum(np.sin(2 * np.pi * f * h * time_s) / h for f in notes for h in (1, 2, 3))
            sound = 0.05 * chord * np.exp(-4 * (time_s * 2 % 1)) + 0.01 * rng.standard_normal((sr, channels))
            for start in range(0, sr, 8192):
                file.write(sound[start : start + 8192])


def decode(path, out):
    """Decode, and no more."""
    soundfile.read(path, dtype="float32")


def ours(path, out):
    """What a worker of `features.extract` does."""
    values = logmel.log_mel(audio.load_audio(path, SETTINGS), SETTINGS, logmel.filterbank(SETTINGS))
    np.save(out, values.astype(np.float16), allow_pickle=False)


def by_librosa(path, out):
    """The same with librosa alone."""
    y, _ = librosa.load(path, sr=SETTINGS.sr)
    power = librosa.feature.melspectrogram(y=y, sr=SETTINGS.sr, pad_mode="reflect")
    np.save(out, librosa.power_to_db(power).T.astype(np.float16), allow_pickle=False)


def told(ratios):
    """Median and range."""
    return f"{np.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def one_process(path, seconds, rounds, out):
    """Print the cost of each step as a multiple of decoding."""
    taken = {step: [] for step in (decode, ours, by_librosa)}
    for number in range(rounds + 1):
        for step, times in taken.items():
            start = time.process_time()
            step(path, out)
            if number:  # the first round warms up
                times.append(time.process_time() - start)
    base = np.array(taken[decode])
    for step, label in ((decode, "decoding alone"), (ours, "crnnlib"), (by_librosa, "librosa")):
        times = np.array(taken[step])
        print(f"  {label:15} x {told(times / base)}   {seconds / np.median(times):6.0f} s of audio per second")
    print(f"  librosa / crnnlib {told(np.array(taken[by_librosa]) / np.array(taken[ours]))}")


def two_processes(path, seconds, n_tracks, rounds, home):
    """Print what a second process brings; the first round starts it, the others find it running."""
    names = [f"{number:04d}" for number in range(n_tracks)]
    tracks = pd.DataFrame({"artist": "a", "album": "b", "title": names, "path": str(path)})
    tracks.index = pd.Index([f"a/b/{name}" for name in names], name="track_id")
    tracks.attrs["corpus"] = "benchmark"
    taken = {1: [], 2: []}
    for number in range(rounds):
        for n_jobs, times in taken.items():
            os.environ["CRNNLIB_HOME"] = str(home / f"{number}-{n_jobs}")
            start = time.perf_counter()
            features.extract(tracks, n_jobs=n_jobs, progress=False)
            times.append(time.perf_counter() - start)
    speed = n_tracks * seconds / np.median(taken[2])
    print(
        f"  two processes   x {told(np.array(taken[1]) / np.array(taken[2]))} faster, {speed:.0f} s of audio per second"
    )


def main():
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--tracks", type=int, default=160, help="for the runs on two processes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for kind, (sr, channels, seconds, suffix, how) in KINDS.items():
            path = Path(folder) / f"song.{suffix}"
            song(path, sr, channels, seconds, how)
            print(f"{kind}, {seconds} s a song")
            with threadpoolctl.threadpool_limits(1):
                one_process(path, seconds, options.rounds, Path(folder) / "out.npy")
            two_processes(path, seconds, options.tracks, 3, Path(folder) / suffix)


if __name__ == "__main__":
    main()
