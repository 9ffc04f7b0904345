# The two commands of the README are `make serve` and `make test`; the rest are their parts.
SHELL := /bin/bash
PORT ?= 8001
VENV := .venv
PYTHON ?= python3
FLYWHEEL := $(VENV)/bin/flywheel
# Everything a build reads. One list, so that make knows when signals.db is stale.
BUILD_INPUTS := $(shell find data build -type f -not -name '*.pyc')

.PHONY: serve export test test-all lint types build clean bench bench-million lock check browser help image-steps refresh
.DELETE_ON_ERROR:

help:  ## Lists the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

serve: $(VENV)/.serve signals.db  ## Installs, builds and serves on 127.0.0.1:8001 (PORT= to change)
	@$(FLYWHEEL) serve --port $(PORT)

build: $(VENV)/.serve signals.db  ## Leaves signals.db at the root

signals.db: $(VENV)/.serve $(BUILD_INPUTS)
	@$(FLYWHEEL) build --out signals.db && touch signals.db

export: $(VENV)/.serve signals.db  ## Writes export/: the data for others to take
	@$(FLYWHEEL) export

refresh: $(VENV)/.serve  ## Collects, builds, compares, checks; publishes what changed (VERSION= to name it)
	@$(FLYWHEEL) refresh $(if $(VERSION),--version $(VERSION))

check: $(VENV)/.serve  ## Validates data/ and reports, changes nothing
	@$(FLYWHEEL) check

# A stamp, not the folder, so that an install that was cut short is done again.
$(VENV)/.serve: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "needs Python 3.11 or later: make PYTHON=python3.12 serve"; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.serve
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

# Browser tests need Chromium. As root on Debian it is installed; anywhere else they skip and say what to run.
browser:
	@if ! command -v chromium >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing chromium for the browser tests"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; fi

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/hadolint Dockerfile

types: $(VENV)/.dev
	$(VENV)/bin/mypy

# Three processes for two cores: a third of the time goes by in waiting for servers and browsers (5 min 15 s with two).
test: $(VENV)/.dev browser lint types signals.db  ## Lint, types and tests
	$(VENV)/bin/pytest -n 3 -m "not slow"

# The whole page matrix, the long fault and kill runs, and the site on the newest alpha of Datasette 1.0.
test-all: test $(VENV)-datasette1/.done $(VENV)-scale/.done  ## Everything make test runs, and all that takes long
	$(VENV)/bin/pytest -n 2 -m slow
	$(VENV)-datasette1/bin/python -m pytest -q -p no:cacheprovider tests/test_both_lines.py tests/plugins/test_canned_queries.py
	$(VENV)-scale/bin/python -m pytest -q -p no:cacheprovider tests/test_scale.py

$(VENV)-datasette1/.done: requirements-datasette1.txt
	@test -x $(VENV)-datasette1/bin/python || $(PYTHON) -m venv $(VENV)-datasette1
	$(VENV)-datasette1/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@echo "$(CURDIR)/build" > $$($(VENV)-datasette1/bin/python -c "import site; print(site.getsitepackages()[0])")/flywheel.pth
	@touch $@

$(VENV)-scale/.done: requirements-scale.txt
	@test -x $(VENV)-scale/bin/python || $(PYTHON) -m venv $(VENV)-scale
	$(VENV)-scale/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@echo "$(CURDIR)/build" > $$($(VENV)-scale/bin/python -c "import site; print(site.getsitepackages()[0])")/flywheel.pth
	@touch $@

image-steps: $(VENV)/.dev  ## Does the Dockerfile's steps in a clean folder and serves the result, network off
	$(VENV)/bin/python -m tests.image_steps

bench: $(VENV)/.dev  ## Measures builds, pages, tagging and copies (docs/benchmarks.md) and intervals (docs/statistics.md)
	$(VENV)/bin/python -m bench
	$(VENV)/bin/python -m bench.statistics

bench-million: $(VENV)/.dev  ## The same builds and pages with 1,000,000 signals too (half an hour, 5 GB of disk)
	$(VENV)/bin/python -m bench site --million

lock:  ## Renews both lock files from pyproject.toml
	$(VENV)/bin/uv pip compile pyproject.toml --universal --generate-hashes --quiet --no-emit-index-url --custom-compile-command "make lock" --extra install -o requirements.txt
	$(VENV)/bin/uv pip compile pyproject.toml --universal --generate-hashes --quiet --no-emit-index-url --custom-compile-command "make lock" --extra install --extra dev -c requirements.txt -o requirements-dev.txt
	$(VENV)/bin/uv pip compile requirements-datasette1.in --universal --python-version 3.11 --generate-hashes --quiet --no-emit-index-url --custom-compile-command "make lock" -o requirements-datasette1.txt
	$(VENV)/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --quiet --no-emit-index-url --custom-compile-command "make lock" --extra scale -c requirements.txt -o requirements-scale.txt

clean:  ## Removes what make made
	rm -rf $(VENV) $(VENV)-datasette1 $(VENV)-scale signals.db export dist .pytest_cache .mypy_cache .ruff_cache .hypothesis test-results
