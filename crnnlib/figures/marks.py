"""What several figures share: points with their intervals, labels, and the check that a table can be drawn."""

from collections.abc import Iterable

import pandas as pd
import plotly.graph_objects as go

from crnnlib.corpora.names import number
from crnnlib.errors import ParameterError
from crnnlib.figures import theme

__all__ = ["dots", "error_bars", "labels", "require"]


def require(rows: pd.DataFrame, *columns: str) -> None:
    """Check that a table has the columns that a figure draws.

    Parameters
    ----------
    rows : pandas.DataFrame
        The table.
    *columns : str
        What it must have.

    Raises
    ------
    ParameterError
        If one is missing.

    Examples
    --------
    >>> require(pd.DataFrame({"low": [0.1]}), "low", "high")
    Traceback (most recent call last):
        ...
    crnnlib.errors.ParameterError: table without high: expected columns low, high
    """
    missing = [column for column in columns if column not in rows]
    if missing:
        raise ParameterError(f"table without {', '.join(missing)}: expected columns {', '.join(columns)}")


def labels(names: Iterable[str], longest: int = 60) -> dict[str, str]:
    """Give each artist a label of its own, since artists with one label would share a row of a figure.

    Parameters
    ----------
    names : iterable of str
        All that are told apart. Order and repeats do not matter.
    longest : int
        Longer names are cut.

    Returns
    -------
    dict
        From name to what `theme.text` makes of it, with a number where another name comes out the same.

    Examples
    --------
    >>> labels(["Trio in F", "Trio in G", "Duo"], longest=8)
    {'Duo': 'Duo', 'Trio in F': 'Trio in…', 'Trio in G': 'Trio in… (2)'}
    """
    names = sorted(set(names))
    return dict(zip(names, number([theme.text(name, longest) for name in names]), strict=True))


def error_bars(rows: pd.DataFrame, centre: str, colour: str = theme.GREY) -> dict | None:
    """Whiskers from `low` to `high`.

    Parameters
    ----------
    rows : pandas.DataFrame
        With or without `low` and `high`.
    centre : str
        Column of the values that the interval is around.
    colour : str
        Of the whiskers.

    Returns
    -------
    dict or None
        For plotly's ``error_x`` or ``error_y``; None without intervals.

    Examples
    --------
    >>> rows = pd.DataFrame({"f1": [0.5], "low": [0.25], "high": [0.625]})
    >>> error_bars(rows, "f1")["arrayminus"].tolist()
    [0.25]
    """
    if not {"low", "high"} <= set(rows):
        return None
    up, down = (rows["high"] - rows[centre]).to_numpy(float), (rows[centre] - rows["low"]).to_numpy(float)
    return {"array": up.round(6), "arrayminus": down.round(6), "thickness": 1.5, "width": 4, "color": colour}


def dots(x: pd.Series, rows: pd.DataFrame, metric: str, name: str, colour: str) -> go.Scatter:
    """Points of a metric, with their intervals where the table has some.

    Parameters
    ----------
    x : pandas.Series
        Where along the horizontal axis.
    rows : pandas.DataFrame
        With `metric`, optional `low` and `high`.
    metric : str
        Column to draw.
    name, colour : str
        Of the trace.

    Returns
    -------
    plotly.graph_objects.Scatter

    Examples
    --------
    >>> dots(pd.Series([3]), pd.DataFrame({"f1": [0.5]}), "f1", "clips", "#499eff").mode
    'markers'
    """
    return go.Scatter(
        x=x.to_numpy(float),
        y=rows[metric].to_numpy(float),
        error_y=error_bars(rows, metric, colour),
        mode="markers",
        name=theme.text(name),
        marker={"color": colour, "size": 7, "opacity": 0.8},
        hovertemplate="%{x:g}: %{y:.3f}<extra>%{fullData.name}</extra>",
    )
