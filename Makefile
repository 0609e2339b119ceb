# Every target sets up what it needs, on a machine with Python 3.11 or newer and make. uv is used where it is installed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
WORKERS ?= 2

.PHONY: setup test lint demo examples gallery bench bench-peers clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
ifneq ($(UV),)
	test -x $(BIN)/python || $(UV) venv --quiet $(VENV) || $(PYTHON) -m venv $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python -e '.[data,test]'
else
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[data,test]'
endif
	touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -q -n $(WORKERS)

demo: setup
	$(BIN)/graphnn demo --out demo-output

examples: setup
	$(BIN)/python examples/gallery.py --out examples-output

gallery: setup
	$(BIN)/python examples/gallery.py

bench: setup
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest tests/benchmarks -q -o python_files="bench_*.py" --benchmark-enable --benchmark-only -p no:xdist
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.works

# The peers, each in an environment of its own. TORCH may name a CPU build: make bench-peers TORCH=torch==2.13.0
TORCH ?= torch
PEERS := .peers
bench-peers: setup $(PEERS)/torch/.ready $(PEERS)/jax/.ready $(PEERS)/tensorflow/.ready
	for threads in 1 2; do $(BIN)/python -m tests.benchmarks.peers --threads $$threads \
	  --python torch=$(PEERS)/torch/bin/python --python jax=$(PEERS)/jax/bin/python \
	  --python tensorflow=$(PEERS)/tensorflow/bin/python || exit 1; done

$(PEERS)/torch/.ready: PACKAGES = numpy $(TORCH)
$(PEERS)/jax/.ready: PACKAGES = jax
$(PEERS)/tensorflow/.ready: PACKAGES = tensorflow-cpu
$(PEERS)/%/.ready:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check $(PACKAGES)
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks demo-output examples-output
