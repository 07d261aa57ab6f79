"""Figures that hold settings against each other: paired differences, ablations, the producer effect, what it leaves.

Conventions: as in `crnnlib.figures.results`; tables come in with scores and intervals computed. See chapters
3, 6 and 8.
"""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from crnnlib.errors import ParameterError
from crnnlib.figures import theme
from crnnlib.figures.marks import dots, error_bars, require

__all__ = ["ablation", "album_in_bottleneck", "dial", "forest"]


def forest(rows: pd.DataFrame) -> go.Figure:
    """Paired differences with their intervals; what is grey may be nothing.

    The rest has a corrected p below 0.05 or, where there is none, an interval off zero.

    Parameters
    ----------
    rows : pandas.DataFrame
        Index: the comparison in words; `difference`, `low`, `high`, optional `p` (corrected, of `tables.differences`).
        The first row is drawn at the top.

    Returns
    -------
    plotly.graph_objects.Figure

    Examples
    --------
    >>> figure = forest(
    ...     pd.DataFrame(
    ...         {"difference": [0.1], "low": [0.0], "high": [0.2]}, ["soft vote - majority"]
    ...     )
    ... )
    >>> figure.data[0].error_x.array.tolist()
    [0.1]
    """
    require(rows, "difference", "low", "high")
    labels, figure = _rows(rows.index)
    clear = rows["p"] < 0.05 if "p" in rows else (rows["low"] > 0) | (rows["high"] < 0)
    colours = np.where(clear, np.where(rows["difference"] > 0, theme.PALETTE[6], theme.PALETTE[3]), theme.GREY)
    said = [f"p = {p:.3g}" for p in rows["p"]] if "p" in rows else [""] * len(rows)
    figure.add_scatter(
        x=rows["difference"].to_numpy(float),
        y=labels,
        mode="markers",
        marker={"color": colours, "size": 11, "symbol": "diamond"},
        error_x=error_bars(rows, "difference"),
        customdata=np.stack([*(rows[end].to_numpy(object) for end in ("low", "high")), np.array(said, object)], -1),
        hovertemplate=(
            "<b>%{y}</b><br>%{x:+.3f} (%{customdata[0]:+.3f} to %{customdata[1]:+.3f})"
            "<br>%{customdata[2]}<extra></extra>"
        ),
    )
    figure.add_vline(x=0, line={"color": theme.GREY, "dash": "dot"})
    figure.update_xaxes(title="difference of scores", nticks=6, tickangle=0)
    return figure.update_yaxes(autorange="reversed")


def ablation(rows: pd.DataFrame, baseline: str | None = None, title: str = "F1 (weighted), song level") -> go.Figure:
    """One bar a variant, with its interval; the baseline goes on as a line.

    Parameters
    ----------
    rows : pandas.DataFrame
        Index: the variant in words; `score`, `low`, `high`. The first row is drawn at the top.
    baseline : str, optional
        Which row the others are held against.
    title : str
        Of the axis: metric and level.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    ParameterError
        If `baseline` is not a row.

    Examples
    --------
    >>> rows = pd.DataFrame(
    ...     {"score": [0.5, 0.6], "low": [0.4, 0.5], "high": [0.6, 0.7]},
    ...     ["PAPER", "BEYOND"],
    ... )
    >>> ablation(rows, "PAPER").layout.shapes[0].x0
    0.5
    """
    require(rows, "score", "low", "high")
    if baseline is not None and baseline not in rows.index:
        raise ParameterError(f"baseline={baseline!r}: expected one of {', '.join(map(str, rows.index))}")
    labels, figure = _rows(rows.index)
    colours = [theme.GREY if label == baseline else theme.PALETTE[2] for label in rows.index]
    figure.add_bar(
        x=rows["score"].to_numpy(float),
        y=labels,
        orientation="h",
        # Pale, so that the intervals on them can be seen.
        marker={
            "color": [theme.pale(colour) for colour in colours],
            "line": {"color": colours, "width": 1},
        },
        error_x=error_bars(rows, "score"),
        customdata=rows[["low", "high"]].to_numpy(np.float32),
        hovertemplate="<b>%{y}</b><br>%{x:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f})<extra></extra>",
    )
    if baseline is not None:
        figure.add_vline(x=float(rows.loc[baseline, "score"]), line={"color": theme.GREY, "dash": "dot"})
    return figure.update_xaxes(title=title, range=[0, 1]).update_yaxes(autorange="reversed")


def album_in_bottleneck(rows: pd.DataFrame) -> go.Figure:
    """Score of each recipe against how well the album can be read off its bottleneck within one artist.

    Parameters
    ----------
    rows : pandas.DataFrame
        Index: the recipe; `score`, `album_within_artist`, and `album_within_artist_chance`, of which the mean is drawn
        as a line. Recipes of one family, by their first word, have one colour; the one of one word is large.

    Returns
    -------
    plotly.graph_objects.Figure

    Examples
    --------
    >>> rows = {
    ...     "score": [0.5],
    ...     "album_within_artist": [0.8],
    ...     "album_within_artist_chance": [0.4],
    ... }
    >>> figure = album_in_bottleneck(pd.DataFrame(rows, ["paper"]))
    >>> [trace.name for trace in figure.data]
    ['paper']
    """
    require(rows, "score", "album_within_artist", "album_within_artist_chance")
    family = rows.index.str.partition("-").get_level_values(0)
    figure = theme.blank(height=440, legend={"orientation": "h", "y": -0.2})
    for number, name in enumerate(family.unique()):
        mine = rows[family == name]
        figure.add_scatter(
            x=mine["album_within_artist"].to_numpy(float),
            y=mine["score"].to_numpy(float),
            text=[theme.text(one) for one in mine.index],
            name=theme.text(name),
            mode="markers",
            marker={
                "color": theme.PALETTE[9 * number % len(theme.PALETTE)],
                "size": [15 if one == name else 9 for one in mine.index],
            },
            hovertemplate="<b>%{text}</b><br>F1 %{y:.3f}, album read %{x:.0%}<extra></extra>",
        )
    chance = float(rows["album_within_artist_chance"].mean())
    figure.add_vline(x=chance, line={"color": theme.GREY, "dash": "dot"}, annotation_text="chance")
    figure.update_xaxes(title="album read off the bottleneck, within one artist", tickformat=".0%")
    return figure.update_yaxes(title="F1 (weighted), song level", range=[0, 1.02])


def dial(rows: pd.DataFrame) -> go.Figure:
    """Score of the two splits against the strength of the synthesised producer effect; their gap is what it costs.

    Parameters
    ----------
    rows : pandas.DataFrame
        `producer_effect`, `song`, `album`: scores by split; optional ends of intervals, `song_low`,
        `song_high`, `album_low`, `album_high`.

    Returns
    -------
    plotly.graph_objects.Figure

    Examples
    --------
    >>> figure = dial(
    ...     pd.DataFrame(
    ...         {"producer_effect": [0, 1], "song": [0.8, 0.9], "album": [0.8, 0.5]}
    ...     )
    ... )
    >>> [trace.name for trace in figure.data]
    ['album split', 'song split']
    """
    require(rows, "producer_effect", "song", "album")
    rows = rows.sort_values("producer_effect")
    figure = theme.blank(height=400, legend={"orientation": "h", "y": -0.2})
    for split, colour in (("album", theme.PALETTE[8]), ("song", theme.PALETTE[0])):
        ends = {f"{split}_low": "low", f"{split}_high": "high"}
        mine = rows[["producer_effect", split, *(end for end in ends if end in rows)]].rename(columns=ends)
        line = dots(mine["producer_effect"], mine, split, f"{split} split", colour)
        fill = {"fill": "tonexty", "fillcolor": "rgba(170,49,97,0.12)"} if split == "song" else {}
        figure.add_trace(line.update(mode="lines+markers", line_color=colour, **fill))
    figure.update_xaxes(title="strength of the producer effect")
    return figure.update_yaxes(title="F1 (weighted), song level", range=[0, 1.02])


def _rows(index: pd.Index) -> tuple[list[str], go.Figure]:
    """Labels, and a figure with room for each of them."""
    labels = [theme.wrapped(label) for label in index]
    lines = max((label.count("<br>") for label in labels), default=0) + 1
    return labels, theme.blank(height=120 + max(34, 17 * lines + 6) * len(labels), showlegend=False)
