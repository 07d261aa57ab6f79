"""One's own music, by metadata: a CSV beside it, or the tags inside the files.

A row or file without an artist, or whose audio is absent or empty, is reported and left out.
"""

import csv
import struct
from pathlib import Path

import pandas as pd

from crnnlib import files
from crnnlib.corpora import folders, names, table
from crnnlib.errors import DataError

__all__ = ["from_csv", "from_tags", "unusable"]

# What a parser of tags lets through, besides its own error, on files that are damaged.
_PARSER_ERRORS = (
    OSError,
    ValueError,
    LookupError,
    ArithmeticError,
    TypeError,
    AttributeError,
    AssertionError,
    EOFError,
)
_PARSER_ERRORS += (struct.error, RecursionError)


def from_csv(path: str | Path) -> pd.DataFrame:
    """Read a track table that you wrote yourself.

    Parameters
    ----------
    path : str or pathlib.Path
        A CSV file in UTF-8 with the columns ``artist, album, title, path``, and ``seconds`` and ``licence`` if you
        like; paths are relative to the file.

    Returns
    -------
    pandas.DataFrame
        Track table.

    Raises
    ------
    DataError
        If the file cannot be read, lacks a column, or no row is usable.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "song.mp3").write_bytes(b"...")
    >>> _ = (folder / "mine.csv").write_text("artist,album,title,path\\nA,B,C,song.mp3\\n")
    >>> from_csv(folder / "mine.csv").index.to_list()
    ['A/B/C']
    """
    path = files.located(path)
    rows, skipped = [], []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.DictReader(file, skipinitialspace=True, strict=True)
            columns = [column.strip() for column in lines.fieldnames or ()]
            if len(set(columns)) < len(columns):
                raise DataError(f"{path}: a column is named twice: {names.listed(columns, 9)}")
            if missing := [column for column in table.COLUMNS if column not in columns]:
                raise DataError(
                    f"{path}: no column {', '.join(missing)} in its first row, but {names.listed(columns, 9)}"
                )
            lines.fieldnames = columns
            for line in lines:
                row = {column: (line[column] or "").strip() for column in columns}
                song = path.parent / row["path"]
                fault = "no artist" if not row["artist"] else unusable(song)
                if None in line:
                    fault = "more fields than columns; quote names that hold a comma"
                if fault:
                    skipped.append(f"line {lines.line_num}, {row['path']}: {fault}")
                    continue
                row |= {"album": row["album"] or names.NO_ALBUM, "title": row["title"] or song.stem, "path": str(song)}
                if "seconds" in row:
                    row["seconds"] = float(pd.to_numeric(row["seconds"], errors="coerce"))
                rows.append(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: {error}; expected a CSV file in UTF-8 with {', '.join(table.COLUMNS)}") from error
    return table.build(rows, names.slug(path), skipped)


def from_tags(folder: str | Path) -> pd.DataFrame:
    """Read one's own music by the tags in the files, wherever they lie.

    The artist is the album artist where one is given, so that guests do not make new artists; on compilations, marked
    as such or by ``Various Artists``, it is the track's own artist.

    Parameters
    ----------
    folder : str or pathlib.Path
        Searched at any depth.

    Returns
    -------
    pandas.DataFrame
        Track table with `seconds`.

    Raises
    ------
    DataError
        If no file has an artist's name in its tags.

    Examples
    --------
    >>> import numpy as np, soundfile
    >>> with soundfile.SoundFile("a song.flac", "w", samplerate=16000, channels=1) as file:
    ...     file.artist, file.album, file.title = "Ada", "First", "Song"
    ...     file.write(np.zeros(16000))
    >>> from_tags(".")["seconds"].to_dict()
    {'Ada/First/Song': 1.0}
    """
    import mutagen

    root = files.located(folder)
    found, skipped = folders.walk(root)
    rows = []
    for path in found:
        try:
            file = mutagen.File(path)
        except (mutagen.MutagenError, *_PARSER_ERRORS) as error:
            skipped.append(f"{path}: unreadable tags ({names.clean(error)})")
            continue
        tags = {} if file is None or file.tags is None else file.tags
        compilation = _tag(tags, "compilation", "TCMP") == "1"
        artist, leader = _tag(tags, "artist", "TPE1"), _tag(tags, "albumartist", "album artist", "TPE2")
        if leader and not compilation and leader.casefold() not in ("various artists", "various", "va"):
            artist = leader
        if not artist:
            skipped.append(f"{path}: no artist in its tags")
            continue
        album, title = _tag(tags, "album", "TALB") or names.NO_ALBUM, _tag(tags, "title", "TIT2") or path.stem
        seconds = float(getattr(file.info, "length", 0)) or float("nan")
        rows.append({"artist": artist, "album": album, "title": title, "path": str(path), "seconds": seconds})
    return table.build(rows, names.slug(root), sorted(skipped))


def unusable(file: Path) -> str:
    """Say why a file cannot be music, without opening it.

    Parameters
    ----------
    file : pathlib.Path
        Named by a table.

    Returns
    -------
    str
        The reason, or nothing.

    Examples
    --------
    >>> unusable(Path("/nowhere.mp3"))
    'no such file'
    """
    try:
        if not file.is_file():
            return "no such file"
        return "" if file.stat().st_size else "empty file"
    except (OSError, ValueError) as error:
        return names.clean(error)


def _tag(tags, *keys: str) -> str:
    """First value under the first key that has one, on one line; '' without."""
    for key in keys:
        value = tags.get(key)
        value = getattr(value, "text", value)
        value = value[0] if isinstance(value, list) and value else value
        if value and str(value).strip("\x00 \t\r\n"):
            return names.clean(str(value).replace("\x00", " "))
    return ""
