PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ARGS   ?=

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: $(VENV)/core ## explore near-memory designs for OPT-6.7B: latency, energy, area; ARGS="..." adds options
	$(BIN)/python main.py --objectives latency_s,energy_j,area_mm2 $(ARGS)

test: $(VENV)/all ## set up everything, check style and types, run the tests
	$(MAKE) check VENV=$(VENV)

check: ## ruff, mypy and pytest in the environment that is there
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

bench: $(VENV)/core ## table of speeds and search quality, in CPU seconds
	$(BIN)/python -m bench.speeds

workers: $(VENV)/all ## table of what worker processes bring, in wall seconds
	$(BIN)/python -m bench.workers

grid: $(VENV)/core ## prove the published grid: gaps and CPU seconds
	$(BIN)/python -m bench.grid

format: ## let ruff lay out the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove the environment and caches, not the runs
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/core: requirements-core.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-core.txt
	@touch $@

$(VENV)/all: requirements.txt requirements-core.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $(VENV)/core $@

.PHONY: help run test check bench workers grid format clean
