"""The parts of an expression are those that sympy's walk finds."""

import pytest
import sympy

from graphnn.declare.entries import Entry
from graphnn.declare.notation import axis_symbol, operands
from graphnn.declare.parts import find_parts

i, j = axis_symbol("i0"), axis_symbol("i1")
TABLE, INPUT = operands("T X", integer=["T"])
BODY = sympy.Piecewise((sympy.exp(INPUT[TABLE[i], j]) / 2 + INPUT[i, j], sympy.And(i > j, j >= 2)), (0, True))


@pytest.mark.parametrize("kinds", [(Entry,), (sympy.exp, sympy.Pow), (sympy.Gt, sympy.Ge), (sympy.Mod,)], ids=str)
def test_parts_are_those_of_sympy(kinds):
    assert find_parts(BODY, *kinds) == BODY.atoms(*kinds)


def test_an_expression_is_a_part_of_itself():
    assert find_parts(INPUT[i], Entry) == {INPUT[i]}
