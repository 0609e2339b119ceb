"""How many iterations loops are taken to have, where a size may not be known before the call."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from graphnn.lower.affine import affine
from graphnn.simplify.expr import Const, Expr, Op, Range, Size

SIZE = 64  # the assumed value of a size that is not known before the call: a common batch
MEMORY = 2**14  # results of index arithmetic that are kept


def estimate(expr: Expr, size: int = SIZE) -> float:
    """A typical value of an int64 expression: a Size counts as `size`, an axis as its first iteration."""
    match expr:
        case Const(value=value):
            return float(value)
        case Size():
            return size
        case Op(fn=fn, args=(a, b)):
            x, y = estimate(a, size), estimate(b, size)
            match fn:
                case "add":
                    return x + y
                case "sub":
                    return x - y
                case "mul":
                    return x * y
                case "floordiv":
                    return x // y if y else 0.0
                case "min":
                    return min(x, y)
                case "max":
                    return max(x, y)
        case Op(fn="neg", args=(a,)):
            return -estimate(a, size)
    return 0.0


def extent(lo: Expr, hi: Expr, size: int = SIZE) -> float:
    """How many iterations an interval is taken to have: (p + 1) // 2 - p // 2 is 1/2, wherever p is."""
    if isinstance(lo, Const) and isinstance(hi, Const):
        return max(0.0, float(hi.value) - float(lo.value))
    return _moving_extent(lo, hi, size)


@lru_cache(MEMORY)
def _moving_extent(lo: Expr, hi: Expr, size: int) -> float:
    lows = lo.args if isinstance(lo, Op) and lo.fn == "max" else (lo,)
    ends = hi.args if isinstance(hi, Op) and hi.fn == "min" else (hi,)
    found = [gap for low in lows for end in ends if (gap := _gap(low, end)) is not None]
    return max(0.0, min([estimate(hi, size) - estimate(lo, size), *found]))


def _gap(lo: Expr, hi: Expr) -> float | None:
    """hi - lo where that is a number; a quotient by a number counts as a fraction."""
    difference = _linear(hi)
    for atom, factor in _linear(lo).items():
        difference[atom] = difference.get(atom, 0.0) - factor
    number = difference.pop(None, 0.0)
    return None if any(difference.values()) else number


def _linear(expr: Expr) -> dict[Expr | None, float]:
    """An expression as atoms with their factors; its constant stands under None."""
    form = affine(expr)
    found: dict[Expr | None, float] = {None: float(form.constant)}
    for atom, factor in form.terms:
        parts: dict[Expr | None, float] = {atom: 1.0}
        divisor = 1.0
        match atom:
            case Op(fn="floordiv", args=(dividend, Const(value=value))):
                parts, divisor = _linear(dividend), float(value)
        for part, weight in parts.items():
            found[part] = found.get(part, 0.0) + factor * weight / divisor
    return found


def is_known(r: Range) -> bool:
    """Whether a range has constant bounds."""
    return isinstance(r.lo, Const) and isinstance(r.hi, Const)


def volume(ranges: Iterable[Range], size: int = SIZE) -> float:
    """How many points the ranges have together."""
    points = 1.0
    for r in ranges:
        points *= extent(r.lo, r.hi, size)
    return points
