# `make quickstart` shows it at work, `make check` and `make fast` are for every change, `make test` checks everything.
# Python 3.11 or newer and make are all that they need.
# The first Python on the path that is new enough. 3.11 comes first: for it, constraints.txt means the CPU build of torch.
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13 python3.14 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
RUNNABLE := $(VENV)/.runnable
STAMP := $(VENV)/.installed
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
CORES := $(shell nproc 2>/dev/null || echo 2)

.PHONY: setup quickstart check fast test docs bench lint format types lowest clean

setup: $(STAMP)

# What `sweep` itself needs.
$(RUNNABLE): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer on the path; install one, or: make PYTHON=/path/to/python" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

# And what its tests and checks need.
$(STAMP): $(RUNNABLE)
	$(PIP) -e '.[dev]'
	touch $@

quickstart: $(RUNNABLE)
	$(BIN)/sweep launch configs/digits.yaml
	$(BIN)/sweep report --sweep digits

# Seconds: style, format, contracts between packages, types.
check: lint types

# Under three minutes on two cores: the tests that are not marked slow.
fast: setup
	$(BIN)/pytest -n $(CORES) --dist worksteal -m "not slow"

# Everything that CI runs.
test: check
	$(BIN)/pytest -n 4 --dist worksteal

# The pages that are generated from the code: docs/methods.md, cli.md, config.md, report-columns.md, tables.md.
docs: setup
	$(BIN)/python -m docs.generate

bench: setup
	$(BIN)/python -m benchmarks

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup
	$(BIN)/mypy --num-workers 2

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The fast tests on the lowest versions that pyproject.toml claims, in a virtual environment of their own. Warnings are
# no errors there: old libraries beside new ones warn of each other.
lowest: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/pip install --quiet --disable-pip-version-check -c constraints-lowest.txt -e '.[dev]'
	.venv-lowest/bin/pytest -n $(CORES) --dist worksteal -m "not slow" -W default

clean:
	rm -rf $(VENV) .venv-lowest build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
