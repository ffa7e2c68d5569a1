# Everything runs from a bare checkout with Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: run test check format model clean help

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

run: $(VENV)/run model ## Start the service on port 8000, with an embedded Postgres and a sample
	@$(BIN)/python scripts/run_local.py

model: $(VENV)/run ## Fetch and verify the pinned checkpoint, once
	@$(BIN)/python scripts/fetch_model.py

test: $(VENV)/dev model ## Run all tests
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/dev ## Format, lint and type checks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/dev ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove what make created, the embedded database included
	rm -rf $(VENV) .data models .mypy_cache .pytest_cache .ruff_cache

$(VENV)/run: requirements-serve.txt requirements-run.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements-run.txt
	@touch $@

$(VENV)/dev: requirements.txt requirements-dev.txt $(VENV)/run
	$(PIP) -r requirements-dev.txt
	@touch $@
