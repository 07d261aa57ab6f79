"""The command line, as its user types it: one clear line and exit code 2 for bad input, never a traceback."""

import json
import os
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import soundfile

import crnnlib
from crnnlib import baselines, corpora, features, files, identify, musicnn, records, splits, training
from crnnlib.__main__ import main


@pytest.fixture(scope="module")
def model_home(music_tree, tmp_path_factory):
    """A cache in which a small study has been run from the command line."""
    patch = pytest.MonkeyPatch()
    home = tmp_path_factory.mktemp("home")
    patch.setenv("CRNNLIB_HOME", str(home))
    code = main(["study", str(music_tree), "--lengths", "1", "--trials", "1", "--max-epochs", "8", "--json"])
    assert code == 0
    yield home
    patch.undo()


@pytest.fixture
def run(model_home, monkeypatch, capsys):
    monkeypatch.setenv("CRNNLIB_HOME", str(model_home))

    def command(*arguments):
        try:
            code = main([str(one) for one in arguments])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return command


def test_study_prints_both_levels(run, music_tree):
    code, out, _ = run("study", music_tree, "--lengths", 1, "--trials", 1, "--max-epochs", 8)
    assert code == 0
    assert "clip" in out
    assert "song" in out


def test_report_reads_the_records(run, music_tree):
    corpus = corpora.load(music_tree).attrs["corpus"]
    code, out, _ = run("report", corpus, "--json")
    rows = json.loads(out)
    assert code == 0
    assert {row["level"] for row in rows} == {"clip", "song"}


def test_identify_names_the_artist_and_the_model(run, music_tree):
    corpus = corpora.load(music_tree)
    model = identify.load_model(identify.find_model(corpus.attrs["corpus"]))
    tested = model.record["split"]["test"]
    code, out, _ = run("identify", *corpus.loc[tested, "path"], "--corpus", music_tree, "--json")
    answers = json.loads(out)
    right = [answer["artists"][0]["artist"] == corpus.artist[one] for answer, one in zip(answers, tested, strict=True)]
    assert code == 0
    assert np.mean(right) > 0.5
    assert answers[0]["model"] == str(model.path)
    assert len(answers[0]["clips"]) >= 3
    code, out, _ = run("identify", corpus.path.iloc[0], "--corpus", music_tree)
    assert str(model.path) in out
    assert "%" in out


def test_map_writes_one_page(run, music_tree, tmp_path):
    code, out, _ = run("map", music_tree, "--method", "pca", "--output", tmp_path / "map.html")
    assert code == 0
    assert "plotly" in (tmp_path / "map.html").read_text()
    assert "map.html" in out
    assert "has learnt from" not in (tmp_path / "map.html").read_text()


def test_a_map_of_songs_that_the_network_learnt_from_says_so(run, music_tree, tmp_path):
    path = identify.find_model(corpora.load(music_tree).attrs["corpus"])
    record = json.loads(path.with_suffix(".json").read_text("utf-8"))
    shutil.copy(path, tmp_path / "copy.keras")
    record["split"]["test"] = ["Nobody/Nothing/01-Gone"]
    (tmp_path / "copy.json").write_text(json.dumps(record), "utf-8")
    code, _, _ = run(
        "map", music_tree, "--model", tmp_path / "copy.keras", "--method", "pca", "--output", tmp_path / "map.html"
    )
    learnt = len(record["split"]["train"]) + len(record["split"]["validation"])
    assert code == 0
    assert f"has learnt from {learnt} of these songs" in (tmp_path / "map.html").read_text()


def test_a_network_on_pretrained_maps_is_studied_mapped_and_asked(home, music_tree, tmp_path, monkeypatch, capsys):
    untrained = musicnn.network()
    view = keras.Model(untrained.input, untrained.get_layer("maps").output)
    monkeypatch.setattr(musicnn, "_maps", lambda: view)
    grid = ["--recipe", "beyond-pretrained-joint", "--lengths", "1", "--trials", "1", "--max-epochs", "2", "--json"]
    assert main(["study", str(music_tree), *grid]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {(row["recipe"], row["level"]) for row in rows} == {
        ("beyond-pretrained-joint-2-epochs", level) for level in ("clip", "song")
    }
    tracks = corpora.load(music_tree)
    store = features.extract(tracks, features.LogMel(), progress=False)
    for trial in records.results(tracks.attrs["corpus"]):
        split = splits.Split(**trial.record["split"])
        heard = baselines.run("logistic", tracks, store, split, progress=False)  # by log-mel, not by the tagger's maps
        said = dict(zip(trial.statistics.track_id, trial.statistics.probabilities, strict=True))
        for song, probabilities in zip(heard.track_id, heard.probabilities, strict=True):
            np.testing.assert_allclose(said[song], probabilities, atol=2e-3)
    assert main(["map", str(music_tree), "--method", "pca", "--output", str(tmp_path / "map.html")]) == 0
    capsys.readouterr()
    song = corpora.load(music_tree).path.iloc[0]
    assert main(["identify", song, "--corpus", str(music_tree), "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert [clip["start_s"] for clip in answer["clips"]] == [0.0, 1.0, 1.99]


def test_a_corpus_may_be_named_by_its_path_wherever_there_is_a_record(run, music_tree, tmp_path):
    assert json.loads(run("report", music_tree, "--json")[1])
    code, out, _ = run("publish", music_tree, tmp_path / "book")
    assert code == 0
    assert int(out.split()[0]) == len(list((tmp_path / "book").glob("*/*.json"))) > 0
    assert run("report", tmp_path / "nowhere")[0] == 2


def test_artists_with_too_few_songs_are_left_out(home, music_tree, tmp_path, capsys):
    shutil.copytree(music_tree, tmp_path / "music")
    shutil.copytree(music_tree / "Ada" / "First", tmp_path / "music" / "Once" / "Only")
    for song in sorted((tmp_path / "music" / "Once" / "Only").iterdir())[1:]:
        song.unlink()
    assert main(["study", str(tmp_path / "music"), "--lengths", "1", "--trials", "1", "--max-epochs", "1"]) == 0
    assert "fewer than 3 songs: 1 of 4" in capsys.readouterr().err


def test_a_report_says_that_folds_are_missing(home, music_tree, tmp_path, capsys):
    options = ["--lengths", "1", "--trials", "1", "--folds", "2", "--max-epochs", "1"]
    assert main(["study", str(music_tree), *options]) == 0
    next(files.home().glob("results/*/*.json")).unlink()
    capsys.readouterr()
    assert main(["report", str(music_tree)]) == 0
    assert "1 folds are recorded" in capsys.readouterr().err


def bad_files(folder):
    tone = np.sin(np.arange(32000) / 20).astype("float32") / 2
    soundfile.write(folder / "short.wav", tone[:100], 16000)
    soundfile.write(folder / "nan.wav", np.full(32000, np.nan, "float32"), 16000, subtype="FLOAT")
    soundfile.write(folder / "silent.wav", np.zeros(32000, "float32"), 16000)
    (folder / "text.mp3").write_text("not music\n" * 500)
    (folder / "empty.mp3").write_bytes(b"")
    (folder / "folder.wav").mkdir()
    return ["short.wav", "nan.wav", "silent.wav", "text.mp3", "empty.mp3", "folder.wav", "missing.mp3"]


def test_bad_files_give_one_line_each_and_code_2(run, music_tree, tmp_path):
    names = bad_files(tmp_path)
    good = corpora.load(music_tree).path.iloc[0]
    code, out, err = run("identify", good, *(tmp_path / name for name in names), "--corpus", music_tree, "--json")
    lines = [line for line in err.splitlines() if line.startswith("crnnlib: ")]
    assert code == 2
    assert len(lines) == len(names)
    assert all(name in line for name, line in zip(names, lines, strict=True))
    assert "Traceback" not in err
    assert len(json.loads(out)) == 1  # the good file is still answered


def test_a_file_whose_name_is_not_text_is_answered_by_that_name(run, music_tree, tmp_path):
    song = tmp_path / os.fsdecode(b"caf\xe9.wav")
    shutil.copy(corpora.load(music_tree).path.iloc[0], song)
    command = [sys.executable, "-m", "crnnlib", "identify", song, "--corpus", music_tree]
    strict = os.environ | {"PYTHONIOENCODING": "ascii:strict"}
    said, answer = (
        subprocess.run([*command, *more], capture_output=True, text=True, check=True, env=strict).stdout
        for more in ([], ["--json"])
    )
    assert "caf\\udce9.wav" in said
    assert json.loads(answer)[0]["file"] == str(song)
    assert "Çelik" in {one["artist"] for one in json.loads(answer)[0]["artists"]}


def test_a_model_that_is_named_needs_no_corpus(run, music_tree, monkeypatch):
    song, model = corpora.load(music_tree).path.iloc[0], identify.find_model(corpora.load(music_tree).attrs["corpus"])
    monkeypatch.setenv("CRNNLIB_CORPUS", "/nowhere/music")
    assert run("identify", song, "--model", model)[0] == 0
    assert run("identify", song)[0] == 2


def test_a_map_needs_the_column_that_the_model_names(run, music_tree, tmp_path):
    model = identify.find_model(corpora.load(music_tree).attrs["corpus"])
    for suffix in (".keras", ".json"):
        shutil.copy(model.with_suffix(suffix), tmp_path / f"moods{suffix}")
    record = json.loads((tmp_path / "moods.json").read_text())
    (tmp_path / "moods.json").write_text(json.dumps(record | {"label": "mood"}))
    code, _, err = run("map", music_tree, "--model", tmp_path / "moods.keras")
    assert code == 2
    assert "none of its moods" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["extract", "/nowhere"],
        ["study", "/nowhere"],
        ["study", "{empty}"],
        ["study", "{music}", "--lengths", "0"],
        ["study", "{music}", "--label", "genre"],
        ["study", "{music}", "--trials", "0"],
        ["study", "{music}", "--max-epochs", "0"],
        ["study", "{music}", "--scheduler", "no-port"],
        ["identify", "x.mp3", "--model", "/nowhere.keras"],
        ["identify", "{song}", "--corpus", "no-such-corpus"],
        ["identify", "{song}", "--corpus", "{music}", "--top", "0"],
        ["map", "{music}", "--output", "{empty}"],
        ["publish", "{music}", "{song}"],
        ["map", "/nowhere"],
        ["map", "{music}", "--model", "{shipped}"],
    ],
)
def test_what_cannot_work_gives_one_line_and_code_2(run, music_tree, tmp_path, arguments):
    places = {"empty": tmp_path, "music": music_tree, "shipped": identify.SHIPPED}
    places["song"] = corpora.load(music_tree).path.iloc[0]
    code, _, err = run(*(one.format(**places) for one in arguments))
    assert code == 2
    assert len([line for line in err.splitlines() if line.startswith("crnnlib: ")]) == 1
    assert "Traceback" not in err


def test_a_model_without_its_record_is_refused(run, tmp_path):
    (tmp_path / "lone.keras").write_bytes(b"PK")
    code, _, err = run("identify", "x.mp3", "--model", tmp_path / "lone.keras")
    assert code == 2
    assert "record" in err


def test_help_loads_nothing_heavy():
    code = "import sys; sys.argv = ['crnnlib', '--help']\nfrom crnnlib.__main__ import main\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    code += "print(sorted({'tensorflow', 'keras', 'librosa', 'umap', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.splitlines()[-1] == "[]"


def test_nothing_but_the_answer_reaches_the_terminal(model_home):
    command = [sys.executable, "-m", "crnnlib", "report", "no-such-corpus"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout == "no trials recorded: run `crnnlib study` first\n"
    assert done.stderr == ""


def test_version_is_the_package_s(run):
    assert run("--version")[1] == f"crnnlib {crnnlib.__version__}\n"


def test_recipes_on_the_command_line_are_those_of_the_package(run):
    code, _, err = run("study", "demo", "--recipe", "no-such-recipe")
    assert code == 2
    assert all(name in err for name in training.RECIPES)
