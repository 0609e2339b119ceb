"""Index equations: an access X[e(axes)] = X[p] is solved for the axes, so that a scatter becomes a gather.

e = h + u, stride 1          p = h + u     -> h = p - u        with 0 <= p - u < H
e = 2*h + u                  p = 2*h + u   -> u = p - 2*h      with 0 <= p - 2*h < K
e = 2*h + 2*u                no unit coefficient: h = (p - 2*u)/2 with (p - 2*u) mod 2 = 0
e = M*i + j, 0 <= j < M      mixed radix:  -> i = p // M, j = p mod M
e = (f // M, f mod M)        joined first: f = M*p0 + p1, then as above
e = (i + k) // c             -> i = c*p - k + b     with a new free axis b < c and 0 <= i < I
e = t (an integer access)    unsolvable: the condition t = p stays, lowering makes it a scatter
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import sympy
from sympy.logic.boolalg import Boolean

from graphnn.declare.affine import expanded, extremes, linear_terms, quotient, simplify_index
from graphnn.declare.entries import Entry
from graphnn.declare.notation import axis_symbol
from graphnn.declare.parts import find_parts
from graphnn.declare.whole import compare, equate, floor_of, remainder_of, replace_within
from graphnn.simplify.inside import is_nonnegative


@dataclass(slots=True)
class Solution:
    """`values` maps solved axes to expressions of the new axes and `free`; a term counts where `conditions` hold.

    `sizes` holds the extents of all axes: those given, and those of remainders that became axes.
    """

    sizes: dict[sympy.Symbol, sympy.Expr]
    values: dict[sympy.Symbol, sympy.Expr] = field(default_factory=dict)
    conditions: list[Boolean] = field(default_factory=list)
    free: list[sympy.Symbol] = field(default_factory=list)


def solve_indices(
    index: Sequence[sympy.Expr],
    targets: Sequence[sympy.Symbol],
    sizes: dict[sympy.Symbol, sympy.Expr],
    order: Sequence[sympy.Symbol],
) -> Solution:
    """Solve index[d] = targets[d] for the axes in `order` (those first in it are solved for by preference).

    `sizes` holds the extents of the axes and of the targets. Axes that no equation determines stay in `free`.
    """
    solution = Solution(dict(sizes), free=list(order))
    sizes = solution.sizes
    for expression, target in _join_radices(index, targets, sizes):
        substituted = expanded(replace_within(expression, solution.values))
        equation, value = _without_quotient(substituted, target, solution)
        if not _solve_one(equation, value, sizes, solution):
            solution.conditions.append(equate(sympy.Eq, equation, value))
    solution.conditions = [c for c in solution.conditions if not is_always(c, sizes)]
    return solution


def is_always(condition: Boolean, sizes: dict[sympy.Symbol, sympy.Expr]) -> bool:
    """Whether the axes' ranges decide that an inequality of indices holds: 0 <= i, i < 16 where i has 16 values."""
    if not isinstance(condition, sympy.Ge | sympy.Gt | sympy.Le | sympy.Lt) or condition.has(Entry):
        return False
    quantity = condition.gts - condition.lts - int(isinstance(condition, sympy.Gt | sympy.Lt))
    return bool(quantity.is_integer and quantity.free_symbols & sizes.keys()) and is_nonnegative(quantity, sizes)


def _join_radices(
    index: Sequence[sympy.Expr], targets: Sequence[sympy.Symbol], sizes: dict[sympy.Symbol, sympy.Expr]
) -> list[tuple[sympy.Expr, sympy.Expr]]:
    """Digits of one number, (f // c1, (f // c2) mod s, f mod c2), become one equation f = c1*p0 + c2*p1 + p2."""
    pending = list(zip(index, targets, strict=True))
    joined: list[tuple[sympy.Expr, sympy.Expr]] = []
    for number in dict.fromkeys(_digit(expression)[0] for expression in index):
        if number is None:
            continue
        digits = _digits_of(number, pending, sizes)
        if digits is not None:
            joined.append((number, sympy.Add(*(weight * target for weight, (_, target) in digits))))
            pending = [pair for pair in pending if all(pair is not used for _, used in digits)]
    return sorted(pending + joined, key=lambda pair: bool(find_parts(pair[0], sympy.floor, sympy.Mod)))


def _digits_of(
    number: sympy.Expr, pending: Sequence[tuple[sympy.Expr, sympy.Symbol]], sizes: dict[sympy.Symbol, sympy.Expr]
) -> list[tuple[sympy.Expr, tuple[sympy.Expr, sympy.Symbol]]] | None:
    """The equations that are all digits of `number`, with their weights from 1 up; None where a digit is missing.

    Simplified indices are compared: the leading digit floor((6*i + j)/12) stands there as floor(i/2).
    """
    weight: sympy.Expr = sympy.S.One
    found: list[tuple[sympy.Expr, tuple[sympy.Expr, sympy.Symbol]]] = []
    left = list(pending)
    while left:
        rest = simplify_index(floor_of(number / weight), sizes)
        top = next((pair for pair in left if pair[0] == rest), None)
        if top is not None:
            return [*found, (weight, top)]
        moduli = [(p, sizes[p[1]]) for p in left if sizes[p[1]] != 0]
        low = next((p for p, size in moduli if p[0] == simplify_index(remainder_of(rest, size), sizes)), None)
        if low is None:
            return None
        found.append((weight, low))
        left.remove(low)
        weight = expanded(weight * sizes[low[1]])
    bounds = extremes(number, sizes)
    complete = bounds is not None and (weight - 1 - bounds[1]).is_nonnegative
    return found if complete else None


def _digit(expression: sympy.Expr) -> tuple[sympy.Expr | None, sympy.Expr]:
    """floor(f/c) mod s -> (f, c): which number an index is a digit of, and the digit's weight."""
    if isinstance(expression, sympy.Mod):
        inner = quotient(expression.args[0])
        return inner if inner is not None else (expression.args[0], sympy.S.One)
    inner = quotient(expression)
    return inner if inner is not None else (None, sympy.S.One)


def _radix_order(places: Sequence[tuple[sympy.Expr, sympy.Expr]]) -> list[int] | None:
    """The places from the highest weight to the lowest, each weight being the next times its size; else None."""
    remaining = list(range(len(places)))
    weight: sympy.Expr = sympy.S.One
    ordered: list[int] = []
    while remaining:
        found = next((n for n in remaining if expanded(places[n][0] - weight) == 0), None)
        if found is None:
            return None
        remaining.remove(found)
        ordered.insert(0, found)
        weight = expanded(weight * places[found][1])
    return ordered


def _without_quotient(equation: sympy.Expr, target: sympy.Expr, solution: Solution) -> tuple[sympy.Expr, sympy.Expr]:
    """floor((i + k)/c) + rest = p  ->  i + k = c*(p - rest) + b with a new axis b < c, where i is the one unknown."""
    quotients = [(c, atom) for c, atom in linear_terms(equation) if isinstance(atom, sympy.floor)]
    inner = quotient(quotients[0][1]) if len(quotients) == 1 and quotients[0][0] == 1 else None
    if inner is None:
        return equation, target
    numerator, divisor = inner
    unknown = [(c, a) for c, a in linear_terms(numerator) if a != 1]
    rest = equation - quotients[0][1]
    axis = unknown[0][1] if len(unknown) == 1 and unknown[0][0] == 1 else None
    if axis not in solution.free or rest.has(axis):
        return equation, target
    remainder = next(b for b in map(axis_symbol, (f"p{n}" for n in itertools.count())) if b not in solution.sizes)
    solution.sizes[remainder] = divisor
    solution.free.append(remainder)
    return numerator, expanded(divisor * (target - rest)) + remainder


def _solve_one(
    equation: sympy.Expr, target: sympy.Expr, sizes: dict[sympy.Symbol, sympy.Expr], solution: Solution
) -> bool:
    if equation in solution.free:
        _assign(equation, expanded(target), sizes, solution)
        return True
    if equation.has(sympy.floor, sympy.Mod):
        return False
    terms = linear_terms(equation)
    unknown = [(c, a) for c, a in terms if a in solution.free]
    if not unknown or any(isinstance(a, sympy.Symbol) and a.name[0] == "t" for _, a in terms):
        return False
    if len(unknown) > 1 and len(unknown) == len(terms):
        ordered = _radix_order([(c, sizes[a]) for c, a in unknown])
        if ordered is not None:
            _assign_digits([unknown[n] for n in ordered], target, sizes, solution)
            return True
    units = [(c, a) for c, a in unknown if c in (1, -1)]
    whole = [(c, a) for c, a in unknown if c.is_Integer]
    if not units and not whole:
        return False
    coefficient, axis = min(units or whole, key=lambda pair: (abs(pair[0]), solution.free.index(pair[1])))
    rest = expanded(target - (equation - coefficient * axis))
    value = expanded(rest / coefficient)
    if coefficient not in (1, -1):
        if coefficient < 0:
            rest, coefficient = -rest, -coefficient
        solution.conditions.append(equate(sympy.Eq, remainder_of(rest, coefficient), sympy.S.Zero))
        value = floor_of(rest / coefficient)
    _assign(axis, value, sizes, solution)
    return True


def _assign_digits(
    digits: Sequence[tuple[sympy.Expr, sympy.Symbol]],
    target: sympy.Expr,
    sizes: dict[sympy.Symbol, sympy.Expr],
    solution: Solution,
) -> None:
    total = digits[0][0] * sizes[digits[0][1]]
    covered = isinstance(target, sympy.Symbol) and expanded(sizes[target] - total) == 0
    for place, (weight, axis) in enumerate(digits):
        value = floor_of(target / weight) if weight != 1 else target
        if place:
            value = remainder_of(value, sizes[axis])
        _substitute(axis, simplify_index(value, sizes), solution)
    if not covered and not isinstance(target, sympy.Add):
        solution.conditions.append(compare(sympy.Lt, target, total))


def _substitute(axis: sympy.Symbol, value: sympy.Expr, solution: Solution) -> None:
    """Solve for an axis, also in what was solved before."""
    solution.values = {
        a: expanded(replace_within(v, {axis: value})) if v.has(axis) else v for a, v in solution.values.items()
    }
    solution.conditions = [replace_within(c, {axis: value}) for c in solution.conditions]
    solution.values[axis] = value
    solution.free.remove(axis)


def _assign(axis: sympy.Symbol, value: sympy.Expr, sizes: dict[sympy.Symbol, sympy.Expr], solution: Solution) -> None:
    _substitute(axis, value, solution)
    extent = sizes.get(value)
    if extent is None or not (extent == sizes[axis] or expanded(extent - sizes[axis]) == 0):
        solution.conditions += [compare(sympy.Ge, value, sympy.S.Zero), compare(sympy.Lt, value, sizes[axis])]
