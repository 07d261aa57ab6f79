"""Which trials belong together."""

from types import SimpleNamespace

import pytest

from crnnlib import selection, voting
from crnnlib.errors import ParameterError


def trial(recipe="paper", split="song", clip_s=3.0, seed=0, songs=None, test=()):
    record = {"recipe": {"name": recipe}, "split": {"name": split, "test": test}, "clip_s": clip_s, "seed": seed}
    return SimpleNamespace(record=record, songs=songs)


def test_pick_takes_folds_by_the_kind_of_their_split():
    trials = [trial(split="album-1of6"), trial(split="album"), trial(split="song"), trial(split="album", recipe="live")]
    assert selection.pick(trials, recipe="paper", split="album") == trials[:2]


@pytest.mark.parametrize(
    ("asked", "kept"),
    [({}, 3), ({"clip_s": 3}, 2), ({"seed": 0}, 2), ({"clip_s": 9.0}, 0), ({"design": "one split"}, 3)],
)
def test_pick_keeps_what_agrees_with_everything(asked, kept):
    trials = [trial(), trial(seed=1), trial(clip_s=10.0)]
    assert len(selection.pick(trials, **asked)) == kept


def test_fullest_recipe_has_the_most_splits_and_lengths_not_the_most_trials():
    folds = [trial("paper", f"album-{n}of3", seed=seed) for n in (1, 2, 3) for seed in (0, 1)]
    live = [trial("live", kind) for kind in ("song", "album")]
    assert selection.fullest(folds + live, ("paper", "live")) == "live"
    assert (
        selection.fullest([*folds, *live, trial("paper", "song")], ("paper", "live")) == "paper"
    )  # of equals, the first


def test_one_design_keeps_the_one_that_tests_the_most_songs():
    whole = trial(split="song", test="abc")
    folds = [trial(split=f"song-{n}of2", seed=seed, test=test) for n, test in ((1, "ab"), (2, "cd")) for seed in (0, 1)]
    others = [trial(split="album", test="a"), trial("beyond", test="a"), trial(clip_s=1.0, test="a")]
    assert selection.one_design([whole, *folds, *others]) == [*folds, *others]


def test_one_design_across_lengths_keeps_the_one_with_the_most_lengths():
    whole = [trial(clip_s=clip_s, test="ab") for clip_s in (3.0, 10.0)]
    folds = [trial(split=f"song-{n}of2", test=test) for n, test in ((1, "ab"), (2, "cd"))]
    assert selection.one_design(whole + folds) == [whole[1], *folds]
    assert selection.one_design(whole + folds, across_lengths=True) == whole


def test_matched_trials_have_tested_the_same_songs():
    paper = [trial(test=("s",), seed=0), trial(test=("s",), seed=1), trial(test=("t",), seed=0)]
    other = [trial("wide", test=("t",), seed=0), trial("wide", test=("s",), seed=1), trial("wide", test=("u",), seed=2)]
    assert selection.matched(other, paper) == ([other[0], other[1]], [paper[2], paper[1]])


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
    assert selection.both_splits([song, album, *others[:2]], "paper", 3.0) == ([song], [album])
    assert selection.both_splits([song, *others], "paper", 3.0) == ([], [])
    assert selection.both_splits([song, *others], "live", 3.0) == ([], [])


def test_pooled_holds_every_fold():
    folds = [voting.Scores([[0.9, 0.1]], [0], [name], ("x", "y"), level="song") for name in "abc"]
    assert selection.pooled([trial(songs=fold) for fold in folds]).track_id.tolist() == ["a", "b", "c"]


def test_pooled_refuses_an_unknown_level():
    with pytest.raises(ParameterError, match="'song' or 'clip'"):
        selection.pooled([], "frame")
