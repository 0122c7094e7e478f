# `make demo` sets everything up and shows it. The environment is made once, in .venv, and again
# only when the content of pyproject.toml or constraints.txt changes: after that nothing here
# needs a network.
#
#   make demo DOCS=~/notes     ask about a folder of your own
#   make test ARGS="-x -k ask" hand arguments on
#   TORCH_ARGS                 pip arguments for PyTorch alone, such as the index of a build for
#                              one kind of GPU, or the much smaller one without

SHELL := /bin/sh
VENV := .venv
DIGEST := $(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)
STAMP := $(VENV)/.installed-$(DIGEST)
PIP := $(VENV)/bin/python -m pip --quiet --disable-pip-version-check --no-input
TORCH_ARGS ?=
ARGS ?=
DOCS ?=

# What a shell around us prepared for another Python must not leak into this one.
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help install demo serve test test-fast check format hooks bench clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

install: $(STAMP) ## Set up .venv, which every other target does by itself

demo: $(STAMP) ## Index documents, start the service, ask a question, stop
	@$(VENV)/bin/motet demo $(if $(DOCS),--folder "$(DOCS)") $(ARGS)

serve: $(STAMP) ## Run the service on http://127.0.0.1:8000
	@exec $(VENV)/bin/motet serve $(ARGS)

test: $(STAMP) ## Run the tests, in two processes
	@$(VENV)/bin/python -m pytest -n 2 --dist loadfile $(ARGS)

test-fast: $(STAMP) ## Run the tests that take no more than a minute
	@$(VENV)/bin/python -m pytest -q -m "not slow and not acceptance" $(ARGS)

check: $(STAMP) ## Check format, style, types and import rules
	@$(VENV)/bin/ruff format --quiet --check .
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo

format: $(STAMP) ## Format the code
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

hooks: ## Have git run `make check` before a commit, and look at its message
	@git config core.hooksPath .githooks

bench: $(STAMP) ## Measure the service against its parts
	@$(VENV)/bin/python -m benchmarks $(ARGS)

clean: ## Remove .venv and caches; your data stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP):
	@python=; \
	for each in python3 python3.13 python3.12 python3.11; do \
	  if $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python=$$each; break; \
	  fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Motet needs Python 3.11 or newer; python3 here is: $$(python3 --version 2>&1)." >&2; \
	  echo "Install a newer one; python3.11, python3.12 or python3.13 is found by its name." >&2; \
	  exit 1; \
	fi; \
	if $(VENV)/bin/python -m pip --version >/dev/null 2>&1; then \
	  echo "Completing $(VENV): what is needed has changed since it was made."; \
	else \
	  echo "Setting up $(VENV) with $$($$python --version), once: about 2.6 GB, 2 to 10 minutes."; \
	  $$python -m venv --clear $(VENV); \
	fi
	@echo "  1 of 2: PyTorch, the largest part ..."
	@$(PIP) install --constraint constraints.txt $(TORCH_ARGS) torch setuptools
	@echo "  2 of 2: Motet and what else it needs ..."
	@$(PIP) install --constraint constraints.txt --no-build-isolation --editable '.[fast,images,voice,gpu,containers,sentences,dev]'
	@rm -f $(VENV)/.installed-*
	@touch $@
	@echo "  ready."
