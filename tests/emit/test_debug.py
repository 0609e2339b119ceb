"""Bounds checks fire with buffer, dimension and statement; origins reach the assembly."""

from __future__ import annotations

import re

import numpy as np
import pytest

from graphnn.emit.debug import Check
from graphnn.emit.module import emit
from graphnn.emit.target import host
from graphnn.lower.ir import Contract, For, Stmt, Store
from graphnn.run.jit import assembly
from graphnn.simplify.expr import Axis, Const, Load, Local, Op, Origin, Range
from tests.emit.native import buffer, integer, load, op, program, run_module

I = Axis("i")
X, Y = buffer("x", (3, 40)), buffer("y", (40,), role="output")


def code_of(*body: Stmt) -> Check | None:
    """Run in debug mode and return the check that failed."""
    emitted = emit(program(body, X, Y), host(), debug=True)
    code = run_module(emitted, host(), [np.zeros((3, 40), "float32"), np.zeros(40, "float32")], [])
    return emitted.checks[code] if code else None


@pytest.mark.parametrize("kind", ["serial", "vector"])
def test_a_load_outside_is_reported(kind: str) -> None:
    far = op("add", I, integer(5))
    inside = For("i", integer(0), integer(35), (Store("y", (I,), load(X, integer(1), far)),), kind)  # type: ignore[arg-type]
    assert code_of(inside) is None
    outside = For("i", integer(0), integer(36), (Store("y", (I,), load(X, integer(1), far)),), kind)  # type: ignore[arg-type]
    assert code_of(outside) == Check("x", 1, "y[i] = x[1, (i + 5)]")
    row = For("i", integer(0), integer(9), (Store("y", (I,), load(X, integer(3), I)),), kind)  # type: ignore[arg-type]
    assert code_of(row) == Check("x", 0, "y[i] = x[3, i]")


@pytest.mark.parametrize("kind", ["serial", "vector"])
def test_a_store_outside_is_reported_before_it_happens(kind: str) -> None:
    body = (Store("y", (op("sub", I, integer(1)),), Const(1.0, "float32")),)
    assert code_of(For("i", integer(1), integer(41), body, kind)) is None  # type: ignore[arg-type]
    assert code_of(For("i", integer(0), integer(9), body, kind)) == Check("y", 0, "y[(i - 1)] = 1.0")  # type: ignore[arg-type]


def test_lanes_that_do_not_read_are_not_checked() -> None:
    inside = op("lt", I, integer(3))
    value = Op("select", (inside, load(X, I, integer(0)), Const(0.0, "float32")), "float32")
    assert code_of(For("i", integer(0), integer(40), (Store("y", (I,), value),), "vector")) is None


@pytest.mark.parametrize(("rows", "inner", "failed"), [(3, 5, None), (4, 5, ("a", 0)), (3, 6, ("a", 1))])
def test_what_a_contraction_reads_is_checked(rows: int, inner: int, failed: tuple[str, int] | None) -> None:
    a, b, y = buffer("a", (3, 5)), buffer("b", (5, 20)), buffer("y", (4, 20), role="output")
    m, n, k = (Range(axis, integer(0), integer(hi)) for axis, hi in (("m", rows), ("n", 20), ("k", inner)))
    body = (Store("y", (Axis("m"), Axis("n")), Local("t", "float32")),)
    product = Contract("t", m, n, (k,), load(a, Axis("m"), Axis("k")), load(b, Axis("k"), Axis("n")), body)
    emitted = emit(program((product,), a, b, y), host(), debug=True)
    arrays = [np.zeros(shape, "float32") for shape in ((3, 5), (5, 20), (4, 20))]
    code = run_module(emitted, host(), arrays, [])
    assert ((emitted.checks[code].buffer, emitted.checks[code].dimension) if code else None) == failed


@pytest.mark.parametrize(("columns", "terms", "failed"), [(3, 32, None), (4, 32, ("b", 0)), (3, 48, ("a", 1))])
def test_what_a_contraction_in_lanes_reads_is_checked(columns: int, terms: int, failed: tuple[str, int] | None) -> None:
    a, b, y = buffer("a", (4, 32)), buffer("b", (3, 32)), buffer("y", (4, 4), role="output")
    m, n, k = (Range(axis, integer(0), integer(hi)) for axis, hi in (("m", 4), ("n", columns), ("k", terms)))
    body = (Store("y", (Axis("m"), Axis("n")), Local("t", "float32")),)
    factors = load(a, Axis("m"), Axis("k")), load(b, Axis("n"), Axis("k"))
    emitted = emit(program((Contract("t", m, n, (k,), *factors, body, lanes=16),), a, b, y), host(), debug=True)
    arrays = [np.zeros(shape, "float32") for shape in ((4, 32), (3, 32), (4, 4))]
    code = run_module(emitted, host(), arrays, [])
    assert ((emitted.checks[code].buffer, emitted.checks[code].dimension) if code else None) == failed


def test_every_origin_is_a_line_of_the_assembly() -> None:
    hidden, scaled, stored = Origin("hidden"), Origin("hidden", 1, "scale", (Origin("hidden"),)), Origin("out")
    root = Op("sqrt", (Load("x", (integer(0), I), "float32", hidden),), "float32", hidden)
    value = Op("mul", (root, root), "float32", scaled)
    loop = For("i", integer(0), integer(40), (Store("y", (I,), value, stored),), "vector")
    emitted = emit(program((loop,), X, Y), host())
    assert set(emitted.origins.values()) == {hidden, scaled, stored}
    located: dict[int, set[str]] = {}
    line = 0
    for text in assembly(emitted.text, host()).splitlines():
        if found := re.match(r"\s*\.loc\s+\d+ (\d+)", text):
            line = int(found[1])
        elif found := re.match(r"\s+([a-z]\w+)\s", text):
            located.setdefault(line, set()).add(found[1])
    by_node = {(o.node, o.rule): located[line] for line, o in emitted.origins.items()}
    assert any("sqrt" in name for name in by_node["hidden", "declare"])
    assert any("mul" in name for name in by_node["hidden", "scale"])
    assert any("mov" in name or "st" in name for name in by_node["out", "declare"])


def test_without_debug_nothing_is_checked() -> None:
    emitted = emit(program((Store("y", (integer(99),), Const(1.0, "float32")),), X, Y), host())
    assert emitted.checks == {}
    assert emitted.text.count("ret i64") == 2
