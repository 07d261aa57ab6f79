"""Bottleneck vectors: maps in two dimensions, and numbers for what the maps suggest.

Conventions: vectors are `(n, dimensions)`, a row a clip or a song, Euclidean distance; labels have one value a row.
Purity and `album_within_artist` leave out neighbours from the same song, for clips of one song lie together whatever
else holds. See chapter 7.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from crnnlib import splits
from crnnlib.errors import DataError, ParameterError

__all__ = ["project", "qualities", "quality"]

_METHODS = ("umap", "tsne", "pca")
_MOST = 5000


def project(vectors: np.ndarray, method: str = "umap", seed: int = 0) -> np.ndarray:
    """Lay vectors out in the plane.

    Parameters
    ----------
    vectors : array-like, shape (n, dimensions)
        At least 4 rows of 2 dimensions or more, finite.
    method : {"umap", "tsne", "pca"}
        UMAP and t-SNE keep neighbours together, and distances between far groups mean little; PCA keeps the largest
        differences.
    seed : int
        Of UMAP's layout; t-SNE starts from PCA, where it matters little. Equal seeds give equal maps on one machine.

    Returns
    -------
    numpy.ndarray, shape (n, 2), float32

    Raises
    ------
    ParameterError
        If `method` is unknown.
    DataError
        If there are too few rows, or values that are not finite.

    References
    ----------
    - McInnes, Healy & Melville, "UMAP: Uniform manifold approximation and projection for dimension reduction", 2018.
    - van der Maaten & Hinton, "Visualizing data using t-SNE", JMLR 2008.

    Examples
    --------
    >>> project(np.eye(6), method="pca").shape
    (6, 2)
    """
    vectors = _checked(vectors)
    if method not in _METHODS:
        raise ParameterError(f"method={method!r}: expected one of {', '.join(_METHODS)}")
    n = len(vectors)
    if method == "pca":
        from sklearn.decomposition import PCA

        plane = PCA(2, svd_solver="full").fit_transform(vectors)
    elif method == "tsne":
        from sklearn.manifold import TSNE

        start = "pca" if np.ptp(vectors, axis=0).any() else "random"
        plane = TSNE(perplexity=min(30.0, (n - 1) / 3), init=start, random_state=seed).fit_transform(vectors)
    else:
        plane = _umap(vectors, seed)
    return np.ascontiguousarray(plane, np.float32)


def quality(
    vectors: np.ndarray,
    artists: Sequence[str],
    albums: Sequence[str],
    songs: Sequence[str],
    k: int = 10,
    seed: int = 0,
) -> dict[str, float]:
    """How far vectors gather by artist, and how far by album.

    Compare with the same figures for mean log-mel vectors of the same clips: the difference is the network's work.

    Parameters
    ----------
    vectors : array-like, shape (n, dimensions)
        A row a clip or song.
    artists, albums, songs : sequence of str, length n
        Labels; albums of equal name by other artists are other albums. Songs are track ids.
    k : int
        Number of neighbours.
    seed : int
        Of the permutations behind `album_within_artist_chance`, and of the sample for silhouettes beyond 5,000 rows.

    Returns
    -------
    dict
        `silhouette_artist`, `silhouette_album`: in [-1, 1], high where groups are tight and apart.
        `purity_artist`, `purity_album`: share of the `k` nearest neighbours, of other songs, with the same label. Where
        other songs have fewer than `k` rows of that label, as many neighbours count, so that 1 can be reached.
        `purity_artist_chance`, `purity_album_chance`: the same for neighbours drawn at random from the other songs.
        `album_within_artist`: how often the neighbours of other songs *by the same artist* name the right album, as
        the mean over albums; each of those has two songs or more, and its artist two such albums. What is above
        `album_within_artist_chance` (albums shuffled over songs) is the album heard beneath the artist. NaN where no
        artist has two such albums, or where a label stands alone.

    Raises
    ------
    DataError
        If shapes disagree, or values are not finite.
    ParameterError
        If `k` is not positive.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> artists = np.repeat(["a", "b"], 20)
    >>> vectors = rng.normal(size=(40, 4)) + 9 * (artists == "a")[:, None]
    >>> quality(vectors, artists, ["x"] * 40, range(40))["purity_artist"]
    1.0
    """
    vectors = _checked(vectors)
    artist, album, song = _codes(artists, albums, songs, len(vectors))
    if k < 1:
        raise ParameterError(f"k={k}: expected a positive number of neighbours, e.g. 10")
    labels = {"artist": artist, "album": album}
    near, chance = {name: [] for name in labels}, {name: [] for name in labels}
    for mine, others in _songs(song, np.arange(len(song))):
        closest = others[_nearest(vectors[mine], vectors[others], k)]
        for name, label in labels.items():
            same, here = label[closest] == label[mine[0]], label[others] == label[mine[0]]
            if here.any():
                near[name].append(same[:, : here.sum()].mean(1))
                chance[name].append(np.full(len(mine), here.mean()))
    result = {f"silhouette_{name}": _silhouette(vectors, label, seed) for name, label in labels.items()}
    for name in near:
        result[f"purity_{name}"] = _mean(near[name])
        result[f"purity_{name}_chance"] = _mean(chance[name])
    return result | _album_within_artist(vectors, artist, album, song, k, seed)


def qualities(trials: Iterable, tracks: pd.DataFrame, store=None, k: int = 10, seed: int = 0) -> pd.DataFrame:
    """`quality` of each network by itself, over the clips of its test.

    Networks are not mixed, since the coordinates of one bottleneck mean nothing in another. Average the rows of a
    recipe.

    Parameters
    ----------
    trials : iterable of Trial
        From `records.results`; those of which no bottleneck is kept are left out.
    tracks : pandas.DataFrame
        Track table; gives artists and albums.
    store : features.Store, optional
        Judge the mean log-mel of the same clips instead of the bottleneck.
    k, seed
        Of `quality`.

    Returns
    -------
    pandas.DataFrame
        A row a network: recipe, split (song or album), seed, and what `quality` gives.

    Examples
    --------
    >>> qualities([], tracks).empty
    True
    """
    rows = []
    for trial in trials:
        clips, vectors = trial.test_clips, trial.bottleneck
        if not vectors.shape[1]:
            continue
        if store is not None:
            length = trial.record["n_frames"]
            places = zip(clips.track_id, clips.start, strict=True)
            vectors = np.stack([store[song][start : start + length].mean(0, dtype=float) for song, start in places])
        about = tracks.loc[clips.track_id]
        split, _ = splits.design(trial.record["split"]["name"])
        found = quality(vectors, about["artist"], about["album"], clips.track_id, k, seed)
        rows.append({"recipe": trial.record["recipe"]["name"], "split": split, "seed": trial.record["seed"], **found})
    return pd.DataFrame(rows)


def _checked(vectors) -> np.ndarray:
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or len(vectors) < 4 or vectors.shape[1] < 2:
        raise DataError(
            f"vectors of shape {vectors.shape}: expected (n, dimensions) with n of at least 4 and 2 dimensions or more"
        )
    if not np.isfinite(vectors).all():
        raise DataError("vectors hold NaN or infinity: training diverged; try a lower learning rate")
    return vectors


def _umap(vectors: np.ndarray, seed: int) -> np.ndarray:
    import warnings

    import umap  # takes half a minute: it brings TensorFlow

    n = len(vectors)
    # The spectral start needs more points than dimensions of its eigenproblem; a handful of songs begins at random.
    start = "spectral" if n > 15 else "random"
    layout = umap.UMAP(n_neighbors=min(15, n - 1), init=start, random_state=seed, n_jobs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return layout.fit_transform(vectors)


def _codes(artists, albums, songs, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = [np.asarray(list(values), str) for values in (artists, albums, songs)]
    for name, values in zip(("artists", "albums", "songs"), labels, strict=True):
        if values.shape != (n,):
            raise DataError(f"{name}: {values.size} labels; expected one for each of {n} vectors")
    artist, album, song = labels
    both = np.stack([artist, album], 1)
    codes = np.unique(artist, return_inverse=True)[1], np.unique(both, axis=0, return_inverse=True)[1].ravel()
    return *codes, np.unique(song, return_inverse=True)[1]


def _songs(song: np.ndarray, rows: np.ndarray):
    """Rows of each song, and the rows of the others."""
    for one in np.unique(song[rows]):
        mine = song[rows] == one
        if not mine.all():
            yield rows[mine], rows[~mine]


def _nearest(vectors: np.ndarray, others: np.ndarray, k: int) -> np.ndarray:
    """Rows of `others`, the nearest first."""
    from scipy.spatial.distance import cdist

    return np.argsort(cdist(vectors, others), axis=1, kind="stable")[:, :k]


def _silhouette(vectors: np.ndarray, label: np.ndarray, seed: int) -> float:
    from sklearn.metrics import silhouette_score

    if not 1 < len(np.unique(label)) < len(label):
        return float("nan")
    most = _MOST if len(label) > _MOST else None
    return float(silhouette_score(vectors, label, sample_size=most, random_state=seed))


def _album_within_artist(vectors, artist, album, song, k: int, seed: int, n_shuffles: int = 20) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    found, shuffled = [], []
    for one in np.unique(artist):
        rows = np.flatnonzero(artist == one)
        pairs = np.unique(np.stack([song[rows], album[rows]], 1), axis=0)
        size = np.bincount(pairs[:, 1])
        rows = rows[size[album[rows]] >= 2]
        if len(np.unique(album[rows])) < 2:
            continue
        ballots = [(mine, others[_nearest(vectors[mine], vectors[others], k)]) for mine, others in _songs(song, rows)]
        pairs = pairs[size[pairs[:, 1]] >= 2]
        label = np.empty(song.max() + 1, int)
        label[pairs[:, 0]] = pairs[:, 1]
        found.append(_read(ballots, label, song))
        for _ in range(n_shuffles):
            label[pairs[:, 0]] = rng.permutation(pairs[:, 1])
            shuffled.append(_read(ballots, label, song))
    return {"album_within_artist": _mean([found]), "album_within_artist_chance": _mean([shuffled])}


def _read(ballots, label: np.ndarray, song: np.ndarray) -> float:
    """Mean over albums of how often the neighbours' majority names it."""
    right: dict = {}
    for mine, closest in ballots:
        truth = label[song[mine[0]]]
        votes = label[song[closest]]
        named = np.array([np.bincount(row).argmax() for row in votes])
        right.setdefault(truth, []).append((named == truth).mean())
    return float(np.mean([np.mean(shares) for shares in right.values()]))


def _mean(parts: list) -> float:
    values = np.concatenate([np.atleast_1d(part) for part in parts]) if parts else np.array([])
    return float(values.mean()) if values.size else float("nan")
