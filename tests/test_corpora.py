"""`corpora.load`: one door to every source, and an error that says what was expected."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from crnnlib import corpora
from crnnlib.corpora import demo
from crnnlib.errors import CRNNError, DataError, ParameterError


@pytest.fixture
def made(monkeypatch):
    """What was asked of the demo, instead of its synthesis."""
    asked = []
    monkeypatch.setattr(demo, "make", lambda **settings: asked.append(settings))
    return asked


@pytest.mark.parametrize(
    ("source", "settings"),
    [
        ("demo", {}),
        ("demo-seed1", {"seed": 1}),
        ("demo-producer_effect0", {"producer_effect": 0.0}),
        ("demo-seed2-producer_effect0.5", {"seed": 2, "producer_effect": 0.5}),
    ],
)
def test_demo_is_made_with_the_settings_in_its_name(made, source, settings):
    corpora.load(source)
    assert made == [settings]


@pytest.mark.parametrize("source", ["demo-", "demo-loud", "demo-seed", "demo-seed1-loud", "demo-seed-1"])
def test_demo_with_unknown_settings_is_an_error(made, source):
    with pytest.raises(ParameterError, match=r"demo-seed1-producer_effect0\.5"):
        corpora.load(source)
    assert not made


def test_environment_picks_the_corpus_and_demo_is_the_default(made, music_tree, monkeypatch):
    monkeypatch.delenv("CRNNLIB_CORPUS", raising=False)
    corpora.load()
    monkeypatch.setenv("CRNNLIB_CORPUS", "")
    corpora.load()
    assert made == [{}, {}]
    monkeypatch.setenv("CRNNLIB_CORPUS", str(music_tree))
    assert len(corpora.load()) == 24


def test_path_may_be_relative_or_start_at_home(music_tree, monkeypatch):
    expected = corpora.load(music_tree)
    monkeypatch.chdir(music_tree.parent)
    assert corpora.load(music_tree.name).equals(expected)
    monkeypatch.setenv("HOME", str(music_tree.parent))
    tracks = corpora.load(f"~/{music_tree.name}")
    assert tracks.equals(expected)
    assert tracks.attrs["corpus"] == expected.attrs["corpus"]


def test_flat_folder_goes_by_tags(music_tree):
    with pytest.raises(DataError, match="no artist in its tags"):
        corpora.load(music_tree / "Ada" / "First")


@pytest.mark.parametrize("source", [3, "", " ", ["demo"], b"demo"])
def test_source_of_another_kind_is_an_error(source):
    with pytest.raises(ParameterError, match="expected one of demo, opengame20"):
        corpora.load(source)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("opengame", None, "did you mean opengame20"),
        ("nowhere/at/all", None, "no such file or folder; expected one of demo"),
        ("~nobody-of-that-name/music", None, "no such file or folder"),
        ("nul\0byte", None, "no such file or folder"),
        ("song.mp3", b"x", "give a folder around it"),
        ("notes.txt", b"x", "expected a folder of music"),
        ("empty.csv", b"", "no column artist, album, title, path in its first row"),
        ("bytes.csv", b"\xff\xfe\x00artist", "expected a CSV file in UTF-8"),
        ("other.csv", b"a,b\n1,2\n", "no column artist, album, title, path in its first row, but a; b"),
        ("quote.csv", b'artist,album,title,path\n"A,x,t,p\n', "expected a CSV file in UTF-8"),
        (
            "long.csv",
            b"artist,album,title,path\na,b,c,d,e,f\na,b,c,d\n",
            "no tracks to use; line 2, d: more fields than columns",
        ),
        ("header.csv", b"artist,album,title,path\n", "no tracks to use"),
        ("fma.csv", b",album,artist,set,track\n1,2,3,4,5\n", "expected tracks.csv of fma_metadata"),
        ("empty.tsv", b"", "expected MTG-Jamendo's header"),
        ("other.tsv", b"a\tb\n", "expected MTG-Jamendo's header"),
        ("bytes.tsv", b"\xff\xfe\x00\n", "expected a TSV of MTG-Jamendo"),
    ],
)
def test_bad_source_is_one_line_that_says_what_to_do(tmp_path, monkeypatch, name, content, match):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path(name).write_bytes(content)
    with pytest.raises(CRNNError, match=match) as told:
        corpora.load(name)
    assert len(str(told.value).splitlines()) == 1


def test_loading_needs_no_network_and_no_heavy_module(music_tree):
    code = (
        "import sys, socket\n"
        "socket.socket.connect = socket.create_connection = None\n"
        f"from crnnlib import corpora; corpora.load({str(music_tree)!r})\n"
        "print([m for m in ('tensorflow', 'keras', 'librosa', 'joblib', 'mutagen') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert ran.stdout.strip() == "[]", ran.stderr
