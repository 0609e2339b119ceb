"""What the boundary refuses, accepts and copies. Values are compared with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphnn.errors import BoundaryError
from graphnn.lower.ir import Program, Store
from graphnn.run.executable import Executable
from graphnn.run.manifest import Outputs
from graphnn.run.states import HeldState
from graphnn.simplify.expr import Const, Load, Op, Size, index_constant
from tests.run.make import (
    W,
    axes,
    buffer,
    build,
    gather,
    gather_expected,
    gather_inputs,
    gather_program,
    loops,
    scale_program,
    step_program,
)

PROGRAM = gather()


def refused(match: str, **changes: Any) -> None:
    with pytest.raises(BoundaryError, match=match):
        PROGRAM(**{**gather_inputs(3), **changes})


def agrees(result: dict[str, Any], inputs: dict[str, Any]) -> None:
    hidden, total = gather_expected({name: np.asarray(value) for name, value in inputs.items()})
    np.testing.assert_array_equal(result["hidden"], hidden)
    assert result["total"] == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("n", [0, 1, 7, 33])
def test_values_for_several_sizes_and_again(n: int) -> None:
    for _ in range(2):
        agrees(PROGRAM(**gather_inputs(n)), gather_inputs(n))


def test_missing_and_surplus_names() -> None:
    with pytest.raises(BoundaryError, match=r"takes the inputs \(x, y, p\); missing: y, p; unknown: z"):
        PROGRAM(x=np.zeros((3, 4), np.float32), z=1)
    refused("missing: none; unknown: self", self=1)


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (np.zeros((3, 4)), r"x: float32\[N, 4\].*is float64; convert it with .astype\(np.float32\)"),
        (np.zeros((3, 4), ">f4"), r">f4, whose byte order is not this machine's; convert it with .astype"),
        (np.float64(1), r"is float64; convert it with .astype"),
        (np.zeros((3, 4), object), r"is object; convert it with .astype"),
        (np.ma.zeros((3, 4), np.float32), r"is a MaskedArray; convert it with np.asarray\(value, np.float32\)"),
        (None, r"is a NoneType; convert it"),
        ("text", r"is a str; convert it"),
        ([[1j] * 4] * 3, r"numbers of kind complex128 given; convert them to float32"),
        ([["1.0"] * 4] * 3, r"numbers of kind <U3 given"),
        ([[1.0], [1.0, 2.0]], r"a list is no array of float32"),
        (np.zeros((3, 4, 1), np.float32), r"has 2 axes; the array given has shape \(3, 4, 1\)"),
        (np.zeros((3, 5), np.float32), r"axis 1 must have extent 4, the array given has shape \(3, 5\), extent 5$"),
    ],
)
def test_an_input_that_does_not_fit(value: object, match: str) -> None:
    refused(match, x=value)


def test_sizes_that_conflict_name_both_inputs() -> None:
    refused(
        r"input y: int64\[N\]: axis 0 must have extent 3, the array given has shape \(2,\), extent 2; "
        r"N = 3 comes from axis 0 of input x: float32\[N, 4\] with shape \(3, 4\)",
        y=np.zeros(2, np.int64),
    )


@pytest.mark.parametrize("value", [np.array([1.0, 0, 0]), [1.0, 2, 3], 2**70, [2**63] * 3, np.zeros(3, np.int32)])
def test_integers_are_not_made_of_other_numbers(value: object) -> None:
    refused("input y", y=value)


def test_numbers_and_lists_take_the_declared_dtype() -> None:
    inputs = {"x": [[1, 2, 3, 4.1]] * 2, "y": (4, True), "p": [[1, 0, 0], [0, False, 1.0]]}
    h = PROGRAM(**inputs)["hidden"]
    np.testing.assert_array_equal(h, 2 * (np.array(inputs["x"], np.float32) + W[[4, 1]]))
    scale = build(scale_program(rows=1), state=HeldState({"w": np.array(3, np.float32)}))
    assert scale(x=[2])[0] == 6
    with pytest.raises(BoundaryError, match="a list is no array of float32: overflow"):
        scale(x=[1e300])
    assert scale(x=[float("inf")])[0] == np.inf


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        ([0, 5, 5], r"the value 5 at \[1\] is not in \[0, 5\); 2 of 3 values are outside"),
        ([0, 1, -1], r"the value -1 at \[2\] is not in \[0, 5\); 1 of 3"),
        ([-(2**63), 1, 1], r"the value -9223372036854775808 at \[0\]"),
    ],
)
def test_an_index_out_of_range_is_named(labels: list[int], match: str) -> None:
    refused(match, y=np.array(labels))
    refused(match, y=np.repeat(np.array(labels), 2)[::2])


def test_an_index_bound_may_be_a_size() -> None:
    (i0,) = axes(1)
    body = (loops(("N",), Store("h", (i0,), Load("x", (Load("y", (i0,), "int64"),), "float32"))),)
    buffers = (buffer("x", ("N",), "input"), buffer("y", ("N",), "input", "int64"), buffer("h", ("N",), "output"))
    pick = build(Program("pick", ("N",), buffers, body), index_bounds=(("y", Size("N")),))
    x = np.array([5, 6, 7], np.float32)
    assert pick(x=x, y=np.array([2, 2, 0])).tolist() == [7, 7, 5]
    with pytest.raises(BoundaryError, match=r"the value 2 at \[0\] is not in \[0, 2\)"):
        pick(x=x[:2], y=np.array([2, 0]))


def test_rows_of_a_distribution_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0, 1, (200, 3)).astype(np.float32)
    inputs = {**gather_inputs(200), "p": p / p.sum(axis=-1, keepdims=True)}
    PROGRAM(**inputs)
    for wrong in (1.0 + 1e-5, 1.0 - 1e-5, np.nan):
        bad = inputs["p"].copy()
        bad[7] *= np.float32(wrong)
        with pytest.raises(BoundaryError, match=r"the row at \[7\] sums to (1\.00001|0\.99999|nan)"):
            PROGRAM(**{**inputs, "p": bad})


def test_a_row_of_three_may_miss_one_by_four_units_in_the_last_place() -> None:
    inputs, eps = gather_inputs(2), np.float32(2.0**-23)
    for parts, fits in ((4, True), (5, False), (-4, True), (-5, False)):
        inputs["p"][1] = [1, parts * eps, 0]
        if fits:
            PROGRAM(**inputs)
        else:
            refused(r"the row at \[1\] sums to", **inputs)


def test_distributions_without_rows_or_columns() -> None:
    def program(columns: int) -> Executable:
        body = (Store("y", (), Const(1.0, "float32")),)
        buffers = (buffer("p", ("N", columns), "input"), buffer("y", (), "output"))
        return build(Program("rows", ("N",), buffers, body), distributions=("p",))

    assert program(3)(p=np.zeros((0, 3), np.float32)) == 1
    assert program(0)(p=np.zeros((0, 0), np.float32)) == 1
    with pytest.raises(BoundaryError, match=r"the row at \[0\] sums to 0;"):
        program(0)(p=np.zeros((2, 0), np.float32))


def test_nan_in_a_float_input_is_data() -> None:
    x = np.full((2, 4), np.nan, np.float32)
    assert np.isnan(PROGRAM(**{**gather_inputs(2), "x": x})["hidden"]).all()


def misaligned(array: np.ndarray) -> np.ndarray:
    raw = np.empty(array.nbytes + 1, np.uint8)[1:]
    moved = raw.view(array.dtype).reshape(array.shape)
    moved[...] = array
    assert not moved.flags.aligned
    return moved


def test_strided_misaligned_and_subclassed_inputs_give_the_same() -> None:
    inputs = gather_inputs(6)
    padded = np.zeros((6, 9), np.float32)
    padded[:, 1::2] = inputs["x"]
    for x in (padded[:, 1::2], np.asfortranarray(inputs["x"]), misaligned(inputs["x"]), inputs["x"].view(np.matrix)):
        for y in (inputs["y"][::-1].copy()[::-1], misaligned(inputs["y"])):
            agrees(PROGRAM(x=x, y=y, p=inputs["p"]), inputs)
    frozen = inputs["x"].copy()
    frozen.flags.writeable = False
    agrees(PROGRAM(**{**inputs, "x": frozen}), inputs)


class Pretender(np.ndarray):
    """A subclass that says otherwise about its memory than what is there."""

    shape, dtype, nbytes = (3, 4), np.dtype(np.float32), 0  # type: ignore[assignment]


def test_a_subclass_is_what_its_memory_is() -> None:
    small = np.zeros((1, 4), np.float32).view(Pretender)
    wide = np.zeros((3, 4)).view(Pretender)
    refused(r"axis 0 must have extent|N = ", x=small)
    refused(r"x: float32\[N, 4\]: the array given is float64", x=wide)
    refused(r"out= for h.*given is <f4 of \(1, 4\)", out={**outputs(3), "hidden": small})
    refused(r"out= for h.*given is <f8 of \(3, 4\)", out={**outputs(3), "hidden": wide})
    memory = np.zeros(16, np.float32)
    fitting = memory[:12].reshape(3, 4).view(Pretender)
    refused("out= for h.* overlaps x", x=memory[4:].reshape(3, 4), out={**outputs(3), "hidden": fitting})
    out = {**outputs(3), "hidden": fitting}
    assert PROGRAM(**gather_inputs(3), out=out)["hidden"] is fitting
    np.testing.assert_array_equal(memory[:12].reshape(3, 4), gather_expected(gather_inputs(3))[0])


def grow_program() -> Program:
    """y[n, m, k] = x[n, 0]: an output that can be far larger than the input."""
    i = axes(3)
    shape = ("N", Op("mul", (Size("N"), Size("N")), "int64"), 8)
    body = (loops(shape, Store("y", i, Const(1.0, "float32"))),)
    return Program("grow", ("N",), (buffer("x", ("N", "M"), "input"), buffer("y", shape, "output")), body)


def test_products_of_sizes_are_refused_before_anything_is_allocated() -> None:
    program = grow_program()
    grow = build(Program("grow", ("N", "M"), program.buffers, program.body))
    assert grow(x=np.zeros((2, 3), np.float32)).shape == (2, 4, 8)
    with pytest.raises(BoundaryError, match=rf"would need {2**120 * 32} bytes, more than 2\*\*63 - 1"):
        grow(x=np.empty((2**40, 0), np.float32))
    endless = np.broadcast_to(np.float32(0), (2**20, 2**40))  # would be copied, were its shape not refused first
    with pytest.raises(BoundaryError, match=r"y: float32\[N, N\*N, 8\] of shape .* would need"):
        grow(x=endless)


def test_a_temp_that_is_too_large_is_refused() -> None:
    i = axes(2)
    shape = ("N", "N")
    body = (loops(shape, Store("t", i, Const(1.0, "float32"))), Store("y", (), Const(1.0, "float32")))
    buffers = (buffer("x", ("N", 0), "input"), buffer("t", shape, "temp"), buffer("y", (), "output"))
    with pytest.raises(BoundaryError, match=r"t: float32\[N, N\] of shape \(1099511627776, 1099511627776\)"):
        build(Program("wide", ("N",), buffers, body))(x=np.empty((2**40, 0), np.float32))


def test_an_extent_that_divides_by_an_empty_size() -> None:
    shape = (Op("floordiv", (index_constant(12), Size("N")), "int64"),)
    body = (loops(shape, Store("y", axes(1), Const(1.0, "float32"))),)
    split = build(Program("split", ("N",), (buffer("x", ("N",), "input"), buffer("y", shape, "output")), body))
    assert split(x=np.zeros(4, np.float32)).shape == (3,)
    with pytest.raises(BoundaryError, match=r"has no value for the sizes {'N': 0}"):
        split(x=np.zeros(0, np.float32))


def outputs(n: int) -> dict[str, np.ndarray]:
    return {"hidden": np.zeros((n, 4), np.float32), "total": np.zeros((), np.float32)}


def test_out_is_filled_and_returned() -> None:
    out = outputs(5)
    result = PROGRAM(**gather_inputs(5), out=out)
    assert result["hidden"] is out["hidden"]
    assert result["total"] is out["total"]
    agrees(out, gather_inputs(5))
    single = build(scale_program(), state=HeldState({"w": np.array(2, np.float32)}))
    y = np.zeros(3, np.float32)
    assert single(x=np.arange(3, dtype=np.float32), out=y) is y
    assert y.tolist() == [0, 2, 4]


def test_out_in_another_form() -> None:
    h = np.zeros((3, 4), np.float32)
    readonly, buffer_ = h.copy(), np.zeros((3, 8), np.float32)
    readonly.flags.writeable = False
    for hidden, match in (
        (h.astype(np.float64), r"must be float32 of shape \(3, 4\); the array given is <f8"),
        (h.astype(">f4"), r"the array given is >f4"),
        (np.zeros((3, 5), np.float32), r"of \(3, 5\)"),
        (readonly, r"is not writable$"),
        (buffer_[:, ::2], r"is not C-contiguous$"),
        (misaligned(h), r"is not aligned$"),
        (h.tolist(), r"must be an ndarray, not a list"),
        (np.ma.masked_array(h), r"must be an ndarray, not a MaskedArray"),
    ):
        refused(match, out={**outputs(3), "hidden": hidden})
    refused("out= must be a dict with the keys hidden, total, not a list", out=list(outputs(3).values()))
    refused("out= must be a dict with the keys hidden, total", out={"hidden": h})
    listed = build(gather_program(), state=HeldState({"W": W}))
    with pytest.raises(BoundaryError, match="out= must be a list of 2 arrays, not a ndarray"):
        listed(**gather_inputs(3), out=h)


def test_out_that_overlaps() -> None:
    inputs, memory = gather_inputs(3), np.zeros(50, np.float32)
    h = memory[4:16].reshape(3, 4)
    refused("out= for h.* overlaps x in memory", x=memory[12:24].reshape(3, 4), out={**outputs(3), "hidden": h})
    refused("out= for h.* overlaps total in memory", out={"hidden": h, "total": memory[15:16].reshape(())})
    held = HeldState({"W": memory[16:36].reshape(5, 4)})
    program = gather(held)
    with pytest.raises(BoundaryError, match=r"out= for h.* overlaps a state in memory"):
        program(**inputs, out={**outputs(3), "hidden": memory[8:20].reshape(3, 4)})
    for start in (4, 36):  # adjacent is not overlapping
        program(**inputs, out={**outputs(3), "hidden": memory[start : start + 12].reshape(3, 4)})
    for start, total in ((12, 24), (13, 12)):  # before and behind the input, directly
        x = memory[start : start + 12].reshape(3, 4)
        PROGRAM(**{**inputs, "x": x}, out={**outputs(3), "total": memory[total : total + 1].reshape(())})
    whole = np.zeros((3, 8), np.float32)
    whole[:, :4] = inputs["x"]
    program(**{**inputs, "x": whole[:, :4]}, out={**outputs(3), "hidden": whole.ravel()[:12].reshape(3, 4)})
    np.testing.assert_array_equal(whole.ravel()[:12].reshape(3, 4), 2 * (inputs["x"] + 0 * W[inputs["y"]]))


def test_an_empty_output_overlaps_nothing() -> None:
    body = (loops(("M",), Store("y", axes(1), Load("z", axes(1), "float32"))),)
    buffers = (buffer("x", ("N",), "input"), buffer("z", ("M",), "input"), buffer("y", ("M",), "output"))
    copy = build(Program("copy", ("N", "M"), buffers, body))
    x = np.zeros(4, np.float32)
    inside = np.ndarray((0,), np.float32, x.data, 8)  # not x[2:2], which starts where x does
    assert copy(x=x, z=np.zeros(0, np.float32), out=inside) is inside


def test_an_output_that_is_returned_twice() -> None:
    twice = build(scale_program(), outputs=Outputs("list", ("y", "y")), state=HeldState({"w": np.array(2, np.float32)}))
    x = np.ones(2, np.float32)
    first, second = twice(x=x)
    assert first is second
    y = np.zeros(2, np.float32)
    assert twice(x=x, out=[y, y])[1] is y
    with pytest.raises(BoundaryError, match="y is returned twice"):
        twice(x=x, out=[y, y.copy()])


def test_an_input_may_not_be_a_state_that_is_updated() -> None:
    w = np.arange(6, dtype=np.float32)
    step = build(step_program(), state=HeldState({"w": w}))
    with pytest.raises(BoundaryError, match=r"input g.* is the memory of a state that the program updates"):
        step(g=w)
    assert step(g=w.copy()).tolist() == (np.arange(6) * 1.5).tolist()


def test_a_state_that_is_only_read_may_be_an_input() -> None:
    inputs = gather_inputs(5)
    weights = W.copy()
    agrees(gather(HeldState({"W": weights}))(**{**inputs, "x": weights}), {**inputs, "x": W})
