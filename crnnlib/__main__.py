"""The command line: ``crnnlib`` or ``python -m crnnlib``. Each command is a few calls of the package."""

import argparse
import io
import json
import os
import sys
import warnings
from pathlib import Path

from crnnlib import __version__

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

__all__ = ["main"]


def main(arguments=None) -> int:
    """Run one command; a `CRNNError` is one line on standard error and exit code 2.

    Parameters
    ----------
    arguments : list of str, optional
        By default those of the process.

    Returns
    -------
    int
        Exit code.

    Examples
    --------
    >>> main(["report", "no-such-corpus", "--json"])
    []
    0
    """
    from crnnlib.errors import CRNNError

    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # the name of a file need not be text
    try:
        if options.command not in (_fetch, _extract, _report, _publish):
            _load_keras()
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: print(f"crnnlib: {message}", file=sys.stderr)
            return options.command(options) or 0
    except CRNNError as error:
        print(f"crnnlib: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("crnnlib: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        where = error.filename or "the output"
        print(f"crnnlib: {where}: {error.strerror or error}; make room, or name another place", file=sys.stderr)
        return 2
    return 0


def _load_keras():
    """Import Keras, and keep what its backend's C++ says meanwhile from the terminal: no log level reaches that."""
    sys.stderr.flush()
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import keras  # noqa: F401
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


def _fetch(options):
    from crnnlib.corpora import opengame20

    tracks = opengame20.fetch(options.small, options.allow_changed)
    print(f"{len(tracks)} tracks by {tracks.artist.nunique()} artists, {tracks.seconds.sum() / 3600:.1f} hours")


def _extract(options):
    tracks, store = _prepared(options)
    print(f"{len(store.track_ids)} of {len(tracks)} tracks in {store.folder}")


def _study(options):
    import dataclasses

    from crnnlib import study, tables
    from crnnlib.errors import ParameterError
    from crnnlib.recipes import ABLATION, RECIPES

    known = RECIPES | ABLATION
    if options.recipe not in known:
        raise ParameterError(f"--recipe {options.recipe}: expected one of {', '.join(known)}")
    recipe = known[options.recipe]
    if options.max_epochs is not None:
        name = f"{recipe.name}-{options.max_epochs}-epochs"
        recipe = dataclasses.replace(recipe, name=name, max_epochs=options.max_epochs)
    grid = study.Grid(options.lengths, options.splits, options.trials, options.folds, [recipe], options.matched)
    tracks, store = _prepared(options)
    tracks = _enough(tracks.loc[list(store.track_ids)], options)
    if "album" in options.splits or options.matched:
        left = study.several_albums(tracks, options.label, store.duplicates(), options.folds)[options.label].nunique()
        least = f"{options.folds or 2} albums or more"
        print(f"splits by album: the {left} of {tracks[options.label].nunique()} classes with {least}", file=sys.stderr)
    trials = study.run(grid, tracks, store, options.label, scheduler=options.scheduler)
    _print_summary(tables.summary(trials), options.json)


def _report(options):
    from crnnlib import records, tables

    trials = records.results(_short_name(options.corpus))
    summary = tables.summary(trials)
    if trials and summary.empty:
        print(f"crnnlib: {len(trials)} folds are recorded, but not all of any trial yet", file=sys.stderr)
    _print_summary(summary, options.json)


def _publish(options):
    from crnnlib import records

    corpus = _short_name(options.corpus)
    print(f"{records.publish(corpus, options.folder)} new records in {options.folder}/{corpus}")


def _map(options):
    import dataclasses

    import pandas as pd

    from crnnlib import clips, corpora, embeddings, features, figures, identify, musicnn, training, voting
    from crnnlib.errors import DataError

    tracks = corpora.load(options.corpus)
    model = identify.load_model(identify.find_model(tracks.attrs["corpus"], options.model))
    settings = model.settings
    if options.max_s is not None:
        settings = dataclasses.replace(settings, max_s=options.max_s or None)
    store = features.extract(tracks, settings, n_jobs=1 if isinstance(settings, musicnn.Maps) else None)
    tracks = tracks.loc[list(store.track_ids)]
    label = model.record["label"]
    named = tracks[label].astype(str) if label in tracks else pd.Series(index=tracks.index, dtype=str)
    known = tracks[named.isin(model.classes)]
    if known.empty:
        raise DataError(
            f"{tracks.attrs['corpus']}: {model.path} knows none of its {label}s; train with `crnnlib study` first"
        )
    tested = [one for one in model.record["split"]["test"] if one in known.index] or list(known.index)
    labels = [model.classes.index(name) for name in named[tested]]
    chosen = clips.ClipSet.of(store, tested, labels, model.record["n_frames"])
    vectors, probabilities = training.predict(model.network, chosen)
    names = [chosen.track_ids[number] for number in chosen.song]
    scores = voting.Scores(probabilities, chosen.clip_labels, names, model.classes, start=chosen.start, level="clip")
    placed = {options.method: embeddings.project(vectors, method=options.method, seed=0)}
    points = figures.points(scores, tracks, placed, clip_s=model.record["clip_s"], settings=settings)
    figure = figures.embedding_map(points, styles=figures.styles(tracks))
    player = figures.player(tracks.loc[tested], clip_s=model.record["clip_s"])
    learnt = len({*model.record["split"]["train"], *model.record["split"]["validation"]}.intersection(tested))
    caption = f"Clips of {len(tested)} songs of {tracks.attrs['corpus']}, by {options.method} of the bottleneck."
    if learnt:
        caption += f" The network has learnt from {learnt} of these songs."
    figures.save(figure, options.output, caption, caption, corpus=tracks, player=player)
    print(f"{len(scores.truth)} clips in {options.output}, by {model.path}")


def _identify(options):
    from crnnlib import identify, voting
    from crnnlib.errors import DataError, ParameterError

    corpus = options.corpus or os.environ.get("CRNNLIB_CORPUS") or "demo"
    path = identify.find_model(corpus if options.model else _short_name(corpus), options.model)
    if options.corpus and not options.model and path == identify.SHIPPED:
        raise DataError(f"--corpus {corpus}: no model is trained on it; `crnnlib study {corpus}` trains one")
    if options.top < 1:
        raise ParameterError(f"--top {options.top}: expected at least 1")
    model = identify.load_model(path)
    answers, failures = [], 0
    for path in options.files:
        try:
            clips = identify.score_file(model, path)
        except DataError as error:
            failures += 1
            print(f"crnnlib: {' '.join(str(error).split())}", file=sys.stderr)
            continue
        song = voting.soft_vote(clips).probabilities[0]
        best = song.argsort()[::-1][: options.top]
        answers.append(
            {
                "file": path,
                "model": str(model.path),
                "artists": [{"artist": model.classes[one], "probability": round(float(song[one]), 4)} for one in best],
                "clips": [
                    {
                        "start_s": round(int(start) * model.settings.hop_length / model.settings.sr, 2),
                        "artist": model.classes[row.argmax()],
                        "probability": round(float(row.max()), 4),
                    }
                    for start, row in zip(clips.start, clips.probabilities, strict=True)
                ],
            }
        )
    if options.json:
        print(json.dumps(answers, indent=1))
    elif answers:
        print(f"model: {model.path} ({model.record['corpus']}, {model.record['clip_s']:g} s clips)")
    for answer in answers if not options.json else ():
        print(answer["file"])
        for rank in answer["artists"]:
            print(f"  {rank['probability']:6.1%}  {rank['artist']}")
        for clip in answer["clips"]:
            print(f"    {clip['start_s']:7.1f} s  {clip['probability']:6.1%}  {clip['artist']}")
    return 2 if failures else 0


def _short_name(corpus):
    """The name of a corpus in the cache: that of a folder or file is made from its path."""
    from crnnlib import corpora, files

    known = any((files.home() / kept / corpus).exists() for kept in ("results", "models"))
    is_path = os.sep in corpus or (Path(corpus).exists() and not known)
    return corpora.load(corpus).attrs["corpus"] if is_path else corpus


def _prepared(options):
    """The track table that was asked for, and its log-mel store."""
    from crnnlib import corpora, features

    tracks = corpora.load(options.corpus)
    longest = corpora.max_s(tracks) if options.max_s is None else options.max_s
    return tracks, features.extract(tracks, features.LogMel(max_s=longest or None))


def _enough(tracks, options):
    """The classes with as many songs as a split needs, if these are two or more; splits say what is wrong otherwise."""
    if options.label not in tracks:
        return tracks
    least = max(4 if options.folds == 2 else 3, options.folds or 0)
    songs = tracks.groupby(options.label).size()
    few = songs.index[songs < least]
    if not len(few) or len(songs) - len(few) < 2:
        return tracks
    print(f"crnnlib: left out, with fewer than {least} songs: {len(few)} of {len(songs)}", file=sys.stderr)
    return tracks[~tracks[options.label].isin(few)]


def _print_summary(summary, as_json):
    if as_json:
        print(json.dumps(json.loads(summary.to_json(orient="records")), indent=1))
    elif summary.empty:
        print("no trials recorded: run `crnnlib study` first")
    else:
        print(summary.to_string(index=False, float_format=lambda value: f"{value:.3f}", na_rep=""))


def _parser():
    parser = argparse.ArgumentParser(prog="crnnlib", description=__doc__.split(":")[0].lower() + " of crnnlib")
    parser.add_argument("--version", action="version", version=f"crnnlib {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, function, text, corpus=True):
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(command=function)
        if corpus:
            one.add_argument("corpus", help="demo, opengame20, opengame20-small, artist20, or a folder or file")
        return one

    def store(one):
        one.add_argument("--max-s", type=float, help="use up to so many seconds from the middle of each track; 0: all "
                         "of it (default: 120 for opengame20, else all)")  # fmt: skip

    one = command("fetch", _fetch, "download a corpus into the cache", corpus=False)
    one.add_argument("corpus", choices=["opengame20"])
    one.add_argument("--small", action="store_true", help="five artists only, 189 MB")
    one.add_argument("--allow-changed", action="store_true", help="keep tracks whose content differs from the listing")
    store(command("extract", _extract, "compute the log-mel store of a corpus"))
    one = command("study", _study, "train and test a grid of trials, and print its scores")
    store(one)
    one.add_argument("--recipe", default="paper", metavar="NAME", help="paper, beyond, beyond-pretrained, one of these "
                     "two with -joint behind it, or one of the ablation (default: paper)")  # fmt: skip
    one.add_argument(
        "--lengths", type=float, nargs="+", default=[3.0], metavar="S", help="clip lengths in seconds (default: 3)"
    )
    one.add_argument("--splits", nargs="+", choices=["song", "album"], default=["song"],
                     help="what the test holds apart (default: song)")  # fmt: skip
    one.add_argument("--max-epochs", type=int, help="stop after so many (default: as the recipe says)")
    one.add_argument("--trials", type=int, default=3, help="trials of each cell (default: 3)")
    one.add_argument("--folds", type=int, help="split each trial into folds, so that every song is tested")
    one.add_argument("--matched", action="store_true", help="draw song and album splits of equal size")
    one.add_argument("--label", default="artist", help="column of the track table to predict")
    one.add_argument("--scheduler", help="address of a Dask scheduler whose workers train the trials")
    one.add_argument("--json", action="store_true")
    one = command("report", _report, "print the scores of all recorded trials of a corpus")
    one.add_argument("--json", action="store_true")
    one = command("publish", _publish, "copy the recorded trials of a corpus to another folder")
    one.add_argument("folder", help="for the book: book/results")
    one = command("map", _map, "draw the bottleneck of a model over a corpus as an HTML page")
    store(one)
    one.add_argument("--model", help="a .keras file (default: the newest trained on the corpus)")
    one.add_argument("--method", choices=["umap", "tsne", "pca"], default="tsne")
    one.add_argument("--output", default="map.html")
    one = command("identify", _identify, "name the artist of songs", corpus=False)
    one.add_argument("files", nargs="+", metavar="FILE")
    one.add_argument("--corpus", help="whose newest model to use (default: $CRNNLIB_CORPUS or demo)")
    one.add_argument("--model", help="a .keras file")
    one.add_argument("--top", type=int, default=3)
    one.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
