"""One trial: from a store, a split and a recipe to clip scores and a record.

`train` runs epoch by epoch and writes its whole state after each, so a killed trial goes on where it was and ends as
an undisturbed one would. Its identity is what it was trained on (track ids and content), split, clip length, recipe,
label and seed; versions, device and revision are recorded but do not count. Introduced in chapter 5, *Train across
clip lengths*.
"""

import dataclasses
import hashlib
import json
import math
import time
from pathlib import Path

import keras
import numpy as np
from tqdm.auto import tqdm

from crnnlib import augment, device, evaluation, files, models, voting
from crnnlib.clips import Batches, ClipSet, Crop, concatenated
from crnnlib.errors import DataError, ParameterError

__all__ = ["BEYOND", "PAPER", "RECIPES", "Recipe", "Trial", "identity", "predict", "train"]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is built and trained; the defaults are the paper's (section IV).

    Parameters
    ----------
    name : str
        Names the records.
    learning_rate : float
        Of Adam.
    schedule : {"constant", "cosine"}
        "cosine" lowers the learning rate to zero over `max_epochs`.
    batch_size, max_epochs, patience : int
        Training stops after `patience` epochs without a lower validation loss; the best epoch's weights are kept.
    random_crop : bool
        Move each clip to a random place of its song, anew each epoch.
    gain_db, eq_db, mask_bands, mask_time : float
        Of `augment.RandomEqualiser` and `augment.Mask`; 0 leaves them out.
    variant, width, non_local, head, batch_norm
        Of `models.crnn`.
    weight_decay : float
        Decoupled (AdamW).
    label_smoothing : float
        Share of the target spread evenly over the classes.
    vote : {"majority", "soft"}
        From clips to songs.
    legacy_clips : bool
        Drop each song's last whole clip, as the authors' slicer does.

    Examples
    --------
    >>> dataclasses.replace(PAPER, name="wide", width=1.5).width
    1.5
    """

    name: str = "paper"
    learning_rate: float = 1e-3
    schedule: str = "constant"
    batch_size: int = 16
    max_epochs: int = 200
    patience: int = 10
    random_crop: bool = False
    gain_db: float = 0.0
    eq_db: float = 0.0
    mask_bands: int = 0
    mask_time: float = 0.0
    variant: str = "paper"
    width: float = 1.0
    non_local: bool = False
    head: str = "gru"
    batch_norm: str = "mended"
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    vote: str = "majority"
    legacy_clips: bool = False

    def __post_init__(self):
        if self.schedule not in ("constant", "cosine"):
            raise ParameterError(f"schedule={self.schedule!r}: expected 'constant' or 'cosine'")
        if self.vote not in ("majority", "soft"):
            raise ParameterError(f"vote={self.vote!r}: expected 'majority' or 'soft'")
        if min(self.batch_size, self.max_epochs, self.patience) < 1:
            raise ParameterError("batch_size, max_epochs, patience: expected positive whole numbers")

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / self.max_epochs))

    def to_songs(self, clips: voting.Scores) -> voting.Scores:
        """Vote clip scores into song scores."""
        return voting.majority_vote(clips) if self.vote == "majority" else voting.soft_vote(clips)


PAPER = Recipe()
BEYOND = Recipe(
    name="beyond",
    schedule="cosine",
    max_epochs=60,
    patience=20,
    random_crop=True,
    gain_db=3.0,
    eq_db=6.0,
    mask_bands=16,
    mask_time=0.2,
    weight_decay=1e-3,
    vote="soft",
)
RECIPES = {recipe.name: recipe for recipe in (PAPER, BEYOND)}


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """What one trial left behind.

    Parameters
    ----------
    record : dict
        Everything but arrays: identity, corpus, split, recipe, history, scores, versions, device.
    test_clips : voting.Scores
        Of the test songs, clip by clip.
    bottleneck : numpy.ndarray, shape (n_clips, n_units), float16
        Of the same clips.
    model : keras.Model, optional
        The trained network; None where the trial was read from its record.

    Examples
    --------
    >>> trial.songs.level  # doctest: +SKIP
    'song'
    """

    record: dict
    test_clips: voting.Scores
    bottleneck: np.ndarray
    model: keras.Model | None = None

    @property
    def songs(self) -> voting.Scores:
        """The test songs after the recipe's vote."""
        return Recipe(**self.record["recipe"]).to_songs(self.test_clips)


def identity(store, split, n_frames: int, recipe: Recipe, seed: int, label: str = "artist") -> str:
    """Hash of all that decides what a trial computes.

    Parameters
    ----------
    store : features.Store
        Gives the content of each track.
    split : splits.Split
        Its track ids.
    n_frames, recipe, seed, label
        As in `train`.

    Returns
    -------
    str
        16 hexadecimal digits.

    Examples
    --------
    >>> identity(store, split, 94, PAPER, seed=0)  # doctest: +SKIP
    '0c1f8a52b7d34e90'
    """
    parts = {part: list(getattr(split, part)) for part in ("train", "validation", "test")}
    usual = dataclasses.asdict(Recipe())  # only what differs counts, so that a new option leaves old records valid
    content = {track_id: store.digest(track_id) for ids in parts.values() for track_id in ids}
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
        How.
    seed : int, default=0
        Decides weights, order, crops, dropout and augmentation.
    label : str, default="artist"
        Column of `tracks` to predict.
    progress : bool, default=True
        Show a bar of epochs.
    dtype : {"float32", "bfloat16"}, optional
        Of the convolution blocks; by default bfloat16 where the device has units for it.
    fast : bool, optional
        The hand-written gradient of `crnnlib.fast`; by default where it can run.
    resident : bool, optional
        Hold the training songs on the device, so that a batch is a vector of start frames; by default on GPUs.

    Returns
    -------
    Trial

    Raises
    ------
    DataError
        If a song of the split is missing, or a class of the test songs has no training song.

    Examples
    --------
    >>> trial = train(store, tracks, split, clip_s=3.0)  # doctest: +SKIP
    >>> trial.record["scores"]["song"]["f1_weighted"]  # doctest: +SKIP
    0.91
    """
    n_frames = store.settings.n_frames(clip_s)
    trial_id = identity(store, split, n_frames, recipe, seed, label)
    classes, parts = _clip_sets(store, tracks, split, n_frames, recipe, label)
    resident = device.has_gpu() if resident is None else resident
    dtype = dtype or device.best_dtype()
    run = _Run(parts, len(classes), recipe, seed, dtype, fast, resident, files.home() / "checkpoints" / trial_id)
    bar = tqdm(total=recipe.max_epochs, initial=len(run.history), desc=f"{clip_s:g} s", unit="epoch",
               disable=not progress, leave=False)  # fmt: skip
    with bar:
        while not run.finished:
            epoch = run.step()
            bar.set_postfix(loss=epoch["loss"], val_loss=epoch["val_loss"], val_accuracy=epoch["val_accuracy"])
            bar.update()
    run.restore_best()
    test = parts["test"]
    vectors, probabilities = predict(run.model, test)
    names = np.array(test.track_ids)[test.song]
    clips = voting.Scores(probabilities, test.clip_labels, names, tuple(classes), start=test.start, level="clip")
    songs = recipe.to_songs(clips)
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
    return Trial(record, clips, vectors.astype(np.float16), run.model)


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
    >>> vectors, probabilities = predict(trial.model, clips)  # doctest: +SKIP
    """
    view = models.bottleneck(model)
    view.compile(jit_compile=device.jit())
    return tuple(view.predict(Batches(clips, _batch(clips.n_frames, 64)), verbose=0))


class _Run:
    """A trial under way: the network, its optimizer, the best weights so far, and their state on disk."""

    def __init__(self, parts, n_classes, recipe, seed, dtype, fast, resident, folder):
        self.recipe, self.seed, self.folder = recipe, seed, Path(folder)
        self.clips, self.validation = parts["train"], parts["validation"]
        keras.utils.set_random_seed(int(np.random.SeedSequence([seed, 0]).generate_state(1)[0]))
        layers = []
        if recipe.gain_db or recipe.eq_db:
            layers.append(augment.RandomEqualiser(recipe.gain_db, recipe.eq_db))
        if recipe.mask_bands or recipe.mask_time:
            layers.append(augment.Mask(recipe.mask_bands, recipe.mask_time))
        self.model = models.crnn(
            self.clips.n_frames, n_classes, self.clips.store.settings.n_mels, recipe.variant, recipe.width,
            recipe.non_local, recipe.head, layers, recipe.batch_norm, dtype, fast,
        )  # fmt: skip
        self.trainer, self.offsets = self.model, None
        if resident:
            frames, self.offsets = concatenated(self.clips)
            starts = keras.Input((), dtype="int32")
            self.trainer = keras.Model(starts, self.model(Crop(frames, self.clips.n_frames)(starts)))
        optimizer = keras.optimizers.Adam(recipe.learning_rate, weight_decay=recipe.weight_decay or None)
        loss = "sparse_categorical_crossentropy"
        if recipe.label_smoothing:
            loss = _smoothed(n_classes, recipe.label_smoothing)
        self.trainer.compile(optimizer, loss, metrics=["accuracy"], jit_compile=device.jit())
        optimizer.build(self.trainer.trainable_variables)
        self.statistics = models.BlockStatistics(self.model)
        self.statistics.compile(jit_compile=device.jit())
        self.judge = models.bottleneck(self.model)
        self.judge.compile(jit_compile=device.jit())
        self.history, self.best, self.best_epoch = [], None, None
        if not self._resume() and recipe.batch_norm == "mended":
            self._fit_input()

    @property
    def finished(self) -> bool:
        done = len(self.history)
        return done >= self.recipe.max_epochs or (done and done - self.best_epoch >= self.recipe.patience)

    def step(self) -> dict:
        """Train and judge one epoch, and write the state."""
        began, number = time.perf_counter(), len(self.history)
        self.trainer.optimizer.learning_rate.assign(self.recipe.rate(number))
        order = Batches(
            self.clips, self.recipe.batch_size, (self.seed, 1, number), self.recipe.random_crop, self.offsets
        )
        fitted = self.trainer.fit(order, verbose=0, shuffle=False).history
        if self.recipe.batch_norm == "mended":
            models.recalibrate(self.statistics, self._calibration())
        val_loss, val_accuracy = self._judge()
        epoch = {
            "epoch": number + 1,
            "loss": float(fitted["loss"][0]),
            "accuracy": float(fitted["accuracy"][0]),
            "val_loss": val_loss,
            "val_accuracy": val_accuracy,
            "seconds": round(time.perf_counter() - began, 3),
        }
        if not np.isfinite(epoch["loss"]):
            raise DataError(f"epoch {number + 1}: the loss is {epoch['loss']}; lower learning_rate")
        if self.best is None or epoch["val_loss"] < min(one["val_loss"] for one in self.history):
            self.best, self.best_epoch = self.model.get_weights(), number + 1
        self.history.append(epoch)
        self._save()
        return epoch

    def restore_best(self) -> None:
        self.model.set_weights(self.best)

    def _judge(self) -> tuple[float, float]:
        """Loss (cross-entropy) and accuracy over the validation clips."""
        batches = Batches(self.validation, _batch(self.clips.n_frames, 64))
        probabilities = self.judge.predict(batches, verbose=0)[1]
        truth = self.validation.clip_labels
        likelihood = probabilities[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(likelihood, 1e-7)).mean()), float((probabilities.argmax(-1) == truth).mean())

    def _fit_input(self) -> None:
        """Set the input normalisation to mean and variance per band over the training clips."""
        chosen = np.random.default_rng((self.seed, 2)).permutation(len(self.clips))[: 400_000 // self.clips.n_frames]
        moments = [self.clips.read([clip])[0].astype(np.float64) for clip in sorted(chosen)]
        mean = np.mean([one.mean(0) for one in moments], axis=0)
        variance = np.mean([(one**2).mean(0) for one in moments], axis=0) - mean**2
        layer = self.model.get_layer("normalise")
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(np.maximum(variance, 1e-3))

    def _calibration(self):
        """The same training clips each time, about 24,000 frames of them, in batches of equal size."""
        batch = min(_batch(self.clips.n_frames, 16), len(self.clips))
        count = max(2, 24_000 // (self.clips.n_frames * batch))
        chosen = np.random.default_rng((self.seed, 3)).permutation(len(self.clips))[: count * batch]
        for start in range(0, len(chosen) - batch + 1, batch):
            yield self.clips.read(chosen[start : start + batch])

    def _variables(self) -> list:
        own = [one for one in self.model.variables if not one.path.startswith("crop")]
        return own + list(self.trainer.optimizer.variables)

    def _save(self) -> None:
        arrays = {f"v{number:04d}": np.asarray(one) for number, one in enumerate(self._variables())}
        arrays |= {f"b{number:04d}": one for number, one in enumerate(self.best)}
        progress = json.dumps({"history": self.history, "best_epoch": self.best_epoch})
        with files.atomic(self.folder / "state.npz") as temporary:
            np.savez(temporary, allow_pickle=False, progress=np.array(progress), **arrays)

    def _resume(self) -> bool:
        """Take up the state on disk, if there is one."""
        path = self.folder / "state.npz"
        if not path.exists():
            return False
        with np.load(path, allow_pickle=False) as saved:
            progress = json.loads(str(saved["progress"]))
            for number, variable in enumerate(self._variables()):
                variable.assign(saved[f"v{number:04d}"])
            self.best = [saved[name] for name in sorted(saved.files) if name[0] == "b"]
        self.history, self.best_epoch = progress["history"], progress["best_epoch"]
        return True


def _clip_sets(store, tracks, split, n_frames, recipe, label):
    """The class names, and a clip set for each part of the split."""
    if label not in tracks:
        raise ParameterError(f"label={label!r}: not a column of the track table ({', '.join(tracks.columns)})")
    wanted = {part: list(getattr(split, part)) for part in ("train", "validation", "test")}
    missing = [one for ids in wanted.values() for one in ids if one not in tracks.index]
    if missing:
        raise DataError(f"{missing[0]!r} and {len(missing) - 1} more songs of the split are not in the track table")
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
    return classes, parts


def _batch(n_frames: int, clips_of_3_s: int) -> int:
    """A batch size that needs the memory of so many clips of 94 frames."""
    return max(2, clips_of_3_s * 94 // n_frames)


def _smoothed(n_classes, smoothing):
    def loss(truth, probabilities):
        target = keras.ops.one_hot(keras.ops.cast(keras.ops.reshape(truth, (-1,)), "int32"), n_classes)
        return keras.losses.categorical_crossentropy(target, probabilities, label_smoothing=smoothing)

    return loss
