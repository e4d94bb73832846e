# Every target sets up what it needs; `make help` lists them.
#
#   PYTHON=python3.12   another interpreter for the environment (3.11 or later)
#   GPU=1 or GPU=0      `make play` with PyTorch, or without; by default it depends on whether there is an NVIDIA GPU
#   INDEX=URL           an extra package index, for instance the one with PyTorch's CPU builds

PYTHON ?= python3
INDEX ?=
GPU ?= auto
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	$(if $(INDEX),--extra-index-url $(INDEX))

# Each core takes tests from another when it has none left. Four at most: each of them loads PyTorch.
PARALLEL := -n logical --maxprocesses 4 --dist worksteal

# What playing installs: the server without PyTorch (OpenVINO runs the network), or with it for a GPU.
NVIDIA = $(shell nvidia-smi --list-gpus 2>/dev/null | grep -c GPU)
ifeq ($(GPU),auto)
PLAY = $(if $(filter-out 0,$(NVIDIA)),gpu,server)
else
PLAY = $(if $(filter-out 0,$(GPU)),gpu,server)
endif
WHY_server = without PyTorch, since $(if $(filter auto,$(GPU)),there is no NVIDIA GPU,GPU=$(GPU)): about 400 MB (GPU=1 installs PyTorch)
WHY_gpu = with PyTorch, since $(if $(filter auto,$(GPU)),there is an NVIDIA GPU,GPU=$(GPU)): about 5 GB and some minutes (GPU=0 does without)

.DEFAULT_GOAL := help
.PHONY: help setup play class test check bench bench-full soak format proto page clean python-ok

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

python-ok:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or later is needed, and $(PYTHON) is: $$($(PYTHON) --version 2>/dev/null || echo missing)."; \
	  echo "Install it (Debian, Ubuntu: apt-get install python3.11 python3.11-venv; macOS: brew install python), then: make PYTHON=python3.11 ..."; \
	  exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "Python's venv module is missing; install it (Debian, Ubuntu: apt-get install python3-venv)."; exit 1; }

setup: $(VENV)/ready-all ## make .venv with everything, for work on the code

# Somebody who only plays installs no test tools.
$(VENV)/ready-play-%: pyproject.toml constraints.txt | python-ok
	@echo "setting up $(VENV) $(WHY_$*)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@$(INSTALL) -e ".[viewer,$*]"
	@touch $@

$(VENV)/ready-all: pyproject.toml constraints.txt | python-ok
	@echo "setting up $(VENV) with everything (PyTorch is large: some minutes the first time)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@$(INSTALL) -e ".[viewer,server,gpu,train,dev]"
	@touch $@ $(VENV)/ready-play-server $(VENV)/ready-play-gpu

play: $(VENV)/ready-play-$(PLAY) ## a local server and the viewer; without a display, records demo.gif
	@$(BIN)/python -m viewer_client.play

class: $(VENV)/ready-play-$(PLAY) ## a server for everybody in the room: a link and a QR code for their phones
	@$(BIN)/python -m inference_server --host 0.0.0.0 --web-port 8080 --make-token

test: $(VENV)/ready-all ## the tests, without those marked slow
	@$(BIN)/python -m pytest -m "not slow" $(PARALLEL)

check: $(VENV)/ready-all ## format, lint, types, import rules, proto lint, stubs, all tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest -m "not slow" $(PARALLEL)
	@$(BIN)/python -m pytest -m slow

bench: $(VENV)/ready-all ## the benchmarks: tables, with the hardware and the commit, beside an earlier commit
	@echo "## The engine beside the bare network" && echo
	@$(BIN)/python tests/benchmarks/bench_engine.py --rounds 25
	@echo && echo "## The whole, with viewers" && echo
	@$(BIN)/python tests/benchmarks/bench_server.py --most 2 --beside a354779
	@echo && echo "## The front end beside an empty gRPC server" && echo
	@$(BIN)/python tests/benchmarks/bench_frontend.py
	@echo && echo "## The window" && echo
	@$(BIN)/python tests/benchmarks/bench_viewer.py --window
	@echo && echo "## A viewer beside bad neighbours" && echo
	@$(BIN)/python tests/benchmarks/bench_neighbours.py
	@echo && echo "## The plain toy, a process for each viewer" && echo
	@$(BIN)/python tests/benchmarks/bench_toy_loop.py

bench-full: $(VENV)/ready-all ## the same, with PyTorch eager and compiled too; needs a C++ compiler
	@echo "## The engine beside the bare network" && echo
	@$(BIN)/python tests/benchmarks/bench_engine.py --predictors auto eager compiled
	@echo && echo "## The whole, with viewers" && echo
	@$(BIN)/python tests/benchmarks/bench_server.py --most 1 --server-flags="--predictor compiled"
	@echo && echo "## The front end beside an empty gRPC server" && echo
	@$(BIN)/python tests/benchmarks/bench_frontend.py --rounds 4
	@echo && echo "## The plain toy, a process for each viewer" && echo
	@$(BIN)/python tests/benchmarks/bench_toy_loop.py --seconds 8

soak: $(VENV)/ready-all ## a server's memory over thousands of streams and ten minutes of load
	@$(BIN)/python tests/soak/soak.py

format: $(VENV)/ready-all ## format the code
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

proto: $(VENV)/ready-all ## regenerate the stubs from proto/, and the page's where its packages are installed
	@$(BIN)/python proto/generate.py .
	@test ! -d web_client/node_modules || { npm run --silent proto --prefix web_client && npm run --silent build --prefix web_client; }

page: ## build the page (web_client/dist) from its sources; needs Node.js and npm
	@npm ci --silent --no-audit --no-fund --prefix web_client
	@npm run --silent build --prefix web_client

clean: ## remove the environment and all caches
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
