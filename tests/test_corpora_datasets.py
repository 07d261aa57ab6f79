"""FMA and MTG-Jamendo by small tables with the known traps."""

import numpy as np
import pytest

from crnnlib import corpora
from crnnlib.corpora import datasets
from crnnlib.errors import DataError

# As FMA ships it: two header rows, a row that names the index, text over several lines, numbers as floats.
FMA = '''\
,album,album,album,artist,artist,set,set,track,track,track
,comments,id,title,id,name,split,subset,duration,license,title
track_id,,,,,,,,,,
2,0,1,AWOL - A Way Of Life,1,AWOL,training,small,168,CC BY-NC-SA 3.0,Food
3,0,1,AWOL - A Way Of Life,1,AWOL,training,medium,20,CC BY-NC-SA 3.0,Electric Ave
5,0,-1,,1,AWOL,training,small,206,,"This
World"
10,0,6,Constant Hitmaker,6,Kurt Vile,test,small,161,"CC ""BY""",Freeway
11,0,7,Constant Hitmaker,6,Kurt Vile,test,small,161,,Freeway
20,0,8,Live,54,Nick,test,small,300,,1979
21,0,9,Live,99,Nick,test,small,300,,1984
140,0,61,Nothing,54,Nick,test,large,253,,Gone
1486,0,62,X,54,Nick,test,large,253,,Thousand
1487,0,62,X,55,,test,large,253,,Nobody
'''
JAMENDO = (
    "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS\r\n"
    "track_0000214\tartist_000014\talbum_000031\t14/214.mp3\t124.6\tgenre---punkrock\r\n"
    'track_0000215\tartist_000014\talbum_000031\t15/215.mp3\t151.4\tgenre---metal\tmood---dark\t"instrument---bass\r\n'
    "track_0000382\tartist_000020\talbum_000046\t82/382.mp3\t211.1\tgenre---rock\tmood---happy\r\n"
    "track_0000999\tartist_000021\talbum_000047\t99/999.mp3\t1.0\tgenre---rock\r\n"
)


@pytest.fixture
def fma(tmp_path):
    """FMA's folders side by side, with audio of all but track 140; track 3 is empty."""
    (tmp_path / "fma_metadata").mkdir()
    (tmp_path / "fma_metadata" / "tracks.csv").write_text(FMA)
    for number in (2, 3, 5, 10, 11, 20, 21, 1486, 1487):
        path = tmp_path / "fma_small" / f"{number // 1000:03d}" / f"{number:06d}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if number == 3 else b"x")
    return tmp_path / "fma_metadata" / "tracks.csv"


@pytest.mark.filterwarnings("ignore")
def test_fma_table_with_its_traps(fma):
    tracks = corpora.load(fma)
    assert tracks.index.to_list() == [
        "AWOL/(no album)/This World",
        "AWOL/AWOL - A Way Of Life/Food",
        "Kurt Vile/Constant Hitmaker [6]/Freeway",
        "Kurt Vile/Constant Hitmaker [7]/Freeway",
        "Nick [54]/Live/1979",
        "Nick [54]/X/Thousand",
        "Nick [99]/Live/1984",
    ]
    assert tracks["path"].iloc[5].endswith("fma_small/001/001486.mp3")
    assert tracks["licence"].iloc[2] == 'CC "BY"'
    assert tracks.attrs["corpus"].startswith("fma_small-")


def test_fma_reports_empty_files_nameless_artists_and_what_is_not_there(fma):
    with pytest.warns(UserWarning, match="excerpts|left out") as told:
        tracks = corpora.load(fma)
    told = " ".join(str(warning.message) for warning in told)
    assert "audio of 7 of FMA's 10 tracks; excerpts of 30 s" in told
    assert [line.rpartition("/")[2] for line in tracks.attrs["skipped"]] == [
        "000003.mp3: empty file",
        "001487.mp3: no artist",
    ]


@pytest.mark.filterwarnings("ignore")
def test_fma_excerpts_are_thirty_seconds_and_full_tracks_are_not(fma):
    assert set(corpora.load(fma)["seconds"]) == {30.0}
    (fma.parent.parent / "fma_small").rename(fma.parent / "fma_full")
    assert datasets.from_fma(fma)["seconds"].loc["AWOL/AWOL - A Way Of Life/Food"] == 168.0


@pytest.mark.filterwarnings("ignore")
def test_fma_audio_may_lie_elsewhere(fma, tmp_path):
    (tmp_path / "fma_small").rename(tmp_path / "here")
    with pytest.raises(DataError, match="no fma_small"):
        corpora.load(fma)
    assert len(datasets.from_fma(fma, tmp_path / "here")) == 7
    with pytest.raises(DataError, match=r"none of the 10 tracks of tracks.csv; expected e.g. .*/000/000002.mp3"):
        datasets.from_fma(fma, tmp_path / "nowhere")


@pytest.mark.parametrize("text", [FMA.replace("name", "nom"), FMA.replace("\n2,", "\ntwo,"), FMA[:60], ""])
def test_fma_table_that_is_damaged_is_an_error(fma, text):
    fma.write_text(text)
    with pytest.raises(DataError, match=r"expected tracks\.csv of fma_metadata"):
        datasets.from_fma(fma)


@pytest.fixture
def jamendo(tmp_path):
    (tmp_path / "autotagging.tsv").write_bytes(JAMENDO.encode())
    for name in ("14/214.mp3", "audio/15/215.low.mp3", "mp3/82/382.mp3"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path / "autotagging.tsv"


def test_jamendo_table_has_carriage_returns_and_any_number_of_tags(jamendo):
    tracks = corpora.load(jamendo)
    assert tracks.index.to_list() == [
        "artist_000014/album_000031/track_0000214",
        "artist_000014/album_000031/track_0000215",
        "artist_000020/album_000046/track_0000382",
    ]
    assert tracks["seconds"].to_list() == [124.6, 151.4, 211.1]
    assert tracks["path"].iloc[1].endswith("audio/15/215.low.mp3")


@pytest.mark.filterwarnings("ignore:.*left out")
def test_jamendo_reports_short_lines_and_empty_files(jamendo):
    jamendo.write_bytes(JAMENDO.encode() + b"track_1\tartist_1\r\n\r\n")
    (jamendo.parent / "14/214.mp3").write_bytes(b"")
    tracks = datasets.from_jamendo(jamendo)
    assert len(tracks) == 2
    assert "214.mp3: empty file" in tracks.attrs["skipped"][0]
    assert "line 6: 2 fields" in tracks.attrs["skipped"][1]


def test_jamendo_without_audio_is_an_error(jamendo, tmp_path):
    with pytest.raises(DataError, match=r"none of its 4 tracks below .*expected e.g. 14/214.mp3"):
        datasets.from_jamendo(jamendo, tmp_path / "nowhere")


def test_jamendo_length_that_is_no_number_is_unknown(jamendo):
    jamendo.write_text(JAMENDO.replace("124.6", "long"))
    assert np.isnan(datasets.from_jamendo(jamendo)["seconds"].iloc[0])
