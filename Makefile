# The README's commands and the ones that CI calls. Each works from a fresh clone with Python 3.11+ and nothing else.
PYTHON ?= python3
WORKERS ?= auto
BIN := .venv/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest --quiet --numprocesses $(WORKERS) --dist worksteal
PURE := jobs retention rollout routing

.PHONY: help demo test test-all cover lint format twins bench bench-serving chaos clean
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/installed ## train, version and serve examples/digits
	@$(BIN)/shipway up examples/digits

test: .venv/installed-dev ## the plain tier: no root, no Debian package, no torch
	@$(PYTEST) -m "not extras and not realtool and not thorough"

test-all: .venv/installed-extras ## every test (or ONLY="extras or realtool"); SHIPWAY_REQUIRE_TOOLS=1 makes a skip a failure
	@$(PYTEST) $(if $(ONLY),-m "$(ONLY)")

cover: .venv/installed-dev ## the rooms that decide: every branch
	@$(PYTEST) $(PURE:%=tests/%) $(PURE:%=--cov=shipway.%) --cov-branch --cov-report=term-missing --cov-fail-under=100

lint: .venv/installed-dev ## ruff, mypy, import contracts
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo --no-cache

format: .venv/installed-dev ## let ruff mend what it can
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

twins: .venv/installed-dev ## write the synchronous twins of *_async.py
	@$(BIN)/python scripts/twins.py

bench: .venv/installed-dev ## measure, and write bench/results
	@$(BIN)/python -m bench

bench-serving: .venv/installed-dev ## our server beside its rivals: ARGS="--only onnx --rounds 1"
	@$(BIN)/python -m bench.serving $(ARGS)

chaos: .venv/installed-dev ## kill everything for a while: make chaos SEED=2 SECONDS=180
	@$(BIN)/python -m tests.e2e.chaos --seed $(or $(SEED),1) --seconds $(or $(SECONDS),180)

clean: ## remove what these targets made
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Shipway needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	@echo "Installing Shipway and what its examples need into .venv"
	@$(PIP) --editable '.[examples]'
	@touch $@

# --group came with pip 25.1; Python 3.11 and 3.12 bring an older one.
.venv/installed-dev: .venv/installed
	@$(PIP) --upgrade 'pip>=25.1'
	@$(PIP) --group dev
	@touch $@

.venv/installed-extras: .venv/installed-dev
	@$(PIP) --group extras
	@touch $@
