"""Ellis' classifier (2007): a Gaussian with full covariance per class, from the moments of each song.

Conventions: the moments of songs are `n` (songs,), the number of frames, `mean` (songs, d) and `cov` (songs, d, d) of
their features. No frame need be kept: they are all that a Gaussian asks for. `crnnlib.baselines` uses it.
"""

import numpy as np

__all__ = ["evidence", "pack", "to_one_key", "unpack"]

Moments = tuple[np.ndarray, np.ndarray, np.ndarray]


def pack(frames: np.ndarray) -> np.ndarray:
    """Lay the moments of one song in a row.

    Parameters
    ----------
    frames : numpy.ndarray, shape (n, d)
        Features, frame by frame.

    Returns
    -------
    numpy.ndarray, shape (1 + d + d * d,)
        Number of frames, mean, and covariance row by row.

    Examples
    --------
    >>> pack(np.array([[0.0, 1.0], [2.0, 1.0]])).tolist()
    [2.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    """
    return np.concatenate([[len(frames)], frames.mean(0), np.cov(frames.T, bias=True).ravel()])


def unpack(table: np.ndarray, d: int) -> Moments:
    """Take such rows apart.

    Parameters
    ----------
    table : numpy.ndarray, shape (songs, 1 + d + d * d or more)
        Rows of `pack`; what follows in a row is left out.
    d : int
        Number of features.

    Returns
    -------
    tuple of numpy.ndarray
        Moments of the songs, in double precision.

    Examples
    --------
    >>> n, mean, cov = unpack(np.array([[2.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]]), d=2)
    >>> n.shape, mean.shape, cov.shape
    ((1,), (1, 2), (1, 2, 2))
    """
    table = table.astype(np.float64)
    return table[:, 0], table[:, 1 : 1 + d], table[:, 1 + d : 1 + d + d * d].reshape(-1, d, d)


def evidence(songs: Moments, known: np.ndarray, n_classes: int) -> np.ndarray:
    """Mean log-likelihood of a song's frames under the Gaussian of each class.

    Parameters
    ----------
    songs : tuple of numpy.ndarray
        Moments; the songs to learn from come first.
    known : numpy.ndarray of int
        Class of each of the first songs.
    n_classes : int
        Number of classes; one without a song is minus infinity.

    Returns
    -------
    numpy.ndarray, shape (songs - known, n_classes)
        Of the songs after the known ones.

    Examples
    --------
    >>> rows = np.stack(
    ...     [pack(np.random.default_rng(i).normal(i % 2, 1, (90, 2))) for i in range(4)]
    ... )
    >>> evidence(unpack(rows, 2), np.array([0, 1]), 2).argmax(1).tolist()
    [0, 1]
    """
    (n, mean, cov), first = songs, len(known)
    own = [np.flatnonzero(known == i) for i in range(n_classes)]
    models = [_pooled(n[rows], mean[rows], cov[rows]) if len(rows) else None for rows in own]
    none = np.full(len(n) - first, -np.inf)
    return np.stack([_log_likelihood(mean[first:], cov[first:], *m) if m else none for m in models], axis=1)


def to_one_key(songs: Moments, first: int, rounds: int = 10) -> Moments:
    """Transpose every song to where one Gaussian over the first ones likes it best, as Ellis does.

    Parameters
    ----------
    songs : tuple of numpy.ndarray
        Moments of chroma: a feature per pitch class.
    first : int
        Number of songs that the Gaussian is of.
    rounds : int
        At most so many turns of choosing keys and fitting.

    Returns
    -------
    tuple of numpy.ndarray
        The moments, transposed.

    Examples
    --------
    >>> frames = np.random.default_rng(0).normal([3, 0, 0], 0.1, (90, 3))
    >>> rows = np.stack([pack(frames), pack(np.roll(frames, 1, axis=1))])
    >>> to_one_key(unpack(rows, 3), first=2)[1].round().tolist()
    [[3.0, 0.0, 0.0], [3.0, 0.0, 0.0]]
    """
    n, mean, cov = songs
    centre, spread = _pooled(n[:first], mean[:first], cov[:first])
    turned = [(np.roll(mean, r, 1), np.roll(cov, (r, r), (1, 2))) for r in range(mean.shape[1])]
    means, covs = (np.stack(parts, axis=1) for parts in zip(*turned, strict=True))
    row, before = np.arange(len(n)), None
    for _ in range(rounds):
        keys = np.argmax([_log_likelihood(m, c, centre, spread) for m, c in turned], axis=0)
        if np.array_equal(keys, before):
            break
        before = keys
        centre, spread = _pooled(n[:first], means[row, keys][:first], covs[row, keys][:first])
    return n, means[row, keys], covs[row, keys]


def _pooled(n: np.ndarray, mean: np.ndarray, cov: np.ndarray):
    """Mean and covariance over all frames of several songs; a small ridge, as a song may lack a pitch class."""
    weights = n / n.sum()
    centre = weights @ mean
    second = np.einsum("s,sij->ij", weights, cov + mean[:, :, None] * mean[:, None, :]) - np.outer(centre, centre)
    return centre, second + np.eye(len(centre)) * (1e-3 * np.trace(second) / len(centre) + 1e-9)


def _log_likelihood(mean: np.ndarray, cov: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Mean log-likelihood of a song's frames under a Gaussian; exact, though only the song's moments are known."""
    precision, off = np.linalg.inv(spread), mean - centre
    distance = np.einsum("ij,sij->s", precision, cov) + np.einsum("si,ij,sj->s", off, precision, off)
    return -0.5 * (distance + np.linalg.slogdet(2 * np.pi * spread)[1])
