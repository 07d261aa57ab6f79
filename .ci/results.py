"""Write the scores of the committed trials, and the record of the shipped model, into pages: python .ci/results.py

Pages hold pairs of comments, ``<!-- scores of CORPUS -->``, ``<!-- scores of CORPUS, clips of 3 s -->`` or
``<!-- the shipped model -->``, and ``<!-- end -->``; what lies between is written here.
"""

import re
from pathlib import Path

from crnnlib import evaluation, identify, records, selection, tables
from crnnlib.recipes import ABLATION

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "book/lessons.md", "book/model_card.md")
SCORES = re.compile(r"(<!-- scores of ([\w.-]+)(?:, clips of (\S+) s)? -->\n).*?(<!-- end -->)", re.DOTALL)
MODEL = re.compile(r"(<!-- the shipped model -->\n).*?(<!-- end -->)", re.DOTALL)
HEAD = "| recipe | split | clips | trials | test songs | clip level | song level |\n|---|---|--:|--:|--:|--:|--:|\n"


def scores(corpus, clip_s=None):
    """Markdown: weighted F1 of every committed recipe, split and clip length, with 95 % intervals.

    The ablation has a table of its own in chapter 8.
    """
    trials = records.load(ROOT / "book" / "results" / corpus)
    trials = [trial for trial in trials if clip_s in (None, f"{trial.record['clip_s']:g}")]
    trials = [trial for trial in trials if trial.record["recipe"]["name"] not in ABLATION]
    cells = tables.summary(trials).groupby(["split", "design", "clip_s", "recipe"])
    return HEAD + "".join(_row(levels.set_index("level"), trials) for _, levels in cells)


def _row(levels, trials):
    song, clip = levels.loc["song"], levels.loc["clip"]
    design = song["design"]
    mine = selection.pick(trials, song["recipe"], song["split"], song["clip_s"], design=design)
    done = len({trial.record["split"]["name"] for trial in mine})
    if design.endswith("folds") and done < int(design.split()[0]):
        design = f"{done} of {design}"
    return (
        f"| {song['recipe']} | {song['split']}, {design} | {song['clip_s']:g} s | {song['trials']} "
        f"| {song['n']} | {tables.bracketed(clip)} | {tables.bracketed(song)} |\n"
    )


def model():
    """Markdown: what the record of the shipped model says."""
    path = identify.find_model("no corpus")
    record = identify.load_model(path).record
    trial = records.read(next((ROOT / "book" / "results" / record["corpus"]).glob(f"*-{record['id']}.json")))
    split, song = record["split"], record["scores"]["song"]
    learnt = len(split["train"]) + (0 if record["recipe"]["hold_out"] else len(split["validation"]))
    rows = {
        "file": f"`crnnlib/pretrained/{path.name}`, {path.stat().st_size / 1e6:.1f} MB, "
        f"{record['n_parameters']:,} parameters",
        "learnt from": f"{learnt} songs of {record['corpus']} ({record['n_clips']['train']:,} clips of "
        f"{record['clip_s']:g} s) by {len(record['classes'])} artists",
        "recipe": f"`{record['recipe']['name']}`, seed {record['seed']}, {len(record['history'])} epochs, "
        f"{record['seconds'] / 60:.0f} minutes",
        "tested on": f"{song['n']} songs that it had not heard (split `{split['name']}`)",
        "clip level": _level(record, trial.test_clips),
        "song level": f"{_level(record, trial.songs)}, among the first three {song['top3']:.3f}",
        "intervals": "95 %, over the songs; one trial",
    }
    return "| property | value |\n|---|---|\n" + "".join(f"| {name} | {said} |\n" for name, said in rows.items())


def _level(record, decided):
    told = record["scores"][decided.level]
    low, high = evaluation.interval(decided)
    return f"weighted F1 {told['f1_weighted']:.3f} ({low:.2f} to {high:.2f}), accuracy {told['accuracy']:.3f}"


def written(text):
    """Return a page with its tables written anew."""
    text = SCORES.sub(lambda found: f"{found[1]}\n{scores(found[2], found[3])}\n{found[4]}", text)
    return MODEL.sub(lambda found: f"{found[1]}\n{model()}\n{found[2]}", text)


if __name__ == "__main__":
    for name in PAGES:
        path = ROOT / name
        path.write_text(written(path.read_text("utf-8")), "utf-8")
