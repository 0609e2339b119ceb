"""Products with constant matrices, written out: additions where coefficients are 1, and what rows share made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from graphnn.lower.ir import Let, Stmt
from graphnn.simplify.expr import Const, Expr, Local, Op, Origin

Matrix = tuple[tuple[float, ...], ...]  # rows
Vector = Sequence[Expr]


@dataclass(slots=True)
class Lets:
    """Values bound one after the other, under names that begin with `prefix`, which nobody else's do."""

    prefix: str
    origin: Origin | None
    statements: list[Stmt]

    def bind(self, value: Expr) -> Local:
        name = f"{self.prefix}.{len(self.statements)}"
        self.statements.append(Let(name, value))
        return Local(name, value.dtype, self.origin)

    def combine(self, row: Sequence[float], values: Vector) -> Expr:
        """sum of row[k]*values[k], bound unless it is one of the values: (1, 0, -2) -> fma(-2, v2, v0)."""
        terms = [(c, v) for c, v in zip(row, values, strict=True) if c]
        terms.sort(key=lambda term: (term[0] != 1, abs(term[0]) != 1))  # stable: starts from a value that needs no sign
        (first, total), *rest = terms
        dtype = total.dtype
        if first != 1:
            total = Op("mul", (Const(first, dtype), total), dtype, self.origin)
        for c, value in rest:
            match c:
                case 1 | -1:
                    total = Op("add" if c == 1 else "sub", (total, value), dtype, self.origin)
                case _:
                    total = Op("fma", (Const(c, dtype), value, total), dtype, self.origin)
        return total if len(terms) == 1 and first == 1 else self.bind(total)

    def apply(self, matrix: Matrix, values: Vector) -> list[Expr]:
        """matrix*values. Two rows, or two columns, that differ in signs alone share sums and differences.

        (y0, y1) = (a*x0 + b*x1 + c*x2, a*x0 - b*x1 + c*x2)  ->  e = a*x0 + c*x2; y0 = b*x1 + e; y1 = e - b*x1
        y[i] = a[i]*(x0 + x1) or a[i]*(x0 - x1)              ->  s = x0 + x1; d = x0 - x1; y[i] = a[i]*s or a[i]*d
        """
        columns = list(zip(*matrix, strict=True))
        for p, q in combinations(range(len(columns)), 2):
            both = [(x, y) for x, y in zip(columns[p], columns[q], strict=True) if x or y]
            if len(both) > 2 and all(abs(x) == abs(y) for x, y in both):
                return self._paired_columns(matrix, values, p, q)
        done: dict[int, Expr] = {}
        for p, q in combinations(range(len(matrix)), 2):
            if p in done or q in done:
                continue
            even, odd = _parts(matrix[p], matrix[q])
            if not _disjoint(even, odd) or not any(even) or not any(odd) or sum(map(bool, (*even, *odd))) <= 2:
                continue
            e, o = self.combine(even, values), self.combine(odd, values)
            done[p] = self.bind(Op("add", (e, o), e.dtype, self.origin))
            done[q] = self.bind(Op("sub", (e, o), e.dtype, self.origin))
        return [done[p] if p in done else self.combine(row, values) for p, row in enumerate(matrix)]

    def _paired_columns(self, matrix: Matrix, values: Vector, p: int, q: int) -> list[Expr]:
        total, difference = (
            self.bind(Op(fn, (values[p], values[q]), values[p].dtype, self.origin)) for fn in ("add", "sub")
        )
        rows = []
        for row in matrix:
            same = row[p] == row[q]
            others = [c for k, c in enumerate(row) if k not in (p, q)]
            rows.append((*others, row[p] if same else 0.0, 0.0 if same else row[p]))
        kept = [v for k, v in enumerate(values) if k not in (p, q)]
        return self.apply(tuple(rows), (*kept, total, difference))


def _parts(first: Sequence[float], second: Sequence[float]) -> tuple[list[float], list[float]]:
    """Half the sum and half the difference of two rows."""
    pairs = list(zip(first, second, strict=True))
    return [(x + y) / 2 for x, y in pairs], [(x - y) / 2 for x, y in pairs]


def _disjoint(first: Sequence[float], second: Sequence[float]) -> bool:
    return not any(x and y for x, y in zip(first, second, strict=True))


def nested(
    lets: Lets, rows: Matrix, columns: Matrix, value: Callable[[int, int], Expr]
) -> Iterator[tuple[int, int, Expr]]:
    """(i, j, element) of rows * X * columns^T, where value(i, j) is an element of X; row by row.

    What is asked for between two elements is bound between them, so that few values live at the same time.
    """
    height, width = len(rows[0]), len(columns[0])
    left = [lets.apply(rows, [value(i, j) for i in range(height)]) for j in range(width)]
    for i in range(len(rows)):
        for j, element in enumerate(lets.apply(columns, [column[i] for column in left])):
            yield i, j, element
