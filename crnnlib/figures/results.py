"""Figures of results: scores against clip length, confusions, votes, calibration, refusals. See chapters 6 and 9.

Conventions: tables come in with scores and intervals computed (by `crnnlib.evaluation` or `crnnlib.tables`);
scores are shares in [0, 1]; an interval is columns `low` and `high`. Nothing here computes a score.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from crnnlib.errors import ParameterError
from crnnlib.figures import theme
from crnnlib.figures.marks import dots, labels, require

__all__ = ["calibration", "confusion", "f1_by_clip_length", "refusals", "vote_curve"]

_INTERVAL = " (95 % interval %{customdata[0]:.3f} to %{customdata[1]:.3f})"
_METRICS = {"f1_weighted": "F1 (weighted)", "f1_macro": "F1 (macro)", "accuracy": "accuracy"}


def f1_by_clip_length(
    table: pd.DataFrame, published: pd.DataFrame | None = None, metric: str = "f1_weighted"
) -> go.Figure:
    """Scores against clip length: clip and song level, a panel per split.

    Parameters
    ----------
    table : pandas.DataFrame
        A row per trial and level: `split`, `level` ("clip" or "song"), `clip_s`, the metric, optional `low` and `high`.
    published : pandas.DataFrame, optional
        Same columns; its means are drawn as grey lines.
    metric : str
        Column to draw.

    Returns
    -------
    plotly.graph_objects.Figure
        Lines join the means over trials, points are the trials with their intervals.

    Raises
    ------
    ParameterError
        If a column is missing.

    Examples
    --------
    >>> table = pd.DataFrame({"level": ["clip", "song"], "f1_weighted": [0.5, 0.7]})
    >>> table = table.assign(split="song", clip_s=3)
    >>> [trace.name for trace in f1_by_clip_length(table).data]
    ['clip level', 'trials, clip level', 'song level', 'trials, song level']
    """
    require(table, "split", "level", "clip_s", metric)
    panels = sorted(table["split"].unique(), key=lambda name: ("album" in name, name))
    figure = make_subplots(
        1,
        len(panels),
        shared_yaxes=True,
        horizontal_spacing=0.04,
        subplot_titles=[f"{theme.text(name)} split" for name in panels],
        figure=theme.blank(height=430, legend={"orientation": "h", "y": -0.2}),
    )
    for column, split in enumerate(panels, 1):
        where = {"row": 1, "col": column}
        for level, rows in table[table["split"] == split].groupby("level"):
            once = {"legendgroup": level, "showlegend": column == 1}
            figure.add_trace(_means(rows, metric, f"{level} level", theme.LEVEL_COLOURS[level], **once), **where)
            trials = dots(rows["clip_s"], rows, metric, f"trials, {level} level", theme.LEVEL_COLOURS[level])
            figure.add_trace(trials.update(legendgroup=level, showlegend=False), **where)
        if published is not None:
            for level, rows in published[published["split"] == split].groupby("level"):
                symbol = "diamond-open" if level == "song" else "circle-open"
                line = _means(rows, metric, f"published, {level} level", theme.GREY, legendgroup=f"published {level}")
                figure.add_trace(line.update(line_dash="dot", marker_symbol=symbol, showlegend=column == 1), **where)
    # On the scale of logarithms 6 and 20 s stand too close to their neighbours for a label on a phone.
    ticks = sorted({*table["clip_s"], *(published["clip_s"] if published is not None else ())} - {6, 20})
    figure.update_xaxes(
        type="log", tickvals=ticks, ticktext=[f"{t:g}" for t in ticks], tickangle=0, title="clip length (s)"
    )
    return figure.update_yaxes(range=[0, 1.02]).update_layout(yaxis_title=_METRICS.get(metric, metric))


def confusion(counts: pd.DataFrame) -> go.Figure:
    """Who is taken for whom: rows are the truth, columns the decision, numbers the count, colour the share of the row.

    Parameters
    ----------
    counts : pandas.DataFrame
        Square, of counts; index and columns are the same artists in the same order.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    ParameterError
        If rows and columns differ.

    Examples
    --------
    >>> figure = confusion(pd.DataFrame([[3, 1], [0, 4]], ["a", "b"], ["a", "b"]))
    >>> figure.data[0].z.tolist()
    [[0.75, 0.25], [0.0, 1.0]]
    """
    if list(counts.index) != list(counts.columns):
        raise ParameterError("rows and columns differ: expected the same artists in the same order")
    label = labels(counts.index, 22)
    names = [label[name] for name in counts.index]
    values = counts.to_numpy(float)
    told = np.where(values > 0, values.astype(int).astype(str), "")
    share = values / np.maximum(values.sum(1, keepdims=True), 1)
    side = 190 + max(26 * len(names), 200)
    figure = theme.blank(height=side, meta={"min_width": min(side, 700)} if len(names) > 10 else {})
    figure.add_heatmap(
        z=share.astype(np.float32),
        x=names,
        y=names,
        text=told,
        texttemplate="%{text}",
        customdata=np.stack([values, np.broadcast_to(values.sum(1, keepdims=True), values.shape)], -1).astype(int),
        zmin=0,
        zmax=1,
        colorscale="Cividis",
        xgap=1,
        ygap=1,
        colorbar={"title": "share", "thickness": 10, "tickformat": ".0%"},
        hovertemplate=(
            "<b>%{y}</b> heard as <b>%{x}</b><br>%{customdata[0]} of %{customdata[1]} (%{z:.0%})<extra></extra>"
        ),
    )
    figure.update_xaxes(type="category", title="decided", tickangle=-60, showgrid=False, ticks="")
    return figure.update_yaxes(type="category", title="true", autorange="reversed", showgrid=False, ticks="")


def vote_curve(curves: Mapping[str, pd.DataFrame] | pd.DataFrame, metric: str = "f1_weighted") -> go.Figure:
    """Song-level score against how much of each song was heard.

    Parameters
    ----------
    curves : DataFrame or mapping from label to DataFrame
        As `evaluation.vote_curve` makes them: `seconds`, the metric, optional `low` and `high`.
    metric : str
        Column to draw.

    Returns
    -------
    plotly.graph_objects.Figure
        A line a table. Intervals are told at the points and not drawn, since those of several lines cover each other.

    Examples
    --------
    >>> len(vote_curve(pd.DataFrame({"seconds": [3, 6], "f1_weighted": [0.5, 0.6]})).data)
    1
    """
    curves = {"": curves} if isinstance(curves, pd.DataFrame) else curves
    figure = theme.blank(height=400, showlegend=len(curves) > 1)
    colours = [theme.ORDERED[round(i * 5 / max(len(curves) - 1, 1))] for i in range(len(curves))]
    for (label, rows), colour in zip(curves.items(), colours, strict=True):
        require(rows, "seconds", metric)
        line = dots(rows["seconds"], rows, metric, label, colour)
        line.update(mode="lines+markers", line_color=colour, error_y=None)
        if {"low", "high"} <= set(rows):
            line.update(customdata=rows[["low", "high"]].to_numpy(float).round(3))
            line.update(hovertemplate=line.hovertemplate.replace("<extra>", _INTERVAL + "<extra>"))
        figure.add_trace(line)
    figure.update_xaxes(type="log", title="heard of each song (s)", tickvals=[1, 2, 3, 5, 10, 20, 30, 60, 120, 240])
    return figure.update_yaxes(title=f"{_METRICS.get(metric, metric)}, song level", range=[0, 1.02])


def calibration(bins: Mapping[str, pd.DataFrame] | pd.DataFrame) -> go.Figure:
    """How often a decision is right, against how sure it was; on the diagonal the two agree.

    Parameters
    ----------
    bins : DataFrame or mapping from label to DataFrame
        As `evaluation.calibration` makes them: `confidence`, `accuracy`, `n` per bin.

    Returns
    -------
    plotly.graph_objects.Figure
        The size of a point grows with its number of decisions.

    Examples
    --------
    >>> figure = calibration(
    ...     pd.DataFrame({"confidence": [0.6, 0.9], "accuracy": [0.5, 0.9], "n": [10, 90]})
    ... )
    >>> [trace.name for trace in figure.data]
    ['perfect', 'decisions']
    """
    bins = {"decisions": bins} if isinstance(bins, pd.DataFrame) else bins
    figure = theme.blank(height=430)
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="perfect", line={"color": theme.GREY, "dash": "dot"}, hoverinfo="skip"
    )
    largest = 1
    for rows in bins.values():
        require(rows, "confidence", "accuracy", "n")
        largest = max(largest, rows["n"].max())
    for number, (label, rows) in enumerate(bins.items()):
        rows = rows[rows["n"] > 0]
        figure.add_scatter(
            x=rows["confidence"].to_numpy(float),
            y=rows["accuracy"].to_numpy(float),
            customdata=rows["n"].to_numpy(int),
            mode="lines+markers",
            name=theme.text(label),
            marker={
                "size": 6 + 18 * np.sqrt(rows["n"].to_numpy(float) / largest),
                "color": theme.PALETTE[(2, 4, 0, 8)[number % 4]],
                "symbol": theme.SYMBOLS[number % 5],
                "opacity": 0.8,
            },
            cliponaxis=False,
            hovertemplate="sure: %{x:.0%}, right: %{y:.0%}<br>%{customdata} decisions<extra>%{fullData.name}</extra>",
        )
    figure.update_xaxes(title="confidence", range=[0, 1.03], tickformat=".0%")
    return figure.update_yaxes(title="share that is right", range=[0, 1.03], tickformat=".0%")


def refusals(table: pd.DataFrame, chosen: float | None = None) -> go.Figure:
    """What a threshold of confidence keeps of known artists, and refuses of unknown ones.

    Parameters
    ----------
    table : pandas.DataFrame
        As `unknown.refusals` makes it: `threshold`, `kept`, `right`, `refused`.
    chosen : float, optional
        A threshold to mark.

    Returns
    -------
    plotly.graph_objects.Figure

    Examples
    --------
    >>> table = pd.DataFrame(
    ...     {"threshold": [0, 1], "kept": [1, 0], "right": [0.5, None], "refused": [0, 1]}
    ... )
    >>> [trace.name for trace in refusals(table).data]
    ['known songs answered', 'of these, right', 'unknown songs refused']
    """
    require(table, "threshold", "kept", "right", "refused")
    figure = theme.blank(height=400, legend={"orientation": "h", "y": -0.2})
    lines = {"kept": "known songs answered", "right": "of these, right", "refused": "unknown songs refused"}
    for (column, name), colour, dash in zip(lines.items(), (2, 8, 4), ("solid", "dot", "dash"), strict=True):
        figure.add_scatter(
            x=table["threshold"].to_numpy(float),
            y=table[column].to_numpy(float),
            mode="lines+markers",
            name=name,
            line={"color": theme.PALETTE[colour], "dash": dash, "width": 2},
            hovertemplate="from %{x:.0%}: %{y:.0%}<extra>%{fullData.name}</extra>",
        )
    if chosen is not None:
        figure.add_vline(x=float(chosen), line={"color": theme.GREY, "dash": "dot"})
    figure.update_xaxes(title="least confidence for an answer", range=[-0.03, 1.06], dtick=0.2, tickformat=".0%")
    return figure.update_yaxes(title="share of songs", range=[-0.03, 1.03], tickformat=".0%")


def _means(rows: pd.DataFrame, metric: str, name: str, colour: str, **more) -> go.Scatter:
    mean = rows.groupby("clip_s")[metric].mean()
    return go.Scatter(
        x=mean.index.to_numpy(float),
        y=mean.to_numpy(float),
        mode="lines+markers",
        name=name,
        line={"color": colour, "width": 2},
        hovertemplate="%{x:g} s clips: mean %{y:.3f}<extra>%{fullData.name}</extra>",
        **more,
    )
