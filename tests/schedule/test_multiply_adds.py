"""Multiply-adds in loops that are one vector in all: what is joined, what is not, and that it means the same."""

from __future__ import annotations

import pytest

from graphnn.lower.ir import Program
from graphnn.lower.printer import print_program
from graphnn.schedule.machine import Machine
from graphnn.schedule.multiply_adds import multiply_adds
from tests.schedule.samples import array, assert_same_meaning, load, op, program, total

B, G, H, X = (load(name, "i") for name in "bghx")
SUM = total(op("mul", load("W", "r", "i"), load("v", "r")), r=2)


def formula(body, units: int = 3, terms: int = 2, written: bool = False) -> Program:
    """y[i] = body for `units` of i; where `written`, b is an array that the program computes first."""
    arrays = [array(name, "input", units) for name in "ghx"]
    arrays += [array("b", "temp" if written else "input", units), array("W", "input", terms, units)]
    arrays += [array("v", "input", terms), array("y", "output", units)]
    first = [("b", {"i": units}, op("add", G, H))] if written else []
    return program(arrays, [*first, ("y", {"i": units}, body)], sizes=())


def line(program: Program) -> str:
    return print_program(multiply_adds(program, Machine())).splitlines()[-1].strip()


@pytest.mark.parametrize(
    ("body", "after"),
    [
        (op("sub", B, op("mul", G, H)), "fma((-g[i0]), h[i0], b[i0])"),
        (op("add", op("mul", G, H), B), "fma(g[i0], h[i0], b[i0])"),
        (op("add", B, op("mul", G, H)), "fma(g[i0], h[i0], b[i0])"),
        (op("sub", op("mul", G, H), B), "fma(g[i0], h[i0], (-b[i0]))"),
        (op("tanh", op("add", op("mul", 2.0, op("sub", B, op("mul", G, X))), H)), "tanh(fma(2.0, fma("),
    ],
)
def test_a_product_is_joined_with_what_it_is_added_to(body, after):
    before = formula(body)
    assert after in line(before)
    assert_same_meaning(before, multiply_adds(before, Machine()), {}, 1e-6)


@pytest.mark.parametrize(
    "body",
    [
        op("sub", B, op("mul", G, G)),
        op("sub", op("mul", B, B), op("mul", G, G)),
        op("add", op("mul", B, X), op("mul", G, H)),
        op("add", B, G),
    ],
)
def test_squares_and_sums_of_products_stay(body):
    assert multiply_adds(formula(body), Machine()) == formula(body)


@pytest.mark.parametrize("body", [op("add", B, SUM), op("add", SUM, B)])
def test_a_sum_begins_with_the_bias(body):
    before = formula(op("tanh", body))
    lines = print_program(multiply_adds(before, Machine())).splitlines()[-2:]
    assert lines[0].strip() == "let s0 = fma(W[1, i0], v[1], fma(W[0, i0], v[0], b[i0]))"
    assert lines[1].strip() == "y[i0] = tanh(s0)"
    assert_same_meaning(before, multiply_adds(before, Machine()), {}, 1e-6)


@pytest.mark.parametrize(
    ("body", "options"),
    [
        (op("add", B, SUM), {"units": 17}),  # more than a vector
        (op("add", B, SUM), {"written": True}),
        (op("mul", B, SUM), {}),
        (op("mul", op("add", B, SUM), SUM), {}),  # it is used as it is, too
        (op("select", op("lt", G, H, dtype="bool"), op("add", B, SUM), X), {}),
        (op("add", B, total(op("mul", load("W", "r", "i"), load("v", "r")), r=5)), {"terms": 5}),
        (op("add", B, total(op("max", load("W", "r", "i"), load("v", "r")), r=2)), {}),
        (op("add", B, total(op("mul", load("W", "r", "i"), load("v", "r")), "max", r=2)), {}),
        (op("add", total(load("v", "r"), r=2), SUM), {}),
    ],
)
def test_other_sums_stay(body, options):
    before = formula(body, **options)
    assert multiply_adds(before, Machine()) == before


def test_a_vector_of_the_machine_is_what_counts():
    before = formula(op("sub", B, op("mul", G, H)), 8)
    assert multiply_adds(before, Machine(vector_bytes=16)) == before != multiply_adds(before, Machine(vector_bytes=32))
