"""Draw the map of crnnlib's imports in CONTRIBUTING.md: python .ci/architecture.py"""

import re
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
EVERYWHERE = {"errors", "files"}
DRAWING = re.compile(r"```mermaid\n.*?```\n", re.DOTALL)


def steps():
    """Pairs (importer, imported) of the parts of crnnlib, less those that a longer way implies."""
    graph = grimp.build_graph("crnnlib")
    parts = {}
    for module in graph.modules - {"crnnlib"}:
        part = module.split(".")[1]
        found = {
            imported.split(".")[1] for imported in graph.find_modules_directly_imported_by(module) if "." in imported
        }
        parts.setdefault(part, set()).update(found - EVERYWHERE - {part})
    below = {}

    def reach(part):
        if part not in below:
            below[part] = set().union(*(reach(other) | {other} for other in parts[part]))
        return below[part]

    return sorted(
        (part, other)
        for part, others in parts.items()
        for other in others
        if not any(other in reach(third) for third in others - {other})
    )


def drawing():
    """Return the map as Mermaid, which code hosts draw."""
    shown = "".join(f"    {part.strip('_')} --> {other}\n" for part, other in steps())
    return f"```mermaid\nflowchart TD\n{shown}```\n"


if __name__ == "__main__":
    page = ROOT / "CONTRIBUTING.md"
    page.write_text(DRAWING.sub(drawing(), page.read_text()))
