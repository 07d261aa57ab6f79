"""How an epoch grows with the hours of music and the clip length, as a table: hours, clip_s, seconds.

    python benchmarks/growth.py [--lengths 1 3 10 30] [--songs 4 8 16] > benchmarks/results/growth.csv

The songs hold random values, four minutes each. An epoch is what a trial takes: training over every clip, the new
measure of the batch norms, the validation of one song in four, and the state on disk. Of three, the fastest is told.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from loader import synthetic_store

from crnnlib import device, loop, training
from crnnlib.clips import ClipSet

SONG_FRAMES = 7500  # 240 s


def epoch_seconds(store, n_frames, folder):
    """Seconds of the fastest of a trial's first three epochs over every song of the store."""
    few = store.track_ids[: len(store.track_ids) // 4]
    parts = {
        "train": ClipSet.of(store, store.track_ids, np.arange(len(store.track_ids)) % 20, n_frames),
        "validation": ClipSet.of(store, few, np.arange(len(few)) % 20, n_frames),
    }
    run = loop.Run(parts, 20, training.PAPER, 0, device.best_dtype(), None, False, folder)
    return min(run.step()["seconds"] for _ in range(3))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lengths", type=float, nargs="+", default=[1, 3, 10, 30], help="seconds")
    parser.add_argument("--songs", type=int, nargs="+", default=[4, 8, 16])
    options = parser.parse_args()
    print(f"# {device.provenance()['device']}, {device.best_dtype()}")
    print("hours,clip_s,seconds")
    with tempfile.TemporaryDirectory() as folder:
        for n_songs in options.songs:
            home = Path(folder, str(n_songs))
            home.mkdir()
            store = synthetic_store(home, n_songs, SONG_FRAMES)
            rate = store.settings.sr / store.settings.hop_length
            hours = n_songs * SONG_FRAMES / rate / 3600
            for clip_s in options.lengths:
                n_frames = store.settings.n_frames(clip_s)
                seconds = epoch_seconds(store, n_frames, home / f"state-{n_frames}")
                print(f"{hours:.4f},{clip_s:g},{seconds:.2f}")
                sys.stdout.flush()
                keras.backend.clear_session()


if __name__ == "__main__":
    main()
