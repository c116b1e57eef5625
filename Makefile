# make demo and make test set everything up by themselves: a virtual environment in .venv, then the work.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

.PHONY: setup demo test slow quick long lint types bench clean help

help:  ## What can be made.
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

# Where it is set, as in many containers, every process compiles all that it imports once more: torch takes 4 s of a
# core instead of 1.7, and a row of tests twice as long.
export PYTHONDONTWRITEBYTECODE :=

# Of the thousands of modules that come along a run imports some: those are compiled when they are, not all here,
# which took longer than fetching them. setuptools is one of them: it need not be fetched again to build ours with.
setup: $(INSTALLED)  ## Virtual environment with everything, as the tests ran on it.

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "restora needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --upgrade pip setuptools
	$(BIN)/python -m pip install --quiet --no-compile --no-build-isolation --constraint constraints.txt --editable '.[test]'
	@touch $@

demo: setup  ## Degrade, restore and score photographs on this machine; prints where the report lies.
	$(BIN)/restora demo

# The quick row begins when the types are through: by then the slow one has compiled most of what is imported, which
# all processes would do side by side in a new environment, half a minute of a core each.
test: lint  ## Everything that has to hold.
	@echo "types and two rows of tests, two at a time; each is printed when it is through (ten to twenty minutes)"
	@$(MAKE) --no-print-directory --jobs 2 --keep-going --output-sync=target types slow quick

# Clusters and servers go one after the other: two of them at once are too many for two cores.
slow: setup  ## Tests with real Ray clusters, Prefect servers and browsers, and those that kill runs.
	$(BIN)/python -m pytest -m "slow and not long" $$(grep -rl --include='test_*.py' 'mark\.slow' tests | sort)

# As many processes as cores: each collects all tests, which takes half a minute of one, and the slow row fills what
# they leave idle. A file stays in one of them, for what its tests share.
quick: setup  ## All other tests.
	$(BIN)/python -m pytest -m "not slow and not long" --numprocesses logical --dist loadfile

long: setup  ## What is not part of make test: minutes each, once before a release.
	$(BIN)/python -m pytest -m long

lint: setup  ## Style.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup  ## Types of the packages.
	$(BIN)/mypy

bench: setup  ## Speed and memory, as ratios within one run; takes a while.
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/metrics.py

clean:  ## Forget the virtual environment and caches.
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build *.egg-info
