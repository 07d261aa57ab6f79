"""Figures to explore by ear: maps of clips or songs, and the vote across a song. See chapters 7 and 9.

Conventions: a point's `start` is in seconds; a click plays `clip_s` seconds from there (`show` with a `player`). The
axes of a map carry no unit. Points are drawn by WebGL: 2,000 a view keep a page below 2 MB, 10,000 still draw.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from crnnlib import audio
from crnnlib.errors import DataError, ParameterError
from crnnlib.figures import theme
from crnnlib.figures.marks import labels
from crnnlib.logmel import LogMel, Settings
from crnnlib.voting import Scores, soft_vote

__all__ = ["embedding_map", "points", "timeline"]

_LEADING = 5
_NAMES = {"umap": "UMAP", "tsne": "t-SNE", "pca": "PCA"}


def points(
    scores: Scores,
    tracks: pd.DataFrame,
    maps: Mapping[str, np.ndarray],
    clip_s: float,
    part: str = "test",
    settings: Settings = LogMel(),
) -> pd.DataFrame:
    """Everything that a map says about its points, in one table.

    Parameters
    ----------
    scores : Scores
        Clip or song level.
    tracks : pandas.DataFrame
        A track table that holds all songs of `scores`.
    maps : mapping from str to array, shape (n, 2)
        From method ("umap", "tsne", "pca") to coordinates, a row for each of `scores`.
    clip_s : float
        Length of a clip in seconds.
    part : {"test", "train"}
        Training clips are drawn apart, in grey.
    settings : LogMel or musicnn.Maps
        How the features were made: how long a frame is, and, with `max_s`, where in the file the first one lies.

    Returns
    -------
    pandas.DataFrame
        `track_id`, `artist`, `album`, `title`, `start` (s, in the file), `clip_s`, `predicted`, `confidence`, `right`,
        `part`, and `<method>_x`, `<method>_y`.

    Raises
    ------
    ParameterError
        If a map has another number of points.
    DataError
        If a song is not in `tracks`, or with `max_s` its file cannot be read.

    Examples
    --------
    >>> table = pd.DataFrame({"artist": "a", "album": "b", "title": "c"}, index=["a/b/c"])
    >>> clips = Scores([[0.9, 0.1]], [0], ["a/b/c"], ("a", "z"), start=[94])
    >>> clip = points(clips, table, {"pca": np.zeros((1, 2))}, clip_s=3).loc[0]
    >>> float(clip["start"]), clip["predicted"]
    (3.008, 'a')
    """
    for method, xy in maps.items():
        if np.shape(xy) != (scores.n, 2):
            raise ParameterError(f"maps[{method!r}] of shape {np.shape(xy)}: expected ({scores.n}, 2), a row per score")
    missing = set(scores.track_id) - set(tracks.index)
    if missing:
        raise DataError(f"{min(missing)}: not in the track table ({len(missing)} songs missing)")
    table = tracks.loc[scores.track_id, ["artist", "album", "title"]].reset_index(names="track_id")
    heard = tracks.loc[sorted(set(scores.track_id)), "path"] if settings.max_s else {}
    before = {song: audio.skipped(path, settings) for song, path in heard.items()}
    frame_s = settings.hop_length / settings.sr
    table["start"] = (0 if scores.start is None else scores.start) * frame_s + table["track_id"].map(before).fillna(0)
    table["clip_s"] = clip_s
    table["predicted"] = np.array(scores.classes, object)[scores.predicted]
    table["confidence"] = scores.confidence
    table["right"], table["part"] = scores.correct, part
    for method, xy in maps.items():
        table[f"{method}_x"], table[f"{method}_y"] = np.asarray(xy, float).T
    return table


def embedding_map(
    views: pd.DataFrame | Mapping[str, pd.DataFrame],
    styles: Mapping | None = None,
    max_points: int = 2000,
    seed: int = 0,
) -> go.Figure:
    """A map to explore: menus change method, view and colour; the legend isolates an artist on a double click.

    Parameters
    ----------
    views : DataFrame or mapping from label to DataFrame
        From `points`, e.g. one for each clip length and level; all with the same methods.
    styles : mapping, optional
        From `styles` of the whole corpus.
    max_points : int
        A view with more is thinned at random.
    seed : int
        Of the thinning.

    Returns
    -------
    plotly.graph_objects.Figure
        A trace per view and artist (and one per view for training clips); ``layout.meta["songs"]`` lists the songs,
        and a point's `customdata` starts with its song's number and its start in seconds.

    Raises
    ------
    ParameterError
        If the views are empty, or differ in their methods.

    Examples
    --------
    >>> table = pd.DataFrame({"artist": "a", "album": "b", "title": "c"}, index=["a/b/c"])
    >>> clips = Scores([[0.9, 0.1]], [0], ["a/b/c"], ("a", "z"), start=[94])
    >>> figure = embedding_map(points(clips, table, {"pca": np.zeros((1, 2))}, clip_s=3))
    >>> figure.data[0].name, figure.layout.meta["songs"]
    ('a', ['a/b/c'])
    """
    views = {"clips": views} if isinstance(views, pd.DataFrame) else dict(views)
    methods = _methods(views)
    rng = np.random.default_rng(seed)
    views = {label: _thin(table, max_points, rng) for label, table in views.items()}
    everything = pd.concat(views.values())
    styles = styles or theme.styles(everything)
    songs = sorted(everything["track_id"].unique())
    albums = _album_colours(everything)
    figure = theme.blank(height=600, meta={"songs": songs}, dragmode="pan", margin={"l": 8, "r": 8, "b": 8})
    parts, view_of, plain, by_album = [], [], [], []
    for label, table in views.items():
        train = table["part"] == "train"
        groups = [("training clips", table[train])] if train.any() else []
        groups += list(table[~train].groupby("artist"))
        for name, rows in groups:
            tested = rows["part"].iloc[0] != "train"
            style = styles[name] if tested else theme.Style(theme.GREY, "circle")
            plain.append(style.colour)
            by_album.append(
                [albums[key] for key in zip(rows["artist"], rows["album"], strict=True)] if tested else theme.GREY
            )
            parts.append(rows)
            view_of.append(label)
            figure.add_scattergl(
                x=rows[f"{methods[0]}_x"].to_numpy(np.float32),
                y=rows[f"{methods[0]}_y"].to_numpy(np.float32),
                mode="markers",
                name=theme.text(name, 24),
                visible=label == next(iter(views)),
                marker={"color": style.colour, "symbol": style.symbol, "size": 7, "opacity": 0.8 if tested else 0.25},
                customdata=_facts(rows, songs),
                meta={"clip_s": float(rows["clip_s"].iloc[0])},
                hovertemplate=_HOVER,
            )
    anew = {"xaxis.autorange": True, "yaxis.autorange": True}
    choices: dict[str, list[tuple]] = {
        "Method": [(_NAMES.get(m, m), [_coordinates(parts, m), anew]) for m in methods],
        "View": [(label, [{"visible": [label == view for view in view_of]}, anew]) for label in views],
        "Colour": [("by artist", [{"marker.color": plain}]), ("by album", [{"marker.color": by_album}])],
    }
    kept = [(name, options) for name, options in choices.items() if len(options) > 1]
    figure.update_layout(updatemenus=[theme.menu(name, options, i * 0.24) for i, (name, options) in enumerate(kept)])
    bare = {"showticklabels": False, "ticks": "", "zeroline": False}
    return figure.update_xaxes(bare).update_yaxes(bare)


def timeline(clips: Scores, clip_s: float, frame_s: float = 0.032) -> go.Figure:
    """The vote across one song: how probable each of the leading artists is, clip by clip.

    Parameters
    ----------
    clips : Scores
        Clip level, of one song, with `start`.
    clip_s : float
        Length of a clip in seconds.
    frame_s : float
        Seconds from one frame to the next, ``settings.hop_length / settings.sr``.

    Returns
    -------
    plotly.graph_objects.Figure
        A row of clips for each of the five leading artists, in the order of the soft vote, and one that the others
        share, over the song's time; a click plays from there.

    Raises
    ------
    ParameterError
        If the clips are of several songs, or have no start.

    Examples
    --------
    >>> clips = Scores(
    ...     [[0.9, 0.1], [0.4, 0.6]], [0, 0], ["s", "s"], ("a", "z"), start=[0, 94]
    ... )
    >>> timeline(clips, clip_s=3).data[0].y
    ('a', 'z')
    """
    songs = sorted(set(clips.track_id))
    if clips.start is None or len(songs) > 1:
        raise ParameterError(f"clips of {len(songs)} songs: expected one, with known starts")
    song = clips.take(np.argsort(clips.start, kind="stable"))
    vote = soft_vote(song).probabilities[0]
    lead = np.argsort(-vote, kind="stable")[:_LEADING]
    shares = song.probabilities[:, lead].T
    label = labels(song.classes, 24)
    names = [label[song.classes[i]] for i in lead]
    if len(lead) < len(song.classes):
        shares = np.concatenate([shares, 1 - shares.sum(0, keepdims=True)])
        names.append("all others")
    start = song.start * frame_s
    figure = theme.blank(height=130 + 34 * len(names), meta={"songs": songs, "clip_s": clip_s})
    figure.add_heatmap(
        x=start + clip_s / 2,
        y=names,
        z=shares.astype(np.float32).round(3),
        customdata=np.broadcast_to(np.stack([np.zeros_like(start), start], -1).round(3), (len(names), len(start), 2)),
        zmin=0,
        zmax=1,
        colorscale="Cividis",
        ygap=3,
        colorbar={"title": "probability", "thickness": 10, "tickformat": ".0%"},
        hovertemplate="<b>%{y}</b>: %{z:.0%}<br>from %{customdata[1]:.1f} s<extra></extra>",
    )
    figure.update_xaxes(title="time in the song (s)", showgrid=False, rangemode="tozero")
    return figure.update_yaxes(type="category", autorange="reversed", showgrid=False, ticks="")


_HOVER = (
    "<b>%{fullData.name}</b>, %{customdata[2]}<br>%{customdata[3]}, from %{customdata[1]:.1f} s<br>"
    "heard as %{customdata[4]} (%{customdata[5]:.0%})<extra></extra>"
)


def _methods(views: Mapping[str, pd.DataFrame]) -> list[str]:
    found = {tuple(column[:-2] for column in table if column.endswith("_x")) for table in views.values() if len(table)}
    if len(found) != 1 or not next(iter(found)):
        raise ParameterError(f"views with methods {sorted(found)}: expected the same in each, and at least one")
    return list(next(iter(found)))


def _thin(table: pd.DataFrame, most: int, rng: np.random.Generator) -> pd.DataFrame:
    if len(table) <= most:
        return table
    return table.iloc[np.sort(rng.choice(len(table), most, replace=False))]


def _album_colours(table: pd.DataFrame) -> dict:
    """Albums of one artist are far apart in the palette; those of several artists share colours."""
    turn: dict = {}
    for artist, album in sorted(set(zip(table["artist"], table["album"], strict=True))):
        turn[artist, album] = theme.PALETTE[sum(1 for owner, _ in turn if owner == artist) % len(theme.PALETTE)]
    return turn


def _facts(rows: pd.DataFrame, songs: list[str]) -> list[list]:
    number = {song: i for i, song in enumerate(songs)}
    return [
        [
            number[row.track_id],
            round(row.start, 2),
            theme.text(row.album, 40),
            theme.text(row.title, 40),
            theme.text(row.predicted, 40),
            round(float(row.confidence), 3),
        ]
        for row in rows.itertuples()
    ]


def _coordinates(parts: list[pd.DataFrame], method: str) -> dict:
    return {axis: [rows[f"{method}_{axis}"].round(3).tolist() for rows in parts] for axis in ("x", "y")}
