"""How every figure looks: colours per artist, a template for light and dark pages, the name of the corpus.

Conventions: paper and plot are transparent and text is mid-grey, so that a figure is legible on white and near-black;
``figures.js`` sharpens text and grid when the page's mode is known. Twenty colours hold 2.5 to 1 against both pages,
and five marker symbols take turns: artists with the same symbol lie at least 20 apart in CIELAB for full colour vision,
protanopia, deuteranopia and tritanopia alike (simulated after Machado et al., 2009).
"""

import html
import textwrap
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go

from crnnlib.corpora.names import is_demo

__all__ = ["PALETTE", "Style", "blank", "corpus_label", "menu", "pale", "stamp", "styles", "text", "wrapped"]

# fmt: off
#: Twenty colours; those that share a symbol are far apart.
PALETTE = (
    "#aa3161", "#793db6", "#499eff", "#c20c00", "#e78618", "#920cff", "#246d00", "#b69255", "#31b686", "#619e86",
    "#929ece", "#c2616d", "#0c619e", "#556186", "#9e61aa", "#b6866d", "#189eb6", "#865531", "#b679e7", "#496d3d",
)
# fmt: on
#: Marker symbols that WebGL draws; one a colour, in turn.
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x")
#: What is not data, as reference lines, training clips, lines of chance.
GREY = "#8a8f98"
#: The two levels and the two splits, the same in every figure.
LEVEL_COLOURS = {"clip": "#499eff", "song": "#e78618"}
SPLIT_DASHES = {"song": "solid", "album": "dash"}
#: From short clips to long ones.
ORDERED = ("#7a4fd0", "#3f7fd8", "#1b97a3", "#3d9b4e", "#b08a12", "#d9642b")

_AXIS = {
    "automargin": True,
    "gridcolor": "rgba(128,128,128,0.25)",
    "linecolor": "rgba(128,128,128,0.6)",
    "zerolinecolor": "rgba(128,128,128,0.5)",
    "ticks": "outside",
    "tickcolor": "rgba(128,128,128,0.6)",
    "title": {"standoff": 8},
}
_TEMPLATE = go.layout.Template(
    layout={
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "#767b84", "size": 13},
        "colorway": PALETTE,
        "margin": {"l": 60, "r": 16, "t": 28, "b": 52},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "legend": {"itemsizing": "constant", "itemwidth": 44, "bgcolor": "rgba(0,0,0,0)"},
        "hoverlabel": {"align": "left"},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#767b84", "activecolor": "#499eff"},
    }
)


class Style(NamedTuple):
    """How one artist is drawn.

    Parameters
    ----------
    colour : str
        Hexadecimal, from `PALETTE`.
    symbol : str
        Marker symbol of plotly.

    Examples
    --------
    >>> Style("#aa3161", "circle").symbol
    'circle'
    """

    colour: str
    symbol: str


def styles(artists: pd.DataFrame | Iterable[str]) -> dict[str, Style]:
    """Give each artist a colour and a marker symbol.

    Make it once, from the whole corpus, and hand it to every figure: then an artist looks the same everywhere, also
    where a figure shows only some.

    Parameters
    ----------
    artists : pandas.DataFrame or iterable of str
        A track table, or names. Order and repeats do not matter.

    Returns
    -------
    dict
        From artist to `Style`, sorted by name. After twenty artists colours repeat with other symbols.

    Examples
    --------
    >>> styles(["Mozart", "Bach", "Bach"])["Bach"]
    Style(colour='#aa3161', symbol='circle')
    """
    names = artists["artist"] if isinstance(artists, pd.DataFrame) else artists
    names = sorted({str(name) for name in names})
    turn, kinds = len(PALETTE), len(SYMBOLS)
    return {name: Style(PALETTE[i % turn], SYMBOLS[(i + i // turn) % kinds]) for i, name in enumerate(names)}


def pale(colour: str) -> str:
    """A colour to fill areas with, on which points and intervals can be seen.

    Parameters
    ----------
    colour : str
        Hexadecimal.

    Returns
    -------
    str
        The same, a quarter opaque.

    Examples
    --------
    >>> pale("#499eff")
    'rgba(73, 158, 255, 0.25)'
    """
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return f"rgba({red}, {green}, {blue}, 0.25)"


def text(value, longest: int = 60) -> str:
    """A name as plotly shows it: underscores are spaces, and markup in it stays visible instead of acting.

    Parameters
    ----------
    value : object
        Usually a name of an artist, album or song.
    longest : int
        Longer names are cut.

    Returns
    -------
    str

    Examples
    --------
    >>> text("<b>Loud</b> & Clear"), text("Night_Ferry")
    ('&lt;b&gt;Loud&lt;/b&gt; &amp; Clear', 'Night Ferry')
    >>> text("Concerto in D minor", longest=9)
    'Concerto…'
    """
    name = str(value).replace("_", " ")
    return html.escape(name if len(name) <= longest else name[: longest - 1].rstrip() + "…", quote=False)


def wrapped(value, width: int = 26) -> str:
    """A label in lines of up to `width` characters, so that on a phone there is room for what it labels.

    Parameters
    ----------
    value : object
        What is to be read.
    width : int
        Of a line, in characters; single words may be longer.

    Returns
    -------
    str
        As `text` makes it, with ``<br>`` between lines.

    Examples
    --------
    >>> wrapped("song split, nearest_neighbour", 20)
    'song split, nearest<br>neighbour'
    """
    lines = textwrap.wrap(str(value).replace("_", " "), width, break_long_words=False, break_on_hyphens=False)
    return "<br>".join(map(text, lines))


def menu(name: str, choices: list[tuple], position: float = 0.0) -> dict:
    """A drop-down menu above a figure; on the site it becomes a native list that the keyboard reaches.

    Parameters
    ----------
    name : str
        What is chosen.
    choices : list of (str, list)
        Label, and arguments of plotly's `update`: changes of the traces, then of the layout.
    position : float
        Left edge, as a share of the width.

    Returns
    -------
    dict
        One item of ``layout.updatemenus``.

    Examples
    --------
    >>> menu("Artist", [("Bach", [{"visible": [True, False]}])])["buttons"][0]["label"]
    'Bach'
    """
    buttons = [{"label": text(label, 28), "method": "update", "args": list(args)} for label, args in choices]
    place = {"x": position, "y": 1.02, "xanchor": "left", "yanchor": "bottom", "showactive": True}
    return place | {"name": name, "buttons": buttons}


def blank(**layout) -> go.Figure:
    """Start a figure in the book's template.

    Parameters
    ----------
    **layout
        Layout properties of plotly.

    Returns
    -------
    plotly.graph_objects.Figure

    Examples
    --------
    >>> blank(height=300).layout.height
    300
    """
    return go.Figure(layout={"template": _TEMPLATE, "height": 420} | layout)


def corpus_label(corpus: pd.DataFrame | str) -> str:
    """What a figure says of the music behind it.

    Parameters
    ----------
    corpus : pandas.DataFrame or str
        A track table, or the name of a corpus.

    Returns
    -------
    str

    Examples
    --------
    >>> corpus_label("demo"), corpus_label("opengame20")
    ('synthetic corpus', 'corpus: opengame20')
    """
    name = corpus.attrs.get("corpus", "unnamed") if isinstance(corpus, pd.DataFrame) else corpus
    return "synthetic corpus" if is_demo(name) else f"corpus: {name}"


def stamp(figure: go.Figure, corpus: pd.DataFrame | str) -> go.Figure:
    """Write the corpus into a corner of a figure, so that a screenshot still tells it.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        Left as it is.
    corpus : pandas.DataFrame or str
        A track table, or the name of a corpus.

    Returns
    -------
    plotly.graph_objects.Figure
        A copy with the label.

    Examples
    --------
    >>> stamp(blank(), "demo").layout.annotations[-1].text
    'synthetic corpus'
    """
    # Left, since plotly's buttons appear on the right.
    corner = {"xref": "paper", "yref": "paper", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"}
    label = {"text": text(corpus_label(corpus)), "showarrow": False, "font": {"size": 11}, "name": "corpus"}
    titled = any(note.y == 1 for note in figure.layout.annotations)
    figure = go.Figure(figure).add_annotation(corner | label | {"yshift": 24 if titled else 6})
    return figure.update_layout(margin_t=54) if titled else figure
