# Mitra's commands. `make` alone lists them.
# Set-up is done once and kept in stamp files: a second call looks at a few file dates and does nothing.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.setup
JARS := .mitra/jars
SOURCES := mitra operators rules models control_stream
ARGS ?=
# Where this is set, as in many containers, each process of a job parses 1,300 modules anew: 3 s of CPU, twice a start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test lint format bench parity lock clean

help: ## list the commands
	@echo "Mitra: fraud decisions in one PyFlink job. Set-up happens by itself where it is needed."
	@echo
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-8s %s\n' "$$name" "$$text"; done
	@echo
	@echo "  PYTHON=python3.11 chooses the Python; ARGS='--seconds 60' goes to the command behind demo, test, bench and parity."

setup: $(STAMPS)/package $(JARS)/ready ## make .venv with everything in it: packages, Java, jars; then .venv/bin/mitra works

demo: setup ## Kafka, Flink and sample payments on this machine, with a live table
	@$(BIN)/mitra demo $(ARGS)

test: setup lint ## lint, then every test
ifeq ($(strip $(ARGS)),)
	@echo "== tests of pure code, two at a time"
	@$(BIN)/python -m pytest -n 2 --ignore=tests/crash --ignore=tests/flow
	@echo "== tests with brokers and clusters, two files at a time"
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/crash tests/flow
else
	@echo "== tests"
	@$(BIN)/python -m pytest $(ARGS)
endif

lint: $(STAMPS)/package ## ruff (rules and format) and mypy
	@echo "== ruff"
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo "== mypy"
	@$(BIN)/mypy $(SOURCES)

format: $(STAMPS)/package ## let ruff lay out the code and mend what it can
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench: setup ## latency and throughput through Kafka, written down with machine and settings
	@$(BIN)/python -m bench $(ARGS)

parity: setup ## every feature of the published card data against an independent oracle
	@$(BIN)/python -m bench.parity $(ARGS)

lock: $(STAMPS)/package ## resolve requirements.lock and the jars' locks anew (UPGRADE=1 takes newer versions)
	@$(BIN)/uv pip compile setup.py --extra dev -c constraints.txt -o requirements.lock --quiet $(if $(UPGRADE),--upgrade) \
	    --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url
	@$(BIN)/python -m mitra.local.jars --lock

clean: ## remove .venv, the jars and every cache of the tools; data of yours is not touched
	rm -rf $(VENV) $(JARS) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Without a network, pip says that there is no such version.
UNFETCHED = echo "the packages could not be fetched: does pip reach its registry? Look at the network, https_proxy and PIP_INDEX_URL, \
and call make again: what is there already is kept" >&2; exit 1

# --- set-up, step by step -------------------------------------------------------------------------------------------

$(STAMPS)/venv: tools/find-python
	@python=$$(tools/find-python $(PYTHON)) || exit 1; \
	echo "== virtual environment in $(VENV), with $$python"; \
	if $(BIN)/python -c 'import sys, pip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; \
	then :; else "$$python" -m venv --clear $(VENV); fi
	@mkdir -p $(STAMPS) && touch $@

# The lock's own uv installs the rest: 10 s where pip takes 60. pip does it where uv can't (a registry that only pip knows).
# Building from source packages uses the setuptools of the lock, so nothing outside the lock is fetched.
$(STAMPS)/packages: $(STAMPS)/venv requirements.lock
	@echo "== packages from requirements.lock (checksums verified)"
	@awk '/^[a-z]/ {keep = /^(uv|setuptools|wheel|packaging)==/} keep' requirements.lock > $(STAMPS)/first.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(STAMPS)/first.txt || { $(UNFETCHED); }
	@$(BIN)/uv pip install --python $(BIN)/python --no-build-isolation --require-hashes -r requirements.lock \
	    || { echo "uv could not; pip takes over (about a minute)"; \
	         $(BIN)/python -m pip install --disable-pip-version-check --no-build-isolation --require-hashes -r requirements.lock; } \
	    || { $(UNFETCHED); }
	@touch $@

$(STAMPS)/package: $(STAMPS)/packages setup.py mitra/__init__.py mitra/graph/graph.proto
	@echo "== Mitra itself, editable"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(JARS)/ready: $(STAMPS)/package $(wildcard mitra/local/jars/*.lock.toml)
	@echo "== Java and jars (checksums verified)"
	@$(BIN)/python -m mitra.local.java
	@$(BIN)/python -m mitra.local.jars
	@mkdir -p $(JARS) && touch $@
