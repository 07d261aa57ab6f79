"""What every test and every example of a docstring gets: a cache of its own, a quiet backend, and a little music.

The cache folder is set at once, so that no test, doctest or fixture reads or writes the user's; tests marked `corpus`
ask for `real_home`, where the small selection of opengame20 lies after `crnnlib fetch opengame20 --small`. It lies at
the top so that the examples in `crnnlib/` see it, too.
"""

import os
import re
import shutil
import tempfile
import warnings
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import soundfile

# Workers of pytest-xdist inherit what is set here, so the user's own value is kept beside it.
REAL_HOME = os.environ.setdefault("CRNNLIB_REAL_HOME", os.environ.get("CRNNLIB_HOME", ""))
os.environ["CRNNLIB_HOME"] = tempfile.mkdtemp(prefix="crnnlib-tests-")
os.environ.pop("CRNNLIB_CORPUS", None)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

FIXTURES = Path(__file__).parent / "tests" / "fixtures"

# Time says nothing of right or wrong, and the same examples each time make a failure repeatable.
hypothesis.settings.register_profile("crnnlib", deadline=None, derandomize=True)
hypothesis.settings.load_profile("crnnlib")


def pytest_unconfigure():
    """Remove the cache of the tests."""
    shutil.rmtree(os.environ["CRNNLIB_HOME"], ignore_errors=True)


@pytest.fixture(scope="session")
def fixtures():
    """Folder of the frozen outputs of the authors' code."""
    return FIXTURES


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Give one test an empty cache of its own."""
    monkeypatch.setenv("CRNNLIB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def real_home(monkeypatch):
    """Use the user's cache, which must hold the small selection of opengame20; on CI its absence is a failure."""
    if REAL_HOME:
        monkeypatch.setenv("CRNNLIB_HOME", REAL_HOME)
    else:
        monkeypatch.delenv("CRNNLIB_HOME")
    from crnnlib import corpora, errors, files

    try:
        corpora.load("opengame20-small")
    except errors.CRNNError as error:
        reason = f"no real music: run `crnnlib fetch opengame20 --small` ({error})"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return files.home()


@pytest.fixture(scope="session")
def music_tree(tmp_path_factory):
    """Folder of wav files: 3 artists x 2 albums x 4 songs of 4 to 5.5 s, chords over noise, easily told apart."""
    root = tmp_path_factory.mktemp("music")
    for a, artist in enumerate(("Ada", "Bo Diddley", "Çelik")):
        for b, album in enumerate(("First", "Second")):
            for c in range(4):
                rng = np.random.default_rng((a, b, c))
                time = np.arange(int(16000 * (4 + c / 2))) / 16000
                notes = 110 * 2 ** ((a * 5 + rng.integers(0, 12, 3)) / 12)
                chord = sum(np.sin(2 * np.pi * f * h * time) / h for f in notes for h in range(1, 3 + 4 * a))
                beat = np.exp(-8 * (time * (1.5 + 0.5 * a) % 1))
                song = 0.1 * chord * beat + (0.002 + 0.01 * b) * rng.standard_normal(time.size)
                path = root / artist / album / f"{c + 1:02d}-Song {c + 1}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, song.astype(np.float32), 16000)
    return root


@pytest.fixture(scope="session")
def tracks(music_tree):
    """Track table of `music_tree`."""
    from crnnlib import corpora

    return corpora.load(music_tree)


@pytest.fixture(scope="session")
def store(tracks):
    """Log-mel of `tracks`."""
    from crnnlib import features

    return features.extract(tracks, n_jobs=1, progress=False)


@pytest.fixture(scope="session")
def split(tracks):
    """Song split of `tracks`: one song of each artist to test."""
    from crnnlib import splits

    return splits.song_split(tracks)


@pytest.fixture(scope="session")
def trial(tracks, store, split):
    """Trial over clips of one second, trained for one epoch."""
    from crnnlib import training

    return training.train(store, tracks, split, 1.0, training.Recipe(max_epochs=1), progress=False)


@pytest.fixture(autouse=True)
def example(request, doctest_namespace):
    """Run an example in an empty folder, with those of the names that book/api.md explains which it uses."""
    if isinstance(request.node, pytest.DoctestItem):
        code = "".join(line.source for line in request.node.dtest.examples)
        if "dpkg-deb" in code and not shutil.which("dpkg-deb"):
            pytest.skip("needs dpkg-deb")
        request.getfixturevalue("monkeypatch").chdir(request.getfixturevalue("tmp_path"))
        warnings.simplefilter("ignore", UserWarning)  # what a reader is told of, and the suite need not be
        for name in ("tracks", "store", "split", "trial"):
            if re.search(rf"\b{name}\b", code):
                doctest_namespace[name] = request.getfixturevalue(name)
