"""Every rewrite of the table is an identity on its domain, and each instance that fires can be checked."""

from __future__ import annotations

import random

import mpmath
import pytest
import sympy

import graphnn as gn
from graphnn.declare.scalars import PRIMITIVES, expm1
from graphnn.simplify import rules
from graphnn.simplify.engine import Accuracy
from graphnn.simplify.heads import Erfc, Sigmoid
from graphnn.simplify.instances import check_instance, check_instances
from graphnn.simplify.passes import simplify
from graphnn.simplify.rules import RULES, Rewrite, Rule
from graphnn.simplify.stability import stabilise

SCALAR = [rule for rule in RULES if not isinstance(rule.before, str)]


def _closed(expr: sympy.Expr) -> sympy.Expr:
    for primitive, definition in PRIMITIVES.items():
        expr = expr.replace(primitive, definition)
    return expr.replace(Sigmoid, lambda x: 1 / (1 + sympy.exp(-x))).replace(Erfc, lambda x: 1 - sympy.erf(x))


@pytest.mark.parametrize("rule", SCALAR, ids=lambda rule: rule.name)
def test_both_sides_of_a_scalar_rule_are_equal(rule: Rule) -> None:
    draw = random.Random(0)
    for _ in range(50):
        point = {s: sympy.Rational(draw.randrange(-4000, 4000), 777) for s in (rules.x, rules.y, rules.a)}
        point |= {rules.p: sympy.Rational(draw.randrange(1, 4000), 777)}
        point |= {rules.m: sympy.Max(point[rules.x], point[rules.y])}
        before, after = (sympy.N(_closed(side).xreplace(point), 50) for side in (rule.before, rule.after))
        assert abs(before - after) <= abs(before) * sympy.Float("1e-40"), (rule.name, point)


def test_the_table_has_one_row_per_name() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_a_wrong_instance_is_caught() -> None:
    entry = gn.operands("z")[gn.indices("i")]
    good = Rewrite("n", "logistic", 1 / (1 + sympy.exp(-entry)), Sigmoid(entry))
    check_instance(good)
    wrong = Rewrite("n", "logistic", 1 / (1 + sympy.exp(-entry)), Sigmoid(-entry))
    with pytest.raises(gn.CompileError, match="'logistic' is wrong"):
        check_instance(wrong)


@pytest.mark.parametrize("accuracy", ["fast", "tight"])
def test_every_instance_of_a_training_step_is_an_identity(accuracy: Accuracy) -> None:
    net = gn.Network("step")
    x, y, t = net.input("x", ("N", 6)), net.input("y", ("N",), "int64"), net.input("t", ("N", 3))
    z = gn.dense(gn.dense(x, 8, activation=gn.tanh, name="h"), 3, name="z")
    loss = gn.softmax_cross_entropy(z, y) + gn.sigmoid_cross_entropy(z, t) + gn.sum(gn.softplus(z))
    trace = simplify(net, [loss, *gn.gradients(loss, list(net.parameters.values()))], accuracy=accuracy).trace
    fired = {rewrite.rule for rewrite in trace.rewrites}
    assert {"cancel", "shift exponentials", "look through a logarithm", "log of the logistic"} <= fired
    check_instances(trace)


def test_mpmath_agrees_with_the_softplus_form() -> None:
    rule = next(r for r in RULES if r.name == "softplus")
    with mpmath.workdps(60):
        for point in (-1000, -20, 0, 20, 1000):
            expected = mpmath.log1p(mpmath.exp(point))
            found = mpmath.mpf(sympy.N(_closed(rule.after).subs(rules.x, point), 60, maxn=2000))
            assert abs(found - expected) <= abs(expected) * mpmath.mpf("1e-15") + mpmath.mpf("1e-40")


T, U = sympy.symbols("t u", real=True)
TENTHS = sympy.Rational(9, 10)


# fmt: off
COMPLEMENTS = [
    (1 + sympy.erf(T),                        Erfc(-T)),
    (sympy.Rational(1, 2) - sympy.erf(T) / 2, Erfc(T) / 2),
    (U + sympy.erf(T) / 2 + sympy.Rational(1, 2), U + Erfc(-T) / 2),
    (U - U * sympy.erf(T),                    U * Erfc(T)),
    (2 + sympy.erf(T),                        2 + sympy.erf(T)),
    (3 - 3 * sympy.tanh(T),                   6 * Sigmoid(-2 * T)),
    (1 - sympy.tanh(T) ** 2,                  4 * Sigmoid(2 * T) * Sigmoid(-2 * T)),
    (3 * sympy.exp(T) - 3,                    3 * expm1(T)),
    (2 * sympy.exp(T) - 1,                    2 * sympy.exp(T) - 1),
    (1 - TENTHS**T,                           -expm1(T * sympy.log(TENTHS))),
    (1 - (-TENTHS) ** T,                      1 - (-TENTHS) ** T),
    (1 - T**3,                                1 - T**3),
]
# fmt: on


E, MINUS = sympy.exp(2 * T), sympy.exp(-T)
MEANS = [
    ((E - 1) / (4 * E + 4), sympy.tanh(T) / 4),
    ((E - 1) / (E + 1) / 4, sympy.tanh(T) / 4),
    (U * (E - 1) ** 2 / (3 * E + 3) ** 2, U * sympy.tanh(T) ** 2 / 9),
    (U / (4 + 4 * MINUS), U * Sigmoid(T) / 4),
]


@pytest.mark.parametrize(("before", "after"), MEANS)
def test_a_number_in_a_divisor_hides_no_function(before: sympy.Expr, after: sympy.Expr) -> None:
    """The mean over a pooling window divides by its size, and cancelling moves that into the sum of exponentials."""
    trace = rules.Trace()
    assert stabilise("n", before, trace) == after
    check_instances(trace)


@pytest.mark.parametrize(("before", "after"), COMPLEMENTS)
def test_differences_that_cancel_are_functions_of_their_own(before: sympy.Expr, after: sympy.Expr) -> None:
    trace = rules.Trace()
    assert stabilise("n", before, trace) == after
    check_instances(trace)
