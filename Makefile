# Each target makes .venv and installs what it needs; a stamp file keeps repeated calls quick.

PYTHON ?= python3
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
CHECKED := golden hw synth

.PHONY: help check test test-all report slow interop fuzz networks docs lint clean
.DELETE_ON_ERROR:

help:
	@echo "make test      linters, types, and tests of everything in some ten minutes"
	@echo "make test-all  the long ones too, with coverage, the floor of which it holds: what CI runs"
	@echo "make report    the whole line on the bundled model; writes build/report/"
	@echo "make slow      long measurements at full size"
	@echo "make interop   against what others make: PyTorch, Keras, ONNX Runtime, LiteX"
	@echo "make fuzz      100,000 malformed files at every door, resumed where it ended; COUNT=N for others"
	@echo "make networks  40 random networks through all floors, every intermediate equal, resumed where it ended"
	@echo "make docs      the site: reference, tutorial and concepts; writes build/docs/"
	@echo "make check     says what this machine lacks; the others begin with it"
	@echo "make lint      linters and types alone"
	@echo "make clean     remove what the other targets wrote, but not .venv"

PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test: lint
	$(PYTEST)

test-all: lint
	$(PYTEST) -m 'not slow and not interop' --cov --cov-report=
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

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs build/docs
	@echo "Open build/docs/index.html in a browser."

slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow --durations=0

interop: $(VENV)/.interop
	KERAS_BACKEND=jax $(BIN)/python -m pytest -m interop
	KERAS_BACKEND=jax TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python tests/importers/interop.py

COUNT ?= 100000

fuzz: $(VENV)/.dev
	PYTHONPATH=tests $(BIN)/python -m fuzz build/fuzz --count $(COUNT) --workers $(WORKERS)

networks: $(VENV)/.dev
	PYTHONPATH=tests $(BIN)/python -m networks build/networks --workers $(WORKERS)

clean:
	rm -rf build docs/reference docs/units.rst *.egg-info .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find $(CHECKED) sim reports train cli tests -name __pycache__ -type d -exec rm -rf {} +

# pip speaks only where it fails.
install = $(BIN)/python -m pip install --editable $(1) >$(VENV)/pip.log 2>&1 || \
  { cat $(VENV)/pip.log >&2; exit 2; }

$(VENV)/.run: pyproject.toml | $(BIN)/python
	@echo "Installing mubinn into $(VENV) ..."
	@$(call install,.)
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "Installing mubinn and the tools for tests into $(VENV) ..."
	@$(call install,'.[dev]')
	@touch $@ $(VENV)/.run

$(VENV)/.docs: pyproject.toml $(VENV)/.run
	@echo "Installing Sphinx into $(VENV) ..."
	@$(call install,'.[docs]')
	@touch $@

$(VENV)/.interop: pyproject.toml $(VENV)/.dev
	@echo "Installing PyTorch, Keras, TensorFlow and LiteX into $(VENV) ..."
	@$(call install,'.[interop]' --extra-index-url https://download.pytorch.org/whl/cpu)
	@touch $@

check:
	@.ci/prerequisites $(PYTHON)

# Debian's python3 lacks ensurepip unless python3-venv is there; virtualenv or a pip will do as well.
$(BIN)/python:
	@.ci/prerequisites $(PYTHON)
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || \
	  { rm -rf $(VENV); $(PYTHON) -m virtualenv --quiet $(VENV) >/dev/null 2>&1; } || \
	  { rm -rf $(VENV); $(PYTHON) -m venv --without-pip $(VENV) >/dev/null 2>&1 && \
	    $(PYTHON) -m pip --quiet --python $(VENV) install pip >/dev/null 2>&1; } || \
	  { rm -rf $(VENV); \
	    echo "make: $(PYTHON) cannot make a virtual environment; apt install python3-venv." >&2; \
	    exit 2; }
