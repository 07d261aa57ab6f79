"""Musical artist classification with convolutional recurrent networks: the library behind the book.

The way of the data, one module a step: `corpora` -> `features` -> `splits` -> `clips` -> `models` -> `training` ->
`voting` -> `evaluation` and `figures`; `study` runs a grid of trials. Modules load on first use.
"""

import importlib
import os

# Where a processor has no AVX-512, TensorFlow leaves oneDNN out and takes fresh memory for every tensor, which costs up
# to half of the time in page faults. oneDNN keeps memory, if set before TensorFlow is imported; the other in any order.
for _setting in ("TF_ENABLE_ONEDNN_OPTS", "TF_CPU_ALLOCATOR_USE_BFC"):
    os.environ.setdefault(_setting, "1")

__version__ = "0.1.0"
__all__ = [
    "augment",
    "baselines",
    "clips",
    "corpora",
    "embeddings",
    "evaluation",
    "features",
    "figures",
    "identify",
    "inverse",
    "models",
    "published",
    "recipes",
    "records",
    "selection",
    "splits",
    "study",
    "tables",
    "training",
    "unknown",
    "voting",
]


def __getattr__(name):
    if name in __all__:
        return importlib.import_module(f"crnnlib.{name}")
    raise AttributeError(f"module 'crnnlib' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
