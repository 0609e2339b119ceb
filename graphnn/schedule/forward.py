"""A value that is stored and loaded again by the same iteration stays in a register."""

from __future__ import annotations

from dataclasses import replace

from graphnn.lower.ir import Accumulate, Let, Stmt, Store
from graphnn.schedule.statements import Body, fresh_name, own_expressions, rewrite, statements, writes
from graphnn.simplify.expr import Const, Expr, Load, Local, loads_of, transform

Element = tuple[str, tuple[Expr, ...]]


def forward_stores(body: Body, taken: set[str]) -> Body:
    """Replace loads of an element that an earlier statement of the same body stored by a local.

    t[i0] = x[i0]*2; y[i0] = t[i0] + 1  ->  v = x[i0]*2; t[i0] = v; y[i0] = v + 1

    The stores stay; `prune` removes those that nobody reads. New locals are named apart from `taken`.
    """
    known: dict[Element, Expr] = {}
    result: list[Stmt] = []
    for position, original in enumerate(body):
        inside = writes((original,)) if not isinstance(original, Store) else frozenset[str]()
        known = {element: value for element, value in known.items() if element[0] not in inside}
        (stmt,) = _replace_loads((original,), known)
        if not isinstance(stmt, Store | Accumulate):
            result.append(stmt)
            continue
        element = (stmt.buffer, stmt.index)
        known = {e: value for e, value in known.items() if e[0] != stmt.buffer}
        if isinstance(stmt, Store) and element in _loaded(body[position + 1 :]):
            value = stmt.value
            if not isinstance(value, Local | Const):
                local = Local(fresh_name("v", taken), value.dtype, stmt.origin)
                result.append(Let(local.name, value))
                value = local
            known[element] = value
            stmt = replace(stmt, value=value)
        result.append(stmt)
    return tuple(result)


def _replace_loads(body: Body, known: dict[Element, Expr]) -> Body:
    def rule(expr: Expr) -> Expr | None:
        return known.get((expr.buffer, expr.index)) if isinstance(expr, Load) else None

    return rewrite(body, lambda expr: transform(expr, rule)) if known else body


def _loaded(body: Body) -> set[Element]:
    expressions = (expr for stmt in statements(body) for expr in own_expressions(stmt))
    return {(e.buffer, e.index) for expr in expressions for e in loads_of(expr)}
