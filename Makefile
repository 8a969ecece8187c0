# Everything a fresh machine with Python >= 3.11 needs: `make repro` and `make test` set up what they use.
PYTHON ?= python3
PAPER ?= usme_hdr
VENV := .venv
BIN := $(VENV)/bin
UV := uv==0.13.8
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help repro test check-metrics slow lint format lock clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

repro: $(VENV)/ready  ## Rebuild a paper's page under the active profile (PAPER=usme_hdr)
	dvc repro replications/$(PAPER)

test: $(VENV)/ready lint  ## Check style and types, and run the fast tests
	pytest -q

check-metrics: $(VENV)/ready  ## Check every metric against independent implementations
	pytest -q tests/metrics tests/imaging/test_pu21.py
	hdrbench metrics check

slow: $(VENV)/ready  ## Run the tests that take minutes
	pytest -q -m slow

lint: $(VENV)/ready  ## Check style and types
	ruff check .
	ruff format --check .
	mypy

format: $(VENV)/ready  ## Format the code
	ruff format .
	ruff check --fix .

lock: $(VENV)/ready  ## Resolve requirements.lock anew from pyproject.toml
	uv pip compile pyproject.toml --extra dev --extra iqa --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-header --no-annotate --no-emit-index-url --quiet --output-file requirements.lock

# The environment: what the lock file names, hash by hash, and this checkout in editable mode. Compiled at once, because
# every stage is a process, and where PYTHONDONTWRITEBYTECODE is set, as in many containers, each would compile torch again.
$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hdrbench needs Python >= 3.11, got " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes --requirement requirements.lock
	uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

clean:  ## Remove the environment and all caches
	rm -rf $(VENV) .work build dist src/*.egg-info
