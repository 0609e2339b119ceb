"""A derivation's steps are equations that hold, each names its node, and it leaves the network as it found it."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import sympy

import graphnn as gn
from graphnn.declare.entries import Entry, Reduction
from graphnn.declare.notation import axis_symbol
from graphnn.declare.scalars import PRIMITIVES
from graphnn.explain import derivation as module
from graphnn.explain.text import expression_text
from graphnn.simplify.heads import Sigmoid

EXTENT = 2  # of everything, so that an axis that only a constant is summed over needs no looking up


def bce():
    net = gn.Network()
    x, y = net.input("x", ("N", 2)), net.input("y", ("N", 2))
    hidden = gn.dense(x, 2, activation=gn.tanh, name="h")
    return gn.binary_cross_entropy(gn.dense(hidden, 2, activation=gn.sigmoid, name="p"), y, name="loss")


def labels():
    net = gn.Network()
    logits = gn.dense(net.input("x", ("N", 2)), 2, name="z")
    return gn.softmax_cross_entropy(logits, net.input("y", ("N",), dtype="int64"), name="loss")


def distributions():
    net = gn.Network()
    logits = gn.dense(net.input("x", ("N", 2)), 2, name="z")
    return gn.softmax_cross_entropy(logits, net.input("y", ("N", 2)), distribution=True, name="loss")


def one_unit():
    net = gn.Network()
    x, y = net.input("x", ("N", 2)), net.input("y", ("N", 1))
    return gn.quadratic(gn.dense(x, 1, activation=gn.softplus, name="z"), y, name="loss")


def constant_terms():
    """Sums over what does not depend on their axes, or on a factor only."""
    net = gn.Network()
    x, w = net.input("x", ("N", 2)), net.parameter("w", (2,))
    scale = gn.sigmoid(net.parameter("c", ()), name="scale")
    return gn.sum((x * w + w) * scale, name="loss")


class Brute:
    """Numbers of formulas in index notation, element by element."""

    def __init__(self, arrays, formulas):
        self.arrays, self.formulas = arrays, formulas  # the latter of arrays outside of the network

    def value(self, expr, point):
        if isinstance(expr, Reduction):
            reduce = {"sum": sum, "max": max}[expr.reducer]
            terms = itertools.product(*(range(self.extent(axis, expr)) for axis in expr.axes))
            points = [{**point, **dict(zip(expr.axes, term, strict=True))} for term in terms]
            return reduce(self.value(expr.body, p) for p in points if self.value(expr.guard, p) == sympy.true)
        if isinstance(expr, Entry):
            index = tuple(int(self.value(i, point)) for i in expr.index)
            if expr.operand in self.arrays:
                return sympy.sympify(self.arrays[expr.operand][index].item())
            return self.value(self.formulas[expr.operand], at(index))
        if isinstance(expr, sympy.Piecewise):
            return next(self.value(e, point) for e, c in expr.args if self.value(c, point) == sympy.true)
        if isinstance(expr, sympy.Symbol):
            return sympy.Integer(point.get(expr, EXTENT))
        if expr.is_Atom:
            return expr
        arguments = [self.value(a, point) for a in expr.args]
        if isinstance(expr, Sigmoid):
            return 1 / (1 + sympy.exp(-arguments[0]))
        return PRIMITIVES.get(expr.func, expr.func)(*arguments)

    def extent(self, axis, expr):
        whole = [(e.operand, e.index.index(axis)) for e in expr.atoms(Entry) if axis in e.index]
        return next((self.arrays[name].shape[n] for name, n in whole if name in self.arrays), EXTENT)


@pytest.mark.parametrize("accuracy", ["fast", "tight"])
@pytest.mark.parametrize("make", [bce, labels, distributions, one_unit, constant_terms])
def test_every_step_is_an_equation_that_holds(make, accuracy):
    loss = make()
    net, rng = loss.network, np.random.default_rng(0)
    for parameter in list(net.parameters.values()):
        found = gn.derivation(loss, parameter, accuracy)
        leaves = {**net.inputs, **net.parameters}
        values = {n: rng.uniform(0.2, 0.8, [2 if d == "N" else d for d in t.shape]) for n, t in leaves.items()}
        if make is labels:
            values["y"] = np.array([1, 0])
        if make is distributions:
            values["y"] /= values["y"].sum(axis=1, keepdims=True)
        arrays = dict(zip(net.graph, gn.evaluate([net[n] for n in net.graph], values), strict=True))
        outside = [s for _, s in found.steps if s.lhs.operand not in net.graph]
        brute = Brute(arrays, {s.lhs.operand: s.rhs for s in outside})
        for rule, step in found.steps:
            if step.lhs.operand in arrays:
                holds(brute, step.lhs.operand, step.rhs, rule)
        gradient = gn.gradients(loss, [parameter])[0].name
        holds(brute, gradient, found.result, "result")
        holds(brute, gradient, found.emitted, "emitted")


def at(index):
    return {axis_symbol(f"i{n}"): i for n, i in enumerate(index)}


def holds(brute, name, formula, rule):
    expected = brute.arrays[name]
    for index in np.ndindex(expected.shape):
        found = float(brute.value(formula, at(index)))
        assert found == pytest.approx(expected[index], rel=1e-9, abs=1e-12), (rule, name, formula)


def test_an_axis_of_one_element_is_named_alike_on_both_sides():
    loss = one_unit()
    for _, step in gn.derivation(loss, loss.network["z.W"]).steps:
        axes = {s for s in step.rhs.free_symbols if s.name in ("i0", "i1")}
        assert axes <= step.lhs.free_symbols


def test_rewrites_of_other_nodes_are_left_out():
    loss = bce()
    rules = [rule for rule, _ in gn.derivation(loss, loss.network["p.z"]).steps]
    assert rules[-1] == "cancel"
    assert not {"logistic", "hyperbolic tangent"} & set(rules)


def test_arrays_outside_of_the_network_are_explained():
    loss = labels()
    found = gn.derivation(loss, loss.network["z"])
    where = [expression_text(step) for rule, step in found.steps if rule == "where"]
    assert where == [
        "loss.softmax.1.max[i0] = max[r0](z[i0, r0])",
        "loss.softmax.1.shifted[i0] = sum[r0](exp(-loss.softmax.1.max[i0] + z[i0, r0]))",
    ]
    explained = {s.lhs.operand for _, s in found.steps}
    assert {e.operand for e in found.emitted.atoms(Entry)} <= explained | set(loss.network.graph)


def test_text_names_the_node_and_scalars_have_no_brackets():
    loss = bce()
    lines = str(gn.derivation(loss, loss.network["p.z"])).splitlines()
    assert lines[0] == "d loss / d p.z"
    assert lines[1].split() == ["definition", "loss", "=", "loss.1/(2*N)"]
    assert any(line.endswith("dloss/dloss.1 = dloss/dloss/(2*N)") for line in lines)
    assert "[]" not in "\n".join(lines)
    assert any("  cancel " in line and " dloss/dp.z[i0, i1] = " in line for line in lines)


def test_latex_ends_in_the_result_and_in_what_runs():
    found = gn.derivation(gn.sigmoid)
    lines = gn.latex(found).splitlines()
    assert lines[1] == r"& y = \frac{1}{1 + e^{- t}} && \text{definition} \\"
    assert lines[-3:] == [
        r"& y \left(1 - y\right) && \text{result} \\",
        r"& y \left(1 - y\right) && \text{emitted (cheapest: reads the saved output)}",
        r"\end{align*}",
    ]
    loss = bce()
    assert r"\text{adjoint of binary\_cross\_entropy}" in gn.derivation(loss, loss.network["p.z"]).latex()


@pytest.mark.parametrize("op", [gn.relu, gn.softplus, gn.tanh])
def test_an_op_is_shown_in_t(op):
    found = gn.derivation(op)
    shown = [*(expr for _, expr in found.steps), found.result, found.emitted]
    assert {s.name for expr in shown for s in expr.free_symbols} <= {"t", "y", "E"}


def test_deriving_again_adds_no_nodes():
    loss = bce()
    net = loss.network
    first = gn.derivation(loss, net["h.W"])
    before = list(net.graph)
    assert gn.derivation(loss, net["h.W"]) == first
    inputs = {"x": np.full((2, 2), 0.5, np.float32), "y": np.full((2, 2), 0.25, np.float32)}
    gn.compare(loss, inputs)
    nodes = list(net.graph)
    gn.compare(loss, inputs)
    gn.derivation(loss, net["h.b"])
    assert list(net.graph) == nodes
    assert nodes[: len(before)] == before


def test_a_wrong_rewrite_is_not_shown(monkeypatch):
    def spoilt(*args, **options):
        made = simplify(*args, **options)
        first = made.trace.rewrites[0]
        made.trace.rewrites[0] = replace(first, after=first.after + 1)
        return made

    loss = bce()
    simplify = module.simplify
    monkeypatch.setattr(module, "simplify", spoilt)
    with pytest.raises(gn.CompileError, match="is wrong"):
        gn.derivation(loss, loss.network["p.z"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((gn.softmax,), r"^'softmax' is a composition of ops.*give a Tensor and .* gn.derivation\(y, x\)$"),
        ((gn.add,), "not an op of one operand"),
        (("sigmoid",), "^a str is given"),
        ((gn.Adam,), "'adam' is to be called first"),
    ],
)
def test_what_has_no_derivation_is_named(arguments, message):
    with pytest.raises(gn.DeriveError, match=message) as caught:
        gn.derivation(*arguments)
    assert " at 0x" not in str(caught.value)


def test_a_quotient_of_the_formula_where_the_output_does_not_do():
    """silu' = s (1 + t (1 - s)) with s = sigma(t): Elfwing, Uchibe and Doya (2018), arXiv:1702.03118."""
    s, t = sympy.Symbol("s", real=True), sympy.Symbol("t", real=True)
    found = gn.derivation(gn.silu)
    assert found.result == s * (1 + t * (1 - s))
    assert dict(found.steps)["name a quotient"] == sympy.Eq(s, 1 / (1 + sympy.exp(-t)), evaluate=False)
    slope = sympy.diff(t / (1 + sympy.exp(-t)), t)
    assert sympy.simplify(found.result.subs(s, 1 / (1 + sympy.exp(-t))) - slope) == 0


def test_a_textbook_form_is_reduced():
    t = sympy.Symbol("t", real=True)
    assert gn.derivation(gn.softsign).result == (1 + sympy.Abs(t)) ** -2
