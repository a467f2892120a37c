# `make` alone lists what there is. Needed: make, Python 3.11 or later, and Go for the first build of Temporal.

PYTHON ?= python3
ORDERS ?=
FAULTS ?=
DOORS ?=

UV_VERSION := 0.13.9
UV := .uv/bin/uv
RUN := .venv/bin/python

.PHONY: help env demo screenshots up backup restore lint audit check test faults doors bench bench-oversell bench-open bench-growth lock clean temporal
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 18

env: .venv/.made ## Create or refresh the environment from requirements.lock

demo: env ## Play orders from checkout to delivered; ORDERS=PATH takes JSON Lines or an Olist folder
	@$(RUN) -m localstack.demo $(if $(ORDERS),"$(ORDERS)")

screenshots: env ## Make the pictures of docs/screenshots anew: needs Chromium and three minutes
	@$(RUN) -m localstack.demo --screenshots docs/screenshots

up: env ## Run the servers and a worker until Ctrl-C, with state kept in .openorders/
	@$(RUN) -m localstack.up

backup: env ## Copy the databases of `make up` into TO=FOLDER, also while it runs; the customers' keys into KEYS=FILE
	@$(RUN) -m localstack.backup backup "$(TO)" $(if $(KEYS),--keys "$(KEYS)")

restore: env ## Put the copies in FROM=FOLDER back, into an empty .openorders/; the newest keys from KEYS=FILE
	@$(RUN) -m localstack.backup restore "$(FROM)" $(if $(KEYS),--keys "$(KEYS)")

lint: env
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	.venv/bin/lint-imports

audit: env ## Known vulnerabilities of the locked packages, by pip-audit; OPENORDERS_AUDIT_STRICT=1: all must be known
	@$(RUN) -m tests.audit

check: lint audit ## Lint, types, import rules, audit and domain tests: about a minute, before each commit
	$(RUN) -m pytest tests/domain

test: lint audit temporal ## Everything, on real servers: before each push
	$(RUN) -m pytest -n 3 --dist loadfile --no-loadscope-reorder

faults: env temporal ## Break everything under thousands of orders: an hour; FAULTS="--orders 200" and others
	@$(RUN) -m tests.faults $(FAULTS)

doors: env temporal ## Forged input at every door: three minutes; DOORS="SEED COUNT" for other values
	@$(RUN) -m tests.doors $(DOORS)

bench: env temporal ## Count what an order costs; measure rates, waits, placing by HTTP and every page: some minutes
	$(RUN) -m benchmarks

bench-oversell: env temporal ## 200 buyers for the last 50 units, many rounds, and what a reservation costs: half an hour
	$(RUN) -m benchmarks.oversell
	$(RUN) -m benchmarks.oversold_orders
	$(RUN) -m benchmarks.reservations

bench-open: env temporal ## 20,000 orders open at once, idle, packed in a burst, workers restarted: an hour and a half
	$(RUN) -m benchmarks.open_orders

bench-growth: env temporal ## What an order costs in databases of 1,000, 10,000 and 50,000 orders: five minutes
	$(RUN) -m benchmarks.growth

# Before the tests and not in them: it takes minutes once, and pytest would keep what it says to itself.
temporal: env
	@$(RUN) -m localstack.temporal_binary

lock: $(UV) ## Bring requirements.lock up to date with pyproject.toml
	$(UV) pip compile pyproject.toml --group dev --generate-hashes --universal \
	  --no-header --no-emit-index-url --no-emit-find-links --python-version 3.11 --quiet -o requirements.lock

clean: ## Remove the environment and all local state, open orders included
	@# Root's PostgreSQL may live elsewhere, behind a link: localstack/postgres.py says why.
	@for link in .openorders/postgres .openorders/demo/postgres; do \
	  if [ -L $$link ]; then rm -rf "$$(readlink -f $$link)"; fi; done
	rm -rf .openorders .venv .uv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or later is needed: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv --clear .uv \
	  || { echo "Python has no venv module: install it (on Debian and Ubuntu: apt-get install python3-venv)"; exit 1; }
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.made: requirements.lock | $(UV)
	@echo "Making the environment from requirements.lock ..."
	@$(UV) venv --quiet --allow-existing --no-python-downloads --python "$$(.uv/bin/python -c 'import sys; print(sys.base_prefix)')" .venv
	@$(UV) pip sync --quiet --require-hashes --python .venv/bin/python requirements.lock
	@touch $@
