"""The study runner: a grid is run once, survives being killed, and is summed up rightly."""

import dataclasses
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from crnnlib import corpora, evaluation, features, files, records, study, training
from crnnlib.errors import DataError, ParameterError

QUICK = dataclasses.replace(training.PAPER, name="quick", max_epochs=1, width=0.25)
GRID = study.Grid(clip_lengths=(1.0,), kinds=("album",), trials=1, folds=2, recipes=(QUICK,))


@pytest.fixture(scope="module")
def folder(store, tracks, tmp_path_factory):
    """Folder of the records of `GRID`, run once."""
    folder = tmp_path_factory.mktemp("results")
    study.run(GRID, tracks, store, folder=folder, progress=False)
    return folder


def test_grid_has_every_combination_once(tracks):
    grid = study.Grid((1.0, 3.0), trials=2, recipes=(QUICK, training.PAPER))
    cells = [(clip_s, split.name, recipe.name, seed) for clip_s, split, recipe, seed in grid.cells(tracks)]
    assert len(cells) == len(set(cells)) == 2 * 2 * 2 * 2


def test_folds_test_every_song_once(tracks):
    for kinds in (("song",), ("album",)):
        grid = study.Grid((1.0,), kinds, trials=1, folds=2)
        tested = [track_id for _, split, _, _ in grid.cells(tracks) for track_id in split.test]
        assert sorted(tested) == sorted(tracks.index)


def test_matched_splits_learn_from_as_many_songs_of_each_artist(tracks):
    grid = study.Grid((1.0,), trials=2, matched=True)
    cells = [(split, seed) for _, split, _, seed in grid.cells(tracks)]
    assert [split.name for split, _ in cells] == ["song-matched", "album-matched"] * 2
    for (song, _), (album, _) in zip(cells[::2], cells[1::2], strict=True):
        counts = [tracks.loc[list(split.check(tracks).train), "artist"].value_counts() for split in (song, album)]
        assert counts[0].sort_index().equals(counts[1].sort_index())


@pytest.mark.parametrize(
    "options",
    [
        {"kinds": ("artist",)},
        {"kinds": ()},
        {"clip_lengths": ()},
        {"clip_lengths": (3.0, 0.0)},
        {"clip_lengths": (float("nan"),)},
        {"recipes": ()},
        {"trials": 0},
        {"folds": 1},
        {"folds": 2, "matched": True},
    ],
)
def test_impossible_grids_are_refused(options):
    with pytest.raises(ParameterError, match="expected"):
        study.Grid(**options)


def test_album_splits_keep_artists_with_several_albums(tracks):
    some = tracks.drop(tracks[(tracks.artist == "Ada") & (tracks.album == "First")].index)
    assert set(study.several_albums(some).artist) == {"Bo Diddley", "Çelik"}
    with pytest.raises(DataError, match="song split"):
        study.several_albums(tracks[tracks.album == "First"])
    both = [album.index[0] for _, album in tracks[tracks.artist == "Ada"].groupby("album")]
    assert set(study.several_albums(tracks, same=[both]).artist) == {"Bo Diddley", "Çelik"}  # one recording on both


def test_album_splits_leave_out_whose_albums_hold_a_single_recording_each(tracks):
    same = [list(album.index) for _, album in tracks[tracks.artist == "Ada"].groupby("album")]
    wide = study.several_albums(tracks, same=same)
    assert set(wide.artist) == {"Bo Diddley", "Çelik"}
    assert study.several_albums(tracks, same=same[:1], folds=2).equals(wide)


def test_album_folds_leave_out_who_cannot_be_tested_in_them(tracks):
    few = tracks[(tracks.artist != "Ada") | (tracks.album == "First") | (tracks.title == tracks.title.iloc[0])]
    assert few[few.artist == "Ada"].groupby("album").size().tolist() == [4, 1]
    grid = dataclasses.replace(GRID, folds=2)
    assert {i.split("/")[0] for _, split, _, _ in grid.cells(few) for i in split.test} == {"Bo Diddley", "Çelik"}
    with pytest.raises(DataError, match="fewer folds"):
        list(dataclasses.replace(GRID, folds=3).cells(few))


def test_a_study_that_ends_leaves_what_others_write_and_nothing_of_the_killed(store, tracks, tmp_path, monkeypatch):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    killed, alive = (f".tmp-{files._HOST}-{pid}-half.npz" for pid in (ended.pid, os.getpid()))
    ours, folders = study.train, [files.home() / "models" / store.corpus]

    def beside(*arguments):
        trial = ours(*arguments)
        folders.append(files.home() / "checkpoints" / trial.record["id"])
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / killed).touch()
            (folder / alive).touch()
        return trial

    monkeypatch.setattr(study, "train", beside)
    quick = training.Recipe("beside", variant="rnn", max_epochs=1)
    study.run(study.Grid((1.0,), ("song",), 1, recipes=[quick]), tracks, store, folder=tmp_path, progress=False)
    models, checkpoint = ({path.name for path in folder.iterdir()} for folder in folders)
    assert checkpoint == {alive}
    assert alive in models
    assert killed not in models
    for folder in folders:
        (folder / alive).unlink()


def test_songs_that_could_not_be_read_are_left_out(store, tracks, tmp_path):
    gone, *left = store.track_ids
    quick = training.Recipe("quick", variant="rnn", max_epochs=1)
    grid = study.Grid((1.0,), ["song"], 1, 2, [quick])
    trials = study.run(grid, tracks, dataclasses.replace(store, track_ids=tuple(left)), folder=tmp_path, progress=False)
    assert sorted(song for trial in trials for song in trial.record["split"]["test"]) == left
    assert gone in tracks.index


def test_recorded_trials_are_not_run_again(folder, store, tracks, monkeypatch):
    monkeypatch.setattr(study, "train", lambda *_: pytest.fail("trained again"))
    trials = study.run(GRID, tracks, store, folder=folder, progress=False)
    assert [trial.record["split"]["name"] for trial in trials] == [cell[1].name for cell in GRID.cells(tracks)]


def test_what_was_computed_under_another_name_is_recorded_under_the_new_one(store, tracks, tmp_path, monkeypatch):
    grid = study.Grid((1.0,), ("album",), trials=1, recipes=(QUICK,))
    (plain,) = study.run(grid, tracks, store, folder=tmp_path, progress=False)
    monkeypatch.setattr(study, "train", lambda *_: pytest.fail("trained again"))
    (matched,) = study.run(dataclasses.replace(grid, matched=True), tracks, store, folder=tmp_path, progress=False)
    assert (plain.record["split"]["name"], matched.record["split"]["name"]) == ("album", "album-matched")
    assert plain.record["scores"] == matched.record["scores"]
    renamed = dataclasses.replace(QUICK, name="renamed")
    (again,) = study.run(dataclasses.replace(grid, recipes=(renamed,)), tracks, store, folder=tmp_path, progress=False)
    assert again.record["recipe"]["name"] == "renamed"
    assert len(list(tmp_path.glob("*.npz"))) == 3


def test_what_is_asked_for_twice_is_one_trial(store, tracks, folder):
    grid = dataclasses.replace(GRID, clip_lengths=(1.0, 1.0), kinds=("album", "album"))
    assert len(study.run(grid, tracks, store, folder=folder, progress=False)) == 2


def test_what_another_study_has_recorded_meanwhile_is_not_trained_again(folder, store, tracks, tmp_path, monkeypatch):
    def train(*arguments):
        trained.append(arguments)
        shutil.copytree(folder, tmp_path, dirs_exist_ok=True)  # the other study, which is faster
        return training.train(*arguments)

    trained = []
    monkeypatch.setattr(study, "train", train)
    assert len(study.run(GRID, tracks, store, folder=tmp_path, progress=False)) == 2
    assert len(trained) == 1


def test_a_network_on_record_is_not_trained_again_for_statistics(folder, store, tracks, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.delattr(study, "train")
    grid = dataclasses.replace(GRID, recipes=(dataclasses.replace(QUICK, name="quick-joint", statistics=True),))
    trials = study.run(grid, tracks, store, folder=tmp_path, progress=False)
    assert [trial.record["recipe"]["name"] for trial in trials] == ["quick-joint"] * 2
    assert all(trial.statistics.n == trial.songs.n for trial in trials)
    assert {trial.record["network"]["id"] for trial in trials} == {one.record["id"] for one in records.load(folder)}
    other = dataclasses.replace(grid.recipes[0], vote="soft")
    with pytest.raises(NameError, match="train"):
        study.run(dataclasses.replace(grid, recipes=(other,)), tracks, store, folder=tmp_path, progress=False)


def test_a_network_is_saved_without_its_optimizer(home, store, tracks, tmp_path):
    quick = training.Recipe("quick", variant="rnn", max_epochs=1)
    study.run(study.Grid((1.0,), ["song"], 1, recipes=[quick]), tracks, store, folder=tmp_path, progress=False)
    (path,) = home.rglob("*.keras")
    assert not keras.saving.load_model(path).compiled


def test_a_record_reads_back_as_it_was_written(folder, tmp_path):
    trial = records.load(folder)[0]
    records.save(trial, tmp_path, "again")
    again = records.load(tmp_path)[0]
    assert again.record == trial.record
    np.testing.assert_array_equal(again.test_clips.probabilities, trial.test_clips.probabilities)
    np.testing.assert_array_equal(again.test_clips.track_id, trial.test_clips.track_id)
    np.testing.assert_array_equal(again.bottleneck, trial.bottleneck)
    assert evaluation.scores(again.test_clips)["n"] == trial.record["scores"]["clip"]["n"]


def test_a_damaged_record_is_an_error_not_a_guess(folder, tmp_path):
    trial = records.load(folder)[0]
    records.save(trial, tmp_path, "one")
    described = (tmp_path / "one.json").read_text()
    for damaged in ("[]", described.replace('"seed"', '"sown"'), described.replace('"batch_size"', '"of tomorrow"')):
        (tmp_path / "one.json").write_text(damaged)
        with pytest.raises(DataError, match="delete it and run the study again"):
            records.load(tmp_path)
    (tmp_path / "one.json").write_text(described)
    whole = (tmp_path / "one.npz").read_bytes()
    for damaged in (b"", b"PK not an archive", whole[:-100], whole[:200] + b"x" * 200 + whole[400:]):
        (tmp_path / "one.npz").write_bytes(damaged)
        with pytest.raises(DataError, match="delete it and run the study again"):
            records.load(tmp_path)


def test_a_record_that_is_being_written_is_not_read_or_published(folder, tmp_path, home):
    records.save(records.load(folder)[0], home / "results" / "toy", "one")
    (home / "results" / "toy" / ".tmp-host-1-x-two.json").write_text("{")
    assert len(records.results("toy", tmp_path)) == records.publish("toy", tmp_path) == 1
    records.save(records.load(folder)[0], home / "results" / "toy", "two").with_suffix(".npz").write_bytes(b"PK")
    with pytest.raises(DataError, match="two"):
        records.publish("toy", tmp_path)
    assert len(records.load(tmp_path / "toy")) == 1


def test_publish_copies_what_is_new_and_results_count_it_once(folder, tmp_path, home):
    trials = records.load(folder)
    for number, trial in enumerate(trials):
        records.save(trial, home / "results" / "toy", f"t{number}")
    assert records.publish("toy", tmp_path / "book") == len(trials)
    assert records.publish("toy", tmp_path / "book") == 0
    assert len(records.results("toy", tmp_path / "book")) == len(trials)
    trials[0].record["split"]["name"] = "album-matched"  # the same songs under another name are not lost
    records.save(trials[0], home / "results" / "toy", "matched")
    assert len(records.results("toy", tmp_path / "book")) == len(trials) + 1


def _study(home, music):
    os.environ["CRNNLIB_HOME"] = str(home)
    tracks = corpora.load(music)
    recipe = training.Recipe("quick", variant="rnn", max_epochs=16, patience=16)  # the state of any variant is one list
    grid = study.Grid((1.0,), ("song",), trials=1, recipes=(recipe,))
    study.run(grid, tracks, features.extract(tracks, n_jobs=1, progress=False), progress=False)


@pytest.mark.slow
def test_killed_at_random_moments_a_study_ends_as_an_undisturbed_one(music_tree, tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["crnnlib.study"])  # TensorFlow is imported once, and starts in each child anew

    def start(home):
        process = context.Process(target=_study, args=(home, music_tree))
        process.start()
        return process

    def finish(home):
        process = start(home)
        process.join(600)
        assert process.exitcode == 0
        (path,) = home.glob("results/*/*.json")
        record = json.loads(path.read_text())
        return [{**epoch, "seconds": 0} for epoch in record["history"]], record["scores"]

    calm, rough = tmp_path / "calm", tmp_path / "rough"
    undisturbed = finish(calm)
    moments, kills = random.Random(0), 0

    def states():
        return sorted(one.stat().st_mtime_ns for one in (rough / "checkpoints").rglob("state.npz"))

    for _ in range(10):
        before, process = states(), start(rough)
        while process.is_alive() and states() == before:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.3))
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
    assert finish(rough) == undisturbed
    assert kills >= 5
    assert not list(rough.rglob(".tmp-*"))


@pytest.mark.slow
def test_dask_workers_record_every_trial_once_though_one_is_killed(store, tracks, tmp_path):
    distributed = pytest.importorskip("distributed")
    grid = dataclasses.replace(GRID, trials=2)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        client = distributed.Client(cluster)
        victim = next(iter(client.run(os.getpid).values()))
        client.submit(_kill_later, victim, workers=[list(client.run(os.getpid))[1]], pure=False)
        trials = study.run(grid, tracks, store, folder=tmp_path, progress=False, scheduler=cluster.scheduler_address)
        client.close()
    assert len(trials) == len(list(tmp_path.glob("*.json"))) == 4
    assert len({trial.record["id"] for trial in trials}) == 4


@pytest.mark.slow
def test_dask_workers_with_several_threads_are_refused(store, tracks, tmp_path):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        pytest.raises(ParameterError, match="--nthreads 1"),
    ):
        study.run(GRID, tracks, store, folder=tmp_path, progress=False, scheduler=cluster.scheduler_address)


def _kill_later(pid):
    time.sleep(8)
    os.kill(pid, signal.SIGKILL)
