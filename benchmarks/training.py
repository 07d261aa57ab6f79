"""Training and prediction against plain Keras 3 in float32, interleaved in one run, at several clip lengths.

    python benchmarks/training.py [--frames 94 32 313 911] [--rounds 5] [--bfloat16]

Plain Keras is the same network from Keras' own layers, compiled with ``jit_compile=False``. Steps of all networks take
turns, so that whatever else the machine does slows all alike; the table gives medians and their ratios.
"""

import argparse
import functools
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from crnnlib import device, models
from crnnlib.layers import hard_sigmoid
from crnnlib.loop import batch_size

BATCH, CLASSES = 16, 20


def plain(n_frames):
    """The paper's network from stock layers, time-major."""
    layer = keras.layers
    x = inputs = keras.Input((n_frames, 128))
    x = layer.Reshape((n_frames, 128, 1))(layer.BatchNormalization(axis=-1)(x))
    for filters, pool in ((64, (2, 2)), (128, (2, 4)), (128, (2, 4)), (128, (2, 4))):
        x = layer.Conv2D(filters, 3, padding="same", activation="elu")(x)
        x = layer.Dropout(0.1)(layer.MaxPooling2D(pool)(layer.BatchNormalization()(x)))
    x = layer.Reshape((x.shape[1], x.shape[2] * x.shape[3]))(x)
    x = layer.GRU(32, return_sequences=True, reset_after=False, recurrent_activation=hard_sigmoid)(x)
    x = layer.GRU(32, reset_after=False, recurrent_activation=hard_sigmoid)(x)
    return keras.Model(inputs, layer.Dense(CLASSES, activation="softmax")(layer.Dropout(0.3)(x)))


def networks(n_frames, bfloat16):
    built = {
        "plain Keras, float32": plain(n_frames),
        "ours, float32": models.crnn(n_frames, CLASSES),
        "ours, portable, float32": models.crnn(n_frames, CLASSES, fast=False),
    }
    if bfloat16:
        built["ours, bfloat16"] = models.crnn(n_frames, CLASSES, dtype="bfloat16")
    for network in built.values():
        network.compile("adam", "sparse_categorical_crossentropy", jit_compile=device.jit())
    return built


def interleaved(actions, rounds):
    """Median seconds of each action, all taking turns, after one unmeasured turn."""
    for action in actions.values():
        action()
    seconds = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            began = time.perf_counter()
            action()
            seconds[name].append(time.perf_counter() - began)
    return {name: float(np.median(times)) for name, times in seconds.items()}


def report(title, seconds, clips):
    reference = next(iter(seconds.values()))
    for name, time_taken in seconds.items():
        print(f"{title:<12}{name:<26}{clips / time_taken:8.0f} clips/s{reference / time_taken:8.2f} x")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, nargs="+", default=[94, 32, 313, 911])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--bfloat16",
        action="store_true",
        default=device.best_dtype() == "bfloat16",
        help="also where crnnlib would not choose it; ten times slower on a processor that has to emulate it",
    )
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    print(f"{device.provenance()['device']}, batch {BATCH} to train, medians of {options.rounds} interleaved rounds")
    for n_frames in options.frames:
        x = rng.normal(-30, 10, (BATCH, n_frames, 128)).astype("float32")
        y = rng.integers(0, CLASSES, BATCH)
        built = networks(n_frames, options.bfloat16)
        steps = {name: functools.partial(network.train_on_batch, x, y) for name, network in built.items()}
        print(f"\n{n_frames} frames")
        report("training", interleaved(steps, options.rounds), BATCH)
        many = np.resize(x, (batch_size(n_frames, 64), n_frames, 128))  # as many as training.predict takes
        views = {name: functools.partial(network.predict_on_batch, many) for name, network in built.items()}
        report("prediction", interleaved(views, options.rounds), len(many))
        keras.backend.clear_session()


if __name__ == "__main__":
    main()
