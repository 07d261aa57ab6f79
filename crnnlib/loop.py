"""The training loop: one epoch at a time, its whole state on disk after each.

An epoch trains over every clip, measures the batch norms anew (see `models.recalibrate`), judges the validation clips,
and writes the variables of network and optimizer, the best weights, and the history. Keras' own callbacks forget the
early-stopping counters when a process dies; here they follow from the history.
"""

import json
import time
from pathlib import Path

import keras
import numpy as np

from crnnlib import augment, device, files, models
from crnnlib.clips import Batches, Crop, concatenated
from crnnlib.errors import DataError

__all__ = ["Run", "batch_size"]


class Run:
    """A trial under way: the network, its optimizer, the best weights so far, and their state on disk.

    Parameters
    ----------
    parts : dict of ClipSet
        "train" and "validation".
    n_classes : int
        Number of classes.
    recipe : Recipe
        How to train.
    seed : int
        Decides weights, order, crops, dropout and augmentation.
    dtype, fast, resident
        As in `training.train`.
    folder : str or pathlib.Path
        Of the state; what lies there is taken up, if it was trained in the same dtype.

    Attributes
    ----------
    model : keras.Model
        The network.
    history : list of dict
        One per epoch: epoch, loss, accuracy, val_loss, val_accuracy, seconds. Without `Recipe.hold_out` nothing is
        judged, and val_loss and val_accuracy are None.
    best_epoch : int
        Counted from 1.

    Examples
    --------
    >>> from crnnlib.clips import ClipSet
    >>> from crnnlib.recipes import Recipe
    >>> clips = ClipSet.of(store, split.test, [0, 1, 2], n_frames=32)
    >>> parts = {"train": clips, "validation": clips}
    >>> recipe = Recipe(variant="rnn", max_epochs=1)
    >>> run = Run(parts, 3, recipe, 0, "float32", None, False, "checkpoint")
    >>> list(run.step())
    ['epoch', 'loss', 'accuracy', 'val_loss', 'val_accuracy', 'seconds']
    >>> run.restore_best()
    >>> run.finished, run.best_epoch
    (True, 1)
    """

    def __init__(self, parts, n_classes, recipe, seed, dtype, fast, resident, folder):
        self.recipe, self.seed, self.dtype, self.folder = recipe, seed, dtype, Path(folder)
        self.clips, self.validation = parts["train"], parts["validation"]
        keras.utils.set_random_seed(int(np.random.SeedSequence([seed, 0]).generate_state(1)[0]))
        p, layers = recipe.augment_p, []
        if recipe.shift_bands:
            layers.append(augment.RandomShift(recipe.shift_bands, p=p))
        if recipe.gain_db or recipe.eq_db:
            layers.append(augment.RandomEqualiser(recipe.gain_db, recipe.eq_db, p=p))
        if recipe.channel:
            layers.append(augment.RandomChannel(getattr(self.clips.store.settings, "top_db", 80.0), p=p))
        if recipe.mask_bands or recipe.mask_time:
            layers.append(augment.Mask(recipe.mask_bands, recipe.mask_time, p=p))
        self.model = models.crnn(
            self.clips.n_frames, n_classes, self.clips.store.settings.n_mels, recipe.variant, recipe.width,
            recipe.non_local, recipe.head, layers, dtype, fast,
        )  # fmt: skip
        # Compiled apart from the network itself, whose file then carries no optimizer.
        self.trainer, self.offsets = keras.Model(self.model.inputs, self.model.outputs), None
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
        """Whether all epochs are done, or too many have passed without a better one."""
        done = len(self.history)
        waited = done - self.best_epoch if done and self.recipe.hold_out else 0
        return done >= self.recipe.max_epochs or waited >= self.recipe.patience

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
        val_loss, val_accuracy = self._judge() if self.recipe.hold_out else (None, None)
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
        if not (self.history and self.recipe.hold_out) or self._value(epoch) > max(map(self._value, self.history)):
            self.best, self.best_epoch = self.model.get_weights(), number + 1
        self.history.append(epoch)
        self._save()
        return epoch

    def restore_best(self) -> None:
        """Give the network the weights of the epoch that validation judged best; without `hold_out`, of the last."""
        self.model.set_weights(self.best)

    def _value(self, epoch: dict) -> float:
        """What the recipe wants of an epoch, the more the better."""
        return -epoch["val_loss"] if self.recipe.monitor == "val_loss" else epoch["val_accuracy"]

    def _judge(self) -> tuple[float, float]:
        """Loss (cross-entropy) and accuracy over the validation clips."""
        batches = Batches(self.validation, batch_size(self.clips.n_frames, 64))
        probabilities = self.judge.predict(batches, verbose=0)[1]
        truth = self.validation.clip_labels
        likelihood = probabilities[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(likelihood, 1e-7)).mean()), float((probabilities.argmax(-1) == truth).mean())

    def _fit_input(self) -> None:
        """Let the averages of the input's batch norm begin at mean and variance per band over the training clips."""
        chosen = np.random.default_rng((self.seed, 2)).permutation(len(self.clips))[: 400_000 // self.clips.n_frames]
        moments = []
        for clip in sorted(chosen):
            values = self.clips.read([clip])[0].astype(np.float64)
            moments.append((values.mean(0), (values**2).mean(0)))
        mean, square = np.mean(moments, axis=0)
        layer = self.model.get_layer("normalise")
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(np.maximum(square - mean**2, 1e-3))

    def _calibration(self):
        """The same training clips each time, about 24,000 frames of them, in batches of equal size."""
        batch = min(batch_size(self.clips.n_frames, 16), len(self.clips))
        count = max(2, 24_000 // (self.clips.n_frames * batch))
        chosen = np.random.default_rng((self.seed, 3)).permutation(len(self.clips))[: count * batch]
        for start in range(0, len(chosen) - batch + 1, batch):
            yield self.clips.read(chosen[start : start + batch])

    def _variables(self) -> list:
        return list(self.model.variables) + list(self.trainer.optimizer.variables)

    def _save(self) -> None:
        arrays = {f"v{number:04d}": np.asarray(one) for number, one in enumerate(self._variables())}
        arrays |= {f"b{number:04d}": one for number, one in enumerate(self.best)}
        progress = json.dumps({"history": self.history, "best_epoch": self.best_epoch, "dtype": self.dtype})
        with files.atomic(self.folder / "state.npz") as temporary:
            np.savez(temporary, allow_pickle=False, progress=np.array(progress), **arrays)

    def _resume(self) -> bool:
        """Take up the state on disk, if there is one that is whole and of the same dtype."""
        try:
            with np.load(self.folder / "state.npz", allow_pickle=False) as saved:
                progress, arrays = json.loads(str(saved["progress"])), {name: saved[name] for name in saved.files}
            history, best_epoch, dtype = (progress[key] for key in ("history", "best_epoch", "dtype"))
            variables = self._variables()
            values = [arrays[f"v{number:04d}"] for number in range(len(variables))]
        except (OSError, *files.DAMAGED):
            return False
        if dtype != self.dtype or [one.shape for one in values] != [tuple(one.shape) for one in variables]:
            return False
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        self.best = [arrays[name] for name in sorted(arrays) if name[0] == "b"]
        self.history, self.best_epoch = history, best_epoch
        return True


def batch_size(n_frames: int, clips_of_3_s: int) -> int:
    """How many clips need the memory of so many clips of 94 frames.

    Parameters
    ----------
    n_frames : int
        Length of a clip.
    clips_of_3_s : int
        Clips of 94 frames that fit.

    Returns
    -------
    int
        At least 2.

    Examples
    --------
    >>> batch_size(94, 64), batch_size(911, 64)
    (64, 6)
    """
    return max(2, clips_of_3_s * 94 // n_frames)


def _smoothed(n_classes, smoothing):
    def loss(truth, probabilities):
        target = keras.ops.one_hot(keras.ops.cast(keras.ops.reshape(truth, (-1,)), "int32"), n_classes)
        return keras.losses.categorical_crossentropy(target, probabilities, label_smoothing=smoothing)

    return loss
