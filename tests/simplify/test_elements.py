"""Formulas that differ in what they read are the same to the algebra."""

import sympy

from graphnn.declare.entries import Entry, IntegerEntry
from graphnn.declare.notation import axis_symbol
from graphnn.simplify.elements import outermost, take_out

i, j = axis_symbol("i0"), axis_symbol("i1")


def read(name, *index, kind=Entry):
    return kind(sympy.Symbol(name), sympy.S.Zero, *map(sympy.sympify, index))


def test_alike_formulas_become_one():
    first = sympy.exp(read("z", i)) / (read("s") + sympy.exp(read("z", i)))
    second = sympy.exp(read("logits", i, 2 * j)) / (read("b", 1) + sympy.exp(read("logits", i, 2 * j)))
    (plain, elements), (other, others) = take_out(first), take_out(second)
    assert plain == other
    assert plain.xreplace(elements) == first
    assert other.xreplace(others) == second


def test_kinds_and_repetitions_are_kept_apart():
    def plain(expr):
        return take_out(expr)[0]

    assert plain(read("x", i) * read("x", j)) != plain(read("x", i) ** 2)
    assert plain(2 * read("x", i)) != plain(2 * read("x", i, kind=IntegerEntry))


def test_conditions_stay_as_they_are():
    condition = read("x", i) > read("y", i)
    expr = sympy.Piecewise((read("x", i) / read("z", i), condition), (0, True))
    plain, elements = take_out(expr)
    assert plain.args[0].cond == condition
    assert list(elements.values()) == [read("z", i)]


def test_accesses_within_indices_are_not_outermost():
    label = read("labels", i, kind=IntegerEntry)
    assert set(outermost(read("table", label, j) + label)) == {label, read("table", label, j)}
