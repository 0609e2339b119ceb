# Every target sets up what it needs, on a machine with Python 3.11 or newer and make. uv is used where it is installed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
WORKERS ?= 2

.PHONY: setup test lint demo examples gallery bench bench-docs bench-micro bench-kernels bench-scaling clean

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

# Every work in graphnn and its peers, each of which gets an environment of its own, in about a quarter of an hour.
# TORCH may name a build for processors: make bench TORCH=torch==2.13.0. More options: BENCH="--only vgg64 --peer torch"
TORCH ?= torch
BENCH ?=
bench: setup
	TORCH="$(TORCH)" $(BIN)/python -m tests.benchmarks $(BENCH)

# The same and the growth over sizes, with tables and pictures written into docs/performance.md.
bench-docs: setup
	TORCH="$(TORCH)" $(BIN)/python -m tests.benchmarks --docs --parts times memory compile starts roofline scaling $(BENCH)

# What a call costs, and contractions of some shapes, under pytest-benchmark.
bench-micro: setup
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest tests/benchmarks -q -o python_files="bench_*.py" --benchmark-enable --benchmark-only -p no:xdist

# Each statement of a work alone: make bench-kernels WORK="lenet64 inference"
WORK ?= mlp64
bench-kernels: setup
	$(BIN)/python -m tests.benchmarks.kernels "$(WORK)"

# Time and compile time over depth, width, batch and image size, as a picture.
bench-scaling: setup
	$(BIN)/python -m tests.benchmarks.scaling

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks demo-output examples-output
