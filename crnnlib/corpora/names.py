"""Names as text: from tags, folders and lists to track ids and folder names.

Names are text, never code. Runs of white space and control characters become one space, Unicode is composed (NFC),
undecodable bytes become U+FFFD, and an empty name becomes ``(unknown)``; markup stays as it is, to be escaped by
whoever shows it. Inside a track id a slash in a name becomes ``_``.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

__all__ = ["NO_ALBUM", "clean", "is_demo", "listed", "number", "slug", "track_id"]

#: Stands for the album of a track that belongs to none; to a split, all of an artist's are one album.
NO_ALBUM = "(no album)"

_DEMO = re.compile(r"demo(-(seed|producer_effect|artists|albums|songs|seconds)\d+(\.\d+)?(e-\d\d\d?)?)*")


def clean(value: object) -> str:
    """Make one line of text out of a name.

    Parameters
    ----------
    value : object
        A name as a source gives it; None and NaN are empty.

    Returns
    -------
    str
        Not empty, without line breaks, control characters or lone surrogates.

    Examples
    --------
    >>> clean(" Sigur\\tRo\\u0301s\\n"), clean(float("nan")), clean("<b>")
    ('Sigur Rós', '(unknown)', '<b>')
    """
    text = "" if value is None or value != value else str(value)
    text = unicodedata.normalize("NFC", re.sub("[\ud800-\udfff]", "\ufffd", text))
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return " ".join(text.split()) or "(unknown)"


def track_id(artist: str, album: str, title: str) -> str:
    """Join three names to a track id.

    Parameters
    ----------
    artist, album, title : str
        Names as a source gives them.

    Returns
    -------
    str
        One line with exactly two slashes, safe as a relative path.

    Examples
    --------
    >>> track_id("AC/DC", "..", "Back  in\\tBlack")
    'AC_DC/_/Back in Black'
    """
    parts = [clean(name).replace("/", "_") for name in (artist, album, title)]
    return "/".join("_" if set(part) <= {"."} else part for part in parts)


def number(ids: Sequence[str]) -> list[str]:
    """Make ids unique: the second of a kind gets ``(2)``, in the order given.

    Parameters
    ----------
    ids : sequence of str
        Track ids.

    Returns
    -------
    list of str
        As many, all different; the first of each kind keeps its name.

    Examples
    --------
    >>> number(["a/x/Intro", "a/x/Intro", "a/x/Intro (2)"])
    ['a/x/Intro', 'a/x/Intro (3)', 'a/x/Intro (2)']
    """
    given, taken, numbered = set(ids), set(), []
    for original in ids:
        new, count = original, 1
        while new in taken or (new != original and new in given):
            count += 1
            new = f"{original} ({count})"
        taken.add(new)
        numbered.append(new)
    return numbered


def slug(path: str | Path) -> str:
    """Name the corpus of a user's folder or file.

    Parameters
    ----------
    path : str or pathlib.Path
        The folder or file.

    Returns
    -------
    str
        Its name, made safe for a folder, and eight digits of the hash of its resolved path.

    Examples
    --------
    >>> slug("/music/My tunes").rpartition("-")[0]
    'My-tunes'
    """
    path = Path(path).resolve()
    name = re.sub(r"[^A-Za-z0-9._]+", "-", path.stem if path.is_file() else path.name).strip("-.")[:40]
    return f"{name or 'music'}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"


def is_demo(corpus: str) -> bool:
    """Tell whether a corpus is the demo: music that was synthesised.

    Parameters
    ----------
    corpus : str
        Name of a corpus, ``tracks.attrs["corpus"]``.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_demo("demo-seed1"), is_demo("demo-tapes-0c351333")
    (True, False)
    """
    return _DEMO.fullmatch(corpus) is not None


def listed(items: Sequence[str], most: int = 3) -> str:
    """Name the first few of many in a message.

    Parameters
    ----------
    items : sequence of str
        What to name.
    most : int
        How many at most.

    Returns
    -------
    str
        Separated by semicolons, on one line.

    Examples
    --------
    >>> listed(["a", "b", "c"], most=2)
    'a; b; and 1 more'
    """
    shown = "; ".join(clean(item) for item in items[:most])
    return shown + (f"; and {len(items) - most} more" if len(items) > most else "")
