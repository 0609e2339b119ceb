"""minimal_filtering(): how F(m, r) comes about, from the product of two polynomials to the matrices that run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sympy as sp

from graphnn.derive.minimal_filtering import Filtering, derive_filtering
from graphnn.explain.formula import words


@dataclass(frozen=True, slots=True)
class FilteringDerivation:
    """F(m, r) with its derivation: y = A^T ((G g) * (B^T d)) gives y[i] = sum[j < r] g[j]*d[i + j] for i < m.

    `A`, `G` and `B` are rational sympy matrices of shapes (n, m), (n, r), (n, n) with n = m + r - 1, the number of
    products; `points` the n - 1 finite points; `steps` are (rule, expression), `result` the outputs in products.
    """

    m: int
    r: int
    points: tuple[sp.Rational, ...]
    A: sp.ImmutableMatrix
    G: sp.ImmutableMatrix
    B: sp.ImmutableMatrix
    steps: tuple[tuple[str, sp.Basic], ...]
    result: sp.Basic

    @property
    def title(self) -> str:
        return f"F({self.m}, {self.r}): {self.m + self.r - 1} products in place of {self.m * self.r}"

    def latex(self) -> str:
        """An aligned LaTeX environment, a line a step with the rule beside it."""
        lines = [f"& {sp.latex(expr)} && {words(rule)}" for rule, expr in self.steps]
        return "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}"

    def markdown(self) -> str:
        """A numbered list of the steps."""
        lines = [f"{n}. {rule}: `{_text(expr)}`" for n, (rule, expr) in enumerate(self.steps, 1)]
        return "\n".join([f"### {self.title}", "", *lines])

    def __str__(self) -> str:
        width = max(len(rule) for rule, _ in self.steps)
        return "\n".join([self.title, *(f"  {rule:<{width}}  {_text(expr)}" for rule, expr in self.steps)])


def minimal_filtering(m: int, r: int, points: Iterable[Any] | None = None) -> FilteringDerivation:
    """The minimal filtering algorithm F(m, r), derived by interpolation at `points` and infinity (Cook, Toom).

    m outputs of a filter of r taps from m + r - 1 products. `points` are m + r - 2 different rational numbers (ints,
    Fractions or sympy's), by default opposite ones, and 0 where their number is odd. The steps end with the outputs
    expanded, which is the filter's definition, exactly. In two dimensions F(m x m, r x r) is F(m, r) of F(m, r).

    Raises DeriveError for m or r below 1, and for points that are too few, too many, equal or not rational.
    """
    found = derive_filtering(m, r, points)
    steps, outputs = _steps(found)
    return FilteringDerivation(m, r, found.points, found.A, found.G, found.B, steps, outputs)


def _steps(f: Filtering) -> tuple[tuple[tuple[str, sp.Basic], ...], sp.Basic]:
    m, r, n = f.m, f.r, f.m + f.r - 1
    x = sp.Symbol("x")
    g, h, s, d, y, q = (sp.symbols(f"{name}:{size}") for name, size in zip("ghsdyq", (r, m, n, n, m, n), strict=True))
    names = [sp.Symbol(f"s({point})") for point in (*f.points, "oo")]
    product = _polynomial(g, x) * _polynomial(h, x)
    kernel, second = (f.G.multiply_elementwise(_columns(f.denominators, r)) * sp.Matrix(g), f.A * sp.Matrix(h))
    at_points = [sp.Eq(name, a * b, evaluate=False) for name, a, b in zip(names, kernel, second, strict=True)]
    interpolated = _polynomial(f.interpolation * sp.Matrix(names), x)
    transposed, data = f.interpolation.T * sp.Matrix(d), f.B.T * sp.Matrix(d)
    raw = f.A.T * sp.Matrix([a * b for a, b in zip(kernel, transposed, strict=True)])
    factors = zip(q, f.G * sp.Matrix(g), data, strict=True)
    outputs = _equations(y, f.A.T * sp.Matrix(q))
    written = dict(zip(q, [a * b for a, b in zip(f.G * sp.Matrix(g), data, strict=True)], strict=True))
    steps = (
        ("product of polynomials", sp.Eq(_polynomial(s, x), product, evaluate=False)),
        ("values at the points", sp.Tuple(*at_points)),
        ("interpolate", sp.Eq(_polynomial(s, x), interpolated, evaluate=False)),
        ("transpose: the filter", _equations(y, raw)),
        ("denominators to the kernel", sp.Tuple(*(sp.Eq(p, a * b, evaluate=False) for p, a, b in factors))),
        ("outputs", outputs),
        ("expand", _equations(y, [sp.expand(e.rhs.xreplace(written)) for e in outputs])),
    )
    return steps, outputs


def _polynomial(coefficients: Iterable[sp.Expr], x: sp.Symbol) -> sp.Expr:
    return sp.Add(*(c * x**i for i, c in enumerate(coefficients)))


def _columns(values: Iterable[sp.Expr], count: int) -> sp.Matrix:
    """A matrix of `count` equal columns."""
    return sp.Matrix([[value] * count for value in values])


def _equations(names: Iterable[sp.Symbol], values: Iterable[sp.Expr]) -> sp.Tuple:
    return sp.Tuple(*(sp.Eq(name, value, evaluate=False) for name, value in zip(names, values, strict=True)))


def _text(expr: sp.Basic) -> str:
    if isinstance(expr, sp.Tuple):
        return "; ".join(map(_text, expr))
    return f"{expr.lhs} = {expr.rhs}" if isinstance(expr, sp.Eq) else str(expr)
