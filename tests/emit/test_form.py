"""Kernels of one form are one function, called on other arrays; whatever differs has a function of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import graphnn as gn
from graphnn.emit.form import form_of
from graphnn.emit.module import emit
from graphnn.emit.target import host
from graphnn.lower.ir import Buffer, For, Program, Stmt, Store
from graphnn.simplify.expr import Axis, Const, Expr, Origin, Size
from tests.emit.native import buffer, integer, load, op, program, run

X, Y, Z = buffer("x", (4, 6)), buffer("y", (4, 6)), buffer("z", (4, 6))
U, V = (buffer(name, (4, 6), role="output") for name in ("u", "v"))
WIDE = buffer("wide", (4, 7), role="output")
TURNED = buffer("turned", (4, 6), role="temp", layout=(1, 0))
BUFFERS = (X, Y, Z, U, V, WIDE, TURNED)


def nest(out: Buffer, value: Expr, names: str = "ij", rows: int = 4) -> Stmt:
    outer, inner = names
    store = Store(out.name, (Axis(outer), Axis(inner)), value, Origin(f"origin of {out.name}"))
    return For(outer, integer(0), integer(rows), (For(inner, integer(0), integer(6), (store,)),))


def of(b: Buffer, names: str = "ij") -> Expr:
    return load(b, *map(Axis, names))


def number(value: float) -> Expr:
    return Const(value, "float32")


# fmt: off
SAME = [
    ("other arrays",       nest(U, op("add", of(X), of(Y))),        nest(V, op("add", of(Y), of(Z)))),
    ("an array of both",   nest(U, op("add", of(X), of(Y))),        nest(V, op("add", of(X), of(Z)))),
    ("other names",        nest(U, op("add", of(X), of(Y))),        nest(V, op("add", of(X, "pq"), of(Y, "pq")), "pq")),
]
OTHER = [
    ("one array twice",    nest(U, op("add", of(X), of(Y))),        nest(V, op("add", of(X), of(X)))),
    ("operands exchanged", nest(U, op("sub", of(X), op("mul", of(X), of(Y)))),
                           nest(V, op("sub", of(X), op("mul", of(Y), of(X))))),
    ("minus zero",         nest(U, op("mul", of(X), number(0.0))),  nest(V, op("mul", of(X), number(-0.0)))),
    ("another function",   nest(U, op("exp", of(X))),               nest(V, op("log", of(X)))),
    ("another bound",      nest(U, of(X)),                          nest(V, of(X), rows=3)),
    ("axes exchanged",     nest(U, load(X, op("min", Axis("i"), integer(3)), Axis("j"))),
                           nest(V, load(X, op("min", Axis("j"), integer(3)), Axis("i")))),
    ("another shape",      nest(U, of(X)),                          nest(WIDE, of(X))),
    ("another layout",     nest(U, of(X)),                          nest(TURNED, of(X))),
]
# fmt: on


@pytest.mark.parametrize(("one", "other"), [row[1:] for row in SAME], ids=[row[0] for row in SAME])
def test_names_do_not_count(one: Stmt, other: Stmt) -> None:
    assert form_of((one,), BUFFERS).key == form_of((other,), BUFFERS).key
    p = program((one, other), *BUFFERS)
    assert emit(p, host()).kernels == ("graphnn_kernel0", "graphnn_kernel0")
    assert emit(p, host()).shared == {1: 0}
    data = {b.name: np.random.default_rng(k).random((4, 6), "float32") for k, b in enumerate((X, Y, Z))}
    both = run(p, data)
    np.testing.assert_array_equal(both["u"], run(program((one,), *BUFFERS), data)["u"])
    np.testing.assert_array_equal(both["v"], run(program((other,), *BUFFERS), data)["v"])


@pytest.mark.parametrize(("one", "other"), [row[1:] for row in OTHER], ids=[row[0] for row in OTHER])
def test_all_else_does(one: Stmt, other: Stmt) -> None:
    assert form_of((one,), BUFFERS).key != form_of((other,), BUFFERS).key
    emitted = emit(program((one, other), *BUFFERS), host())
    assert (emitted.kernels, emitted.shared) == (("graphnn_kernel0", "graphnn_kernel1"), {})


PLACES = (2, 3, 1)


def slices(axis: int, second: Sequence[int]) -> Program:
    """y_t = 2 x_t + x_s for t in PLACES and s in `second`, for the slices of x and y along an axis."""
    shape = tuple(5 if k == axis else name for k, name in enumerate(("N", "M", "K")))
    x, y = buffer("x", shape), buffer("y", shape, role="output")
    names = ["ijk"[k] for k in range(3) if k != axis]
    body = []
    for places in zip(PLACES, second, strict=True):
        here, there = ([integer(p) if k == axis else Axis("ijk"[k]) for k in range(3)] for p in places)
        value = op("add", op("mul", Const(2.0, "float32"), load(x, *here)), load(x, *there))
        inner = For(
            names[1], integer(0), Size(shape["ijk".index(names[1])]), (Store("y", tuple(here), value),), "vector"
        )
        body.append(For(names[0], integer(0), Size(shape["ijk".index(names[0])]), (inner,)))
    return program(tuple(body), x, y, sizes=("N", "M", "K"))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(
    ("second", "made"),
    [((2, 3, 1), 1), ((1, 2, 0), 1), ((4, 4, 4), 3)],
    ids=["one slice of x", "two, as far apart each time", "two, further and further apart"],
)
def test_slices_at_different_places_are_other_arrays(axis: int, second: Sequence[int], made: int) -> None:
    p, sizes = slices(axis, second), {"N": 3, "M": 4, "K": 17}
    shape = tuple(5 if k == axis else size for k, size in enumerate(sizes.values()))
    x = np.random.default_rng(axis).random(shape, "float32")
    y = run(p, {"x": x}, sizes)["y"]
    np.testing.assert_array_equal(y.take(PLACES, axis), 2 * x.take(PLACES, axis) + x.take(second, axis))
    assert (y.take([0, 4], axis) == -7).all()
    assert len(set(emit(p, host()).kernels)) == made


def test_each_call_has_the_origin_of_its_formula() -> None:
    emitted = emit(program((nest(U, of(X)), nest(V, of(Y))), *BUFFERS), host())
    lines = {origin.node: line for line, origin in emitted.origins.items()}
    assert lines.keys() == {"origin of u", "origin of v"}
    calls = [text for text in emitted.text.splitlines() if "call i64 @graphnn_kernel0" in text]
    assert len(calls) == 2
    for call, line in zip(calls, lines.values(), strict=True):
        location = call.rsplit("!dbg ", 1)[1]
        assert f"{location} = !DILocation(line: {line}," in emitted.text


def test_with_debug_each_statement_has_its_checks() -> None:
    emitted = emit(program((nest(U, of(X)), nest(V, of(Y))), *BUFFERS), host(), debug=True)
    assert (len(set(emitted.kernels)), emitted.shared) == (2, {})
    assert {check.buffer for check in emitted.checks.values()} == {"x", "y", "u", "v"}


def test_the_code_of_a_network_does_not_grow_with_its_depth() -> None:
    """The LLVM text of ten times the layers: their arrays and calls, and no function more."""

    def predict(depth: int) -> gn.Executable:
        h = gn.Network("deep").input("x", ("N", 16))
        for k in range(depth):
            h = gn.dense(h, 16, activation=gn.tanh, name=f"h{k}")
        return gn.compile(h, cache=False)

    shallow, deep = predict(3), predict(30)
    assert deep.llvm.count("\ndefine ") == shallow.llvm.count("\ndefine ")
    assert [line.endswith(" (code of 0)") for line in deep.kernels] == [False] + 29 * [True]
    assert deep.kernels[7].endswith(" -> h7 (code of 0)")
