"""Files: whole or absent, and no leftovers."""

import concurrent.futures
import os
import subprocess
import sys

import platformdirs
import pytest

from crnnlib import files


def leftovers(folder):
    return sorted(path.name for path in folder.rglob(".tmp-*"))


def test_home_is_the_chosen_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("CRNNLIB_HOME", str(tmp_path))
    assert files.home() == tmp_path


@pytest.mark.parametrize(("chosen", "home"), [("~/music", "HOME/music"), ("relative", "CWD/relative")])
def test_home_is_absolute(monkeypatch, tmp_path, chosen, home):
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRNNLIB_HOME", chosen)
    assert str(files.home()) == home.replace("HOME", str(tmp_path / "me")).replace("CWD", str(tmp_path))


@pytest.mark.parametrize("chosen", [None, ""])
def test_home_is_the_cache_of_the_platform_by_default(monkeypatch, chosen):
    monkeypatch.delenv("CRNNLIB_HOME") if chosen is None else monkeypatch.setenv("CRNNLIB_HOME", chosen)
    assert files.home() == platformdirs.user_cache_path("crnnlib")


def test_atomic_makes_the_folder_and_leaves_one_file(tmp_path):
    target = tmp_path / "deep" / "scores.json"
    with files.atomic(target) as temporary:
        assert temporary.suffix == ".json"
        assert temporary.parent == target.parent
        temporary.write_text("{}")
        assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["scores.json"]


def test_atomic_keeps_the_old_file_when_the_writer_fails(tmp_path):
    target = tmp_path / "scores.json"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), files.atomic(target) as temporary:
        temporary.write_text(f"ne{1 / 0}")
    assert target.read_text() == "old"
    assert leftovers(tmp_path) == []


def test_threads_may_write_one_file_at_once(tmp_path):
    def write(number):
        for _ in range(100):
            with files.atomic(tmp_path / "scores.json") as temporary:
                temporary.write_text(str(number))

    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(write, range(4)))
    assert (tmp_path / "scores.json").read_text() in "0123"
    assert leftovers(tmp_path) == []


def test_atomic_takes_the_longest_names(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_HOST", "h" * 63)
    target = tmp_path / ("é" * 125 + ".npy")
    with files.atomic(target) as temporary:
        temporary.write_text("whole")
    assert target.read_text() == "whole"


def test_sweep_removes_what_the_killed_left_and_spares_the_living(tmp_path):
    code = (
        "import os, signal, sys; from crnnlib import files\n"
        "with files.atomic(sys.argv[1]) as t:\n    t.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a" / "killed.npy")])
    foreign = tmp_path / f".tmp-elsewhere-{os.getpid()}-x.npy"
    foreign.write_text("of another host")
    assert len(leftovers(tmp_path)) == 2
    with files.atomic(tmp_path / "alive.npy") as temporary:
        temporary.write_text("half")
        assert files.sweep(tmp_path) == 1
        assert temporary.exists()
    assert leftovers(tmp_path) == [foreign.name]
    assert not (tmp_path / "a" / "killed.npy").exists()


def test_sweep_spares_the_living_of_other_users(tmp_path, monkeypatch):
    with files.atomic(tmp_path / "x.npy") as temporary:
        temporary.write_text("half")

        def refuse(pid, signal):
            raise PermissionError

        monkeypatch.setattr(os, "kill", refuse)
        assert files.sweep(tmp_path) == 0


def test_a_file_whose_name_is_not_text_is_written(tmp_path):
    target = tmp_path / os.fsdecode(b"caf\xe9.html")
    with files.atomic(target) as temporary:
        temporary.write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
