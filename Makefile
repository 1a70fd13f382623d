# Every command of the project. `make` alone lists them: a target's text is what follows `##` on its line.
#
#   PYTHON=python3.12   which interpreter makes .venv (default: python3)
#   TORCH=1             also install PyTorch, so that its tests and measurements run
#   TESTS=tests/unit    which tests `make test` runs (default: all); may hold any pytest options
#   JOBS=1              how many processes run them (default: 2)

SHELL := bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TESTS  ?=
JOBS   ?= 2
EXTRA  := $(if $(filter-out 0,$(TORCH)),$(VENV)/.torch)

# An install is repeated when one of these changed.
PANEL  := $(wildcard labextension/package*.json labextension/tsconfig.json labextension/src/* labextension/src/sections/* labextension/style/* labextension/schema/*)
INPUTS := pyproject.toml constraints.txt hatch_build.py $(PANEL)

.PHONY: help demo test lab bench lint soak clean

help:
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.demo  ## run the tour on real data; show what was tracked, what it cost, where it is stored
	@PYTHONPATH=$(CURDIR) $(BIN)/python notebooks/demo.py

test: $(VENV)/.dev $(EXTRA)  ## run all tests but the long ones (TESTS=… narrows, TORCH=1 adds PyTorch)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(TESTS)

lab: $(VENV)/.lab  ## open the tour in JupyterLab
	@$(BIN)/jupyter lab notebooks/00_tour.ipynb

bench: $(VENV)/.dev $(EXTRA)  ## measure what tracking costs, as one table
	@$(BIN)/python -m benchmarks

lint: $(VENV)/.dev  ## check style, format, types, and which room imports which
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

soak: $(VENV)/.dev $(EXTRA)  ## run the long random and fault tests (minutes)
	@$(BIN)/python -m pytest -m soak --timeout=3600 $(TESTS)

clean:  ## remove .venv, caches and build output; .mlmagic folders stay
	@rm -rf $(VENV) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	@rm -rf labextension/lib labextension/node_modules mlmagic/labextension
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment; a stamp file in it for each set of packages that was installed.

# $(call install,packages,what for): every 25th package and the big downloads as lines, errors in full
define install
	@echo "mlmagic: installing $(2); the first time takes a minute or two"
	@set -o pipefail; $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt $(1) | awk '\
	  /^(Collecting|Requirement already)/ { if (++n % 25 == 0) { print "  " n " packages looked at"; fflush() } } \
	  /Downloading .*MB\)/ { print "  " $$1, $$2, $$3, $$4; fflush() } \
	  /^Installing collected/ { print "  writing " NF - 3 " packages to $(VENV)"; fflush() }'
	@if [ -f labextension/package.json ] && [ ! -f mlmagic/labextension/package.json ]; then \
	  echo "  the panel for JupyterLab was not built (Node ^20.19 or >=22.12 builds it); all else works without it"; fi
	@touch $@
endef

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "mlmagic needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V 2>/dev/null || echo not there)."; \
	  echo "Name another: make PYTHON=python3.12 demo"; exit 1; }
	@echo "mlmagic: creating $(VENV) with $$($(PYTHON) -V)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.demo: $(INPUTS) | $(BIN)/python
	$(call install,-e '.[demo]',mlmagic and what the demo needs)

$(VENV)/.lab: $(INPUTS) | $(BIN)/python
	$(call install,-e '.[lab$(COMMA)demo]',mlmagic and JupyterLab)

$(VENV)/.dev: $(INPUTS) | $(BIN)/python
	$(call install,-e '.[test$(COMMA)dev]',mlmagic and what tests and checks need)

$(VENV)/.torch: constraints.txt | $(VENV)/.dev
	$(call install,-e '.[torch]',PyTorch)

COMMA := ,
