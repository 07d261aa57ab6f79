"""Keep the book to itself: what a page loads lies in the site, and a page loads only what it needs.

- Pages with a figure or a player get plotly.js and ``figures.js``, once, from ``_static/figures``.
- The sound that a page plays is copied from the cache into ``_static/audio``.
- What a notebook's output holds for JupyterLab alone is dropped; a page of 2 MB or more is an error.
"""

import re
import shutil
from pathlib import Path

from plotly.offline import get_plotlyjs
from sphinx.errors import ExtensionError
from sphinx.util import logging

from crnnlib.figures import audio, page

LOG = logging.getLogger(__name__)
MOST_BYTES = 2_000_000
LAB_ONLY = re.compile(
    r'<div class="output text_html">\s*<!--lab-->.*?<!--/lab-->\s*</div>|<!--lab-->.*?<!--/lab-->', re.DOTALL
)
SOUND = re.compile(r'data-files="([^"]*)"')
# A table that scrolls must be reached by keyboard.
GLUED_TABLE = re.compile(r'<div class="output text_html">(?=<div>\s*<style)')
FOLDER = "figures"
# From file:// a browser may not read the pages that were found, and says so in the console.
NO_SUMMARY_FROM_DISK = 'if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;'


def copy_scripts(app):
    """Put plotly.js and the book's own script and style into the site before pages ask for them."""
    if app.builder.format != "html":
        return
    folder = Path(app.outdir, "_static", FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
    for asset in page.ASSETS:
        shutil.copyfile(asset, folder / asset.name)


def prepare_page(app, pagename, templatename, context, doctree):
    """Give a page the scripts and the sound that its figures need, and no more."""
    body = context["body"] = LAB_ONLY.sub("", context.get("body", ""))
    # Docutils calls the bibliography a list, but not its entries items of one.
    body = context["body"] = body.replace('<div role="list" class="citation-list">', '<div class="citation-list">')
    if pagename.startswith("book/"):  # on the pages of notebooks the theme sees to it
        body = context["body"] = GLUED_TABLE.sub('<div class="output text_html" tabindex="0">', body)
    if pagename == "search":
        app.add_js_file(None, body=NO_SUMMARY_FROM_DISK, priority=900)
    if 'class="crnn-' not in body:
        return
    app.add_css_file(f"{FOLDER}/figures.css")
    for script in ("plotly.min.js", "figures.js"):
        app.add_js_file(f"{FOLDER}/{script}", loading_method="defer")
    for name in {name for found in SOUND.findall(body) for name in found.split()}:
        copy_sound(app, name, pagename)


def copy_sound(app, name, pagename):
    """Copy one file of sound, or its picture, from the cache into the site."""
    source, target = audio.listen_folder() / name, Path(app.outdir, "_static", "audio", name)
    if not source.is_file():
        LOG.warning("no sound %s in %s: execute the notebook again", name, audio.listen_folder(), location=pagename)
    elif not target.is_file() or target.stat().st_size != source.stat().st_size:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def weigh_pages(app, exception):
    """Refuse pages that are slow to open."""
    if exception is not None or app.builder.format != "html":
        return
    sizes = {path.relative_to(app.outdir): path.stat().st_size for path in sorted(Path(app.outdir).rglob("*.html"))}
    heavy = [f"{path} has {size / 1e6:.1f} MB" for path, size in sizes.items() if size >= MOST_BYTES]
    if heavy:
        raise ExtensionError(f"{', '.join(heavy)}: expected less than {MOST_BYTES / 1e6:.0f}; draw fewer points")


def setup(app):
    """Connect the above to Sphinx."""
    app.connect("builder-inited", copy_scripts)
    app.connect("html-page-context", prepare_page, priority=900)
    app.connect("build-finished", weigh_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
