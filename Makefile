# All a fresh machine needs is make and Python >= 3.11; everything is installed into .venv.
#
#   make demo    install the core and run the whole loop; ends in runs/demo/report.html
#   make test    install what the tests need and run what CI runs
#   make lint    style, import rule and types only
#   make bench   speed, as ratios to a yardstick in the same run
#   make docs    regenerate the generated pages and build the site in build/site
#
# PYTHON=python3.13 chooses the interpreter, DEMO="--samples 5" the options of the demo.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
DEMO ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint bench docs clean

demo: .venv/.core
	$(BIN)/gridtwin demo -o runs/demo $(DEMO)

test: lint
	$(BIN)/python -m pytest -n 2 $(PYTEST)

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# those that need neither traces nor SimGrid; the others say with -h what they want
BENCH := startup kernel queueing env simgrid_golden example grid_example ingest neighbours fuzz

bench: .venv/.dev
	for name in $(BENCH); do echo "$$name"; $(BIN)/python "benchmarks/$$name.py" || exit 1; done

docs: .venv/.docs
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "build/site/index.html"

clean:
	rm -rf .venv build runs .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "gridtwin needs Python 3.11 or later: install it," \
		"or name one with PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.core: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) -e .
	touch $@

.venv/.docs: .venv/.core
	$(PIP) -e '.[docs]'
	touch $@

.venv/.dev: .venv/.core
	$(PIP) -e '.[dev,web,sql,tune,catboost,dp,rl,ray]'
	touch $@
