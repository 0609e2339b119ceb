import pytest
import sympy

import graphnn as gn


def test_latex_of_an_op_as_written():
    assert gn.latex(gn.sigmoid) == r"\mathrm{sigmoid}_{\ldots} = \frac{1}{1 + e^{- x_{\ldots}}}"
    n, i, j = gn.indices("n i j")
    A, M = gn.operands("A M")
    product = gn.op("product", out=(n, j), body=gn.Sum(A[n, i] * M[i, j], i))
    assert gn.latex(product) == r"\mathrm{product}_{n j} = \sum_{i} A_{n i} M_{i j}"


def test_latex_of_an_expression_and_of_what_has_a_latex_of_its_own():
    assert gn.latex(sympy.Symbol("w") / 2) == r"\frac{w}{2}"
    assert gn.latex(gn.SGD(0.1)).startswith(r"\begin{aligned}")
    assert gn.latex(gn.derivation(gn.exp)).startswith(r"\begin{align*}")


@pytest.mark.parametrize(
    ("what", "named"),
    [
        (gn.softmax, "'softmax' is a composition of ops, which gives a Tensor when it is called on one"),
        (gn.Adam, "'adam' is to be called first"),
        (gn.Network(), "a Network is given"),
        ("x", "a str is given"),
        (None, "a NoneType is given"),
    ],
)
def test_what_has_no_formula_is_named(what, named):
    for show in (gn.formula, gn.latex):
        with pytest.raises(gn.GraphError, match=named) as caught:
            show(what)
        assert " at 0x" not in str(caught.value)


def test_an_op_has_a_formula_when_it_is_called():
    with pytest.raises(gn.GraphError, match="'sigmoid' is an op, which gives a Tensor when it is called on one"):
        gn.formula(gn.sigmoid)
    with pytest.raises(gn.GraphError, match="'x' is an input and has no formula"):
        gn.formula(gn.Network().input("x", (2,)))
