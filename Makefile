# Everything starts here; only Python 3.11+ and make are needed. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
SETUP := tools/setup.sh
# Tests start hundreds of Python processes: each would compile every module anew where bytecode may not be written.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup setup-dev demo ui test test-long check format bench lock docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## create .venv with what running needs
	@PYTHON="$(PYTHON)" bash $(SETUP) run

setup-dev: ## create .venv with what developing needs as well
	@PYTHON="$(PYTHON)" bash $(SETUP) dev

demo: setup ## two months of transactions through Dagster, then Black Friday replayed
	@$(BIN)/python -m simtom_pipelines.demo

ui: setup ## the Dagster UI on this project's own storage
	@$(BIN)/simtom ui

test: setup-dev ## the fast tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile

test-long: setup-dev ## the slow tests: statistics, real daemons, a real browser
	@$(BIN)/python -m pytest -m long --timeout 1800

check: setup-dev ## the whole gate: format, lint, types, tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(MAKE) --no-print-directory test

format: setup-dev ## apply the formatter and the safe lint fixes
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup-dev ## the benchmarks, beside a hand-written baseline
	@$(BIN)/python -m bench

docs: setup-dev ## redraw what is generated in docs/
	@$(BIN)/python -m bench.draw_volume
	@$(BIN)/python -m simtom_pipelines.data_guide

COMPILE = $(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --generate-hashes \
	--no-emit-index-url --no-header --no-annotate --group build

lock: setup-dev ## resolve the newest allowed versions into the lock files
	@$(COMPILE) --output-file requirements.lock
	@$(COMPILE) --group dev --output-file requirements-dev.lock

clean: ## remove what was generated: the environment, caches, the lake, Dagster's storage
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .dagster_home lake dist build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
