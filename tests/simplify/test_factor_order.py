"""Factors of a product stand in the order in which they are known, whatever their names."""

import graphnn as gn
from graphnn.simplify.formula import print_formulas
from graphnn.simplify.passes import simplify


def formulas(scale: float) -> str:
    net = gn.Network()
    z, x, weights = net.input("z", (4,)), net.input("x", (3,)), net.parameter("W", (3, 4))
    a = gn.matmul(x, weights, name="a")
    return print_formulas(simplify(net, [scale * a * z, a]).program)


def test_what_is_computed_later_is_multiplied_in_later() -> None:
    assert "= 0.5*z[i0]*a[i0]" in formulas(0.5)


def test_products_of_two_keep_their_order() -> None:
    assert "= a[i0]*z[i0]" in formulas(1.0)
