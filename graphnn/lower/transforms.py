"""Products with two constant matrices as straight-line code: what a Transform of the loop IR computes, step by step.

Additions where coefficients are 1, nothing where they are 0, and what rows or columns share is made once. The code
depends on the matrices alone: the interpreter, the cost model and the emitter follow the same steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from typing import Literal, NamedTuple

Matrix = tuple[tuple[float, ...], ...]  # rows
Row = Sequence[float]


class Element(NamedTuple):
    """The next value is element (i, j) of what is transformed."""

    i: int
    j: int


class Arithmetic(NamedTuple):
    """The next value is a + b, a - b, coefficient*a, or coefficient*a + b in one rounding; a and b number values."""

    fn: Literal["add", "sub", "mul", "fma"]
    a: int
    b: int = -1
    coefficient: float = 1.0


class Result(NamedTuple):
    """A value is element (p, q) of the product. It makes no next value."""

    p: int
    q: int
    value: int


Step = Element | Arithmetic | Result


@lru_cache(256)
def transform_steps(rows: Matrix, columns: Matrix) -> tuple[Step, ...]:
    """rows * X * columns^T: all elements of X column by column, then the product row by row.

    What is asked for between two results is computed between them, so that few values live at the same time.
    """
    code = _Code()
    left = [code.apply(rows, [code.add(Element(i, j)) for i in range(len(rows[0]))]) for j in range(len(columns[0]))]
    for p in range(len(rows)):
        for q, value in enumerate(code.apply(columns, [column[p] for column in left])):
            code.steps.append(Result(p, q, value))
    return tuple(code.steps)


@lru_cache(256)
def operations(rows: Matrix, columns: Matrix) -> int:
    """How many additions and multiplications the product takes; a fused one counts once."""
    return sum(isinstance(step, Arithmetic) for step in transform_steps(rows, columns))


class _Code:
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.values = 0

    def add(self, step: Element | Arithmetic) -> int:
        """Append a step, and give the number of its value."""
        self.steps.append(step)
        self.values += 1
        return self.values - 1

    def combine(self, row: Row, values: Sequence[int]) -> int:
        """sum of row[k]*values[k]: (1, 0, -2) -> fma(-2, v2, v0)."""
        terms = [(c, v) for c, v in zip(row, values, strict=True) if c]
        terms.sort(key=lambda term: (term[0] != 1, abs(term[0]) != 1))  # stable: starts from a value that needs no sign
        (first, total), *rest = terms
        if first != 1:
            total = self.add(Arithmetic("mul", total, coefficient=first))
        for c, value in rest:
            match c:
                case 1:
                    total = self.add(Arithmetic("add", total, value))
                case -1:
                    total = self.add(Arithmetic("sub", total, value))
                case _:
                    total = self.add(Arithmetic("fma", value, total, c))
        return total

    def apply(self, matrix: Matrix, values: Sequence[int]) -> list[int]:
        """matrix*values. Two rows, or two columns, that differ in signs alone share sums and differences.

        (y0, y1) = (a*x0 + b*x1 + c*x2, a*x0 - b*x1 + c*x2)  ->  e = a*x0 + c*x2; y0 = b*x1 + e; y1 = e - b*x1
        y[i] = a[i]*(x0 + x1) or a[i]*(x0 - x1)              ->  s = x0 + x1; d = x0 - x1; y[i] = a[i]*s or a[i]*d
        """
        columns = list(zip(*matrix, strict=True))
        for p, q in combinations(range(len(columns)), 2):
            both = [(x, y) for x, y in zip(columns[p], columns[q], strict=True) if x or y]
            if len(both) > 2 and all(abs(x) == abs(y) for x, y in both):
                return self._paired_columns(matrix, values, p, q)
        done: dict[int, int] = {}
        for p, q in combinations(range(len(matrix)), 2):
            if p in done or q in done:
                continue
            even, odd = _parts(matrix[p], matrix[q])
            if not _disjoint(even, odd) or not any(even) or not any(odd) or sum(map(bool, (*even, *odd))) <= 2:
                continue
            e, o = self.combine(even, values), self.combine(odd, values)
            done[p], done[q] = self.add(Arithmetic("add", e, o)), self.add(Arithmetic("sub", e, o))
        return [done[p] if p in done else self.combine(row, values) for p, row in enumerate(matrix)]

    def _paired_columns(self, matrix: Matrix, values: Sequence[int], p: int, q: int) -> list[int]:
        total = self.add(Arithmetic("add", values[p], values[q]))
        difference = self.add(Arithmetic("sub", values[p], values[q]))
        rows = []
        for row in matrix:
            same = row[p] == row[q]
            others = [c for k, c in enumerate(row) if k not in (p, q)]
            rows.append((*others, row[p] if same else 0.0, 0.0 if same else row[p]))
        kept = [v for k, v in enumerate(values) if k not in (p, q)]
        return self.apply(tuple(rows), (*kept, total, difference))


def _parts(first: Row, second: Row) -> tuple[list[float], list[float]]:
    """Half the sum and half the difference of two rows."""
    pairs = list(zip(first, second, strict=True))
    return [(x + y) / 2 for x, y in pairs], [(x - y) / 2 for x, y in pairs]


def _disjoint(first: Row, second: Row) -> bool:
    return not any(x and y for x, y in zip(first, second, strict=True))
