# Every target works on a bare machine with Python 3.11 or newer: the environment is made from the lock file on
# first use, and again when the lock file or pyproject.toml changes.
#   make test PYTHON=python3.12 VENV=.venv-py312     another interpreter in another folder

SHELL := /bin/bash
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
FOUND := $(shell for p in python3.11 python3 python3.12 python3.13 python; do \
           $$p -c '$(NEW_ENOUGH)' 2>/dev/null && { echo $$p; break; }; done)
PYTHON ?= $(or $(FOUND),python3)
# Python 3.11 resolves to PyMC 5, anything newer to PyMC 6.
LOCK := $(shell $(PYTHON) -c 'import sys; print("locks/py311.txt" if sys.version_info < (3, 12) else "locks/py312.txt")' 2>/dev/null)
VENV ?= .venv
RUNS ?= runs
READY := $(VENV)/ready
RUN := $(VENV)/bin/python -m
PYTEST := $(RUN) pytest
QUICK := not slow and not validation and not slurm

.PHONY: help install demo test test-slow test-all test-slurm test-analysis verification coverage faults lint format types notebooks wheel-test clean

help:
	@echo "make demo | test | test-all | verification | faults | lint | format | types | notebooks | wheel-test | coverage | clean"

$(READY): pyproject.toml $(LOCK)
	@$(PYTHON) -c '$(NEW_ENOUGH)' 2>/dev/null || { echo "error: twinarm needs Python 3.11 or newer," \
	  "$(PYTHON) is not; name one: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(RUN) pip install --quiet --disable-pip-version-check -r $(LOCK)
	$(RUN) pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

install: $(READY)

demo: $(READY)
	$(VENV)/bin/twinarm run t1d-closed-loop --twins 200 --out $(RUNS)/demo-t1d-closed-loop
	$(VENV)/bin/twinarm run docetaxel-dose --twins 200 --out $(RUNS)/demo-docetaxel-dose
	@echo "The reports:"
	@ls -1 $(RUNS)/demo-t1d-closed-loop/report.html $(RUNS)/demo-docetaxel-dose/report.html

test: $(READY)
	$(PYTEST) -m "$(QUICK)" --doctest-modules --doctest-glob=README.md tests twinarm README.md

test-slow: $(READY)
	$(PYTEST) -m "slow or validation"

test-all: test test-slow

# A Slurm of its own on this machine: needs root, and Debian's slurm-wlm and munge.
test-slurm: $(READY)
	$(PYTEST) -m slurm

test-analysis: $(READY)
	$(PYTEST) -m analysis

# The figures that a reader of evidence asks for: fails if one misses its limit.
verification: $(READY)
	$(RUN) twinarm.models.verification --out benchmarks/results

# Deaths, crash points, damage and poison in full: about an hour on two idle cores.
faults: $(READY)
	nice $(VENV)/bin/python tests/faults/campaign.py --out benchmarks/results

wheel-test: $(READY)
	$(PYTEST) tests/house/test_wheel.py

coverage: $(READY)
	$(RUN) coverage run -m pytest -m "$(QUICK)"
	$(RUN) coverage report

lint: $(READY)
	$(RUN) ruff check .
	$(RUN) ruff format --check .

format: $(READY)
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

types: $(READY)
	$(RUN) mypy -p twinarm

# Executed from the root of the project; the pages are left in build/notebooks.
notebooks: $(READY)
	@mkdir -p build/notebooks
	@set -e; for n in $(sort $(wildcard notebooks/*.py)); do \
	  b=build/notebooks/$$(basename $$n .py); echo "$$n -> $$b.html"; \
	  $(RUN) jupytext --quiet --to ipynb --output $$b.ipynb --set-kernel python3 --run-path . --execute $$n; \
	  $(RUN) nbconvert --log-level WARN --to html $$b.ipynb; \
	done

clean:
	rm -rf build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
