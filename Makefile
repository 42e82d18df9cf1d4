# Two commands: `make up` serves the example library, `make test` checks everything (CI runs the same one).
# Both make the environment they need, once; a change of pyproject.toml makes it anew.

PYTHON ?= python3
VENV   ?= .venv
PORT   ?= 8501
STORE  ?= $(CURDIR)/library.db
JOBS   ?= 3
FAULTS ?= 40
SEED   ?= 0
# What pip installs first, alone, so that no other package chooses a torch for us.
# Another machine: make up TORCH='torch --index-url URL-OF-YOUR-CUDA-BUILDS', or TORCH=torch on a Mac.
TORCH  ?= torch==2.13.0

BIN   := $(VENV)/bin
PIP   := $(BIN)/python -m pip --disable-pip-version-check --quiet
READY := $(VENV)/.ready
export OMP_NUM_THREADS := 1
# Hundreds of processes start in a test run: each would compile our modules anew where no bytecode may be kept.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env up app test lint bench torture browser clean

help:  ## show the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(READY)  ## the environment in .venv

up: env  ## environment, example library, its claims verified, and the app on localhost:8501
	$(BIN)/stillholds up examples/library --store $(STORE)
	$(BIN)/stillholds app --port $(PORT) --store $(STORE)

app: env  ## the app alone
	$(BIN)/stillholds app --port $(PORT) --store $(STORE)

test: lint browser  ## environment, lint, types, import contracts, all tests
	$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: env  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

bench: env  ## speed, side by side with what a user would pick instead
	$(BIN)/python -P benchmarks/search.py
	$(BIN)/python -P benchmarks/triage.py
	$(BIN)/python -P benchmarks/verdict.py
	$(BIN)/python -P benchmarks/noise_floor.py
	$(BIN)/python -P benchmarks/lab.py
	$(BIN)/python -P benchmarks/standing.py
	$(BIN)/python -P benchmarks/queue.py

torture: env  ## break scratch libraries in FAULTS=40 ways (SEED=0), and count what was lost
	$(BIN)/python -P -m benchmarks.torture --faults $(FAULTS) --seed $(SEED)

$(VENV)/pyvenv.cfg:
	@command -v $(PYTHON) >/dev/null || { echo 'Still Holds needs Python 3.11 or newer: install it, or say make PYTHON=/path/to/python3'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Still Holds needs Python 3.11 or newer; $$($(PYTHON) --version) is older. Say make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo 'Python has no venv module. On Debian: apt-get install python3-venv'; exit 1; }

# pip 25.1 brought --group. A torch that is already there stays: the constraint names it to pip.
$(READY): pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	@echo 'Making the environment in $(VENV): about two minutes and 2 GB.'
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(BIN)/python -c 'import torch' 2>/dev/null || $(PIP) install $(TORCH)
	@$(PIP) freeze | grep -i '^torch==' > $(VENV)/torch.txt
	@$(PIP) install -c $(VENV)/torch.txt -c constraints.txt --editable . --group dev
	@touch $@

browser: env
	@if command -v chromium chromium-browser google-chrome >/dev/null || [ -n "$$CHROMIUM" ]; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo 'Installing Chromium for the tests of the app.'; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium >/dev/null; \
	else \
	  echo 'The tests of the app need a browser. One of:'; \
	  echo '  sudo apt-get install chromium'; \
	  echo '  CHROMIUM=/path/to/chrome make test'; exit 1; \
	fi

clean:  ## remove the environment and the caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist
