"""Offsets, slopes, and what expressions and statements depend on."""

from __future__ import annotations

import numpy as np
import pytest

from graphnn.emit.access import bound_by, expressions_in, invariants, names_in, offset_of, slope, written_by
from graphnn.lower.ir import Accumulate, Contract, Fold, For, If, Let, Store
from graphnn.simplify.expr import Axis, Const, Expr, Local, Op, Range, Size, text
from tests.emit.native import buffer, integer, load, op

I, J = Axis("i"), Axis("j")
N = Size("N")
W = buffer("W", ("N", 64))
T = buffer("token", ("N",), "int64")


def test_an_offset_follows_the_layout() -> None:
    """W[i, j], W of shape (N, 64)  ->  i*64 + j, transposed j*N + i."""
    assert text(offset_of(W, (I, J))) == "(i*64 + j)"
    assert text(offset_of(buffer("W", ("N", 64), layout=(1, 0)), (I, J))) == "(j*N + i)"
    assert text(offset_of(buffer("y", ()), ())) == "0"


@pytest.mark.parametrize("layout", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_offsets_are_numpys(layout: tuple[int, ...]) -> None:
    shape = (3, 4, 5)
    b = buffer("b", shape, layout=layout)
    positions = np.arange(60).reshape([shape[axis] for axis in layout]).transpose(np.argsort(layout))
    for index in np.ndindex(shape):
        assert offset_of(b, tuple(map(integer, index))) == integer(int(positions[index]))


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (op("add", op("mul", I, integer(64)), J), "64"),
        (op("sub", integer(7), op("neg", op("mul", integer(2), I))), "2"),
        (op("mul", I, op("mul", N, integer(3))), "N*3"),
        (op("mul", J, N), "0"),
        (load(T, J), "0"),
        (op("mul", I, I), None),
        (op("floordiv", I, integer(2)), None),
        (op("add", J, load(T, I)), None),
    ],
)
def test_slope(expr: Expr, expected: str | None) -> None:
    """slope(i0*(N*64) + r0, "i0") -> N*64"""
    found = slope(expr, "i")
    assert (None if found is None else text(found)) == expected


def test_names() -> None:
    assert names_in(op("mul", load(W, load(T, I), J), Local("t", "float32"))) == {"@W", "@token", "i", "j", "t"}
    assert names_in(op("add", N, integer(1))) == frozenset()


def test_invariants() -> None:
    """invariants(exp(x[i])*w[j], {j}) -> exp(x[i]); nothing of an arm that may not be evaluated."""
    x, w = buffer("x", ("N",)), buffer("w", ("N",))
    root = op("exp", load(x, I))
    changing = frozenset(("j",))
    assert list(invariants(op("mul", root, load(w, J)), changing)) == [root]
    chosen = Op("select", (op("lt", J, op("add", I, N)), root, load(w, J)), "float32")
    assert list(map(text, invariants(chosen, changing))) == ["(i + N)"]
    assert list(invariants(root, frozenset(("@x",)))) == []


def test_statements() -> None:
    one, t = Const(1.0, "float32"), Local("t", "float32")
    span = Range("k", integer(0), N)
    body = (
        For("i", integer(0), N, (Let("l", I), If(op("lt", I, N), (Store("y", (I,), one),)))),
        Fold("t", "sum", (Range("r", integer(0), N),), op("lt", Axis("r"), integer(9)), load(T, Axis("r"))),
        Contract("c", Range("m", integer(0), N), Range("n", integer(0), N), (span,), one, one, (Let("q", t),)),
        Accumulate("z", (J,), "sum", t),
    )
    assert bound_by(body) == {"i", "l", "t", "r", "c", "m", "n", "k", "q"}
    assert written_by(body) == {"@y", "@z"}
    found = [text(e) for e in expressions_in(body)]
    assert found == (
        ["0", "N", "i", "(i < N)", "i", "1.0", "0", "N", "(r < 9)", "token[r]"] + ["0", "N"] * 3 + ["1.0", "1.0", "t"]
        + ["j", "t"]
    )  # fmt: skip
