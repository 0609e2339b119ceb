"""What a call costs beside the native code: a program of three inputs, a state, a temp and two outputs on 8 rows.

pytest tests/benchmarks/bench_call.py --benchmark-enable --benchmark-columns=min,median
"""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from graphnn.run.executable import Executable
from graphnn.run.states import HeldState
from graphnn.simplify.expr import index_constant
from tests.run.make import W, build, gather_inputs, gather_program

INPUTS = gather_inputs(8)


@pytest.fixture(scope="module", params=["unchecked", "index", "index and distribution"])
def program(request: pytest.FixtureRequest) -> Executable:
    """The same program with no, one and two inputs whose values are checked at each call."""
    bounds = (("y", index_constant(5)),) if "index" in request.param else ()
    distributions = ("p",) if "distribution" in request.param else ()
    state = HeldState({"W": W.copy()})
    return build(gather_program(), state=state, index_bounds=bounds, distributions=distributions)


def test_call(benchmark: BenchmarkFixture, program: Executable) -> None:
    x, y, p = INPUTS.values()
    total, _ = benchmark(lambda: program(x=x, y=y, p=p))
    assert total.shape == ()


def test_call_with_out(benchmark: BenchmarkFixture, program: Executable) -> None:
    x, y, p = INPUTS.values()
    out = [np.empty((), np.float32), np.empty((8, 4), np.float32)]
    benchmark(lambda: program(x=x, y=y, p=p, out=out))
    assert out[1].any()


def test_call_with_strided_input(benchmark: BenchmarkFixture, program: Executable) -> None:
    x, y, p = INPUTS.values()
    strided = np.asfortranarray(x)
    benchmark(lambda: program(x=strided, y=y, p=p))


def test_call_through_python(benchmark: BenchmarkFixture, program: Executable) -> None:
    """What a call costs that the native entry leaves, and each of the first ten."""
    x, y, p = INPUTS.values()
    total, _ = benchmark(lambda: program._call.run(x=x, y=y, p=p))
    assert total.shape == ()


def test_bound_call(benchmark: BenchmarkFixture, program: Executable) -> None:
    bound = program.bind(**INPUTS)
    benchmark(bound)
    assert bound.outputs[1].any()


def test_native_code_alone(benchmark: BenchmarkFixture, program: Executable) -> None:
    """The floor: the same code with its tables filled once."""
    arrays = {**INPUTS, "W": W, "t": np.empty((8, 4), np.float32), "h": np.empty((8, 4), np.float32)}
    arrays["total"] = np.empty((), np.float32)
    pointers = [arrays[b.name].ctypes.data for b in program.manifest.buffers]
    table, sizes = (ctypes.c_int64 * len(pointers))(*pointers), (ctypes.c_int64 * 1)(8)
    places = ctypes.addressof(table), ctypes.addressof(sizes)
    assert benchmark(program._call.function, *places) == 0
