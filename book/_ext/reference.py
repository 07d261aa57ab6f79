"""Make the reference page read well.

- A short name in single backticks, such as ``Store.duplicates`` or ``splits.design``, is a link from any module; a
  field of a class leads to the class, and a name that the class or module does not have is a warning.
- A class shows what its ``__init__`` takes, where Keras' metaclass hides it.
- A recipe that is a default goes by its name, instead of being spelled out.
- What a class has from elsewhere without a word of ours is left out.
- Dotted names may break after a dot.
"""

import inspect
import pydoc
import re

from sphinx.util import logging
from sphinx.util.nodes import make_refnode

LOGGER = logging.getLogger(__name__)

RECIPE = re.compile(r"\bRecipe\(name='([^']*)'[^)]*\)")
# A bare lower-case word may be a parameter, a column or plain English.
TELLING = re.compile(r"[A-Z].*|.*\..+")
DOTTED = re.compile(
    r'(?<=<h3>)crnnlib[\w.]+|(?<=<span class="pre">)crnnlib[\w.]+\.(?=</span>)|(?<=>)crnnlib[\w.]+(?=</a>)'
)


def link_short_name(app, env, node, content):
    """Find the one entry of the reference that ends in the name."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not TELLING.fullmatch(target):
        return None
    entries = env.get_domain("py").objects
    found = ending_in(target, entries)
    owner, _, field = target.rpartition(".")
    if not found and owner and (owners := ending_in(owner, entries)):
        if field in getattr(pydoc.locate(owners[0]), "__annotations__", ()):
            found = owners
        else:
            LOGGER.warning("%s has no %s that the reference knows", owners[0], field, location=node)
    if len(found) != 1:
        return None
    entry = entries[found[0]]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, found[0])


def ending_in(target, entries):
    """Full names of what the reference has under a short name, one for each place."""
    places = {(entry.docname, entry.node_id): name for name, entry in entries.items() if name.endswith("." + target)}
    return list(places.values())


def rewrite_signature(app, what, name, obj, options, signature, return_annotation):
    """Name recipes, and look behind ``(*args, **kwargs)``."""
    if what == "class" and signature == "(*args, **kwargs)":
        own = inspect.signature(vars(obj).get("__init__", lambda self, **kwargs: None))
        signature = str(own.replace(parameters=list(own.parameters.values())[1:]))
    if signature:
        signature = RECIPE.sub(lambda recipe: recipe[1].upper(), signature)
    return signature, return_annotation


def skip_member(app, what, name, obj, skip, options):
    """Leave out the fields of named tuples, which say that they are fields; their class explains them."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") else None


def break_at_dots(app, pagename, templatename, context, doctree):
    """On a phone, and in the contents beside a page, a name of three parts is longer than a line."""
    for part in ("body", "toc"):
        context[part] = DOTTED.sub(lambda name: name[0].replace(".", ".<wbr>"), context.get(part, ""))


def setup(app):
    """Connect the above to Sphinx."""
    app.connect("missing-reference", link_short_name)
    app.connect("autodoc-process-signature", rewrite_signature)
    app.connect("autodoc-skip-member", skip_member)
    app.connect("html-page-context", break_at_dots)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
