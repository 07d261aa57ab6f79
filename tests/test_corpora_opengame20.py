"""Fetching opengame20 from a small Debian archive made here: hashes, resumption, hostile packages, two at once.

`apt-get` and `apt-cache` are stand-ins that serve packages from a folder, slowly and with a log; `dpkg-deb` is the
real one. Where there is none the tests are skipped, as fetching is not possible there either.
"""

import csv
import hashlib
import io
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import pytest

from crnnlib import corpora, files
from crnnlib.corpora import opengame20, packages
from crnnlib.errors import DataError

needs_dpkg = pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg-deb")
BOOK = Path(__file__).resolve().parent.parent / "book"

APT = f"""#!{sys.executable} -IS
import os, sys, time
repo = os.environ["FAKE_REPO"]
words = [w for w in sys.argv[1:] if not w.startswith("-")]
debs = {{name.split("_")[0]: name for name in sorted(os.listdir(repo)) if name.endswith(".deb")}}
with open(repo + "/log", "a") as log:
    log.write(" ".join(words) + "\\n")
assert all(os.access(w.split("=", 1)[1].removesuffix("/status"), os.W_OK) for w in sys.argv if w.startswith("-oDir"))
if words[0] == "show":
    for name in set(words[1:]) & set(debs):
        print(f"Package: {{name}}\\nVersion: 1\\nSize: {{os.path.getsize(repo + '/' + debs[name])}}\\n")
if words[0] == "download":
    if words[1] not in debs or os.path.exists(repo + "/broken"):
        sys.exit("E: Failed to fetch " + words[1])
    data, target = open(repo + "/" + debs[words[1]], "rb").read(), debs[words[1]]
    start = os.path.getsize(target) if os.path.exists(target) else 0
    with open(target, "ab") as out:
        for at in range(start, len(data), max(1, len(data) // 4)):
            out.write(data[at:at + max(1, len(data) // 4)])
            out.flush()
            time.sleep(0.005)
"""


def song(name, size=30_000):
    return random.Random(name).randbytes(size)


def regular(name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info, io.BytesIO(data)


def deb(path, *members, cut=None):
    """Write a Debian package by hand, so that it may hold anything."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.GNU_FORMAT) as out:
        for info, data in members:
            if data is None and info.size:  # Python 3.13 refuses a header whose bytes do not follow
                header = info.tobuf(tarfile.GNU_FORMAT)
                out.offset += out.fileobj.write(header)
            else:
                out.addfile(info, data)
    parts = {"debian-binary": b"2.0\n", "control.tar": tarfile.BLOCKSIZE * 20 * b"\0", "data.tar": tar.getvalue()[:cut]}
    with path.open("wb") as out:
        out.write(b"!<arch>\n")
        for name, data in parts.items():
            out.write(
                f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n"[: len(data) % 2]
            )


def zipped(**files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in files.items():
            out.writestr(name, content)
    return data.getvalue()


class Archive:
    """A package archive of three packages, five songs and two artists, and the listing that goes with it."""

    def __init__(self, root):
        self.repo = root / "repo"
        self.repo.mkdir()
        self.rows = [
            self.row("Ada", "Game", "One", "game-data", "usr/share/game/one.ogg"),
            self.row("Ada", "Game", "Two: a/b", "game-data", "usr/share/game/Two é.ogg"),
            self.row("Bo", "Quest", "Three", "quest-music", "music/three.ogg", "usr/games/quest.pk3"),
            self.row("Bo", "Quest", "Four", "quest-music", "music/four.ogg", "usr/games/quest.pk3"),
            self.row("Bo", "Solo", "Five", "solo-data", "usr/share/solo/five.opus"),
        ]
        self.pack("game-data", regular("./usr/share/game/one.ogg", song("One")),
                  regular("./usr/share/game/skipped.ogg", song("skipped")),
                  regular("./usr/share/game/Two é.ogg", song("Two: a/b")))  # fmt: skip
        self.quest(**{"music/three.ogg": song("Three"), "music/four.ogg": song("Four"), "readme": b"no"})
        self.pack("solo-data", regular("./usr/share/solo/five.opus", song("Five")))
        self.listing = root / "listing.csv"
        self.write()

    def row(self, artist, album, title, package, member, archive=""):
        sha256 = hashlib.sha256(song(title)).hexdigest()
        named = {"artist": artist, "album": album, "title": title}
        found = {"package": package, "member": member, "archive": archive}
        return named | found | {"seconds": 60.0, "licence": "CC0", "label_source": "tag", "sha256": sha256}

    def write(self):
        with self.listing.open("w", newline="") as out:
            lines = csv.DictWriter(out, list(self.rows[0]))
            lines.writeheader()
            lines.writerows(self.rows)

    def pack(self, package, *members, **options):
        deb(self.repo / f"{package}_1%3a1.0_all.deb", *members, **options)

    def quest(self, **files):
        self.pack("quest-music", regular("./usr/games/quest.pk3", zipped(**files)))

    def log(self):
        lines = (self.repo / "log").read_text().splitlines() if (self.repo / "log").exists() else []
        (self.repo / "log").unlink(missing_ok=True)
        return lines


@pytest.fixture
def archive(tmp_path, home, monkeypatch):
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("apt-get", "apt-cache"):
        (tools / name).write_text(APT)
        (tools / name).chmod(0o755)
    archive = Archive(tmp_path)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_REPO", str(archive.repo))
    monkeypatch.setattr(opengame20, "_LISTING", archive.listing)
    monkeypatch.setattr(opengame20, "SMALL", ("game-data", "solo-data"))
    return archive


def fetch(**options):
    return opengame20.fetch(progress=False, **options)


def held(folder):
    """Every file below a folder, hidden ones included, with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


FILES = {
    "Ada/Game/One.ogg": song("One"),
    "Ada/Game/Two: a_b.ogg": song("Two: a/b"),
    "Bo/Quest/Three.ogg": song("Three"),
    "Bo/Quest/Four.ogg": song("Four"),
    "Bo/Solo/Five.opus": song("Five"),
}


def check(home, without=()):
    """The corpus' folder holds exactly the songs and the credits, and nothing lies elsewhere in the cache."""
    there = held(home)
    assert there.pop("corpora/opengame20/CREDITS.md").startswith(b"# Credits of opengame20")
    assert there == {f"corpora/opengame20/{name}": data for name, data in FILES.items() if name not in without}


# What comes, and how often


@needs_dpkg
def test_fetch_brings_every_track_and_leaves_nothing_else(archive, home):
    tracks = fetch()
    check(home)
    assert tracks.attrs["corpus"] == "opengame20"
    assert tracks.index.to_list() == [
        "Ada/Game/One",
        "Ada/Game/Two: a_b",
        "Bo/Quest/Four",
        "Bo/Quest/Three",
        "Bo/Solo/Five",
    ]
    assert tracks.loc["Ada/Game/Two: a_b", "title"] == "Two: a/b"
    assert list(tracks.columns) == ["artist", "album", "title", "path", "seconds", "licence"]
    assert corpora.load("opengame20").equals(tracks)
    assert archive.log()[:2] == ["update", "show game-data quest-music solo-data"]


@needs_dpkg
def test_only_missing_packages_are_downloaded(archive, home):
    small = fetch(small=True)
    assert small.attrs["corpus"] == "opengame20-small"
    assert len(corpora.load("opengame20-small")) == 3
    assert [line for line in archive.log() if line.startswith("download")] == [
        "download game-data",
        "download solo-data",
    ]
    fetch()
    assert [line for line in archive.log() if line.startswith("download")] == ["download quest-music"]
    fetch()
    assert archive.log() == []
    check(home)


@needs_dpkg
def test_damaged_track_in_the_cache_is_brought_again(archive, home):
    path = Path(fetch().loc["Bo/Quest/Four", "path"])
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    fetch()
    check(home)


@needs_dpkg
def test_temporary_files_of_the_dead_are_swept_and_those_of_the_living_stay(archive, home):
    folder = home / "corpora/opengame20/Bo"
    with subprocess.Popen(["true"]) as dead:
        pass
    with files.atomic(folder / "of-the-living.ogg") as living:
        living.write_bytes(b"half")
        stale = living.with_name(living.name.replace(f"-{os.getpid()}-", f"-{dead.pid}-"))
        stale.write_bytes(b"half")
        fetch()
        assert living.exists()
        assert not stale.exists()


@needs_dpkg
def test_half_a_download_is_continued(archive, home):
    (package,) = archive.repo.glob("solo-data_*")
    partial = home / "corpora/opengame20/packages/partial"
    partial.mkdir(parents=True)
    (partial / package.name).write_bytes(package.read_bytes()[:9_000])
    fetch()
    check(home)


@needs_dpkg
def test_package_that_lies_there_is_not_downloaded(archive, home):
    (package,) = archive.repo.glob("quest-music_*")
    folder = home / "corpora/opengame20/packages"
    folder.mkdir(parents=True)
    shutil.move(package, folder)
    fetch()
    assert "quest-music" not in " ".join(archive.log())
    check(home)


@needs_dpkg
def test_fetch_shows_bytes_and_package(archive, home, capfd):
    opengame20.fetch()
    shown = capfd.readouterr()
    assert shown.out == ""
    assert re.search(r"solo-data: 100%.*B/s", shown.err)


def test_load_before_fetch_names_the_command(archive, home):
    with pytest.raises(DataError, match=r"5 of 5 tracks are not below .*; run: crnnlib fetch opengame20$"):
        corpora.load("opengame20")
    with pytest.raises(DataError, match=r"3 of 3 tracks .*; run: crnnlib fetch opengame20 --small$"):
        corpora.load("opengame20-small")


# What cannot come


@needs_dpkg
def test_changed_tracks_are_listed_and_kept_only_when_allowed(archive, home):
    archive.quest(**{"music/three.ogg": b"another mix", "music/four.ogg": song("Four")})
    with pytest.raises(DataError, match=r"4 of 5 tracks are in place; 1 differ.*: Bo/Quest/Three; .* --allow-changed"):
        fetch()
    check(home, without=["Bo/Quest/Three.ogg"])
    tracks = fetch(allow_changed=True)
    assert Path(tracks.loc["Bo/Quest/Three", "path"]).read_bytes() == b"another mix"
    assert len(corpora.load("opengame20")) == 5
    with pytest.raises(DataError, match="1 differ"):
        fetch()
    check(home, without=["Bo/Quest/Three.ogg"])


@needs_dpkg
@pytest.mark.parametrize("allow_changed", [False, True])
def test_absent_package_leaves_the_rest_as_a_corpus_of_its_own(archive, home, allow_changed):
    next(archive.repo.glob("quest-music_*")).unlink()
    with pytest.raises(DataError, match=r"3 of 5 tracks are in place; 2 are not in this system's packages") as told:
        fetch(allow_changed=allow_changed)
    check(home, without=["Bo/Quest/Three.ogg", "Bo/Quest/Four.ogg"])
    assert len(corpora.load(re.search(r"CRNNLIB_CORPUS=(\S+)", str(told.value))[1])) == 3


def link(name, target, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, None


@needs_dpkg
@pytest.mark.parametrize(
    "member",
    [
        regular("./usr/share/solo/other.opus", song("Five")),
        regular("./usr/share/solo/FIVE.opus", song("Five")),
        regular("../usr/share/solo/five.opus", song("Five")),
        regular("/usr/share/solo/five.opus", song("Five")),
        link("./usr/share/solo/five.opus", "/etc/passwd", tarfile.SYMTYPE),
        link("./usr/share/solo/five.opus", "/etc/passwd", tarfile.LNKTYPE),
        link("./usr/share/solo/five.opus", "", tarfile.FIFOTYPE),
        link("./usr/share/solo/five.opus", "", tarfile.DIRTYPE),
    ],
)
def test_only_a_regular_member_of_the_exact_name_is_taken(archive, home, member):
    archive.pack("solo-data", member)
    with pytest.raises(DataError, match="1 are not in this system's packages"):
        fetch()
    check(home, without=["Bo/Solo/Five.opus"])


@needs_dpkg
def test_nothing_leaves_the_cache_whatever_a_zip_holds(archive, home, tmp_path):
    evil = {"../../evil.ogg": b"evil", "/tmp/evil.ogg": b"evil", "music/../../../three.ogg": b"evil"}
    archive.quest(**evil, **{"music/three.ogg": song("Three"), "music/four.ogg": song("Four")})
    fetch()
    check(home)
    archive.rows[3] |= {
        "member": "../../evil.ogg",
        "title": "../../../Four",
        "sha256": hashlib.sha256(b"evil").hexdigest(),
    }
    archive.write()
    before = held(tmp_path)
    tracks = fetch()
    assert Path(tracks.loc["Bo/Quest/.._.._.._Four", "path"]).parent == home / "corpora/opengame20/Bo/Quest"
    new = {name for name in held(tmp_path) if name not in before and not name.startswith("repo/")}
    assert new == {"home/corpora/opengame20/Bo/Quest/.._.._.._Four.ogg"}


def lying_zip():
    """A zip whose directory says that four.ogg is a terabyte."""
    data = zipped(**{"music/three.ogg": song("Three"), "music/four.ogg": song("Four")})
    end = data.rindex(b"PK\1\2")
    extra = struct.pack("<HHQ", 1, 8, 1 << 40)
    entry = bytearray(data[end : end + 46])
    entry[24:28], entry[30:32] = b"\xff" * 4, struct.pack("<H", len(extra))
    name, tail = data[end + 46 : end + 60], bytearray(data[end + 60 :])
    tail[12:16] = struct.pack("<I", struct.unpack("<I", tail[12:16])[0] + len(extra))
    return data[:end] + bytes(entry) + name + extra + bytes(tail)


def encrypted_zip():
    data = bytearray(zipped(**{"music/three.ogg": song("Three"), "music/four.ogg": song("Four")}))
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(signature, at + 4)
    return bytes(data)


def short_zip():
    """A zip whose entries are longer than their headers say."""
    data = zipped(**{"music/three.ogg": b"a" * 99, "music/four.ogg": b"b" * 99})
    assert data.count(struct.pack("<I", 99)) == 4
    return data.replace(struct.pack("<I", 99), struct.pack("<I", 9))


def bomb():
    return zipped(**{"music/three.ogg": bytes(packages.MAX_MEMBER + 1), "music/four.ogg": b""})


def huge(name, claimed=1 << 40):
    """A tar header without the bytes that it announces."""
    info = tarfile.TarInfo(name)
    info.size = claimed
    return info


SOLO, QUEST = "./usr/share/solo/five.opus", "./usr/games/quest.pk3"
TERABYTE = "claims 1099511627776 bytes"
HOSTILE = {
    "no bytes": ("solo-data", b"", "damaged package"),
    "text": ("solo-data", b"text" * 99, "damaged package"),
    "cut short": ("solo-data", {"members": [regular(SOLO, song("Five"))], "cut": 9_000}, "damaged package"),
    "a track of a terabyte": ("solo-data", {"members": [(huge(SOLO), None)]}, TERABYTE),
    "another member of a terabyte": ("solo-data", {"members": [(huge("./x"), None)]}, TERABYTE),
    "another member of a gigabyte, cut": ("solo-data", {"members": [(huge("./x", 1 << 30), None)]}, "damaged package"),
    "a zip of a terabyte": ("quest-music", {"members": [(huge(QUEST), None)]}, TERABYTE),
    "no zip": ("quest-music", {"members": [regular(QUEST, b"text")]}, "not a zip file"),
    "zip entry of a terabyte": ("quest-music", {"members": [regular(QUEST, lying_zip())]}, TERABYTE),
    "zip entry longer than it says": ("quest-music", {"members": [regular(QUEST, short_zip())]}, "damaged package"),
    "zip entry that inflates": ("quest-music", {"members": [regular(QUEST, bomb())]}, "claims 67108865 bytes"),
    "encrypted zip": ("quest-music", {"members": [regular(QUEST, encrypted_zip())]}, "encrypted"),
}


@needs_dpkg
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_package_is_refused_in_one_line_and_thrown_away(archive, home, kind):
    package, content, match = HOSTILE[kind]
    (path,) = archive.repo.glob(f"{package}_*")
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        for _, data in content["members"]:
            data and data.seek(0)
        archive.pack(package, *content["members"], cut=content.get("cut"))
    with pytest.raises(DataError, match=match) as told:
        fetch()
    assert len(str(told.value).splitlines()) == 1
    assert not list(home.rglob("*.deb"))
    assert not list(home.rglob(".tmp-*"))
    for name, data in held(home / "corpora/opengame20").items():
        assert name.startswith("packages/") or data == FILES[name]


@needs_dpkg
@pytest.mark.parametrize(
    ("cap", "match"),
    [
        ("MAX_PACKAGE", "game-data.* unpacks to more than 50000 bytes"),
        ("MAX_ARCHIVE", r"quest-music.* usr/games/quest\.pk3 claims"),
    ],
)
def test_package_that_inflates_without_end_is_refused(archive, home, monkeypatch, cap, match):
    monkeypatch.setattr(packages, cap, 50_000)
    with pytest.raises(DataError, match=match):
        fetch()


@needs_dpkg
def test_rerun_after_a_hostile_package_is_good(archive, home):
    good = (archive.repo / "solo-data_1%3a1.0_all.deb").read_bytes()
    archive.pack("solo-data", regular("./usr/share/solo/five.opus", song("Five")), cut=9_000)
    with pytest.raises(DataError, match="run again"):
        fetch()
    (archive.repo / "solo-data_1%3a1.0_all.deb").write_bytes(good)
    fetch()
    check(home)


def test_without_apt_the_error_names_a_container_and_the_demo(home, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="apt-get not found") as told:
        fetch(small=True)
    assert "docker run" in str(told.value)
    assert "crnnlib fetch opengame20 --small" in str(told.value)
    assert "CRNNLIB_CORPUS=demo" in str(told.value)
    assert not home.exists()


@needs_dpkg
def test_failed_download_keeps_what_came(archive, home):
    fetch(small=True)
    (archive.repo / "broken").touch()
    with pytest.raises(DataError, match=r"quest-music: apt-get download failed: E: Failed to fetch.*run again"):
        fetch()
    (archive.repo / "broken").unlink()
    fetch()
    check(home)


@needs_dpkg
def test_archive_that_offers_nothing_is_an_error(archive, home):
    for package in archive.repo.glob("*.deb"):
        package.unlink()
    with pytest.raises(DataError, match="apt offers none of game-data, quest-music, solo-data"):
        fetch()


@needs_dpkg
def test_full_disk_is_told_before_the_download(archive, home, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(DataError, match=r"0.0 GB free, 0.0 GB to download; make room"):
        fetch()
    assert not [line for line in archive.log() if line.startswith("download")]


# Killed, and two at once


@needs_dpkg
def test_fetch_killed_at_twenty_random_moments_ends_as_an_undisturbed_one(archive, home):
    def child():
        process = os.fork()
        if process == 0:
            try:
                fetch()
            finally:
                os._exit(0)
        return process

    start = time.monotonic()
    os.waitpid(child(), 0)
    whole = time.monotonic() - start
    check(home)
    undisturbed = held(home)
    draw, cut_short = random.Random(0), 0
    for _ in range(20):
        shutil.rmtree(home)
        process = child()
        time.sleep(draw.uniform(0, whole))
        os.kill(process, 9)
        os.waitpid(process, 0)
        cut_short += not home.exists() or held(home) != undisturbed
        fetch()
        assert held(home) == undisturbed
    assert cut_short >= 5
    assert not list(home.rglob("packages"))


@needs_dpkg
def test_two_fetches_at_once_download_once(archive, home):
    code = (
        "import pathlib, sys\nfrom crnnlib.corpora import opengame20\n"
        f"opengame20._LISTING = pathlib.Path({str(archive.listing)!r})\nopengame20.fetch(progress=False)"
    )
    other = subprocess.Popen([sys.executable, "-c", code])
    threads = [threading.Thread(target=fetch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert other.wait() == 0
    assert sorted(line for line in archive.log() if line.startswith("download")) == [
        "download game-data",
        "download quest-music",
        "download solo-data",
    ]
    check(home)


# The listing and its credits


def test_listing_is_that_of_the_design():
    tracks = opengame20.listing()
    assert (len(tracks), tracks["artist"].nunique(), tracks["sha256"].nunique()) == (204, 20, 204)
    assert tracks["seconds"].sum() / 3600 == pytest.approx(11.6, abs=0.05)
    assert (tracks.groupby("artist")["album"].nunique() >= 2).sum() == 7
    small = opengame20.listing(small=True)
    assert set(small["package"]) == set(opengame20.SMALL)
    assert small["artist"].nunique() == 5
    assert (small.groupby("artist")["album"].nunique() == 2).sum() == 2
    assert tracks["licence"].str.len().min() > 0
    assert tracks["sha256"].str.fullmatch("[0-9a-f]{64}").all()


def test_credits_page_is_committed_and_names_every_track():
    page = (BOOK / "credits.md").read_text(encoding="utf-8")
    assert page == opengame20.credits(), (
        "run: python -c 'from crnnlib.corpora import opengame20 as o; print(o.credits())'"
    )
    plain = page.replace("\\", "")
    for track in opengame20.listing().itertuples():
        section = plain.split(f"## {track.artist}\n")[1].split("\n## ")[0]
        assert f"| {track.title} | {track.album} | {track.licence} | `{track.package}` |" in section


def test_credits_escape_markup(archive):
    archive.rows[0] |= {"title": "<b>|*x*_$[", "artist": "A_b"}
    archive.write()
    assert "\\<b\\>\\|\\*x\\*\\_\\$\\[" in opengame20.credits()
    assert "## A\\_b" in opengame20.credits()


@pytest.mark.corpus
def test_small_selection_on_disk_is_the_recorded_one(real_home):
    tracks = opengame20.listing(small=True)
    for path, sha256 in zip(tracks["path"], tracks["sha256"], strict=True):
        assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == sha256
