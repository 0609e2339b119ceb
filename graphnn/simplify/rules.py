"""Every rewrite has a name, a before -> after line and a domain; the trace keeps the instances that fired.

The lines are data: the tests check each at random points of its domain with mpmath, and print them in docs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import sympy
from sympy.logic.boolalg import Boolean

from graphnn.declare.scalars import expm1, log1p
from graphnn.simplify.heads import Erfc, Sigmoid

x, y, a, m = sympy.symbols("x y a m", real=True)
p = sympy.Symbol("p", positive=True)


@dataclass(frozen=True, slots=True)
class Rule:
    """`before` becomes `after` for real x, y, a and positive p where `domain` holds (empty: everywhere).

    Scalar rules are expressions; rules about sums and accesses are text in index notation.
    """

    name: str
    before: sympy.Expr | str
    after: sympy.Expr | str
    domain: str = ""


_exp, _log = sympy.exp, sympy.log


def _softplus(u: sympy.Expr) -> sympy.Expr:
    return sympy.Max(u, 0) + log1p(_exp(-sympy.Abs(u)))


def _bounded(u: sympy.Expr) -> sympy.Expr:
    w = _exp(-sympy.Abs(u))
    return sympy.Piecewise((w / (p + w), sympy.Le(u, 0)), (1 / (p * w + 1), True))


def _step(condition: Boolean) -> sympy.Expr:
    return sympy.Piecewise((1, condition), (0, True))


# fmt: off
RULES: tuple[Rule, ...] = (
    Rule("cancel", (-y/a + (1 - y)/(1 - a))*a*(1 - a), a - y, "a != 0, a != 1"),
    Rule("look through a logarithm", "log(s)", "log(f(z))", "s is the saved output f(z) of a node"),
    Rule("look through the output", "1 - s", "1 - f(z), as a product", "s is the saved output f(z) of a node"),
    Rule("compare the output", _step(x > a), _step(sympy.Max(x, a) > a), "max(x, a) is the saved output of a node"),
    Rule("use the condition", "select(i == t, f(t), 0)", "select(i == t, f(i), 0)"),
    Rule("pull constant factors out", "sum[r](c*f(r))", "c*sum[r](f(r))", "c does not depend on r"),
    Rule("sum of a one-hot row", "sum[r](select(r == t, f(r), 0))", "f(t)", "t is an index of the axis"),
    Rule("skip the terms that are zero", "sum[r](select(c, exp(f(r)), 0))", "sum[r if c](exp(f(r)))"),
    Rule("promised sum", "sum[r](y[i, r])", "1", "the rows of y sum to 1, as the call checks"),
    Rule("centred sum", "sum[r](x[r] - s/R)", "0", "s is the saved sum[r](x[r]), R the number of its terms"),
    Rule("shift exponentials", _exp(x)/(_exp(x) + _exp(y)), _exp(x - m)/(_exp(x - m) + _exp(y - m)), "m = max(x, y)"),
    Rule("log of a product", _log(p*_exp(x)), x + _log(p)),
    Rule("logistic", _exp(x)/(1 + _exp(x))**2, Sigmoid(x)*Sigmoid(-x)),
    Rule("complement of the logistic", 1 - Sigmoid(x), Sigmoid(-x)),
    Rule("complement of the hyperbolic tangent", 1 + sympy.tanh(x), 2*Sigmoid(2*x)),
    Rule("complement of the error function", 1 + sympy.erf(x), Erfc(-x)),
    Rule("hyperbolic tangent", (_exp(x) - _exp(-x))/(_exp(x) + _exp(-x)), sympy.tanh(x)),
    Rule("softplus", _log(1 + _exp(x)), _softplus(x)),
    Rule("log of the logistic", _log(Sigmoid(x)), -_softplus(-x)),
    Rule("log1p", _log(1 + p), log1p(p)),
    Rule("bounded exponential", _exp(x)/(p + _exp(x)), _bounded(x), "w = exp(-|x|)"),
    Rule("expm1", _exp(x) - 1, expm1(x)),
)
# fmt: on
_NONE: Mapping[sympy.Expr, sympy.Expr] = MappingProxyType({})
NAMES = frozenset(rule.name for rule in RULES)


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One instance: in the formula of `node`, `before` became `after`.

    `facts` are what the rewrite used of accesses: pairs (access, what it stands for).
    """

    node: str
    rule: str
    before: sympy.Expr
    after: sympy.Expr
    facts: tuple[tuple[sympy.Expr, sympy.Expr], ...] = ()


@dataclass(slots=True)
class Trace:
    """The rewrites that fired, in order: what a person sees as the steps of a derivation."""

    rewrites: list[Rewrite] = field(default_factory=list)

    def record(
        self,
        node: str,
        rule: str,
        before: sympy.Expr,
        after: sympy.Expr,
        facts: Mapping[sympy.Expr, sympy.Expr] = _NONE,
    ) -> sympy.Expr:
        """Note a rewrite if it changed something; gives `after`."""
        if rule not in NAMES:
            raise AssertionError(f"rewrite '{rule}' is not in the table of rules")
        if before != after:
            self.rewrites.append(Rewrite(node, rule, before, after, tuple(facts.items())))
        return after

    def of(self, node: str) -> list[Rewrite]:
        return [r for r in self.rewrites if r.node == node]
