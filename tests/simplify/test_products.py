"""Sums of exponentials as products: one exponential is one unknown, whatever numbers are in its exponent."""

import sympy

from graphnn.simplify.bounded import as_product

x, y = sympy.symbols("x y", real=True)


def test_a_complement_is_a_product_in_the_exponential_as_it_stands():
    for u in (x, sympy.Rational(40, 3) * x - sympy.Rational(25, 3) * y, (x - y / 9) / sympy.sqrt(y / 9 + 1)):
        E = sympy.exp(u)
        tanh = (E - 1 / E) / (E + 1 / E)
        found = as_product(1 - tanh**2)
        assert found.is_Mul
        point = {x: sympy.Rational(1, 7), y: sympy.Rational(2, 5)}
        assert abs(sympy.N((found - (1 - tanh**2)).xreplace(point), 30)) < 1e-25
        assert max((abs(e.args[0] / u).evalf(subs=point) for e in found.atoms(sympy.exp)), default=0) < 4.5


def test_exponents_without_a_common_one_are_left_to_rational_algebra():
    found = as_product(1 - sympy.exp(x) / (sympy.exp(x) + sympy.exp(y)))
    assert sympy.simplify(found - sympy.exp(y) / (sympy.exp(x) + sympy.exp(y))) == 0
    assert found.is_Mul
