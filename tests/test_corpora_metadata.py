"""One's own music by a CSV and by the tags in the files, missing and odd ones included."""

import mutagen
import mutagen.id3
import numpy as np
import pytest
import soundfile

from crnnlib import corpora
from crnnlib.corpora import metadata
from crnnlib.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore:.*(left out|numbered)")
FRAMES = {"artist": "TPE1", "albumartist": "TPE2", "album": "TALB", "title": "TIT2", "compilation": "TCMP"}


def write(path, **tags):
    """Half a second of noise, with tags in the way of the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).normal(0, 0.1, 8000)
    soundfile.write(path, noise, 16000, subtype="OPUS" if path.suffix == ".opus" else None,
                    format="OGG" if path.suffix == ".opus" else None)  # fmt: skip
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    for name, value in tags.items():
        if path.suffix in (".mp3", ".wav", ".aiff"):
            file.tags.add(getattr(mutagen.id3, FRAMES[name])(encoding=3, text=value))
        else:
            file[name] = value
    file.save()
    return path


def rows(folder, text, *songs):
    for song in songs:
        (folder / song).write_bytes(b"x")
    path = folder / "mine.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# CSV


def test_csv_becomes_a_table_with_paths_beside_it(tmp_path):
    text = (
        'artist,album,title,path,seconds,mood\n"Earth, Wind",All,"Say ""so""",a.mp3,61.5,happy\nNA,None,null,b.mp3,,\n'
    )
    tracks = corpora.load(rows(tmp_path, text, "a.mp3", "b.mp3"))
    assert tracks.index.to_list() == ['Earth, Wind/All/Say "so"', "NA/None/null"]
    assert list(tracks.columns) == ["artist", "album", "title", "path", "seconds"]
    assert tracks["path"].to_list() == [str(tmp_path / "a.mp3"), str(tmp_path / "b.mp3")]
    assert tracks["seconds"].iloc[0] == 61.5
    assert np.isnan(tracks["seconds"].iloc[1])


def test_csv_of_a_spreadsheet_is_read(tmp_path):
    text = "\ufeffpath, title ,album,artist\r\na.mp3,,,Zoë\r\n".encode()
    assert corpora.load(rows(tmp_path, text, "a.mp3")).index.to_list() == ["Zoë/(no album)/a"]


def test_csv_may_name_absolute_paths_and_other_folders(tmp_path):
    (tmp_path / "lists").mkdir()
    put = rows(tmp_path / "lists", f"artist,album,title,path\nA,x,t,../s.mp3\nA,x,u,{tmp_path}/s.mp3\n")
    (tmp_path / "s.mp3").write_bytes(b"x")
    assert len(corpora.load(put)) == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("A,x,t,gone.mp3", "line 3, gone.mp3: no such file"),
        ("A,x,t,", "line 3, : no such file"),
        ("A,x,t,empty.mp3", "line 3, empty.mp3: empty file"),
        (" ,x,t,a.mp3", "line 3, a.mp3: no artist"),
        ("A,x,t", "line 3, : no such file"),
        ("A,x,t,a.mp3,1,2", "line 3, a.mp3: more fields than columns"),
        ("A,x,t,a\0.mp3", "no such file"),
    ],
)
def test_csv_row_that_cannot_be_used_is_reported_with_its_line(tmp_path, line, reason):
    (tmp_path / "empty.mp3").touch()
    tracks = corpora.load(rows(tmp_path, f"artist,album,title,path\nA,x,good,a.mp3\n{line}\n", "a.mp3"))
    assert tracks.index.to_list() == ["A/x/good"]
    assert reason in tracks.attrs["skipped"][0]


# Tags


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "flac", "opus", "wav", "aiff"])
def test_tags_of_every_format_are_read(tmp_path, suffix):
    write(tmp_path / f"deep/er/1.{suffix}", artist="Björk", album="Début", title="Hyper-ballad")
    tracks = metadata.from_tags(tmp_path)
    assert tracks.index.to_list() == ["Björk/Début/Hyper-ballad"]
    assert tracks["seconds"].iloc[0] == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"artist": "A feat. B", "albumartist": "A", "album": "x", "title": "t"}, "A/x/t"),
        ({"artist": "B", "albumartist": "Various Artists", "album": "Hits", "title": "t"}, "B/Hits/t"),
        ({"artist": "B", "albumartist": "VARIOUS", "album": "Hits", "title": "t"}, "B/Hits/t"),
        ({"artist": "B", "albumartist": "DJ C", "compilation": "1", "album": "Mix", "title": "t"}, "B/Mix/t"),
        ({"albumartist": "A", "album": "x", "title": "t"}, "A/x/t"),
        ({"artist": "A"}, "A/(no album)/song"),
        ({"artist": " A ", "album": " ", "title": "\n"}, "A/(no album)/song"),
        ({"artist": "A\nB", "album": "x\r\ny", "title": "t\tu"}, "A B/x y/t u"),
        ({"artist": "AC/DC", "album": "../..", "title": "/etc/passwd"}, "AC_DC/.._../_etc_passwd"),
        ({"artist": "<b>A</b>", "album": "<script>x</script>", "title": "a & b"}, "<b>A<_b>/<script>x<_script>/a & b"),
        ({"artist": "日本語", "album": "🎵", "title": "e\u0301"}, "日本語/🎵/é"),
        ({"artist": ["A", "B"], "album": "x", "title": "t"}, "A/x/t"),
        ({"artist": "n" * 5000, "album": "x", "title": "t"}, "n" * 5000 + "/x/t"),
    ],
)
@pytest.mark.parametrize("suffix", ["mp3", "flac"])
def test_odd_tags_give_the_documented_id(tmp_path, suffix, tags, expected):
    write(tmp_path / f"song.{suffix}", **tags)
    assert corpora.load(tmp_path).index.to_list() == [expected]


def test_a_column_named_twice_is_refused(tmp_path):
    (tmp_path / "mine.csv").write_text("artist,artist,album,title,path\nA,B,x,t,a.mp3\n")
    with pytest.raises(DataError, match="named twice"):
        metadata.from_csv(tmp_path / "mine.csv")


def test_markup_stays_text_in_the_columns(tmp_path):
    write(tmp_path / "s.mp3", artist="<b>A</b>", title="<img src=x>")
    assert metadata.from_tags(tmp_path).iloc[0][["artist", "title"]].to_list() == ["<b>A</b>", "<img src=x>"]


def test_files_without_an_artist_are_reported(tmp_path):
    write(tmp_path / "good.ogg", artist="A", title="t")
    write(tmp_path / "bare.ogg")
    write(tmp_path / "unnamed.mp3", album="x", title="t")
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "text.flac").write_text("no audio")
    (tmp_path / "cut.ogg").write_bytes((tmp_path / "good.ogg").read_bytes()[:40])
    tracks = metadata.from_tags(tmp_path)
    assert tracks["title"].to_list() == ["t"]
    told = {line.split(": ")[0].rpartition("/")[2] for line in tracks.attrs["skipped"]}
    assert told == {"bare.ogg", "unnamed.mp3", "empty.mp3", "text.flac", "cut.ogg"}


def test_equal_tags_are_numbered_by_path(tmp_path):
    for disc in "ba":
        write(tmp_path / disc / "1.ogg", artist="A", album="x", title="Intro")
    with pytest.warns(UserWarning, match="numbered"):
        tracks = metadata.from_tags(tmp_path)
    assert tracks["path"].to_dict() == {"A/x/Intro": f"{tmp_path}/a/1.ogg", "A/x/Intro (2)": f"{tmp_path}/b/1.ogg"}


def test_damaged_tags_never_end_in_a_foreign_error(tmp_path):
    rng = np.random.default_rng(0)
    seeds = [
        write(tmp_path / f"seed.{s}", artist="A", album="x") for s in ("mp3", "ogg", "flac", "wav", "aiff", "opus")
    ]
    wholes = {path.suffix: path.read_bytes() for path in seeds}
    for n in range(240):
        suffix = list(wholes)[n % 6]
        data = bytearray(wholes[suffix][: rng.integers(1, len(wholes[suffix]))])
        for position in rng.integers(0, min(400, len(data)), 20):
            data[position] = rng.integers(256)
        (tmp_path / f"{n}{suffix}").write_bytes(data)
    tracks = metadata.from_tags(tmp_path)
    assert len(tracks) + len(tracks.attrs["skipped"]) == 246


@pytest.mark.parametrize("make", [lambda folder: None, lambda folder: write(folder / "s.mp3")])
def test_folder_without_tags_is_an_error(tmp_path, make):
    make(tmp_path)
    with pytest.raises(DataError, match="no tracks to use"):
        metadata.from_tags(tmp_path)
