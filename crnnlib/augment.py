"""Augmentation of log-mel clips, as Keras layers that act in training only.

Input and output: clips in dB, (batch, n_frames, n_mels). In decibels a change of gain or equalisation is an addition,
so these layers imitate another producer, not another performance. Chapter 8, *Go beyond the paper*, measures each.
"""

import keras
import numpy as np
from keras import ops

__all__ = ["Augmentation", "Mask", "RandomEqualiser"]

_register = keras.saving.register_keras_serializable("crnnlib")


class Augmentation(keras.layers.Layer):
    """Base of the layers below: draws from its own seed, and is the identity outside training.

    Parameters
    ----------
    seed : int, optional
        Of the draws.
    **kwargs
        Of `keras.layers.Layer`.

    Examples
    --------
    >>> issubclass(Mask, Augmentation)
    True
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, x, training=False):
        return self.augment(x) if training else x

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


@_register
class RandomEqualiser(Augmentation):
    """Add a random gain and a random smooth curve over frequency to each clip, as another mastering would.

    Parameters
    ----------
    gain_db, eq_db : float
        Standard deviation of the gain and of the curve, in dB.
    n_knots : int, default=6
        Control points of the curve over the mel axis; cosine interpolation between them.
    seed : int, optional
        Of the draws.
    **kwargs
        Of `keras.layers.Layer`.

    Examples
    --------
    >>> RandomEqualiser(3.0, 6.0)(ops.zeros((2, 94, 128)), training=True).shape
    TensorShape([2, 94, 128])
    """

    def __init__(self, gain_db=3.0, eq_db=6.0, n_knots=6, seed=None, **kwargs):
        super().__init__(seed, **kwargs)
        self.gain_db, self.eq_db, self.n_knots = gain_db, eq_db, n_knots

    def build(self, input_shape):
        place = np.linspace(0, self.n_knots - 1, input_shape[-1])
        distance = np.clip(np.abs(place[None] - np.arange(self.n_knots)[:, None]), 0, 1)
        self._curves = ((1 + np.cos(np.pi * distance)) / 2).astype("float32")

    def augment(self, x):
        batch = ops.shape(x)[0]
        knots = keras.random.normal((batch, self.n_knots), stddev=self.eq_db, seed=self.seed_generator)
        gain = keras.random.normal((batch, 1), stddev=self.gain_db, seed=self.seed_generator)
        return x + (knots @ self._curves + gain)[:, None, :]

    def get_config(self):
        return {**super().get_config(), "gain_db": self.gain_db, "eq_db": self.eq_db, "n_knots": self.n_knots}


@_register
class Mask(Augmentation):
    """Hide one band of frequencies and one stretch of time of each clip behind its mean (SpecAugment).

    Parameters
    ----------
    bands : int, default=16
        Largest number of mel bands hidden; the number is drawn from 0 to this.
    time : float, default=0.2
        Largest share of the clip hidden.
    seed : int, optional
        Of the draws.
    **kwargs
        Of `keras.layers.Layer`.

    References
    ----------
    Park et al., *SpecAugment*, Interspeech 2019.

    Examples
    --------
    >>> Mask()(ops.zeros((2, 94, 128)), training=True).shape
    TensorShape([2, 94, 128])
    """

    def __init__(self, bands=16, time=0.2, seed=None, **kwargs):
        super().__init__(seed, **kwargs)
        self.bands, self.time = bands, time

    def augment(self, x):
        _, n_frames, n_mels = x.shape
        hidden = ops.logical_or(
            self._stretch(x, n_frames, self.time * n_frames)[:, :, None],
            self._stretch(x, n_mels, self.bands)[:, None, :],
        )
        return ops.where(hidden, ops.mean(x, axis=(1, 2), keepdims=True), x)

    def _stretch(self, x, length, longest):
        """Per clip a random run along an axis of `length`, as a mask (batch, length)."""
        draw = keras.random.uniform((ops.shape(x)[0], 2), seed=self.seed_generator)
        width = draw[:, :1] * longest
        start = draw[:, 1:] * (length - width)
        place = ops.arange(length, dtype="float32")[None]
        return ops.logical_and(place >= start, place < start + width)

    def get_config(self):
        return {**super().get_config(), "bands": self.bands, "time": self.time}
