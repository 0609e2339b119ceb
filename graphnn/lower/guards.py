"""Conditions: conjunctions taken apart and put together, comparisons of integers as forms, equations solved."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from graphnn.lower.affine import Affine, affine, split
from graphnn.simplify.expr import Const, Expr, Load, Op, identity_of, walk

FALSE = Const(False, "bool")


def conjuncts(guard: Expr | None) -> tuple[Expr, ...]:
    """a and (b and c) -> (a, b, c); no guard -> ()."""
    match guard:
        case None | Const(value=True):
            return ()
        case Op(fn="and", args=args):
            return tuple(c for arg in args for c in conjuncts(arg))
        case _:
            return (guard,)


def conjunction(conditions: Iterable[Expr]) -> Expr | None:
    """(a, b, c) -> (a and b) and c; () -> None."""
    found = tuple(conditions)
    return reduce(lambda a, b: Op("and", (a, b), "bool"), found) if found else None


def guarded(first: Expr | None, then: Expr | None) -> Expr | None:
    """`first and then`, where `then` is read only if `first` holds: a load in it may be out of range otherwise."""
    if first is not None and then is not None and any(isinstance(e, Load) for e in walk(then)):
        return Op("select", (first, then, FALSE), "bool")
    return conjunction((*conjuncts(first), *conjuncts(then)))


def peel(reducer: str, value: Expr) -> tuple[tuple[Expr, ...], Expr]:
    """select(a and b, x, identity) -> ((a, b), x): terms that a reducer does not notice."""
    identity = identity_of(reducer, value.dtype)
    conditions: tuple[Expr, ...] = ()
    while isinstance(value, Op) and value.fn == "select" and value.args[2] == identity:
        conditions += conjuncts(value.args[0])
        value = value.args[1]
    return conditions, value


def solve_unit(condition: Expr, axis: str) -> Expr | None:
    """token[n] == axis + 1 -> token[n] - 1: the one value of an axis that an integer equation leaves.

    None without a unit coefficient, and where the value could not be computed outside of the condition's loops.
    """
    if not (isinstance(condition, Op) and condition.fn == "eq" and condition.args[0].dtype == "int64"):
        return None
    parts = split(affine(condition.args[0]).plus(affine(condition.args[1]), -1), axis)
    if parts is None or abs(parts[0]) != 1:
        return None
    value = (parts[1].negated() if parts[0] == 1 else parts[1]).expr()
    return value if is_total(value) else None


def is_total(expr: Expr) -> bool:
    """Whether it divides by nothing but constants: a size may be zero where the loops around do not run."""
    divisions = [e for e in walk(expr) if isinstance(e, Op) and e.fn in ("floordiv", "mod")]
    return all(isinstance(e.args[1], Const) for e in divisions)


def nonpositive_forms(condition: Expr) -> tuple[Affine, ...] | None:
    """Forms that are all <= 0 exactly where an integer comparison holds; None for any other condition.

    a < b -> (a - b + 1,)      a == b -> (a - b, b - a)      not a < b -> (b - a,)
    """
    match condition:
        case Op(fn="not", args=(Op(fn="lt", args=(a, b)),)):
            condition = Op("le", (b, a), "bool")
        case Op(fn="not", args=(Op(fn="le", args=(a, b)),)):
            condition = Op("lt", (b, a), "bool")
    match condition:
        case Op(fn=("lt" | "le" | "eq") as fn, args=(a, b)) if a.dtype == "int64":
            form = affine(a).plus(affine(b), -1)
            if fn == "eq":
                return form, form.negated()
            return (form.shifted(1 if fn == "lt" else 0),)
        case _:
            return None
