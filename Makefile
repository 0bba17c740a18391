# Each target makes .venv and installs what it needs; a stamp file keeps repeated calls quick.

PYTHON ?= python3
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
CHECKED := golden hw synth

.PHONY: help test report campaign interop lint clean
.DELETE_ON_ERROR:

help:
	@echo "make test      linters, types and all tests but the campaign"
	@echo "make report    the whole line on the bundled model; writes build/report/"
	@echo "make campaign  long measurements at full size"
	@echo "make interop   importers against the frameworks themselves: PyTorch, Keras, ONNX Runtime"
	@echo "make lint      linters and types alone"
	@echo "make clean     remove what the other targets wrote, but not .venv"

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=
	@for part in $(CHECKED); do \
	  $(BIN)/python -m coverage report --include="$$part/*" --fail-under=95 \
	    --skip-covered --precision=1 || exit 1; \
	done

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

report: $(VENV)/.run
	@mkdir -p build
	$(BIN)/mubinn report -o build/report
	@echo "Open build/report/index.html in a browser; Table I as data is build/report/table1.csv."

campaign: $(VENV)/.dev
	$(BIN)/python -m pytest -m campaign --durations=0

interop: $(VENV)/.interop
	KERAS_BACKEND=jax $(BIN)/python -m pytest -m interop

clean:
	rm -rf build *.egg-info .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find $(CHECKED) sim reports train cli tests -name __pycache__ -type d -exec rm -rf {} +

$(VENV)/.run: pyproject.toml | $(BIN)/python
	@echo "Installing mubinn into $(VENV) ..."
	$(PIP) install --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.run
	@echo "Installing the tools for tests into $(VENV) ..."
	$(PIP) install --editable '.[dev]'
	@touch $@

$(VENV)/.interop: pyproject.toml $(VENV)/.dev
	@echo "Installing PyTorch and Keras into $(VENV) ..."
	$(PIP) install --editable '.[interop]' --extra-index-url https://download.pytorch.org/whl/cpu
	@touch $@

# Debian's python3 lacks ensurepip unless python3-venv is there; virtualenv or a pip will do as well.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $(PYTHON) is missing or older than 3.11; give another one: make PYTHON=..." >&2; \
	    exit 2; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || \
	  { rm -rf $(VENV); $(PYTHON) -m virtualenv --quiet $(VENV) >/dev/null 2>&1; } || \
	  { rm -rf $(VENV); $(PYTHON) -m venv --without-pip $(VENV) >/dev/null 2>&1 && \
	    $(PYTHON) -m pip --quiet --python $(VENV) install pip >/dev/null 2>&1; } || \
	  { rm -rf $(VENV); \
	    echo "make: $(PYTHON) cannot make a virtual environment; apt install python3-venv." >&2; \
	    exit 2; }
