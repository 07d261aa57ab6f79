"""The paper's numbers: recomputed from trials, printed beside, and the errata that follow."""

import numpy as np
import pytest

from crnnlib import published
from crnnlib.errors import ParameterError


def test_every_cell_of_both_tables_has_three_trials():
    cells = published.cells()
    assert (cells["trials"] == 3).all()
    assert len(cells.dropna()) == 2 * 2 * 6
    assert (cells["mean"] <= cells["best"]).all()


@pytest.mark.parametrize(
    ("level", "split", "clip_s", "mean", "best"),
    [
        ("song", "song", 3, 0.937, 0.966),
        ("song", "album", 30, 0.674, 0.691),
        ("clip", "song", 10, 0.772, 0.787),
        ("song", "album", 20, 0.586, 0.609),
        ("song", "album", 6, 0.677, 0.727),
    ],
)
def test_cells_are_recomputed_from_the_trials(level, split, clip_s, mean, best):
    row = published.cells().loc[(level, split, clip_s)]
    assert (row["mean"], row["best"]) == pytest.approx((mean, best), abs=0.0006)


def test_tables_have_the_papers_layout():
    for level in ("song", "clip"):
        ours, theirs = published.table(level), published.table(level, printed=True)
        assert ours.columns.tolist() == theirs.columns.tolist() == [1, 3, 5, 10, 20, 30]
        assert ours.index.tolist() == [("song", "mean"), ("song", "best"), ("album", "mean"), ("album", "best")]
        assert (abs(ours - theirs) > 0.001).to_numpy().sum() == {"clip": 2, "song": 1}[level]
    with pytest.raises(ParameterError, match="'frame': expected 'song' or 'clip'"):
        published.table("frame")


def test_errata_name_the_swap_the_wrong_average_the_hidden_trials_and_the_pins():
    errata = published.errata().set_index("where")
    assert errata["printed"]["clip level, song split, 10 s"] == "average 0.787, best 0.772"
    assert errata["recomputed"]["clip level, song split, 10 s"] == "average 0.772, best 0.787"
    assert "swapped" in errata["evidence"]["clip level, song split, 10 s"]
    assert errata["recomputed"]["song level, album split, 20 s"].startswith("average 0.586")
    assert "swapped" not in errata["evidence"]["song level, album split, 20 s"]
    assert errata["recomputed"]["song level, album split, 6 s"] == "average 0.677, best 0.727"
    assert "0.674 at 30 s" in errata["evidence"]["song level, album split, 6 s"]
    assert errata["recomputed"]["clips of 30 s"] == "29.15 s"
    assert "Keras 2.1.1" in errata["recomputed"]["README, dependencies"]
    assert "h5py" not in errata["printed"]["README, dependencies"]
    assert len(errata) == 6


def test_an_erratum_vanishes_when_the_printed_value_is_right(monkeypatch):
    row = list(published._PRINTED["song", "album", "mean"])
    row[4] = 0.586
    monkeypatch.setitem(published._PRINTED, ("song", "album", "mean"), tuple(row))
    assert "song level, album split, 20 s" not in set(published.errata()["where"])


def test_other_results_are_ranges_of_scores_with_their_source():
    others = published.other_results()
    assert (others["low"] <= others["high"]).all()
    assert others["high"].between(0, 1).all()
    assert set(others["split"]) == {"song", "album"}
    assert np.issubdtype(others["n_artists"].dtype, np.integer)
    assert set(others["citation"]) == {"ellis2007", "mandel2005", "kuo2021"}
