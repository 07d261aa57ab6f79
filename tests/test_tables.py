"""Tables that a reader compares."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from crnnlib import published, tables, voting
from crnnlib.errors import DataError, ParameterError


def songs(truth, predicted, names=None):
    names = [f"a/b/{number:02d}" for number in range(len(truth))] if names is None else names
    return voting.Scores(np.eye(3)[predicted], truth, names, ("x", "y", "z"), level="song")


def trial(recipe="paper", split="song", clip_s=3.0, seed=0, scores=None, test=()):
    record = {"recipe": {"name": recipe}, "split": {"name": split, "test": test}, "clip_s": clip_s, "seed": seed}
    return SimpleNamespace(record=record, songs=scores, test_clips=scores)


def cell(**more):
    row = {"recipe": "paper", "split": "album", "level": "song", "clip_s": 3.0, "mean": 0.5, "best": 0.6}
    return row | {"low": 0.4, "high": 0.7, "trials": 2, "n": 24} | more


def test_pick_takes_folds_by_the_kind_of_their_split():
    trials = [trial(split="album-1of6"), trial(split="album"), trial(split="song"), trial(split="album", recipe="live")]
    assert tables.pick(trials, recipe="paper", split="album") == trials[:2]


@pytest.mark.parametrize(
    ("asked", "kept"),
    [({}, 3), ({"clip_s": 3}, 2), ({"seed": 0}, 2), ({"clip_s": 9.0}, 0), ({"design": "one split"}, 3)],
)
def test_pick_keeps_what_agrees_with_everything(asked, kept):
    trials = [trial(), trial(seed=1), trial(clip_s=10.0)]
    assert len(tables.pick(trials, **asked)) == kept


def test_fullest_recipe_has_the_most_splits_and_lengths_not_the_most_trials():
    folds = [trial("paper", f"album-{n}of3", seed=seed) for n in (1, 2, 3) for seed in (0, 1)]
    live = [trial("live", kind) for kind in ("song", "album")]
    assert tables.fullest(folds + live, ("paper", "live")) == "live"
    assert tables.fullest([*folds, *live, trial("paper", "song")], ("paper", "live")) == "paper"  # of equals, the first


def test_one_design_keeps_the_one_that_tests_the_most_songs():
    whole = trial(split="song", test="abc")
    folds = [trial(split=f"song-{n}of2", seed=seed, test=test) for n, test in ((1, "ab"), (2, "cd")) for seed in (0, 1)]
    others = [trial(split="album", test="a"), trial("beyond", test="a"), trial(clip_s=1.0, test="a")]
    assert tables.one_design([whole, *folds, *others]) == [*folds, *others]


def test_one_design_across_lengths_keeps_the_one_with_the_most_lengths():
    whole = [trial(clip_s=clip_s, test="ab") for clip_s in (3.0, 10.0)]
    folds = [trial(split=f"song-{n}of2", test=test) for n, test in ((1, "ab"), (2, "cd"))]
    assert tables.one_design(whole + folds) == [whole[1], *folds]
    assert tables.one_design(whole + folds, across_lengths=True) == whole


def test_matched_trials_have_tested_the_same_songs():
    paper = [trial(test=("s",), seed=0), trial(test=("s",), seed=1), trial(test=("t",), seed=0)]
    other = [trial("wide", test=("t",), seed=0), trial("wide", test=("s",), seed=1), trial("wide", test=("u",), seed=2)]
    assert tables.matched(other, paper) == ([other[0], other[1]], [paper[2], paper[1]])


def test_both_splits_are_of_one_recipe_and_the_same_classes():
    def known(split, classes, **more):
        one = trial(split=split, **more)
        one.record["classes"] = classes
        return one

    song, album = known("song", ["x", "y"]), known("album-1of2", ["x", "y"])
    others = [
        known("album", ["x"], recipe="live"),
        known("song", ["x", "y"], recipe="live"),
        known("album", ["x"], clip_s=9),
    ]
    assert tables.both_splits([song, album, *others[:2]], "paper", 3.0) == ([song], [album])
    assert tables.both_splits([song, *others], "paper", 3.0) == ([], [])
    assert tables.both_splits([song, *others], "live", 3.0) == ([], [])


def test_pooled_holds_every_fold():
    parts = [trial(scores=songs([0, 1], [0, 1], ["a", "b"])), trial(scores=songs([2], [0], ["c"]))]
    assert tables.pooled(parts).n == 3


def test_pooled_refuses_an_unknown_level():
    with pytest.raises(ParameterError, match="'song' or 'clip'"):
        tables.pooled([], "frame")


def test_layout_has_a_row_for_each_statistic_and_every_published_length():
    layout = tables.beside_paper(pd.DataFrame([cell()]), "song")
    assert len(layout) == 12
    assert list(layout.columns) == ["1 s", "3 s", "5 s", "6 s", "10 s", "20 s", "30 s"]


def test_layout_shows_own_scores_and_says_where_there_are_none():
    layout = tables.beside_paper(pd.DataFrame([cell()]), "song")
    assert layout.loc["album split"]["3 s"].tolist()[2:] == ["0.500", "0.600", "0.400 to 0.700", "2 × 24"]
    assert set(layout.loc["song split"].iloc[2:].to_numpy().ravel()) == {"not run"}


def test_layout_gives_the_paper_recomputed():
    layout = tables.beside_paper(pd.DataFrame(), "clip")
    mean = published.table("clip").loc[("song", "mean"), 10]
    assert layout.loc[("song split", "paper: mean"), "10 s"] == f"{mean:.3f}"
    assert layout.loc[("song split", "paper: mean"), "6 s"] == "none"  # the paper has 6 s for albums only


def test_layout_takes_clip_lengths_that_the_paper_has_not():
    assert "2 s" in tables.beside_paper(pd.DataFrame([cell(clip_s=2.0)]), "song")


@pytest.mark.parametrize(
    ("rows", "level", "message"), [([cell()], "frame", "'song' or 'clip'"), ([cell(), cell(recipe="x")], "song", "one")]
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
    assert table["corpus"].tolist() == ["artist20, as published", "artist20, as published", "demo"]
    mine = ["demo", "paper", "3 s", "album", "0.300", "0.500", "0.40 to 0.70", 2, 24]
    assert table.iloc[2].tolist() == mine


def test_overview_tells_recipes_apart():
    rows = [cell(), cell(level="clip", mean=0.3), cell(recipe="beyond", mean=0.6), cell(recipe="beyond", level="clip")]
    table = tables.overview({"demo": pd.DataFrame(rows)}).set_index("corpus").loc["demo"]
    assert table["recipe"].tolist() == ["paper", "beyond"]
    assert table["F1, song level"].tolist() == ["0.500", "0.600"]
