"""Training and prediction against plain Keras 3 in float32, interleaved in one run, at several clip lengths.

    python benchmarks/training.py [--frames 94 32 313 911] [--rounds 7] [--bfloat16]

Plain Keras is the same network from Keras' own layers, with XLA only where crnnlib has it: once as installed, in a
process that never imports crnnlib, and once with the settings of TensorFlow that crnnlib makes. Every network has a
process of its own. They take turns, so that whatever else the machine does slows all alike; a turn is as many steps as
half a second holds, since the first of them finds the other processes' data in the caches. The table gives medians of a
step's mean time, their ratios, and the page faults of a step. At 911 frames the processes take some 10 GB together.
"""

import argparse
import concurrent.futures
import contextlib
import itertools
import multiprocessing
import os
import resource
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # where there is a GPU, the processes share it
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import numpy as np  # Keras and crnnlib are imported where they are used: only some of the processes may see crnnlib

BATCH, CLASSES = 16, 20
TURN_S = 0.5
REFERENCE, OURS = "plain Keras, as installed", "ours, float32"
NETWORKS = {
    REFERENCE: None,
    "plain Keras, our settings": None,
    OURS: {"dtype": "float32"},
    "ours, portable, float32": {"dtype": "float32", "fast": False},
    "ours, bfloat16": {"dtype": "bfloat16"},
}
actions = {}  # of this process: name to function


def plain(n_frames):
    """The paper's network from stock layers, time-major."""
    import keras

    layer = keras.layers
    x = inputs = keras.Input((n_frames, 128))
    x = layer.Reshape((n_frames, 128, 1))(layer.BatchNormalization(axis=-1)(x))
    for filters, pool in ((64, (2, 2)), (128, (2, 4)), (128, (2, 4)), (128, (2, 4))):
        x = layer.Conv2D(filters, 3, padding="same", activation="elu")(x)
        x = layer.Dropout(0.1)(layer.MaxPooling2D(pool)(layer.BatchNormalization()(x)))
    x = layer.Reshape((x.shape[1], x.shape[2] * x.shape[3]))(x)
    gru = {"reset_after": False, "recurrent_activation": "hard_sigmoid"}
    x = layer.GRU(32, **gru)(layer.GRU(32, return_sequences=True, **gru)(x))
    x = layer.Dense(CLASSES, activation="softmax")(layer.Dropout(0.3)(x))
    return keras.Model(inputs, x)


def prepare(name, n_frames, n_predicted, jit):
    """Build the network of this process, and take one step of each kind."""
    if name != REFERENCE:
        from crnnlib import models  # its settings must be there before TensorFlow looks for them

    network = plain(n_frames) if NETWORKS[name] is None else models.crnn(n_frames, CLASSES, **NETWORKS[name])
    network.compile("adam", "sparse_categorical_crossentropy", jit_compile=jit)
    rng = np.random.default_rng(0)
    x, y = rng.normal(-30, 10, (BATCH, n_frames, 128)).astype("float32"), rng.integers(0, CLASSES, BATCH)
    many = np.resize(x, (n_predicted, n_frames, 128))
    actions["training"] = lambda: network.train_on_batch(x, y)
    actions["prediction"] = lambda: network.predict_on_batch(many)
    for kind in actions:
        cost(kind)


def cost(kind):
    """Seconds and page faults of a step, the mean of one turn."""
    began, faults = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for steps in itertools.count(1):
        actions[kind]()
        took = time.perf_counter() - began
        if took >= TURN_S:
            return took / steps, (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults) / steps


def about(n_frames):
    """The device, whether crnnlib uses XLA on it, the type that it chooses, and how many clips a prediction takes."""
    from crnnlib import device
    from crnnlib.loop import batch_size

    return device.provenance()["device"], device.jit(), device.best_dtype(), batch_size(n_frames, 64)


def measure(n_frames, rounds, bfloat16, stack):
    spawn = multiprocessing.get_context("spawn")
    pools = {
        name: stack.enter_context(concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn)) for name in NETWORKS
    }
    device, jit, best, n_predicted = pools[OURS].submit(about, n_frames).result()
    if best != "bfloat16" and not bfloat16:
        del pools["ours, bfloat16"]
    print(f"{n_frames} frames, {device}")
    for name, pool in pools.items():
        pool.submit(prepare, name, n_frames, n_predicted, jit).result()
    for kind, clips in (("training", BATCH), ("prediction", n_predicted)):
        turns = [[pool.submit(cost, kind).result() for pool in pools.values()] for _ in range(rounds)]
        medians = np.median(turns, axis=0)
        for name, (seconds, faults) in zip(pools, medians, strict=True):
            ratio = medians[0, 0] / seconds
            print(f"{kind:<12}{name:<28}{clips / seconds:7.4g} clips/s{ratio:6.2f} x{faults:8.0f} faults")
    print(flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[94, 32, 313, 911])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--bfloat16",
        action="store_true",
        help="also where crnnlib would not choose it; ten times slower on a processor that has to emulate it",
    )
    options = parser.parse_args()
    print(f"batch {BATCH} to train, medians of {options.rounds} interleaved rounds of {TURN_S} s each")
    for n_frames in options.frames:
        with contextlib.ExitStack() as stack:
            measure(n_frames, options.rounds, options.bfloat16, stack)


if __name__ == "__main__":
    main()
