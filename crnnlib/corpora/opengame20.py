"""opengame20: freely licensed music of 20 artists, brought by apt out of the packages of free games.

``opengame20.csv`` lists 204 tracks with artist, album, title, Debian package, member path (inside `archive`, a zip,
where that is set), length, licence and SHA-256. `fetch` downloads the packages without root, takes out exactly those
members and deletes the rest; a file in the corpus' folder is whole and verified, or absent. Most artists come from one
game, so artist, game and encoder are confounded: `book/credits.md` names the source of every track.
"""

import hashlib
import shutil
from pathlib import Path
from typing import IO

import pandas as pd

from crnnlib import files
from crnnlib.corpora import names, table
from crnnlib.errors import DataError

__all__ = ["SMALL", "credits", "fetch", "listing", "load"]

#: Packages of the small selection, 189 MB to download, five artists, two of them with two albums.
SMALL = ("davegnukem-data", "marsshooter-data", "pushover-data", "singularity-music", "wizznic-data")

_LISTING = Path(__file__).with_name("opengame20.csv")


def listing(small: bool = False) -> pd.DataFrame:
    """List the tracks with the package, member and hash of each.

    Parameters
    ----------
    small : bool
        Only the five artists of the small selection.

    Returns
    -------
    pandas.DataFrame
        A track table with ``package, member, archive, label_source, sha256`` beside the usual columns; the files at
        `path` need not exist.

    Examples
    --------
    >>> len(listing()), listing(small=True)["artist"].nunique()
    (204, 5)
    """
    rows = pd.read_csv(_LISTING, keep_default_na=False)
    if small:
        rows = rows[rows["package"].isin(SMALL)]
    rows.index = pd.Index(map(names.track_id, rows["artist"], rows["album"], rows["title"]), name="track_id")
    rows["path"] = [str(_folder() / f"{i}{Path(m).suffix}") for i, m in rows["member"].items()]
    rows.attrs["corpus"] = "opengame20-small" if small else "opengame20"
    return table.validate(rows.sort_index())


def load(small: bool = False) -> pd.DataFrame:
    """Load the track table; the music must have been fetched.

    Parameters
    ----------
    small : bool
        Only the five artists of the small selection, which shares its files with the whole.

    Returns
    -------
    pandas.DataFrame
        204 tracks (small: 54), with `seconds` and `licence`.

    Raises
    ------
    DataError
        If files are missing.

    Examples
    --------
    >>> load(small=True)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    crnnlib.errors.DataError: opengame20-small: 54 of 54 tracks are not below ...; run: crnnlib fetch opengame20 --small
    """
    tracks = listing(small)
    missing = [i for i, path in tracks["path"].items() if not Path(path).is_file()]
    if missing:
        raise DataError(
            f"{tracks.attrs['corpus']}: {len(missing)} of {len(tracks)} tracks are not below {_folder()}: "
            f"{names.listed(missing)}; run: {_command(small)}"
        )
    return tracks[[*table.COLUMNS, "seconds", "licence"]]


def fetch(small: bool = False, allow_changed: bool = False, progress: bool = True) -> pd.DataFrame:
    """Bring the music into the cache: download what is missing, unpack the tracks, verify each.

    Safe to interrupt and to run twice at once: what is there and verified stays, a partial download is resumed.

    Parameters
    ----------
    small : bool
        Only the five artists of the small selection (189 MB to download instead of 1.9 GB).
    allow_changed : bool
        Keep a track whose SHA-256 is not the recorded one (another version of its package).
    progress : bool
        Show a progress bar in bytes.

    Returns
    -------
    pandas.DataFrame
        The track table, as from `load`.

    Raises
    ------
    DataError
        If there is no apt; if a download fails or a package is damaged; and, after all else is in place, if tracks are
        changed or absent.

    Examples
    --------
    >>> fetch(small=True)  # doctest: +SKIP
    """
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if not shutil.which(tool):
            raise DataError(
                f"opengame20: {tool} not found, and the music comes out of Debian packages. In a container: docker run "
                f'--rm -v "$PWD":/src -v "{files.home()}":/cache -e CRNNLIB_HOME=/cache python:3.12-bookworm '
                f'sh -c "pip install /src && {_command(small)}"; the demo needs nothing: CRNNLIB_CORPUS=demo'
            )
    from crnnlib.corpora import packages  # POSIX only

    tracks, folder = listing(small), _folder()
    folder.mkdir(parents=True, exist_ok=True)
    with packages.alone(folder, progress) as lock:
        files.sweep(folder)
        recorded = zip(tracks["path"], tracks["sha256"], strict=True)
        rows = tracks[[not _present(path, sha256, allow_changed) for path, sha256 in recorded]]
        changed, lacking = _bring(rows, allow_changed, folder / "packages", lock, progress) if len(rows) else ([], [])
        with files.atomic(folder / "CREDITS.md") as temporary:
            temporary.write_text(credits(), encoding="utf-8")
        shutil.rmtree(folder / "packages", ignore_errors=True)
    if changed or lacking:
        raise DataError(_shortfall(tracks, changed, lacking, small))
    return load(small)


def credits() -> str:
    """Name the author, source and licence of every track.

    Returns
    -------
    str
        The Markdown page `book/credits.md`, which is also written beside the music.

    Examples
    --------
    >>> print(credits().splitlines()[0])
    # Credits of opengame20
    """
    tracks = listing()
    tracks = tracks.assign(**{c: tracks[c].map(_escaped) for c in ("artist", "album", "title", "licence")})
    n_artists, hours = tracks["artist"].nunique(), tracks["seconds"].sum() / 3600
    lines = [
        "# Credits of opengame20",
        "",
        f"The corpus opengame20 is music by {n_artists} artists out of free games, under free licences:",
        f"{len(tracks)} tracks, {hours:.1f} hours. No audio is part of the repository; `crnnlib fetch",
        "opengame20` brings it out of the Debian packages named here, and a book that was built where it lies plays",
        "some of it. The licence is the one that the package states,",
        "for the music or, where the table says so, for the whole package; who made a track comes from its tags, its",
        "file name or the credits in its package.",
        "",
        "Most artists come from one game, so artist, game and encoder are confounded. Two groups allow a control",
        "within one game: Psymong, Crystan and Marine (UFO: Alien Invasion); Askyel, Nikola Whallon and Ken Seguro",
        "(Naev, with which Ken Seguro's music for Vega Strike ships; half of Nikola Whallon's is Widelands').",
    ]
    for artist, rows in tracks.groupby("artist"):
        lines += ["", f"## {artist}", "", "| title | album | licence | package |", "|---|---|---|---|"]
        lines += [f"| {r.title} | {r.album} | {r.licence} | `{r.package}` |" for r in rows.itertuples()]
    return "\n".join(lines) + "\n"


def _folder() -> Path:
    return files.home() / "corpora" / "opengame20"


def _command(small: bool) -> str:
    return f"crnnlib fetch opengame20{' --small' if small else ''}"


def _present(path: str, sha256: str, allow_changed: bool) -> bool:
    """Whether a file is there and the recorded one; a damaged or changed one makes room for a new download."""
    if not Path(path).is_file():
        return False
    with Path(path).open("rb") as file:
        same = hashlib.file_digest(file, "sha256").hexdigest() == sha256
    if not (same or allow_changed):
        Path(path).unlink()
    return same or allow_changed


def _bring(rows: pd.DataFrame, allow_changed: bool, folder: Path, lock: int, progress: bool) -> tuple[list, list]:
    """Download and unpack what is missing; ids of tracks whose bytes changed, and of those that no package has."""
    from crnnlib.corpora import packages

    changed, lacking = [], []
    for package, deb in packages.download(rows["package"], folder, lock, progress):
        here = rows[rows["package"] == package]
        track = dict(zip(zip(here["archive"], here["member"], strict=True), here.index, strict=True))

        def keep(pair, stream, here=here, track=track):
            path, sha256 = here.loc[track[pair], ["path", "sha256"]]
            if not _keep(stream, Path(path), sha256, allow_changed):
                changed.append(track[pair])

        absent = packages.unpack(deb, track, keep) if deb else set(track)
        lacking += sorted(track[pair] for pair in absent)
        if deb:
            deb.unlink()
    return changed, lacking


def _keep(stream: IO[bytes], path: Path, sha256: str, allow_changed: bool) -> bool:
    """Write a stream as a file if it is the recorded one."""
    digest = hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with files.atomic(path) as temporary:
            with temporary.open("wb") as file:
                while block := stream.read(1 << 20):
                    digest.update(block)
                    file.write(block)
            if digest.hexdigest() != sha256 and not allow_changed:
                raise _ChangedError
    except _ChangedError:
        return False
    return True


class _ChangedError(Exception):
    """Leaves a file unwritten."""


def _shortfall(tracks: pd.DataFrame, changed: list[str], lacking: list[str], small: bool) -> str:
    there = len(tracks) - len(changed) - len(lacking)
    parts = [f"{tracks.attrs['corpus']}: {there} of {len(tracks)} tracks are in place"]
    if changed:
        parts.append(
            f"{len(changed)} differ from the recorded ones and are left out: {names.listed(changed, len(changed))}; to "
            f"keep them run: {_command(small)} --allow-changed"
        )
    if lacking:
        parts.append(
            f"{len(lacking)} are not in this system's packages (Debian 12 has all): {names.listed(lacking, 20)}; what "
            f"is there serves as a corpus of its own: CRNNLIB_CORPUS={_folder()}"
        )
    return "; ".join(parts)


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|$" else c for c in text)
