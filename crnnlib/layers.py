"""Layers that Keras does not have: the paper's convolution block, its sigmoid, and what the variants add.

Axes are time-major: (batch, time, frequency, channel). All are registered with Keras, so a saved ``.keras`` model that
uses them loads in safe mode once `crnnlib.models` is imported. See chapter 4, *Build the CRNN*.
"""

import keras
from keras import ops

from crnnlib import fast

__all__ = ["ConvBlock", "NonLocal", "StatisticsPooling", "hard_sigmoid"]

_register = keras.saving.register_keras_serializable("crnnlib")


@_register
def hard_sigmoid(x):
    """Keras 2's hard sigmoid, ``clip(0.2 x + 0.5, 0, 1)``, the gate of the authors' GRU.

    Parameters
    ----------
    x : tensor

    Returns
    -------
    tensor
        Of the same shape; Keras 3's function of that name has a slope of 1/6 instead.

    Examples
    --------
    >>> [float(value) for value in hard_sigmoid(ops.array([-3.0, 0.0, 1.0]))]
    [0.0, 0.5, 0.699999988079071]
    """
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@_register
class ConvBlock(keras.layers.Layer):
    """Convolution 3x3, ELU, batch norm, max-pool, dropout: one block of the paper's network (section III-B).

    Parameters
    ----------
    filters : int
        Output channels.
    pool : tuple of int
        Pool size and stride in (time, frequency); the remainder is dropped.
    dropout : float, default=0.1
        Share of outputs set to zero in training.
    fast : bool, optional
        Use the hand-written gradient of ``crnnlib.fast``; by default where it can run.
    epsilon, momentum : float
        Of the batch norm, Keras' defaults.
    seed : int, optional
        Of the dropout.
    **kwargs
        Of `keras.layers.Layer`: name, dtype.

    Notes
    -----
    Weights in Keras 2's order: kernel (3, 3, in, out), bias, gamma, beta, moving mean, moving variance. Called with
    ``moments=True`` the block normalises by the batch, leaves dropout out, and returns the batch's mean and variance
    as well: `crnnlib.models.recalibrate` averages them.

    Examples
    --------
    >>> tuple(ConvBlock(64, (2, 2))(ops.ones((1, 94, 128, 1))).shape)
    (1, 47, 64, 64)
    """

    def __init__(self, filters, pool, dropout=0.1, fast=None, epsilon=1e-3, momentum=0.99, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.pool, self.dropout, self.fast = filters, tuple(pool), dropout, fast
        self.epsilon, self.momentum, self.seed = epsilon, momentum, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        def weight(name, initializer, trainable=True):
            return self.add_weight(
                name=name,
                shape=(self.filters,),
                initializer=initializer,
                trainable=trainable,
                dtype="float32",
                autocast=False,
            )

        shape = (3, 3, input_shape[-1], self.filters)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer="glorot_uniform")
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        self.gamma, self.beta = weight("gamma", "ones"), weight("beta", "zeros")
        self.moving_mean = weight("moving_mean", "zeros", trainable=False)
        self.moving_variance = weight("moving_variance", "ones", trainable=False)

    def call(self, x, training=False, moments=False):
        x = ops.cast(x, self.compute_dtype)
        use_fast = fast.available() if self.fast is None else self.fast
        if not (training or moments):
            # Bias and ELU rise everywhere, so they commute with the pool and see a quarter of the map or less.
            pooled, bias = self._pooled(self._convolved(x)), ops.cast(self.bias, "float32")
            finished = fast.fused(_finished) if use_fast else _finished
            return finished(pooled, bias, *self._affine(self.moving_mean, self.moving_variance))
        if moments or not use_fast:
            full = ops.elu(self._convolved(x) + self.bias)
            if use_fast:
                mean, variance, _ = fast.moments(full)
            else:
                mean, variance = ops.moments(ops.cast(full, "float32"), axes=(0, 1, 2))
            scale, shift = self._affine(mean, variance)
            output = ops.cast(ops.cast(self._pooled(full), "float32") * scale + shift, full.dtype)
            if moments:
                return output, mean, variance
            if self.dropout:
                output = keras.random.dropout(output, self.dropout, seed=self.seed_generator)
        else:
            output, mean, variance = fast.block(
                x,
                ops.cast(self.kernel, self.compute_dtype),
                ops.cast(self.bias, self.compute_dtype),
                ops.convert_to_tensor(self.gamma),
                ops.convert_to_tensor(self.beta),
                pool=self.pool,
                epsilon=self.epsilon,
                rate=self.dropout,
                seed=self.seed_generator.next(),
            )
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return output

    def _convolved(self, x):
        return ops.conv(x, self.kernel, padding="same", data_format="channels_last")

    def _pooled(self, x):
        """The maximum per pool and channel, or the minimum where a negative gamma will turn it into the maximum."""

        def largest(x):
            return ops.max_pool(x, self.pool, strides=self.pool, data_format="channels_last")

        def extreme():
            return ops.where(self.gamma < 0, -largest(-x), largest(x))

        return ops.cond(ops.any(self.gamma < 0), extreme, lambda: largest(x))

    def _affine(self, mean, variance):
        """Batch norm as a factor and a summand per channel, in float32."""
        scale = self.gamma * ops.rsqrt(variance + self.epsilon)
        return scale, self.beta - mean * scale

    def compute_output_spec(self, x, training=False, moments=False):
        batch, time, frequency = x.shape[:3]
        shape = (batch, time // self.pool[0], frequency // self.pool[1], self.filters)
        output = keras.KerasTensor(shape, dtype=self.compute_dtype)
        mean, variance = (keras.KerasTensor((self.filters,), dtype="float32") for _ in range(2))
        return (output, mean, variance) if moments else output

    def get_config(self):
        own = {name: getattr(self, name) for name in ("filters", "pool", "dropout", "epsilon", "momentum", "seed")}
        return {**super().get_config(), **own}


def _finished(pooled, bias, scale, shift):
    """Bias, ELU and batch norm of a pooled map, in float32 throughout."""
    return ops.cast(ops.elu(ops.cast(pooled, "float32") + bias) * scale + shift, pooled.dtype)


@_register
class NonLocal(keras.layers.Layer):
    """Self-attention over all places of a map, added to it: the non-local block, as Kuo et al. (AAAI 2021) use it.

    Parameters
    ----------
    **kwargs
        Of `keras.layers.Layer`.

    Notes
    -----
    Embedded-Gaussian form with half the channels inside; the output projection starts at zero, so that a new block is
    the identity.

    Examples
    --------
    >>> tuple(NonLocal()(ops.ones((1, 11, 4, 128))).shape)
    (1, 11, 4, 128)
    """

    def build(self, input_shape):
        channels = input_shape[-1]
        for name in ("query", "key", "value"):
            weight = self.add_weight(name=name, shape=(channels, channels // 2), initializer="glorot_uniform")
            setattr(self, f"{name}_kernel", weight)
        self.output_kernel = self.add_weight(name="output", shape=(channels // 2, channels), initializer="zeros")

    def call(self, x):
        x = ops.cast(x, self.compute_dtype)
        _, time, frequency, channels = x.shape
        rows = ops.reshape(x, (-1, time * frequency, channels))
        query, key, value = (rows @ kernel for kernel in (self.query_kernel, self.key_kernel, self.value_kernel))
        weights = ops.softmax(ops.cast(query @ ops.transpose(key, (0, 2, 1)), "float32") * (channels // 2) ** -0.5)
        mixed = ops.cast(weights, self.compute_dtype) @ value @ self.output_kernel
        return x + ops.reshape(mixed, (-1, time, frequency, channels))

    def compute_output_shape(self, input_shape):
        return input_shape


@_register
class StatisticsPooling(keras.layers.Layer):
    """Mean and standard deviation over time, one after the other: (batch, time, features) to (batch, 2 * features).

    Parameters
    ----------
    **kwargs
        Of `keras.layers.Layer`.

    Examples
    --------
    >>> tuple(StatisticsPooling()(ops.ones((2, 5, 32))).shape)
    (2, 64)
    """

    def call(self, x):
        mean, variance = ops.moments(x, axes=1)
        return ops.concatenate([mean, ops.sqrt(variance + 1e-6)], axis=-1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 2 * input_shape[-1])
