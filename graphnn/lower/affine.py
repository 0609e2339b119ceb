"""Integer forms: constant + sum of coefficient*atom, the normal form in which bounds are compared and solved.

    affine(2*r0 - p + 3*(p + 1))  ->  3 + 2*r0 + 2*p
    split(3 + 2*r0 + 2*p, r0)     ->  (2, 3 + 2*p)

An atom is whatever is not an integer combination of smaller things: an axis, a size, a load, a product of two
sizes. Atoms are compared by structure, so equal forms may go unnoticed; unequal ones are never taken for equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphnn.simplify.expr import Axis, Const, Expr, Op, Range, Size, axes_of, index_constant
from graphnn.simplify.once import once


@dataclass(frozen=True, slots=True)
class Affine:
    """`terms` are (atom, nonzero coefficient), in order of first occurrence."""

    terms: tuple[tuple[Expr, int], ...]
    constant: int

    def plus(self, other: Affine, scale: int = 1) -> Affine:
        """self + scale*other."""
        if not scale or not other.terms:
            return self.shifted(scale * other.constant)
        if not self.terms:
            terms = other.terms if scale == 1 else tuple((a, scale * c) for a, c in other.terms)
            return Affine(terms, self.constant + scale * other.constant)
        sums = dict(self.terms)
        for atom, coefficient in other.terms:
            sums[atom] = sums.get(atom, 0) + scale * coefficient
        return Affine(tuple((a, c) for a, c in sums.items() if c), self.constant + scale * other.constant)

    def shifted(self, constant: int) -> Affine:
        """self + constant."""
        return Affine(self.terms, self.constant + constant) if constant else self

    def negated(self) -> Affine:
        return Affine((), 0).plus(self, -1)

    def apart(self, axis: str) -> tuple[int, Affine]:
        """(coefficient, rest) with self = coefficient*axis + rest; other atoms of the rest may hold the axis."""
        for n, (atom, coefficient) in enumerate(self.terms):
            if isinstance(atom, Axis) and atom.name == axis:
                return coefficient, Affine(self.terms[:n] + self.terms[n + 1 :], self.constant)
        return 0, self

    def expr(self) -> Expr:
        """The form as an expression, positive terms first, then the constant: 2 - K + p -> p - K + 2."""
        signed = [(c, _scaled(abs(c), atom)) for atom, c in self.terms]
        signed.sort(key=lambda pair: pair[0] < 0)  # stable: the order of occurrence stays within each sign
        if self.constant or not signed:
            leads = self.constant > 0 and all(c < 0 for c, _ in signed)
            signed.insert(0 if leads else len(signed), (self.constant, index_constant(abs(self.constant))))
        sign, total = signed[0]
        if sign < 0:
            total = index_constant(sign) if isinstance(total, Const) else Op("neg", (total,), "int64")
        for sign, term in signed[1:]:
            total = Op("sub" if sign < 0 else "add", (total, term), "int64")
        return total


def _scaled(coefficient: int, atom: Expr) -> Expr:
    return atom if coefficient == 1 else Op("mul", (index_constant(coefficient), atom), "int64")


@once("_form")
def affine(expr: Expr) -> Affine:
    """The form of an int64 expression; one that is not affine is an atom of its own."""
    match expr:
        case Const(value=value):
            return Affine((), int(value))
        case Op(fn="add", args=(a, b)):
            return affine(a).plus(affine(b))
        case Op(fn="sub", args=(a, b)):
            return affine(a).plus(affine(b), -1)
        case Op(fn="neg", args=(a,)):
            return affine(a).negated()
        case Op(fn="mul", args=(a, b)):
            left, right = affine(a), affine(b)
            if left.terms and right.terms:
                return Affine(((expr, 1),), 0)
            factor, form = (right.constant, left) if left.terms else (left.constant, right)
            return Affine((), 0).plus(form, factor)
        case _:
            return Affine(((expr, 1),), 0)


def split(form: Affine, axis: str) -> tuple[int, Affine] | None:
    """(coefficient, rest) with form = coefficient*axis + rest; None where rest would still hold the axis."""
    parts = form.apart(axis)
    return None if any(axis in axes_of(atom) for atom, _ in parts[1].terms) else parts


def never_positive(form: Affine, ranges: Mapping[str, Range]) -> bool:
    """Whether form <= 0 is known at every point of `ranges`, outer ones first (sizes are nonnegative).

    never_positive(r0 - N + 1, {r0: [0, N)})  ->  True
    """
    for r in reversed(list(ranges.values())):  # inner ranges first: a bound may hold axes of outer ones
        coefficient, rest = form.apart(r.axis)
        if coefficient:
            form = rest.plus(affine(r.hi).shifted(-1) if coefficient > 0 else affine(r.lo), coefficient)
    return form.constant <= 0 and all(isinstance(atom, Size) and c < 0 for atom, c in form.terms)
