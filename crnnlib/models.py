"""The paper's convolutional recurrent network, its variants, and its bottleneck.

Input: log-mel clips in dB, time-major (batch, n_frames, n_mels), float32. Output: softmax (batch, n_classes), float32.
Input normalisation, GRUs and softmax always compute in float32; the convolution blocks may compute in bfloat16, which
would round -100 dB to half a decibel. See chapter 4, *Build the CRNN*.

Reference: Nasrullah & Zhao, *Music Artist Classification with Convolutional Recurrent Neural Networks*, IJCNN 2019,
section III.
"""

from collections.abc import Iterable

import keras
import numpy as np
import pandas as pd

from crnnlib import augment as augmentation
from crnnlib.errors import ParameterError
from crnnlib.layers import ConvBlock, NonLocal, StatisticsPooling, hard_sigmoid

__all__ = ["VARIANTS", "BlockStatistics", "anatomy", "bottleneck", "crnn", "recalibrate"]

#: Convolution blocks of each variant, as filters, pool (time, frequency) and convolutions before the pool. The first
#: block of "less-pooling" keeps every frame; "larger" and "vgg" are stacks that the authors' repository tries and the
#: paper does not report. "1d" has convolutions over time alone, "rnn" and "pooled" none; "pooled" projects each frame
#: and pools them all.
VARIANTS = {
    "paper": ((64, (2, 2), 1), (128, (2, 4), 1), (128, (2, 4), 1), (128, (2, 4), 1)),
    "less-pooling": ((64, (1, 2), 1), (128, (2, 4), 1), (128, (2, 4), 1), (128, (2, 4), 1)),
    "larger": ((64, (2, 2), 1), (128, (2, 2), 1), (256, (2, 2), 1), (512, (1, 4), 1), (512, (1, 4), 1)),
    "vgg": ((64, (2, 2), 2), (128, (2, 2), 2), (256, (2, 2), 3), (512, (1, 4), 3), (512, (1, 4), 3)),
    "1d": (),
    "rnn": (),
    "pooled": (),
}


def crnn(
    n_frames: int,
    n_classes: int,
    n_mels: int = 128,
    variant: str = "paper",
    width: float = 1.0,
    non_local: bool = False,
    head: str = "gru",
    augment: Iterable[keras.layers.Layer] = (),
    dtype: str = "float32",
    fast: bool | None = None,
) -> keras.Model:
    """Build the CRNN: batch norm over frequency, convolution blocks, two GRUs of 32 units, dropout 0.3, softmax.

    Parameters
    ----------
    n_frames : int
        Length of a clip in frames; `LogMel.n_frames` turns seconds into them.
    n_classes : int
        Number of artists, at least two.
    n_mels : int, default=128
        Number of mel bands.
    variant : str, default="paper"
        A key of `VARIANTS`.
    width : float, default=1.0
        Factor on the filters of each block.
    non_local : bool, default=False
        Put a `NonLocal` block after the third convolution block.
    head : {"gru", "statistics"}, default="gru"
        The bottleneck: the second GRU's last state (32 values, the paper's), or the mean and deviation of all its
        states (64 values).
    augment : iterable of keras.layers.Layer, optional
        Layers of `crnnlib.augment`, put before the normalisation; they act in training only.
    dtype : str, default="float32"
        "bfloat16" computes the convolution blocks in bfloat16 with float32 weights.
    fast : bool, optional
        As for `ConvBlock`.

    Returns
    -------
    keras.Model
        From log-mel clips (batch, n_frames, n_mels) to a softmax (batch, n_classes). The paper's network has 394,324
        parameters with 20 classes.

    Raises
    ------
    ParameterError
        For an unknown variant or head, an option that the variant has not, fewer than two classes, or a clip too short,
        or bands too few, for the pools.

    Examples
    --------
    >>> crnn(94, 20).count_params()
    394324
    """
    _check(n_frames, n_classes, n_mels, variant, head, non_local)
    policy = "mixed_bfloat16" if dtype == "bfloat16" else dtype
    inputs = keras.Input((n_frames, n_mels), name="log_mel")
    x = inputs
    for layer in augment:
        x = layer(x)
    x = keras.layers.BatchNormalization(axis=-1, name="normalise")(x)
    if VARIANTS[variant]:
        x = keras.layers.Reshape((n_frames, n_mels, 1), name="one_channel")(x)
        for number, (filters, pool, convolutions) in enumerate(VARIANTS[variant], 1):
            filters = max(2, 2 * round(filters * width / 2))
            for extra in range(1, convolutions):
                x = ConvBlock(filters, (1, 1), 0.0, fast=fast, dtype=policy, name=f"block{number}_{extra}")(x)
            x = ConvBlock(filters, pool, fast=fast, dtype=policy, name=f"block{number}")(x)
            if non_local and number == 3:
                x = NonLocal(dtype=policy, name="non_local")(x)
        x = keras.layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]), name="sequence")(x)
    elif variant == "1d":
        for number, filters in enumerate((64, 128, 128), 1):
            filters = max(1, round(filters * width))
            x = keras.layers.Conv1D(filters, 5, activation="relu", name=f"convolution{number}")(x)
            x = keras.layers.MaxPooling1D(2, name=f"pool{number}")(x)
    if variant == "pooled":
        x = keras.layers.Dropout(0.5, name="thin_out")(x)
        x = keras.layers.Dense(max(1, round(128 * width)), activation="elu", name="project")(x)
        x = StatisticsPooling(name="bottleneck")(x)
    else:
        x = _recurrent(x, head, variant)
    x = keras.layers.Dropout(0.3, name="dropout")(x)
    outputs = keras.layers.Dense(n_classes, activation="softmax", name="artist")(x)
    return keras.Model(inputs, outputs, name=f"crnn_{variant.replace('-', '_')}")


def bottleneck(model: keras.Model) -> keras.Model:
    """A view of a CRNN that gives bottleneck and softmax from one pass.

    Parameters
    ----------
    model : keras.Model
        From `crnn`; weights are shared.

    Returns
    -------
    keras.Model
        Outputs: bottleneck (batch, n_units), where the paper's has 32 units, 64 with ``head="statistics"``; softmax
        (batch, n_classes).

    Examples
    --------
    >>> [output.shape for output in bottleneck(crnn(94, 20)).outputs]
    [(None, 32), (None, 20)]
    """
    return keras.Model(model.input, [model.get_layer("bottleneck").output, model.output])


def anatomy(model: keras.Model) -> pd.DataFrame:
    """Take a CRNN apart: its layers, the size of what comes out of each, and how much of the clip one value depends on.

    Parameters
    ----------
    model : keras.Model
        From `crnn`.

    Returns
    -------
    pandas.DataFrame
        One row a layer, in order. Columns: `kind`; `shape`, without the batch; `parameters`; `sees_frames` and
        `sees_bands`, the receptive field, which at an edge may reach beyond the clip; `step_frames` and `step_bands`,
        from the field of one value to that of the next. After a recurrent layer a value sees the whole clip.

    Examples
    --------
    >>> block = anatomy(crnn(94, 20)).loc["block1"]
    >>> int(block["sees_frames"]), int(block["sees_bands"]), int(block["step_frames"])
    (4, 4, 2)
    """
    whole = (keras.layers.RNN, NonLocal, StatisticsPooling)
    field, step, rows = [1, 1], [1, 1], {}
    for layer in model.layers:
        if isinstance(layer, ConvBlock):
            field = [seen + (pool + 1) * one for seen, pool, one in zip(field, layer.pool, step, strict=True)]
            step = [one * pool for one, pool in zip(step, layer.pool, strict=True)]
        elif isinstance(layer, keras.layers.Conv1D):
            field = [field[0] + (layer.kernel_size[0] - 1) * step[0], model.input.shape[2]]
        elif isinstance(layer, keras.layers.MaxPooling1D):
            field[0] += (layer.pool_size[0] - 1) * step[0]
            step[0] *= layer.pool_size[0]
        elif isinstance(layer, whole):
            field = list(model.input.shape[1:])
        rows[layer.name] = [type(layer).__name__, layer.output.shape[1:], layer.count_params(), *field, *step]
    columns = ["kind", "shape", "parameters", "sees_frames", "sees_bands", "step_frames", "step_bands"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("layer")


class BlockStatistics(keras.Model):
    """Measure the batch norms of a CRNN: clips in, mean and variance of each `ConvBlock` out.

    Dropout and augmentation are left out, as they are in inference.

    Parameters
    ----------
    model : keras.Model
        From `crnnlib.models.crnn`; weights are shared.

    Examples
    --------
    >>> statistics = BlockStatistics(crnn(32, 20))
    >>> len(statistics.predict_on_batch(np.zeros((4, 32, 128), "float32")))
    4
    """

    def __init__(self, model):
        super().__init__(name="block_statistics")
        self.blocks = [layer for layer in model.layers if isinstance(layer, ConvBlock)]
        last = model.layers.index(self.blocks[-1]) if self.blocks else 0
        skipped = (keras.layers.InputLayer, augmentation.Augmentation)
        self.steps = [layer for layer in model.layers[: last + 1] if not isinstance(layer, skipped)]

    def call(self, x):
        statistics = []
        for layer in self.steps:
            if isinstance(layer, ConvBlock):
                x, mean, variance = layer(x, moments=True)
                statistics.append(keras.ops.stack([mean, variance]))
            else:
                x = layer(x)
        return statistics


def recalibrate(statistics: BlockStatistics, batches: Iterable[np.ndarray]) -> None:
    """Set the moving statistics of every block of a network to those of the given clips, in place.

    This mends the batch-norm trap: with a momentum of 0.99 and few steps an epoch, moving statistics lag far behind
    the weights, and validation sees a network that training never had. Statistics measured anew before each
    evaluation depend on the weights alone, not on the number of steps (Wu & Johnson, *Rethinking "Batch" in
    BatchNorm*, 2021, section 3).

    Parameters
    ----------
    statistics : BlockStatistics
        Of the network; built once.
    batches : iterable of numpy.ndarray, shape (batch, n_frames, n_mels)
        Training clips in dB; some 256 are enough. Batches should be of equal size.

    Examples
    --------
    >>> recalibrate(BlockStatistics(crnn(32, 2)), [np.full((4, 32, 128), -30.0, "float32")])
    """
    if not statistics.blocks:
        return
    measured = [statistics.predict_on_batch(batch) for batch in batches]
    for number, block in enumerate(statistics.blocks):
        means, variances = np.stack([one[number] for one in measured]).astype(np.float64).swapaxes(0, 1)
        block.moving_mean.assign(means.mean(0))
        block.moving_variance.assign(np.maximum((variances + means**2).mean(0) - means.mean(0) ** 2, 0.0))


def _recurrent(x, head, variant):
    if variant == "rnn":
        x = keras.layers.LSTM(64, return_sequences=True, name="lstm")(x)
        return keras.layers.LSTM(64, name="bottleneck")(x)

    def gru(name, sequences):
        units = 64 if variant == "1d" else 32
        return keras.layers.GRU(
            units, return_sequences=sequences, reset_after=False, recurrent_activation=hard_sigmoid, name=name
        )

    x = gru("gru1", True)(x)
    if head == "gru":
        return gru("bottleneck", False)(x)
    return StatisticsPooling(name="bottleneck")(gru("gru2", True)(x))


def _check(n_frames, n_classes, n_mels, variant, head, non_local):
    if variant not in VARIANTS:
        raise ParameterError(f"variant={variant!r}: expected one of {', '.join(VARIANTS)}")
    if head not in ("gru", "statistics"):
        raise ParameterError(f"head={head!r}: expected 'gru' or 'statistics'")
    if (non_local and not VARIANTS[variant]) or (head != "gru" and variant in ("pooled", "rnn")):
        raise ParameterError(f"head={head!r}, non_local={non_local}: expected 'gru' and False of {variant!r}")
    if n_classes < 2:
        raise ParameterError(f"n_classes={n_classes}: expected at least 2 artists to tell apart")
    pools = [pool for _, pool, _ in VARIANTS[variant]] or [(36 if variant == "1d" else 1, 1)]
    least_frames, least_mels = np.prod(pools, axis=0)
    if n_frames < least_frames or n_mels < least_mels:
        raise ParameterError(
            f"n_frames={n_frames}, n_mels={n_mels}: the pools of {variant!r} need at least {least_frames} frames and "
            f"{least_mels} bands"
        )
