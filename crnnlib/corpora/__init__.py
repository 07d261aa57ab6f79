"""Every source of music ends in one track table.

`crnnlib.corpora.table` says what that is; `select`, `summary`, `carries` and `validate` are found here as well.
Three corpora have names, and a part of one: ``demo`` is synthesised on the spot, ``opengame20`` is free music that
`opengame20.fetch` brings, ``artist20`` is sent on request. Anything else is a path: a tree artist/album/song, a pile
of tagged files, a CSV, FMA's tracks.csv, an MTG-Jamendo TSV. See chapter 1.
"""

import csv
import difflib
import os
import re
from pathlib import Path

import pandas as pd

from crnnlib.corpora import datasets, folders, metadata
from crnnlib.corpora.folders import artist20, artist20_lists, from_folder
from crnnlib.corpora.metadata import from_tags
from crnnlib.corpora.names import is_demo
from crnnlib.corpora.table import carries, select, summary, validate
from crnnlib.errors import DataError, ParameterError
from crnnlib.files import located

__all__ = [
    "artist20_lists",
    "carries",
    "from_folder",
    "from_tags",
    "is_demo",
    "load",
    "max_s",
    "select",
    "summary",
    "validate",
]

_NAMES = ("demo", "opengame20", "opengame20-small", "artist20")


def load(source: str | Path | None = None) -> pd.DataFrame:
    """Load the track table of a corpus.

    Parameters
    ----------
    source : str or pathlib.Path, optional
        ``demo`` (with settings, if need be: ``demo-seed1-producer_effect0``), ``opengame20``, ``opengame20-small``,
        ``artist20``, or the path of a folder, a ``.csv`` or a ``.tsv``. By default ``$CRNNLIB_CORPUS``, or the demo.

    Returns
    -------
    pandas.DataFrame
        Track table; see `crnnlib.corpora.table`.

    Raises
    ------
    ParameterError
        If `source` is empty, or neither text nor a path, or asks of the demo what it has not.
    DataError
        If there is no usable music; the message says what was expected, and what to do.

    Examples
    --------
    >>> load("nowhere/music")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    crnnlib.errors.DataError: .../nowhere/music: no such file or folder; expected one of demo, opengame20, ...
    """
    source = source if source is not None else os.environ.get("CRNNLIB_CORPUS") or "demo"
    if not isinstance(source, str | Path) or not str(source).strip():
        raise ParameterError(f"source={source!r}: expected one of {', '.join(_NAMES)}, or a path")
    if source == "artist20":
        return artist20()
    if source in ("opengame20", "opengame20-small"):
        from crnnlib.corpora import opengame20

        return opengame20.load(small=source != "opengame20")
    if isinstance(source, str) and re.fullmatch(r"demo(-.*)?", source) and not Path(source).exists():
        return _demo(source)
    path = located(source)
    return _from_folder(path) if path.is_dir() else _from_file(path, source)


def max_s(tracks: pd.DataFrame) -> float | None:
    """Tell how much of each track this book uses, unless told otherwise.

    Parameters
    ----------
    tracks : pandas.DataFrame
        Of `corpora.load`.

    Returns
    -------
    float or None
        Seconds from the middle of a track: 120 of opengame20, whose tracks are long; None, all, of any other music.

    Examples
    --------
    >>> opengame20 = pd.DataFrame()
    >>> opengame20.attrs["corpus"] = "opengame20-small"
    >>> max_s(opengame20)
    120.0
    """
    return 120.0 if tracks.attrs["corpus"] in ("opengame20", "opengame20-small") else None


def _demo(source: str) -> pd.DataFrame:
    from crnnlib.corpora import demo

    found = re.findall(r"-(seed|producer_effect)(\d+(?:\.\d+)?)", source)
    if "demo" + "".join(f"-{key}{value}" for key, value in found) != source:
        raise ParameterError(f"source={source!r}: expected demo, or e.g. demo-seed1-producer_effect0.5")
    settings: dict = {key: float(value) if "." in value else int(value) for key, value in found}
    return demo.make(**settings)


def _from_folder(path: Path) -> pd.DataFrame:
    if folders.is_artist20(path):
        return folders.artist20(path)
    found, _ = folders.walk(path)
    flat = bool(found) and all(file.parent == path for file in found)
    return from_tags(path) if flat else folders.from_folder(path)


def _from_file(path: Path, source: str | Path) -> pd.DataFrame:
    if not path.exists():
        near = difflib.get_close_matches(str(source), _NAMES, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise DataError(f"{path}: no such file or folder; expected one of {', '.join(_NAMES)}, or a path{hint}")
    if path.suffix.lower() == ".tsv":
        return datasets.from_jamendo(path)
    if path.suffix.lower() != ".csv":
        raise DataError(f"{path}: expected a folder of music, a .csv or a .tsv; for one song give a folder around it")
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            first = next(csv.reader(file), [])
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: {error}; expected a CSV file that can be read") from error
    is_fma = first[:1] == [""] and {"album", "artist", "set", "track"} <= set(first)
    return datasets.from_fma(path) if is_fma else metadata.from_csv(path)
