"""What a network has to beat: classifiers of whole songs on hand-made statistics, and a frozen pretrained tagger.

`gaussian` and `gaussian+chroma` follow Ellis (2007), `svm` follows Mandel & Ellis (2005), `logistic` is the plainest
learner on such statistics, `musicnn` the same learner on a pretrained tagger's features. MFCCs are the cosine
transform of the stored log-mel, and audio is cut as the store's was, so all hear what the network hears. Nothing here
is tuned: training and validation songs both serve to learn. See chapter 8, *Go beyond the paper*.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import scipy.special
from tqdm.auto import tqdm

from crnnlib import features, files, gaussians, splits
from crnnlib.errors import DataError, ParameterError
from crnnlib.voting import Scores, pool

__all__ = ["NAMES", "beside", "ready", "run", "song_statistics"]

#: The baselines, in the order of the tables.
NAMES = ("gaussian", "gaussian+chroma", "svm", "logistic", "musicnn")
_N_MFCC, _N_CHROMA = 20, 12


def run(name: str, tracks: pd.DataFrame, store, split, label: str = "artist", progress: bool = True) -> Scores:
    """Train a baseline on a split and test it.

    Parameters
    ----------
    name : {"gaussian", "gaussian+chroma", "svm", "logistic", "musicnn"}
        Which baseline.
    tracks : pandas.DataFrame
        Track table; audio is read for chroma and musicnn only.
    store : features.Store
        Log-mel spectrograms of the tracks.
    split : splits.Split
        Training and validation songs to learn from, test songs to judge.
    label : str
        Column of the class.
    progress : bool
        Show a progress bar while statistics are computed.

    Returns
    -------
    Scores
        Song level, sorted by track_id. Probabilities of the Gaussians and the SVM are softmaxes of log-likelihoods per
        frame and of decision values: they rank classes, but are not calibrated.

    Raises
    ------
    ParameterError
        If the name or the label is unknown.
    DataError
        If the split leaks, or there are not two classes to learn, every tested one among them.

    Notes
    -----
    The SVM has an RBF kernel on standardised MFCC means and covariances, which is Mandel and Ellis' Mahalanobis
    distance with a diagonal; their other kernel, the divergence of two Gaussians, is left out. Logistic regression
    takes mean, deviation and deviation of the deltas, 60 numbers: 190 covariances more are too many for a few songs
    per class. Chroma is per frame, not per beat.

    References
    ----------
    - Ellis, "Classifying music audio with timbral and chroma features", ISMIR 2007.
    - Mandel & Ellis, "Song-level features and support vector machines for music classification", ISMIR 2005.
    - Pons & Serra, "musicnn: pre-trained convolutional neural networks for music audio tagging", ISMIR 2019.

    Examples
    --------
    >>> songs = run("logistic", tracks, store, split)
    >>> songs.classes, songs.n
    (('Ada', 'Bo Diddley', 'Çelik'), 3)
    """
    if name not in NAMES:
        raise ParameterError(f"name={name!r}: expected one of {', '.join(NAMES)}")
    if label not in tracks:
        raise ParameterError(f"label={label!r}: expected a column of the track table: {', '.join(tracks.columns)}")
    split.check(tracks, store)
    learn, test = sorted(split.train + split.validation), sorted(split.test)
    tracks = tracks.loc[learn + test]
    labels = tracks[label].astype(str)
    classes = tuple(sorted(set(labels[learn])))
    if len(classes) < 2 or not set(labels) <= set(classes):
        raise DataError(f"{label}: expected two or more to learn from, every tested one among them")
    truth = np.array([classes.index(value) for value in labels])
    known, n_classes = truth[: len(learn)], len(classes)

    def table(kind: str) -> np.ndarray:
        return song_statistics(tracks, store, kind, progress)

    if name.startswith("gaussian"):
        evidence = gaussians.evidence(gaussians.unpack(table("mfcc"), _N_MFCC), known, n_classes)
        if name == "gaussian+chroma":
            chroma = gaussians.to_one_key(gaussians.unpack(table("chroma"), _N_CHROMA), len(learn))
            evidence += gaussians.evidence(chroma, known, n_classes)
        probabilities = scipy.special.softmax(evidence, axis=1)
    else:
        probabilities = _scikit(name, table("musicnn" if name == "musicnn" else "mfcc"), known, n_classes)
    return Scores(probabilities, truth[len(learn) :], np.array(test), classes, level="song")


def beside(trials: Iterable, name: str, tracks: pd.DataFrame, store) -> Scores:
    """Train and test a baseline on the very splits of some trials, and pool what it says.

    Parameters
    ----------
    trials : iterable of Trial
        From `records.results`.
    name, tracks, store
        As for `run`; the class is the trials' label.

    Returns
    -------
    Scores
        Song level: a row for each test song of each trial.

    Raises
    ------
    DataError
        If there are no trials.

    Examples
    --------
    >>> beside([trial, trial], "logistic", tracks, store).n
    6
    """
    parts = [(splits.Split(**trial.record["split"]), trial.record["label"]) for trial in trials]
    return pool([run(name, tracks, store, split, label, progress=False) for split, label in parts])


def ready(tracks: pd.DataFrame, store) -> tuple[str, ...]:
    """Name the baselines that need neither audio nor a download: their statistics come from the store or the cache.

    Parameters
    ----------
    tracks : pandas.DataFrame
        Track table.
    store : features.Store
        Log-mel spectrograms of these tracks.

    Returns
    -------
    tuple of str
        Names of the baselines, in the order in which `run` lists them.

    Examples
    --------
    >>> {"gaussian", "svm", "logistic"} <= set(ready(tracks, store))
    True
    """
    needs = {"gaussian+chroma": "chroma", "musicnn": "musicnn"}
    lacking = {kind for kind in needs.values() if not all(p.exists() for p in _paths(tracks, store, kind).values())}
    return tuple(name for name in NAMES if needs.get(name) not in lacking)


def song_statistics(tracks: pd.DataFrame, store, kind: str = "mfcc", progress: bool = True) -> np.ndarray:
    """Describe each song by one vector; cached by the content of the song.

    Parameters
    ----------
    tracks : pandas.DataFrame
        Track table.
    store : features.Store
        Log-mel spectrograms of these tracks; its settings say which part of the audio is meant.
    kind : {"mfcc", "chroma", "musicnn"}
        ``mfcc``: number of frames, mean (20) and covariance (20 x 20) of the MFCCs, deviation of their deltas (20);
        ``chroma``: number of frames, mean (12) and covariance (12 x 12); ``musicnn``: `musicnn.embed`.
    progress : bool
        Show a progress bar.

    Returns
    -------
    numpy.ndarray, shape (songs, values), float32
        In the order of the table; 441, 157 or 3412 values.

    Raises
    ------
    ParameterError
        If `kind` is unknown.

    Examples
    --------
    >>> len(tracks), song_statistics(tracks, store).shape
    (24, (24, 441))
    """
    makers = {"mfcc": _mfcc, "chroma": _chroma, "musicnn": _musicnn}
    if kind not in makers:
        raise ParameterError(f"kind={kind!r}: expected one of {', '.join(makers)}")
    paths = _paths(tracks, store, kind)
    files.sweep(files.home() / "statistics" / kind)
    values = {track: _kept(path) for track, path in paths.items()}
    missing = [track for track, kept in values.items() if kept is None]
    make = makers[kind](tracks, store) if missing else None
    for track in tqdm(missing, desc=kind, unit="track", disable=not (progress and missing)):
        values[track] = make(track).astype(np.float32)
        with files.atomic(paths[track]) as temporary:
            np.save(temporary, values[track], allow_pickle=False)
    return np.stack(list(values.values()))


def _kept(path):
    """What was computed before, or None if that is missing or damaged."""
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, *files.DAMAGED):
        return None


def _paths(tracks, store, kind: str):
    folder = files.home() / "statistics" / kind
    digests = store.digests(tracks.index)
    return {track: folder / f"{digest}.npy" for track, digest in zip(tracks.index, digests, strict=True)}


def _mfcc(tracks, store):
    import librosa

    def make(track):
        log_mel = np.asarray(store[track], np.float64)
        mfcc = librosa.feature.mfcc(S=log_mel.T, n_mfcc=_N_MFCC).T
        deltas = librosa.feature.delta(mfcc, axis=0, mode="nearest")
        return np.concatenate([gaussians.pack(mfcc), deltas.std(0)])

    return make


def _chroma(tracks, store):
    import librosa

    def make(track):
        y = features.load_audio(tracks.loc[track, "path"], store.settings)
        return gaussians.pack(librosa.feature.chroma_stft(y=y, sr=store.settings.sr, n_fft=4096, hop_length=2048).T)

    return make


def _musicnn(tracks, store):
    from crnnlib import musicnn

    network = musicnn.network(musicnn.fetch())
    settings = features.LogMel(sr=musicnn.SR, max_s=store.settings.max_s)
    return lambda track: musicnn.embed(network, features.load_audio(tracks.loc[track, "path"], settings))


def _scikit(name: str, table: np.ndarray, known: np.ndarray, n_classes: int) -> np.ndarray:
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    if name != "musicnn":
        _, mean, cov = gaussians.unpack(table, _N_MFCC)
        spread = [cov[:, *np.triu_indices(_N_MFCC)]]
        if name == "logistic":
            spread = [np.sqrt(np.einsum("sii->si", cov)), table[:, -_N_MFCC:]]
        table = np.concatenate([mean, *spread], axis=1)
    # All principal components: the same optimum, ten times sooner where songs are fewer than features. In double
    # precision and to a tight tolerance, so that the optimum, and not where the search gave up, is reported.
    steps = [SVC(C=10.0)] if name == "svm" else [PCA(svd_solver="full"), LogisticRegression(max_iter=5000, tol=1e-6)]
    model = make_pipeline(StandardScaler(), *steps).fit(table[: len(known)].astype(np.float64), known)
    new = table[len(known) :]
    found = np.zeros((len(new), n_classes))
    if name == "svm":
        values = model.decision_function(new)
        values = values if values.ndim == 2 else np.stack([-values, values], axis=1)
        found[:, model.classes_] = scipy.special.softmax(values, axis=1)
    else:
        found[:, model.classes_] = model.predict_proba(new)
    return found
