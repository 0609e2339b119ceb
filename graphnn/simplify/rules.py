"""Every rewrite has a name, a before -> after line and a domain; the trace keeps the instances that fired.

The lines are data: the tests check each at random points of its domain with mpmath, and print them in docs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import sympy

from graphnn.simplify.heads import Sigmoid

x, y, a, m, n = sympy.symbols("x y a m n", real=True)
p = sympy.Symbol("p", positive=True)


@dataclass(frozen=True, slots=True)
class Rule:
    """`before` equals `after` for real x, y where `domain` holds (an empty domain: everywhere)."""

    name: str
    before: sympy.Expr
    after: sympy.Expr
    domain: str = ""


def _line(name: str, before: sympy.Expr, after: sympy.Expr, domain: str = "") -> Rule:
    return Rule(name, before, after, domain)


_exp, _log, _abs, _max = sympy.exp, sympy.log, sympy.Abs, sympy.Max
_softplus = _max(x, 0) + sympy.Function("log1p")(_exp(-_abs(x)))
# fmt: off
RULES: tuple[Rule, ...] = (
    _line("cancel", (-y/a + (1 - y)/(1 - a))*a*(1 - a), a - y, "a != 0, a != 1"),
    _line("look through a logarithm", _log(sympy.Symbol("s")), _log(1/(1 + _exp(-x))), "s is the saved output of a node"),
    _line("look through the output", 1 - sympy.Symbol("s"), Sigmoid(-x), "s is the saved output of a node"),
    _line("use the condition", sympy.Symbol("select(i == t, f(t), 0)"), sympy.Symbol("select(i == t, f(i), 0)")),
    _line("pull constant factors out", sympy.Symbol("sum(c*f(r))"), sympy.Symbol("c*sum(f(r))")),
    _line("sum of a one-hot row", sympy.Symbol("sum(select(r == t, f(r), 0))"), sympy.Symbol("f(t)"), "t is an index of the axis"),
    _line("promised sum", sympy.Symbol("sum(y[i, r])"), sympy.Symbol("1"), "the rows of y sum to 1, as checked at the call"),
    _line("shift exponentials", _exp(x)/(_exp(x) + _exp(y)), _exp(x - m)/(_exp(x - m) + _exp(y - m)), "m = max(x, y)"),
    _line("log of a product", _log(p*_exp(x)), x + _log(p), "p > 0"),
    _line("logistic", _exp(x)/(1 + _exp(x)), Sigmoid(x)),
    _line("logistic power", _exp(x)/(1 + _exp(x))**2, Sigmoid(x)*Sigmoid(-x)),
    _line("complement of the logistic", 1 - Sigmoid(x), Sigmoid(-x)),
    _line("hyperbolic tangent", (_exp(x) - _exp(-x))/(_exp(x) + _exp(-x)), sympy.tanh(x)),
    _line("softplus", _log(1 + _exp(x)), _softplus),
    _line("log of the logistic", _log(Sigmoid(x)), -_softplus.subs(x, -x)),
    _line("log1p", _log(1 + p), sympy.Function("log1p")(p)),
    _line("expm1", _exp(x) - 1, sympy.Function("expm1")(x)),
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
        self, node: str, rule: str, before: sympy.Expr, after: sympy.Expr, facts: Mapping[sympy.Expr, sympy.Expr] = _NONE
    ) -> sympy.Expr:
        """Note a rewrite if it changed something; gives `after`."""
        if rule not in NAMES:
            raise AssertionError(f"rewrite '{rule}' is not in the table of rules")
        if before != after:
            self.rewrites.append(Rewrite(node, rule, before, after, tuple(facts.items())))
        return after

    def of(self, node: str) -> list[Rewrite]:
        return [r for r in self.rewrites if r.node == node]
