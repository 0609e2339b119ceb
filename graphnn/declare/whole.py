"""Quotients, remainders and comparisons of whole numbers, as sympy writes them, without the questions it asks first.

    floor_of(i/5 - 1)        floor(i/5) - 1
    remainder_of(i, 5)          Mod(i, 5)
    compare(Ge, i - r, 0)    i - r >= 0;  i >= 0 is true
    choose((x, i - r >= 0))  select(i >= r, x, 0)

To leave an index as it stands, sympy first asks whether it is zero, positive, below its divisor, which takes about a
millisecond each time. The signs of the coefficients of an affine form tell where there is nothing to find. Everything
else is left to sympy; the results are the same (`tests/declare/test_whole.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import sympy
from sympy.core.relational import Relational
from sympy.logic.boolalg import Boolean, BooleanAtom

from graphnn.declare.entries import Entry, IntegerEntry

_INEQUALITIES = (sympy.Ge, sympy.Gt, sympy.Le, sympy.Lt)
_REVERSED = dict(zip(_INEQUALITIES, (sympy.Le, sympy.Lt, sympy.Ge, sympy.Gt), strict=True))
_PLAIN = (Entry, sympy.Symbol, sympy.Rational)  # sides of a condition that have no sign to move
_VALUE = sympy.Symbol("value", real=True)


def floor_of(argument: sympy.Expr) -> sympy.Expr:
    """`sympy.floor(argument)`."""
    form = _affine(argument)
    if form is None or not form[0] or not all(map(_is_whole, form[0])):
        return sympy.floor(argument)
    terms, constant = form
    if all(c.q == 1 for c in terms.values()):
        return argument if constant.q == 1 else sympy.floor(argument)
    pieces = sympy.Add.make_args(argument)
    outside = [p for p in pieces if p.as_coeff_Mul()[0].q == 1]
    inside = argument if not outside else sympy.Add(*(p for p in pieces if p not in outside))
    return sympy.Add(*outside, sympy.floor(inside, evaluate=False))


def remainder_of(number: sympy.Expr, divisor: sympy.Expr) -> sympy.Expr:
    """`sympy.Mod(number, divisor)`."""
    form = _affine(number)
    if form is None or not form[0] or not all(map(_is_whole, form[0])):
        return sympy.Mod(number, divisor)
    terms, constant = form
    if divisor.is_Integer:
        digits = [*terms.values(), constant]
        plain = (
            divisor > 1
            and all(d.q == 1 and 0 <= d.p < divisor.p for d in digits)
            and math.gcd(int(divisor), *(d.p for d in digits)) == 1
        )
    else:
        plain = divisor.is_Symbol and _is_whole(divisor) and number != divisor and terms == {number: 1}
    return sympy.Mod(number, divisor, evaluate=not plain)


def compare(relation: type[Relational], left: sympy.Expr, right: sympy.Expr) -> Boolean:
    """`relation(left, right)`, an inequality."""
    greater, less = (right, left) if relation in (sympy.Le, sympy.Gt) else (left, right)
    form = _difference(greater, less)
    if form is None:
        return relation(left, right)
    terms, constant = form
    rises, falls = any(c.p > 0 for c in terms.values()), any(c.p < 0 for c in terms.values())
    if (rises and (falls or constant.p < 0)) or (falls and constant.p >= 0) or any(map(_has_any_sign, terms)):
        return relation(left, right, evaluate=False)
    if all(atom.is_Symbol and atom.is_nonnegative for atom in terms):
        return sympy.true if rises == (relation in (sympy.Ge, sympy.Le)) else sympy.false
    return relation(left, right)


def equate(relation: type[Relational], left: sympy.Expr, right: sympy.Expr) -> Boolean:
    """`relation(left, right)`, an equation or its negation. Multiples are sympy's: an even number is not odd."""
    form = _difference(left, right)
    if form is None or form[1].q != 1 or any(abs(c) != 1 for c in form[0].values()):
        return relation(left, right)
    terms, constant = form
    signs = {c.p > 0 for c in terms.values()}
    if len(signs) == 2 or constant == 0 or signs != {constant.p > 0} or any(map(_has_any_sign, terms)):
        return relation(left, right, evaluate=False)
    return relation(left, right)


def extreme_of(kind: type[sympy.Expr], arguments: Sequence[sympy.Expr]) -> sympy.Expr:
    """`kind(*arguments)`, the largest or smallest of them."""
    if len(arguments) == 2:
        form = _difference(*arguments)
        if form is not None and any(map(_has_any_sign, form[0])):
            return kind(*arguments, evaluate=False)
    return kind(*arguments)


def choose(*cases: tuple[sympy.Expr, Boolean]) -> sympy.Expr:
    """`sympy.Piecewise(*cases)`; a single case is 0 elsewhere."""
    if len(cases) == 1:
        cases = (*cases, (sympy.S.Zero, sympy.true))
    (value, condition), (otherwise, rest) = cases[0], cases[-1]
    nested = isinstance(value, sympy.Piecewise) or isinstance(otherwise, sympy.Piecewise)
    if len(cases) == 2 and rest == sympy.true and value != otherwise and not nested:
        written = _written(condition)
        if not isinstance(written, BooleanAtom):
            return sympy.Piecewise((value, written), (otherwise, True), evaluate=False)
    return sympy.Piecewise(*cases)


def replace_within(expr: sympy.Basic, mapping: Mapping[sympy.Basic, sympy.Basic]) -> sympy.Basic:
    """`expr.xreplace(mapping)` of an index or a condition of indices."""
    image = mapping.get(expr)
    if image is not None:
        return image
    if not expr.args:
        return expr
    arguments = [replace_within(a, mapping) for a in expr.args]
    if all(new is old for new, old in zip(arguments, expr.args, strict=True)):
        return expr
    return write(expr.func, arguments)


def write(kind: type[sympy.Basic], arguments: Sequence[Any]) -> sympy.Basic:
    """`kind(*arguments)`, by the functions above where it is one of theirs."""
    if kind is sympy.floor:
        return floor_of(*arguments)
    if kind is sympy.Mod:
        return remainder_of(*arguments)
    if kind is sympy.Piecewise:
        return choose(*arguments)
    if kind in _INEQUALITIES:
        return compare(kind, *arguments)
    if kind is sympy.Eq or kind is sympy.Ne:
        return equate(kind, *arguments)
    if kind is sympy.Max or kind is sympy.Min:
        return extreme_of(kind, arguments)
    return kind(*arguments)


@lru_cache(2**12)
def _written(condition: Boolean) -> Boolean:
    """A condition as `Piecewise` writes it: i + r - 2 >= 0 is i + r >= 2."""
    if isinstance(condition, BooleanAtom):
        return condition
    if isinstance(condition, Relational) and all(isinstance(a, _PLAIN) for a in condition.args):
        return condition.canonical
    if isinstance(condition, sympy.And):
        parts = tuple(map(_written, condition.args))
        return condition if parts == condition.args else _written(sympy.And(*parts))
    if isinstance(condition, _INEQUALITIES) and condition.rhs.is_Rational and _affine(condition.lhs):
        left, right, relation = condition.lhs, condition.rhs, condition.func
        if left.could_extract_minus_sign():
            left, right, relation = -left, -right, _REVERSED[relation]
        constant, rest = left.as_coeff_Add()
        coefficient, rest = rest.as_coeff_Mul()
        if coefficient.is_negative:
            relation = _REVERSED[relation]
        made = compare(relation, rest, (right - constant) / coefficient)
        return condition if made == condition else _written(made)
    chosen = sympy.Piecewise((_VALUE, condition), (0, True))
    if isinstance(chosen, sympy.Piecewise):
        return chosen.args[0].cond
    return sympy.true if chosen == _VALUE else sympy.false


@lru_cache(2**13)
def _affine(expr: sympy.Expr) -> tuple[dict[sympy.Expr, sympy.Rational], sympy.Rational] | None:
    """(coefficient of each atom, constant); None for anything but multiples of symbols, elements and digits."""
    terms: dict[sympy.Expr, sympy.Rational] = {}
    constant = sympy.S.Zero
    for term in sympy.Add.make_args(expr):
        if term.is_Rational:
            constant = term
            continue
        coefficient, atom = term.as_coeff_Mul()
        if not (coefficient.is_Rational and (_is_open(atom) or isinstance(atom, Entry) or _is_digit(atom))):
            return None
        terms[atom] = coefficient
    return terms, constant


def _difference(left: sympy.Expr, right: sympy.Expr) -> tuple[dict[sympy.Expr, sympy.Rational], sympy.Rational] | None:
    """`_affine` of left - right; None for a number, and where atoms of it hold one another."""
    form, other = _affine(left), _affine(right)
    if form is None or other is None:
        return None
    terms, constant = dict(form[0]), form[1] - other[1]
    for atom, coefficient in other[0].items():
        terms[atom] = terms.get(atom, sympy.S.Zero) - coefficient
    terms = {atom: c for atom, c in terms.items() if c.p}
    return (terms, constant) if terms and _is_apart(terms) else None


def _is_open(atom: sympy.Expr) -> bool:
    """Whether an atom is a symbol for a real number of any sign, or one that is not negative and may be 0."""
    return bool(atom.is_Symbol and atom.is_real and atom.is_positive is None and atom.is_nonpositive is None)


def _has_any_sign(atom: sympy.Expr) -> bool:
    return isinstance(atom, Entry) or (atom.is_Symbol and atom.is_nonnegative is None)


def _is_whole(atom: sympy.Expr) -> bool:
    return isinstance(atom, IntegerEntry | sympy.floor) or bool(atom.is_Symbol and atom.is_integer)


def _is_digit(atom: sympy.Expr) -> bool:
    """floor(i/5) of an affine form that has no sign but that of its numbers, which is not negative."""
    form = _affine(atom.args[0]) if isinstance(atom, sympy.floor) else None
    return form is not None and all(c.p > 0 for c in form[0].values()) and 0 <= form[1] < 1


def _is_apart(terms: Mapping[sympy.Expr, sympy.Rational]) -> bool:
    """Whether no atom holds another: sympy may know about i - floor(i/2)."""
    used = [s for atom in terms for s in atom.free_symbols]
    return len(used) == len(set(used)) or all(not isinstance(a, sympy.floor) for a in terms)
