"""The demo corpus: the same files from the same seed, whatever happens on the way, and music rather than noise."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from crnnlib.corpora import demo, names, table
from crnnlib.corpora.score import compose
from crnnlib.corpora.studio import NEUTRAL, Studio, produce
from crnnlib.corpora.synth import INSTRUMENTS, SR, drum, note
from crnnlib.errors import ParameterError

SMALL = {"n_artists": 2, "n_albums": 2, "n_songs": 2, "seconds": 6, "progress": False}
ARTISTS = demo.library()["artist"]


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.glob("*/*/[!.]*.mp3"))}


def leftovers(folder):
    return [path.name for path in folder.rglob(".tmp-*")]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "small"
    return folder, demo.make(folder, **SMALL)


def test_tracks_lie_in_artist20s_layout(small):
    folder, tracks = small
    assert len(tracks) == 8
    table.validate(tracks)
    for track_id, track in tracks.iterrows():
        artist, album, title = track_id.split("/")
        assert track["path"] == str(folder / artist / album / f"{title}.mp3")
        assert title[:2].isdigit()
        assert title[2] == "-"
    assert set(files(folder)) == {f"{track_id}.mp3" for track_id in tracks.index}


def test_files_are_16_khz_mono_32_kbit_mp3_of_the_stated_length(small):
    for _, track in small[1].iterrows():
        info = soundfile.info(track["path"])
        assert (info.samplerate, info.channels, info.format, info.subtype) == (SR, 1, "MP3", "MPEG_LAYER_III")
        assert info.duration == pytest.approx(track["seconds"], abs=0.2)
        assert Path(track["path"]).stat().st_size * 8 / info.duration == pytest.approx(32000, rel=0.03)


def test_signals_are_clean_at_both_ends_and_use_the_scale(small):
    for path in small[1]["path"]:
        y, _ = soundfile.read(path)
        assert 0.05 < np.abs(y).max() < 0.99
        assert 0.01 < y.std() < 0.4
        assert abs(y.mean()) < 1e-3
        assert np.abs(y[:16]).max() < 0.02
        assert np.abs(y[-SR // 50 :]).max() < 0.02


def test_default_size_serves_the_study(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "_write", lambda *_: None)
    tracks = demo.make(tmp_path / "demo", progress=False)
    assert tracks.groupby("artist")["album"].nunique().eq(6).all()
    assert tracks["seconds"].between(18, 32).all()
    assert 50 < tracks["seconds"].sum() / 60 < 70


def test_one_seed_makes_one_corpus_in_any_order(small, tmp_path):
    folder, tracks = small
    again = tmp_path / "again"
    demo._claim(again, demo._checked(settings()), ours=False)
    for track in reversed(list(demo._plan(again, settings()).itertuples())):
        demo._write(track.path, track.song, settings())
    assert files(again) == files(folder)
    assert demo.make(again, **SMALL).index.equals(tracks.index)


def test_a_larger_corpus_contains_the_smaller(small, tmp_path):
    demo.make(tmp_path / "larger", **SMALL | {"n_artists": 3})
    larger = files(tmp_path / "larger")
    assert {name: larger[name] for name in files(small[0])} == files(small[0])


def test_another_seed_makes_other_music(small, tmp_path):
    demo.make(tmp_path / "other", **SMALL, seed=1)
    assert not set(files(tmp_path / "other").values()) & set(files(small[0]).values())


def test_a_complete_corpus_is_not_made_again(small, monkeypatch):
    monkeypatch.setattr(demo, "_write", lambda *_: pytest.fail("a song was made again"))
    assert demo.make(small[0], **SMALL).equals(small[1])


def test_killed_in_the_middle_it_completes_to_the_same_files(small, tmp_path):
    size = SMALL | {"n_songs": 5}
    script = f"from crnnlib.corpora import demo; demo.make({str(tmp_path / 'killed')!r}, **{size!r})"
    process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    while process.poll() is None and len(files(tmp_path / "killed")) < 6:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 6 <= len(files(tmp_path / "killed")) < 20
    before = files(tmp_path / "killed")
    demo.make(tmp_path / "killed", **size)
    after = files(tmp_path / "killed")
    assert len(after) == 20
    assert after == after | files(small[0]) | before
    assert not leftovers(tmp_path)


def test_default_folder_is_named_after_the_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("CRNNLIB_HOME", str(tmp_path))
    monkeypatch.setattr(demo, "_write", lambda *_: None)
    assert demo.make(progress=False).attrs["corpus"] == "demo"
    named = demo.make(seed=3, producer_effect=0, progress=False)
    assert named.attrs["corpus"] == "demo-seed3-producer_effect0"
    assert (tmp_path / "corpora" / "demo-seed3-producer_effect0" / "demo.json").exists()


@pytest.mark.parametrize(
    "settings", [{}, {"seed": 2**31, "producer_effect": 1e-5}, {"producer_effect": 0.5}, SMALL | {"seconds": 6.25}]
)
def test_a_demo_is_known_by_its_name(tmp_path, monkeypatch, settings):
    monkeypatch.setattr(demo, "_write", lambda *_: None)
    tracks = demo.make(tmp_path / "demo", **settings)
    assert names.is_demo(tracks.attrs["corpus"])


@pytest.mark.parametrize("folder", ["demo", "demo-tapes", "demo-seed1", "demo-producer_effect1e", "demos"])
def test_music_in_a_folder_with_the_name_of_a_demo_is_none(tmp_path, folder):
    assert not names.is_demo(names.slug(tmp_path / folder))


def test_files_of_an_older_version_are_made_anew(small, tmp_path):
    demo.make(tmp_path / "old", **SMALL)
    before = files(tmp_path / "old")
    (tmp_path / "old" / next(iter(before))).write_bytes(b"old sound")
    made = json.loads((tmp_path / "old" / "demo.json").read_text())
    (tmp_path / "old" / "demo.json").write_text(json.dumps(made | {"version": 0}))
    demo.make(tmp_path / "old", **SMALL)
    assert files(tmp_path / "old") == before


def test_a_damaged_note_is_another_version_in_the_cache_and_foreign_elsewhere(small, tmp_path, monkeypatch):
    demo.make(tmp_path / "mine", **SMALL)
    (tmp_path / "mine" / "demo.json").write_text('{"version"')
    with pytest.raises(ParameterError, match="settings that cannot be read"):
        demo.make(tmp_path / "mine", **SMALL)
    monkeypatch.setenv("CRNNLIB_HOME", str(tmp_path))
    monkeypatch.setattr(demo, "_write", lambda *_: None)
    note = tmp_path / "corpora" / "demo" / "demo.json"
    note.parent.mkdir(parents=True)
    note.write_text("[]")
    demo.make(progress=False)
    assert json.loads(note.read_text()) == {"version": demo._VERSION, "settings": demo._DEFAULTS}


def test_the_default_folder_is_made_anew_when_the_defaults_have_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("CRNNLIB_HOME", str(tmp_path))
    monkeypatch.setattr(demo, "_write", lambda *_: None)
    old = tmp_path / "corpora" / "demo" / "the_paper_lanterns" / "Weir" / "01-Old.mp3"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old sound")
    note = tmp_path / "corpora" / "demo" / "demo.json"
    note.write_text(json.dumps({"version": 3, "settings": {"seed": 0, "albums": 4}}))
    demo.make(progress=False)
    assert not old.exists()
    assert json.loads(note.read_text()) == {"version": demo._VERSION, "settings": demo._DEFAULTS}


def test_a_folder_with_something_else_is_left_alone(small, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ParameterError, match="neither empty nor a demo corpus"):
        demo.make(tmp_path, **SMALL)
    with pytest.raises(ParameterError, match="neither empty nor a demo corpus"):
        demo.make(tmp_path / "notes.txt", **SMALL)
    with pytest.raises(ParameterError, match="holds the demo corpus of"):
        demo.make(small[0], **SMALL, seed=5)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "bad",
    [
        {"seed": -1},
        {"seed": 0.5},
        {"seed": "one"},
        {"producer_effect": -0.1},
        {"producer_effect": 2.1},
        {"producer_effect": float("nan")},
        {"n_artists": 1},
        {"n_artists": 9},
        {"n_albums": 0},
        {"n_albums": 7},
        {"n_songs": 0},
        {"n_songs": 2.0},
        {"seconds": 3.9},
        {"seconds": float("inf")},
        {"seconds": None},
    ],
)
def test_settings_out_of_range_are_named(bad, tmp_path):
    (key, value) = next(iter(bad.items()))
    with pytest.raises(ParameterError, match=f"{key.removeprefix('n_')}={value!r}: expected .* from"):
        demo.make(tmp_path / "never", **bad)
    assert not (tmp_path / "never").exists()


def settings(producer_effect=1.0):
    values = (0, producer_effect, 2, 2, 2, 6.0)
    return dict(zip(demo._DEFAULTS, values, strict=True))


def spread_of_albums(producer_effect):
    """Mean over bands of the deviation, in dB, of an artist's albums' average spectra."""
    spectra = []
    for album in range(4):
        power = 0
        for song in range(3):
            y = demo._render((1, album, song), settings(producer_effect) | {"seconds": 9.0})
            bands = np.abs(np.fft.rfft(y[: 8 * SR])) ** 2
            power = power + np.add.reduceat(bands, np.geomspace(500, 55000, 12).astype(int)[:-1])
        spectra.append(10 * np.log10(power))
    return np.std(spectra, axis=0).mean()


def test_producer_effect_sets_how_far_albums_of_an_artist_differ():
    none, half, full = (spread_of_albums(effect) for effect in (0.0, 0.5, 1.0))
    assert none < 1.5
    assert full > 3 * none
    assert none < half < full


def test_no_artist_meets_a_studio_twice_and_studios_serve_several():
    n = len(demo.library()["studio"])
    visits = {(a, (a + order) % n) for a in range(len(ARTISTS)) for order in demo._STUDIO_ORDER}
    assert len(visits) == len(ARTISTS) * len(demo._STUDIO_ORDER)
    for albums in (4, 6):
        hosts = [(a + order) % n for a in range(len(ARTISTS)) for order in demo._STUDIO_ORDER[:albums]]
        assert all(hosts.count(studio) == albums for studio in range(n))


@pytest.mark.parametrize("artist", ARTISTS, ids=lambda artist: artist["name"])
def test_artists_are_written_in_whole_bars_and_known_sounds(artist):
    steps = 4 * artist.get("beats", 4)
    patterns = [*artist["chord_patterns"], *artist["bass_patterns"], *artist["rhythms"]]
    patterns += [beat for kit in artist["drums"] for beat in kit.values()]
    assert {len(pattern) for pattern in patterns} == {steps}
    assert set(artist["lead"] + artist["chords"] + artist["bass"] + artist["pad"]) <= set(INSTRUMENTS)
    assert len(artist["albums"]) == len(set(artist["albums"])) == 6
    assert len(artist["rhythms"]) >= 3


@pytest.mark.parametrize("artist", ARTISTS, ids=lambda artist: artist["name"])
def test_songs_stay_in_their_mode_and_end_on_the_tonic(artist):
    rng = np.random.default_rng(7)
    events = list(compose(artist, {name: demo.library()["modes"][name] for name in artist["modes"]}, 12, 3, rng))
    pitched = [event for event in events if event.layer != "drums"]
    assert len({event.midi % 12 for event in pitched}) <= 7
    assert all(event.length >= 1 and 28 <= event.midi <= 100 for event in pitched)
    assert all(0 <= event.step < 12 * 4 * artist.get("beats", 4) for event in events)
    final = max(event.step for event in events if event.layer == "bass")
    closing = {event.layer: event.midi % 12 for event in pitched if event.step == final}
    assert closing["lead"] == closing["bass"]
    lead = [event.midi for event in events if event.layer == "lead"]
    assert abs(np.median(lead) - artist["register"]) <= 7
    assert len(set(lead)) >= 4


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_instruments_are_in_tune_and_do_not_click(name):
    for midi in (43, 60, 76):
        y = note(name, midi, 1.0)
        f0 = 440 * 2 ** ((midi - 69) / 12)
        spectrum = np.abs(np.fft.rfft(y[800 : 800 + 12000] * np.hanning(12000), 1 << 18))
        f = np.fft.rfftfreq(1 << 18, 1 / SR)
        near = (f > f0 * 0.94) & (f < f0 * 1.06)
        assert abs(1200 * np.log2(f[near][spectrum[near].argmax()] / f0)) < 25
        assert np.isfinite(y).all()
        assert max(abs(y[0]), abs(y[-1])) < 0.5
        assert np.array_equal(y, note(name, midi, 1.0))


@pytest.mark.parametrize("name", demo._DRUMS)
def test_drums_peak_at_one_and_ring_out(name):
    for tuning in (-6.0, 0.0, 5.0):
        y = drum(name, tuning)
        assert np.abs(y).max() == 1.0
        assert abs(y[-1]) < 1e-3


def test_a_studio_can_only_be_approached_in_its_own_units():
    dark = Studio(tilt_db=-4.0, high_hz=3700.0)
    half = NEUTRAL.towards(dark, 0.5)
    assert half.tilt_db == -2.0
    assert half.high_hz == pytest.approx((7400 * 3700) ** 0.5)
    assert NEUTRAL.towards(dark, 0.0) == NEUTRAL


@pytest.mark.parametrize("level", [1e-6, 1.0, 1e3])
@pytest.mark.parametrize("effect", [0.0, 1.0, 2.4])
def test_every_studio_keeps_within_full_scale(level, effect):
    mix = level * np.random.default_rng(0).laplace(size=SR)
    for listed in demo.library()["studio"]:
        studio = Studio(**{key: value for key, value in listed.items() if key != "name"})
        y = produce(mix, NEUTRAL.towards(studio, effect))
        assert np.isfinite(y).all()
        assert np.abs(y).max() < 0.46
        assert abs(y.mean()) < 1e-6
