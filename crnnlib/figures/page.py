"""From a figure to a page: with a caption, a text for those who do not see it, and sound where there is some.

A notebook's output carries two forms: plotly's JSON, which JupyterLab draws, and HTML, which the book shows. The HTML
holds data only; ``figures.js`` draws it when it comes into view, in the colours of the page, and makes native lists of
its menus. What stands between ``<!--lab-->`` and ``<!--/lab-->`` is for JupyterLab; the book's extension drops it.
See chapter 1.
"""

import hashlib
import html
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import plotly.graph_objects as go
import plotly.io

from crnnlib import files
from crnnlib.errors import ParameterError
from crnnlib.figures import theme
from crnnlib.figures.audio import Player, listen_folder

__all__ = ["Embedded", "embed", "save", "show"]

#: Script and style that a page with figures needs, besides plotly's own script.
ASSETS = Path(__file__).with_name("figures.js"), Path(__file__).with_name("figures.css")
#: No logo, and no button that uploads the chart.
CONFIG = {
    "displaylogo": False,
    "responsive": True,
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": ["sendChartToCloud", "sendDataToCloud", "select2d", "lasso2d", "autoScale2d"],
}
#: On a page of its own a figure follows the system, which the theme of a book does by itself.
_FOLLOW = (
    'const dark = matchMedia("(prefers-color-scheme: dark)"), '
    'follow = () => { document.documentElement.dataset.theme = dark.matches ? "dark" : "light"; }; '
    'follow(); dark.addEventListener("change", follow);'
)


@dataclass(frozen=True)
class Embedded:
    """A figure with all that a page says about it; `embed` makes it, notebooks display it.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        With the corpus' label in place.
    caption : str
        Text below the figure.
    alt : str
        Text for those who cannot see it.
    player : Player, optional
        What a click plays.

    Examples
    --------
    >>> Embedded(theme.blank(), "Nothing yet.", "An empty plot.").site()[:28]
    '<figure class="crnn-figure" '
    """

    figure: go.Figure
    caption: str
    alt: str
    player: Player | None = None

    def site(self) -> str:
        """HTML for the book."""
        told = plotly.io.to_json(self.figure, validate=False).replace("<", "\\u003c")
        name = "figure-" + hashlib.sha256(told.encode()).hexdigest()[:10]
        return (
            f'<figure class="crnn-figure" id="{name}" data-traces="{len(self.figure.data)}">'
            f'<div class="crnn-plot" data-alt="{html.escape(self.alt)}" style="height:{self.figure.layout.height}px">'
            f"<noscript>{html.escape(self.alt)}</noscript></div>"
            f'<script type="application/json">{told}</script>'
            f"{self.player.site() if self.player else ''}"
            f"<figcaption>{html.escape(self.caption)}</figcaption></figure>"
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        drawing = json.loads(plotly.io.to_json(self.figure, validate=False)) | {"config": CONFIG}
        return {"application/vnd.plotly.v1+json": drawing, "text/html": self.site(), "text/plain": self.alt}


def embed(
    figure: go.Figure, caption: str, alt: str, corpus: pd.DataFrame | str | None = None, player: Player | None = None
) -> Embedded:
    """Give a figure its caption, its alternative text and its corpus.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        From one of the functions of this package.
    caption : str
        The one claim that the figure makes, with units.
    alt : str
        What is to be seen, for those who do not see it.
    corpus : pandas.DataFrame or str, optional
        A track table or the name of a corpus, written into the figure. None where no music is behind it.
    player : Player, optional
        From `player`: a click on a point plays it.

    Returns
    -------
    Embedded

    Raises
    ------
    ParameterError
        If `caption` or `alt` is empty.

    Examples
    --------
    >>> drawing = embed(theme.blank(), "Nothing yet.", "An empty plot.", "demo")
    >>> drawing.figure.layout.annotations[0].text
    'synthetic corpus'
    """
    for name, words in (("caption", caption), ("alt", alt)):
        if not words.strip():
            raise ParameterError(f"{name}={words!r}: expected a sentence; a reader may see nothing else")
    return Embedded(theme.stamp(figure, corpus) if corpus is not None else figure, caption, alt, player)


def show(
    figure: go.Figure, caption: str, alt: str, corpus: pd.DataFrame | str | None = None, player: Player | None = None
) -> None:
    """Display a figure in a notebook; JupyterLab gets caption and player as a second output.

    Parameters
    ----------
    figure, caption, alt, corpus, player
        As for `embed`.

    Raises
    ------
    ParameterError
        If `caption` or `alt` is empty.

    Examples
    --------
    >>> show(theme.blank(), caption="Nothing yet.", alt="")
    Traceback (most recent call last):
        ...
    crnnlib.errors.ParameterError: alt='': expected a sentence; a reader may see nothing else
    """
    from IPython.display import HTML, display

    display(embed(figure, caption, alt, corpus, player))
    display(HTML(f"<!--lab--><p><i>{html.escape(caption)}</i></p>{player.lab() if player else ''}<!--/lab-->"))


def save(
    figure: go.Figure,
    path: str | Path,
    caption: str,
    alt: str,
    corpus: pd.DataFrame | str | None = None,
    player: Player | None = None,
) -> Path:
    """Write a page that stands alone; script and sound go into a folder beside it.

    Parameters
    ----------
    figure, caption, alt, corpus, player
        As for `embed`.
    path : str or pathlib.Path
        Of the page; ``map.html`` gets a folder ``map_files``.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    ParameterError
        If `caption` or `alt` is empty, or `path` is a folder or a device.

    Examples
    --------
    >>> save(theme.blank(), "map.html", "Nothing yet.", "An empty plot.").name
    'map.html'
    """
    from plotly.offline import get_plotlyjs

    if not Path(path).name or (Path(path).exists() and not Path(path).is_file()):
        raise ParameterError(f"{str(path)!r}: expected the name of a file, e.g. map.html")
    path = Path(path).resolve()
    beside = path.with_name(f"{path.stem}_files")
    script, style = (asset.read_text("utf-8") for asset in ASSETS)
    body = embed(figure, caption, alt, corpus, player).site()
    with files.atomic(beside / "plotly.min.js") as temporary:
        temporary.write_text(get_plotlyjs(), "utf-8")
    for name in player.files if player else ():
        with files.atomic(beside / name) as temporary:
            shutil.copyfile(listen_folder() / name, temporary)
    with files.atomic(path) as temporary:
        temporary.write_text(
            f'<!DOCTYPE html>\n<html lang="en" data-crnn-audio="{quote(beside.name)}/"><head>'
            f'<meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width"><title>{html.escape(caption)}</title>'
            f"<script>{_FOLLOW}</script><style>:root{{color-scheme:light dark}}"
            f"body{{font-family:sans-serif;margin:1em auto;max-width:70em;padding:0 1em}}{style}</style>"
            f'<script defer src="{quote(beside.name)}/plotly.min.js"></script></head><body><main>{body}</main>'
            f"<script>{script}</script></body></html>\n",
            "utf-8",
        )
    return path
