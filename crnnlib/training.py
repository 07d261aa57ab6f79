"""One trial: from a store, a split and a recipe to clip scores and a record.

`train` runs epoch by epoch and writes its whole state after each, so a killed trial goes on where it was and ends as
an undisturbed one would. Its identity is what it was trained on (track ids and content), split, clip length, recipe,
label and seed; versions, device and revision are recorded but do not count. The recipes of
`crnnlib.recipes` are found here as well. See chapter 5, *Train across clip lengths*.
"""

import dataclasses
import hashlib
import json

import keras
import numpy as np
from tqdm.auto import tqdm

from crnnlib import baselines, device, evaluation, features, files, models, voting
from crnnlib.clips import Batches, ClipSet
from crnnlib.errors import DataError, ParameterError
from crnnlib.loop import Run, batch_size
from crnnlib.recipes import BEYOND, BEYOND_PRETRAINED, PAPER, RECIPES, Recipe
from crnnlib.records import Trial

__all__ = [
    "BEYOND",
    "BEYOND_PRETRAINED",
    "PAPER",
    "RECIPES",
    "Recipe",
    "identity",
    "predict",
    "train",
    "with_statistics",
]


def identity(store, tracks, split, n_frames: int, recipe: Recipe, seed: int, label: str = "artist") -> str:
    """Hash of all that decides what a trial computes.

    Parameters
    ----------
    store : features.Store
        Gives the content of each track.
    tracks : pandas.DataFrame
        Track table; gives the labels.
    split : splits.Split
        Its track ids.
    n_frames : int
        Length of a clip in frames.
    recipe, seed, label
        As in `train`.

    Returns
    -------
    str
        16 hexadecimal digits.

    Examples
    --------
    >>> paper, renamed, beyond = (
    ...     identity(store, tracks, split, 32, one, seed=0)
    ...     for one in (PAPER, Recipe("mine"), BEYOND)
    ... )
    >>> len(paper), paper == renamed, paper == beyond
    (16, True, False)
    """
    parts = {part: list(getattr(split, part)) for part in ("train", "validation", "test")}
    usual = dataclasses.asdict(Recipe())  # only what differs counts, so that a new option leaves old records valid
    ids = [track_id for part in parts.values() for track_id in part]
    content = dict(zip(ids, store.digests(ids), strict=True))
    named = tracks.loc[list(content), label].astype(str)
    whole = {
        "content": content,
        "split": parts,
        "n_frames": n_frames,
        "recipe": {
            key: value for key, value in dataclasses.asdict(recipe).items() if key != "name" and value != usual[key]
        },
        "seed": seed,
        "label": label,
    }
    if any(track_id.partition("/")[0] != name for track_id, name in named.items()):  # else the ids say it all
        whole["classes"] = named.to_dict()
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]


def train(
    store, tracks, split, clip_s, recipe=PAPER, seed=0, label="artist", progress=True, dtype=None, fast=None,
    resident=None,
) -> Trial:  # fmt: skip
    """Train and test one network.

    Parameters
    ----------
    store : features.Store
        Log-mel of every track of the split.
    tracks : pandas.DataFrame
        Track table; gives the labels.
    split : splits.Split
        Which songs to train on, to stop by, and to test.
    clip_s : float
        Length of a clip in seconds.
    recipe : Recipe, default=PAPER
        How to build and train the network.
    seed : int, default=0
        Decides weights, order, crops, dropout and augmentation.
    label : str, default="artist"
        Column of `tracks` to predict.
    progress : bool, default=True
        Show a bar of epochs.
    dtype : {"float32", "bfloat16"}, optional
        Of the convolution blocks; by default `device.best_dtype`.
    fast : bool, optional
        The hand-written gradient of ``crnnlib.fast``; by default where it can run.
    resident : bool, optional
        Hold the training songs on the device, so that a batch is a vector of start frames; by default on GPUs.

    Returns
    -------
    Trial

    Raises
    ------
    ParameterError
        If `label` is not a column of the track table, or the store is not of the recipe's front end.
    DataError
        If a song of the split is missing, the split leaks, a class of the test songs has no training song, or a clip is
        more than twice as long as any of these.

    Examples
    --------
    >>> trial = train(store, tracks, split, clip_s=1.0, recipe=Recipe(max_epochs=1))
    >>> trial.record["n_clips"]
    {'train': 72, 'validation': 11, 'test': 13}
    >>> trial.record["scores"]["song"]  # doctest: +ELLIPSIS
    {'f1_weighted': ..., 'f1_macro': ..., 'accuracy': ..., 'top3': ..., 'n': 3}
    """
    if recipe.front_end != ("log-mel" if isinstance(store.settings, features.LogMel) else "musicnn"):
        raise ParameterError(f"front_end={recipe.front_end!r}: the store {store.folder.name} holds something else")
    n_frames = store.settings.n_frames(clip_s)
    classes, parts = _clip_sets(store, tracks, split, n_frames, recipe, label)
    statistics = _statistics(store, tracks, split, label) if recipe.statistics else None
    trial_id = identity(store, tracks, split, n_frames, recipe, seed, label)
    resident = device.has_gpu() if resident is None else resident
    dtype = dtype or device.best_dtype()
    run = Run(parts, len(classes), recipe, seed, dtype, fast, resident, files.home() / "checkpoints" / trial_id)
    bar = tqdm(total=recipe.max_epochs, initial=len(run.history), desc=f"{clip_s:g} s", unit="epoch",
               disable=not progress, leave=False)  # fmt: skip
    with bar:
        while not run.finished:
            epoch = run.step()
            bar.set_postfix({key: epoch[key] for key in ("loss", "val_loss", "val_accuracy") if epoch[key] is not None})
            bar.update()
    run.restore_best()
    test = parts["test"]
    vectors, probabilities = predict(run.model, test)
    names = np.array(test.track_ids)[test.song]
    probabilities = probabilities.astype(np.float16)  # as the record keeps them, so that it gives the same scores
    clips = voting.Scores(probabilities, test.clip_labels, names, tuple(classes), start=test.start, level="clip")
    songs = recipe.to_songs(clips, statistics)
    record = {
        "id": trial_id,
        "corpus": store.corpus,
        "features": dataclasses.asdict(store.settings),
        "split": {"name": split.name, **{part: list(getattr(split, part)) for part in parts}},
        "clip_s": clip_s,
        "n_frames": n_frames,
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
        "label": label,
        "classes": list(classes),
        "n_parameters": run.model.count_params(),
        "n_clips": {part: len(one) for part, one in parts.items()},
        "best_epoch": run.best_epoch,
        "history": run.history,
        "seconds": sum(epoch["seconds"] for epoch in run.history),
        "scores": {"clip": evaluation.scores(clips), "song": evaluation.scores(songs)},
        "dtype": dtype,
        **device.provenance(),
    }
    return Trial(record, clips, vectors.astype(np.float16), run.model, statistics)


def with_statistics(trial: Trial, store, tracks, split) -> Trial:
    """Let logistic regression on the statistics of songs name the test songs of a finished trial together with it.

    Parameters
    ----------
    trial : Trial
        Of a recipe without `statistics`.
    store, tracks, split
        What it was trained on.

    Returns
    -------
    Trial
        What `train` gives by the same recipe with `statistics`, without training again. The entry "network" of its
        record holds the identity of `trial`, and by what the regression was fitted.

    Examples
    --------
    >>> joint = with_statistics(trial, store, tracks, split)
    >>> (
    ...     joint.record["recipe"]["statistics"],
    ...     joint.record["network"]["id"] == trial.record["id"],
    ... )
    (True, True)
    """
    old = trial.record
    recipe = dataclasses.replace(Recipe(**old["recipe"]), name=f"{old['recipe']['name']}-joint", statistics=True)
    statistics = _statistics(store, tracks, split, old["label"])
    songs = recipe.to_songs(trial.test_clips, statistics)
    record = old | {
        "id": identity(store, tracks, split, old["n_frames"], recipe, old["seed"], old["label"]),
        "recipe": dataclasses.asdict(recipe),
        "scores": old["scores"] | {"song": evaluation.scores(songs)},
        "network": {"id": old["id"], "statistics": device.provenance()},
    }
    return dataclasses.replace(trial, record=record, statistics=statistics)


def predict(model: keras.Model, clips: ClipSet) -> tuple[np.ndarray, np.ndarray]:
    """Bottleneck and softmax of every clip of a set, from one pass.

    Parameters
    ----------
    model : keras.Model
        From `models.crnn`.
    clips : ClipSet
        Of the model's clip length.

    Returns
    -------
    bottleneck : numpy.ndarray, shape (n_clips, n_units)
    probabilities : numpy.ndarray, shape (n_clips, n_classes)

    Examples
    --------
    >>> vectors, probabilities = predict(
    ...     trial.model, ClipSet.of(store, split.test, [0, 1, 2], n_frames=32)
    ... )
    >>> vectors.shape, probabilities.shape
    ((13, 32), (13, 3))
    """
    view = models.bottleneck(model)
    view.compile(jit_compile=device.jit())
    return tuple(view.predict(Batches(clips, batch_size(clips.n_frames, 64)), verbose=0))


def _statistics(store, tracks, split, label):
    """What logistic regression says of the test songs; from their log-mel, whatever the network gets."""
    if not isinstance(store.settings, features.LogMel):
        heard = tracks.loc[sorted(split.train + split.validation + split.test)]
        store = features.extract(heard, features.LogMel(max_s=store.settings.max_s), progress=False)
    songs = baselines.run("logistic", tracks, store, split, label, progress=False)
    return dataclasses.replace(songs, probabilities=songs.probabilities.astype(np.float16))


def _clip_sets(store, tracks, split, n_frames, recipe, label):
    """The class names, and a clip set for each part of the split."""
    if label not in tracks:
        raise ParameterError(f"label={label!r}: not a column of the track table ({', '.join(tracks.columns)})")
    split.check(tracks, store)
    wanted = {part: list(getattr(split, part)) for part in ("train", "validation", "test")}
    if not recipe.hold_out:
        wanted["train"] = sorted(wanted["train"] + wanted["validation"])
    names = {part: tracks.loc[ids, label].astype(str) for part, ids in wanted.items()}
    classes = sorted(set(names["train"]))
    unknown = sorted((set(names["validation"]) | set(names["test"])) - set(classes))
    if unknown:
        raise DataError(f"{', '.join(unknown[:5])}: to be tested, but without a training song; use crnnlib.splits")
    number = {name: position for position, name in enumerate(classes)}
    parts = {
        part: ClipSet.of(store, wanted[part], [number[name] for name in names[part]], n_frames, recipe.legacy_clips)
        for part in wanted
    }
    longest = parts["train"].lengths.max()
    if n_frames > 2 * longest:
        raise DataError(
            f"clips of {n_frames} frames, but no training song has more than {longest}; choose a shorter clip_s"
        )
    return classes, parts
