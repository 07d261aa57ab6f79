"""What bounds training and prediction: the network's convolutions and their gradients alone, against the whole step.

    python benchmarks/convolutions.py [--frames 94] [--rounds 15] [--dtype float32]

They are TensorFlow's own operations on random values of the shapes of the paper's network, each measured by itself; in
a step some of them run at once. The first block's gradients are no convolutions in crnnlib. "GFLOP/s" counts a
multiplication and an addition as two.
"""

import argparse
import functools
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from crnnlib import device, models
from crnnlib.models import VARIANTS

BATCH, CLASSES, MELS = 16, 20, 128


def convolutions(n_frames, dtype):
    """Place, kind, floating-point operations and function of each."""
    import tensorflow as tf

    times, bands, channels = n_frames, MELS, 1
    for number, (filters, (pool_t, pool_f), _) in enumerate(VARIANTS["paper"], 1):
        x = tf.cast(tf.random.normal((BATCH, times, bands, channels)), dtype)
        kernel = tf.cast(tf.random.normal((3, 3, channels, filters)), dtype)
        same = {
            "out_backprop": tf.cast(tf.random.normal((BATCH, times, bands, filters)), dtype),
            "strides": [1, 1, 1, 1],
            "padding": "SAME",
        }
        kinds = {"forward": functools.partial(tf.nn.conv2d, x, kernel, 1, "SAME")}
        if channels > 1:
            to_kernel, to_input = tf.raw_ops.Conv2DBackpropFilter, tf.raw_ops.Conv2DBackpropInput
            kinds["kernel"] = functools.partial(to_kernel, input=x, filter_sizes=kernel.shape, **same)
            kinds["input"] = functools.partial(to_input, input_sizes=x.shape, filter=kernel, **same)
        for kind, convolution in kinds.items():
            place = f"block {number}, {channels} to {filters} channels, {times} x {bands}"
            yield place, kind, 2 * 9 * BATCH * times * bands * channels * filters, tf.function(convolution)
        times, bands, channels = times // pool_t, bands // pool_f, filters


def seconds(action):
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=94)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default=device.best_dtype())
    options = parser.parse_args()

    network = models.crnn(options.frames, CLASSES, dtype=options.dtype)
    network.compile("adam", "sparse_categorical_crossentropy", jit_compile=device.jit())
    rng = np.random.default_rng(0)
    x = rng.normal(-30, 10, (BATCH, options.frames, MELS)).astype("float32")
    y = rng.integers(0, CLASSES, BATCH)
    parts = list(convolutions(options.frames, options.dtype))
    steps = {"training": lambda: network.train_on_batch(x, y), "prediction": lambda: network.predict_on_batch(x)}
    actions = [*steps.values(), *(part[-1] for part in parts)]
    for action in actions:
        action()
    medians = 1e3 * np.median([[seconds(action) for action in actions] for _ in range(options.rounds)], axis=0)
    training, prediction, *alone = medians

    print(f"{options.frames} frames, batch {BATCH}, {options.dtype}, medians of {options.rounds} interleaved rounds")
    print(device.provenance()["device"])
    for (place, kind, operations, _), one in zip(parts, alone, strict=True):
        print(f"{place:<42}{kind:<9}{one:7.2f} ms{operations / one / 1e6:7.0f} GFLOP/s")
    forward = sum(one for (_, kind, *_), one in zip(parts, alone, strict=True) if kind == "forward")
    for name, whole, share in (("training", training, sum(alone)), ("prediction", prediction, forward)):
        print(f"{name}: {share:.1f} of {whole:.1f} ms are convolutions, {share / whole:.0%}")


if __name__ == "__main__":
    main()
