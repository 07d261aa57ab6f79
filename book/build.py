"""Build the book on one corpus: what `make book` runs.

The corpus is prepared (the demo also gets its live study), the notebooks are executed, and the site is written with
every warning an error. Nothing is done when nothing changed; what was executed before is kept until crnnlib, the
lock or the committed results change, which Jupyter Book, looking at code cells only, would not notice.
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

ROOT = Path(__file__).resolve().parent.parent
LIVE_STUDY = ("study", "demo", "--recipe", "paper", "--lengths", "1", "3", "10", "--splits", "song", "album")
BEHIND_THE_CELLS = ("crnnlib", "requirements.lock", "book/results")
ON_THE_PAGES = ("_config.yml", "_toc.yml", "book", "notebooks")


def fingerprint(names, root=ROOT):
    """Hash the names and contents of files and folders, whatever their dates."""
    total = hashlib.sha256()
    for name in names:
        for path in sorted([root / name, *(root / name).rglob("*")]):
            if path.is_file() and not {"__pycache__", ".ipynb_checkpoints"} & set(path.parts):
                total.update(f"{path.relative_to(root)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def output_folder(corpus):
    """Folder in which Jupyter Book makes its `_build`: one per corpus, the repository itself for the demo."""
    return ROOT if corpus == "demo" else ROOT / "_build" / re.sub(r"[^\w.-]+", "-", corpus).strip("-")


def prepare(corpus):
    """Make the music, its features and, for the demo, the records of the live study."""
    return subprocess.run([sys.executable, "-m", "crnnlib", *(LIVE_STUDY if corpus == "demo" else ["extract", corpus])])


def build(corpus):
    """Execute the notebooks and write the site, warnings as errors."""
    command = ["jupyter-book", "build", ".", "--path-output", output_folder(corpus), "-W", "-n", "--keep-going"]
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"CRNNLIB_CORPUS": corpus})


def main():
    """Prepare and build what changed since the last good build, and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="demo, opengame20, or a folder of music")
    corpus = parser.parse_args().corpus
    corpus = str(Path(corpus).resolve()) if Path(corpus).is_dir() and "/" in corpus else corpus
    started = time.monotonic()
    folder = output_folder(corpus) / "_build"
    stamps = {folder / ".code": fingerprint(BEHIND_THE_CELLS), folder / ".pages": fingerprint(ON_THE_PAGES)}
    fresh = {stamp: stamp.is_file() and stamp.read_text() == value for stamp, value in stamps.items()}
    if not fresh[folder / ".code"]:
        for cached in (".jupyter_cache", ".doctrees"):
            shutil.rmtree(folder / cached, ignore_errors=True)
    if not all(fresh.values()):
        for stamp in stamps:
            stamp.unlink(missing_ok=True)
        failed = prepare(corpus).returncode or build(corpus).returncode
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".code").write_text(stamps[folder / ".code"])
        if failed:
            # Sphinx does not repeat the warnings of pages that it has read: the next build must read them again.
            shutil.rmtree(folder / ".doctrees", ignore_errors=True)
            for report in sorted((folder / "html" / "reports").glob("*.err.log")):
                print(f"\n== {report}\n{report.read_text()[-4000:]}", file=sys.stderr)
            sys.exit(failed)
        (folder / ".pages").write_text(stamps[folder / ".pages"])
    did = f"built in {time.monotonic() - started:.0f} s" if not all(fresh.values()) else "nothing changed"
    print(f"The book on {corpus} ({did}): {(folder / 'html' / 'index.html').as_uri()}")


if __name__ == "__main__":
    main()
