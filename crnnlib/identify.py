"""Name the artist of a song with a trained model.

A model is two files: ``NAME.keras``, loaded in Keras' safe mode, and ``NAME.json``, the record of its trial, which
says how its features are made and what its classes are. See chapter 9, *Identify your own music*.
"""

import dataclasses
import functools
import json
from pathlib import Path

import keras
import numpy as np

from crnnlib import audio, files, models, musicnn, voting  # noqa: F401 (models registers what a saved network names)
from crnnlib.clips import slice_starts
from crnnlib.errors import DataError
from crnnlib.logmel import LogMel

__all__ = ["SHIPPED", "Model", "find_model", "load_model", "score_file"]

SHIPPED = Path(__file__).parent / "pretrained" / "opengame20.keras"


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A trained network and the record of its trial.

    Parameters
    ----------
    network : keras.Model
        From `models.crnn`.
    record : dict
        See `records.Trial`.
    path : pathlib.Path
        Of the ``.keras`` file.

    Examples
    --------
    >>> model = Model(trial.model, trial.record, Path("model.keras"))
    >>> model.classes, model.settings.n_mels
    (('Ada', 'Bo Diddley', 'Çelik'), 128)
    """

    network: keras.Model
    record: dict
    path: Path

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the artists, by class number."""
        return tuple(self.record["classes"])

    @property
    def settings(self) -> LogMel | musicnn.Maps:
        """How its features are made."""
        kept = self.record["features"]
        return musicnn.Maps(**kept) if "network" in kept else LogMel(**kept)

    @functools.cached_property
    def transform(self):
        """From a signal to its features, made once for all files."""
        return self.settings.transform()


def find_model(corpus: str, path: str | Path | None = None) -> Path:
    """Which model to use: the one named, else the newest trained on a corpus, else the one that ships with crnnlib.

    Parameters
    ----------
    corpus : str
        Short name of the corpus.
    path : str or pathlib.Path, optional
        A ``.keras`` file.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    DataError
        If there is no such file.

    Examples
    --------
    >>> find_model("never trained").name
    'opengame20.keras'
    >>> find_model("demo", "/nowhere.keras")
    Traceback (most recent call last):
        ...
    crnnlib.errors.DataError: /nowhere.keras: no such model; train one with `crnnlib study demo`
    """
    if path is not None:
        if not Path(path).is_file():
            raise DataError(f"{path}: no such model; train one with `crnnlib study {corpus}`")
        return Path(path)
    trained = [
        one for one in (files.home() / "models" / corpus).glob("[!.]*.keras") if one.with_suffix(".json").exists()
    ]
    return max(trained, key=lambda one: (one.stat().st_mtime, one.name), default=SHIPPED)


def load_model(path: str | Path) -> Model:
    """Load a model and its record.

    Parameters
    ----------
    path : str or pathlib.Path
        Of the ``.keras`` file; the record lies beside it.

    Returns
    -------
    Model

    Raises
    ------
    DataError
        If either is missing or damaged.

    Examples
    --------
    >>> trial.model.save("model.keras")
    >>> load_model("model.keras")
    Traceback (most recent call last):
        ...
    crnnlib.errors.DataError: model.json: no record beside the model; expected the two files of one trial
    >>> _ = Path("model.json").write_text(json.dumps(trial.record), "utf-8")
    >>> load_model("model.keras").classes
    ('Ada', 'Bo Diddley', 'Çelik')
    """
    path = Path(path)
    try:
        record = json.loads(path.with_suffix(".json").read_text("utf-8"))
        if lacking := {"corpus", "classes", "features", "n_frames", "clip_s", "label", "split"} - dict(record).keys():
            raise KeyError(", ".join(sorted(lacking)))
    except (OSError, *files.DAMAGED) as error:
        raise DataError(
            f"{path.with_suffix('.json')}: no record beside the model; expected the two files of one trial"
        ) from error
    try:
        return Model(keras.saving.load_model(path, compile=False, safe_mode=True), record, path)
    except (OSError, AttributeError, *files.DAMAGED) as error:
        raise DataError(f"{path}: not a model that can be loaded ({str(error).splitlines()[0]})") from error


def score_file(model: Model, path: str | Path) -> voting.Scores:
    """Clip scores of one audio file, from one call of the network.

    Parameters
    ----------
    model : Model
        From `load_model`.
    path : str or pathlib.Path
        Any audio that soundfile reads.

    Returns
    -------
    voting.Scores
        Level "clip", one row per clip of what `max_s` leaves of the file; `start` counts frames from its beginning.
        The truth is unknown and set to class 0.

    Raises
    ------
    DataError
        If the file is missing, not audio, silent, or too short.

    Examples
    --------
    >>> model = Model(trial.model, trial.record, Path("model.keras"))
    >>> clips = score_file(model, tracks["path"].iloc[0])
    >>> clips.n, voting.soft_vote(clips).n
    (3, 1)
    """
    settings, n_frames = model.settings, model.record["n_frames"]
    values = model.transform(audio.load_audio(path, settings)).astype(np.float16).astype(np.float32)
    if len(values) < n_frames:
        values = np.pad(values, ((0, n_frames - len(values)), (0, 0)), constant_values=values.min())
    starts = slice_starts(len(values), n_frames)
    clips = np.stack([values[start : start + n_frames] for start in starts])
    probabilities = model.network.predict(clips, batch_size=64, verbose=0)
    before = round(audio.skipped(path, settings) * settings.sr / settings.hop_length)
    return voting.Scores(
        probabilities,
        np.zeros(len(clips), int),
        np.full(len(clips), str(path)),
        model.classes,
        start=before + np.asarray(starts),
        level="clip",
    )
