"""Tables that a reader compares."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from crnnlib import evaluation, published, tables, voting
from crnnlib.errors import DataError, ParameterError


def songs(truth, predicted, names=None):
    names = [f"a/b/{number:02d}" for number in range(len(truth))] if names is None else names
    return voting.Scores(np.eye(3)[predicted], truth, names, ("x", "y", "z"), level="song")


def trial(recipe="paper", split="song", clip_s=3.0, seed=0, scores=None, test=(), label="artist", max_s=None):
    record = {"recipe": {"name": recipe}, "split": {"name": split, "test": test}, "clip_s": clip_s, "seed": seed}
    record |= {"label": label, "features": {"max_s": max_s}}
    return SimpleNamespace(record=record, songs=scores, test_clips=scores)


def cell(**more):
    row = {"recipe": "paper", "split": "album", "level": "song", "clip_s": 3.0, "mean": 0.5, "best": 0.6}
    return row | {"design": "3 folds", "low": 0.4, "high": 0.7, "trials": 2, "n": 24} | more


def test_summary_pools_folds_and_averages_trials():
    folds = [
        trial(split=f"album-{n}of2", seed=seed, scores=songs([n - 1] * 4, said, [f"{n}{i}" for i in "abcd"]))
        for seed, heard in enumerate(([[0, 0, 0, 1], [1, 1, 1, 1]], [[0, 0, 0, 0], [1, 1, 1, 1]]))
        for n, said in enumerate(heard, 1)
    ]
    rows = tables.summary(folds)
    assert list(rows.level) == ["clip", "song"]
    song = rows[rows.level == "song"].iloc[0]
    halves = [voting.pool([one.songs for one in half]) for half in (folds[:2], folds[2:])]
    of_trials = [evaluation.scores(half)["f1_weighted"] for half in halves]
    assert song["mean"] == pytest.approx(np.mean(of_trials))
    assert song["best"] == max(of_trials) == 1
    assert (song["trials"], song["n"]) == (2, 8)
    assert song["low"] <= song["mean"] <= song["high"]


def test_summary_keeps_designs_apart():
    folds = [trial(split=f"album-{n}of2", scores=songs([0, 1], [0, 1], [f"{n}a", f"{n}b"])) for n in (1, 2)]
    rows = tables.summary([*folds, trial(split="album", scores=songs([0], [0]))])
    found = list(zip(rows["design"], rows["level"], rows["n"], strict=True))
    assert found[1::2] == [("2 folds", "song", 4), ("one split", "song", 1)]


def test_summary_counts_whole_trials_only_and_a_fold_that_was_run_twice_as_two():
    def fold(number, seed, said):
        names = [f"{number}a", f"{number}b"]
        return trial(split=f"album-{number}of2", seed=seed, scores=songs([0, 1], said, names))

    whole, again = [fold(1, 0, [0, 1]), fold(2, 0, [0, 1])], [fold(1, 0, [1, 0]), fold(2, 0, [1, 0])]
    rows = tables.summary([*whole, *again, fold(1, 1, [1, 0])])
    assert rows[["mean", "best", "trials", "n"]].values.tolist() == [[0.5, 1.0, 2, 4]] * 2
    assert tables.summary([fold(1, 0, [0, 1])]).empty
    whole[1].record["split"]["train"] = ["a song that came later"]
    assert tables.summary(whole).empty


def test_summary_keeps_labels_and_features_apart():
    scores = songs([0, 1], [0, 1])
    trials = [trial(scores=scores), trial(scores=scores, label="album"), trial(scores=scores, max_s=10.0)]
    rows = tables.summary(trials)
    assert rows["trials"].tolist() == [1] * 6
    assert {(row["label"], str(row["max_s"])) for row in rows.to_dict("records")} == {
        ("artist", "nan"), ("album", "nan"), ("artist", "10.0")
    }  # fmt: skip


def test_a_row_per_trial_and_level():
    one = trial(split="album-1of2", seed=2)
    one.record |= {"n_frames": 94, "scores": {"clip": {"f1_weighted": 0.25}, "song": {"f1_weighted": 0.5}}}
    rows = tables.per_trial([one])
    assert rows[["split", "design", "fold", "seed", "level", "f1_weighted"]].values.tolist() == [
        ["album", "2 folds", "album-1of2", 2, "clip", 0.25],
        ["album", "2 folds", "album-1of2", 2, "song", 0.5],
    ]


def test_layout_has_a_row_for_each_statistic_and_every_published_length():
    layout = tables.beside_paper(pd.DataFrame([cell()]), "song")
    assert len(layout) == 14
    assert list(layout.columns) == ["1 s", "3 s", "5 s", "6 s", "10 s", "20 s", "30 s"]


def test_layout_shows_own_scores_and_says_where_there_are_none():
    layout = tables.beside_paper(pd.DataFrame([cell()]), "song")
    mean = published.table("song").loc[("album", "mean"), 3]
    here = ["0.500", "0.600", "0.400 to 0.700", "2 × 24", f"{0.5 - mean:+.3f}"]
    assert layout.loc["album split"]["3 s"].tolist()[2:] == here
    assert set(layout.loc["song split"].iloc[2:].to_numpy().ravel()) == {"not run"}


def test_layout_gives_the_paper_recomputed():
    layout = tables.beside_paper(pd.DataFrame(), "clip")
    mean = published.table("clip").loc[("song", "mean"), 10]
    assert layout.loc[("song split", "paper: mean"), "10 s"] == f"{mean:.3f}"
    assert layout.loc[("song split", "paper: mean"), "6 s"] == "none"  # the paper has 6 s for albums only


def test_layout_takes_clip_lengths_that_the_paper_has_not():
    layout = tables.beside_paper(pd.DataFrame([cell(clip_s=2.0)]), "song")
    assert layout.loc["album split", "2 s"].tolist()[-2:] == ["2 × 24", "none"]


@pytest.mark.parametrize(
    ("rows", "level", "message"),
    [
        ([cell()], "frame", "'song' or 'clip'"),
        ([cell(), cell(recipe="x")], "song", "2 recipes"),
        ([cell(), cell(design="one split")], "song", "2 rows for the album song 3.0 s"),
    ],
)
def test_layout_refuses_what_it_cannot_lay_out(rows, level, message):
    with pytest.raises(ParameterError, match=message):
        tables.beside_paper(pd.DataFrame(rows), level)


def test_differences_are_corrected_together():
    truth = [0, 1, 2] * 8
    right, wrong = songs(truth, truth), songs(truth, [0] * 24)
    alone = tables.differences({"x": (right, wrong)}, "accuracy", 200)
    both = tables.differences({"x": (right, wrong), "same": (right, right)}, "accuracy", 200)
    assert both.loc["x", "p"] == pytest.approx(2 * alone.loc["x", "p"])
    assert both.loc["x", ["a", "b"]].tolist() == [1.0, pytest.approx(1 / 3)]
    assert both.loc["same", "difference"] == 0


def test_differences_need_pairs():
    with pytest.raises(DataError, match="no pairs"):
        tables.differences({})


def test_overview_names_all_that_a_score_needs():
    rows = [cell(), cell(level="clip", mean=0.3), cell(clip_s=10.0), cell(level="clip", clip_s=10.0)]
    table = tables.overview({"demo": pd.DataFrame(rows)}, clip_s=4)
    assert table["corpus"].tolist() == ["artist20 (paper)", "artist20 (paper)", "demo"]
    assert table["trials × songs"].tolist()[:2] == ["3 × 142", "3 × 229 to 251"]
    mine = ["demo", "paper", "album", "0.500 (0.40 to 0.70)", "0.300 (0.40 to 0.70)", "3 s", "3 folds", "2 × 24"]
    assert table.iloc[2].tolist() == mine


def test_overview_refuses_two_designs_of_one_recipe():
    with pytest.raises(ParameterError, match="one_design"):
        tables.overview({"demo": pd.DataFrame([cell(), cell(level="clip"), cell(design="matched")])})


def test_overview_tells_recipes_apart():
    rows = [cell(), cell(level="clip", mean=0.3), cell(recipe="beyond", mean=0.6), cell(recipe="beyond", level="clip")]
    table = tables.overview({"demo": pd.DataFrame(rows)}).set_index("corpus").loc["demo"]
    assert table["recipe"].tolist() == ["paper", "beyond"]
    assert table["F1, song level"].tolist() == ["0.500 (0.40 to 0.70)", "0.600 (0.40 to 0.70)"]
