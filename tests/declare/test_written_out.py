"""Functions without a native form, written in those that have one."""

import numpy as np
import pytest
import sympy

import graphnn as gn

POINTS = np.linspace(0.2, 1.4, 7)
CASES = {
    "sinh": (sympy.sinh, np.sinh),
    "cosh": (sympy.cosh, np.cosh),
    "coth": (sympy.coth, lambda x: 1 / np.tanh(x)),
    "sech": (sympy.sech, lambda x: 1 / np.cosh(x)),
    "csch": (sympy.csch, lambda x: 1 / np.sinh(x)),
    "tan": (sympy.tan, np.tan),
    "cot": (sympy.cot, lambda x: 1 / np.tan(x)),
}


@pytest.mark.parametrize("name", CASES)
def test_value_and_slope(name):
    formula, function = CASES[name]
    net = gn.Network()
    x = net.input("x", ("N",), dtype="float64")
    y = gn.elementwise("f", lambda t: formula(t) + 0)(x)
    (slope,) = gn.gradients(gn.sum(y), [x])
    value, found = gn.compile([y, slope])(x=POINTS)
    np.testing.assert_allclose(value, function(POINTS), rtol=1e-13)
    step = 1e-5
    central = (function(POINTS + step) - function(POINTS - step)) / (2 * step)
    np.testing.assert_allclose(found, central, rtol=1e-7)
