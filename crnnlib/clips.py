"""From the log-mel store to fixed-length clips, and to batches of them.

A clip is `n_frames` successive frames of one song. Fixed clips do not overlap and start at frame 0; random crops start
anywhere. Arrays are time-major (clip, n_frames, n_mels), float32, dB. Clips are read from the store when they are
needed: one contiguous read each, no file kept open. See chapter 5, *Train across clip lengths*.
"""

import dataclasses
import functools
from pathlib import Path

import keras
import numpy as np

from crnnlib.errors import DataError, ParameterError
from crnnlib.features import Store

__all__ = ["Batches", "ClipSet", "Crop", "concatenated", "slice_starts"]


def slice_starts(n_song_frames: int, n_frames: int, legacy: bool = False) -> np.ndarray:
    """First frames of a song's fixed clips.

    Parameters
    ----------
    n_song_frames, n_frames : int
        Length of the song and of a clip, in frames.
    legacy : bool, default=False
        Drop the last whole clip, as the authors' `slice_songs` does; a song shorter than two clips then yields none.

    Returns
    -------
    numpy.ndarray of int64, shape (n_clips,)
        Every whole clip. A song shorter than one clip yields one start, 0, and is padded when read; with `legacy`,
        none.

    Raises
    ------
    ParameterError
        Unless both lengths are positive.

    Examples
    --------
    >>> slice_starts(300, 94)
    array([  0,  94, 188])
    >>> slice_starts(300, 94, legacy=True)
    array([ 0, 94])
    """
    if n_frames < 1 or n_song_frames < 1:
        raise ParameterError(f"n_song_frames={n_song_frames}, n_frames={n_frames}: expected positive numbers of frames")
    whole = n_song_frames // n_frames
    count = max(whole - 1, 0) if legacy else max(whole, 1)
    return np.arange(count) * n_frames


@dataclasses.dataclass(frozen=True, eq=False)
class ClipSet:
    """The fixed clips of some songs: where each starts, and what it is labelled.

    Parameters
    ----------
    store : Store
        Where the frames are.
    track_ids : tuple of str
        The songs.
    n_frames : int
        Length of a clip.
    labels : numpy.ndarray of int, shape (n_songs,)
        Class of each song.
    song : numpy.ndarray of int, shape (n_clips,)
        Index into `track_ids` of each clip.
    start : numpy.ndarray of int, shape (n_clips,)
        First frame of each clip.
    lengths : numpy.ndarray of int, shape (n_songs,)
        Length of each song in frames.

    Examples
    --------
    >>> clips = ClipSet.of(store, split.test, labels=[0, 1, 2], n_frames=32)
    >>> len(clips), clips.clip_labels
    (13, array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2]))
    >>> clips.read([0, 7]).shape
    (2, 32, 128)
    """

    store: Store
    track_ids: tuple[str, ...]
    n_frames: int
    labels: np.ndarray
    song: np.ndarray
    start: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, store: Store, track_ids, labels, n_frames: int, legacy: bool = False) -> "ClipSet":
        """Cut the songs `track_ids`, whose classes are `labels`, into clips.

        Raises `DataError` if a song is not in the store, or if no clip results.
        """
        lengths = np.array([store.n_frames(track_id) for track_id in track_ids], np.int64)
        starts = [slice_starts(length, n_frames, legacy) for length in lengths]
        counts = [len(one) for one in starts]
        if not sum(counts):
            raise DataError(f"{len(lengths)} songs give no clip of {n_frames} frames; choose a shorter clip_s")
        song = np.repeat(np.arange(len(lengths)), counts)
        return cls(
            store, tuple(track_ids), n_frames, np.asarray(labels, np.int64), song, np.concatenate(starts), lengths
        )

    def __len__(self) -> int:
        return len(self.start)

    @property
    def clip_labels(self) -> np.ndarray:
        """Class of each clip, shape (n_clips,)."""
        return self.labels[self.song]

    def read(self, clips, starts=None) -> np.ndarray:
        """Read clips by number, from `starts` instead of their own first frames where given.

        Returns shape (len(clips), n_frames, n_mels), float32, dB; a song shorter than a clip is padded with its lowest
        value, as silence.
        """
        clips = np.asarray(clips)
        starts = self.start[clips] if starts is None else np.asarray(starts)
        n_mels = self.store.settings.n_mels
        values = np.empty((len(clips), self.n_frames, n_mels), np.float16)
        for row, song, start in zip(values, self.song[clips], starts, strict=True):
            path, offset = self._files[song]
            available = min(self.n_frames, self.lengths[song] - start)
            _read_into(path, offset + 2 * n_mels * int(start), row[:available])
            if available < self.n_frames:
                row[available:] = row[:available].min()
        return values.astype(np.float32)

    @functools.cached_property
    def _files(self) -> list[tuple[Path, int]]:
        """Path and offset of the first value, per song."""
        maps = (self.store[track_id] for track_id in self.track_ids)
        return [(Path(one.filename), one.offset) for one in maps]


class Crop(keras.layers.Layer):
    """Cut clips out of a corpus that is resident on the device: start frames in, clips out.

    Parameters
    ----------
    frames : numpy.ndarray, shape (total_frames, n_mels), float16
        All songs, one after the other, from `concatenated`.
    n_frames : int
        Length of a clip.
    **kwargs
        Of `keras.layers.Layer`.

    Examples
    --------
    >>> tuple(Crop(np.zeros((100, 128), np.float16), 94)(np.array([0, 6])).shape)
    (2, 94, 128)
    """

    def __init__(self, frames, n_frames, **kwargs):
        super().__init__(**kwargs)
        self.n_frames, self.n_mels = n_frames, frames.shape[1]
        self.frames = self.add_weight(
            shape=frames.shape, dtype="float16", initializer="zeros", trainable=False, autocast=False, name="frames"
        )
        self.frames.assign(frames)

    def call(self, starts):
        rows = keras.ops.cast(starts, "int32")[:, None] + keras.ops.arange(self.n_frames, dtype="int32")[None]
        return keras.ops.cast(keras.ops.take(self.frames, rows, axis=0), "float32")

    def compute_output_spec(self, starts):
        return keras.KerasTensor((starts.shape[0], self.n_frames, self.n_mels), dtype="float32")


def concatenated(clips: ClipSet) -> tuple[np.ndarray, np.ndarray]:
    """All frames of a clip set's songs in one array, for `Crop`.

    Parameters
    ----------
    clips : ClipSet
        Its songs are read whole; one shorter than a clip is padded as in `ClipSet.read`.

    Returns
    -------
    frames : numpy.ndarray, shape (total_frames, n_mels), float16
    offsets : numpy.ndarray of int64, shape (n_songs,)
        Where each song begins.

    Examples
    --------
    >>> frames, offsets = concatenated(
    ...     ClipSet.of(store, split.test, labels=[0, 1, 2], n_frames=32)
    ... )
    >>> frames.shape, offsets
    ((470, 128), array([  0, 172, 344]))
    """
    sizes = np.maximum(clips.lengths, clips.n_frames)
    offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    frames = np.empty((int(sizes.sum()), clips.store.settings.n_mels), np.float16)
    for track_id, offset, size, length in zip(clips.track_ids, offsets, sizes, clips.lengths, strict=True):
        values = clips.store[track_id]
        frames[offset : offset + length] = values
        frames[offset + length : offset + size] = values.min()
    return frames, offsets


class Batches(keras.utils.PyDataset):
    """Batches of a clip set for Keras: in order, or one epoch's shuffle.

    Parameters
    ----------
    clips : ClipSet
        What to serve.
    batch_size : int
        Clips per batch; the last may be smaller.
    seed : int or sequence of int, optional
        Shuffles the clips; without it they come in order.
    random_crop : bool, default=False
        Move each clip to a random place of its song; needs `seed`.
    offsets : numpy.ndarray, optional
        Serve start frames in the array of `concatenated` instead of the clips themselves, for `Crop`.

    Examples
    --------
    >>> batches = Batches(
    ...     ClipSet.of(store, split.test, labels=[0, 1, 2], n_frames=32),
    ...     batch_size=8,
    ...     seed=0,
    ... )
    >>> [(x.shape, y.shape) for x, y in (batches[0], batches[1])]
    [((8, 32, 128), (8,)), ((5, 32, 128), (5,))]
    """

    def __init__(self, clips: ClipSet, batch_size: int, seed=None, random_crop=False, offsets=None):
        # With one worker Keras leaves reading ahead to tf.data, whose tuner sleeps for 10 ms, then 20, 40 and so on; at
        # the end of each epoch TensorFlow 2.21 waits until it wakes: up to as long again as the epoch took.
        super().__init__(workers=2, max_queue_size=2)
        self.clips, self.batch_size, self.offsets = clips, batch_size, offsets
        self.order, self.starts = np.arange(len(clips)), clips.start
        if random_crop and seed is None:
            raise ParameterError("random_crop without a seed: expected a number, e.g. seed=0")
        if seed is not None:
            rng = np.random.default_rng(seed)
            self.order = rng.permutation(len(clips))
            if random_crop:
                room = np.maximum(clips.lengths[clips.song] - clips.n_frames, 0)
                self.starts = rng.integers(0, room, endpoint=True)

    def __len__(self):
        return -(-len(self.clips) // self.batch_size)

    def __getitem__(self, index):
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        labels = self.clips.clip_labels[chosen]
        if self.offsets is not None:
            return self.offsets[self.clips.song[chosen]] + self.starts[chosen], labels
        return self.clips.read(chosen, self.starts[chosen]), labels


def _read_into(path: Path, offset: int, rows: np.ndarray) -> None:
    """Fill `rows` from a file, which is open only meanwhile: artist20 has more songs than a process may have files."""
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        if file.readinto(memoryview(rows).cast("B")) != rows.nbytes:
            raise DataError(f"{path}: shorter than when it was opened; run features.extract again")
