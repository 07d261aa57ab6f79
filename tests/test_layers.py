"""The convolution block: against stock Keras layers, against its own portable path, and in use."""

import keras
import numpy as np
import pytest

from crnnlib import fast
from crnnlib.layers import ConvBlock, NonLocal, StatisticsPooling, hard_sigmoid

needs_fast = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the fast block is TensorFlow's")
POOLS = [(2, 2), (2, 4), (1, 1), (1, 4)]


def randomise(block, seed=0):
    rng = np.random.default_rng(seed)
    block.kernel.assign(rng.normal(0, 0.3, block.kernel.shape))
    block.bias.assign(rng.normal(0, 0.3, block.bias.shape))
    block.gamma.assign(rng.normal(0.3, 1.0, block.gamma.shape))  # some negative: the pool must take the minimum there
    block.beta.assign(rng.normal(0, 1.0, block.beta.shape))
    return block


def stock(block, x, training):
    """The same block from Keras' own layers."""
    convolution = keras.layers.Conv2D(block.filters, 3, padding="same", activation="elu")
    norm = keras.layers.BatchNormalization(epsilon=block.epsilon)
    pool = keras.layers.MaxPooling2D(block.pool)
    for layer, shape in ((convolution, x.shape), (norm, (*x.shape[:3], block.filters))):
        layer.build(shape)
    convolution.set_weights([np.asarray(block.kernel), np.asarray(block.bias)])
    norm.set_weights([np.asarray(one) for one in (block.gamma, block.beta, block.moving_mean, block.moving_variance)])
    output = pool(norm(convolution(x), training=training))
    return output, np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("training", [False, True])
def test_block_equals_stock_keras_layers(pool, channels, training):
    x = np.random.default_rng(1).normal(size=(3, 9, 17, channels)).astype("float32")
    block = ConvBlock(6, pool, dropout=0.0)
    block.build(x.shape)
    expected, mean, variance = stock(randomise(block), x, training)
    np.testing.assert_allclose(block(x, training=training), expected, atol=2e-5)
    np.testing.assert_allclose(block.moving_mean, mean, atol=1e-6)
    np.testing.assert_allclose(block.moving_variance, variance, atol=1e-6)


@needs_fast
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("channels", [1, 3])
def test_hand_written_gradient_equals_automatic_one(pool, channels):
    import tensorflow as tf

    x = tf.constant(np.random.default_rng(1).normal(size=(3, 9, 17, channels)), tf.float32)
    weight = tf.constant(np.random.default_rng(2).normal(size=(3, 9 // pool[0], 17 // pool[1], 6)), tf.float32)
    gradients = []
    for use_fast in (True, False):
        block = ConvBlock(6, pool, dropout=0.0, fast=use_fast)
        block.build(x.shape)
        randomise(block)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(block(x, training=True) * weight)
        gradients.append(tape.gradient(loss, [x, *[one.value for one in block.trainable_variables]]))
    for ours, automatic in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, automatic, atol=1e-4 * float(tf.reduce_max(tf.abs(automatic)) + 1))


@needs_fast
@pytest.mark.parametrize(("n_frames", "waits"), [(94, False), (911, True)])
def test_gradient_of_a_large_map_waits_until_the_map_can_be_forgotten(n_frames, waits):
    import tensorflow as tf

    @tf.function
    def gradient(x):
        block = [tf.ones((3, 3, 64, 128)), tf.zeros(128), tf.ones(128), tf.zeros(128)]
        with tf.GradientTape() as tape:
            tape.watch([x, *block])
            output, _, _ = fast.block(x, *block, pool=(2, 4), epsilon=1e-3)
        return tape.gradient(output, [x, *block])

    operations = gradient.get_concrete_function(tf.TensorSpec((16, n_frames // 2, 64, 64))).graph.get_operations()
    [down] = [one for one in operations if one.type == "Conv2DBackpropInput"]
    assert ("Conv2DBackpropFilter" in [one.type for one in down.control_inputs]) == waits


@needs_fast
def test_tied_maxima_share_the_gradient():
    import tensorflow as tf

    block = ConvBlock(1, (2, 2), dropout=0.0, fast=True)
    block.build((1, 4, 4, 1))
    block.kernel.assign(np.eye(9)[4].reshape(3, 3, 1, 1))
    x = tf.Variable(tf.concat([tf.ones((1, 4, 2, 1)), tf.zeros((1, 4, 2, 1))], 2))
    with tf.GradientTape() as tape:
        output = tf.reduce_sum(block(x, training=True) * tf.constant([[1.0, 0.0], [0.0, 0.0]])[None, :, :, None])
    gradient = tape.gradient(output, x)[0, :, :, 0].numpy()
    assert np.ptp(gradient[:2, :2]) < 1e-6
    assert np.isfinite(gradient).all()


@needs_fast
def test_fast_dropout_drops_its_share_and_keeps_the_mean():
    import tensorflow as tf

    x = tf.random.stateless_normal((8, 16, 64, 1), (1, 2))
    arguments = (tf.random.stateless_normal((3, 3, 1, 32), (3, 4)), tf.zeros(32), tf.ones(32), 3 * tf.ones(32))
    plain = fast.block(x, *arguments, pool=(1, 1), epsilon=1e-3)[0]
    dropped = fast.block(x, *arguments, pool=(1, 1), epsilon=1e-3, rate=0.1, seed=tf.constant([5, 6], tf.uint32))[0]
    kept = dropped.numpy() != 0
    assert abs((1 - kept.mean()) - 0.1) < 0.003
    np.testing.assert_allclose(dropped.numpy()[kept], plain.numpy()[kept] / 0.9, rtol=1e-4, atol=1e-5)


@needs_fast
@pytest.mark.parametrize("channels", [1, 3])
def test_gradient_passes_where_dropout_kept_the_value(channels):
    import tensorflow as tf

    x = tf.constant(np.random.default_rng(1).normal(size=(3, 9, 16, channels)), tf.float32)
    weight = tf.constant(np.random.default_rng(2).normal(size=(3, 4, 8, 6)), tf.float32)
    shape = ConvBlock(6, (2, 2))
    shape.build(x.shape)
    weights = [one.value for one in randomise(shape).trainable_variables]
    gradients = []
    for rate in (0.4, 0.0):
        with tf.GradientTape() as tape:
            tape.watch([x, *weights])
            seed = tf.constant([5, 6], tf.uint32)
            output = fast.block(x, *weights, pool=(2, 2), epsilon=1e-3, rate=rate, seed=seed)[0]
            loss = tf.reduce_sum(output * weight)
        gradients.append(tape.gradient(loss, [x, *weights]))
        weight = tf.where(output != 0, weight / 0.6, 0.0)
    for dropped, masked in zip(*gradients, strict=True):
        np.testing.assert_allclose(dropped, masked, atol=1e-5 * float(tf.reduce_max(tf.abs(masked)) + 1))


@needs_fast
def test_what_dropout_keeps_depends_neither_on_the_step_before_nor_on_the_neighbour():
    import tensorflow as tf

    def kept(seed, filters=64):
        arguments = (tf.zeros((3, 3, 1, filters)), tf.zeros(filters), tf.zeros(filters), tf.ones(filters))
        x, seed = tf.zeros((4, 32, 32, 1)), tf.constant(seed, tf.uint32)
        return fast.block(x, *arguments, pool=(1, 1), epsilon=1e-3, rate=0.3, seed=seed)[0].numpy() != 0

    def correlation(one, other):
        return abs(np.corrcoef(one.ravel(), other.ravel())[0, 1])

    first = kept([7, 0])
    np.testing.assert_array_equal(kept([7, 0]), first)
    for seed in ([7, 1], [7, 2], [8, 0], [0, 7]):
        assert correlation(first, kept(seed)) < 0.01  # five deviations of what chance does
    for axis in range(4):
        assert correlation(first, np.roll(first, 1, axis)) < 0.01
    assert np.ptp(first.mean((0, 1, 2))) < 0.06


def test_moments_are_those_of_the_batch_without_dropout():
    x = np.random.default_rng(1).normal(size=(4, 8, 16, 1)).astype("float32")
    block = ConvBlock(4, (2, 2), dropout=0.9)
    block.build(x.shape)
    output, mean, variance = block(x, moments=True)
    assert (np.asarray(output) != 0).mean() > 0.9
    full = np.asarray(keras.ops.elu(keras.ops.conv(x, block.kernel, padding="same") + block.bias))
    np.testing.assert_allclose(mean, full.mean((0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(variance, full.var((0, 1, 2)), atol=1e-5)


def test_new_non_local_block_is_the_identity_and_learns():
    x = np.random.default_rng(1).normal(size=(2, 5, 4, 8)).astype("float32")
    layer = NonLocal()
    np.testing.assert_array_equal(layer(x), x)
    layer.output_kernel.assign(np.ones((4, 8)))
    assert np.abs(np.asarray(layer(x)) - x).max() > 1e-3


def test_statistics_pooling_gives_mean_and_deviation():
    x = np.random.default_rng(1).normal(size=(2, 50, 3)).astype("float32")
    pooled = np.asarray(StatisticsPooling()(x))
    np.testing.assert_allclose(pooled, np.concatenate([x.mean(1), x.std(1)], -1), atol=1e-4)


def test_hard_sigmoid_has_the_slope_of_keras_2():
    np.testing.assert_allclose(hard_sigmoid(np.array([-2.5, 1.0, 9.0], "float32")), [0.0, 0.7, 1.0], atol=1e-7)
