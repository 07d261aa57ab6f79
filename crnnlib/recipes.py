"""How a network is built and trained: the paper's recipe, those that go beyond it, and the ablation between them."""

import dataclasses
import math
import re
from typing import Any

from crnnlib import voting
from crnnlib.errors import ParameterError

__all__ = ["ABLATION", "BEYOND", "BEYOND_PRETRAINED", "INGREDIENTS", "OTHER_IDEAS", "PAPER", "RECIPES", "Recipe"]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is built and trained; the defaults are those of `PAPER` (section IV).

    Parameters
    ----------
    name : str
        Names the records.
    learning_rate : float
        Of Adam.
    schedule : {"constant", "cosine"}
        "cosine" lowers the learning rate to zero over `max_epochs`.
    batch_size, max_epochs, patience : int
        Training stops after `patience` epochs without a better one; the best epoch's weights are kept.
    monitor : {"val_loss", "val_accuracy"}
        What makes an epoch better: a lower loss or a higher accuracy of the validation clips.
    hold_out : bool
        Keep the validation songs for that. Otherwise they are learnt from as well, as the baselines do: training takes
        all of `max_epochs`, and the last epoch's weights are kept.
    random_crop : bool
        Move each clip to a random place of its song, anew each epoch.
    gain_db, eq_db, mask_time : float
        Of `augment.RandomEqualiser` (dB) and `augment.Mask` (share of a clip); 0 leaves them out.
    shift_bands, mask_bands : int
        Of `augment.RandomShift` and `augment.Mask`; 0 leaves them out.
    channel : bool
        Use `augment.RandomChannel`: other dynamics, bandwidth and noise.
    augment_p : float
        Probability of a clip to be changed by each of these.
    front_end : {"log-mel", "musicnn"}
        What the network gets: the log-mel store, or the maps of a pretrained tagger (`musicnn.Maps`).
    variant, width, non_local, head
        Of `models.crnn`.
    batch_norm : {"mended", "published"}
        "mended": the averages of the input's batch norm begin at the training clips' own statistics, and those of the
        blocks are measured anew after each epoch (`models.recalibrate`). Training itself is the same.
    weight_decay : float
        Decoupled (AdamW).
    label_smoothing : float
        Share of the target spread evenly over the classes.
    vote : {"majority", "soft"}
        From clips to songs.
    statistics : bool
        Let logistic regression on the statistics of whole songs, the baseline "logistic" on the same songs to learn
        from, name each test song together with the network: one soft vote of the two. `identify` asks the network
        alone.
    legacy_clips : bool
        Drop each song's last whole clip, as the authors' slicer does.

    Raises
    ------
    ParameterError
        If schedule, monitor, vote, front end or batch norm is unknown, a probability or number is out of range, or
        `statistics` and `legacy_clips` are both set; `models.crnn` refuses the rest.

    Examples
    --------
    >>> dataclasses.replace(PAPER, name="wide", width=1.5).width
    1.5
    >>> [round(BEYOND.rate(epoch), 6) for epoch in (0, 15, 29)]
    [0.001, 0.0005, 3e-06]
    >>> PAPER.to_songs(trial.test_clips).level
    'song'
    """

    name: str = "paper"
    learning_rate: float = 1e-3
    schedule: str = "constant"
    batch_size: int = 16
    max_epochs: int = 200
    patience: int = 10
    monitor: str = "val_loss"
    hold_out: bool = True
    random_crop: bool = False
    gain_db: float = 0.0
    eq_db: float = 0.0
    channel: bool = False
    shift_bands: int = 0
    mask_bands: int = 0
    mask_time: float = 0.0
    augment_p: float = 1.0
    front_end: str = "log-mel"
    variant: str = "paper"
    width: float = 1.0
    non_local: bool = False
    head: str = "gru"
    batch_norm: str = "mended"
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    vote: str = "majority"
    statistics: bool = False
    legacy_clips: bool = False

    def __post_init__(self):
        if self.schedule not in ("constant", "cosine"):
            raise ParameterError(f"schedule={self.schedule!r}: expected 'constant' or 'cosine'")
        if self.monitor not in ("val_loss", "val_accuracy"):
            raise ParameterError(f"monitor={self.monitor!r}: expected 'val_loss' or 'val_accuracy'")
        if self.vote not in ("majority", "soft"):
            raise ParameterError(f"vote={self.vote!r}: expected 'majority' or 'soft'")
        if self.front_end not in ("log-mel", "musicnn"):
            raise ParameterError(f"front_end={self.front_end!r}: expected 'log-mel' or 'musicnn'")
        if self.batch_norm not in ("mended", "published"):
            raise ParameterError(f"batch_norm={self.batch_norm!r}: expected 'mended' or 'published'")
        if not 0 < self.augment_p <= 1:
            raise ParameterError(f"augment_p={self.augment_p!r}: expected a probability above 0, e.g. 0.5")
        for names, kind, least in (
            (("batch_size", "max_epochs", "patience"), int, 1),
            (("shift_bands", "mask_bands"), int, 0),
            (("learning_rate", "gain_db", "eq_db", "mask_time", "weight_decay", "label_smoothing"), float, 0),
        ):
            for name in names:
                value = getattr(self, name)
                if not least <= value < math.inf or (kind is int and value != int(value)):
                    whole = "a whole number" if kind is int else "a number"
                    raise ParameterError(f"{name}={value!r}: expected {whole} of at least {least}")
                object.__setattr__(self, name, kind(value))
        if not 0 < self.width < math.inf:
            raise ParameterError(f"width={self.width!r}: expected a positive factor, e.g. 0.5")
        if not re.fullmatch(r"\w[\w.-]*", self.name):
            raise ParameterError(f"name={self.name!r}: expected letters, digits and hyphens, since it names files")
        if max(self.mask_time, self.label_smoothing) >= 1:
            raise ParameterError("mask_time, label_smoothing: expected shares below 1")
        if self.statistics and self.legacy_clips:
            raise ParameterError("statistics with legacy_clips: not every song would have clips; expected one of them")

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / self.max_epochs))

    def to_songs(self, clips: voting.Scores, statistics: voting.Scores | None = None) -> voting.Scores:
        """Vote clip scores into song scores, together with what `statistics` say of the same songs."""
        songs = voting.majority_vote(clips) if self.vote == "majority" else voting.soft_vote(clips)
        return songs if statistics is None else voting.soft_vote(voting.pool([songs, statistics]))


#: The paper's recipe (section IV), with the batch norms measured anew after each epoch.
PAPER = Recipe()
#: What did best on albums that training had not heard, on a demo of another seed and on training songs of opengame20's
#: first song fold. All songs but the test's for 30 epochs under a cosine schedule; random crops; gain of 3 dB,
#: equaliser of 6 dB, channel and shift by 3 bands, each on half of the clips; soft vote.
BEYOND = Recipe(
    name="beyond",
    schedule="cosine",
    max_epochs=30,
    hold_out=False,
    random_crop=True,
    gain_db=3.0,
    eq_db=6.0,
    channel=True,
    shift_bands=3,
    augment_p=0.5,
    vote="soft",
)
#: A small network on the maps of a pretrained tagger, with the same schedule, crops and vote, and weight decay of 0.01.
BEYOND_PRETRAINED = Recipe(
    name="beyond-pretrained",
    schedule="cosine",
    batch_size=32,
    max_epochs=30,
    hold_out=False,
    random_crop=True,
    front_end="musicnn",
    variant="pooled",
    weight_decay=1e-2,
    vote="soft",
)
#: `PAPER`, `BEYOND` and `BEYOND_PRETRAINED` by their names, as ``crnnlib study --recipe`` takes them; and the last two
#: as "beyond-joint" and "beyond-pretrained-joint", whose songs are named together with their `statistics`.
RECIPES = {recipe.name: recipe for recipe in (PAPER, BEYOND, BEYOND_PRETRAINED)}
RECIPES |= {
    f"{recipe.name}-joint": dataclasses.replace(recipe, name=f"{recipe.name}-joint", statistics=True)
    for recipe in (BEYOND, BEYOND_PRETRAINED)
}

#: What `BEYOND` adds to `PAPER`, and the fields that say so. The vote is left out, since it needs no training.
INGREDIENTS = {
    "crops": ("random_crop",),
    "schedule": ("schedule", "max_epochs", "hold_out"),
    "equaliser": ("gain_db", "eq_db"),
    "channel": ("channel",),
    "shift": ("shift_bands",),
}


#: What the paper and the literature suggest and `BEYOND` does without, each to be added to `PAPER`: a first block that
#: keeps every frame, as the paper blames "early pooling layers discarding too much information"; masks over time and
#: frequency (Park et al., Interspeech 2019), on half of the clips; label smoothing (Szegedy et al., CVPR 2016); half as
#: many filters again; a non-local block (Kuo et al., AAAI 2021); mean and deviation of the recurrent states instead of
#: the last; and the epoch with the highest validation accuracy in place of that with the lowest loss.
OTHER_IDEAS: dict[str, dict[str, Any]] = {
    "less-pooling": {"variant": "less-pooling"},
    "with-masks": {"mask_bands": 16, "mask_time": 0.2, "augment_p": 0.5},
    "with-smoothing": {"label_smoothing": 0.1},
    "with-width": {"width": 1.5},
    "with-non-local": {"non_local": True},
    "with-deviation": {"head": "statistics"},
    "with-accuracy": {"monitor": "val_accuracy"},
}


def _take(recipe, name, fields, other):
    """Give a recipe some fields of another one, and a name."""
    return dataclasses.replace(recipe, name=name, **{field: getattr(other, field) for field in fields})


#: `BEYOND` without each ingredient, the paper's recipe with each alone, and the paper's with each of `OTHER_IDEAS`.
ABLATION = {
    recipe.name: recipe
    for recipe in (
        *(_take(BEYOND, f"beyond-without-{name}", fields, PAPER) for name, fields in INGREDIENTS.items()),
        *(_take(PAPER, f"paper-with-{name}", (*fields, "augment_p"), BEYOND) for name, fields in INGREDIENTS.items()),
        *(dataclasses.replace(PAPER, name=f"paper-{name}", **fields) for name, fields in OTHER_IDEAS.items()),
    )
}
