# Everything runs from a bare checkout with Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Each file of tests runs in one of the workers. One more than there are processors:
# tests also wait, for time-outs and for other processes.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
SIDE_BY_SIDE = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# The first of these that works; docker's client works only with its daemon.
ENGINE ?= $(shell for each in docker podman buildah; do \
	$$each version >/dev/null 2>&1 && echo $$each && break; done)
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

# Each of the hundreds of processes that the tests start would compile the app anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-unit mutants eval check format model bench bench-quick bench-replica bench-million bench-backfill bench-models bench-recommend-all screenshots client-types docs compiled tools image lock audit soak clean help

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

run: $(VENV)/run ## Start the service on port 8000, with an embedded Postgres and a sample
	@$(BIN)/python scripts/run_local.py

model: $(VENV)/run ## Fetch and verify the pinned checkpoint, once
	@$(BIN)/python scripts/fetch_model.py

test: $(VENV)/dev model ## Run all tests; installs missing tools if possible
	$(BIN)/python -m pytest --install $(SIDE_BY_SIDE) $(ARGS)

# All workers would do it at the same time. pip would compile every file of every package,
# before all else; what is absent is compiled at import.
compiled: $(VENV)/dev ## Compile the tests and what they import, beside other targets
	-@$(BIN)/python -m pytest --collect-only -qq >/dev/null

tools: ## Install what `make test` needs of the machine, where possible
	@$(PYTHON) -m tests.support.tools

test-unit: $(VENV)/dev model ## Run the tests without a database or a service
	$(BIN)/python -m pytest tests/unit $(ARGS)

mutants: $(VENV)/mutants model ## Run mutation tests, see docs/mutants.md (ARGS='app.query.cursor*': minutes)
	$(BIN)/python -m mutmut run $(ARGS)
	$(BIN)/python -m mutmut results

eval: $(VENV)/dev model ## Measure the quality of each ranking
	$(BIN)/python -m evaluation.run $(ARGS)

check: $(VENV)/dev ## Format, lint and type checks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/dev ## Format the code and apply safe fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

screenshots: $(VENV)/dev model ## Retake the screenshots in docs/images; needs Chromium
	$(BIN)/python -m tests.browser.screenshots

client-types: $(VENV)/dev ## Generate the types of the TypeScript client; needs Node
	cd clients/typescript && npm ci --ignore-scripts
	DATABASE_URL=postgresql:// ENV_FILE=/dev/null $(BIN)/python -c \
		"import json; from app.main import app; print(json.dumps(app.openapi()))" \
		> clients/typescript/openapi.json
	cd clients/typescript && npm run types -- openapi.json -o src/schema.ts && rm openapi.json

docs: $(VENV)/dev ## Build the site of the documentation into .data/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir .data/site

# podman and buildah write OCI's format otherwise, which has no health check.
image: ## Build the image job-recommender with docker, podman or buildah (ENGINE, ARGS)
	@test -n "$(ENGINE)" || { echo "Install docker, podman or buildah." >&2; exit 2; }
	BUILDAH_FORMAT=docker $(ENGINE) build --tag job-recommender $(ARGS) .

lock: $(VENV)/dev ## Pin the service's dependencies with hashes
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-header \
		--allow-unsafe --no-emit-index-url --no-emit-find-links \
		--output-file requirements-serve.lock requirements-serve.txt

# --strict: a package of which the index tells nothing fails the audit.
audit: $(VENV)/dev ## Check the locked packages for known vulnerabilities
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements-serve.lock

bench: $(VENV)/dev model ## Benchmark against the guide's designs, about twenty minutes (ARGS=--full: also 1,000,000 jobs)
	$(BIN)/python -m benchmarks.run $(ARGS)

bench-quick: $(VENV)/dev model ## A shorter benchmark of about a minute, into .data/bench
	$(BIN)/python -m benchmarks.run --quick

bench-replica: $(VENV)/bench model ## Benchmark the replica beside stream, pgvector, the guide's designs and FAISS, about ten minutes
	$(BIN)/python -m benchmarks.replica --backends stream replica pgvector ram fetch_all batches --clients 1 64
	$(BIN)/python -m benchmarks.scans

bench-million: $(VENV)/dev model ## Benchmark pgvector with 1,000,000 jobs, about an hour and 8 GB of disk; needs REAL_DATA_DIR
	$(BIN)/python -m benchmarks.million $(ARGS)

bench-backfill: $(VENV)/dev model ## Benchmark and stress the backfill, about half an hour; needs REAL_DATA_DIR
	for part in trigger race kill throughput service real; do \
		$(BIN)/python -m benchmarks.backfill_$$part || exit 1; done

bench-recommend-all: $(VENV)/dev model ## Benchmark recommend_all, a minute or two
	PYTHONPATH=clients/python $(BIN)/python -m benchmarks.recommend_all $(ARGS)

bench-models: $(VENV)/dev model ## Measure memory and latency of larger models, about two minutes
	$(BIN)/python -m benchmarks.models $(ARGS)

soak: $(VENV)/dev model ## Soak test with faults, 30 minutes: benchmarks/soak-report.md
	$(BIN)/python benchmarks/soak.py $(ARGS)

clean: ## Remove everything that make created, with the embedded database
	rm -rf $(VENV) .data models .mypy_cache .pytest_cache .ruff_cache

$(VENV)/run: requirements-serve.txt requirements-run.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements-run.txt
	@touch $@

$(VENV)/dev: requirements.txt requirements-otel.txt requirements-scale.txt requirements-dev.txt $(VENV)/run
	$(PIP) --no-compile -r requirements-dev.txt
	@touch $@

$(VENV)/bench: requirements-bench.txt $(VENV)/dev
	$(PIP) -r requirements-bench.txt
	@touch $@

$(VENV)/mutants: requirements-mutants.txt $(VENV)/dev
	$(PIP) -r requirements-mutants.txt
	@touch $@
