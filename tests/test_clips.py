"""Slicing, reading and batching, against the authors' slicer and by what must hold for every length."""

import dataclasses
import resource
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from crnnlib.clips import Batches, ClipSet, Crop, concatenated, slice_starts
from crnnlib.errors import DataError, ParameterError


@pytest.fixture(scope="module")
def clips(store):
    return ClipSet.of(store, store.track_ids, np.arange(len(store.track_ids)) % 3, 32)


def test_legacy_slices_count_as_the_authors_did(fixtures):
    rows = np.load(fixtures / "authors_votes.npz", allow_pickle=False)["slice_counts"]
    assert len(rows) > 3
    for song, clip, made in rows:
        assert len(slice_starts(song, clip, legacy=True)) == made


@given(st.integers(1, 5000), st.integers(1, 1000))
def test_fixed_clips_are_whole_and_do_not_overlap(song, clip):
    starts = slice_starts(song, clip)
    assert len(starts) == max(song // clip, 1)
    np.testing.assert_array_equal(starts, np.arange(len(starts)) * clip)
    assert len(starts) == 1 or starts[-1] + clip <= song


@pytest.mark.parametrize(("song", "clip"), [(0, 94), (94, 0), (-1, 94)])
def test_lengths_must_be_positive(song, clip):
    with pytest.raises(ParameterError, match="positive"):
        slice_starts(song, clip)


def test_a_clip_is_its_part_of_the_song(store, clips):
    number = len(clips) // 2
    song, start = clips.track_ids[clips.song[number]], clips.start[number]
    np.testing.assert_array_equal(clips.read([number])[0], store[song][start : start + 32].astype("float32"))


def test_a_short_song_is_padded_with_its_floor(store):
    long = ClipSet.of(store, store.track_ids[:1], [0], 911)
    clip, song = long.read([0])[0], store[store.track_ids[0]]
    np.testing.assert_array_equal(clip[: len(song)], song.astype("float32"))
    assert (clip[len(song) :] == song.min()).all()


def test_legacy_drops_short_songs_and_says_when_nothing_is_left(store):
    with pytest.raises(DataError, match="shorter clip_s"):
        ClipSet.of(store, store.track_ids, np.zeros(len(store.track_ids)), 911, legacy=True)


def test_batches_serve_every_clip_once_with_its_label(clips):
    batches = Batches(clips, 7, seed=3)
    served = np.concatenate([batches[number][1] for number in range(len(batches))])
    assert len(served) == len(clips)
    np.testing.assert_array_equal(np.bincount(served), np.bincount(clips.clip_labels))
    assert not np.array_equal(served, clips.clip_labels)
    assert batches[len(batches) - 1][0].shape[0] == (len(clips) - 1) % 7 + 1


def test_keras_gets_batches_in_order_and_leaves_no_reading_ahead_to_tf_data(clips, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("tf.data would tune this, and the end of the epoch wait for its tuner")

    monkeypatch.setattr(tf.data.Dataset, "prefetch", refuse)
    values = keras.Input((clips.n_frames, 128))
    network = keras.Model(values, keras.ops.mean(values, axis=(1, 2)))
    found = network.predict(Batches(clips, 7), verbose=0)
    np.testing.assert_allclose(found, clips.read(np.arange(len(clips))).mean((1, 2)), rtol=1e-4)


def test_order_depends_on_the_seed_alone(clips):
    same, again, other = (Batches(clips, 8, seed=(0, epoch)).order for epoch in (1, 1, 2))
    np.testing.assert_array_equal(same, again)
    assert not np.array_equal(same, other)
    np.testing.assert_array_equal(Batches(clips, 8).order, np.arange(len(clips)))


def test_random_crops_stay_inside_their_song_and_move(clips):
    batches = Batches(clips, 8, seed=0, random_crop=True)
    assert (batches.starts + 32 <= clips.lengths[clips.song]).all()
    assert (batches.starts >= 0).all()
    assert (batches.starts != clips.start).mean() > 0.8


def test_random_crops_reach_both_ends_of_what_is_there(clips):
    for length, expected in ((31, {0}), (32, {0}), (33, {0, 1})):
        songs = dataclasses.replace(clips, lengths=np.full_like(clips.lengths, length))
        assert set(Batches(songs, 8, seed=0, random_crop=True).starts) == expected


def test_random_crops_are_read_where_they_lie(store, clips):
    batches = Batches(clips, 8, seed=0, random_crop=True)
    values, labels = batches[1]
    assert values.dtype == np.float32
    for value, label, number in zip(values, labels, batches.order[8:16], strict=True):
        song, start = clips.song[number], batches.starts[number]
        np.testing.assert_array_equal(value, store[clips.track_ids[song]][start : start + 32].astype("float32"))
        assert label == song % 3


def test_a_clip_that_begins_near_the_end_is_padded(store, clips):
    song = store[clips.track_ids[0]].astype("float32")
    clip = clips.read([0], [len(song) - 5])[0]
    np.testing.assert_array_equal(clip[:5], song[-5:])
    assert (clip[5:] == song[-5:].min()).all()


@pytest.mark.parametrize("n_frames", [32, 160])
def test_resident_clips_equal_those_read_from_disk(store, n_frames):
    clips = ClipSet.of(store, store.track_ids, np.arange(len(store.track_ids)) % 3, n_frames)
    assert n_frames == 32 or clips.lengths.min() < n_frames < clips.lengths.max()
    frames, offsets = concatenated(clips)
    crop = Crop(frames, clips.n_frames)
    starts, labels = Batches(clips, 16, seed=1, random_crop=True, offsets=offsets)[0]
    values, expected_labels = Batches(clips, 16, seed=1, random_crop=True)[0]
    np.testing.assert_array_equal(crop(starts), values)
    np.testing.assert_array_equal(labels, expected_labels)


def test_more_songs_than_open_files_are_allowed(clips):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 4, hard))
    try:
        assert np.isfinite(clips.read(np.arange(len(clips)))).all()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_file_cut_short_is_an_error(store, tmp_path):
    shutil.copytree(store.folder, tmp_path / "copy")
    copied = dataclasses.replace(store, folder=tmp_path / "copy")
    broken = ClipSet.of(copied, store.track_ids[:1], [0], 32)
    broken.read([0])
    path = broken._files[0][0]
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="extract again"):
        broken.read([len(broken) - 1])
