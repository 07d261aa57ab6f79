"""Published datasets by their tables: FMA's tracks.csv and MTG-Jamendo's TSV.

Tables are read as text; a row whose audio is empty, or whose artist is unknown, is reported and left out, and rows
without audio are counted, since most people hold a part. Artists that share a name but not an id stay apart,
``Name [id]``, and so do albums of one artist.
"""

import csv
import warnings
from collections import defaultdict
from pathlib import Path

import pandas as pd

from crnnlib import files
from crnnlib.corpora import metadata, names, table
from crnnlib.errors import DataError

__all__ = ["from_fma", "from_jamendo"]

_EXCERPT_S = 30.0
_JAMENDO = ("TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS")


def from_fma(path: str | Path, audio: str | Path | None = None) -> pd.DataFrame:
    """Read the Free Music Archive dataset.

    Its official split is by artist, so split it again. All but ``fma_full`` are excerpts of 30 s.

    Parameters
    ----------
    path : str or pathlib.Path
        ``tracks.csv`` of ``fma_metadata``.
    audio : str or pathlib.Path, optional
        Folder of the audio; by default ``fma_full``, ``fma_large``, ``fma_medium`` or ``fma_small`` beside the CSV or
        its folder, the largest there is.

    Returns
    -------
    pandas.DataFrame
        Track table with `seconds` and `licence`, of the tracks whose audio is there.

    Raises
    ------
    DataError
        If the table is not FMA's, or there is no audio.

    References
    ----------
    Defferrard et al., "FMA: a dataset for music analysis", ISMIR 2017.

    Examples
    --------
    >>> rows = [
    ...     ",album,album,artist,artist,track,track,track",
    ...     ",id,title,id,name,duration,license,title",
    ... ]
    >>> rows += ["track_id,,,,,,,", "2,1,AWOL - A Way Of Life,1,AWOL,168,CC BY-NC-SA,Food"]
    >>> _ = Path("tracks.csv").write_text("\\n".join(rows))
    >>> Path("fma_small/000").mkdir(parents=True)
    >>> _ = Path("fma_small/000/000002.mp3").write_bytes(b"...")
    >>> from_fma("tracks.csv")["seconds"].to_dict()
    {'AWOL/AWOL - A Way Of Life/Food': 30.0}
    """
    path = files.located(path)
    try:
        read = pd.read_csv(path, header=[0, 1], index_col=0, dtype=str, keep_default_na=False, encoding="utf-8")
        columns = {
            key: read[pair].to_list()
            for key, pair in {
                "artist": ("artist", "name"), "artist_id": ("artist", "id"), "album": ("album", "title"),
                "album_id": ("album", "id"), "title": ("track", "title"), "seconds": ("track", "duration"),
                "licence": ("track", "license"),
            }.items()
        }  # fmt: skip
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        numbers = [int(i) for i in read.index]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path}: {names.clean(error)}; expected tracks.csv of fma_metadata, as FMA ships it"
        ) from error
    audio = _fma_audio(path, audio)
    kept, skipped = [], []
    for number, row in zip(numbers, rows, strict=True):
        file = audio / f"{number // 1000:03d}" / f"{number:06d}.mp3"
        if not file.exists():
            continue
        if fault := metadata.unusable(file) or (not row["artist"].strip() and "no artist"):
            skipped.append(f"{file}: {fault}")
            continue
        seconds = pd.to_numeric(row["seconds"], errors="coerce")
        row["seconds"] = float(seconds if audio.name == "fma_full" else min(seconds, _EXCERPT_S))
        kept.append({**row, "title": row["title"].strip() or file.stem, "path": str(file)})
    if not kept:
        raise DataError(f"{audio}: none of the {len(rows)} tracks of {path.name}; expected e.g. {audio}/000/000002.mp3")
    _keep_apart(kept)
    excerpts = "" if audio.name == "fma_full" else "; excerpts of 30 s: one clip a song at 20 or 30 s"
    warnings.warn(f"{audio}: audio of {len(kept)} of FMA's {len(rows)} tracks{excerpts}", stacklevel=2)
    return table.build(kept, names.slug(audio), skipped)


def from_jamendo(path: str | Path, audio: str | Path | None = None) -> pd.DataFrame:
    """Read the MTG-Jamendo dataset; its artists and albums are numbers.

    Parameters
    ----------
    path : str or pathlib.Path
        One of its TSV files, e.g. ``raw_30s.tsv``: six columns, the last repeated for each tag.
    audio : str or pathlib.Path, optional
        Folder with ``14/214.mp3`` or ``14/214.low.mp3``; by default the TSV's own, or ``audio`` or ``mp3`` in it.

    Returns
    -------
    pandas.DataFrame
        Track table with `seconds`, of the tracks whose audio is there.

    Raises
    ------
    DataError
        If the table is not MTG-Jamendo's, or there is no audio.

    References
    ----------
    Bogdanov et al., "The MTG-Jamendo dataset for automatic music tagging", ICML workshop 2019.

    Examples
    --------
    >>> Path("14").mkdir()
    >>> _ = Path("14/214.mp3").write_bytes(b"...")
    >>> head = "TRACK_ID ARTIST_ID ALBUM_ID PATH DURATION TAGS".split()
    >>> row = (
    ...     "track_0000214 artist_000014 album_000031 14/214.mp3 124.6 genre---punk".split()
    ... )
    >>> _ = Path("raw_30s.tsv").write_text("\\t".join(head) + "\\n" + "\\t".join(row))
    >>> from_jamendo("raw_30s.tsv")["seconds"].to_dict()
    {'artist_000014/album_000031/track_0000214': 124.6}
    """
    path = files.located(path)
    roots = [files.located(audio)] if audio else [path.parent, path.parent / "audio", path.parent / "mp3"]
    rows, skipped, listed = [], [], 0
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if tuple(next(lines, ()))[:6] != _JAMENDO:
                raise DataError(f"{path}: expected MTG-Jamendo's header, {' '.join(_JAMENDO)}, between tabs")
            for number, fields in enumerate(filter(None, lines), 2):
                listed += 1
                if len(fields) < 5:
                    skipped.append(f"{path.name}, line {number}: {len(fields)} fields, expected 5 and tags")
                    continue
                track, artist, album, member, seconds = fields[:5]
                either = (member, member.removesuffix(".mp3") + ".low.mp3")
                song = next((p for root in roots for m in either if (p := root / m).exists()), None)
                if song and (fault := metadata.unusable(song)):
                    skipped.append(f"{song}: {fault}")
                elif song:
                    row = {"artist": artist, "album": album, "title": track, "path": str(song)}
                    rows.append({**row, "seconds": float(pd.to_numeric(seconds, errors="coerce"))})
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: {error}; expected a TSV of MTG-Jamendo") from error
    if not rows:
        where = names.listed([str(root) for root in roots])
        raise DataError(f"{path}: none of its {listed} tracks below {where}; expected e.g. 14/214.mp3 there")
    return table.build(rows, names.slug(path), skipped)


def _fma_audio(path: Path, audio: str | Path | None) -> Path:
    if audio:
        return files.located(audio)
    for name in ("fma_full", "fma_large", "fma_medium", "fma_small"):
        for beside in (path.parent, path.parent.parent):
            if (beside / name).is_dir():
                return beside / name
    raise DataError(f"{path}: no fma_small (or medium, large, full) beside it or its folder; unpack the audio there")


def _keep_apart(rows: list[dict]) -> None:
    """Add the id to the name of an artist or album that another shares; album -1 is none."""
    for row in rows:
        if row["album_id"] in ("", "-1", "-1.0"):
            row["album"], row["album_id"] = names.NO_ALBUM, ""
    for what, within in (("artist", ()), ("album", ("artist",))):
        ids = defaultdict(set)
        for row in rows:
            ids[(*(row[w] for w in within), names.clean(row[what]))].add(row[f"{what}_id"])
        for row in rows:
            if len(ids[(*(row[w] for w in within), names.clean(row[what]))]) > 1:
                row[f"{what}_new"] = f"{names.clean(row[what])} [{row[f'{what}_id']}]"
        for row in rows:
            row[what] = row.pop(f"{what}_new", row[what])
