"""Figures of a network, from its anatomy: its layers as boxes, and how much of a clip they see.

Conventions: the table comes from `models.anatomy`; time runs to the right, frequency upwards. See chapter 4.
"""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from crnnlib.figures import theme
from crnnlib.figures.marks import require

__all__ = ["architecture", "receptive_fields"]

_PITCH, _WIDTH, _HEIGHT, _DEPTH = 10.0, 6.5, 9.0, 1.6
_COLOURS = {"InputLayer": theme.GREY, "ConvBlock": theme.PALETTE[2], "GRU": theme.PALETTE[4], "Dense": theme.PALETTE[8]}


def architecture(layers: pd.DataFrame) -> go.Figure:
    """A network layer by layer: what comes out of each, as a block of time, frequency and channels.

    Parameters
    ----------
    layers : pandas.DataFrame
        From `models.anatomy`. Layers that do not change the shape are left out.

    Returns
    -------
    plotly.graph_objects.Figure
        Edges go with the square root of what they stand for. Where there are no channels, height is the features.

    Examples
    --------
    >>> rows = {
    ...     "kind": ["InputLayer", "Dense"],
    ...     "shape": [(94, 128), (20,)],
    ...     "parameters": [0, 660],
    ... }
    >>> len(architecture(pd.DataFrame(rows, ["log_mel", "artist"])).data)
    2
    """
    require(layers, "kind", "shape", "parameters")
    sizes = [tuple(size for size in shape if size != 1) or (1,) for shape in layers["shape"]]
    drawn = layers[[i == 0 or sizes[i] != sizes[i - 1] for i in range(len(layers))]]
    frames, bands = (*drawn["shape"].iloc[0], 1)[:2]
    figure = theme.blank(height=330, showlegend=False, meta={"min_width": 84 * len(drawn)})
    for place, row in enumerate(drawn.itertuples()):
        time, height, channels = row.shape if len(row.shape) == 3 else (*(1, *row.shape)[-2:], 1)
        x, y = _block(_edge(_WIDTH, time / frames), _edge(_HEIGHT, height / bands), _edge(_DEPTH, (channels - 1) / 128))
        name, shape = theme.text(row.Index), " × ".join(map(str, row.shape))
        colour = _COLOURS.get(row.kind, theme.PALETTE[15])
        figure.add_scatter(
            x=[None if value is None else place * _PITCH + value for value in x],
            y=y,
            mode="lines",
            line={"color": colour, "width": 1.5},
            fill="toself",
            fillcolor=theme.pale(colour),
            text=f"<b>{name}</b> ({row.kind})<br>{shape}<br>{row.parameters:,} parameters",
            hoverinfo="text",
            hoveron="fills",
            name=name,
        )
        size = "<br>× ".join(shape.rsplit(" × ", 1)) if channels > 1 else shape  # three numbers are wider than a block
        below, above = f"<b>{name}</b><br>{size}", f"{row.parameters:,}" if row.parameters else ""
        for text, level in ((below, -6.6), (above, 6)):
            figure.add_annotation(x=place * _PITCH, y=level, text=text, showarrow=False, font_size=11)
    figure.update_xaxes(visible=False, range=[-0.6 * _PITCH, (len(drawn) - 0.4) * _PITCH])
    return figure.update_yaxes(visible=False, range=[-8, 7]).update_layout(margin={"l": 8, "r": 8, "b": 8})


def receptive_fields(layers: pd.DataFrame, mel: np.ndarray, hop_s: float = 0.032) -> go.Figure:
    """How much of a clip one value behind each convolution block depends on, drawn on that clip.

    Parameters
    ----------
    layers : pandas.DataFrame
        From `models.anatomy`.
    mel : array, shape (frames, n_mels)
        A clip, in dB.
    hop_s : float
        Seconds from one frame to the next.

    Returns
    -------
    plotly.graph_objects.Figure
        The clip under a frame of what each layer sees, cut off at the clip's edge.

    Examples
    --------
    >>> rows = {"kind": ["ConvBlock"], "sees_frames": [4], "sees_bands": [4]}
    >>> figure = receptive_fields(pd.DataFrame(rows, ["block1"]), np.zeros((94, 128)))
    >>> figure.data[1].name
    'block1: 4 frames, 4 bands'
    """
    require(layers, "kind", "sees_frames", "sees_bands")
    mel = np.asarray(mel, np.float32)
    frames, bands = mel.shape
    figure = theme.blank(height=430, legend={"orientation": "h", "y": -0.2})
    figure.add_heatmap(
        z=np.clip(np.round(mel.T), -128, 127).astype(np.int8),
        x=(np.arange(frames) + 0.5) * hop_s,
        y=np.arange(bands),
        colorscale="Greys_r",
        colorbar={"title": "dB", "thickness": 10},
        hovertemplate="%{x:.2f} s, mel band %{y}: %{z} dB<extra></extra>",
    )
    blocks = layers[layers["kind"] == "ConvBlock"]
    for number, row in enumerate(blocks.itertuples()):
        left, right = _within(frames, row.sees_frames)
        low, high = _within(bands, row.sees_bands)
        figure.add_scatter(
            x=np.array([left, right, right, left, left]) * hop_s,
            y=np.array([low, low, high, high, low]) - 0.5,
            mode="lines",
            line={"color": theme.ORDERED[(1 + number) % len(theme.ORDERED)], "width": 4},
            name=f"{theme.text(row.Index)}: {row.sees_frames} frames, {row.sees_bands} bands",
            hoverinfo="name",
        )
    figure.update_xaxes(title="time (s)", range=[0, frames * hop_s], showgrid=False)
    return figure.update_yaxes(title="mel band", range=[-1, bands], showgrid=False)


def _edge(full: float, share: float) -> float:
    return 0.0 if share <= 0 else max(0.3, full * math.sqrt(share))


def _block(width: float, height: float, depth: float) -> tuple[list, list]:
    """Lines of a box seen from the upper right, centred on zero; None lifts the pen."""
    outline = [(0, 0), (1, 0), (1, 0, 1), (1, 1, 1), (0, 1, 1), (0, 1), (0, 0)]
    # There and back again, so that these lines enclose nothing that would be filled.
    inner = [None, (0, 1), (1, 1), (1, 0), (1, 1), (1, 1, 1), (1, 1), (0, 1)] if depth else []
    x, y = [], []
    for corner in outline + inner:
        right, up, back = (*corner, 0)[:3] if corner else (0, 0, 0)
        x.append(right * width + back * depth - (width + depth) / 2 if corner else None)
        y.append(up * height + back * depth - (height + depth) / 2 if corner else None)
    return x, y


def _within(whole: int, part: int) -> tuple[float, float]:
    """Ends of `part` in the middle of `whole`, cut off at its edges."""
    return max(0.0, (whole - part) / 2), min(float(whole), (whole + part) / 2)
