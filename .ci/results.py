"""Write the scores of the committed trials, and the record of the shipped model, into pages: python .ci/results.py

Pages hold pairs of comments, ``<!-- scores of CORPUS -->``, ``<!-- scores of CORPUS, clips of 3 s -->`` or one of those
in `TABLES`, and ``<!-- end -->``; what lies between is written here.
"""

import re
from pathlib import Path

import pandas as pd

from crnnlib import evaluation, identify, records, selection, splits, tables, voting
from crnnlib.recipes import ABLATION

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "book/lessons.md", "book/model_card.md")
SCORES = re.compile(r"(<!-- scores of ([\w.-]+)(?:, clips of (\S+) s)? -->\n).*?(<!-- end -->)", re.DOTALL)
IDEAS = {
    "accuracy": "epoch by accuracy",
    "pooling": "less pooling",
    "width": "more filters",
    "non-local": "non-local block",
}
HEAD = "| recipe | split | clips | song level | clip level | trials | test songs |\n|---|---|--:|--:|--:|--:|--:|\n"


def scores(corpus, clip_s=None):
    """Markdown: weighted F1 of every committed split, recipe and clip length, with 95 % intervals.

    The ablation has a table of its own.
    """
    trials = records.load(ROOT / "book" / "results" / corpus)
    trials = [trial for trial in trials if clip_s in (None, f"{trial.record['clip_s']:g}")]
    trials = [trial for trial in trials if trial.record["recipe"]["name"] not in ABLATION]
    cells = tables.summary(trials).groupby(["split", "design", "recipe", "clip_s"])
    return HEAD + "".join(_row(levels.set_index("level")) for _, levels in cells)


def _row(levels):
    song, clip = levels.loc["song"], levels.loc["clip"]
    design = f"{song['split']}, {song['design']}".replace(" ", "\u00a0")
    return (
        f"| {song['recipe']} | {design} | {song['clip_s']:g} s | {tables.bracketed(song)} "
        f"| {tables.bracketed(clip)} | {song['trials']} | {song['n']} |\n"
    )


def lengths():
    """Markdown: the paper's recipe at every other clip length minus the same at 3 s, trial by trial and song by song.

    A column for each design that has the lengths; p is corrected over the column, and below 0.05 the cell is bold.
    """
    columns = {}
    for corpus, split, design in (
        ("opengame20", "album", "2 folds"), ("opengame20", "song", "3 folds"),
        ("demo", "album", "one split"), ("demo", "song", "one split"),
    ):  # fmt: skip
        trials = records.load(ROOT / "book" / "results" / corpus)
        base = selection.pick(trials, "paper", split, 3.0, design=design)
        pairs, seeds = {}, set()
        for clip_s in (1.0, 5.0, 10.0, 20.0, 30.0):
            both = selection.matched(selection.pick(trials, "paper", split, clip_s, design=design), base)
            pairs[f"{clip_s:g} s"] = tuple(map(selection.pooled, both))
            seeds.add(len({trial.record["seed"] for trial in both[0]}))
        found = tables.differences(pairs)
        several = " to ".join(str(n) for n in sorted({min(seeds), max(seeds)}))
        head = f"{corpus}, {split} split, {found['n'].max()} songs, {several} trial{'s' * (several != '1')}"
        columns[head] = found.apply(_difference, axis=1)
    return _written(pd.DataFrame(columns).rename_axis("clips").reset_index())


def together():
    """Markdown: a song named by all trials of a setting in one soft vote, minus the same by each trial alone.

    Of every setting whose folds test each song once a trial, in three trials or more; p is corrected over the table.
    Recipes that let statistics vote as well are left out, since their networks are those of others; so is the ablation.
    """
    about, pairs = [], {}
    for corpus in ("opengame20", "demo"):
        settings = {}
        for trial in records.load(ROOT / "book" / "results" / corpus):
            split, design = splits.design(trial.record["split"]["name"])
            recipe = trial.record["recipe"]["name"]
            if design.endswith("folds") and trial.statistics is None and recipe not in ABLATION:
                key = split, recipe, trial.record["clip_s"]
                settings.setdefault(key, []).append(trial)
        for (split, recipe, clip_s), trials in sorted(settings.items()):
            n_trials = len({trial.record["seed"] for trial in trials})
            if n_trials >= 3:
                one = voting.pool([voting.soft_vote(trial.test_clips) for trial in trials])
                about.append((f"{corpus}, {split} split", f"`{recipe}`", f"{clip_s:g} s", str(n_trials)))
                pairs[str(about[-1])] = voting.soft_vote(one), one
    found = tables.differences(pairs)
    table = pd.DataFrame(about, found.index, ["corpus", "recipe", "clips", "trials"])
    table["one"], table["together"] = (found[end].map("{:.3f}".format) for end in "ba")
    return _written(table.assign(difference=found.apply(_difference, axis=1)))


def ablation():
    """Markdown: on the demo by album, what `beyond` loses without each ingredient and what `paper` gains with each.

    And with each of the other ideas. All trials together, and each by itself; p is corrected over the table, and below
    0.05 the cell is bold.
    """
    trials = records.load(ROOT / "book" / "results" / "demo")
    columns = {"beyond": "`beyond` without it", "paper": "`paper` with it alone"}
    pairs, single = {}, {}
    for name in ABLATION:
        recipes = name, name.split("-")[0]
        both = selection.matched(*(selection.pick(trials, one, "album", 3.0, design="3 folds") for one in recipes))
        if not all(both):
            continue
        pairs[name] = tuple(map(selection.pooled, both))
        for seed in sorted({trial.record["seed"] for trial in both[0]}):
            a, b = (evaluation.scores(selection.pooled(selection.pick(one, seed=seed))) for one in both)
            single.setdefault(name, []).append(_signed(a["f1_weighted"] - b["f1_weighted"]))
    rows = {}
    for name, said in tables.differences(pairs).apply(_difference, axis=1).items():
        base, _, ingredient = name.split("-", 2)
        rows.setdefault(ingredient, dict.fromkeys(columns, ""))[base] = f"{said}<br>{', '.join(single[name])}"
    table = pd.DataFrame.from_dict(rows, orient="index").rename(columns=columns, index=IDEAS)
    return _written(table.rename_axis("ingredient").reset_index())


def _written(table):
    kinds = ["---" if name in ("clips", "corpus", "ingredient", "recipe") else "--:" for name in table.columns]
    return "".join(f"| {' | '.join(line)} |\n" for line in [table.columns, kinds, *table.to_numpy()])


def _difference(row):
    low, high = (f"{row[end]:z.2f}".replace("-", "−") for end in ("low", "high"))
    said = f"{_signed(row['difference'])}<br>({low} to {high})"
    return f"**{said}**" if row["p"] < 0.05 else said


def _signed(value):
    return f"{value:+z.2f}".replace("+0.00", "0.00").replace("-", "−")


def model():
    """Markdown: what the record of the shipped model says."""
    path = identify.SHIPPED
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
        "intervals": "95 %, over the songs; one trial, the first of three folds",
    }
    return "| property | value |\n|---|---|\n" + "".join(f"| {name} | {said} |\n" for name, said in rows.items())


def _level(record, decided):
    told = record["scores"][decided.level]
    low, high = evaluation.interval(decided)
    return f"weighted F1 {told['f1_weighted']:.3f} ({low:.2f} to {high:.2f}), accuracy {told['accuracy']:.3f}"


TABLES = {
    "other lengths minus 3 s": lengths,
    "trials together minus one": together,
    "ingredients of beyond": ablation,
    "the shipped model": model,
}


def written(text):
    """Return a page with its tables written anew."""
    text = SCORES.sub(lambda found: f"{found[1]}\n{scores(found[2], found[3])}\n{found[4]}", text)
    for name, table in TABLES.items():
        between = re.compile(f"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = between.sub(lambda found, table=table: f"{found[1]}\n{table()}\n{found[2]}", text)
    return text


if __name__ == "__main__":
    for name in PAGES:
        path = ROOT / name
        path.write_text(written(path.read_text("utf-8")), "utf-8")
