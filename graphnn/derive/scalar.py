"""The derivative of a scalar body by the symbol of one access, with a declared meaning at every kink.

Max(t0, 0)    -> Piecewise((1, t0 > 0), (0, True))       a tie goes to the constant: relu'(0) = 0
Max(t0, t1)   -> by t0: Piecewise((0, t1 > t0), (1, True))    a tie goes to the first operand
Abs(t0)       -> sign(t0)                                abs'(0) = 0
t0*Abs(t0)    -> 2*Abs(t0)
"""

from __future__ import annotations

from functools import cache

import sympy

from graphnn.declare.parts import find_parts
from graphnn.declare.scalars import PRIMITIVES
from graphnn.derive.steps import StepError


def expand_primitives(body: sympy.Expr) -> sympy.Expr:
    """log1p(u) -> log(1 + u): the scalar primitives by their definitions, which sympy can differentiate."""
    for primitive, definition in PRIMITIVES.items():
        body = body.replace(primitive, definition) if body.has(primitive) else body
    return body


def select_extremes(body: sympy.Expr) -> sympy.Expr:
    """Max(a, b) -> Piecewise((b, b > a), (a, True)): a tie goes to the first; constants come first, then t0, t1, ..."""

    def choose(larger: bool) -> sympy.Expr:
        def replacement(*args: sympy.Expr) -> sympy.Expr:
            first, *others = sorted(args, key=_precedence)
            for other in others:
                better = sympy.Gt(other, first) if larger else sympy.Lt(other, first)
                first = sympy.Piecewise((other, better), (first, True))
            return first

        return replacement

    if not body.has(sympy.Max, sympy.Min):
        return body
    return body.replace(sympy.Max, choose(True)).replace(sympy.Min, choose(False))


def _precedence(argument: sympy.Expr) -> tuple[int, str]:
    numbers = [int(s.name[1:]) for s in argument.free_symbols if s.name[0] == "t"]
    return (min(numbers, default=-1), str(argument))


def _join_signs(product: sympy.Expr) -> sympy.Expr:
    """u*sign(u) -> |u|, which may then cancel against another |u|."""
    for factor in product.args:
        if isinstance(factor, sympy.sign) and (u := factor.args[0]) in product.args:
            return product / factor / u * sympy.Abs(u)
    return product


def differentiate(body: sympy.Expr, symbol: sympy.Symbol, op: str) -> sympy.Expr:
    """d body / d symbol. StepError where the body is a step of that symbol: it has no useful derivative."""
    smooth, derivative = _differentiate(body, symbol)
    if derivative == 0 and smooth.has(symbol):
        raise StepError(
            f"{op}: the formula {smooth} is piecewise constant in {symbol}: a step is not differentiable "
            "(its derivative is 0 wherever it exists), so no gradient flows through it"
        )
    return derivative


@cache
def _differentiate(body: sympy.Expr, symbol: sympy.Symbol) -> tuple[sympy.Expr, sympy.Expr]:
    """(the body in functions that sympy differentiates, its derivative)."""
    smooth = select_extremes(expand_primitives(body))
    flat = {
        step: sympy.Dummy()
        for step in sorted(find_parts(smooth, sympy.floor, sympy.ceiling), key=sympy.default_sort_key)
    }
    held = smooth.xreplace(flat)
    # sympy.diff asks of what comes out whether it is zero, which takes longer than all the rest
    derivative = held._eval_derivative(symbol) if held.has(symbol) else sympy.S.Zero
    derivative = derivative.xreplace({step: part for part, step in flat.items()})
    if derivative.has(sympy.DiracDelta):
        derivative = derivative.replace(sympy.DiracDelta, lambda *_: sympy.S.Zero)  # a kink's width is zero
    if derivative.has(sympy.sign):
        derivative = derivative.replace(lambda e: e.is_Mul, _join_signs)
    return smooth, derivative
