"""The anatomy of a network, and the figures drawn from it."""

import numpy as np
import pytest

from crnnlib import figures, models
from crnnlib.errors import ParameterError


@pytest.fixture(scope="module")
def model():
    return models.crnn(94, 20)


@pytest.fixture(scope="module")
def layers(model):
    return models.anatomy(model)


def test_anatomy_counts_every_parameter(model, layers):
    assert layers["parameters"].sum() == model.count_params() == 394324
    assert layers.loc["block2", "shape"] == (23, 16, 128)


def test_a_value_behind_a_block_depends_on_its_receptive_field_and_on_nothing_else(layers):
    import keras

    model = models.crnn(320, 2)
    rng = np.random.default_rng(0)
    clip = rng.normal(size=(1, 320, 128)).astype("float32")
    for name in ("block1", "block2", "block3"):
        view = keras.Model(model.input, model.get_layer(name).output)
        before = view(clip).numpy()[0]
        row = layers.loc[name]
        at = before.shape[0] // 2, before.shape[1] // 2
        for axis, (sees, step) in enumerate([(row.sees_frames, row.step_frames), (row.sees_bands, row.step_bands)]):
            first = at[axis] * step - (sees - step) // 2
            for place in (first - 1, first, first + sees - 1, first + sees):
                other = clip.copy()
                np.moveaxis(other[0], axis, 0)[place] += 1e3
                inside = first <= place < first + sees
                moved = np.abs(view(other).numpy()[0][at] - before[at]).max() > 1e-6
                assert moved == inside, (name, axis, place - first, sees)


def test_behind_the_recurrent_layers_everything_is_seen(layers):
    assert layers.loc["gru1":, ["sees_frames", "sees_bands"]].drop_duplicates().to_numpy().tolist() == [[94, 128]]


@pytest.mark.parametrize("variant", models.VARIANTS)
def test_every_variant_can_be_drawn(variant):
    layers = models.anatomy(models.crnn(94, 5, variant=variant))
    figure = figures.architecture(layers)
    assert {"log_mel", "artist"} <= {trace.name.replace(" ", "_") for trace in figure.data}


def test_layers_that_keep_the_shape_are_not_drawn(layers):
    names = [trace.name for trace in figures.architecture(layers).data]
    assert names == ["log mel", "block1", "block2", "block3", "block4", "gru1", "bottleneck", "artist"]


def test_receptive_fields_stay_within_the_clip(layers):
    figure = figures.receptive_fields(layers, np.zeros((32, 128)))
    boxes = figure.data[1:]
    assert [box.name.split(":")[0] for box in boxes] == ["block1", "block2", "block3", "block4"]
    assert max(max(box.x) for box in boxes) <= 32 * 0.032
    assert max(max(box.y) for box in boxes) <= 127.5


def test_a_table_that_is_no_anatomy_is_refused(layers):
    with pytest.raises(ParameterError, match="sees_bands"):
        figures.receptive_fields(layers.drop(columns="sees_bands"), np.zeros((94, 128)))


def test_learning_curves_tell_recipes_apart():
    def record(recipe):
        return {
            "clip_s": 1, "seed": 0, "split": {"name": "song"}, "recipe": {"name": recipe},
            "history": [{"epoch": 1, "val_accuracy": 0.5}],
        }  # fmt: skip

    first, second = figures.learning_curves([record("mended"), record("published")]).data
    assert first.name.startswith("mended, ")
    assert first.line.color != second.line.color
