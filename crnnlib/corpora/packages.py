"""Debian packages as a source of files, without root: download them with apt, stream members out of them.

apt keeps its lists and cache in a private folder, so nothing on the system changes. A package is unpacked by reading:
members come by exact name as streams, nothing is written here, and sizes beyond the caps are refused.
"""

import contextlib
import fcntl
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from tqdm.auto import tqdm

from crnnlib.errors import DataError

__all__ = ["alone", "download", "unpack"]

Pair = tuple[str, str]

MAX_MEMBER, MAX_ARCHIVE, MAX_PACKAGE = (
    64 << 20,
    1 << 30,
    4 << 30,
)  # bytes; the largest in opengame20: 33 MB, 210 MB, 0.5 GB
# zipfile raises RuntimeError, or a kind of it, for members that it cannot decrypt or decompress.
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)


@contextlib.contextmanager
def alone(folder: Path, progress: bool = True) -> Iterator[int]:
    """Hold a folder for one fetch at a time, waiting for another to end.

    Parameters
    ----------
    folder : pathlib.Path
        An existing folder; the lock leaves no file in it.
    progress : bool
        Show the time spent waiting.

    Yields
    ------
    int
        The descriptor that carries the lock. A child process that inherits it keeps the folder after its parent was
        killed, so that a rerun never meets an orphan at work.

    Examples
    --------
    >>> import tempfile
    >>> with alone(Path(tempfile.mkdtemp())) as lock:
    ...     lock > 0
    True
    """
    lock = os.open(folder, os.O_RDONLY)
    try:
        with tqdm(
            desc=f"{folder.name}: another fetch is at work",
            bar_format="{desc} {elapsed}",
            delay=1,
            disable=not progress,
        ) as bar:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.2)
                    bar.update()
        yield lock
    finally:
        os.close(lock)


def download(names: Iterable[str], folder: Path, lock: int, progress: bool = True) -> Iterator[tuple[str, Path | None]]:
    """Download packages one by one.

    Parameters
    ----------
    names : iterable of str
        Package names.
    folder : pathlib.Path
        Where the packages and apt's private state go. A package that lies there already is not downloaded, and half a
        download is continued.
    lock : int
        The descriptor from `alone`.
    progress : bool
        Show a bar in bytes.

    Yields
    ------
    (str, pathlib.Path or None)
        The name and its ``.deb``, None where apt does not offer it. The caller may delete the file.

    Raises
    ------
    DataError
        If apt offers none of the packages, a download fails, or the disk is too small.

    Examples
    --------
    >>> list(download([], Path("/nowhere"), 0))
    []
    """
    names = list(dict.fromkeys(names))
    missing = [name for name in names if not _deb(folder, name)]
    apt, partial = folder / "apt", folder / "partial"
    options = [f"-oDir::State={apt}", f"-oDir::State::status={apt}/status", f"-oDir::Cache={apt}/cache"]
    sizes: dict[str, int] = {}
    if missing:
        for needed in (partial, apt / "lists" / "partial", apt / "cache" / "archives" / "partial"):
            needed.mkdir(parents=True, exist_ok=True)
        (apt / "status").touch()
        sizes = _offered(missing, options, lock, progress)
    total = sum(sizes.values())
    if missing and (free := shutil.disk_usage(folder).free) < total:
        raise DataError(
            f"{folder}: {free / 1e9:.1f} GB free, {total / 1e9:.1f} GB to download; make room and run again"
        )
    with tqdm(total=total, unit="B", unit_scale=True, disable=not (progress and names)) as bar:
        for name in names:
            bar.set_description(name)
            if name in sizes:
                _download(name, sizes[name], partial, options, lock, bar)
            yield name, _deb(folder, name)


def unpack(deb: Path, wanted: Iterable[Pair], receive: Callable[[Pair, IO[bytes]], None]) -> set[Pair]:
    """Read files out of a package.

    Parameters
    ----------
    deb : pathlib.Path
        The package.
    wanted : iterable of (str, str)
        Pairs of archive and member: the exact name of a zip inside the package and of a file inside that, or an empty
        string and the exact name of a file inside the package.
    receive : callable
        Called with each pair that is there, and its bytes as a stream. Links and folders are not files.

    Returns
    -------
    set of (str, str)
        The pairs that the package lacks.

    Raises
    ------
    DataError
        If the package is damaged or a size is beyond the caps; the package is deleted then.

    Examples
    --------
    >>> about = "Package: music\\nVersion: 1\\nArchitecture: all\\n"
    >>> about += "Maintainer: me\\nDescription: music\\n"
    >>> for name, content in {
    ...     "DEBIAN/control": about,
    ...     "usr/share/music/song.ogg": "OggS",
    ... }.items():
    ...     Path("music", name).parent.mkdir(parents=True)
    ...     _ = Path("music", name).write_text(content)
    >>> _ = subprocess.run(
    ...     ["dpkg-deb", "--build", "music", "music.deb"], check=True, capture_output=True
    ... )
    >>> wanted = [("", "usr/share/music/song.ogg"), ("", "usr/share/music/other.ogg")]
    >>> unpack(
    ...     Path("music.deb"), wanted, lambda pair, stream: print(pair[1], stream.read())
    ... )
    usr/share/music/song.ogg b'OggS'
    {('', 'usr/share/music/other.ogg')}
    """
    left = set(wanted)
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", deb], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            with tarfile.open(fileobj=_Capped(process.stdout, deb.name), mode="r|") as tar:
                for info in tar:
                    name = info.name.removeprefix("./")
                    _check(deb.name, name, info.size, MAX_PACKAGE)
                    inside = {pair for pair in left if name == (pair[0] or pair[1])}
                    if inside and info.isreg():
                        left -= _received(deb, name, tar.extractfile(info), info.size, inside, receive)
                    if not left:
                        break
        except _DAMAGE as error:
            deb.unlink(missing_ok=True)
            raise DataError(f"{deb.name}: damaged package ({error}); it is removed, run again") from error
        except DataError:
            deb.unlink(missing_ok=True)
            raise
        finally:
            process.kill()
    return left


def _received(deb: Path, name: str, stream: IO[bytes], size: int, inside: set[Pair], receive: Callable) -> set[Pair]:
    if ("", name) in inside:
        _check(deb.name, name, size, MAX_MEMBER)
        receive(("", name), stream)
        return {("", name)}
    _check(deb.name, name, size, MAX_ARCHIVE)
    with tempfile.TemporaryFile(dir=deb.parent) as seekable:
        shutil.copyfileobj(stream, seekable, 1 << 20)
        with zipfile.ZipFile(seekable) as archive:
            infos = {info.filename: info for info in archive.infolist() if not info.is_dir()}
            there = {pair for pair in inside if pair[1] in infos}
            for pair in sorted(there):
                _check(deb.name, pair[1], infos[pair[1]].file_size, MAX_MEMBER)
                with archive.open(infos[pair[1]]) as file:
                    receive(pair, file)
    return there


def _check(package: str, name: str, size: int, most: int) -> None:
    if size > most:
        raise DataError(f"{package}: {name} claims {size} bytes; expected at most {most}; nothing of it was written")


class _Capped(io.RawIOBase):
    """A stream that refuses to go on for ever, however far a small package inflates."""

    def __init__(self, stream: IO[bytes], name: str):
        self.stream, self.package, self.left = stream, name, MAX_PACKAGE

    def read(self, size: int = -1) -> bytes:
        block = self.stream.read(size)
        self.left -= len(block)
        if self.left < 0:
            raise DataError(
                f"{self.package}: unpacks to more than {MAX_PACKAGE} bytes; not taken for a package of music"
            )
        return block


def _deb(folder: Path, name: str) -> Path | None:
    return next(iter(sorted(folder.glob(f"{name}_*.deb"))), None)


def _run(command: list[str], lock: int) -> subprocess.CompletedProcess:
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, pass_fds=[lock], env=environment
    )


def _offered(names: list[str], options: list[str], lock: int, progress: bool) -> dict[str, int]:
    """Bytes of each package that apt offers."""
    with tqdm(desc="apt-get update", bar_format="{desc}", disable=not progress):
        update = _run(["apt-get", *options, "-q=2", "update"], lock)
    sizes, name = {}, ""
    for line in _run(["apt-cache", *options, "show", "--no-all-versions", *names], lock).stdout.splitlines():
        key, _, value = line.partition(": ")
        if key == "Package":
            name = value.strip()
        elif key == "Size" and name in names:
            sizes[name] = int(value)
    if not sizes:
        why = " ".join(update.stderr.strip().splitlines()[-3:])
        raise DataError(
            f"apt offers none of {', '.join(names[:3])}…: {why or 'not in its lists'}; check: apt-get update"
        )
    return sizes


def _download(name: str, size: int, partial: Path, options: list[str], lock: int, bar: tqdm) -> None:
    start = bar.n
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            ["apt-get", *options, "-q=2", "download", name],
            cwd=partial,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=[lock],
        ) as process,
    ):
        try:
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.2)
                deb = _deb(partial, name)
                bar.update(min(size, deb.stat().st_size if deb else 0) - (bar.n - start))
        finally:
            process.kill()
        errors.seek(0)
        why = " ".join(errors.read().strip().splitlines()[-2:])
    deb = _deb(partial, name)
    if process.returncode or not deb:
        raise DataError(f"{name}: apt-get download failed: {why}; run again, what is there stays")
    os.replace(deb, partial.parent / deb.name)
    bar.update(size - (bar.n - start))
