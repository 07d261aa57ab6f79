"""The built book in a real browser: it is whole, stays at home, and its figures can be seen, switched and heard.

Its notebooks run in JupyterLab as well.

Run after `make book`. ``$CRNNLIB_BOOK`` names another site than ``_build/html``.
"""

import functools
import html.parser
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import numpy as np
import pytest
import yaml

import conftest
from crnnlib import figures, voting

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parent.parent
SITE = Path(os.environ.get("CRNNLIB_BOOK", ROOT / "_build" / "html")).resolve()
TOC = yaml.safe_load((Path(os.environ.get("CRNNLIB_BOOK_TOC", ROOT / "_toc.yml"))).read_text("utf-8"))
PAGES = [TOC["root"], *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"])]
LOOKS = [(width, mode) for width in (1300, 390) for mode in ("light", "dark")]
FLAGS = ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--disable-background-networking"]


@pytest.fixture(scope="session")
def site():
    """Folder of the site; without it these tests fail."""
    if not (SITE / "index.html").is_file():
        pytest.fail(f"no book in {SITE}: run `make book` first")
    return SITE


@pytest.fixture(scope="session")
def address(site):
    """Serve the site over http."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "no browser: apt-get install chromium"
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=FLAGS)


@pytest.fixture
def visit(browser):
    """Open pages, and fail at the end if one complained or asked for anything outside."""
    contexts, complaints = [], []

    def opened(url, width=1300, mode="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=mode)
        contexts.append(context)
        page = context.new_page()
        home = url.split("/book/")[0].split("/notebooks/")[0].split("/search")[0]
        page.on("console", lambda m: complaints.append(f"console: {m.text}") if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("requestfailed", lambda r: complaints.append(f"failed: {r.url}") if "blob:" not in r.url else None)
        page.on("request", lambda r: complaints.append(f"outside: {r.url}") if not at_home(r.url, home) else None)
        page.goto(url, wait_until="load")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints


def at_home(url, home):
    return url.startswith((home, "data:", "blob:"))


CUT_TABLES = """() => [...document.querySelectorAll(".bd-article table")].filter((table) => {
  const frame = table.closest(".cell_output, .output, .pst-scrollable-table-container, .bd-article");
  return table.offsetWidth > frame.clientWidth + 1;
}).map((table) => table.innerText.slice(0, 80))"""


def draw_all(page):
    """Scroll to each figure until it is drawn."""
    found = page.locator(".crnn-figure")
    for i in range(found.count()):
        found.nth(i).scroll_into_view_if_needed()
        found.nth(i).locator("xpath=self::*[@data-drawn]").wait_for(state="attached", timeout=60_000)
    return found.all()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "mode"), LOOKS)
def test_a_page_opens_without_complaint_and_draws_its_figures(visit, address, name, width, mode):
    page = visit(f"{address}/{name}.html", width, mode)
    assert page.locator("html").get_attribute("data-theme") == mode
    for figure in draw_all(page):
        traces = figure.evaluate("f => f.querySelector('.crnn-plot').data.length")
        assert traces == int(figure.get_attribute("data-traces"))
        fits = "f => Math.abs(f.querySelector('.main-svg').clientWidth - f.querySelector('.crnn-plot').clientWidth) < 2"
        page.wait_for_function(fits, arg=figure.element_handle(), timeout=10_000)
        assert figure.locator(".main-svg").first.bounding_box()["width"] > 200
        assert figure.locator("svg[role=img]").first.get_attribute("aria-label")
        assert figure.locator("figcaption").inner_text().strip()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the screen"
    assert width < 1300 or page.evaluate(CUT_TABLES) == [], "a laptop shows every table whole"
    assert page.locator("img:not([alt])").count() == 0


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_from_disk(visit, site, name):
    draw_all(visit((site / f"{name}.html").as_uri()))


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "mode"), [(1300, "light"), (390, "dark")])
def test_nothing_serious_stands_in_the_way_of_assistive_technology(visit, address, name, width, mode):
    from axe_playwright_python.sync_playwright import Axe

    page = visit(f"{address}/{name}.html", width, mode)
    draw_all(page)
    # Without preload, axe asks for no style sheet by a wrong address.
    found = Axe().run(page, options={"resultTypes": ["violations"], "preload": False}).response["violations"]
    serious = {v["id"]: [n["html"][:200] for n in v["nodes"]] for v in found if v["impact"] in ("serious", "critical")}
    assert not serious


@pytest.mark.parametrize("name", PAGES)
def test_menus_change_the_picture(visit, address, name):
    page = visit(f"{address}/{name}.html")
    shown = (
        "p => JSON.stringify(p._fullData.map(t => [t.visible, t.marker?.color, [...(t.x || [])], [...(t.y || [])]]))"
    )
    for figure in draw_all(page):
        plot = figure.locator(".crnn-plot")
        for menu in figure.locator(".crnn-menus select").all():
            before = plot.evaluate(shown)
            menu.select_option(index=1)
            page.wait_for_timeout(300)
            assert plot.evaluate(shown) != before


def point_of(plot):
    """Where on the screen a point of the figure lies, and the seconds at which its clip starts."""
    return plot.evaluate(
        """plot => {
            const trace = plot._fullData.find(t => t.visible === true && t.customdata);
            const {_offset: left} = plot._fullLayout.xaxis, {_offset: top} = plot._fullLayout.yaxis;
            const box = plot.getBoundingClientRect();
            const heat = trace.type === "heatmap";
            const facts = heat ? trace.customdata[0][1] : trace.customdata[0];
            const x = plot._fullLayout.xaxis.d2p(heat ? trace.x[1] : trace.x[0]);
            const y = plot._fullLayout.yaxis.d2p(heat ? trace.y[0] : trace.y[0]);
            return {x: box.x + left + x, y: box.y + top + y, start: facts[1]};
        }"""
    )


def click_and_hear(page, figure, reads_pixels):
    """Click on a point of a figure; its clip is heard from start to end, beside its spectrogram."""
    plot, audio = figure.locator(".crnn-plot"), figure.locator("audio")
    plot.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    point = point_of(plot)
    page.mouse.move(point["x"] - 1, point["y"])
    page.mouse.move(point["x"], point["y"])
    page.wait_for_timeout(300)
    page.mouse.click(point["x"], point["y"])
    page.wait_for_function("a => !a.paused && a.currentTime > 0", arg=audio.element_handle(), timeout=20_000)
    first = audio.evaluate("a => a.currentTime")
    assert first >= point["start"] - 0.1
    page.wait_for_function("([a, t]) => a.currentTime > t", arg=[audio.element_handle(), first], timeout=20_000)
    length = plot.evaluate("p => p.data[0].meta?.clip_s ?? p.layout.meta.clip_s")
    page.wait_for_function("a => a.paused", arg=audio.element_handle(), timeout=(length + 20) * 1000)
    assert audio.evaluate("a => a.currentTime") < point["start"] + length + 1
    canvas = figure.locator("canvas.crnn-spectrogram")
    assert canvas.get_attribute("aria-label").startswith("Log-mel spectrogram of ")
    if reads_pixels:
        assert canvas.evaluate("c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v > 0)")


@pytest.mark.parametrize("way", ["http", "file"])
@pytest.mark.parametrize("name", PAGES)
def test_a_click_on_a_point_is_heard(visit, address, site, name, way):
    if 'class="crnn-player"' not in (site / f"{name}.html").read_text("utf-8"):
        return
    page = visit(f"{address}/{name}.html" if way == "http" else (site / f"{name}.html").as_uri())
    clickable = "plot => plot._fullData.some(trace => trace.visible === true && trace.customdata)"
    heard = 0
    for figure in draw_all(page):
        if figure.locator("audio").count() and figure.locator(".crnn-plot").evaluate(clickable):
            click_and_hear(page, figure, reads_pixels=way == "http")
            heard += 1
    assert heard or "07_map" not in name


def test_a_clip_on_the_map_is_chosen_and_heard_by_keyboard(visit, address):
    page = visit(f"{address}/notebooks/07_map_the_bottleneck.html")
    figure = next(figure for figure in draw_all(page) if figure.locator("audio").count())
    songs, clips = figure.get_by_label("Song", exact=True), figure.get_by_label("Clip", exact=True)
    assert clips.locator("option").count() > 1, "the first song is one that the view shows"
    first = clips.inner_text()
    songs.focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function("([list, text]) => list.innerText !== text", arg=[clips.element_handle(), first])
    while clips.locator("option").count() == 1:  # other songs may be in another view only
        page.keyboard.press("ArrowDown")
    clips.focus()
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    audio = figure.locator("audio").element_handle()
    page.wait_for_function("a => !a.paused && a.currentTime > 0", arg=audio, timeout=20_000)
    assert "heard as" in clips.locator("option:checked").inner_text()


def map_of(tracks, n, path):
    """Save a map of `n` clips, with sound."""
    names = sorted(tracks["artist"].unique())
    rows = tracks.iloc[np.arange(n) % len(tracks)]
    truth = [names.index(artist) for artist in rows["artist"]]
    clips = voting.Scores(np.eye(3)[truth], truth, rows.index, names, start=[31] * n)
    plane = np.random.default_rng(0).normal(size=(n, 2))
    drawn = figures.embedding_map(figures.points(clips, tracks, {"pca": plane}, clip_s=1), max_points=n)
    listen = figures.player(tracks, clip_s=1, progress=False)
    return figures.save(drawn, path, "Clips.", "A map of clips.", tracks, listen)


def test_a_map_that_was_saved_alone_is_heard(visit, home, tracks, tmp_path):
    page = visit(map_of(tracks, len(tracks), tmp_path / "book" / "map.html").as_uri())
    click_and_hear(page, draw_all(page)[0], reads_pixels=False)


def test_a_song_that_did_not_come_can_be_asked_for_again(browser, home, tracks, tmp_path):
    map_of(tracks, len(tracks), tmp_path / "map.html")
    page = browser.new_page()
    page.route("**/*", lambda route: route.fulfill(path=tmp_path / urlsplit(route.request.url).path[1:]))
    page.route("**/*.mp3", lambda route: route.abort(), times=1)
    page.goto("http://map.example/map.html")
    draw_all(page)
    picture = page.locator("canvas.crnn-spectrogram")
    picture.click()
    page.get_by_text("could not be loaded").wait_for()
    picture.click()
    page.wait_for_function("document.querySelector('audio').currentTime > 0", timeout=20_000)
    page.close()


def test_a_map_that_was_saved_alone_follows_the_system(visit, home, tracks, tmp_path):
    page = visit(map_of(tracks, len(tracks), tmp_path / "book" / "map.html").as_uri())
    draw_all(page)
    brightness = """css => { const probe = document.body.appendChild(document.createElement('i'));
        probe.style.color = css; const [r, g, b] = getComputedStyle(probe).color.match(/[\\d.]+/g).map(Number);
        probe.remove(); return (r + g + b) / 765; }"""
    ink = "document.querySelector('.crnn-plot')._fullLayout.font.color"
    for scheme, dark in (("dark", True), ("light", False)):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
        assert (page.evaluate(brightness, "Canvas") < 0.3) is dark
        page.wait_for_function(f"({ink} === '#ced6dd') === {str(dark).lower()}")


def test_a_figure_that_was_drawn_for_print_is_not_drawn_again_when_seen(visit, home, tracks, tmp_path):
    path = map_of(tracks, len(tracks), tmp_path / "book" / "map.html")
    path.write_text(path.read_text("utf-8").replace("<main>", '<main><div style="height:3000px"></div>'), "utf-8")
    page = visit(path.as_uri())
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    (figure,) = draw_all(page)
    page.wait_for_timeout(500)
    assert figure.locator(".crnn-menus").count() == 1


def test_a_map_of_ten_thousand_points_draws(visit, home, tracks, tmp_path):
    page = visit(map_of(tracks, 10_000, tmp_path / "book" / "map.html").as_uri())
    (figure,) = draw_all(page)
    drawn = figure.locator(".crnn-plot").evaluate("p => p._fullData.map(t => [t.type, t.x.length])")
    assert {kind for kind, _ in drawn} == {"scattergl"}
    assert sum(n for _, n in drawn) == 10_000


def test_figures_follow_the_mode_of_the_page(visit, address, site):
    drawn = [name for name in PAGES if 'class="crnn-figure"' in (site / f"{name}.html").read_text("utf-8")]
    page = visit(f"{address}/{drawn[0]}.html")
    draw_all(page)
    ink = "document.querySelector('.crnn-plot')._fullLayout.font.color"
    light = page.evaluate(ink)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function(f"{ink} !== '{light}'")


@pytest.mark.parametrize("way", ["http", "file"])
def test_search_finds_the_producer_effect(visit, address, site, way):
    page = visit((address if way == "http" else site.as_uri()) + "/search.html?q=producer+effect")
    page.locator("#search-results li a").first.wait_for(timeout=20_000)


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith("notebooks/")])
def test_a_notebook_can_be_downloaded_without_outputs(visit, address, site, name):
    page = visit(f"{address}/{name}.html")
    link = page.locator('a[href$=".ipynb"]').first.get_attribute("href")
    notebook = json.loads((site / name).parent.joinpath(unquote(link)).resolve().read_text("utf-8"))
    assert [cell for cell in notebook["cells"] if cell.get("outputs")] == []


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """JupyterLab over a copy of the notebooks: the folder, and its address."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", folder, dirs_exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "JUPYTER_CONFIG_DIR": str(tmp_path_factory.mktemp("config"))}
    environment |= {"CRNNLIB_HOME": conftest.REAL_HOME} if conftest.REAL_HOME else {}
    options = [f"--ServerApp.root_dir={folder}", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
               "--IdentityProvider.token=", "--ServerApp.allow_root=True"]  # fmt: skip
    with subprocess.Popen([sys.executable, "-m", "jupyterlab", "--no-browser", *options], env=environment) as server:
        yield folder, f"http://127.0.0.1:{port}"
        server.terminate()


FIGURE, PLAYER = ".js-plotly-plot .main-svg", "audio[controls]"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("01_explore_the_corpus", [FIGURE, PLAYER]),
        ("02_from_audio_to_log_mel", [FIGURE, PLAYER]),
        ("03_split_without_leaking", [FIGURE, PLAYER]),
        ("04_build_the_crnn", [FIGURE]),
        ("05_train_across_clip_lengths", [".widget-hprogress", FIGURE]),
        ("06_read_the_results", [FIGURE]),
        ("07_map_the_bottleneck", [".js-plotly-plot canvas", PLAYER]),
        ("08_go_beyond_the_paper", [FIGURE]),
        ("09_identify_your_own_music", [FIGURE, PLAYER]),
    ],
)
def test_a_notebook_runs_in_jupyterlab(browser, lab, name, shown):
    folder, address = lab

    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    _retry(lambda: page.goto(f"{address}/lab/workspaces/{name}/tree/{name}.ipynb"))  # nothing else is open there
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=120_000)
    page.locator(".lm-MenuBar-item:has-text('Run')").click()
    page.locator("[data-command='runmenu:run-all']").click()
    asked = time.monotonic()
    cells = [{"execution_count": None}]
    while not all(cell["execution_count"] for cell in cells):
        page.keyboard.press("Control+s")
        page.wait_for_timeout(3000)
        notebook = json.loads((folder / f"{name}.ipynb").read_text("utf-8"))
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        assert not [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
        begun, waited = any(cell["execution_count"] for cell in cells), time.monotonic() - asked
        assert waited < (900 if begun else 120), f"{name}: {'not done' if begun else 'not begun'} after {waited:.0f} s"
    panel = page.locator(".jp-WindowedPanel-outer")
    for selector in shown:  # cells far from the screen are not drawn
        for part in range(41):
            panel.evaluate("(panel, part) => panel.scrollTo(0, panel.scrollHeight * part / 40)", part)
            page.wait_for_timeout(250)
            if page.locator(selector).count():
                break
        page.locator(selector).first.wait_for(state="attached", timeout=20_000)
    page.close()


def _retry(visit, patience_s=60):
    """Call `visit` until the server answers."""
    from playwright.sync_api import Error

    end = time.monotonic() + patience_s
    while True:
        try:
            return visit()
        except Error:
            if time.monotonic() > end:
                raise
            time.sleep(1)


class References(html.parser.HTMLParser):
    """What a page points to, and the ids that it has."""

    def __init__(self, text):
        super().__init__()
        self.targets, self.ids = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids |= {attributes[key] for key in ("id", "name") if attributes.get(key)}
        self.targets += [attributes[key] for key in ("href", "src") if attributes.get(key)]


def test_links_within_the_book_lead_somewhere(site):
    pages = {path: References(path.read_text("utf-8")) for path in site.rglob("*.html") if "_static" not in path.parts}
    broken = []
    for path, found in pages.items():
        for target in found.targets:
            address, anchor = urldefrag(target)
            if urlsplit(address).scheme:
                continue
            there = (path.parent / unquote(urlsplit(address).path)).resolve() if address else path
            known = pages[there].ids | {"", "top"} if there in pages else {anchor}
            if not there.exists() or unquote(anchor) not in known:
                broken.append(f"{path.relative_to(site)}: {target}")
    assert not broken


def test_pages_are_light_and_plotly_is_there_once(site):
    heavy = {str(path.relative_to(site)): path.stat().st_size for path in site.rglob("*.html")}
    assert {name: size for name, size in heavy.items() if size >= 2_000_000} == {}
    assert len(list(site.rglob("plotly*.js"))) == 1
    for name in PAGES:
        text = (site / f"{name}.html").read_text("utf-8")
        assert ("plotly.min.js" in text) == ('class="crnn-' in text), name
        assert "data:audio" not in text, f"{name} holds what is for JupyterLab"
        assert str(ROOT) not in text, f"{name} tells where it was built"


def test_the_time_of_every_notebook_is_told(site):
    page = (site / "book" / "reproduce.html").read_text("utf-8")
    for name in (name for name in PAGES if name.startswith("notebooks/")):
        row = re.search(rf"<tr[^>]*>\s*<td><p><a[^>]*{Path(name).name}\.html.*?</tr>", page, re.DOTALL)
        assert row, name
        assert re.search(r"<p>\d+\.\d+</p>", row[0]), name


def test_the_reference_reads_well(site):
    page = (site / "book" / "api.html").read_text("utf-8")
    text = re.sub("<[^>]+>", "", page)
    assert "recipes=(PAPER,)" in text
    assert "RandomShift(bands=3, p=1.0" in text
    assert "*args, **kwargs" not in text
    assert "Alias for field" not in text
    assert ">crnnlib.<wbr/>figures.<wbr/>architecture</a>" in page, "names in the contents break after a dot"
    assert re.search(r'href="#crnnlib.splits.matched_pair"[^>]*><code[^>]*><span class="pre">splits.matched_pair', page)
