"""The house: what is packaged, pinned, promised in the README, and kept out of crnnlib."""

import ast
import doctest
import importlib.util
import inspect
import json
import os
import pkgutil
import pydoc
import re
import shlex
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from numpydoc.validate import validate
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import crnnlib

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SOURCES = sorted((ROOT / "crnnlib").rglob("*.py"))
MODULES = sorted(m.name for m in pkgutil.walk_packages(crnnlib.__path__, "crnnlib.") if "__main__" not in m.name)
HEAVY = (
    "tensorflow",
    "keras",
    "jax",
    "librosa",
    "numba",
    "umap",
    "sklearn",
    "scipy",
    "plotly",
    "pandas",
    "statsmodels",
)
# A docstring; of a function or class also its parameters, what it returns or yields, and an example.
SAID = ("GL08", "PR01", "PR02", "RT01", "YD01", "EX01")
NEED_NETWORK = {"crnnlib.corpora.opengame20.fetch", "crnnlib.musicnn.fetch"}
KERAS_HOOKS = ("augment", "build", "call", "compute_output_shape", "compute_output_spec", "get_config", "from_config")


def script(path):
    """Import a script that lies outside the package."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def python(code, **options):
    """Run code in a fresh interpreter outside the repository and return what it prints."""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, **options)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


# Pins and versions


def test_environment_yml_agrees_with_lock():
    assert (ROOT / "environment.yml").read_text() == script(".ci/pins.py").environment(), "run python .ci/pins.py"


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_lock_satisfies_every_requirement(version):
    locked = script(".ci/pins.py").locked((ROOT / "requirements.lock").read_text(), version)
    extras = PROJECT["optional-dependencies"]
    for line in [
        *PROJECT["dependencies"],
        *(line for extra in ("jax", "dask", "book", "dev") for line in extras[extra]),
    ]:
        wanted = Requirement(line)
        if wanted.name != "crnnlib":
            assert wanted.specifier.contains(locked[canonicalize_name(wanted.name)]), line


def test_lock_has_hashes_and_no_addresses():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert all("--hash=sha256:" in block for block in re.split(r"\n(?=\S)", text.strip()))


def test_version_is_the_same_everywhere():
    assert crnnlib.__version__ == PROJECT["version"]
    assert f"\nversion: {PROJECT['version']}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.mark.slow
def test_wheel_works_elsewhere(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    place = tmp_path / "clean"
    subprocess.run([sys.executable, "-m", "virtualenv", "--quiet", "--no-download", place], check=True)
    program = place / "bin" / "python"
    install = [program, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True)
    # The dependencies are those of the suite; its own editable crnnlib is not seen through a path file.
    (site,) = place.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{Path(pytest.__file__).parent.parent}\n")
    check = (
        "import json, pathlib, crnnlib, crnnlib.corpora, crnnlib.evaluation;"
        "root = pathlib.Path(crnnlib.__file__).parent;"
        "print(json.dumps([str(root), sorted(str(p.relative_to(root)) for p in root.rglob('*') if p.is_file())]))"
    )
    ran = subprocess.run([program, "-c", check], cwd=tmp_path, check=True, capture_output=True, text=True)
    root, files = json.loads(ran.stdout)
    assert Path(root).is_relative_to(place)
    tracked = subprocess.run(["git", "ls-files", "crnnlib"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert set(files) >= {name.removeprefix("crnnlib/") for name in tracked.stdout.split("\n") if name}
    shown = subprocess.run(
        [place / "bin" / "crnnlib", "--help"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert "identify" in shown.stdout


# What an import does


def test_import_is_light():
    loaded = python(f"import sys, crnnlib; print([m for m in {HEAVY} if m in sys.modules])")
    assert loaded.strip() == "[]"


def test_help_of_the_command_line_is_light():
    loaded = python(f"import sys, crnnlib.__main__; print([m for m in {HEAVY} if m in sys.modules])")
    assert loaded.strip() == "[]"


def test_records_are_read_without_keras(tmp_path):
    read = "from crnnlib.__main__ import main; main(['report', 'demo', '--json'])"
    loaded = python(f"import sys; {read}; print([m for m in ('keras', 'tensorflow', 'jax') if m in sys.modules])")
    assert loaded.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_no_module_uses_the_network_when_imported():
    python(
        "import importlib, socket\n"
        "def refuse(*args, **options): raise AssertionError('network at import')\n"
        "socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse\n"
        f"for name in {MODULES}: importlib.import_module(name)"
    )


# What the sources hold


def calls(tree):
    """Name, keywords and line of each call in a syntax tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}, node.lineno


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_source_opens_no_pickle_and_no_shell(path):
    for name, keywords, line in calls(ast.parse(path.read_text())):
        where = f"{path.name}:{line}: {name}"
        if name in ("np.load", "np.save", "np.savez", "np.savez_compressed"):
            assert keywords.get("allow_pickle") == "False", f"{where} without allow_pickle=False"
        assert keywords.get("allow_pickle", "False") == "False", where
        assert keywords.get("safe_mode", "True") == "True", where
        assert keywords.get("shell", "False") == "False", where
        assert name not in ("eval", "exec", "os.system", "os.popen"), where


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_source_is_short(path):
    assert len(path.read_text().splitlines()) <= 400, "split what does two things; about 250 lines are meant"


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_cells_are_short(path):
    cells = [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    lines = [len("".join(cell["source"]).splitlines()) for cell in cells]
    assert max(lines) <= 25, "a reader takes in one thought a cell"
    assert statistics.median(lines) <= 10


def test_imports_run_one_way():
    ran = subprocess.run([Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout


def test_scores_on_pages_are_those_of_the_committed_trials():
    results = script(".ci/results.py")
    for page in results.PAGES:
        text = (ROOT / page).read_text("utf-8")
        assert results.written(text) == text, f"{page}: run python .ci/results.py"


def test_map_of_the_architecture_is_current():
    drawn = script(".ci/architecture.py").drawing()
    assert drawn in (ROOT / "CONTRIBUTING.md").read_text(), "run python .ci/architecture.py"


def test_reference_has_every_module_but_the_inner_ones():
    inner = {"fast", "gaussians", "grouping", "loop", "partition", "figures.marks"}
    inner |= {f"corpora.{name}" for name in ("names", "packages", "score", "studio", "synth")}
    named = re.findall(r"automodule:: crnnlib\.(\S+)", (ROOT / "book" / "api.md").read_text())
    assert {name.removeprefix("crnnlib.") for name in MODULES} - set(named) == inner


def test_each_module_is_named_in_a_test():
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__))
    parts = {path.stem for place in (".", "corpora") for path in (ROOT / "crnnlib" / place).glob("[a-z]*.py")}
    assert {part for part in parts if not re.search(rf"\b{part}\b", tests)} == set()


# What the docstrings say


def public(name):
    """Public functions and classes that a module defines, and their public methods and properties, by full name."""
    module = importlib.import_module(name)
    for item in (getattr(module, word) for word in getattr(module, "__all__", [])):
        if (inspect.isfunction(item) or inspect.isclass(item)) and item.__module__ == name:
            yield f"{name}.{item.__qualname__}"
            own = vars(item).items() if inspect.isclass(item) else ()
            for word, member in own:
                if not word.startswith("_") and word not in KERAS_HOOKS and callable(getattr(member, "fget", member)):
                    yield f"{name}.{item.__qualname__}.{word}"


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_public_docstrings_say_everything(name):
    found = []
    for item in public(name):
        needed = SAID if item.count(".") == name.count(".") + 1 else SAID[:1]
        errors = validate(item)["errors"]
        found += [f"{item}: {code} {text}" for code, text in errors if code in needed and "'*args'" not in text]
    assert not found, "\n".join(found)


@pytest.mark.slow
def test_examples_run_unless_they_need_the_network():
    skipped = set()
    for item in (item for name in MODULES for item in public(name)):
        lines = doctest.DocTestParser().get_examples(inspect.getdoc(pydoc.locate(item)) or "")
        if lines and all(line.options.get(doctest.SKIP) for line in lines):
            skipped.add(item)
    assert skipped == NEED_NETWORK


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_module_has_few_public_names(name):
    module = importlib.import_module(name)
    assert len(module.__all__) <= 10 or hasattr(module, "__path__"), "eight public names are meant"


# What the README promises


def commands():
    """Lines of the shell blocks of README.md, without comments and prompts."""
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = [line.split("  #")[0].removeprefix("$ ").strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


@pytest.mark.parametrize("line", commands())
def test_readme_command_exists(line):
    words = [word for word in shlex.split(line) if not re.match(r"[A-Z_]+=", word)]
    if words[0] == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert set(words[1:]) <= targets
    elif words[0].endswith("crnnlib"):
        from crnnlib import __main__

        __main__._parser().parse_args(words[1:])
    else:
        assert words[0] in ("git", "cd", "docker", "conda", "pip", "export"), line


# The builder of the book


def test_fingerprint_follows_names_and_contents_only(tmp_path):
    build = script("book/build.py")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.py").write_text("1")
    first = build.fingerprint(["a", "absent"], tmp_path)
    os.utime(tmp_path / "a" / "x.py", (0, 0))
    (tmp_path / "a" / "__pycache__").mkdir()
    (tmp_path / "a" / "__pycache__" / "x.pyc").write_text("2")
    assert build.fingerprint(["a", "absent"], tmp_path) == first
    (tmp_path / "a" / "x.py").write_text("2")
    changed = build.fingerprint(["a", "absent"], tmp_path)
    (tmp_path / "a" / "x.py").rename(tmp_path / "a" / "y.py")
    assert len({first, changed, build.fingerprint(["a", "absent"], tmp_path)}) == 3


def test_each_corpus_is_built_in_its_own_folder(tmp_path):
    build = script("book/build.py")
    names = ("demo", "opengame20", "/home/me/my music", "/home/me/music")
    folders = [build.build_folder(name, tmp_path) for name in names]
    assert folders[0] == tmp_path / "_build"
    assert len(set(folders)) == len(names)
    assert all(folder.is_relative_to(tmp_path / "_build") for folder in folders)


def test_music_that_changes_makes_the_book_stale(tmp_path):
    build = script("book/build.py")
    song = tmp_path / "music" / "song.mp3"
    song.parent.mkdir()
    before = build.music(song.parent)
    song.touch()
    then = build.music(song.parent)
    os.utime(song, (0, 0))
    assert len({before, then, build.music(song.parent), build.music(tmp_path / "music-2")}) == 4
