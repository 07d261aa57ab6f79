"""Figures show what they are given, say what corpus it comes from, and make pages that need nothing from elsewhere."""

import dataclasses
import json
import os
import re
import shutil
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io
import pytest
import soundfile

from crnnlib import features, figures, voting
from crnnlib.errors import DataError, ParameterError
from crnnlib.figures import audio, maps, page, theme

NASTY = '</script><img src=x onerror="alert(1)">'


@pytest.fixture
def clips(tracks):
    """Clip-level scores of every song of `tracks`, four clips each."""
    names = sorted(tracks["artist"].unique())
    ids = np.repeat(tracks.index.to_numpy(), 4)
    truth = np.array([names.index(tracks.at[i, "artist"]) for i in ids])
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), len(ids)) + np.eye(3)[truth]
    start = np.tile(np.arange(4) * 32, len(tracks))
    return voting.Scores(probabilities / 2, truth, ids, names, start=start)


@pytest.fixture
def points(clips, tracks):
    """A map's table with two methods."""
    plane = np.random.default_rng(1).normal(size=(clips.n, 2))
    return figures.points(clips, tracks, {"umap": plane, "pca": -plane}, clip_s=1)


def test_points_start_where_the_file_does(clips, tracks):
    maps = {"pca": np.zeros((clips.n, 2))}
    whole, cut = (
        figures.points(clips, tracks, maps, 1, settings=features.LogMel(max_s=max_s)) for max_s in (None, 2.0)
    )
    seconds = tracks["path"].map(lambda path: soundfile.info(path).duration)[whole["track_id"]].to_numpy()
    np.testing.assert_allclose(cut["start"] - whole["start"], (seconds - 2) / 2)


def results():
    """One call per figure that draws a table."""
    rows = [("song", level, c, 0.5, 0.4, 0.6) for level in ("clip", "song") for c in (1, 3)]
    table = pd.DataFrame(rows, columns=["split", "level", "clip_s", "f1_weighted", "low", "high"])
    spans = pd.DataFrame({"difference": [0.1], "low": [0.0], "high": [0.2], "score": [0.5], "p": [0.04]}, [NASTY])
    bins = pd.DataFrame({"confidence": [0.5, 0.9], "accuracy": [0.4, 0.8], "n": [3, 0]})
    answers = pd.DataFrame({"threshold": [0, 1], "kept": [1, 0], "right": [0.5, None], "refused": [0, 1]})
    effect = pd.DataFrame({"producer_effect": [0, 1], "song": [0.9, 0.9], "album": [0.9, 0.5]})
    read = {"score": [0.5, 0.9], "album_within_artist": [0.8, 0.6], "album_within_artist_chance": [0.4, 0.3]}
    history = [{"epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.4, "seconds": 2.0}]
    record = {"clip_s": 3, "seed": 0, "split": {"name": "album"}, "history": history, "seconds": 9.0, "device": "cpu"}
    spectra = pd.DataFrame(np.zeros((3, 1)), [50, 100, 200], pd.MultiIndex.from_tuples([(NASTY, "x")]))
    return {
        "f1": figures.f1_by_clip_length(table, table),
        "confusion": figures.confusion(pd.DataFrame([[2, 0], [1, 0]], [NASTY, "b"], [NASTY, "b"])),
        "vote curve": figures.vote_curve({NASTY: pd.DataFrame({"seconds": [3, 6], "f1_weighted": [0.5, 0.6]})}),
        "calibration": figures.calibration({NASTY: bins}),
        "refusals": figures.refusals(answers, chosen=0.5),
        "forest": figures.forest(spans),
        "ablation": figures.ablation(spans.drop(columns=["difference", "p"]), NASTY),
        "dial": figures.dial(effect),
        "album": figures.album_in_bottleneck(pd.DataFrame(read, [NASTY, "beyond-without-crops"])),
        "curves": figures.learning_curves([record]),
        "growth": figures.growth(pd.DataFrame({"hours": [1.0, 2.0], "clip_s": [3.0, 3.0], "seconds": [8.0, 16.0]})),
        "time": figures.time_per_clip_length([record]),
        "panels": figures.mel_panels({NASTY: np.zeros((94, 128)), "b": np.full((94, 128), -80.4)}),
        "spectra": figures.album_spectra(spectra),
    }


@pytest.mark.parametrize(("name", "figure"), results().items(), ids=results())
def test_every_figure_fits_the_page(name, figure):
    assert isinstance(figure, go.Figure)
    assert len(figure.data) >= 1
    assert figure.layout.template.layout.paper_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.height >= 100
    html = figures.embed(figure, "A claim.", "What is seen.", "demo").site()
    assert html.count("</script>") == 1
    assert "<img" not in plotly.io.to_json(figure)
    assert "http" not in html


# ---- colours ----


def linear(colours):
    srgb = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in colours])
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def cielab(light):
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    f = np.cbrt(np.maximum(light @ np.transpose(to_xyz) / [0.95047, 1, 1.08883], 0.008856))
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


SEEN_WITH = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


@pytest.mark.parametrize("eyes", SEEN_WITH)
def test_artists_with_one_symbol_differ_in_colour_for_all_eyes(eyes):
    drawn = list(figures.styles(f"artist {i:02d}" for i in range(20)).values())
    assert len(set(drawn)) == 20
    lab = cielab(np.clip(linear([style.colour for style in drawn]) @ np.transpose(SEEN_WITH[eyes]), 0, 1))
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    alike = [(i, j) for i in range(20) for j in range(i) if drawn[i].symbol == drawn[j].symbol]
    assert min(apart[i, j] for i, j in alike) >= 20


@pytest.mark.parametrize("paper", ["#ffffff", "#14181e"])
def test_colours_stand_out_from_light_and_dark_pages(paper):
    luminance = linear([*theme.PALETTE, *theme.ORDERED, theme.GREY, paper]) @ [0.2126729, 0.7151522, 0.0721750]
    light, dark = np.maximum(luminance[:-1], luminance[-1]), np.minimum(luminance[:-1], luminance[-1])
    assert ((light + 0.05) / (dark + 0.05)).min() >= 2.5


def test_an_artist_looks_the_same_in_a_figure_of_some(tracks):
    style = figures.styles(tracks)
    figure = figures.tracks_per_artist(tracks[tracks["artist"] == "Çelik"], styles=style)
    assert figure.data[0].marker.color == (style["Çelik"].colour,)
    assert figures.styles(tracks.sample(frac=1, random_state=0)) == style


def test_beyond_twenty_artists_the_symbol_changes():
    drawn = list(figures.styles(f"artist {i:02d}" for i in range(100)).values())
    assert len(set(drawn)) == 100


# ---- corpus, results ----


def test_bars_say_how_much_there_is(tracks):
    bars = figures.tracks_per_artist(tracks).data[0]
    assert sorted(bars.y) == sorted(tracks["artist"].unique())
    assert set(bars.text) == {"8 tracks, 2 albums"}


def test_durations_need_lengths(tracks):
    with pytest.raises(DataError, match="without seconds"):
        figures.durations(tracks.drop(columns="seconds", errors="ignore"))
    timed = tracks.assign(seconds=np.arange(len(tracks), dtype=float))
    assert sorted(len(box.x) for box in figures.durations(timed).data) == [8, 8, 8]


def test_panels_keep_decibels_and_seconds():
    panel = figures.mel_panels({"a": np.linspace(-80, 0, 94 * 4).reshape(94, 4)}, seconds=3).data[0]
    assert panel.z.shape == (4, 94)
    assert panel.z.min() == -80
    assert panel.x[0] == pytest.approx(3 / 94 / 2)


def test_f1_joins_means_and_keeps_trials():
    rows = [("album", "song", 3, f1) for f1 in (0.4, 0.6)]
    figure = figures.f1_by_clip_length(pd.DataFrame(rows, columns=["split", "level", "clip_s", "f1_weighted"]))
    assert figure.data[0].y.tolist() == [0.5]
    assert figure.data[1].y.tolist() == [0.4, 0.6]


def test_confusion_shows_shares_and_counts():
    heat = results()["confusion"].data[0]
    assert heat.z.tolist() == [[1.0, 0.0], [1.0, 0.0]]
    assert heat.text.tolist() == [["2", ""], ["1", ""]]
    assert heat.customdata.tolist() == [[[2, 2], [0, 2]], [[1, 1], [0, 1]]]


def by_artist(artists):
    """The figures that have a row per artist."""
    n = len(artists)
    table = pd.DataFrame({"artist": artists, "album": "x", "title": "t", "seconds": 60.0})
    vote = voting.Scores(np.full((1, n), 1 / n), [0], ["s"], artists, start=[0])
    return {
        "confusion": figures.confusion(pd.DataFrame(np.eye(n), artists, artists)),
        "timeline": figures.timeline(vote, clip_s=3),
        "bars": figures.tracks_per_artist(table),
        "durations": figures.durations(table),
    }


ALIKE = ["a b", "a_b", *(f"The Philharmonic Orchestra of {50 * 'x'} under {name}" for name in "AB")]


@pytest.mark.parametrize(("name", "figure"), by_artist(ALIKE).items(), ids=by_artist(ALIKE))
def test_artists_whose_names_look_alike_keep_a_row_each(name, figure):
    rows = [box.name for box in figure.data] if name == "durations" else figure.data[0].y
    assert len(set(rows)) == len(ALIKE)


@pytest.mark.parametrize("figure", by_artist(["7", "007", "1975"]).values(), ids=by_artist(ALIKE))
def test_artists_whose_names_are_numbers_have_a_row_each(figure):
    assert figure.layout.yaxis.type == "category"


def test_menus_of_curves_hold_all_four():
    menu = results()["curves"].layout.updatemenus[0]
    assert menu.buttons[0].label == "validation accuracy (clips)"
    assert menu.buttons[1].args[0] == {"y": [[1.0]]}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: figures.f1_by_clip_length(pd.DataFrame({"split": ["song"]})), "without level, clip_s, f1_weighted"),
        (lambda: figures.confusion(pd.DataFrame([[1]], ["a"], ["b"])), "rows and columns differ"),
        (lambda: figures.ablation(pd.DataFrame({"score": [1], "low": [1], "high": [1]}, ["a"]), "b"), "baseline='b'"),
        (lambda: figures.mel_panels({}), "panels={}"),
        (lambda: figures.album_spectra(pd.DataFrame({"a": [1.0]})), "1 level"),
        (lambda: figures.embedding_map(pd.DataFrame({"artist": []})), "views with methods"),
    ],
)
def test_bad_tables_are_refused(call, said):
    with pytest.raises(ParameterError, match=said):
        call()


def test_no_trials_no_curves():
    with pytest.raises(DataError, match="no trials"):
        figures.learning_curves([])


# ---- maps ----


def test_a_map_has_a_trace_per_artist_and_a_click_knows_song_and_second(points, tracks):
    figure = figures.embedding_map(points, styles=figures.styles(tracks))
    assert [trace.name for trace in figure.data] == sorted(tracks["artist"].unique())
    assert {trace.type for trace in figure.data} == {"scattergl"}
    songs = figure.layout.meta["songs"]
    for trace in figure.data:
        assert trace.meta == {"clip_s": 1.0}
        for number, start, album, title, *_ in trace.customdata:
            assert songs[number] == f"{trace.name}/{album}/{title}"
            assert start in (0.0, 1.02, 2.05, 3.07)


def test_menus_of_a_map_change_method_view_and_colour_of_all_traces(points):
    figure = figures.embedding_map({"clips": points, "few": points[::3]})
    menus = {menu.name: menu for menu in figure.layout.updatemenus}
    assert list(menus) == ["Method", "View", "Colour"]
    method, (view, _) = menus["Method"].buttons[1], menus["View"].buttons[1].args
    assert method.label == "PCA"
    for trace, x in zip(figure.data, method.args[0]["x"], strict=True):
        np.testing.assert_allclose(x, -np.asarray(trace.x), atol=1e-3)
    assert [trace.visible for trace in figure.data] == [True] * 3 + [False] * 3
    assert view["visible"] == [False] * 3 + [True] * 3
    by_album = menus["Colour"].buttons[1].args[0]["marker.color"]
    assert [len(set(colours)) for colours in by_album] == [2] * 6


def test_training_clips_are_marked(points):
    both = pd.concat([points, points.assign(part="train")])
    first = figures.embedding_map(both).data[0]
    assert (first.name, first.marker.color) == ("training clips", theme.GREY)


def test_a_large_map_is_thinned_the_same_way_each_time(points):
    many = pd.concat([points] * 5)
    drawn = figures.embedding_map(many, max_points=100, seed=1)
    assert sum(len(trace.x) for trace in drawn.data) == 100
    assert drawn == figures.embedding_map(many, max_points=100, seed=1)


def test_three_views_of_two_thousand_points_stay_below_two_megabytes(points):
    many = pd.concat([points] * 22).assign(title="A title of quite usual length", album="An album's name")
    many = many.assign(**{f"tsne_{axis}": np.random.default_rng(0).normal(size=len(many)) for axis in "xy"})
    figure = figures.embedding_map(dict.fromkeys(("1 s", "3 s", "10 s"), many), max_points=2000)
    assert len(figures.embed(figure, "A claim.", "What is seen.", "demo").site()) < 1.8e6


def test_points_refuse_other_songs_and_other_numbers(clips, tracks):
    with pytest.raises(ParameterError, match=r"maps\['pca'\]"):
        figures.points(clips, tracks, {"pca": np.zeros((3, 2))}, clip_s=1)
    with pytest.raises(DataError, match="not in the track table"):
        figures.points(clips, tracks.iloc[:3], {"pca": np.zeros((clips.n, 2))}, clip_s=1)


def test_a_timeline_follows_one_song(clips, tracks, monkeypatch):
    monkeypatch.setattr(maps, "_LEADING", 2)
    song = tracks.index[3]
    figure = figures.timeline(clips.take(clips.track_id == song), clip_s=1)
    heat = figure.data[0]
    assert figure.layout.meta == {"songs": [song], "clip_s": 1}
    assert heat.y[-1] == "all others"
    np.testing.assert_allclose(np.sum(heat.z, axis=0), 1, atol=2e-3)
    assert heat.customdata[0, :, 1].tolist() == [0.0, 1.024, 2.048, 3.072]


def test_a_timeline_begins_with_the_answer_of_the_vote():
    shares = [[0.9, 0.1], [0.9, 0.1], [0.001, 0.999]]
    clips = voting.Scores(shares, [0, 0, 0], ["s"] * 3, ("mean", "vote"), start=[0, 94, 188])
    assert figures.timeline(clips, clip_s=3).data[0].y == ("vote", "mean")


def test_a_timeline_is_of_one_song_with_starts(clips):
    song = clips.take(clips.track_id == clips.track_id[0])
    for wrong in (clips, dataclasses.replace(song, start=None)):
        with pytest.raises(ParameterError, match="expected one, with known starts"):
            figures.timeline(wrong, clip_s=1)


# ---- pages ----


def test_the_corpus_stands_in_the_figure_and_the_original_stays_clean(tracks):
    plain = results()["dial"]
    assert not plain.layout.annotations
    assert theme.stamp(plain, "demo-seed1").layout.annotations[-1].text == "synthetic corpus"
    assert theme.stamp(plain, "demo-tapes-0c351333").layout.annotations[-1].text == "corpus: demo-tapes-0c351333"
    assert theme.stamp(plain, tracks).layout.annotations[-1].text == f"corpus: {tracks.attrs['corpus']}"
    assert not plain.layout.annotations


@pytest.mark.parametrize("missing", ["caption", "alt"])
def test_a_figure_without_words_is_refused(missing):
    words = {"caption": "A claim.", "alt": "What is seen.", missing: " "}
    with pytest.raises(ParameterError, match=missing):
        figures.embed(results()["dial"], **words)


def test_a_notebook_gets_json_for_lab_and_html_for_the_book():
    bundle = figures.embed(results()["dial"], "A claim.", "What is 'seen' & heard.", "demo")._repr_mimebundle_()
    drawing = bundle["application/vnd.plotly.v1+json"]
    assert "sendChartToCloud" in drawing["config"]["modeBarButtonsToRemove"]
    html = bundle["text/html"]
    assert 'data-alt="What is &#x27;seen&#x27; &amp; heard."' in html
    assert "<figcaption>A claim.</figcaption>" in html
    told = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert [trace["name"] for trace in told["data"]] == ["album split", "song split"]


def test_a_page_that_is_saved_stands_alone(home, points, tracks, tmp_path):
    listen = figures.player(tracks.head(2), clip_s=1, progress=False)
    figure = figures.embedding_map(points)
    path = figures.save(figure, tmp_path / "map.html", "Clips gather.", "A map.", tracks, listen)
    html = path.read_text("utf-8")
    assert 'src="map_files/plotly.min.js"' in html
    assert 'data-crnn-audio="map_files/"' in html
    assert all((tmp_path / "map_files" / name).stat().st_size > 100 for name in ("plotly.min.js", *listen.files))
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', html)


def test_a_page_finds_its_files_whatever_its_name(tmp_path):
    path = figures.save(results()["dial"], tmp_path / "map #1, 50%?.html", "A claim.", "What is seen.")
    beside = re.findall(r'(?:src|data-crnn-audio)="(.*?)/', path.read_text("utf-8"))
    assert [unquote(urlsplit(name).path) for name in beside] == ["map #1, 50%?_files"] * 2


def test_assets_are_part_of_the_package():
    assert all(asset.is_file() for asset in page.ASSETS)


# ---- sound ----


def test_songs_become_small_mp3_with_a_picture_once(home, tracks):
    listen = figures.player(tracks.head(2), clip_s=1, progress=False)
    song = listen.songs[0]
    about = soundfile.info(audio.listen_folder() / song["audio"])
    assert (about.samplerate, about.channels, about.format) == (16000, 1, "MP3")
    length = soundfile.info(tracks["path"].iloc[0]).duration
    assert song["seconds"] == pytest.approx(length, abs=0.15)
    assert (audio.listen_folder() / song["audio"]).stat().st_size < 5000 * length + 1000
    assert (song["id"], song["group"], song["title"]) == (
        tracks.index[0],
        tracks["artist"].iloc[0],
        tracks["title"].iloc[0],
    )
    written = {name: (audio.listen_folder() / name).stat().st_mtime_ns for name in listen.files}
    again = figures.player(tracks.head(2), clip_s=1, progress=False)
    assert again == listen
    assert written == {name: (audio.listen_folder() / name).stat().st_mtime_ns for name in again.files}


def test_the_picture_is_a_spectrogram_with_low_notes_at_the_bottom(home):
    time = np.arange(32000) / 16000
    figures.sounds({"low": np.sin(2 * np.pi * 110 * time)})
    import zlib

    data = next((audio.listen_folder() / "computed").glob("*.png")).read_bytes()
    assert data.startswith(b"\x89PNG")
    width, height = (int.from_bytes(data[i : i + 4], "big") for i in (16, 20))
    assert (width, height) == (pytest.approx(2 * audio.PIXELS_PER_S, abs=1), 64)
    begin = data.index(b"IDAT") + 4
    rows = np.frombuffer(zlib.decompress(data[begin:]), np.uint8).reshape(height, width + 1)[:, 1:]
    assert rows[:, 5:-5].mean(1).argmax() > 58


@pytest.mark.parametrize("name", [b"song.mp3", b"caf\xe9.mp3"])
def test_a_ready_mp3_is_copied_as_it_is(home, tracks, tmp_path, name):
    ready = tmp_path / os.fsdecode(name)
    sound, _ = soundfile.read(tracks["path"].iloc[0])
    with ready.open("wb") as file:
        soundfile.write(file, sound, 16000, format="MP3", bitrate_mode="CONSTANT", compression_level=0.85)
    listen = figures.player(tracks.head(1).assign(path=str(ready)), progress=False)
    assert (audio.listen_folder() / listen.songs[0]["audio"]).read_bytes() == ready.read_bytes()


def test_computed_sound_keeps_its_pitch_and_is_not_clipped(home):
    time = np.arange(16000) / 16000
    listen = figures.sounds({"loud": 3 * np.sin(2 * np.pi * 1000 * time)})
    sound, sr = soundfile.read(audio.listen_folder() / listen.songs[0]["audio"])
    middle = sound[4000:12000]
    assert np.abs(np.fft.rfft(middle)).argmax() * sr / len(middle) == pytest.approx(1000, abs=5)
    assert np.abs(middle).max() == pytest.approx(1, abs=0.1)
    with pytest.raises(ParameterError, match="finite samples"):
        figures.sounds({"none": [], "odd": np.full(16000, np.nan)})
    with pytest.raises(ParameterError, match="finite samples"):
        figures.sounds({})


def test_a_player_shows_files_on_the_site_and_excerpts_in_lab(home, tracks):
    listen = figures.player(tracks.head(3).assign(title=NASTY), clip_s=1, progress=False)
    html = listen._repr_mimebundle_()["text/html"]
    site, lab = html.split("<!--lab-->")
    assert all(name in site for name in listen.files)
    assert "base64" not in site
    assert lab.count("data:audio/mpeg;base64,") == 3
    assert "<img" not in html


def test_a_player_needs_a_song(tracks):
    with pytest.raises(ParameterError, match="expected one or more"):
        figures.player(tracks.head(0))


def test_a_song_that_is_gone_is_an_error(home, tracks, tmp_path):
    gone = tracks.head(1).assign(path=str(tmp_path / "gone.mp3"))
    with pytest.raises(DataError, match=r"gone\.mp3: missing"):
        figures.player(gone, progress=False)
    shutil.copyfile(page.ASSETS[0], tmp_path / "gone.mp3")
    with pytest.raises(DataError, match="no audio"):
        figures.player(gone, progress=False)
