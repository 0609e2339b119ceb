"""The native entry behaves as the way through Python does, for good arrays and bad ones; values are NumPy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graphnn.errors import BoundaryError
from graphnn.lower.ir import Program, Store
from graphnn.run.executable import Executable
from graphnn.run.manifest import Outputs
from graphnn.run.native.entry import KNOWN, LINKED
from graphnn.run.native.library import native_entry
from graphnn.run.states import HeldState
from graphnn.simplify.expr import Const, DType
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
from tests.run.native.ways import WAYS, choose, is_native, left, warm

pytestmark = pytest.mark.skipif(native_entry() is None, reason="no native entry on this Python")

Case = Callable[[dict[str, Any]], dict[str, Any]]


class Labelled(np.ndarray):
    """A subclass that changes nothing."""


class Name(str):
    """A string that is no plain string."""

    __slots__ = ()


def with_(name: str, change: Callable[[np.ndarray], Any]) -> Case:
    return lambda inputs: {**inputs, name: change(inputs[name])}


def strided(array: np.ndarray) -> np.ndarray:
    return np.repeat(array, 2, axis=0)[::2]


def misaligned(array: np.ndarray) -> np.ndarray:
    moved = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


def frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def poke(value: float, *at: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array[at] = value
        return array

    return change


# fmt: off
TAKEN: dict[str, Case] = {
    "as they are": lambda inputs: inputs,
    "in another order": lambda inputs: dict(reversed(inputs.items())),
    "names made at run time": lambda inputs: {"".join([*name, ""]): array for name, array in inputs.items()},
    "names of a subclass": lambda inputs: {Name(name): array for name, array in inputs.items()},
    "read-only": with_("x", frozen),
    "NaN": with_("x", poke(np.nan, 0, 0)),
    "labels at both ends": with_("y", poke(0, 0)),
    "a row of weights at 1": with_("p", poke(0.5, 2, 0)),
    "a slice of whole rows": with_("x", lambda x: np.concatenate([x, x])[4:12]),
}
LEFT: dict[str, Case] = {
    "a list": with_("x", np.ndarray.tolist),
    "float64": with_("x", lambda x: x.astype(np.float64)),
    "the other byte order": with_("x", lambda x: x.astype(">f4")),
    "int32 labels": with_("y", lambda y: y.astype(np.int32)),
    "unsigned labels": with_("y", lambda y: y.astype(np.uint64)),
    "another type of 64 bits": with_("y", lambda y: y.astype(np.longlong)),
    "bool labels": with_("y", lambda y: y.astype(bool)),
    "an object array": with_("x", lambda x: x.astype(object)),
    "a number": with_("x", lambda x: 3),
    "nothing": with_("x", lambda x: None),
    "a subclass": with_("x", lambda x: x.view(Labelled)),
    "a matrix": with_("x", lambda x: x.view(np.matrix)),
    "a masked array": with_("x", np.ma.masked_array),
    "strided rows": with_("x", strided),
    "strided labels": with_("y", strided),
    "misaligned": with_("p", misaligned),
    "Fortran order": with_("x", np.asfortranarray),
    "one axis more": with_("x", lambda x: x[..., None]),
    "one axis less": with_("x", lambda x: x[0]),
    "one column more": with_("x", lambda x: np.concatenate([x, x], axis=1)),
    "rows that disagree": with_("y", lambda y: y[:5]),
    "no rows in one": with_("y", lambda y: y[:0]),
    "another number of rows": lambda inputs: gather_inputs(11),
    "no rows": lambda inputs: gather_inputs(0),
    "a label that is too large": with_("y", poke(5, 7)),
    "a negative label": with_("y", poke(-1, 0)),
    "the most negative label": with_("y", poke(-(2**63), 3)),
    "the largest label": with_("y", poke(2**63 - 1, 3)),
    "weights that sum to more": with_("p", poke(0.5001, 2, 0)),
    "weights that are NaN": with_("p", poke(np.nan, 7, 2)),
    "an infinite weight": with_("p", poke(np.inf, 7, 2)),
    "large weights that cancel": with_("p", lambda p: p + np.array([[4096, -4096, 0]], np.float32)),
    "missing": lambda inputs: {"x": inputs["x"], "y": inputs["y"]},
    "all missing": lambda inputs: {},
    "one too many": lambda inputs: {**inputs, "z": inputs["x"]},
    "another name": lambda inputs: {"x": inputs["x"], "y": inputs["y"], "q": inputs["p"]},
    "a name that is no string": lambda inputs: {"x": inputs["x"], "y": inputs["y"], 1: inputs["p"]},
    "out in place of an input": lambda inputs: {"x": inputs["x"], "y": inputs["y"], "out": inputs["p"]},
    "out": lambda inputs: {**inputs, "out": {"hidden": np.zeros((8, 4), np.float32), "total": np.zeros((), "f4")}},
    "out with the other dtype": lambda inputs: {**inputs, "out": {"hidden": np.zeros((8, 4)), "total": np.zeros(())}},
}
# fmt: on


def outcome(program: Executable, inputs: dict[Any, Any]) -> Any:
    """What a call gives or raises, as something to compare."""
    try:
        result = program(**inputs)
    except Exception as error:
        return type(error), str(error)
    return {key: (type(a), a.dtype, a.shape, a.flags.num, a.tobytes()) for key, a in result.items()}


@pytest.fixture(scope="module")
def native() -> Executable:
    program = warm(gather(), **gather_inputs(8))
    assert is_native(program)
    return program


@pytest.fixture
def python(monkeypatch: pytest.MonkeyPatch) -> Executable:
    choose("python", monkeypatch)
    program = warm(gather(), **gather_inputs(8))
    assert not is_native(program)
    return program


@pytest.mark.parametrize("case", [*TAKEN.values(), *LEFT.values()], ids=[*TAKEN, *LEFT])
def test_both_ways_have_the_same_outcome(native: Executable, python: Executable, case: Case) -> None:
    for _ in range(2):
        assert outcome(native, case(gather_inputs(8))) == outcome(python, case(gather_inputs(8)))
    hidden, _ = gather_expected(gather_inputs(8))
    np.testing.assert_array_equal(native(**gather_inputs(8))["hidden"], hidden)


@pytest.mark.parametrize("case", TAKEN.values(), ids=TAKEN)
def test_what_the_entry_takes(case: Case) -> None:
    program = warm(gather(), **gather_inputs(8))
    inputs = case(gather_inputs(8))
    assert not left(program, **inputs)
    hidden, total = gather_expected(inputs)
    np.testing.assert_array_equal(program(**inputs)["hidden"], hidden)
    np.testing.assert_allclose(program(**inputs)["total"], np.float32(total), rtol=1e-6)


@pytest.mark.parametrize("case", [c for name, c in LEFT.items() if name != "a name that is no string"])
def test_what_the_entry_leaves(case: Case) -> None:
    assert left(warm(gather(), **gather_inputs(8)), **case(gather_inputs(8)))


def test_positional_arguments(native: Executable) -> None:
    with pytest.raises(BoundaryError, match=r"give inputs by keyword: x=\.\.\., y=\.\.\., p=\.\.\."):
        native(*gather_inputs(8).values())
    with pytest.raises(TypeError, match="keywords must be strings"):
        native(**{1: 2})  # type: ignore[misc]


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 16, 31, 64])
def test_a_wrong_label_is_found_wherever_it_stands(length: int) -> None:
    program = warm(gather(), **gather_inputs(length))
    assert not left(program, **gather_inputs(length))
    for position in range(length):
        for label in (5, -1):
            inputs = gather_inputs(length)
            inputs["y"][position] = label
            with pytest.raises(BoundaryError, match=rf"the value {label} at \[{position}\]"):
                program(**inputs)


def test_shapes_that_take_turns() -> None:
    program = gather()
    rows = [*range(LINKED + 2)] * 8
    for n in rows:
        np.testing.assert_array_equal(program(**gather_inputs(n))["hidden"], gather_expected(gather_inputs(n))[0])
    assert not left(program, **gather_inputs(rows[-1]))
    assert left(program, **gather_inputs(rows[-1] - LINKED))
    for n in [*range(KNOWN + LINKED + 3), 3, 3]:
        np.testing.assert_array_equal(program(**gather_inputs(n))["hidden"], gather_expected(gather_inputs(n))[0])
    assert not left(program, **gather_inputs(3))
    entry = program._call.entry
    assert entry is not None
    assert len(entry._plans) <= KNOWN
    assert not entry._retired


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rows", [0, 1, 3, 5000])  # 5000 is above the page from which on outputs are aligned
def test_values_of_every_size(monkeypatch: pytest.MonkeyPatch, dtype: DType, way: str, rows: int) -> None:
    choose(way, monkeypatch)
    scale = build(scale_program(dtype), state=HeldState({"w": np.array(3, dtype)}))
    x = np.arange(rows, dtype=dtype)
    result = warm(scale, x=x)(x=x)
    assert (type(result), result.dtype, result.shape) == (np.ndarray, np.dtype(dtype), (rows,))
    np.testing.assert_array_equal(result, 3 * x)
    assert rows < 5000 or result.ctypes.data % 64 == 0
    assert result.flags.writeable
    assert is_native(scale) == (way != "python")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3, 2), (3, 0, 2)])
def test_arrays_of_every_type(dtype: DType, shape: tuple[int, ...]) -> None:
    copy = build(copy_program(dtype, *shape))
    x = np.random.default_rng(0).integers(-5, 5, shape).astype(dtype)
    result = warm(copy, x=x)(x=x)
    assert not left(copy, x=x)
    assert (type(result), result.dtype, result.shape) == (np.ndarray, x.dtype, shape)
    np.testing.assert_array_equal(result, x)


@pytest.mark.parametrize("way", WAYS)
def test_structures_of_the_result(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    choose(way, monkeypatch)
    inputs = gather_inputs(4)
    hidden, _ = gather_expected(inputs)
    listed = warm(build(gather_program(), state=HeldState({"W": W.copy()})), **inputs)(**inputs)
    assert type(listed) is list
    np.testing.assert_array_equal(listed[1], hidden)
    named = warm(gather(), **inputs)(**inputs)
    assert list(named) == ["hidden", "total"]
    np.testing.assert_array_equal(named["hidden"], hidden)
    state = HeldState({"w": np.array(2, np.float32)})
    x = np.ones(3, np.float32)
    first, second = warm(build(scale_program(), outputs=Outputs("list", ("y", "y")), state=state), x=x)(x=x)
    assert first is second
    assert first.tolist() == [2, 2, 2]


def test_a_program_without_inputs() -> None:
    three = build(Program("three", (), (buffer("y", (), "output"),), (Store("y", (), Const(3.0, "float32")),)))
    assert warm(three)() == 3
    assert is_native(three)
    assert not left(three)
