"""A temp that is read by the digits of one axis is stored as one long row."""

from __future__ import annotations

import pytest

from graphnn.lower.ir import Program
from graphnn.lower.printer import print_program
from graphnn.schedule.flatten import flatten_dimensions
from graphnn.schedule.machine import Machine
from graphnn.schedule.memory import evaluate
from graphnn.schedule.passes import schedule
from tests.schedule.samples import array, assert_same_meaning, at, condition, integer, load, op, program, total

C, Y, X = 2, 3, 4
PIXELS = C * Y * X


def digits(axis: str) -> tuple[object, ...]:
    return integer("floordiv", axis, Y * X), integer("mod", integer("floordiv", axis, X), Y), integer("mod", axis, X)


def reshaped(role: str = "temp", n: int | str = "N", guarded: bool = False) -> Program:
    """h = exp(x), an image; z[n, j] = sum[r] h as a row * W[r, j]; s[n, y] = sum[c, x] h, if guarded for x < y only."""
    inputs = [array("x", "input", n, C, Y, X), array("W", "input", PIXELS, 8)]
    outputs = [array("z", "output", n, 8), array("s", "output", n, Y)]
    places = {"n": n, "c": C, "y": Y, "x": X}
    guard = condition("lt", "x", "y") if guarded else None
    formulas = [
        ("h", places, op("exp", load("x", "n", "c", "y", "x"))),
        ("z", {"n": n, "j": 8}, total(op("mul", at("h", "n", *digits("r")), load("W", "r", "j")), r=PIXELS)),
        ("s", {"n": n, "y": Y}, total(load("h", "n", "c", "y", "x"), guard=guard, c=C, x=X)),
    ]
    sizes = [n] if isinstance(n, str) else []
    return program([*inputs, array("h", role, n, C, Y, X), *outputs], formulas, sizes=sizes)


def shape(p: Program, name: str) -> list[int]:
    return [evaluate(e, {"N": 5}) for e in p.buffer(name).shape]


def test_an_image_that_is_read_as_a_row_is_stored_as_one():
    after = flatten_dimensions(reshaped(), Machine())
    assert shape(after, "h") == [5, PIXELS]
    assert not {"//", "%"} & set(print_program(after).split())
    assert_same_meaning(reshaped(), after, {"N": 3})


def test_what_a_caller_sees_keeps_its_dimensions():
    before = reshaped(role="output")
    assert flatten_dimensions(before, Machine()) == before


def test_conditions_on_single_dimensions_keep_them():
    before = reshaped(guarded=True)
    assert flatten_dimensions(before, Machine()) == before


@pytest.mark.parametrize(
    "index",
    [
        (integer("floordiv", "r", Y * X), integer("mod", integer("floordiv", "q", X), Y), integer("mod", "r", X)),
        (integer("floordiv", "r", X), integer("mod", integer("floordiv", "r", X), Y), integer("mod", "r", X)),
        (0, integer("floordiv", "r", X), integer("mod", integer("add", "r", 1), X)),
    ],
)
def test_other_quotients_and_remainders_are_left_alone(index: tuple[object, ...]):
    body = total(op("mul", at("h", "n", *index), load("w", "r", "q")), r=Y * X, q=2)
    arrays = [array("x", "input", "N", C, Y, X), array("w", "input", Y * X, 2), array("h", "temp", "N", C, Y, X)]
    formulas = [("h", {"n": "N", "c": C, "y": Y, "x": X}, op("exp", load("x", "n", "c", "y", "x")))]
    before = program([*arrays, array("z", "output", "N")], [*formulas, ("z", {"n": "N"}, body)])
    assert flatten_dimensions(before, Machine()) == before


def test_two_of_three_dimensions():
    """h[n, c, r // 4, r % 4] leaves the channels apart."""
    row = at("h", "n", "c", integer("floordiv", "r", X), integer("mod", "r", X))
    arrays = [array("x", "input", "N", C, Y, X), array("w", "input", Y * X), array("h", "temp", "N", C, Y, X)]
    formulas = [("h", {"n": "N", "c": C, "y": Y, "x": X}, op("exp", load("x", "n", "c", "y", "x")))]
    body = total(op("mul", row, load("w", "r")), r=Y * X)
    before = program([*arrays, array("z", "output", "N", C)], [*formulas, ("z", {"n": "N", "c": C}, body)])
    after = flatten_dimensions(before, Machine())
    assert shape(after, "h") == [5, C, Y * X]
    assert_same_meaning(before, after, {"N": 2})


@pytest.mark.parametrize("left_out", [(), ("flatten",), ("blocks",), ("flatten", "blocks"), ("contract",)])
def test_a_dense_layer_over_blocks_packs_nothing(left_out: tuple[str, ...]):
    before = reshaped(n=32)
    after = schedule(before, disable=left_out)
    if not left_out:
        assert not any(".packed" in b.name for b in after.buffers)
    assert_same_meaning(before, after, {})
