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


def two_layers():
    """(loss, its tensors) of a net of two sigmoid layers without biases."""
    net = gn.Network("two")
    x, y = net.input("x", ("N", 3)), net.input("y", ("N", 2))
    a = gn.dense(x, 4, gn.sigmoid, bias=False, name="a")
    b = gn.dense(a, 2, gn.sigmoid, bias=False, name="b")
    loss = gn.quadratic(b, y, name="C")
    return loss, net.ancestors([loss])


def test_a_formula_goes_down_to_the_tensors_that_are_named():
    loss, forward = two_layers()
    net = loss.network
    outer, inner = gn.gradients(loss, [net["b.z"], net["a.z"]])
    assert str(gn.formula(inner, down_to=[*forward, outer])) == (
        "(1 - a[i0, i1])*a[i0, i1]*sum[r0](b.W[i1, r0]*dC/db.z[i0, r0])"
    )
    assert str(gn.formula(net["b.z"], down_to=[])) == "sum[r0](b.W[r0, i1]/(1 + exp(-sum[r1](a.W[r1, r0]*x[i0, r1]))))"


def test_each_sum_within_a_sum_has_an_axis_of_its_own():
    net = gn.Network("chain")
    A, B, C = (net.input(name, (2, 2)) for name in "ABC")
    left = gn.matmul(gn.matmul(A, B), C, name="left")
    right = gn.matmul(A, gn.matmul(B, C), name="right")
    assert str(gn.formula(left, down_to=())) == "sum[r0](C[r0, i1]*sum[r1](A[i0, r1]*B[r1, r0]))"
    assert str(gn.formula(right, down_to=())) == "sum[r0](A[i0, r0]*sum[r1](B[r0, r1]*C[r1, i1]))"
    square = gn.matmul(left, left, name="square")
    assert str(gn.formula(square, down_to=[left])) == "sum[r0](left[i0, r0]*left[r0, i1])"


def test_latex_takes_names_and_shows_gradients_as_partial_derivatives():
    loss, forward = two_layers()
    net = loss.network
    (error, by_weight) = gn.gradients(loss, [net["b.z"], net["b.W"]])
    names = {"a": "a^1", "b": "a^2", error.name: r"\delta^2"}
    assert gn.latex(by_weight, down_to=[*forward, error]) == (
        r"\left(\frac{\partial C}{\partial \mathrm{b.W}}\right)_{i j} = \sum_{r} a_{r i} "
        r"\left(\frac{\partial C}{\partial \mathrm{b.z}}\right)_{r j}"
    )
    assert gn.latex(by_weight, names, [*forward, error]).endswith(r" = \sum_{r} a^1_{r i} \delta^2_{r j}")
    assert gn.latex(gn.square(net["a"], name="s"), names) == r"s_{i j} = \left(a^1_{i j}\right)^{2}"
    assert r"\frac{\partial C}{\partial \mathrm{b.z}}" in gn.derivation(loss, net["b.z"]).latex()
    assert r"\delta^2_{i j}" in gn.derivation(loss, net["b.z"]).latex(names)


def test_a_person_s_own_name_is_no_partial_derivative():
    net = gn.Network("own")
    x = net.input("x", (2,))
    assert gn.latex(gn.square(x, name="dx/dx")) == r"\mathrm{dx/dx}_{i} = x_{i}^{2}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"down_to": ["x"]}, "down_to= takes Tensors; a str is given"),
        ({"down_to": [gn.Network("other").input("z", ())]}, "'z', a tensor of another network"),
        ({"names": {"x": 1}}, "names= is a dict of LaTeX by name"),
    ],
)
def test_names_and_stops_are_checked(arguments, message):
    y = gn.square(gn.Network().input("x", ()), name="y")
    with pytest.raises(gn.GraphError, match=message):
        gn.latex(y, **arguments)


def test_names_and_stops_are_refused_where_they_say_nothing():
    with pytest.raises(gn.GraphError, match="down_to= is for a Tensor"):
        gn.latex(gn.sigmoid, down_to=[])
    with pytest.raises(gn.GraphError, match=r"a derivation's \.latex takes it"):
        gn.latex(gn.derivation(gn.exp), names={})


def test_what_lies_before_a_stop_is_not_expanded():
    net = gn.Network("doubling")
    x = net.input("x", ())
    for _ in range(40):
        x = gn.multiply(x, x + 1)  # written out, 2^40 terms
    assert str(gn.formula(gn.square(x), down_to=[x])) == f"{x.name}**2"
