"""Where crnnlib keeps things, and how it writes them: whole, or not at all.

Everything that can be made again lives under one folder, `home()`. A file is written under a temporary name that
carries the host, the process id and a random part, then renamed; a reader never sees half a file, and two writers of
the same file both succeed.
"""

import contextlib
import os
import secrets
import socket
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import platformdirs

__all__ = ["DAMAGED", "atomic", "home", "located", "sweep"]

#: What reading a damaged .npy, .npz or .json raises, where it can be opened.
DAMAGED = (ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile, zlib.error, tokenize.TokenError)

_HOST = socket.gethostname().split(".")[0].replace("-", "") or "host"


def home() -> Path:
    """Folder of corpora, features, models and new records.

    Returns
    -------
    pathlib.Path
        ``$CRNNLIB_HOME``, or the platform's cache folder. It need not exist yet.

    Examples
    --------
    >>> home().is_absolute()
    True
    """
    chosen = os.environ.get("CRNNLIB_HOME")
    return located(chosen) if chosen else platformdirs.user_cache_path("crnnlib")


def located(path: str | Path) -> Path:
    """Make a path that a user typed absolute.

    Parameters
    ----------
    path : str or pathlib.Path
        ``~`` at its start is the home folder, unless it names an unknown user.

    Returns
    -------
    pathlib.Path

    Examples
    --------
    >>> located("~/music").is_absolute(), located("~nobody-of-that-name/x").parts[-2]
    (True, '~nobody-of-that-name')
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        return Path(path).absolute()


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Write a file under a temporary name and rename it when the block ends well.

    Parameters
    ----------
    path : str or pathlib.Path
        The file to write; its folder is created.

    Yields
    ------
    pathlib.Path
        The temporary name to write to. It keeps the suffix of `path`, and is removed if the block raises.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "scores.txt"
    >>> with atomic(target) as temporary:
    ...     _ = temporary.write_text("0.937")
    >>> target.read_text()
    '0.937'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tail = path.name.encode("utf-8", "replace")[-120:].decode(errors="ignore")  # a name holds at most 255 bytes
    temporary = path.with_name(f".tmp-{_HOST}-{os.getpid()}-{secrets.token_hex(4)}-{tail}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: str | Path) -> int:
    """Remove temporary files, below a folder, that were left by processes that have ended.

    Parameters
    ----------
    folder : str or pathlib.Path
        Where to look, at any depth. A missing folder is an empty one.

    Returns
    -------
    int
        How many were removed. Those of living processes, and of other hosts, stay.

    Examples
    --------
    >>> sweep("/nowhere")
    0
    """
    removed = 0
    for leftover in Path(folder).rglob(f".tmp-{_HOST}-*"):
        owner = leftover.name.split("-")[2]
        if owner.isdigit() and not _alive(int(owner)):
            leftover.unlink(missing_ok=True)
            removed += 1
    return removed


def _alive(pid: int) -> bool:
    if os.name != "posix":  # elsewhere there is no such signal as 0
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with contextlib.suppress(OSError):  # dead, but not yet collected by its parent (Linux)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True
