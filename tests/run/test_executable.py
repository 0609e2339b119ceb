"""Calls, state, threads and the texts of an Executable."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from graphnn.declare.network import Network
from graphnn.errors import BoundaryError, CompileError
from graphnn.lower.ir import Program, Store
from graphnn.run.arrays import Spans, address, aligned_empty, allocator, documented_address, field_address
from graphnn.run.boundary import KEPT_SHAPES
from graphnn.run.states import HeldState, StateSource
from graphnn.simplify.expr import Axis, Const, Load, index_constant
from tests.run.make import (
    W,
    buffer,
    build,
    gather,
    gather_expected,
    gather_inputs,
    gather_program,
    loops,
    plus,
    scale_program,
    step_program,
)


def held(**values: np.ndarray) -> HeldState:
    return HeldState(values)


def test_both_ways_to_an_address_agree() -> None:
    base = np.zeros((4, 6), np.float32)
    for array in (base, base[1:], base[:, ::-1], base.T, np.zeros(()), np.zeros((0, 3))):
        assert address(array) == field_address(array) == documented_address(array)
    assert field_address(base[1:]) - field_address(base) == 24


@pytest.mark.parametrize("shape", [(), (0,), (3,), (1000, 7)])
@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_arrays_of_ours_are_aligned(shape: tuple[int, ...], dtype: str) -> None:
    arrays = [aligned_empty(shape, np.dtype(dtype)) for _ in range(5)]
    assert all(a.ctypes.data % 64 == 0 and a.flags.carray for a in arrays)
    assert all(a.shape == shape and a.dtype == dtype for a in arrays)
    large = [allocator((64, *shape, 1025), np.dtype(dtype))() for _ in range(3)]
    assert all(a.nbytes == 0 or a.ctypes.data % 64 == 0 for a in large)
    small = allocator(shape, np.dtype(dtype))
    assert (small().shape, small().dtype) == (shape, dtype)
    assert small() is not small()


def test_spans_meet_where_numpy_says_that_memory_is_shared() -> None:
    memory = np.zeros(20, np.int64)
    parts = [memory[10:14], memory[3:5], memory[7:7]]
    spans = Spans(parts)
    for low in range(20):
        for high in range(low, 20):
            start = memory.ctypes.data + 8 * low
            expected = any(np.shares_memory(memory[low:high], part) for part in parts)
            assert spans.meet(start, start + 8 * (high - low)) == expected, (low, high)


def test_structure_of_the_result() -> None:
    inputs = gather_inputs(4)
    listed = build(gather_program(), state=held(W=W))(**inputs)
    named = gather()(**inputs)
    assert isinstance(listed, list)
    assert list(named) == ["hidden", "total"]
    for a, b in zip(reversed(listed), named.values(), strict=True):
        np.testing.assert_array_equal(a, b)
    single = build(scale_program(), state=held(w=np.array(2, np.float32)))(x=np.ones(3, np.float32))
    assert isinstance(single, np.ndarray)


def test_fresh_outputs_do_not_change_later() -> None:
    program = gather()
    first = program(**gather_inputs(4))["hidden"]
    kept = first.copy()
    program(**{**gather_inputs(4), "x": np.ones((4, 4), np.float32)})
    np.testing.assert_array_equal(first, kept)


def test_more_shapes_than_are_remembered() -> None:
    program = gather()
    for n in [*range(KEPT_SHAPES + 3), 2, KEPT_SHAPES]:
        inputs = gather_inputs(n)
        np.testing.assert_array_equal(program(**inputs)["hidden"], gather_expected(inputs)[0])
    assert len(program._call.boundary._resolved) <= KEPT_SHAPES


def test_state_is_read_where_it_lies_and_updated_in_place() -> None:
    w = np.arange(6, dtype=np.float32)
    state = held(w=w)
    step = build(step_program(), state=state)
    g = np.ones(6, np.float32)
    for k in range(1, 4):
        assert step(g=g).tolist() == (np.arange(6) + 0.5 * k).tolist()
        assert w.tolist() == (np.arange(6) + 0.5 * k).tolist()
    w += 10
    assert step(g=g).tolist() == (np.arange(6) + 12).tolist()


def test_a_program_in_another_dtype_follows_updates_and_assignments() -> None:
    network = Network("n")
    network.parameter("w", (6,), dtype="float32")
    network.state["w"] = np.arange(6, dtype=np.float32)
    read = Program(
        "read",
        (),
        (buffer("w", (6,), "state", "float64"), buffer("y", (6,), "output", "float64")),
        (loops((6,), Store("y", (Axis("i0"),), Load("w", (Axis("i0"),), "float64"))),),
    )
    source: StateSource = network.state
    double, step = build(read, state=source), build(step_program(), state=source)
    assert double().tolist() == np.arange(6).tolist()
    step(g=np.ones(6, np.float32))
    assert double().tolist() == (np.arange(6) + 0.5).tolist()
    assert network.state["w"].dtype == np.float32, "a program that only reads leaves the owner's dtype alone"
    network.state["w"] = np.zeros(6, np.float32)
    assert double().tolist() == [0] * 6
    assert step(g=np.ones(6, np.float32)).tolist() == [0.5] * 6
    assert double().tolist() == [0.5] * 6


def test_an_update_converts_the_owner() -> None:
    state = held(w=np.arange(6.0))
    step = build(step_program(), state=state)
    assert step(g=np.ones(6, np.float32)).tolist() == (np.arange(6) + 0.5).tolist()
    assert state.buffer("w").dtype == np.float32
    assert state.buffer("w").tolist() == (np.arange(6) + 0.5).tolist()


def test_a_new_array_behind_a_state_is_noticed_by_its_version() -> None:
    state = held(w=np.array(2, np.float32))
    scale = build(scale_program(), state=state)
    x = np.ones(2, np.float32)
    assert scale(x=x).tolist() == [2, 2]
    state._values["w"] = np.array(3, np.float32)
    state.version += 1
    assert scale(x=x).tolist() == [3, 3]


def test_an_array_that_is_replaced_during_an_update_is_noticed() -> None:
    state = held(w=np.zeros(6, np.float32))
    step, g = build(step_program(), state=state), np.ones(6, np.float32)
    step(g=g)
    gather_results = step._call._gather

    def replace_meanwhile(arrays: dict[str, np.ndarray]) -> object:
        state._values["w"] = np.full(6, 10, np.float32)
        state.version += 1
        return gather_results(arrays)

    step._call._gather = replace_meanwhile
    assert step(g=g).tolist() == [1] * 6
    step._call._gather = gather_results
    assert step(g=g).tolist() == [10.5] * 6


def test_states_that_do_not_fit() -> None:
    readonly = np.zeros(6, np.float32)
    readonly.flags.writeable = False
    g = np.zeros(6, np.float32)
    for value, match in ((readonly, "read-only"), (np.zeros(5, np.float32), r"\(6,\).*float32 of \(5,\)")):
        with pytest.raises(BoundaryError, match=match):
            build(step_program(), state=held(w=value))(g=g)
    with pytest.raises(BoundaryError, match="must be a C-contiguous float32"):
        build(step_program(), state=held(w=np.zeros(12, np.float32)[::2]))(g=g)
    strided = build(scale_program(), state=held(w=np.array(2, ">f4")))
    assert strided(x=np.ones(1, np.float32)).tolist() == [2]


def test_threads_with_different_sizes_get_their_own_results() -> None:
    program = gather()
    start = threading.Barrier(4)

    def work(number: int) -> bool:
        rng = np.random.default_rng(number)
        start.wait()
        for _ in range(60):
            inputs = gather_inputs(int(rng.integers(1, 3000)))
            inputs["x"] += number
            if not np.array_equal(program(**inputs)["hidden"], gather_expected(inputs)[0]):
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
    assert 1 <= len(program._call.frames) <= 4


def counter_program() -> Program:
    """w[0] = w[0] + g[i0] for each of many i0: slow enough for two calls to meet."""
    cell = Load("w", (index_constant(0),), "float32")
    add = Store("w", (index_constant(0),), plus(cell, Load("g", (Axis("i0"),), "float32")))
    buffers = (buffer("g", (20000,), "input"), buffer("w", (1,), "state"), buffer("y", (), "output"))
    return Program("count", (), buffers, (loops((20000,), add), Store("y", (), Const(0.0, "float32"))))


def test_updates_of_several_threads_are_not_lost() -> None:
    w = np.zeros(1, np.float32)
    count, g = build(counter_program(), state=held(w=w)), np.ones(20000, np.float32)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: count(g=g), range(40)))
    assert w[0] == 40 * 20000


def test_a_failed_debug_check_is_explained() -> None:
    (i0,) = (Axis("i0"),)
    body = (loops((6,), Store("y", (i0,), Load("x", (plus(i0, index_constant(3)),), "float32"))),)
    program = Program("beyond", (), (buffer("x", (6,), "input"), buffer("y", (6,), "output")), body)
    checked = build(program, debug=True)
    with pytest.raises(
        CompileError, match=r"'beyond' stopped with code \d+: x is addressed outside .* along axis 0 by"
    ):
        checked(x=np.zeros(6, np.float32))
    good = build(gather_program(), state=held(W=W), debug=True)
    np.testing.assert_array_equal(good(**gather_inputs(3))[1], gather_expected(gather_inputs(3))[0])


def test_what_an_executable_tells() -> None:
    program = gather()
    assert (program.name, program.sizes) == ("gather", ("N",))
    assert [str(b) for b in program.inputs] == ["x: float32[N, 4]", "y: int64[N]", "p: float32[N, 3]"]
    assert [str(b) for b in program.outputs] == ["h: float32[N, 4]", "total: float32[]"]
    assert program.stage("lower") == "the loops"
    assert program.stage("emit") == program.llvm
    assert program.stage("run") == program.assembly
    assert "define i64 @graphnn_entry" in program.llvm
    assert "graphnn_entry:" in program.assembly
    assert program.kernels[:2] == ("for i0 in 0 .. N: -> t", "for i0 in 0 .. N: -> h")
    assert program.kernels[3] == "total[] = s0 -> total"
    assert repr(program).startswith("<Executable gather(x: float32[N, 4], y: int64[N]")
    with pytest.raises(CompileError, match="has no stage 'derive'; there are lower, emit"):
        program.stage("derive")


def test_inputs_have_names_and_no_order() -> None:
    inputs = gather_inputs(3)
    for positional in (inputs.values(), [inputs]):
        with pytest.raises(BoundaryError, match=r"'gather': give inputs by keyword: x=\.\.\., y=\.\.\., p=\.\.\.$"):
            gather()(*positional)


def test_the_memory_table() -> None:
    assert gather().memory == (
        "buffer  array                bytes  statements       offset\n"
        "t       float32[N, 4]  at the call      0 to 1  at the call\n"
        "arena: known at the call\n"
    )
    i0 = Axis("i0")
    x, t, u = (Load(name, (i0,), "float32") for name in "xtu")
    body = (
        loops((20,), Store("t", (i0,), x)),
        loops((20,), Store("u", (i0,), plus(t, x))),
        loops((20,), Store("y", (i0,), plus(t, u))),
    )
    roles = {"x": "input", "t": "temp", "u": "temp", "y": "output"}
    fixed = build(Program("fixed", (), tuple(buffer(name, (20,), role) for name, role in roles.items()), body))
    assert fixed.memory.splitlines()[1:] == [
        "t       float32[20]     80      0 to 2       0",
        "u       float32[20]     80      1 to 2     128",
        "arena: 256 bytes, 160 without sharing, 160 in use at the peak, in statement 1",
    ]
    assert fixed(x=np.ones(20, np.float32)).tolist() == [3] * 20
