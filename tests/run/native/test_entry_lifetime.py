"""What the native entry owns is given back: references, memory, frames; and where there is no entry at all."""

from __future__ import annotations

import ctypes
import gc
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from weakref import ref

import numpy as np
import pytest

from graphnn.errors import BoundaryError, CompileError
from graphnn.lower.ir import Program, Store
from graphnn.run.executable import Executable
from graphnn.run.native import api, plan
from graphnn.run.native.library import native_entry
from graphnn.run.native.records import Context
from graphnn.run.states import HeldState
from graphnn.simplify.expr import Const
from tests.run.make import (
    W,
    buffer,
    build,
    copy_program,
    gather,
    gather_expected,
    gather_inputs,
    gather_program,
    scale_program,
)
from tests.run.native.ways import WAYS, choose, is_native, warm

pytestmark = pytest.mark.skipif(native_entry() is None, reason="no native entry on this Python")


@pytest.fixture(scope="module")
def native() -> Executable:
    return warm(gather(), **gather_inputs(8))


@pytest.mark.parametrize("way", WAYS)
def test_references_and_memory_are_given_back(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    choose(way, monkeypatch)
    inputs = gather_inputs(8)
    bad = {**inputs, "y": inputs["y"] + 5}
    program = warm(gather(), **inputs)

    def calls(count: int) -> None:
        for number in range(count):
            result = program(**inputs)
            del result
            if number % 10 == 0:
                with pytest.raises(BoundaryError):
                    program(**bad)

    watched = [*inputs.values(), np.dtype(np.float32), None, program, "hidden"]
    calls(50)
    before = [sys.getrefcount(x) for x in watched]
    calls(3000)
    after = [sys.getrefcount(x) for x in watched]
    assert all(abs(a - b) < 20 for a, b in zip(after, before, strict=True))
    tracemalloc.start()
    try:
        calls(50)
        gc.collect()
        start = tracemalloc.get_traced_memory()[0]
        calls(1000)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - start < 10_000
    finally:
        tracemalloc.stop()


def test_a_result_belongs_to_the_caller(native: Executable) -> None:
    inputs = gather_inputs(8)
    first, second = native(**inputs), native(**inputs)
    assert not np.shares_memory(first["hidden"], second["hidden"])
    references = sys.getrefcount(first["hidden"]), sys.getrefcount(first)
    assert references == (2, 2)  # the dict's or this frame's, and the argument's


def test_a_program_is_freed_with_its_last_reference() -> None:
    gc.disable()
    try:
        program = warm(gather(), **gather_inputs(3))
        bound = program.bind(**gather_inputs(3))
        bound()
        watched = [ref(program), ref(program._call.frames), ref(bound)]
        function = program.__call__
        del program, bound
        assert watched[0]() is None
        assert function(**gather_inputs(3))["hidden"].shape == (3, 4)  # it keeps the code, not the Executable
        del function
        assert [r() for r in watched] == [None] * 3
    finally:
        gc.enable()


@pytest.mark.parametrize("way", WAYS)
def test_eight_threads_with_sizes_of_their_own(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    choose(way, monkeypatch)
    program = warm(gather(), **gather_inputs(4))

    def work(number: int) -> bool:
        inputs = gather_inputs(1 + number % 5)
        inputs["x"] += number
        expected = gather_expected(inputs)[0]
        return all(np.array_equal(program(**inputs)["hidden"], expected) for _ in range(1000))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    assert len(program._call.frames) <= 9
    entry = program._call.entry
    assert entry is None or entry._context[Context.RUNNING] == 0


def test_replaced_states_are_dropped_though_other_threads_always_call() -> None:
    state = HeldState({"w": np.array(3, np.float32)})
    x = np.ones(1_000_000, np.float32)
    scale, done = warm(build(scale_program(), state=state), x=x[:6]), Event()

    def work() -> None:
        while not done.is_set():
            scale(x=x)

    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            pool.submit(work)
        for _ in range(300):
            state.version += 1
            assert scale(x=x[:6]).tolist() == [3] * 6
        entry = scale._call.entry
        assert entry is not None
        kept = len(entry._retired)
        done.set()
    assert kept <= len(scale._call.frames)


def test_an_output_that_cannot_be_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> np.ndarray:
        raise MemoryError("no room")

    scale = build(scale_program(), state=HeldState({"w": np.array(3, np.float32)}))
    x = np.ones(5000, np.float32)
    with monkeypatch.context() as patch:
        patch.setattr(plan, "allocator", lambda shape, dtype: refuse)
        scale._call.ready()
        scale(x=x)
    entry = scale._call.entry
    assert entry is not None
    function = entry.function(scale._call.run)
    for _ in range(3):
        with pytest.raises(MemoryError, match="no room"):
            function(x=x)
    assert entry._context[Context.RUNNING] == 0
    assert len(scale._call.frames) == 1
    assert scale(x=x[:2]).tolist() == [3, 3]


def test_a_code_that_is_not_0(monkeypatch: pytest.MonkeyPatch) -> None:
    program = warm(build(copy_program("float32", 2)), x=np.ones(2, np.float32))
    entry = program._call.entry
    assert entry is not None
    seven = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(lambda buffers, sizes: 7)
    entry._context[Context.ENTRY] = ctypes.cast(seven, ctypes.c_void_p).value
    x = np.ones(2, np.float32)
    before = sys.getrefcount(x)
    for _ in range(3):
        with pytest.raises(CompileError, match="'copy' stopped with code 7: it gives no check of that number"):
            program(x=x)
    after = sys.getrefcount(x)
    assert after == before
    assert entry._context[Context.RUNNING] == 0


def test_programs_without_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = gather_inputs(3)
    assert not is_native(warm(build(gather_program(), state=HeldState({"W": W}), debug=True), **inputs))
    many = [buffer(f"x{k}", (), "input") for k in range(40)]
    wide = build(Program("wide", (), (*many, buffer("y", (), "output")), (Store("y", (), Const(1.0, "float32")),)))
    assert not is_native(warm(wide, **{b.name: np.zeros((), np.float32) for b in many}))
    p = np.full((2, 2), 0.5)
    rows = Program("rows", (), (buffer("p", (2, 2), "input", "float64"), buffer("y", (), "output")), constant_body())
    assert not is_native(warm(build(rows, distributions=("p",)), p=p))


def constant_body() -> tuple[Store, ...]:
    return (Store("y", (), Const(1.0, "float32")),)


@pytest.mark.parametrize("field", ["TYPE", "DATA", "AXES", "EXTENTS", "DTYPE", "FLAGS"])
def test_fields_that_lie_elsewhere_are_noticed(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    assert api._fields_agree()
    monkeypatch.setattr(api, field, 48)  # `base`, a field of an array like the others
    assert not api._fields_agree()


def test_another_layout_means_no_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    uncached = api.native_api.__wrapped__
    assert uncached() is not None
    monkeypatch.setattr(api, "_fields_agree", lambda: False)
    assert uncached() is None
