# Needs only python3 (3.11 or newer) and make. Everything else is fetched into .tools/ and .venv/.
.DEFAULT_GOAL := help
PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
RUN := .venv/bin
# Trust what this machine trusts, as behind a company's proxy (two names: the variable was renamed).
export UV_SYSTEM_CERTS := true
export UV_NATIVE_TLS := true

.PHONY: help setup demo up test test-long lint bench docs clean

help: ## show what there is
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.tools/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Holdfast needs Python 3.11 or newer; $$($(PYTHON) --version) was found. Nothing was installed. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv .tools
	@.tools/bin/pip install --quiet --disable-pip-version-check "uv>=0.9"

.venv/.synced: uv.lock pyproject.toml $(wildcard libs/*/pyproject.toml services/*/pyproject.toml sandbox/pyproject.toml cli/pyproject.toml) | $(filter .tools/bin/uv,$(UV))
	@$(UV) sync --frozen --quiet --python $(PYTHON)
	@touch $@

setup: .venv/.synced ## install everything into .venv

demo: setup ## run the whole system, load demo data, book once before your eyes, stay up
	@$(RUN)/holdfast demo

up: setup ## run the whole system
	@$(RUN)/holdfast up

lint: setup ## ruff, mypy, import contracts, generated files up to date
	@$(RUN)/ruff check .
	@$(RUN)/ruff format --check .
	@$(RUN)/mypy libs/*/src services/*/src sandbox/src cli/src
	@$(RUN)/lint-imports --no-cache
	@$(RUN)/python -m events.docs --check docs/events.md
	@$(RUN)/python -m events.schemas --check libs/events/schemas

test: lint ## lint, then every test on a real Kafka and a real Postgres (13 minutes at most)
	@$(RUN)/pytest

test-long: lint ## also the tests that take minutes
	@$(RUN)/pytest -m 'long or not long'

bench: setup ## measure the journey
	@$(RUN)/holdfast bench journey

docs: setup ## write the generated documents again
	@$(RUN)/python -m events.docs docs/events.md
	@$(RUN)/python -m events.schemas libs/events/schemas

clean: ## remove what was installed and all local data
	@rm -rf .venv .tools .holdfast .mypy_cache .ruff_cache
