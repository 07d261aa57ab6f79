"""The store: whole files or none, whatever happens; opened on use; made anew when the music changes."""

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

from crnnlib import features
from crnnlib.errors import DataError, ParameterError
from crnnlib.features import LogMel


def extract(tracks, **options):
    """Extract in this process, without a bar."""
    return features.extract(tracks, **{"n_jobs": 1, "progress": False, **options})


def contents(folder):
    """Bytes of every file below a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def often(tracks, times):
    """Track table with each file several times under new names."""
    many = pd.concat([tracks.assign(title=f"{n:03d} " + tracks["title"]) for n in range(times)])
    many.index = pd.Index(many["artist"] + "/" + many["album"] + "/" + many["title"], name="track_id")
    many = many.sort_index()
    many.attrs["corpus"] = "often"
    return many


def copied(tracks, folder):
    """Track table whose files are copies that a test may change."""
    paths = [shutil.copy(path, folder / f"{n}.wav") for n, path in enumerate(tracks["path"])]
    return tracks.assign(path=[str(path) for path in paths])


# What a store holds


def test_a_stored_track_is_the_log_mel_of_its_file(tracks, home):
    store = extract(tracks)
    assert store.folder == home / "features" / f"{tracks.attrs['corpus']}-{LogMel().digest}"
    assert store.track_ids == tuple(tracks.index)
    for track_id in tracks.index[:3]:
        stored = store[track_id]
        expected = features.log_mel(features.load_audio(tracks.loc[track_id, "path"]))
        assert isinstance(stored, np.memmap)
        assert (stored.dtype, stored.flags.writeable, stored.flags.c_contiguous) == (np.float16, False, True)
        assert store.n_frames(track_id) == len(stored) == len(expected)
        np.testing.assert_array_equal(stored, expected.astype(np.float16))


def test_settings_have_stores_of_their_own(tracks, home):
    short = extract(tracks, settings=LogMel(max_s=2.0))
    assert short.folder != extract(tracks).folder
    assert {short.n_frames(i) for i in short.track_ids} == {1 + 32000 // 512}


def test_file_names_are_readable_short_and_distinct(tracks, home):
    odd = tracks.iloc[:4].copy()
    odd.index = ["a/b/" + "音" * 200, "a/b/x y", "a/b/x_y", "a/b/x?y"]
    odd = odd.sort_index()
    odd.attrs["corpus"] = "odd"
    store = extract(odd)
    found = [path.name for path in store.folder.glob("*.npy")]
    assert len(found) == 4
    assert max(len(os.fsencode(name)) for name in found) < 200
    assert sum(name.startswith("a_b_x_y-") for name in found) == 3


def test_a_store_holds_no_descriptor_so_that_1413_tracks_fit_under_the_usual_limit(tracks, home):
    store = extract(tracks)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = sum(1 for _ in Path("/proc/self/fd").iterdir())
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 20, limits[1]))
        opened = [store[track_id][0, 0] for track_id in store.track_ids * 60]
        assert len(opened) >= 1413
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_an_unknown_or_damaged_track_is_told(tracks, home):
    store = extract(tracks)
    with pytest.raises(DataError, match=r"nobody/x/y: not in the store .*; run features.extract"):
        store["nobody/x/y"]
    for path, broken in zip(store.folder.glob("*.npy"), (b"", b"\x93NUMPY", b"\x80\x04pickle"), strict=False):
        path.write_bytes(broken)
    told = 0
    for track_id in store.track_ids:
        try:
            store[track_id]
        except DataError as error:
            told += "damaged" in str(error)
    assert told == 3


# Content


def test_digest_is_of_the_content_and_kept_in_the_index(tracks, home):
    store = extract(tracks)
    first = tracks.index[0]
    expected = hashlib.sha256(np.asarray(store[first]).tobytes()).hexdigest()
    assert store.digests([first]) == [expected]
    index = json.loads((store.folder / "index.json").read_text())
    assert [digest for *_, digest in index.values()] == [expected]
    (store.folder / "index.json").write_text("{ broken")
    assert store.digests([first]) == [expected]


def test_digest_follows_a_change(tracks, home, tmp_path):
    changed = copied(tracks.iloc[:2], tmp_path)
    store = extract(changed)
    before = store.digests([changed.index[0]])
    shutil.copy(changed["path"].iloc[1], changed["path"].iloc[0])
    later = time.time() + 60
    os.utime(changed["path"].iloc[0], (later, later))
    assert store.digests([changed.index[0]]) == before
    store = extract(changed)
    assert store.digests([changed.index[0]]) == store.digests([changed.index[1]]) != before


def test_duplicates_are_found_under_any_name(tracks, home):
    assert extract(tracks).duplicates() == []
    twice = often(tracks, 2)
    twice.loc[twice.index[-1], "path"] = twice["path"].iloc[0]
    groups = extract(twice).duplicates()
    by_path = twice.groupby("path").groups
    assert sorted(groups) == sorted(sorted(ids) for ids in by_path.values() if len(ids) > 1)


# Doing it again


def test_only_what_is_missing_or_changed_is_extracted_again(tracks, home, tmp_path):
    copies = copied(tracks, tmp_path)
    store = extract(copies)
    inodes = {path.name: path.stat().st_ino for path in store.folder.iterdir()}
    assert {path.name: path.stat().st_ino for path in extract(copies).folder.iterdir()} == inodes
    before = contents(store.folder)
    later = time.time() + 60
    os.utime(copies["path"].iloc[0], (later, later))
    next(store.folder.glob("*.npy")).unlink()
    assert contents(extract(copies).folder) == before
    again = {path.name: path.stat().st_ino for path in store.folder.iterdir()}
    assert 1 <= sum(again[name] != inodes[name] for name in inodes) <= 2


@pytest.mark.parametrize("when", [0, 315532800, 1.5e9, 1.5e9 + 0.123456789, 4e9])
def test_a_file_of_any_age_is_extracted_once_and_again_when_another_takes_its_place(tracks, home, tmp_path, when):
    copies = copied(tracks.iloc[:1], tmp_path)
    os.utime(copies["path"].iloc[0], (when, when))
    store = extract(copies)
    (stored,) = store.folder.glob("*.npy")
    before = stored.stat().st_ino
    assert extract(copies).digests(copies.index)
    assert stored.stat().st_ino == before
    shutil.copy(tracks["path"].iloc[1], copies["path"].iloc[0])
    os.utime(copies["path"].iloc[0], (1e9, 1e9))  # older than most
    assert extract(copies).n_frames(copies.index[0]) != len(
        features.log_mel(features.load_audio(tracks["path"].iloc[0]))
    )


def test_a_file_that_went_bad_leaves_the_store_and_one_that_is_gone_stays(tracks, home, tmp_path):
    copies = copied(tracks.iloc[:3], tmp_path)
    bad, gone, _ = copies.index
    extract(copies)
    Path(copies.loc[bad, "path"]).write_bytes(b"no more")
    later = time.time() + 60
    os.utime(copies.loc[bad, "path"], (later, later))
    Path(copies.loc[gone, "path"]).unlink()
    with pytest.warns(UserWarning, match=r"1 of 3 tracks cannot be used \(1 corrupt or no audio\)"):
        store = extract(copies)
    assert store.track_ids == tuple(copies.index[1:])
    with pytest.raises(DataError):
        store[bad]
    assert store.n_frames(gone)
    shutil.copy(tracks.loc[bad, "path"], copies.loc[bad, "path"])
    store = extract(copies)
    assert bad in store.track_ids
    assert not (store.folder / "failures.csv").exists()


def test_a_place_that_cannot_be_written_is_told(tracks, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CRNNLIB_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"file/features/.*: cannot be written .* another place in CRNNLIB_HOME"):
        extract(tracks)


def test_a_table_that_is_none_is_refused(tracks, home):
    with pytest.raises(ParameterError, match="expected a track table"):
        extract(tracks["path"])
    with pytest.raises(ParameterError, match="without path"):
        extract(tracks[["artist", "album", "title"]])


def test_progress_says_what_it_counts(tracks, home, capfd):
    extract(tracks, progress=True)
    assert "extract: 100%" in (shown := capfd.readouterr()).err
    assert "24/24" in shown.err
    assert "track/s" in shown.err
    assert shown.out == ""


# Processes, and their sudden end


def test_any_number_of_processes_makes_the_same_store(tracks, home, monkeypatch):
    alone = contents(extract(tracks).folder)
    monkeypatch.setenv("CRNNLIB_HOME", str(home / "two"))
    assert contents(extract(tracks, n_jobs=2).folder) == alone
    monkeypatch.setenv("CRNNLIB_HOME", str(home / "configured"))
    with joblib.parallel_config(backend="threading", n_jobs=3):
        assert contents(extract(tracks, n_jobs=None).folder) == alone


def test_workers_import_no_librosa_and_no_pandas():
    heavy = "librosa", "numba", "pandas", "sklearn", "keras", "tensorflow"
    code = f"import sys, crnnlib.features; print([name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_killed_worker_is_told_and_the_next_run_goes_on(tracks, home):
    many = often(tracks, 12)

    def kill_one(folder):
        while len(list(folder.glob("*.npy"))) < 20:
            time.sleep(0.002)
        os.kill(next(iter(joblib.externals.loky.reusable_executor._executor._processes)), 9)

    folder = home / "features" / f"often-{LogMel().digest}"
    killer = threading.Thread(target=kill_one, args=(folder,), daemon=True)
    killer.start()
    with pytest.raises(DataError, match=r"a worker was killed.* Run it again"):
        extract(many, n_jobs=2)
    killer.join()
    store = extract(many, n_jobs=2)
    assert len(store.track_ids) == 288
    assert {path.suffix for path in store.folder.iterdir()} == {".npy"}


# A process of its own, without the suite's threads, forks the runs that are killed.
KILLS = """
import os, random, shutil, sys, time
from pathlib import Path
import pandas as pd
from crnnlib import features, logmel

table, home, mode = sys.argv[1:]
tracks = pd.read_csv(table, index_col=0)
tracks.attrs["corpus"] = "killed"
logmel.filterbank()

def start(name):
    os.environ["CRNNLIB_HOME"] = str(Path(home) / name)
    pid = os.fork()
    if not pid:
        try:
            features.extract(tracks, n_jobs=1, progress=False)
        except BaseException:
            os._exit(1)
        os._exit(0)
    return pid

def folder(name):
    return Path(home) / name / "features" / f"killed-{logmel.LogMel().digest}"

def contents(name):
    return {str(p.relative_to(folder(name))): p.read_bytes() for p in folder(name).rglob("*") if p.is_file()}

assert os.waitpid(start("whole"), 0)[1] == 0
whole = contents("whole")
assert len(whole) == len(tracks)
if mode == "kill":
    cut, leftovers = 0, 0
    for n in range(20):
        rng = random.Random(n)
        name, wanted = f"killed-{n}", rng.randrange(len(tracks))
        pid = start(name)
        while not folder(name).exists() or len(list(folder(name).glob("[!.]*.npy"))) < wanted:
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, 0.008))
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        left = contents(name)
        leftovers += any(".tmp-" in path for path in left)
        cut += len(left) < len(whole)
        assert all(whole[path] == data for path, data in left.items() if ".tmp-" not in path), "a file was not whole"
        assert os.waitpid(start(name), 0)[1] == 0
        assert contents(name) == whole, "the store differs"
        shutil.rmtree(Path(home) / name)
    print(f"{cut} of 20 cut off, {leftovers} while writing")
else:
    for n in range(5):
        pids = [start(f"both-{n}"), start(f"both-{n}")]
        assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0]
        assert contents(f"both-{n}") == whole, "the store differs"
    print("5 pairs")
"""


@pytest.mark.parametrize(("mode", "shown"), [("kill", " of 20 cut off"), ("two at once", "5 pairs")])
def test_a_store_is_the_same_byte_for_byte_after(mode, shown, tracks, tmp_path):
    tracks.to_csv(tmp_path / "tracks.csv")
    command = [sys.executable, "-c", KILLS, str(tmp_path / "tracks.csv"), str(tmp_path), mode]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert shown in ran.stdout
    if mode == "kill":
        assert int(ran.stdout.split()[0]) >= 10
