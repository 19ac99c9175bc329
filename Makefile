# Everything is set up in .venv, from locked versions; no root, no Docker, no running server is needed.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --no-deps --require-hashes

.DEFAULT_GOAL := help
.PHONY: help install demo test chaos nights simulate mutants check bench dev dictionary settings dashboards pictures superset docs sbom lock clean

help: ## print the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

install: .venv/runtime ## set up .venv and nothing else

demo: .venv/runtime ## load, reconcile, close and report a month of made-up operations
	@$(BIN)/ecommpay-sync demo

test: .venv/dev ## run every test
	@echo "running every test (a real PostgreSQL and a sandbox API are started by the tests)"
	@$(BIN)/python -m pytest --durations 15 $(PARALLEL) $(TESTS)
# a file for each worker, by name: the many small tests of tests/unit fill the end; more workers than cores, since many
# tests wait; one after the other on a server of your own, whose roles all tests share
PARALLEL ?= $(if $(DATABASE_URL),,-n 4 --dist loadfile --no-loadscope-reorder)

check: .venv/dev ## format, lint, types, import directions, migrations, secrets, dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/squawk --config .squawk.toml sql/migrations/*.sql
	$(BIN)/python tests/security/secret_scan.py
	$(BIN)/python tests/security/dependencies.py

chaos: .venv/dev ## random faults, kills, crashes and inputs; SEEDS=1-200 EXAMPLES=20; JUMPS=1: the clock jumps in each seed
	@SEEDS="$(SEEDS)" JUMPS="$(JUMPS)" EXAMPLES="$(EXAMPLES)" $(BIN)/python -m pytest -n auto --maxprocesses 4 \
		--dist worksteal tests/chaos $$(grep -rl --include 'test_*.py' fixtures.examples tests)
SEEDS ?= 1-8
JUMPS ?=
EXAMPLES ?= 4

nights: .venv/dev ## whole nights in six zones, and under the real daemon at their clocks: make nights ZONES="Asia/Tokyo"
	@NIGHTS=all $(BIN)/python -m pytest -rP tests/integration/test_nights.py
	@ZONES="$(ZONES)" $(BIN)/python -m pytest -s tests/nights/daemon_nights.py
ZONES ?=

simulate: .venv/dev ## many runs on a simulated clock, platform and store: make simulate SEEDS=1-100000
	@PYTHONPATH=tests $(BIN)/python -m simulation $(if $(filter file,$(origin SEEDS)),1-2000,$(SEEDS))

mutants: .venv/dev ## do tests notice a wrong line? hours, all in .data/mutation: make mutants MODULES="walk sql-load"
	@VIRTUAL_ENV="$(CURDIR)/.venv" PYTHONPATH=tests $(BIN)/uv run --quiet --no-project --with mutmut==3.8.1 \
		python -m mutation $(ARGUMENTS) $(MODULES)
MODULES ?=
ARGUMENTS ?=

bench: .venv/dev ## measure against other tools; writes docs/benchmarks.md (OPERATIONS=500000 RUNS=3 PARTS="speed memory")
	@$(BIN)/python tests/bench/run.py --operations $(OPERATIONS) --runs $(RUNS) --parts "$(PARTS)"
OPERATIONS ?= 500000
RUNS ?= 3
PARTS ?= waiting speed completeness memory signature large marts backfill

dev: .venv/runtime ## open the Dagster UI on a sandbox and the embedded PostgreSQL
	@$(BIN)/ecommpay-sync dev

dictionary: .venv/runtime ## write docs/data-dictionary.md from the comments of a fresh database
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	env -u DATABASE_URL -u DATABASE_URL_FILE SYNC_DATA_DIR="$$folder" \
		$(BIN)/ecommpay-sync dictionary --output docs/data-dictionary.md

dashboards: .venv/runtime ## write deploy/superset, boards for Apache Superset, from docs/dashboards.yaml and sql/bi/questions
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	env -u DATABASE_URL -u DATABASE_URL_FILE SYNC_DATA_DIR="$$folder" $(BIN)/python docs/dashboards.py

pictures: .venv/dev ## take the pictures of docs/pictures from the demo (Chromium; Playwright comes by itself)
	@$(BIN)/uv run --quiet --no-project --with playwright python docs/pictures.py

superset: .data/superset/installed ## try the boards in a real Superset on the demo, and take their pictures (1 GB; Chromium)
	@.data/superset/bin/python docs/superset_pictures.py

sbom: .venv/dev ## write dist/sbom.cdx.json, what the image installs (CycloneDX, from requirements.lock)
	@mkdir -p dist
	@PYTHONWARNINGS=ignore $(BIN)/uv run --quiet --no-project --with cyclonedx-bom cyclonedx-py requirements \
		--pyproject pyproject.toml --output-reproducible --output-file dist/sbom.cdx.json requirements.lock

docs: .venv/dev ## write the generated pages of docs/ and the site, dist/docs (Zensical comes by itself)
	@$(BIN)/python docs/pages.py

settings: .venv/runtime ## write docs/settings.md from resources/settings.py
	@$(BIN)/python -c 'from resources.config_file import settings_page; print(settings_page(), end="")' > docs/settings.md

lock: .venv/dev ## resolve the newest allowed versions into the lock files
	$(LOCK) pyproject.toml --group build -o requirements.lock
	$(LOCK) pyproject.toml --group build --group dev -c requirements.lock -o requirements-dev.lock
	$(LOCK) pyproject.toml --group build --group k8s -c requirements.lock -o requirements-k8s.lock
	$(LOCK) --group superset -o requirements-superset.lock

LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate --no-strip-extras

clean: ## remove .venv, caches and all of .data: demo, reports, and the embedded warehouse itself
	rm -rf .venv .data .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/runtime: requirements.lock pyproject.toml
	@echo "setting up .venv (once, or when a lock file changes)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(INSTALL) -r requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev: .venv/runtime requirements-dev.lock
	@echo "setting up the tools of development in .venv"
	@$(INSTALL) -r requirements-dev.lock
	@touch $@

.data/superset/installed: requirements-superset.lock .venv/dev
	@echo "setting up Superset in .data/superset (once, or when its lock file changes)"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .data/superset
	@$(BIN)/uv pip sync --quiet --python .data/superset/bin/python --require-hashes requirements-superset.lock
	@touch $@
