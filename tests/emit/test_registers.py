"""Programs in registers: many runs in their own loop against as many calls, and which programs fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from graphnn.emit.registers import fits_registers
from graphnn.lower.ir import Accumulate, Buffer, Contract, Fold, For, If, Let, Program, Stmt, Store
from graphnn.run.executable import Executable
from graphnn.run.manifest import Outputs
from graphnn.run.states import HeldState
from graphnn.run.steps import Stretch
from graphnn.simplify.expr import Axis, Const, Expr, Load, Local, Op, Range, index_constant
from tests.run.make import buffer, build, plus, times

I0, I1, R0 = Axis("i0"), Axis("i1"), Axis("r0")
ROWS = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
LABELS = np.array([2, 0, 1, 1, 2, 0])


def number(value: int) -> Expr:
    return index_constant(value)


def w(*index: Expr) -> Load:
    return Load("w", index, "float32")


def x(place: Expr) -> Load:
    return Load("x", (number(0), place), "float32")


def below(a: Expr, b: Expr) -> Op:
    return Op("lt", (a, b), "bool")


def loop(axis: Axis, extent: int, *body: Stmt, kind: Any = "serial") -> For:
    return For(axis.name, number(0), number(extent), body, kind)


def loss(value: Expr) -> Store:
    return Store("loss", (), value)


def shifted(add: Expr, kind: Any = "vector") -> tuple[Stmt, ...]:
    """w[i] += add; loss = w[0] + 2*w[1] + 3*w[2]"""
    terms = times(Op("cast", (plus(R0, number(1)),), "float32"), w(R0))
    total = Fold("s0", "sum", (Range("r0", number(0), number(3)),), None, terms)
    return loop(I0, 3, Store("w", (I0,), plus(w(I0), add)), kind=kind), total, loss(Local("s0", "float32"))


def guarded() -> tuple[Stmt, ...]:
    """The sum of x[i + r] over i + r < 3, added to w[i] where that is past the first."""
    inside = below(plus(I0, R0), number(3))
    window = Fold("s1", "max", (Range("r0", number(0), number(2)),), inside, x(plus(I0, R0)))
    body = If(below(number(0), I0), (Accumulate("w", (I0,), "sum", Local("s1", "float32")),))
    return loop(I0, 3, window, body), *shifted(Const(0.0, "float32"))


def beyond() -> tuple[Stmt, ...]:
    """An arm that is not taken reads past the end, and one taken by a value of the data."""
    either = Op("select", (below(I0, number(2)), x(plus(I0, number(1))), Const(0.25, "float32")), "float32")
    positive = below(Const(0.0, "float32"), x(number(0)))
    return shifted(plus(either, Op("select", (positive, w(number(2)), x(I0)), "float32")))


def through_temps() -> tuple[Stmt, ...]:
    """A bool and an int8 array, and a Let."""
    mask = Store("mask", (I0,), below(x(I0), w(I0)))
    position = Store("position", (I0,), Op("sub", (I0, number(1)), "int64"))
    cast = Op("cast", (Load("position", (I0,), "int64"),), "float32")
    chosen = Op("select", (Load("mask", (I0,), "bool"), cast, Local("v", "float32")), "float32")
    return (
        loop(I0, 3, mask, position),
        loop(I0, 3, Let("v", Op("sigmoid", (x(I0),), "float32")), Accumulate("w", (I0,), "sum", chosen)),
        *shifted(Const(0.5, "float32")),
    )


def product() -> tuple[Stmt, ...]:
    """A contraction: v[i, j] = i + sum over r of x[r]*u[r, j], u[r, j] = x[(r + j) mod 3]; then its diagonal."""
    turned = x(Op("mod", (plus(I0, I1), number(3)), "int64"))
    value = plus(Local("c", "float32"), Op("cast", (I0,), "float32"))
    m, n, k = (Range(name, number(0), number(3)) for name in ("i0", "i1", "r0"))
    contract = Contract("c", m, n, (k,), x(R0), Load("u", (R0, I1), "float32"), (Store("v", (I0, I1), value),))
    return loop(I0, 3, loop(I1, 3, Store("u", (I0, I1), turned))), contract, *shifted(Load("v", (I0, I0), "float32"))


def decided() -> tuple[Stmt, ...]:
    """A flag of the run, which is true in some runs and false in others: w[i] += x[i] where it holds, else 1/4."""
    flag, quarter = Load("flag", (), "bool"), Const(0.25, "float32")
    return (
        Store("flag", (), below(Const(0.0, "float32"), x(number(0)))),
        *shifted(Op("select", (flag, x(I0), plus(Op("cast", (flag,), "float32"), quarter)), "float32")),
    )


def labelled() -> tuple[Stmt, ...]:
    """Where the place in question is a label, which is compared, not used as an index."""
    label = Load("y", (number(0),), "int64")
    return shifted(Op("select", (Op("eq", (I0, label), "bool"), x(I0), Const(0.0, "float32")), "float32"))


CASES = {
    "states": lambda: shifted(times(x(I0), w(number(1))), "serial"),
    "guards": guarded,
    "beyond": beyond,
    "temps": through_temps,
    "contraction": product,
    "flag": decided,
    "labels": labelled,
}
BUFFERS = (
    buffer("x", (1, 3), "input"),
    buffer("y", (1,), "input", "int64"),
    buffer("w", (3,), "state"),
    buffer("loss", (), "output"),
    buffer("u", (3, 3), "temp"),
    buffer("v", (3, 3), "temp"),
    buffer("mask", (3,), "temp", "bool"),
    buffer("flag", (), "temp", "bool"),
    replace(buffer("position", (3,), "temp", "int64"), narrow=True),
)


def program(body: tuple[Stmt, ...], buffers: tuple[Buffer, ...] = BUFFERS) -> Program:
    used = str(body)
    return Program("small", (), tuple(b for b in buffers if b.role == "input" or f"'{b.name}'" in used), body)


def compiled(body: tuple[Stmt, ...]) -> tuple[Executable, HeldState]:
    state = HeldState({"w": np.array([0.5, -1.0, 2.0], np.float32)})
    return build(program(body), outputs=Outputs("single", ("loss",)), state=state), state


@pytest.mark.parametrize("case", CASES)
def test_runs_in_registers_are_calls(case: str) -> None:
    """By steps: the kernels, whose loops and arrays in memory other tests hold against the interpreter."""
    called, after = compiled(CASES[case]())
    losses = [float(called(x=ROWS[k : k + 1], y=LABELS[k : k + 1])) for k in range(6)]
    made, state = compiled(CASES[case]())
    steps = made.steps(watch=True)
    assert made.manifest.steps
    assert steps.run(Stretch({"x": ROWS, "y": LABELS}, {"x", "y"}, 1, 0, 6), 0, 6, 0.0)
    assert steps.losses.tolist() == losses
    assert state.buffer("w").tobytes() == after.buffer("w").tobytes()
    assert len({*losses}) == 6


def test_memory_holds_the_state_after_each_run() -> None:
    made, state = compiled(CASES["states"]())
    steps = made.steps(watch=True)
    given = Stretch({"x": ROWS, "y": LABELS}, {"x", "y"}, 1, 0, 6)
    for k in range(6):
        before = state.buffer("w").copy()
        assert steps.run(given, k, 1, 0.0)
        second = before[1] + ROWS[k, 1] * before[1]
        expected = before + ROWS[k] * np.array([before[1], before[1], second], np.float32)
        np.testing.assert_array_equal(state.buffer("w"), expected)


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        (shifted(x(I0)), True),
        ((loss(x(number(0))),), False),  # changes no state
        ((*shifted(x(Load("y", (number(0),), "int64"))),), False),  # a place that the data give
        ((If(below(x(number(0)), w(number(0))), shifted(x(I0))),), False),
        ((loop(Axis("i5"), 50, *shifted(x(I0))),), False),  # long
        ((loop(I1, 3, For("i0", number(0), I1, (Store("w", (I0,), x(I0)),))), loss(w(number(0)))), False),
    ],
)
def test_what_fits(body: tuple[Stmt, ...], fits: bool) -> None:
    assert fits_registers(program(body)) == fits


def test_a_large_state_does_not_fit() -> None:
    body = (Store("w", (number(7),), plus(w(number(7)), x(number(0)))), loss(w(number(7))))
    assert fits_registers(program(body, (*BUFFERS[:2], buffer("w", (8,), "state"), BUFFERS[3])))
    assert not fits_registers(program(body, (*BUFFERS[:2], buffer("w", (10_000,), "state"), BUFFERS[3])))


def test_a_size_of_the_call_does_not_fit() -> None:
    assert not fits_registers(replace(program(shifted(x(I0))), sizes=("N",)))
