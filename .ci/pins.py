"""Write environment.yml, for conda users, from requirements.lock: `make lock` runs this."""

import re
import tomllib
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.13"
HEAD = f"""\
# The versions of requirements.lock that one asks for by name, for conda; written by .ci/pins.py.
# conda env create --file environment.yml && conda activate crnnlib
name: crnnlib
channels: [conda-forge]
dependencies:
  - python={PYTHON}
  - git
  - make
  - pip
  - pip:
"""


def locked(text, python=PYTHON):
    """Version of each package of a lock on one Python on Linux, by name."""
    where = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    found = {}
    for name, version, marker in re.findall(r"^([\w.-]+)==([^\s;]+)(?: ; (.+?))? \\$", text, re.MULTILINE):
        if not marker or Marker(marker).evaluate(where):
            found[canonicalize_name(name)] = version
    return found


def asked(project):
    """Names of the packages that the package itself and the book ask for."""
    extras = project["optional-dependencies"]
    return sorted({canonicalize_name(Requirement(line).name) for line in project["dependencies"] + extras["book"]})


def environment(root=ROOT):
    """Text of environment.yml."""
    versions = locked((root / "requirements.lock").read_text())
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    pins = [f"{name}=={versions[name]}" for name in asked(project)]
    return HEAD + "".join(f"      - {pin}\n" for pin in [*pins, "--editable ."])


if __name__ == "__main__":
    (ROOT / "environment.yml").write_text(environment())
