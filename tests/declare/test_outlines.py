"""What is known of a call from before: the network is the same one, and formulas are made when somebody looks."""

import copy
import json

import numpy as np
import pytest
import sympy

import graphnn as gn
from graphnn.declare import op as op_module
from graphnn.declare import recipe
from graphnn.declare.canonical import canonical_text
from graphnn.declare.outlines import LIMIT, Outlines


@pytest.fixture
def fresh(monkeypatch):
    """Lets what follows start as a new process does, with what is kept; gives what is new since."""

    def start(kept=None):
        made = Outlines()
        made.read = lambda: kept
        monkeypatch.setattr(op_module, "OUTLINES", made)
        return made

    return start


@pytest.fixture
def unbound(monkeypatch):
    """Counts the formulas that are bound to shapes."""
    bound = []
    bind = recipe.bind_formula

    def counted(name, *arguments):
        bound.append(name)
        return bind(name, *arguments)

    monkeypatch.setattr(recipe, "bind_formula", counted)
    return bound


def layers():
    net = gn.Network("net")
    x, y = net.input("x", ("N", 1, 9, 7)), net.input("y", ("N",), "int64")
    h = gn.max_pool(gn.conv2d(x, 2, 3, padding="same", activation=gn.relu, name="a"), 2, padding=1)
    h = gn.dropout(gn.batch_norm(gn.reshape(h, ("N", -1))), 0.5)
    h = gn.dense(h, 3, activation=gn.gelu) + 0.1
    gn.softmax_cross_entropy(h, y, name="loss")
    return net


def test_a_network_declared_from_outlines_is_the_same(fresh, unbound):
    first = fresh()
    net = layers()
    assert unbound
    fresh(first.updated(None))
    unbound.clear()
    again = layers()
    loss, other = net["loss"], again["loss"]
    assert canonical_text(net, [loss]) == canonical_text(again, [other])
    gn.gradients(other, list(again.parameters.values()))
    assert unbound == []
    for name, data in net.graph.nodes(data=True):
        assert again.graph.nodes[name] == data  # now the formulas are made
    assert unbound


def test_values_and_gradients_are_those_of_the_formulas(fresh):
    def run():
        net = gn.Network("net")
        x = net.input("x", ("N", 4))
        y = gn.sum(gn.tanh(x[1:]) * x[:-1])
        return gn.evaluate([y, *gn.gradients(y, [x])], {"x": np.linspace(-1, 1, 12).reshape(3, 4)})

    first = fresh()
    expected = run()
    fresh(first.updated(None))
    for a, b in zip(run(), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_call_like_an_earlier_one_binds_nothing(fresh, unbound):
    fresh()
    net = gn.Network("net")
    x, y = net.input("x", ("N", 4)), net.input("y", ("N", 4))
    a, b = gn.exp(x), gn.exp(y)
    assert unbound == ["exp"]
    assert a.definition is b.definition
    gn.exp(net.input("z", ("N", 5)))
    gn.exp(net.input("w", ("N", 4), "float64"))
    assert unbound == ["exp"] * 3


def test_an_error_is_raised_at_each_call(fresh):
    fresh()
    net = gn.Network("net")
    x, y = net.input("x", (3,)), net.input("y", (4,))
    for _ in range(2):
        with pytest.raises(gn.ShapeError, match="extents 3 and 4"):
            gn.add(x, y)
    with pytest.raises(gn.GraphError, match="constants are finite"):
        gn.add(x, float("inf"))
    with pytest.raises(gn.GraphError, match="add: b is inf"):
        gn.add(x, np.float32("inf"))


def test_sizes_that_are_expressions_are_kept(fresh, unbound):
    def cut():
        net = gn.Network("net")
        x = net.input("x", ("N", 6))
        return gn.square(x[1:]) + x[:-1]

    first = fresh()
    y = cut()
    fresh(first.updated(None))
    unbound.clear()
    again = cut()
    assert again.shape == y.shape == ("N - 1", 6)
    assert unbound == []
    assert again.shape_exprs == y.shape_exprs
    assert copy.deepcopy(again.network)[again.name].shape_exprs == y.shape_exprs


class Plain(float):
    def __repr__(self):
        return "a number"


def times(factor):
    """An op by a function of a user's, whose home and name tell nothing."""

    class Times(sympy.Function):
        @classmethod
        def eval(cls, value):
            return factor * value if value.is_Number else None

        def fdiff(self, argindex=1):
            return sympy.Integer(factor)

    i, A = gn.indices("i"), gn.operands("A")
    return gn.op("times", (i,), A[i] * Times(sympy.Symbol("c")) + Times(A[i]), attributes={"c": 3})


def calls(of):
    """Whether the second call was bound anew, and both results."""
    net = gn.Network("net")
    x = net.input("x", (3,))
    k = net.input("k", (3,), "int64")
    return [op(x if operand == "x" else k) for operand, op in of]


@pytest.mark.parametrize(
    "pair",
    [
        lambda: (("k", lambda k: gn.add(k, 2)), ("k", lambda k: gn.add(k, 2.0))),
        lambda: (("x", gn.leaky_relu), ("x", lambda x: gn.leaky_relu(x, alpha=0.2))),
        lambda: (("x", gn.elementwise("f", lambda t: t + 1)), ("x", gn.elementwise("f", lambda t: t + 2))),
        lambda: (("x", gn.elementwise("f", lambda t: t)), ("x", gn.elementwise("f", lambda t: t, "float64"))),
        lambda: (("x", gn.gelu), ("x", lambda x: gn.gelu(x, approximate=True))),
        lambda: (("x", gn.softplus), ("k", gn.softplus)),
        lambda: (("x", gn.sum), ("x", lambda x: gn.sum(x, keepdims=True))),
        lambda: (("x", lambda x: gn.pad(x, 1, value=2)), ("x", lambda x: gn.pad(x, 1, value=0.5))),
        lambda: (("x", lambda x: x + Plain(1)), ("x", lambda x: x + Plain(2))),
        lambda: (("x", times(2)), ("x", times(5))),
    ],
)
def test_calls_that_differ_are_told_apart(fresh, pair):
    fresh()
    first, second = calls(pair())
    assert (first.definition, first.dtype) != (second.definition, second.dtype)


def test_an_op_written_again_is_known_by_its_formula(fresh, unbound):
    def scaled():
        i, j = gn.indices("i j")
        A, B = gn.operands("A B")
        op = gn.op("scaled", out=(i, j), body=A[i, j] * B[i] * sympy.Symbol("c"), attributes={"c": 2})
        net = gn.Network("net")
        return op(net.input("a", (3, 4)), net.input("b", (3,)))

    first = fresh()
    y = scaled()
    fresh(first.updated(None))
    unbound.clear()
    assert scaled().shape == y.shape
    assert unbound == []


def test_a_gradient_of_a_users_function_is_its_own(fresh, tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHNN_CACHE", "1")
    monkeypatch.setenv("GRAPHNN_CACHE_DIR", str(tmp_path / "cache"))
    for factor in (2, 5):
        fresh()
        x = gn.Network("net").input("x", (3,))
        (gradient,) = gn.gradients(gn.sum(times(factor)(x, c=0)), [x])  # reads its derivative alone
        np.testing.assert_array_equal(gn.compile(gradient)(), np.full(3, factor, "f"))


def test_a_function_without_a_home_is_declared(fresh):
    fresh()
    i, A = gn.indices("i"), gn.operands("A")
    y = gn.op("unknown", (i,), sympy.Function("g")(A[i]))(gn.Network("net").input("x", (3,)))
    with pytest.raises(gn.GraphError, match="does not know the function 'g'"):
        gn.evaluate(y, {"x": np.ones(3, "f")})


def test_a_size_by_name_is_that_of_the_network(fresh):
    fresh()
    y = gn.Network("net").input("y", ("N",))
    (i, j), A = gn.indices("i j"), gn.operands("A")
    sizes = sympy.Symbol("N") + 1, A.shape[0] + 1
    sums = [gn.op("sums", (i,), gn.Sum(A[j], j) + i, {i: size})(y) for size in sizes]
    total = gn.add(*map(gn.square, sums))
    np.testing.assert_array_equal(gn.evaluate(total, {"y": np.ones(2, "f")}), [8, 18, 32])


def test_assumptions_on_an_attribute_count(fresh):
    fresh()
    x = gn.Network("net").input("x", (3,))
    definitions = []
    for given in ({"positive": True}, {"real": True}):
        i, A = gn.indices("i"), gn.operands("A")
        op = gn.op("root", (i,), A[i] * sympy.sqrt(sympy.Symbol("c", **given) ** 2), attributes={"c": -2})
        definitions.append(op(x).definition)
    assert definitions[0] != definitions[1]  # sqrt(c^2) is c, and |c|


def test_what_is_kept_is_limited_to_the_latest(fresh):
    made = fresh()
    x = gn.Network("net").input("x", ())
    for n in range(3):
        gn.multiply(x, n + 2)
    old = b"{" + b",".join(b'"%d": []' % n for n in range(LIMIT)) + b"}"
    kept = json.loads(made.updated(old))
    assert len(kept) == LIMIT
    assert "2" not in kept
    assert "3" in kept
    assert made.updated(old) is None  # nothing is new since


def test_a_step_in_a_known_network_is_refused_at_the_call(fresh):
    def stepped():
        net = gn.Network("net")
        x = net.input("x", (3,))
        return gn.sum(gn.step(x)), x

    first = fresh()
    stepped()
    fresh(first.updated(None))
    y, x = stepped()
    with pytest.raises(gn.DeriveError, match=r"step: the formula .* is piecewise constant"):
        gn.gradients(y, [x])


def test_ways_of_an_outline():
    net = gn.Network("net")
    x, y, c = net.input("x", (3,)), net.input("y", (3,)), net.input("c", (3,), "bool")
    for tensor, ways, held in (
        (gn.maximum(x, y), 2, 0),
        (gn.where(c, x, y), 2, 1),
        (gn.step(x), 0, 1),
        (gn.less(x, y), 0, 2),
        (gn.identity(x), 1, 0),
    ):
        assert (len(tensor.outline.ways), len(tensor.outline.held)) == (ways, held), tensor
    assert x.outline is None
