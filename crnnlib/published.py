"""What the paper and its neighbours reported: trials, tables, errata, results of others.

The authors' repository holds a CSV file per trial; `paper_results.csv` is their union. Tables are recomputed from it,
the printed values stand beside them, and an erratum is whatever the two do not agree on. Scores are weighted F1 on
artist20 unless a column says otherwise; the paper's "frame level" is the level of clips. See chapter
6, *Read the results*.
"""

import importlib.resources
import itertools

import pandas as pd
import scipy.stats

from crnnlib.errors import ParameterError

__all__ = ["cells", "errata", "other_results", "table", "trials"]

_KEYS = ["level", "split", "clip_s"]
_ROUNDING = 0.001  # three decimals, rounded or cut

# The two result tables as the paper and its README print them.
_LENGTHS = (1, 3, 5, 10, 20, 30)
_PRINTED = {
    ("clip", "song", "mean"): (0.729, 0.765, 0.770, 0.787, 0.768, 0.764),
    ("clip", "song", "best"): (0.733, 0.768, 0.779, 0.772, 0.792, 0.771),
    ("clip", "album", "mean"): (0.482, 0.513, 0.536, 0.538, 0.534, 0.603),
    ("clip", "album", "best"): (0.516, 0.527, 0.550, 0.560, 0.553, 0.612),
    ("song", "song", "mean"): (0.929, 0.937, 0.918, 0.902, 0.861, 0.846),
    ("song", "song", "best"): (0.944, 0.966, 0.930, 0.915, 0.880, 0.851),
    ("song", "album", "mean"): (0.641, 0.651, 0.652, 0.630, 0.568, 0.674),
    ("song", "album", "best"): (0.700, 0.653, 0.662, 0.683, 0.609, 0.691),
}

# The versions that the README lists, and those that the repository's first requirements.txt pins.
_README_PINS = (
    "dill 3.2.8.2, h5py 2.8.0, Keras 3.1.1, librosa 1.5.1, matplotlib 3.2.3, numpy 2.14.5, pandas 1.23.4, "
    "scikit-learn 1.20.0, scipy 2.1.0, seaborn 1.9.0, tensorflow 2.10.0"
)
_REQUIREMENTS = (
    "dill 0.2.8.2, h5py 2.8.0, Keras 2.1.1, librosa 0.5.1, matplotlib 2.2.3, numpy 1.15.0, pandas 0.23.4, "
    "scikit-learn 0.20.0, scipy 1.1.0, seaborn 0.9.0, tensorflow 1.10.0"
)

_OTHERS = """citation,system,split,level,metric,low,high,n_trials,n_artists,corpus
ellis2007,Gaussian per artist on MFCC,album,song,accuracy,0.54,0.54,1,20,artist20
ellis2007,Gaussian per artist on MFCC and chroma,album,song,accuracy,0.57,0.57,1,20,artist20
mandel2005,SVM on song-level MFCC statistics,album,song,accuracy,0.687,0.687,1,18,uspop2002
mandel2005,SVM on song-level MFCC statistics,song,song,accuracy,0.839,0.839,1,18,uspop2002
kuo2021,CRNN rerun,album,song,f1_weighted,0.55,0.58,3,20,artist20
kuo2021,CRNN with a non-local block,album,song,f1_weighted,0.69,0.71,3,20,artist20
kuo2021,CRNN with a fully generalised non-local block,album,song,f1_weighted,0.72,0.73,3,20,artist20
"""


def trials() -> pd.DataFrame:
    """Every trial of the paper, printed in its tables or not.

    Returns
    -------
    pandas.DataFrame
        One row a trial and level: `split` (album, song), `level` (clip, song), `n_frames`, `clip_s` as the paper names
        it, `trial`, `f1_weighted`, `precision`, `recall` in [0, 1], and `support`, the clips or songs tested.

    References
    ----------
    Nasrullah & Zhao, "Music artist classification with convolutional recurrent neural networks", IJCNN 2019.

    Examples
    --------
    >>> trials()["trial"].nunique()
    3
    """
    with importlib.resources.files("crnnlib").joinpath("paper_results.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)


def cells() -> pd.DataFrame:
    """Every cell of the paper's tables, recomputed, with what the paper prints beside it.

    Returns
    -------
    pandas.DataFrame
        Indexed by level, split, clip_s; columns mean and best (weighted F1), trials (how many), printed_mean and
        printed_best (as the paper's tables say; NaN where they say nothing).

    Examples
    --------
    >>> cells().loc[("song", "song", 3), ["mean", "best"]].round(3).tolist()
    [0.937, 0.966]
    """
    recomputed = trials().groupby(_KEYS)["f1_weighted"].agg(mean="mean", best="max", trials="size")
    printed = {
        f"printed_{statistic}": {
            (level, split, clip_s): value
            for (level, split, kind), row in _PRINTED.items()
            for clip_s, value in zip(_LENGTHS, row, strict=True)
            if kind == statistic
        }
        for statistic in ("mean", "best")
    }
    return recomputed.join(pd.DataFrame(printed).rename_axis(index=_KEYS))


def table(level: str = "song", printed: bool = False) -> pd.DataFrame:
    """One of the paper's two tables, in its layout.

    Parameters
    ----------
    level : {"song", "clip"}
        Scores of songs or of single clips.
    printed : bool
        As the paper prints it; otherwise recomputed from the trials.

    Returns
    -------
    pandas.DataFrame
        Rows `split` and `statistic` (mean, best), columns the paper's clip lengths in seconds; weighted F1.

    Raises
    ------
    ParameterError
        If `level` is neither.

    Examples
    --------
    >>> [
    ...     float(table("song", printed).loc[("album", "mean"), 20].round(3))
    ...     for printed in (True, False)
    ... ]
    [0.568, 0.586]
    """
    if level not in ("song", "clip"):
        raise ParameterError(f"level={level!r}: expected 'song' or 'clip'")
    prefix = "printed_" if printed else ""
    columns = {statistic: cells()[prefix + statistic].loc[level] for statistic in ("mean", "best")}
    wide = pd.concat(columns, names=["statistic"]).unstack("clip_s")[list(_LENGTHS)]
    rows = list(itertools.product(("song", "album"), ("mean", "best")))
    return wide.swaplevel().loc[rows]


def errata() -> pd.DataFrame:
    """Where the paper's tables and README contradict its own trials and files.

    Returns
    -------
    pandas.DataFrame
        Columns `where`, `printed`, `recomputed`, `evidence`; found by comparison, not listed by hand.

    Examples
    --------
    >>> errata()["where"].tolist()[:2]
    ['clip level, song split, 10 s', 'song level, album split, 20 s']
    """
    table_cells = cells()
    rows = [*_cells_that_differ(table_cells), *_cells_left_out(table_cells), *_lengths_misnamed(), _pins()]
    return pd.DataFrame(rows, columns=["where", "printed", "recomputed", "evidence"])


def other_results() -> pd.DataFrame:
    """What others reported for the same question.

    Returns
    -------
    pandas.DataFrame
        `citation` (a key of the book's references), `system`, `split`, `level`, `metric`, the range `low` to `high` of
        the reported means, `n_trials` in each, `n_artists`, `corpus`. Splits and metrics differ from the paper's.

    Examples
    --------
    >>> other_results().groupby("citation")["high"].max().to_dict()
    {'ellis2007': 0.57, 'kuo2021': 0.73, 'mandel2005': 0.839}
    """
    header, *rows = (line.split(",") for line in _OTHERS.strip().splitlines())
    found = pd.DataFrame(rows, columns=header)
    return found.astype({"low": float, "high": float, "n_trials": int, "n_artists": int})


def _name(cell) -> str:
    level, split, clip_s = cell
    return f"{level} level, {split} split, {clip_s} s"


def _cells_that_differ(table_cells: pd.DataFrame):
    for cell, row in table_cells.dropna().iterrows():
        if max(abs(row["printed_mean"] - row["mean"]), abs(row["printed_best"] - row["best"])) <= _ROUNDING:
            continue
        swapped = max(abs(row["printed_mean"] - row["best"]), abs(row["printed_best"] - row["mean"])) <= _ROUNDING
        scores = trials().set_index(_KEYS).loc[[cell], "f1_weighted"]
        reason = "average and best are swapped: an average cannot exceed the best; " if swapped else ""
        yield (
            _name(cell),
            f"average {row['printed_mean']:.3f}, best {row['printed_best']:.3f}",
            f"average {row['mean']:.3f}, best {row['best']:.3f}",
            reason + "the trials are " + ", ".join(f"{f1:.3f}" for f1 in scores),
        )


def _cells_left_out(table_cells: pd.DataFrame):
    by_trial = trials().set_index([*_KEYS, "trial"])["f1_weighted"].sort_index()
    for cell, row in table_cells[table_cells["printed_mean"].isna()].iterrows():
        rivals = table_cells.loc[cell[:2]].dropna()
        best = rivals["mean"].idxmax()
        p = scipy.stats.ttest_rel(by_trial[cell], by_trial[(*cell[:2], best)]).pvalue  # trials share their split
        yield (
            _name(cell),
            "not in the paper",
            f"average {row['mean']:.3f}, best {row['best']:.3f}",
            f"the highest average in the paper is {rivals['mean'].max():.3f} at {best} s; a t-test paired by "
            f"{row['trials']:.0f} trials gives p = {p:.2f}",
        )


def _lengths_misnamed():
    lengths = trials().drop_duplicates("n_frames").sort_values("n_frames")
    for clip_s, n_frames in zip(lengths["clip_s"], lengths["n_frames"], strict=True):
        seconds = n_frames * 512 / 16000
        if abs(seconds - clip_s) > 0.5:
            yield (
                f"clips of {clip_s} s",
                f"{clip_s} s",
                f"{seconds:.2f} s",
                f"{n_frames} frames of 512 samples at 16 kHz",
            )


def _pins():
    readme, required = (dict(pin.split() for pin in pins.split(", ")) for pins in (_README_PINS, _REQUIREMENTS))
    wrong = {name: version for name, version in readme.items() if version != required[name]}
    return (
        "README, dependencies",
        ", ".join(f"{name} {version}" for name, version in wrong.items()),
        ", ".join(f"{name} {required[name]}" for name in wrong),
        f"{len(wrong)} of {len(readme)} versions differ from the first requirements.txt beside it, each in its first "
        "number; Keras 3 and TensorFlow 2 were not out when the code was written",
    )
