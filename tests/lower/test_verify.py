"""Every way in which a program can be invalid, and that the error names the statement."""

from __future__ import annotations

import re

import pytest

from graphnn.errors import CompileError
from graphnn.lower.ir import Accumulate, Buffer, Contract, Fold, For, If, Let, Program, Store, Transform, Way
from graphnn.lower.verify import verify
from graphnn.simplify.expr import Local, Op
from tests.lower.make import at, e, op, span, total

F, I = "float32", "int64"
BUFFERS = (
    Buffer("x", F, (e("N"), e(4)), "input", (0, 1)),
    Buffer("k", I, (e("N"),), "input", (0,)),
    Buffer("y", F, (e("N"),), "output", (0,)),
)
ZERO = e(0.0)


def program(*body, buffers=BUFFERS, sizes=("N",)):
    return Program("p", sizes, buffers, body)


def loop(*body, kind="serial", axis="i0"):
    return For(axis, e(0), e("N"), body, kind)


def fold(value, *ranges, guard=None, reducer="sum", name="s0"):
    return Fold(name, reducer, ranges or (span("r0", 4),), guard, value)


def store(value=ZERO, buffer="y", index=("i0",)):
    return Store(buffer, tuple(map(e, index)), value)


def contract(a=None, b=None, k=None, n=None, body=(), lanes=1):
    a = at("x", "m0", "k0") if a is None else a
    b = at("x", "k0", "n0") if b is None else b
    n = span("n0", 4) if n is None else n
    return Contract("s0", span("m0", "N"), n, (span("k0", 4) if k is None else k,), a, b, body, lanes=lanes)


def transform(value=None, *, body=(), matrix=((1.0, 0.0), (0.5, -1.0))):
    value = at("x", "i", "j") if value is None else value
    return Transform("v", Way("p", "i", matrix), Way("q", "j", ((1.0,),)), value, body)


def test_valid_program():
    body = (
        loop(
            fold(op("mul", at("x", "i0", "r0"), at("x", "i0", "r0")), span("r0", 4), guard=op("lt", "r0", "i0")),
            If(op("lt", ZERO, Local("s0", F)), (Let("t0", op("sqrt", Local("s0", F))), store(Local("t0", F)))),
            Accumulate("y", (at("k", "i0", dtype=I),), "max", op("cast", "i0", dtype=F)),
            kind="vector",
        ),
        loop(store(), axis="i0"),  # a sibling may reuse a name
        contract(body=(Store("y", (e("m0"),), Local("s0", F)), Let("t0", e("n0")))),
        contract(k=span("k0", op("add", "N", 4), "N"), lanes=4),
        transform(body=(Store("y", (op("add", "p", "q"),), Local("v", F)),)),
        fold(at("x", "r0", "r1"), span("r0", 4), span("r1", op("add", "r0", 1))),  # triangular
    )
    verify(program(*body))


INVALID = [
    ("the buffer z is unknown", loop(store(buffer="z"))),
    ("the buffer z is unknown", loop(store(at("z", "i0")))),
    ("y[j] = 0.0 the axis j is not bound here", loop(store(index=("j",)))),
    ("the axis r0 is not bound here", loop(fold(at("x", "i0", "r0")), store(at("x", "i0", "r0")))),
    ("y[i0] = s0 the local s0 is not bound here", loop(store(Local("s0", F)))),
    ("the local s0 is not bound here", loop(fold(ZERO)), loop(store(Local("s0", F)))),
    ("the local s0 is float32, not float64", loop(fold(ZERO), store(op("cast", Local("s0", "float64"), dtype=F)))),
    ("for i0 in 0 .. M: the size M is unknown", For("i0", e(0), e("M"), ())),
    ("1 indices for the buffer x, which has 2 axes", loop(store(at("x", "i0")))),
    ("2 indices for the buffer y, which has 1 axes", loop(store(index=("i0", "i0")))),
    ("the index of y, 0.0, is float32, not int64", store(index=(0.0,))),
    ("add of float32, int64: the operands of (0.0 + 1) must agree", loop(store(Op("add", (ZERO, e(1)), F)))),
    ("exp of int64: the operands of exp(1) must agree in one of float32, float64", store(op("exp", 1), index=(0,))),
    ("not of int64", If(op("not", 1), ())),
    ("the condition of select(1, 0.0, 0.0) is int64, not bool", loop(store(op("select", 1, ZERO, ZERO)))),
    ("(0.0 < 0.0) is bool, but typed as float32", loop(store(Op("lt", (ZERO, ZERO), F)))),
    ("add takes 2 arguments, not 1", loop(store(Op("add", (ZERO,), F)))),
    ("the function gelu is unknown", loop(store(Op("gelu", (ZERO,), F)))),
    ("the value for y, 1, is int64, not float32", loop(store(e(1)))),
    ("the buffer k is int64, loaded as float32", loop(store(at("k", "i0")))),
    ("the condition, 1, is int64, not bool", If(e(1), ())),
    ("the guard, 1, is int64, not bool", fold(ZERO, guard=e(1))),
    ("the bound of i0, 1.5, is float32, not int64", For("i0", e(0), e(1.5), ())),
    ("the name i0 is already bound here", loop(loop())),
    ("the name r0 is already bound here", fold(ZERO, span("r0", 4), span("r0", 4))),
    ("let s0 = 0.0 the name s0 is already bound here", fold(ZERO), Let("s0", ZERO)),
    ("let N = 0.0 the name N is already bound here", Let("N", ZERO)),
    ("the bound i0 differs between lanes, by i0", loop(fold(ZERO, span("r0", "i0")), kind="vector")),
    ("differs between lanes, by t0", loop(Let("t0", e("i0")), fold(ZERO, span("r0", Local("t0", I))), kind="vector")),
    ("the bound i0 differs between lanes, by i0", loop(For("i1", e("i0"), e("N"), ()), kind="vector")),
    ("the buffer x is an input, which nothing may store into", loop(store(buffer="x", index=("i0", 0)))),
    ("is an input", Accumulate("x", (e(0), e(0)), "sum", ZERO)),
    ("the factor x[n0, k0] depends on n0", contract(a=at("x", "n0", "k0"))),
    ("the factor x[m0, k0] depends on m0", contract(b=at("x", "m0", "k0"))),
    ("the axis m0 is not bound here", contract(k=span("k0", "m0"))),
    ("the axis m0 is not bound here", contract(n=span("n0", "m0"))),
    ("the axis k0 is not bound here", contract(body=(store(at("x", "k0", 0), index=("m0",)),))),
    ("the factors are int64 and int64", contract(a=e(1), b=e(1))),
    ("6 lanes are no power of two", contract(lanes=6)),
    ("3 lanes are no power of two", Fold("s0", "sum", (span("r0", 4),), None, ZERO, lanes=3)),
    ("terms in lanes have a range and no guard", Fold("s0", "sum", (span("r0", 4),), op("lt", 0, 1), ZERO, lanes=2)),
    ("terms in lanes have a range and no guard", Fold("s0", "sum", (), None, ZERO, lanes=2)),
    ("0 lanes are no power of two", contract(lanes=0)),
    ("the last range of k is no constant multiple of 8 lanes", contract(lanes=8)),
    ("the last range of k is no constant multiple of 2 lanes", contract(k=span("k0", "N"), lanes=2)),
    ("the axis p is not bound here", transform(at("x", "p", 0))),
    ("the axis i is not bound here", transform(body=(store(at("x", "i", 0), index=(0,)),))),
    ("the local v is not bound here", transform(), store(Local("v", F), index=(0,))),
    ("what is transformed is int64, not a floating dtype", transform(e(1))),
    ("the rows of the matrix of p and i are not as long as each other", transform(matrix=((1.0,), (1.0, 2.0)))),
    ("the rows of the matrix of p and i are not as long as each other", transform(matrix=())),
    ("a row of the matrix of p and i is 0", transform(matrix=((1.0, 2.0), (0.0, 0.0)))),
    ("the reducer mean is none of sum, prod, max, min", fold(ZERO, reducer="mean")),
    ("the reducer mean is none of", Accumulate("y", (e(0),), "mean", ZERO)),
    ("a bool has no max", fold(e(True), reducer="max")),
    ("the kind tiled is none of serial, parallel, vector", loop(kind="tiled")),
    ("a Reduce is no expression of the loop IR", loop(store(total("sum", [span("r0", 4)], ZERO)))),
]


@pytest.mark.parametrize(("message", "body"), [(case[0], case[1:]) for case in INVALID])
def test_invalid_statement(message, body):
    with pytest.raises(CompileError, match=re.escape(message)):
        verify(program(*body))


@pytest.mark.parametrize(
    ("message", "buffers", "sizes"),
    [
        ("buffer y: the layout (0, 0) is not a permutation of its 2 axes", [("y", (4, 4), (0, 0))], ()),
        ("buffer y: the layout (0,) is not a permutation of its 2 axes", [("y", (4, 4), (0,))], ()),
        ("buffer y: the extent k[0] may hold constants and sizes only", [("y", (at("k", 0, dtype=I),), (0,))], ()),
        ("buffer y: the size N is unknown", [("y", ("N",), (0,))], ()),
        ("buffer y: the extent 1.5 is float32, not int64", [("y", (1.5,), (0,))], ()),
        ("the name y is declared twice", [("y", (), ()), ("y", (), ())], ()),
        ("the name y is declared twice", [("y", (), ())], ("y",)),
    ],
)
def test_invalid_declaration(message, buffers, sizes):
    made = tuple(Buffer(name, F, tuple(map(e, shape)), "output", layout) for name, shape, layout in buffers)
    with pytest.raises(CompileError, match=re.escape(message)):
        verify(program(buffers=made, sizes=sizes))


HELD = (*BUFFERS, *(Buffer(name, F, (e(4),), role, (0,)) for name, role in (("w", "state"), ("p", "prepared"))))
FILL = For("i1", e(0), e(4), (store(at("w", "i1"), "p", ("i1",)),))


def test_valid_preparation():
    verify(program(FILL, loop(store(at("p", 0))), buffers=HELD))


@pytest.mark.parametrize(
    ("message", "body"),
    [
        ("must come before all else", (loop(store()), FILL)),
        ("depends on or changes x, too", (store(at("x", 0, 0), "p", (0,)),)),
        ("depends on or changes w, too", (FILL, store(ZERO, "w", (0,)))),
        ("depends on or changes y, too", (For("i1", e(0), e(1), (store(ZERO, "p", (0,)), store(ZERO, "y", (0,)))),)),
        ("depends on or changes N, too", (store(op("cast", "N", dtype=F), "p", (0,)),)),
        ("must come before all else", (Let("t0", at("w", 0)), store(Local("t0", F), "p", (0,)))),
    ],
)
def test_invalid_preparation(message, body):
    with pytest.raises(CompileError, match=re.escape(message)):
        verify(program(*body, buffers=HELD))


def test_the_extents_of_prepared_buffers_are_numbers():
    with pytest.raises(CompileError, match="the extent N of a prepared buffer is no number"):
        verify(program(buffers=(Buffer("p", F, (e("N"),), "prepared", (0,)),)))
