"""A pretrained tagger, to measure against and to start from: musicnn's Million Song weights, frozen.

musicnn (Pons & Serra 2019, ISC licence) gives three seconds of music 50 tags. Its package of 29 MB carries the weights
as TensorFlow 1 checkpoints and pins old libraries, so it is fetched alone, its arrays are read, and the network is
built anew in Keras. Input is time-major, ``(187, 96)``: ``log10(10000 S + 1)`` of a mel power spectrogram at 16 kHz
(`n_fft=512`, `hop_length=256`, 96 bands), in float32 where the original rounds to float16. See chapter 8,
*Go beyond the paper*.
"""

import dataclasses
import functools
import importlib.util
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import scipy.fft

from crnnlib import files
from crnnlib.errors import DataError, ParameterError
from crnnlib.logmel import Settings

__all__ = ["Maps", "embed", "fetch", "network", "patches"]

SR = 16000
N_FRAMES = 187
_PIN = "musicnn==0.1.0 --hash=sha256:f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa\n"
_FEATURES = ("max_pool", "mean_pool", "penultimate")
_BATCH = 16
_CHECKPOINT = "musicnn/MSD_musicnn"
_ROWS = 3  # of a patch in a store of `Maps`
_N_CEPSTRAL = 30


@dataclasses.dataclass(frozen=True)
class Maps(Settings):
    """Settings of a store of musicnn's feature maps, for `features.extract` in the place of `LogMel`.

    A row is a third of a patch, 0.997 s: the mean over it, then the maximum, of each of the 753 maps that the network
    pools; then, of 30 cepstral coefficients of the network's own mel spectrogram, mean, deviation and deviation of the
    differences, since timbre identifies artists and the network was taught to name genres. Clips of such rows are what
    the recipe ``beyond-pretrained`` learns from.

    Parameters
    ----------
    max_s : float, optional
        Use at most this many seconds, from the middle of the song.
    network : str, default="musicnn-msd"
        The only one there is.

    Raises
    ------
    ParameterError
        If `max_s` is not positive, or there is no such network.

    Examples
    --------
    >>> [Maps().n_frames(clip_s) for clip_s in (1, 3, 5, 10, 20, 30)]
    [1, 3, 5, 10, 20, 30]
    """

    max_s: float | None = None
    network: str = "musicnn-msd"

    sr: ClassVar[int] = SR
    n_fft: ClassVar[int] = 512
    hop_length: ClassVar[float] = N_FRAMES * 256 / _ROWS
    n_mels: ClassVar[int] = 2 * 753 + 3 * _N_CEPSTRAL

    def __post_init__(self):
        if self.max_s is not None and not 0 < self.max_s < math.inf:
            raise ParameterError(f"max_s={self.max_s!r}: expected a positive number, e.g. 30.0")
        if self.network != "musicnn-msd":
            raise ParameterError(f"network={self.network!r}: expected 'musicnn-msd'")

    def n_frames(self, clip_s: float) -> int:
        """Length of a clip in rows, to the nearest, at least one."""
        super().n_frames(clip_s)
        return max(1, round(clip_s * self.sr / self.hop_length))

    def transform(self) -> Callable[[np.ndarray], np.ndarray]:
        """From a signal to its rows; the weights are fetched once."""
        _maps()
        return _rows


def fetch() -> Path:
    """Bring the weights into the cache, once.

    The package is installed by pip or uv into a temporary folder, without its dependencies, by version and SHA-256; the
    network's arrays are kept and the rest is dropped. Nothing of the package is run.

    Returns
    -------
    pathlib.Path
        An ``.npz`` of 3 MB, arrays named as in the checkpoint.

    Raises
    ------
    DataError
        If there is no installer, no internet, or the content is not what was expected.

    Examples
    --------
    >>> fetch().name  # doctest: +SKIP
    'musicnn-msd.npz'
    """
    target = files.home() / "models" / "musicnn-msd.npz"
    if not target.exists():
        with tempfile.TemporaryDirectory(prefix="crnnlib-musicnn-") as folder:
            _install(Path(folder))
            arrays = _read_checkpoint(Path(folder) / _CHECKPOINT)
        with files.atomic(target) as temporary, temporary.open("wb") as out:
            np.savez(out, allow_pickle=False, **arrays)
    return target


def network(weights: Path | str | None = None):
    """Build musicnn in Keras.

    Parameters
    ----------
    weights : path, optional
        As `fetch` returns; without, the network is untrained.

    Returns
    -------
    keras.Model
        Input (batch, 187, 96); a dict of outputs: `max_pool` and `mean_pool` (batch, 753), over time, of all feature
        maps, `penultimate` (batch, 200), and `tags` (batch, 50), probabilities of independent tags.

    References
    ----------
    Pons & Serra, "musicnn: pre-trained convolutional neural networks for music audio tagging", ISMIR 2019.

    Examples
    --------
    >>> network().count_params()
    792079
    """
    import keras
    from keras import layers

    from crnnlib import device

    norms = (layers.BatchNormalization(name=f"batch_normalization_{i}".removesuffix("_0")) for i in range(11))

    def convolve(kind, i, filters, size, padding, x):
        return next(norms)(
            kind(filters, size, padding=padding, activation="relu", name=f"conv2d_{i}".removesuffix("_0"))(x)
        )

    inputs = keras.Input((N_FRAMES, 96))
    image = next(norms)(layers.Reshape((N_FRAMES, 96, 1))(inputs))
    padded = layers.ZeroPadding2D(((3, 3), (0, 0)))(image)
    front = [convolve(layers.Conv2D, i, 204, (7, n_bands), "valid", padded) for i, n_bands in enumerate((38, 67))]
    front += [
        convolve(layers.Conv2D, i, 51, (n_frames, 1), "same", image) for i, n_frames in enumerate((128, 64, 32), 2)
    ]
    maps = [layers.Concatenate()([keras.ops.max(x, axis=2) for x in front])]
    for i in (5, 6, 7):
        x = convolve(layers.Conv1D, i, 64, 7, "same", maps[-1])
        maps.append(x if i == 5 else layers.Add()([x, maps[-1]]))
    features = layers.Concatenate(name="maps")(maps)
    max_pool, mean_pool = keras.ops.max(features, axis=1), keras.ops.mean(features, axis=1)
    pooled = next(norms)(layers.Flatten()(keras.ops.stack([max_pool, mean_pool], axis=-1)))
    penultimate = next(norms)(layers.Dense(200, activation="relu", name="dense")(pooled))
    tags = layers.Dense(50, activation="sigmoid", name="dense_1")(penultimate)
    outputs = {"max_pool": max_pool, "mean_pool": mean_pool, "penultimate": penultimate, "tags": tags}
    model = keras.Model(inputs, outputs, name="musicnn")
    model.compile(jit_compile=device.jit())
    if weights is not None:
        _load(model, Path(weights))
    return model


def patches(y: np.ndarray) -> np.ndarray:
    """Cut a signal into what the network hears.

    Parameters
    ----------
    y : numpy.ndarray, shape (samples,)
        Mono at 16 kHz, full scale ±1.

    Returns
    -------
    numpy.ndarray, shape (n, frames, bands), float32
        Patches of three seconds, 187 frames and 96 bands, side by side; a shorter signal is repeated to fill one.

    Examples
    --------
    >>> patches(np.zeros(16000 * 10)).shape
    (3, 187, 96)
    """
    import librosa

    mel = librosa.feature.melspectrogram(y=y, sr=SR, n_fft=512, hop_length=256, n_mels=96, pad_mode="reflect").T
    mel = np.log10(10000 * mel + 1).astype(np.float32)
    if len(mel) < N_FRAMES:
        mel = np.pad(mel, ((0, N_FRAMES - len(mel)), (0, 0)), mode="wrap")
    n = len(mel) // N_FRAMES
    return mel[: n * N_FRAMES].reshape(n, N_FRAMES, 96)


def embed(model, y: np.ndarray) -> np.ndarray:
    """Describe a song by what musicnn makes of it.

    Parameters
    ----------
    model : keras.Model
        As `network` builds.
    y : numpy.ndarray, shape (samples,)
        Mono at 16 kHz, full scale ±1.

    Returns
    -------
    numpy.ndarray, shape (3412,), float32
        Mean over the patches, then deviation, of `max_pool`, `mean_pool` and `penultimate`.

    Raises
    ------
    ParameterError
        If the signal has more than one channel.

    Examples
    --------
    >>> embed(network(), np.random.default_rng(0).normal(size=16000 * 7)).shape
    (3412,)
    """
    if y.ndim != 1 or not len(y):
        raise ParameterError(f"signal of shape {y.shape}: expected (samples,), mono at {SR} Hz")
    heard = patches(y)
    parts = [model.predict_on_batch(heard[i : i + _BATCH]) for i in range(0, len(heard), _BATCH)]
    each = np.concatenate([np.concatenate([out[name] for name in _FEATURES], axis=1) for out in parts])
    return np.concatenate([each.mean(0), each.std(0)]).astype(np.float32)


def _rows(y: np.ndarray) -> np.ndarray:
    """What `Maps` describes, shape (rows, 1596)."""
    view, heard = _maps(), patches(y)
    maps = np.concatenate([view.predict_on_batch(heard[i : i + _BATCH]) for i in range(0, len(heard), _BATCH)])
    cepstra = scipy.fft.dct(heard, norm="ortho")[..., :_N_CEPSTRAL]
    rows = []
    for own, timbre in zip(np.array_split(maps, _ROWS, axis=1), np.array_split(cepstra, _ROWS, axis=1), strict=True):
        moments = timbre.mean(1), timbre.std(1), np.diff(timbre, axis=1).std(1)
        rows.append(np.concatenate([own.mean(1), own.max(1), *moments], axis=1))
    return np.stack(rows, axis=1).reshape(-1, Maps.n_mels)


@functools.cache
def _maps():
    """The network up to its feature maps, (batch, 187, 753), trained; one for all songs."""
    import keras

    from crnnlib import device

    whole = network(fetch())
    view = keras.Model(whole.input, whole.get_layer("maps").output)
    view.compile(jit_compile=device.jit())
    return view


def _install(folder: Path) -> None:
    """Let pip or uv fetch the one wheel, whichever is here."""
    if importlib.util.find_spec("pip"):
        command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    elif shutil.which("uv"):
        command = ["uv", "pip", "install", "--python", sys.executable]
    else:
        raise DataError("musicnn: its weights come by pip or uv, and neither is here; run `python -m ensurepip` first")
    pin = folder / "pin.txt"
    pin.write_text(_PIN, encoding="ascii")
    options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--target", str(folder)]
    done = subprocess.run([*command, *options, "--requirement", str(pin)], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = " ".join((done.stderr or done.stdout).split())[-300:]
        raise DataError(f"musicnn: {_PIN.split()[0]} could not be fetched ({reason}); check the network and try again")


def _read_checkpoint(folder: Path) -> dict[str, np.ndarray]:
    import tensorflow as tf

    # Its files are called .index and .data-00000-of-00001: a prefix without a name, which TensorFlow does not find.
    prefix = folder / "model"
    for suffix in (".index", ".data-00000-of-00001"):
        (folder / suffix).rename(f"{prefix}{suffix}")
    reader = tf.train.load_checkpoint(str(prefix))
    names = [name for name in reader.get_variable_to_shape_map() if "Adam" not in name and "power" not in name]
    return {name: reader.get_tensor(name) for name in sorted(names)}


def _load(model, path: Path) -> None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for layer in model.layers:
                layer.set_weights([arrays[f"{layer.name}/{w.name}"].reshape(w.shape) for w in layer.weights])
    except files.DAMAGED as error:
        raise DataError(f"{path}: damaged ({error}); remove it, and it is fetched anew") from error
