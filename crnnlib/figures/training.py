"""Figures of training: curves over epochs, and what a clip length costs. See chapters 4 and 5, and *Performance*.

Conventions: a trial is a `records.Trial` or its record (a dict); epochs count from 1; times are in seconds.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from crnnlib import splits
from crnnlib.errors import DataError
from crnnlib.figures import theme

__all__ = ["growth", "learning_curves", "time_per_clip_length"]

_METRICS = {
    "val_accuracy": "validation accuracy (clips)",
    "val_loss": "validation loss",
    "accuracy": "training accuracy (clips)",
    "loss": "training loss",
}


def learning_curves(trials: Iterable, metric: str = "val_accuracy") -> go.Figure:
    """How trials learn: a line each, coloured by clip length or recipe, dashed where the split is by album.

    Parameters
    ----------
    trials : iterable of Trial or dict
        Trials or their records. Where recipes differ, they are named and coloured instead of clip lengths.
    metric : {"val_accuracy", "val_loss", "accuracy", "loss"}
        What is shown first; a menu holds the others.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    DataError
        If there are no trials.

    Examples
    --------
    >>> record = {
    ...     "clip_s": 3,
    ...     "seed": 0,
    ...     "split": {"name": "song"},
    ...     "history": [{"epoch": 1, "val_accuracy": 0.5}],
    ... }
    >>> learning_curves([record]).data[0].name
    '3 s, song split, seed 0'
    """
    records = _records(trials)
    recipes = sorted({_recipe(record) for record in records})
    lengths = sorted({record["clip_s"] for record in records})
    figure = theme.blank(height=440)
    for record in records:
        several = len(recipes) > 1
        colour = _ordered(_recipe(record), recipes) if several else _ordered(record["clip_s"], lengths)
        figure.add_scatter(
            x=[epoch["epoch"] for epoch in record["history"]],
            y=_column(record, metric),
            mode="lines+markers",
            marker={"size": 4},
            line={"color": colour, "dash": theme.SPLIT_DASHES[splits.design(record["split"]["name"])[0]]},
            name=f"{theme.text(_recipe(record)) + ', ' if several else ''}{record['clip_s']:g} s, "
            f"{theme.text(record['split']['name'])} split, seed {record['seed']}",
            hovertemplate="epoch %{x}: %{y:.3f}<extra>%{fullData.name}</extra>",
        )
    first = [metric, *(name for name in _METRICS if name != metric)]
    choices = [
        (_METRICS[name], [{"y": [_column(record, name) for record in records]}, {"yaxis.title.text": _METRICS[name]}])
        for name in first
    ]
    figure.update_layout(updatemenus=[theme.menu("Curve", choices)])
    return figure.update_xaxes(title="epoch").update_yaxes(title=_METRICS[metric])


def time_per_clip_length(trials: Iterable) -> go.Figure:
    """Seconds per epoch, and seconds until training stopped, against clip length.

    Parameters
    ----------
    trials : iterable of Trial or dict
        Trials or their records.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    DataError
        If there are no trials.

    Examples
    --------
    >>> history = [{"epoch": 1, "seconds": 2.0}, {"epoch": 2, "seconds": 4.0}]
    >>> figure = time_per_clip_length(
    ...     [{"clip_s": 3, "seconds": 9.0, "history": history, "device": "cpu"}]
    ... )
    >>> [trace.y.tolist() for trace in figure.data]
    [[3.0], [9.0]]
    """
    records = _records(trials)
    x = np.array([record["clip_s"] for record in records], float)
    per_epoch = [np.mean([epoch["seconds"] for epoch in record["history"]]) for record in records]
    total = [record["seconds"] for record in records]
    figure = make_subplots(
        1,
        2,
        subplot_titles=["one epoch", "until it stopped"],
        horizontal_spacing=0.14,
        figure=theme.blank(height=340, showlegend=False),
    )
    device = [theme.text(record.get("device", "")) for record in records]
    for column, (y, colour) in enumerate(zip((per_epoch, total), theme.ORDERED[1::3], strict=False), 1):
        figure.add_scatter(
            x=x,
            y=np.array(y, float),
            mode="markers",
            marker={"size": 9, "color": colour, "opacity": 0.8},
            text=device,
            hovertemplate="%{x:g} s clips: %{y:.1f} s<br>%{text}<extra></extra>",
            row=1,
            col=column,
        )
    ticks = sorted(set(x))
    figure.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{t:g}" for t in ticks], title="clip length (s)")
    return figure.update_yaxes(rangemode="tozero").update_yaxes(title="time (s)", col=1)


def growth(epochs: pd.DataFrame) -> go.Figure:
    """Seconds of an epoch against hours of music, a line for each clip length.

    Parameters
    ----------
    epochs : pandas.DataFrame
        Columns hours (of music to train on), clip_s and seconds, as `benchmarks/growth.py` prints them.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    DataError
        If the table has no rows.

    Examples
    --------
    >>> figure = growth(
    ...     pd.DataFrame({"hours": [1.0, 2.0], "clip_s": 3.0, "seconds": [8.0, 16.0]})
    ... )
    >>> figure.data[0].name, figure.data[0].y.tolist()
    ('3 s', [8.0, 16.0])
    """
    if epochs.empty:
        raise DataError("no epochs to draw: expected rows of hours, clip_s and seconds")
    figure = theme.blank(height=380)
    lengths = sorted(epochs["clip_s"].unique())
    for clip_s in lengths:
        line = epochs[epochs["clip_s"] == clip_s].sort_values("hours")
        figure.add_scatter(
            x=line["hours"].to_numpy(float),
            y=line["seconds"].to_numpy(float),
            mode="lines+markers",
            line={"color": _ordered(clip_s, lengths)},
            name=f"{clip_s:g} s",
            hovertemplate="%{x:.2f} h: %{y:.1f} s<extra>%{fullData.name} clips</extra>",
        )
    figure.update_xaxes(title="music to train on (h)", rangemode="tozero")
    return figure.update_yaxes(title="one epoch (s)", rangemode="tozero")


def _records(trials: Iterable) -> list[Mapping]:
    records = [getattr(trial, "record", trial) for trial in trials]
    if not records:
        raise DataError("no trials to draw: expected at least one; run `crnnlib study` first")
    return sorted(records, key=lambda r: (r["clip_s"], r.get("split", {}).get("name", ""), r.get("seed", 0)))


def _recipe(record: Mapping) -> str:
    return record.get("recipe", {}).get("name", "")


def _column(record: Mapping, metric: str) -> list:
    values = [epoch.get(metric) for epoch in record["history"]]
    return [None if value is None else round(float(value), 5) for value in values]


def _ordered(value, values: list) -> str:
    place = values.index(value) / max(len(values) - 1, 1)
    return theme.ORDERED[round(place * (len(theme.ORDERED) - 1))]
