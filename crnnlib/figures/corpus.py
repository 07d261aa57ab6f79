"""Figures of a corpus: who is in it, how much, how it looks in log-mel. See chapters 1 to 3.

Conventions: a track table comes in, artists go down the page, lengths are in seconds or minutes, levels in dB.
"""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from crnnlib.errors import DataError, ParameterError
from crnnlib.figures import theme
from crnnlib.figures.marks import labels

__all__ = ["album_spectra", "durations", "mel_panels", "tracks_per_artist"]


def tracks_per_artist(tracks: pd.DataFrame, styles: Mapping | None = None) -> go.Figure:
    """Bars of how much music there is of each artist, the most at the top.

    Parameters
    ----------
    tracks : pandas.DataFrame
        A track table. Bars are minutes if it has `seconds`, else tracks.
    styles : mapping, optional
        From `styles` of the whole corpus.

    Returns
    -------
    plotly.graph_objects.Figure

    Examples
    --------
    >>> table = pd.DataFrame(
    ...     {"artist": ["a", "a", "b"], "album": "x", "seconds": [60.0, 60.0, 30.0]}
    ... )
    >>> tracks_per_artist(table).data[0].x.tolist()
    [0.5, 2.0]
    """
    styles = styles or theme.styles(tracks)
    timed = "seconds" in tracks
    per = tracks.groupby("artist").agg(tracks=("album", "size"), albums=("album", "nunique"))
    per["shown"] = tracks.groupby("artist")["seconds"].sum() / 60 if timed else per["tracks"]
    per = per.sort_values(["shown", "tracks"], kind="stable")
    said = [f"{row.tracks} tracks, {row.albums} album{'s' * (row.albums > 1)}" for row in per.itertuples()]
    label = labels(per.index)
    unit = "minutes of music" if timed else "tracks"
    figure = theme.blank(height=120 + 24 * len(per), showlegend=False)
    figure.add_bar(
        x=per["shown"].to_numpy(float),
        y=[label[name] for name in per.index],
        orientation="h",
        marker_color=[styles[name].colour for name in per.index],
        text=said,
        textposition="outside",
        cliponaxis=False,
        hovertemplate="<b>%{y}</b><br>%{x:.1f} " + unit + "<br>%{text}<extra></extra>",
    )
    figure.update_xaxes(title=unit, range=[0, 1.35 * per["shown"].max()])
    return figure.update_yaxes(type="category")


def durations(tracks: pd.DataFrame, styles: Mapping | None = None) -> go.Figure:
    """How long the songs of each artist are: every song a point, with median and quartiles.

    Parameters
    ----------
    tracks : pandas.DataFrame
        A track table with `seconds`.
    styles : mapping, optional
        From `styles` of the whole corpus.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    DataError
        If the table has no lengths.

    Examples
    --------
    >>> table = pd.DataFrame(
    ...     {"artist": ["a", "b"], "album": "x", "title": "t", "seconds": [60.0, 30.0]}
    ... )
    >>> len(durations(table).data)
    2
    """
    if "seconds" not in tracks or tracks["seconds"].isna().all():
        raise DataError("track table without seconds: expected lengths; features.extract(tracks) counts frames instead")
    styles = styles or theme.styles(tracks)
    groups = list(tracks.groupby("artist"))
    label = labels(tracks["artist"])
    figure = theme.blank(height=120 + 26 * len(groups), showlegend=False)
    for artist, songs in reversed(groups):
        figure.add_box(
            x=songs["seconds"].to_numpy(float),
            name=label[artist],
            marker={"color": styles[artist].colour, "symbol": styles[artist].symbol, "size": 5},
            fillcolor=theme.pale(styles[artist].colour),
            line_width=1,
            boxpoints="all",
            jitter=0.5,
            pointpos=0,
            text=[f"{theme.text(row.title)} ({theme.text(row.album)})" for row in songs.itertuples()],
            hovertemplate="%{text}<br>%{x:.0f} s<extra></extra>",
        )
    return figure.update_xaxes(title="length of a song (s)").update_yaxes(type="category")


def mel_panels(panels: Mapping[str, np.ndarray], seconds: float = 3.0, columns: int = 4) -> go.Figure:
    """One log-mel picture per artist side by side, as in the paper.

    Parameters
    ----------
    panels : mapping from str to array, shape (frames, n_mels)
        In dB. Shown to the nearest decibel.
    seconds : float
        Length of each.
    columns : int
        Pictures in a row.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    ParameterError
        If there is nothing to show.

    References
    ----------
    Nasrullah & Zhao, "Music artist classification with convolutional recurrent neural networks", IJCNN 2019, fig. 1.

    Examples
    --------
    >>> len(mel_panels({"a": np.zeros((94, 128)), "b": np.zeros((94, 128))}).data)
    2
    """
    if not panels:
        raise ParameterError("panels={}: expected at least one artist with an array (frames, n_mels)")
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[theme.text(name, 22) for name in panels],
        shared_xaxes=True,
        shared_yaxes=True,
        horizontal_spacing=0.02,
        vertical_spacing=min(0.3 / rows, 0.12),
        x_title="time (s)",
        y_title="band",
        figure=theme.blank(height=120 + 120 * rows, meta={"min_width": 160 * columns}),
    )
    for i, mel in enumerate(panels.values()):
        mel = np.asarray(mel, np.float32)
        figure.add_heatmap(
            z=np.clip(np.round(mel.T), -128, 127).astype(np.int8),
            x=(np.arange(len(mel)) + 0.5) * seconds / len(mel),
            y=np.arange(mel.shape[1]),
            coloraxis="coloraxis",
            hovertemplate="%{x:.2f} s, mel band %{y}: %{z} dB<extra></extra>",
            row=i // columns + 1,
            col=i % columns + 1,
        )
    figure.update_layout(coloraxis={"colorscale": "Magma", "colorbar": {"title": "dB", "thickness": 10}})
    figure.update_annotations(font_size=12)
    step = math.ceil(seconds / 4) if seconds > 2 else seconds / 2
    ticks = np.arange(0, seconds, step)  # none at the end, where the next picture begins
    figure.update_xaxes(showgrid=False, tickvals=ticks, range=[0, seconds])
    figure.update_yaxes(showgrid=False, nticks=3, range=[-0.5, max(np.shape(mel)[1] for mel in panels.values()) - 0.5])
    return figure


def album_spectra(spectra: pd.DataFrame) -> go.Figure:
    """The average spectrum of each album, for one artist at a time.

    Parameters
    ----------
    spectra : pandas.DataFrame
        Levels in dB; index: frequency in Hz; columns: (artist, album).

    Returns
    -------
    plotly.graph_objects.Figure
        A line per album, with a menu that chooses the artist.

    Raises
    ------
    ParameterError
        If the columns are not (artist, album).

    Examples
    --------
    >>> columns = pd.MultiIndex.from_tuples([("a", "1"), ("a", "2"), ("b", "1")])
    >>> figure = album_spectra(pd.DataFrame(np.zeros((4, 3)), [50, 100, 200, 400], columns))
    >>> [trace.visible for trace in figure.data]
    [True, True, False]
    """
    if spectra.columns.nlevels != 2:
        raise ParameterError(f"columns of {spectra.columns.nlevels} level(s): expected (artist, album)")
    owners = [str(artist) for artist, _ in spectra.columns]
    artists = list(dict.fromkeys(owners))
    place = dict.fromkeys(artists, 0)
    figure = theme.blank(height=440)
    dashes = ("solid", "dash", "dot", "dashdot", "14px,3px")  # told apart in a legend's short key
    for owner, (_, album) in zip(owners, spectra.columns, strict=True):
        figure.add_scatter(
            x=spectra.index.to_numpy(float),
            y=spectra[owner, album].to_numpy(np.float32),
            name=theme.text(album, 28),
            mode="lines",
            line={"color": theme.PALETTE[place[owner] % 20], "dash": dashes[place[owner] % 5], "width": 2},
            visible=owner == artists[0],
            hovertemplate="%{x:.0f} Hz: %{y:.1f} dB<extra>%{fullData.name}</extra>",
        )
        place[owner] += 1
    choices = [(artist, [{"visible": [owner == artist for owner in owners]}]) for artist in artists]
    figure.update_layout(updatemenus=[theme.menu("Artist", choices)], legend={"orientation": "h", "y": -0.22})
    figure.update_xaxes(type="log", title="frequency (Hz)", tickvals=[50, 100, 200, 500, 1000, 2000, 5000])
    return figure.update_yaxes(title="average level (dB)")
