"""Trees of folders, however odd, and artist20 in both layouts, with its lists."""

import os
from pathlib import Path

import pytest

from crnnlib import corpora, splits
from crnnlib.corpora import folders
from crnnlib.errors import DataError

# Six studio albums each, three tracks of each: names as artist20 spells them.
MINIATURE = {
    "aerosmith": ["Aerosmith", "Get_Your_Wings", "Toys_in_the_Attic", "Rocks", "Draw_the_Line", "Night_In_The_Ruts"],
    "creedence_clearwater_revival": [
        "Creedence_Clearwater_Revival",
        "Bayou_Country",
        "Green_River",
        "Willy_And_The_Poor_Boys",
        "Cosmo_s_Factory",
        "Pendulum",
    ],
    "u2": ["Boy", "October", "War", "The_Unforgettable_Fire", "The_Joshua_Tree", "Achtung_Baby"],
}


def put(root, *files):
    for name in files:
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not decoded here")


def ids(miniature=MINIATURE, songs=("01-Make_It", "02-Somebody", "03-Don_t_Stop")):
    return [f"{artist}/{album}/{song}" for artist, albums in miniature.items() for album in albums for song in songs]


def write_lists(root, miniature=MINIATURE):
    parts = {"all": slice(None), "trn": slice(0, 3), "val": slice(3, 4), "tst": slice(4, 6)}
    (root / "lists").mkdir(parents=True, exist_ok=True)
    for name, albums in parts.items():
        lines = ids({artist: of[albums] for artist, of in miniature.items()})
        (root / "lists" / f"a20-{name}-tracks.list").write_text("".join(f"{line}\n" for line in lines))
    albums = [f"{artist}/{album}\n" for artist, of in miniature.items() for album in of[:3]]
    (root / "lists" / "a20-trn-albums.list").write_text("".join(albums))


@pytest.fixture
def miniature(tmp_path, monkeypatch):
    """artist20 as its archives unpack, but three artists and 54 tracks."""
    monkeypatch.setattr(folders, "ARTISTS", tuple(MINIATURE))
    monkeypatch.setattr(folders, "_TRACKS", 54)
    root = tmp_path / "artist20"
    put(root, *(f"mp3s-32k/{i}.mp3" for i in ids()))
    write_lists(root)
    return root


# Trees


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("A/x/song.mp3", "A/x/song"),
        ("A/x/SONG.MP3", "A/x/SONG"),
        ("A/x/s.ogg", "A/x/s"),
        ("A/x/s.flac", "A/x/s"),
        ("A/x/s.opus", "A/x/s"),
        ("A/x/s.wav", "A/x/s"),
        ("A/x/s.aiff", "A/x/s"),
        ("A/x/01. a.b.c.mp3", "A/x/01. a.b.c"),
        ('A B/it\'s "x"/so  ng.mp3', 'A B/it\'s "x"/so ng'),
        ("🎸/é/日本.mp3", "🎸/é/日本"),
        ("A\nB/x\r\ny/so\tng.mp3", "A B/x y/so ng"),
        ("A/x/e\u0301.mp3", "A/x/é"),
        ("A/x/" + "n" * 246 + ".mp3", "A/x/" + "n" * 246),
        ("A/x/" + "é" * 123 + ".mp3", "A/x/" + "é" * 123),
        ("A/x/CD 1/s.mp3", "A/x/CD 1 - s"),
        ("A/s.mp3", "A/(no album)/s"),
        ("A/x/#1 %41 & {b}.mp3", "A/x/#1 %41 & {b}"),
        ("A/x/-rf *.mp3", "A/x/-rf *"),
        (os.fsdecode(b"A/x/caf\xe9.mp3"), "A/x/caf\ufffd"),
    ],
)
def test_file_becomes_a_track_whatever_its_name(tmp_path, file, expected):
    put(tmp_path, file)
    tracks = corpora.load(tmp_path)
    assert tracks.index.to_list() == [expected]
    assert Path(tracks["path"].iloc[0]).read_bytes()
    assert tracks.attrs["skipped"] == ()


def test_folder_is_read_the_same_whatever_the_order_of_the_disk(tmp_path, monkeypatch):
    put(tmp_path, *(f"{a}/{b}/{c}.mp3" for a in "BAC" for b in "yx" for c in "312"))
    expected = corpora.from_folder(tmp_path)
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: list(scandir(path))[::-1])
    assert corpora.from_folder(tmp_path).equals(expected)
    assert expected.index.is_monotonic_increasing
    assert len(expected) == 18
    found, _ = folders.walk(tmp_path)
    assert found == sorted(found)


def test_hidden_names_and_what_is_no_audio_are_passed_over(tmp_path):
    put(tmp_path, "A/x/s.mp3", "A/x/._s.mp3", "A/x/.tmp-h-1-s.mp3", ".git/x/s.mp3", "A/x/cover.jpg", "A/x/mp3", "n.txt")
    tracks = corpora.load(tmp_path)
    assert tracks.index.to_list() == ["A/x/s"]
    assert tracks.attrs["skipped"] == ()


@pytest.mark.filterwarnings("ignore:.*left out")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda root: put(root, "A/x/t.m4a"), "A/x/t.m4a: not decoded here"),
        (lambda root: put(root, "t.mp3"), "t.mp3: lies in no artist's folder"),
        (lambda root: (root / "A/x/t.mp3").symlink_to("gone.mp3"), "t.mp3: No such file"),
        (lambda root: (root / "A/x/t.mp3").symlink_to("t.mp3"), "t.mp3: Too many levels of symbolic links"),
        (lambda root: os.mkfifo(root / "A/x/t.mp3"), "t.mp3: not a regular file"),
    ],
)
def test_audio_that_cannot_be_used_is_reported(tmp_path, make, reason):
    put(tmp_path, "A/x/s.mp3")
    make(tmp_path)
    tracks = corpora.load(tmp_path)
    assert tracks.index.to_list() == ["A/x/s"]
    assert len(tracks.attrs["skipped"]) == 1
    assert reason in tracks.attrs["skipped"][0]


def test_loops_of_links_end_and_linked_music_is_found_once(tmp_path):
    put(tmp_path, "music/B/x/s.mp3", "elsewhere/y/t.mp3")
    root = tmp_path / "music"
    for name in "AZ":
        (root / name).symlink_to(root / "B")
    (root / "B" / "x" / "up").symlink_to(root)
    (root / "C").symlink_to(tmp_path / "elsewhere")
    assert corpora.load(root).index.to_list() == ["B/x/s", "C/y/t"]


@pytest.mark.filterwarnings("ignore:.*left out")
def test_folder_that_cannot_be_read_is_reported(tmp_path, monkeypatch):
    put(tmp_path, "A/x/s.mp3", "B/x/s.mp3")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "B":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    tracks = corpora.from_folder(tmp_path)
    assert tracks.index.to_list() == ["A/x/s"]
    assert tracks.attrs["skipped"] == (f"{tmp_path}/B: Permission denied",)
    monkeypatch.setattr(os, "scandir", lambda path: refuse(Path("B")))
    with pytest.raises(DataError, match="Permission denied"):
        corpora.from_folder(tmp_path)


def test_one_song_in_two_formats_is_announced(tmp_path):
    put(tmp_path, "A/x/s.mp3", "A/x/s.flac")
    with pytest.warns(UserWarning, match="would leak"):
        assert corpora.load(tmp_path).index.to_list() == ["A/x/s", "A/x/s (2)"]


@pytest.mark.parametrize("files", [[], ["A/x/cover.jpg"], ["A/x/.s.mp3"], ["A/x/s.m4a"], ["mp3s-32k/.keep"]])
def test_folder_without_audio_is_an_error_that_says_what_is_expected(tmp_path, files):
    put(tmp_path, *files)
    with pytest.raises(DataError, match=r"no audio below it; expected artist/album/song.mp3"):
        corpora.load(tmp_path)


# artist20


@pytest.mark.parametrize("place", ["", ".."])
def test_artist20_as_unpacked(miniature, place):
    tracks = corpora.load(miniature / place)
    assert tracks.attrs["corpus"] == "artist20"
    assert tracks.index.to_list() == sorted(ids())
    assert tracks.loc["u2/War/01-Make_It", ["artist", "album", "title"]].to_list() == ["u2", "War", "01-Make_It"]


def test_artist20_in_the_authors_layout_without_lists(miniature, tmp_path):
    root = tmp_path / "authors"
    root.mkdir()
    (miniature / "mp3s-32k").rename(root / "artists")
    tracks = corpora.load(root)
    assert tracks.attrs["corpus"] == "artist20"
    assert len(tracks) == 54
    with pytest.raises(DataError, match="no lists/a20"):
        corpora.artist20_lists(root)


def test_artist20_by_name_lies_in_the_cache(miniature, home):
    with pytest.raises(DataError, match="artist20 is sent on request"):
        corpora.load("artist20")
    (home / "corpora").mkdir(parents=True)
    miniature.rename(home / "corpora" / "artist20")
    assert len(corpora.load("artist20")) == 54
    assert len(corpora.artist20_lists()["all"]) == 54


def test_artist20_totals_are_those_of_the_corpus(tmp_path):
    assert len(set(folders.ARTISTS)) == 20
    per_album = [12] * 93 + [11] * 27  # 1,413
    names = [(artist, f"Album_{n}") for artist in folders.ARTISTS for n in range(6)]
    for (artist, album), count in zip(names, per_album, strict=True):
        put(tmp_path, *(f"mp3s-32k/{artist}/{album}/{n:02d}-Title.mp3" for n in range(count)))
    assert len(corpora.load(tmp_path)) == 1413
    next((tmp_path / "mp3s-32k/u2/Album_3").glob("*.mp3")).unlink()
    with pytest.raises(DataError, match="1412 tracks, expected 1413"):
        corpora.load(tmp_path)


@pytest.mark.parametrize(
    ("harm", "match"),
    [
        (lambda m: (m / "u2/War/02-Somebody.mp3").unlink(), "53 tracks, expected 54. not there: u2/War/02-Somebody"),
        (lambda m: put(m, "u2/War/04-New.mp3"), "55 tracks, expected 54. not in the lists: u2/War/04-New"),
        (lambda m: (m / "u2/War").rename(m / "u2/war"), r"not there: u2/War/01.*not in the lists: u2/war/01"),
        (lambda m: (m / "u2").rename(m / "U2"), r"artists not there: u2\. unknown artists: U2"),
        (lambda m: put(m, "u2/Zooropa/01-A.mp3"), r"artists without exactly 6 albums: u2 \(7\)"),
    ],
)
def test_artist20_that_is_not_whole_says_what_is_missing(miniature, harm, match):
    harm(miniature / "mp3s-32k")
    with pytest.raises(DataError, match=match) as told:
        corpora.load(miniature)
    assert f"corpora.from_folder('{miniature / 'mp3s-32k'}')" in str(told.value)
    assert len(corpora.from_folder(miniature / "mp3s-32k")) > 50


def test_official_lists_give_the_official_split(miniature):
    split = splits.official(corpora.artist20_lists(miniature)).check(corpora.load(miniature))
    assert [len(part) for part in (split.train, split.validation, split.test)] == [27, 9, 18]
    assert {i.split("/")[1] for i in split.validation if i.startswith("u2/")} == {"The_Unforgettable_Fire"}


def test_six_albums_each_give_the_jackknife(miniature):
    tracks = corpora.load(miniature)
    folds = splits.album_folds(tracks)
    assert len(folds) == 6
    assert sorted(i for fold in folds for i in fold.test) == tracks.index.to_list()
    assert all(len(fold.test) == 9 for fold in folds)


def test_lists_survive_carriage_returns_and_empty_lines(miniature):
    expected = corpora.artist20_lists(miniature)
    for path in (miniature / "lists").glob("*-tracks.list"):
        path.write_bytes(b"\r\n" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert corpora.artist20_lists(miniature) == expected


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("trn", "u2/War\n", "line 1: 'u2/War'; expected artist/Album/NN-Title"),
        ("val", "u2//01-Make_It\n", "expected artist/Album/NN-Title"),
        ("tst", "aerosmith/Aerosmith/01-Make_It\n", "trn, val and tst share tracks"),
    ],
)
def test_lists_that_are_damaged_are_an_error(miniature, name, text, match):
    (miniature / "lists" / f"a20-{name}-tracks.list").write_text(text)
    with pytest.raises(DataError, match=match):
        corpora.artist20_lists(miniature)
