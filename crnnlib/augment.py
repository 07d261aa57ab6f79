"""Augmentation of log-mel clips, as Keras layers that act in training only.

Input and output: clips in dB, (batch, n_frames, n_mels). In decibels a change of gain or equalisation is an addition.
`RandomShift` imitates another key; `RandomEqualiser` and `RandomChannel`, another producer; `Mask` hides a part.
Chapter 8, *Go beyond the paper*, measures them all.
"""

import keras
import numpy as np
from keras import ops

__all__ = ["Augmentation", "Mask", "RandomChannel", "RandomEqualiser", "RandomShift"]

_register = keras.saving.register_keras_serializable("crnnlib")


class Augmentation(keras.layers.Layer):
    """Base of the layers below: changes a share of the clips in training, and nothing outside it.

    Parameters
    ----------
    p : float, default=1.0
        Probability of each clip to be changed. The others keep what the recording itself tells about the artist.
    seed : int, optional
        Of the draws.
    **kwargs
        Of `keras.layers.Layer`.

    Examples
    --------
    >>> issubclass(Mask, Augmentation)
    True
    """

    def __init__(self, p=1.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.p, self.seed = p, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, x, training=False):
        if not training:
            return x
        changed = self.augment(x)
        if self.p == 1:
            return changed
        return ops.where(self._uniform(x) < self.p, changed, x)

    def _uniform(self, x, low=0.0, high=1.0):
        """One number a clip, (batch, 1, 1)."""
        return keras.random.uniform((ops.shape(x)[0], 1, 1), low, high, seed=self.seed_generator)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "p": self.p, "seed": self.seed}


@_register
class RandomEqualiser(Augmentation):
    """Add a random gain and a random smooth curve over frequency to each clip, as another mastering would.

    Parameters
    ----------
    gain_db, eq_db : float
        Standard deviation of the gain and of the curve, in dB.
    n_knots : int, default=6
        Control points of the curve over the mel axis; cosine interpolation between them.
    p, seed, **kwargs
        Of `Augmentation`.

    Examples
    --------
    >>> tuple(RandomEqualiser(3.0, 6.0)(ops.zeros((2, 94, 128)), training=True).shape)
    (2, 94, 128)
    """

    def __init__(self, gain_db=3.0, eq_db=6.0, n_knots=6, p=1.0, seed=None, **kwargs):
        super().__init__(p, seed, **kwargs)
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
class RandomChannel(Augmentation):
    """Change the dynamics, the upper end of the band and the noise floor of each clip, as another recording would.

    Changes of loudness from frame to frame are reduced by up to 40 % (compression) or raised by up to 20 %. Above a
    random band, often beyond the last, levels fall by 1 to 4 dB a band. Noise of a random slope over frequency lies 35
    to 90 dB below the clip's loudest value, and no value is more than `top_db` below that.

    Parameters
    ----------
    top_db : float, default=80.0
        Range of the clip, as in `crnnlib.logmel.LogMel`.
    p, seed, **kwargs
        Of `Augmentation`.

    Examples
    --------
    >>> tuple(RandomChannel()(ops.zeros((2, 94, 128)), training=True).shape)
    (2, 94, 128)
    """

    def __init__(self, top_db=80.0, p=1.0, seed=None, **kwargs):
        super().__init__(p, seed, **kwargs)
        self.top_db = top_db

    def augment(self, x):
        n_mels = x.shape[-1]
        band = ops.arange(n_mels, dtype="float32")
        loudness = ops.mean(x, axis=2, keepdims=True)
        x -= self._uniform(x, -0.2, 0.4) * (loudness - ops.mean(loudness, axis=1, keepdims=True))
        x -= self._uniform(x, 1.0, 4.0) * ops.relu(band - self._uniform(x, 0.55, 1.4) * n_mels)
        loudest = ops.max(x, axis=(1, 2), keepdims=True)
        slope = 0.1 * keras.random.normal((ops.shape(x)[0], 1, 1), seed=self.seed_generator)
        noise = loudest - self._uniform(x, 35.0, 90.0) + slope * (band - n_mels / 2)
        noise += keras.random.normal(ops.shape(x), stddev=3.0, seed=self.seed_generator)
        return ops.maximum(_power_sum(x, noise), loudest - self.top_db)

    def get_config(self):
        return {**super().get_config(), "top_db": self.top_db}


@_register
class RandomShift(Augmentation):
    """Move each clip up or down the mel axis, roughly as a transposition would; the end band fills the gap.

    Parameters
    ----------
    bands : int, default=3
        Largest shift, in mel bands; all whole numbers from ``-bands`` to ``bands`` are equally likely. Above 1 kHz,
        three of 128 bands up to 8 kHz are 1.25 semitones; below it bands are spaced evenly in hertz, and it is more.
    p, seed, **kwargs
        Of `Augmentation`.

    References
    ----------
    Schlüter & Grill, "Exploring data augmentation for improved singing voice detection with neural networks", ISMIR
    2015.

    Examples
    --------
    >>> tuple(RandomShift(3)(ops.zeros((2, 94, 128)), training=True).shape)
    (2, 94, 128)
    """

    def __init__(self, bands=3, p=1.0, seed=None, **kwargs):
        super().__init__(p, seed, **kwargs)
        self.bands = bands

    def augment(self, x):
        n_mels = x.shape[-1]
        by = keras.random.randint((ops.shape(x)[0], 1), -self.bands, self.bands + 1, seed=self.seed_generator)
        source = ops.clip(ops.arange(n_mels, dtype="int32")[None] + by, 0, n_mels - 1)
        return ops.take_along_axis(x, ops.broadcast_to(source[:, None], ops.shape(x)), axis=2)

    def get_config(self):
        return {**super().get_config(), "bands": self.bands}


@_register
class Mask(Augmentation):
    """Hide one band of frequencies and one stretch of time of each clip behind its mean (SpecAugment).

    Parameters
    ----------
    bands : int, default=16
        Largest number of mel bands hidden; the number is drawn from 0 to this.
    time : float, default=0.2
        Largest share of the clip hidden.
    p, seed, **kwargs
        Of `Augmentation`.

    References
    ----------
    Park et al., *SpecAugment*, Interspeech 2019.

    Examples
    --------
    >>> tuple(Mask()(ops.zeros((2, 94, 128)), training=True).shape)
    (2, 94, 128)
    """

    def __init__(self, bands=16, time=0.2, p=1.0, seed=None, **kwargs):
        super().__init__(p, seed, **kwargs)
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


def _power_sum(a, b):
    """Level of two uncorrelated signals together, in dB."""
    neper = 10 / np.log(10)  # dB in a factor of e of power
    return neper * ops.logaddexp(a / neper, b / neper)
