"""What speaks TensorFlow in the network: a convolution block whose gradient is written out, for CPUs.

The block is the paper's: convolution 3x3, ELU, batch norm, max-pool, dropout. Four facts make it cheaper than the same
five layers, without changing what it computes:

- Batch norm is affine per channel, so it commutes with the max-pool (with the minimum where gamma is negative). Only
  the pooled map is normalised and stored; the full map is read for its mean and variance.
- The gradients of gamma and beta see pooled positions only. What is left of the backward pass (pool, batch norm, ELU)
  is one elementwise expression over the full map, which XLA compiles to a single loop.
- The first convolution has one input channel: its gradients are cheaper as products of matrices, with the nine values
  that each place sees or the nine that see it, than as convolutions.
- Whether dropout keeps a value is a hash of its place and the step's seed, computed where it is needed, in the same
  loops. No random number is written to memory.

`crnnlib.layers.ConvBlock` calls `block` when `available` says so and computes the same with Keras operations elsewhere;
`tests/test_layers.py` holds the two against each other. Axes: batch, time, frequency, channel.
"""

import functools
import math

import keras

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

__all__ = ["available", "block", "fused", "moments"]

# Values in one clip's map. Above it a block gives its gradient down only when it is done with its own: computed at once
# they are a little faster, but this map then stays in memory with those of the block below, gigabytes of long clips.
LARGE = 2**21


def available() -> bool:
    """Whether the fast block can run here: TensorFlow backend, no GPU.

    Returns
    -------
    bool

    Examples
    --------
    >>> available() in (True, False)
    True
    """
    if keras.backend.backend() != "tensorflow":
        return False
    return not tf.config.list_physical_devices("GPU")


def block(x, kernel, bias, gamma, beta, *, pool, epsilon, rate=0.0, seed=None):
    """Convolution 3x3, ELU, batch norm by batch statistics, max-pool and dropout, with a hand-written gradient.

    Parameters
    ----------
    x : tf.Tensor, shape (batch, time, frequency, channels)
        In the compute dtype (float32 or bfloat16).
    kernel, bias : tf.Tensor, shapes (3, 3, channels, filters) and (filters,)
        In the compute dtype.
    gamma, beta : tf.Tensor, shape (filters,)
        In float32.
    pool : tuple of int
        Pool size and stride in (time, frequency).
    epsilon : float
        Added to the variance.
    rate : float, default=0.0
        Share of the pooled values that dropout sets to zero.
    seed : tf.Tensor, shape (2,), optional
        Seed of the dropout; needed when `rate` is positive.

    Returns
    -------
    output : tf.Tensor, shape (batch, time // pool[0], frequency // pool[1], filters)
        In the compute dtype.
    mean, variance : tf.Tensor, shape (filters,)
        Of the ELU's output over the batch, in float32, for the moving statistics.

    Notes
    -----
    Where two values of a pool tie for the maximum, each takes an equal share of the gradient.

    Examples
    --------
    >>> if available():
    ...     import tensorflow as tf
    ...
    ...     y, mean, variance = block(
    ...         tf.random.normal((2, 8, 16, 1)),
    ...         tf.random.normal((3, 3, 1, 4)),
    ...         tf.zeros(4),
    ...         tf.ones(4),
    ...         tf.zeros(4),
    ...         pool=(2, 2),
    ...         epsilon=1e-3,
    ...     )
    ...     assert tuple(y.shape) == (2, 4, 8, 4)
    """
    kernel, bias, gamma, beta = (tf.identity(one) for one in (kernel, bias, gamma, beta))
    dropout = (tf.cast(seed, tf.uint32), rate) if rate else None

    @tf.custom_gradient
    def run(x, kernel, bias, gamma, beta):
        filters = kernel.shape[-1]
        full = tf.nn.elu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))
        mean, variance, count = moments(full)
        pooled = _pool(full, gamma, pool)
        deviation = tf.math.rsqrt(variance + epsilon)
        scale = gamma * deviation
        output = fused(_normalised)(pooled, mean, scale, beta, dropout)

        def gradient(d_output, _d_mean, _d_variance):
            sums = fused(_partial_sums)(d_output, pooled, mean, dropout)
            d_beta, along = (tf.reduce_sum(one, (0, 1, 2)) for one in sums)
            d_gamma = along * deviation
            slope = -scale / count * deviation * d_gamma
            level = -scale / count * d_beta - slope * mean
            d_full = fused(_backward)(full, pooled, d_output, scale, level, slope, dropout, pool)
            rows = tf.reshape(d_full, (-1, math.prod(full.shape[1:3]), filters))
            if x.shape[-1] > 1:
                d_bias = _added_up(tf.ones((tf.shape(rows)[0], 1, rows.shape[1]), rows.dtype), rows)[0]
                same = {"out_backprop": d_full, "strides": [1, 1, 1, 1], "padding": "SAME"}
                d_kernel = tf.raw_ops.Conv2DBackpropFilter(input=x, filter_sizes=kernel.shape, **same)
                shape, large = tf.shape(x), math.prod(full.shape[1:]) > LARGE
                with tf.control_dependencies([d_kernel, d_bias] if large else []):
                    d_x = tf.raw_ops.Conv2DBackpropInput(input_sizes=shape, filter=kernel, **same)
            else:
                d_both = _added_up(_neighbours(x), rows)
                d_kernel, d_bias = tf.reshape(d_both[:9], kernel.shape), d_both[9]
                shares = tf.matmul(tf.reshape(rows, (-1, filters)), tf.reshape(kernel, (9, filters)), transpose_b=True)
                d_x = fused(_scattered)(tf.reshape(shares, (-1, *x.shape[1:3], 9)))
            d_kernel, d_bias = tf.cast(d_kernel, kernel.dtype), tf.cast(d_bias, bias.dtype)
            return d_x, d_kernel, d_bias, d_gamma, d_beta

        return (output, mean, variance), gradient

    return run(x, kernel, bias, gamma, beta)


@functools.cache
def fused(function):
    """Have XLA compile a function of elementwise operations into a single loop over its tensors.

    Parameters
    ----------
    function : callable
        Of tensors; compiled anew for every shape of theirs, which takes some ten milliseconds.

    Returns
    -------
    callable

    Examples
    --------
    >>> if available():
    ...     assert float(fused(keras.ops.elu)(keras.ops.ones(()))) == 1.0
    """
    return tf.function(function, jit_compile=True, autograph=False)


def moments(x):
    """Mean and biased variance per channel in float32, without a float32 copy of `x`.

    Parameters
    ----------
    x : tf.Tensor, shape (batch, time, frequency, channels)

    Returns
    -------
    mean, variance : tf.Tensor, shape (channels,)
    count : tf.Tensor
        Number of values behind each.

    Examples
    --------
    >>> if available():
    ...     mean, variance, count = moments(keras.ops.ones((2, 3, 4, 5)))
    ...     assert float(count) == 24.0
    """
    channels = x.shape[-1]
    nothing = tf.constant([], tf.float32)
    _, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=tf.ones(channels), offset=tf.zeros(channels), mean=nothing, variance=nothing, is_training=True
    )
    count = tf.cast(tf.size(x) // channels, tf.float32)
    return mean, variance * (count - 1) / count, count  # the op applies Bessel's correction


def _pool(x, gamma, pool):
    """Per channel the maximum, or the minimum where a negative gamma will turn it into the maximum."""

    def largest():
        return tf.nn.max_pool2d(x, pool, pool, "VALID")

    def extreme():
        return tf.where(gamma < 0, -tf.nn.max_pool2d(-x, pool, pool, "VALID"), largest())

    return tf.cond(tf.reduce_any(gamma < 0), extreme, largest)


def _normalised(pooled, mean, scale, beta, dropout):
    """Batch norm and dropout of the pooled map."""
    return tf.cast(_dropped((tf.cast(pooled, tf.float32) - mean) * scale + beta, dropout), pooled.dtype)


def _dropped(x, dropout):
    """Set values to zero where the hash of their place says so, and raise the others for it."""
    if dropout is None:
        return x
    seed, rate = dropout
    places = tf.cast(tf.reshape(tf.range(tf.size(x)), tf.shape(x)), tf.uint32)
    bits = _mixed(places ^ _mixed(_mixed(seed[0]) ^ seed[1]))
    return tf.where(bits >= tf.constant(round(rate * 2**32), tf.uint32), x / (1 - rate), 0.0)


def _mixed(bits):
    """The last steps of MurmurHash3 (Appleby, 2011): every bit of 32 comes to depend on all."""
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        bits = (bits ^ tf.bitwise.right_shift(bits, tf.constant(shift, tf.uint32))) * tf.constant(factor, tf.uint32)
    return bits ^ tf.bitwise.right_shift(bits, tf.constant(16, tf.uint32))


def _partial_sums(d_output, pooled, mean, dropout):
    """What beta and gamma get, added up over some bands only: XLA's own sums over all of a map are slow on CPUs."""
    d_pooled = _dropped(tf.cast(d_output, tf.float32), dropout)
    step = math.gcd(pooled.shape[2], 8)

    def partial(x):
        return tf.add_n([x[:, :, start::step] for start in range(step)])

    return partial(d_pooled), partial(d_pooled * (tf.cast(pooled, tf.float32) - mean))


def _backward(full, pooled, d_output, scale, level, slope, dropout, pool):
    """Through dropout, pool, batch norm and ELU at once: the gradient at the convolution's output."""
    step_t, step_f = pool
    _, time, frequency, channels = full.shape
    times, bands = pooled.shape[1:3]
    whole = full[:, : times * step_t, : bands * step_f]
    equal = [whole[:, i::step_t, j::step_f] == pooled for i in range(step_t) for j in range(step_f)]
    ties = tf.add_n([tf.cast(one, tf.float32) for one in equal])
    share = tf.cast(_dropped(tf.cast(d_output, tf.float32), dropout) * scale / ties, full.dtype)

    whole = tf.reshape(whole, (-1, times, step_t, bands, step_f, channels))
    routed = tf.where(whole == pooled[:, :, None, :, None], share[:, :, None, :, None], tf.zeros((), full.dtype))
    routed = tf.reshape(tf.cast(routed, tf.float32), (-1, times * step_t, bands * step_f, channels))
    routed = tf.pad(routed, ((0, 0), (0, time - times * step_t), (0, frequency - bands * step_f), (0, 0)))
    value = tf.cast(full, tf.float32)
    return tf.cast((routed + level + slope * value) * tf.where(value > 0, 1.0, value + 1.0), full.dtype)


def _added_up(weights, rows):
    """Weighted sums over all places: a product for each clip, which oneDNN spreads over processors."""
    return tf.reduce_sum(tf.cast(tf.matmul(weights, rows), tf.float32), 0)


def _neighbours(x):
    """The nine values that each place of a one-channel map sees, and a one: (batch, 10, places)."""
    time, frequency = x.shape[1:3]
    padded = tf.pad(x[..., 0], ((0, 0), (1, 1), (1, 1)))
    seen = [padded[:, i : i + time, j : j + frequency] for i in range(3) for j in range(3)]
    return tf.reshape(tf.stack([*seen, tf.ones_like(x[..., 0])], 1), (-1, 10, time * frequency))


def _scattered(shares):
    """Add up the nine shares that each value has in its neighbours' gradients."""
    time, frequency = shares.shape[1:3]
    padded = tf.pad(tf.cast(shares, tf.float32), ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [
        padded[:, 2 - i : 2 - i + time, 2 - j : 2 - j + frequency, 3 * i + j] for i in range(3) for j in range(3)
    ]
    return tf.cast(tf.add_n(shifted)[..., None], shares.dtype)
