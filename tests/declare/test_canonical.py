"""The text that tells programs apart: other than what is printed for people, it leaves nothing out."""

import sympy

import graphnn as gn
from graphnn.declare.canonical import canonical_text
from graphnn.declare.text import formula


def text(tensor):
    return canonical_text(tensor.network, tensor.network.ancestors([tensor]))


def scaled(factor, dtype="float32", shape=(3,), more=False):
    net = gn.Network("net")
    x = net.input("x", shape, dtype)
    if more:
        gn.exp(x)
    return factor * x


def test_equal_programs_have_equal_texts_whatever_else_is_declared():
    assert text(scaled(2)) == text(scaled(2)) == text(scaled(2, more=True))


def test_other_programs_have_other_texts():
    programs = [scaled(2), scaled(3), scaled(2, "float64"), scaled(2, shape=(4,)), scaled(2, shape=("N",))]
    assert len({text(p) for p in programs}) == len(programs)


def test_numbers_are_written_to_the_last_bit():
    t = sympy.Symbol("t0", real=True)
    assert formula(sympy.Rational(1, 3) * t) != formula(sympy.Float(1 / 3) * t)
    assert formula(sympy.Float(0.1)) != formula(sympy.Float(0.1 + 2**-56))
    assert formula(sympy.Dummy("t0")) != formula(sympy.Dummy("t0"))
