"""The works under pytest-benchmark: a step in graphnn, the same in NumPy, and a warm compile.

OPENBLAS_NUM_THREADS=1 pytest tests/benchmarks/bench_works.py --benchmark-enable --benchmark-group-by=group

For ratios within one run, see works.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tests.benchmarks.networks import WORKS, Work, trainer
from tests.benchmarks.works import steps


@pytest.fixture(params=WORKS.values(), ids=list(WORKS))
def work(request: pytest.FixtureRequest) -> Work:
    found: Work = request.param
    return found


def test_graphnn(benchmark: BenchmarkFixture, work: Work) -> None:
    benchmark.group = f"{work.name} step"
    native, numpy = steps(work)
    np.testing.assert_allclose(native(), numpy(), rtol=1e-5)
    benchmark(native)


def test_numpy(benchmark: BenchmarkFixture, work: Work) -> None:
    benchmark.group = f"{work.name} step"
    benchmark(steps(work)[1])


def test_compile(benchmark: BenchmarkFixture, work: Work) -> None:
    """From the declaration to loaded code, in a process that has compiled before."""
    benchmark.group = "compile"
    benchmark.pedantic(lambda: trainer(work.declare(), work).executable(), rounds=3)
