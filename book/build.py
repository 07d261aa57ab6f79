"""Build the book on one corpus: what `make book` runs.

The corpus is prepared, the notebooks are executed (chapter 5 runs the live study), and the site is written with
every warning an error. Nothing is done when nothing changed. Executed notebooks are kept until crnnlib, the lock, the
committed results or the music in the cache change, which Jupyter Book, looking at code cells only, would not notice.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from crnnlib import files
from crnnlib.corpora import is_demo

ROOT = Path(__file__).resolve().parent.parent
BEHIND_THE_CELLS = ("crnnlib", "requirements.lock", "book/results")
ON_THE_PAGES = ("_config.yml", "_toc.yml", "benchmarks/results", "book", "notebooks")


def fingerprint(names, root=ROOT):
    """Hash the names and contents of files and folders, whatever their dates."""
    total = hashlib.sha256()
    for name in names:
        for path in sorted([root / name, *(root / name).rglob("*")]):
            if path.is_file() and not {"__pycache__", ".ipynb_checkpoints"} & set(path.parts):
                total.update(f"{path.relative_to(root)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def music(corpus):
    """Name the corpus and the cache, and tell what music a page may play; a build makes the demo itself."""
    folder = files.home() / "corpora"
    found = sorted(path for path in folder.glob("[a-z]*") if not is_demo(path.name))
    own = [path for path in sorted([Path(corpus), *Path(corpus).rglob("*")]) if path.is_file()]
    dates = hashlib.sha256(str([(str(path), path.stat().st_mtime_ns) for path in own]).encode("utf-8", "replace"))
    return f"{corpus} {dates.hexdigest()} {folder} {[(path.name, sum(1 for _ in path.rglob('*'))) for path in found]}"


def build_folder(corpus, root=ROOT):
    """Folder of what is built: one per corpus, so that each keeps its executed notebooks."""
    named = "" if corpus == "demo" else re.sub(r"[^\w.-]+", "-", corpus).strip("-")
    return root / "_build" / named / "_build" if named else root / "_build"


def prepare(corpus):
    """Make the music and its features; chapter 5 runs the live study. Return the exit code."""
    return subprocess.run([sys.executable, "-m", "crnnlib", "extract", corpus], cwd=ROOT).returncode


def render(corpus):
    """Execute the notebooks and write the site, warnings as errors; return the exit code."""
    folder = build_folder(corpus).parent
    command = ["jupyter-book", "build", ".", "--path-output", folder, "-W", "-n", "--keep-going"]
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"CRNNLIB_CORPUS": corpus}).returncode


def build(corpus):
    """Bring the book up to date; return the exit code."""
    folder = build_folder(corpus)
    behind, pages = fingerprint(BEHIND_THE_CELLS) + music(corpus), fingerprint(ON_THE_PAGES)
    seen = {folder / ".behind": behind, folder / ".pages": pages}
    stale = [stamp for stamp, value in seen.items() if not stamp.is_file() or stamp.read_text() != value]
    if not stale:
        return 0
    for stamp in seen:
        stamp.unlink(missing_ok=True)
    if folder / ".behind" in stale:
        shutil.rmtree(folder / ".jupyter_cache", ignore_errors=True)
        shutil.rmtree(folder / ".doctrees", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "html" / "reports", ignore_errors=True)
    (folder / ".behind").write_text(seen[folder / ".behind"])
    failed = prepare(corpus) or render(corpus)
    if failed:
        # Sphinx does not repeat the warnings of pages that it has read: the next build must read them again.
        shutil.rmtree(folder / ".doctrees", ignore_errors=True)
        for report in sorted((folder / "html" / "reports").rglob("*.err.log")):
            print(f"\n== {report}\n{report.read_text()[-4000:]}", file=sys.stderr)
    else:
        (folder / ".pages").write_text(seen[folder / ".pages"])
    return failed


def main():
    """Build the book on the corpus named, and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="demo, opengame20, or a folder of music")
    corpus = parser.parse_args().corpus
    corpus = str(Path(corpus).resolve()) if Path(corpus).is_dir() else corpus
    started = time.monotonic()
    failed = build(corpus)
    if failed:
        sys.exit(failed)
    page = (build_folder(corpus) / "html" / "index.html").as_uri()
    print(f"The book on {corpus}, up to date after {time.monotonic() - started:.0f} s: {page}")


if __name__ == "__main__":
    main()
