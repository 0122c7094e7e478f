# `make demo` sets everything up and shows it. The environment is made once, in .venv, and again
# only when the content of pyproject.toml or of a file of requirements changes: after that nothing
# here needs a network. Whatever is downloaded must have a hash of requirements/.
#
#   make demo DOCS=~/notes     ask about a folder of your own
#   make demo MODEL=qwen3-1.7b get a language model first, which then writes the answer
#   make test ARGS="-x -k ask" hand arguments on
#   MODELS, MOTET_TEST_MODELS  for `make test-models`: which, and the folder they are in, which
#                              `make bench` looks into too
#   TORCH_ARGS                 pip arguments for PyTorch alone, such as the index of a build for
#                              one kind of GPU, or the much smaller one without; what that index
#                              offers is not checked by hash

SHELL := /bin/sh
VENV := .venv
EXTRAS := fast images voice gpu containers sentences llamacpp whisper dev
LOCKS := $(foreach each,service $(EXTRAS),requirements/$(each).txt)
DIGEST := $(shell cat pyproject.toml constraints.txt requirements/*.txt | cksum | cut -d' ' -f1)
STAMP := $(VENV)/.installed-$(DIGEST)
PIP := $(VENV)/bin/python -m pip --quiet --disable-pip-version-check --no-input
# The project itself is installed last: what builds it is there by then.
LOCKED := --require-hashes --no-deps --no-build-isolation
TORCH_ARGS ?=
MODELS ?=
TORCH := $(if $(TORCH_ARGS),--constraint constraints.txt $(TORCH_ARGS) torch setuptools,$(LOCKED) --requirement requirements/torch.txt)
UV ?= uv
ARGS ?=
DOCS ?=
MODEL ?=

# What a shell around us prepared for another Python must not leak into this one. Without the cache
# of bytecode each of some thousand processes of the tests would compile our modules anew.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo serve test test-fast test-models check format hooks bench lock clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

install: $(STAMP) ## Set up .venv, which every other target does by itself

demo: $(STAMP) ## Index documents, start the service, ask a question, stop
	@$(VENV)/bin/motet demo $(if $(DOCS),--folder "$(DOCS)") $(if $(MODEL),--model "$(MODEL)") $(ARGS)

serve: $(STAMP) ## Run the service on http://127.0.0.1:8000
	@exec $(VENV)/bin/motet serve $(ARGS)

test: $(STAMP) ## Run the tests, in two processes
	@$(VENV)/bin/python -m pytest -rs -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-fast: $(STAMP) ## Run the pure tests and the quick component tests
	@$(VENV)/bin/python -m pytest -q -m "not slow and not acceptance and not real_models" $(ARGS)

test-models: $(STAMP) ## Get real language models, 2 GB, and run the tests that need them
	@$(VENV)/bin/python -m tests.real_models.fetch "$(TEST_MODELS)" $(MODELS)
	@MOTET_TEST_MODELS="$(TEST_MODELS)" $(VENV)/bin/python -m pytest -rs tests/real_models $(ARGS)

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
	@MOTET_TEST_MODELS="$(TEST_MODELS)" $(VENV)/bin/python -m benchmarks $(ARGS)

# A file of requirements holds what the ones before it do not: PyTorch, what the service always
# needs, and each extra.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11.5 --generate-hashes \
	--no-annotate --no-header --constraint constraints.txt
WITHOUT = $$(sed -n 's/^\([a-z0-9][a-z0-9-]*\)==.*/--no-emit-package \1/p' $(1:%=requirements/%.txt))

lock: ## Write requirements/ anew after a change of constraints.txt; needs uv and a network
	@printf 'torch\nsetuptools\n' | $(COMPILE) --output-file requirements/torch.txt - >/dev/null
	@$(COMPILE) $(call WITHOUT,torch) --output-file requirements/service.txt pyproject.toml >/dev/null
	@for each in $(EXTRAS) notebooks; do \
	  $(COMPILE) --extra $$each $(call WITHOUT,torch service) \
	    --output-file requirements/$$each.txt pyproject.toml >/dev/null || exit 1; \
	done

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
	@$(PIP) install $(TORCH)
	@echo "  2 of 2: Motet and what else it needs ..."
	@$(PIP) install $(LOCKED) $(LOCKS:%=--requirement %)
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.installed-*
	@touch $@
	@echo "  ready."
