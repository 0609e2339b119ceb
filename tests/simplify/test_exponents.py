"""Exponentials with constants of many digits: cancelling takes powers of what the exponents have in common."""

import numpy as np
import sympy

from graphnn.declare.network import Network
from graphnn.declare.notation import Operand
from graphnn.declare.op import elementwise
from graphnn.derive.sweep import gradients
from graphnn.ops.elementwise import multiply
from graphnn.ops.reduction import sum as sum_over
from graphnn.pipeline import compile
from graphnn.simplify.algebra import reduce_rational

A, S = sympy.Rational("1.7159"), sympy.Rational(2, 3)
ENTRY = Operand("x")[()]


def test_exponents_are_multiples_of_what_they_have_in_common():
    unit = sympy.Rational(17159, 15000)
    t = sympy.exp(unit * ENTRY)
    numerator, denominator = sympy.fraction(reduce_rational((t**2 - 1) / (t + 1)))
    assert denominator == 1
    assert sympy.expand(numerator - (t - 1)) == 0
    mixed = reduce_rational((sympy.exp(ENTRY / 2) - sympy.exp(ENTRY / 3)) / (sympy.exp(ENTRY / 6) - 1))
    assert mixed == sympy.exp(ENTRY / 3)


def test_a_tanh_of_a_tanh_with_scales_of_five_digits():
    """Over exp(z/15000) the quotient would have the degree 17159."""
    scaled = elementwise(
        "scaled", lambda x: A * (sympy.exp(S * x) - sympy.exp(-S * x)) / (sympy.exp(S * x) + sympy.exp(-S * x))
    )
    net = Network()
    x, w = net.input("x", ("N",), dtype="float64"), net.parameter("w", (), init=0.7, dtype="float64")
    y = scaled(multiply(scaled(x), w))
    values = np.array([-300.0, -1.3, 0.0, 0.4, 2.0, 300.0])
    inner = 1.7159 * np.tanh(2 / 3 * values)
    found, slope = compile([y, *gradients(sum_over(y), [w])])(x=values)
    np.testing.assert_allclose(found, 1.7159 * np.tanh(2 / 3 * 0.7 * inner), rtol=1e-12)
    expected = (1.7159 * 2 / 3 * inner / np.cosh(2 / 3 * 0.7 * inner) ** 2).sum()
    np.testing.assert_allclose(slope, expected, rtol=1e-12)
