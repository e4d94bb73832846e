# Every target sets up what it needs; `make help` lists them.
#
#   PYTHON=python3.12   another interpreter for the environment (3.11 or later)
#   INDEX=URL           an extra package index, for instance the one with torch's CPU builds

PYTHON ?= python3
INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	$(if $(INDEX),--extra-index-url $(INDEX))

.DEFAULT_GOAL := help
.PHONY: help setup play test check bench bench-full format proto clean python-ok

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

# What playing takes, and the rest on top of it: somebody who only plays installs no test tools.
$(VENV)/ready-play: pyproject.toml constraints.txt | python-ok
	@echo "setting up $(VENV) (torch is large: a few minutes the first time)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@$(INSTALL) -e ".[viewer,server]"
	@touch $@

$(VENV)/ready-all: $(VENV)/ready-play
	@$(INSTALL) -e ".[viewer,server,train,dev]"
	@touch $@

$(VENV)/ready-bench: $(VENV)/ready-all
	@$(INSTALL) -e ".[viewer,server,train,dev,bench]"
	@touch $@

play: $(VENV)/ready-play ## a local server and the viewer; without a display, records demo.gif
	@$(BIN)/python -m viewer_client.play

test: $(VENV)/ready-all ## the tests, without those marked slow
	@$(BIN)/python -m pytest -m "not slow"

check: $(VENV)/ready-all ## format, lint, types, import rules, proto lint, stubs, all tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest

bench: $(VENV)/ready-all ## the benchmarks, eager: tables, with the hardware and the commit (7 minutes)
	@echo "## The engine beside the bare network" && echo
	@$(BIN)/python tests/benchmarks/bench_engine.py --modes float32 bfloat16 --openvino --rounds 25
	@echo && echo "## The whole, with viewers" && echo
	@$(BIN)/python tests/benchmarks/bench_server.py --most
	@echo && echo "## The front end beside an empty gRPC server" && echo
	@$(BIN)/python tests/benchmarks/bench_frontend.py
	@echo && echo "## The window" && echo
	@$(BIN)/python tests/benchmarks/bench_viewer.py --window
	@echo && echo "## A viewer beside bad neighbours" && echo
	@$(BIN)/python tests/benchmarks/bench_neighbours.py
	@echo && echo "## The plain toy, a process for each viewer" && echo
	@$(BIN)/python tests/benchmarks/bench_toy_loop.py

bench-full: $(VENV)/ready-bench ## the same, compiled too, and beside OpenVINO; needs a C++ compiler (20 minutes)
	@echo "## The engine beside the bare network" && echo
	@$(BIN)/python tests/benchmarks/bench_engine.py --openvino
	@echo && echo "## The whole, with viewers" && echo
	@$(BIN)/python tests/benchmarks/bench_server.py --most --compile
	@echo && echo "## The front end beside an empty gRPC server" && echo
	@$(BIN)/python tests/benchmarks/bench_frontend.py --rounds 4
	@echo && echo "## The plain toy, a process for each viewer" && echo
	@$(BIN)/python tests/benchmarks/bench_toy_loop.py --seconds 8

soak: $(VENV)/ready-all ## a server's memory over thousands of streams and ten minutes of load
	@$(BIN)/python tests/soak/soak.py

format: $(VENV)/ready-all ## format the code
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

proto: $(VENV)/ready-all ## regenerate the stubs from proto/
	@$(BIN)/python proto/generate.py .

clean: ## remove the environment and all caches
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
