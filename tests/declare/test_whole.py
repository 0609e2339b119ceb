"""What is written at once is what sympy writes after its questions."""

import random

import pytest
import sympy
from sympy.logic.boolalg import BooleanAtom

from graphnn.declare.notation import axis_symbol, operands, size_symbol
from graphnn.declare.whole import choose, compare, equate, extreme_of, floor_of, remainder_of, replace_within

i, j, k, N = axis_symbol("i0"), axis_symbol("r1"), axis_symbol("p2"), size_symbol("N")
TABLE, INPUT = operands("X Y", integer=["X"])
ATOMS = (i, j, k, N, sympy.Symbol("t0", integer=True), sympy.Symbol("t1", real=True), TABLE[i], INPUT[i])
INEQUALITIES = (sympy.Ge, sympy.Gt, sympy.Le, sympy.Lt)


def quasi_affine(draw, divided=False):
    """A sum of a few atoms or quotients of them, over numbers where it is `divided`."""
    total = draw.choice([0, 0, 1, -1, 2, 7, -8, sympy.Rational(7, 5) if divided else 3])
    for atom in draw.sample(ATOMS, draw.randint(1, 3)):
        part = sympy.floor(atom / draw.randint(2, 5)) if draw.random() < 0.25 else atom
        total += part * sympy.Rational(draw.choice([1, 1, 1, -1, 2, 5, -3]), draw.choice([1, 2, 25]) if divided else 1)
    return total


@pytest.mark.parametrize("seed", range(40))
def test_indices_are_written_as_sympy_writes_them(seed):
    draw = random.Random(seed)
    divided, whole = quasi_affine(draw, divided=True), quasi_affine(draw)
    assert floor_of(divided) == sympy.floor(divided)
    for divisor in map(sympy.sympify, (1, 2, 5, 10, N, i)):
        assert remainder_of(whole, divisor) == sympy.Mod(whole, divisor)
        assert remainder_of(i, divisor) == sympy.Mod(i, divisor)
    for relation in INEQUALITIES:
        for bound in (sympy.S.Zero, sympy.Integer(28), N, quasi_affine(draw)):
            assert compare(relation, whole, bound) == relation(whole, bound)
    for bound in (sympy.S.Zero, sympy.Integer(28), N, quasi_affine(draw)):
        for relation in (sympy.Eq, sympy.Ne):
            assert equate(relation, whole, bound) == relation(whole, bound)
        for kind in (sympy.Max, sympy.Min):
            assert extreme_of(kind, (whole, bound)) == kind(whole, bound)
    mapping = {i: quasi_affine(draw), j: k, k: j}
    assert replace_within(sympy.floor(divided), mapping) == sympy.floor(divided).xreplace(mapping)
    assert replace_within(whole < 3, mapping) == (whole < 3).xreplace(mapping)


@pytest.mark.parametrize("seed", range(40))
def test_choices_are_written_as_sympy_writes_them(seed):
    draw = random.Random(seed)
    value, parts = 3 * TABLE[j], [relation(quasi_affine(draw), draw.choice([0, 5])) for relation in INEQUALITIES]
    for condition in (*parts, sympy.And(*draw.sample(parts, 2)), sympy.Or(*parts[:2]), sympy.Eq(i, j), sympy.Ne(j, i)):
        if not isinstance(condition, BooleanAtom):
            assert choose((value, condition)) == sympy.Piecewise((value, condition), (0, True))


def test_what_sympy_decides_is_decided():
    assert compare(sympy.Ge, 2 * i + j, sympy.S.Zero) == sympy.true
    assert compare(sympy.Lt, i + 1, sympy.S.Zero) == sympy.false
    assert compare(sympy.Gt, -i - 1, sympy.S.Zero) == sympy.false
    assert equate(sympy.Eq, 2 * i, sympy.Integer(3)) == sympy.false
    assert equate(sympy.Ne, i, sympy.Integer(-1)) == sympy.true
    assert extreme_of(sympy.Max, (i, sympy.Integer(-1))) == i
    assert remainder_of(3 * i, sympy.Integer(3)) == 0
    assert floor_of(sympy.Rational(7, 2)) == 3
    assert choose((i, sympy.true)) == i
    assert choose((i, sympy.false)) == 0
    assert choose((i, i > j), (i, sympy.true)) == i
