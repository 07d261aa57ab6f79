"""How fast batches come from the memory-mapped store, against the training step that they feed.

    python benchmarks/loader.py [--frames 94]

Writes a store of random values into a temporary folder, reads it in random crops on one core, and takes training steps
in the same run; then epochs, with Keras' usual one worker, which leaves reading ahead to tf.data, and with two.
"""

import argparse
import dataclasses
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from crnnlib import device, features, models
from crnnlib.clips import Batches, ClipSet

STEPS = 50  # of an epoch


def synthetic_store(folder, n_tracks, n_song_frames, seed=0):
    """A store of random log-mel, as `features.extract` would leave it."""
    rng = np.random.default_rng(seed)
    names = tuple(f"artist {number % 20:02d}/album/{number:04d}" for number in range(n_tracks))
    values = rng.normal(-30, 10, (n_song_frames, 128)).astype(np.float16)
    for number, name in enumerate(names):
        np.save(Path(folder, features._file_name(name)), np.roll(values, number, axis=0), allow_pickle=False)
    return features.Store(Path(folder), features.LogMel(), "synthetic", names)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=94)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = synthetic_store(folder, 200, 3750)
        clips = ClipSet.of(store, store.track_ids, np.arange(200) % 20, options.frames)
        batches = Batches(clips, 16, seed=0, random_crop=True)
        count = min(len(batches), 400)
        batches[0]
        began = time.perf_counter()
        served = [batches[number] for number in range(count)]
        loading = (time.perf_counter() - began) / count
        network = models.crnn(options.frames, 20, dtype=device.best_dtype())
        network.compile("adam", "sparse_categorical_crossentropy", jit_compile=device.jit())
        network.train_on_batch(*served[0])
        steps = []
        for x, y in served[:10]:
            began = time.perf_counter()
            network.train_on_batch(x, y)
            steps.append(time.perf_counter() - began)
        step = float(np.median(steps))
        few = dataclasses.replace(clips, song=clips.song[: 16 * STEPS], start=clips.start[: 16 * STEPS])
        epochs = {1: [], 2: []}
        for workers in [2] + 5 * [1, 2]:  # the first compiles
            order = Batches(few, 16, seed=0, random_crop=True)
            order.workers = workers
            began = time.perf_counter()
            network.fit(order, verbose=0, shuffle=False)
            epochs[workers].append(time.perf_counter() - began)
    share = f"a batch takes {loading / step:.1%} of a training step"
    print(f"{options.frames} frames: {16 / loading:,.0f} clips/s from the store; {share}")
    print(f"epochs of {STEPS} steps, {STEPS * step:.2f} s each by the median one")
    for workers, seconds in epochs.items():
        print(f"  with {workers} of Keras' workers: " + ", ".join(f"{one:.2f}" for one in seconds[-5:]) + " s")


if __name__ == "__main__":
    main()
