"""Substitution gives what sympy's own gives, which evaluates everything again."""

import pytest
import sympy

from graphnn.declare.entries import Entry, IntegerEntry
from graphnn.declare.notation import axis_symbol
from graphnn.declare.substitute import substitute

i, j, p = axis_symbol("i0"), axis_symbol("i1"), axis_symbol("p0")
t, u = (sympy.Symbol(name, real=True) for name in ("t0", "t1"))
n = sympy.Symbol("t2", integer=True)


def read(name, *index):
    return Entry(sympy.Symbol(name), sympy.S.Zero, *index)


x, y = read("x", i), read("a", i, j)
LABEL = IntegerEntry(sympy.Symbol("labels"), sympy.S.Zero, i)
EXPRESSIONS = [
    sympy.exp(-t) * u + t * u**2 - 1,
    t + u,
    sympy.Max(0, t - u),
    sympy.Abs(t - u) + sympy.tanh(u - 2 * t),
    sympy.Piecewise((t, sympy.And(i >= 1, i < 5)), (u, t > u), (0, True)),
    sympy.Piecewise((sympy.log(t), sympy.Eq(n, j)), (0, True)) / t,
    sympy.Mul(2, t + u, evaluate=False),
    (1 + sympy.exp(t)) ** -2 * sympy.sqrt(t + u),
    x * sympy.exp(y) + read("x", sympy.floor(i / 2)),
]
MAPPINGS = [
    {t: x, u: y, n: LABEL},
    {t: y, u: x},
    {t: x, u: x},  # two become one
    {t: read("b", 2 * i), i: p},
    {i: p, j: i},
    {i: sympy.S.Zero, t: sympy.S.One},
    {i: 2 * p + 1, t: u, u: t},
    {x: t, y: u},
    {x: t + u, y: sympy.log(t)},
    {sympy.Symbol("elsewhere"): x},
]


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_as_sympy_substitutes(expr):
    for mapping in MAPPINGS:
        plain = expr.xreplace({e: e.xreplace(mapping) for e in expr.atoms(Entry)} | mapping)
        assert substitute(expr, mapping) == (expr if plain == expr else plain)


def test_what_does_not_change_is_the_same_object():
    for expr in EXPRESSIONS:
        assert substitute(expr, {sympy.Symbol("elsewhere"): x}) is expr


def test_the_order_of_terms_is_that_of_new_names():
    """Equal sums are equal objects, however they came about."""
    assert substitute(t + u, {t: y, u: x}).args == (x + y).args
    assert substitute(t * u * sympy.exp(t), {t: y, u: x}).args == (x * y * sympy.exp(y)).args


def test_nothing_but_what_is_declared_is_known_of_an_element():
    for kind, whole in ((Entry, None), (IntegerEntry, True)):
        element = kind(sympy.Symbol("x"), sympy.S.Zero, i)
        known = [element.is_real, element.is_finite, element.is_integer]
        assert known == [True, True, whole]
        assert [element.is_zero, element.is_positive, element.is_even] == [None] * 3
