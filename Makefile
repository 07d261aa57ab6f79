# Everything one does with this repository. `make` alone lists the targets; each makes the environment it needs.

PYTHON ?= python3
CORPUS ?= $(or $(CRNNLIB_CORPUS),demo)

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export TF_CPP_MIN_LOG_LEVEL ?= 3

SUPPORTED := $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'

# The name of the stamp holds a hash of what the environment is made from: another lock asks for another stamp.
ENVIRONMENT := .venv/made-from-$(shell cat requirements.lock pyproject.toml | git hash-object --stdin)

.PHONY: help env book test test-jax test-book lab lint bench lock clean

help:  ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 18

env: $(ENVIRONMENT)  ## make or renew .venv from requirements.lock

$(ENVIRONMENT):
	@rm -f .venv/made-from-*
	@if command -v uv > /dev/null; then \
	    if $(SUPPORTED); then chosen=$$(command -v $(PYTHON)); else chosen='>=3.11,<3.14'; fi; \
	    test -x .venv/bin/python || uv venv --quiet --allow-existing --python "$$chosen" .venv; \
	    uv pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock; \
	    uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .; \
	else \
	    $(SUPPORTED) || { echo "$(PYTHON) is not Python 3.11 to 3.13; name one: make PYTHON=python3.13"; exit 2; }; \
	    .venv/bin/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv .venv; \
	    .venv/bin/python -m pip install --quiet --no-deps --require-hashes --requirement requirements.lock; \
	    .venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .; \
	fi
	@touch $@

book: $(ENVIRONMENT)  ## build the book: make book [CORPUS=demo|opengame20|FOLDER]
	@python book/build.py "$(CORPUS)"

test: $(ENVIRONMENT)  ## run the tests, save those of the built book
	@python -m pytest -m "not book" -n auto --maxprocesses 4 --dist worksteal $(ARGS)

test-jax: $(ENVIRONMENT)  ## run the tests of the network on JAX
	@KERAS_BACKEND=jax python -m pytest -n auto --maxprocesses 4 --dist worksteal \
	    tests/test_{augment,clips,layers,models,training}.py crnnlib/{augment,clips,layers,models,training}.py $(ARGS)

test-book: $(ENVIRONMENT)  ## run the tests of the built book in a browser, after `make book`
	@python -m pytest -m book -n auto --maxprocesses 2 --dist worksteal $(ARGS)

lab: $(ENVIRONMENT)  ## open the notebooks in JupyterLab: make lab [CORPUS=...]
	@CRNNLIB_CORPUS="$(CORPUS)" jupyter lab notebooks

lint: $(ENVIRONMENT)  ## run every check of style, types, imports and workflows
	@pre-commit run --all-files

bench: $(ENVIRONMENT)  ## print the ratios of benchmarks/, one script after another
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; python "$$script"; done

lock:  ## resolve requirements.lock anew, from pyproject.toml (needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 --extra dev --generate-hashes --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links --upgrade pyproject.toml --output-file requirements.lock
	@uv run --quiet --no-project --with packaging .ci/pins.py

clean:  ## remove what was built here; .venv, and corpora and records in the cache, stay
	@rm -rf _build build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache .grimp_cache .coverage
	@find . -name __pycache__ -prune -exec rm -rf {} +
