"""Peak anonymous memory of training and testing on a store of artist20's size, at every clip length.

    python benchmarks/memory.py [--frames 94 911] [--tracks 1413]

The store holds synthetic values: 1,413 tracks of 240 s, about 2.7 GB in a temporary folder. Each clip length runs in a
process of its own: a few training steps, the calibration of batch norm, and the prediction of one tenth of the songs.
Memory is `RssAnon` of /proc (Linux), sampled every 20 ms: pages of the memory-mapped store do not count.
"""

import argparse
import multiprocessing
import os
import re
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from loader import synthetic_store


def anonymous():
    """Anonymous resident memory of this process in GB."""
    return int(re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1e6


def trial(store, n_frames, steps, result):
    import numpy as np

    from crnnlib import device, loop, models, training
    from crnnlib.clips import ClipSet

    peak, done = [0.0], threading.Event()

    def watch():
        while not done.is_set():
            peak[0] = max(peak[0], anonymous())
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    labels = np.arange(len(store.track_ids)) % 20
    tenth = len(labels) // 10
    training_clips = ClipSet.of(store, store.track_ids[tenth:], labels[tenth:], n_frames)
    tested = ClipSet.of(store, store.track_ids[:tenth], labels[:tenth], n_frames)
    parts = {"train": training_clips, "validation": tested, "test": tested}
    with tempfile.TemporaryDirectory() as folder:
        run = loop.Run(parts, 20, training.PAPER, 0, device.best_dtype(), None, False, folder)
        run.trainer.fit(first(training_clips, steps), verbose=0)
        models.recalibrate(run.statistics, run._calibration())
        training.predict(run.model, tested)
    done.set()
    watcher.join()
    result.put(peak[0])


def first(clips, steps):
    import dataclasses

    from crnnlib.clips import Batches

    few = dataclasses.replace(clips, song=clips.song[: 16 * steps], start=clips.start[: 16 * steps])
    return Batches(few, 16, seed=0, random_crop=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, nargs="+", default=[32, 94, 157, 313, 628, 911])
    parser.add_argument("--tracks", type=int, default=1413)
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        store = synthetic_store(folder, options.tracks, 7500)
        for n_frames in options.frames:
            result = context.Queue()
            process = context.Process(target=trial, args=(store, n_frames, options.steps, result))
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(f"{n_frames} frames: the process ended with {process.exitcode}")
            print(f"{n_frames:4d} frames: at most {result.get():.2f} GB of anonymous memory", flush=True)


if __name__ == "__main__":
    main()
