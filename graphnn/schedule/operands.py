"""How a contraction reads its factors: in place, from a packed copy, or from a copy with zeros around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from graphnn.lower.affine import Affine, affine, never_positive
from graphnn.lower.guards import conjunction, conjuncts, nonpositive_forms
from graphnn.lower.ir import Buffer, Program, Store
from graphnn.schedule.affine import ZERO, default_layout, extent_of, is_affine, is_size, position_in, stride
from graphnn.schedule.guards import in_range
from graphnn.schedule.nest import wrap
from graphnn.schedule.statements import Body, fresh_name, untaken_name
from graphnn.simplify.expr import Axis, Expr, Load, Op, Range, axes_of, identity_of, loads_of, place_axes


@dataclass(frozen=True, slots=True)
class Copy:
    """A temp over `ranges` that holds `value`; the contraction loads it at `index`. Its `layout` orders the ranges."""

    ranges: tuple[Range, ...]
    value: Expr
    index: tuple[Expr, ...]
    layout: tuple[int, ...]

    def depth(self, outer: Sequence[Range]) -> int:
        """How many of the `outer` loops the copying nest must be inside of."""
        held = axes_of(self.value) - {r.axis for r in self.ranges}
        return max((d + 1 for d, r in enumerate(outer) if r.axis in held), default=0)

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for two copies of the same elements in the same order, whatever their axes are called."""
        axes = {r.axis: Axis(str(n)) for n, r in enumerate(self.ranges)}
        return (tuple((r.lo, r.hi) for r in self.ranges), place_axes(self.value, axes), self.layout)

    def build(self, names: set[str]) -> tuple[Load, Buffer, Body]:
        """for i1: for r0: W.packed[r0, i1] = W[i1, r0]   and the load that takes the factor's place."""
        source = next((e.buffer for e in loads_of(self.value)), "value")
        name = fresh_name(f"{source}.packed", names)
        shape = tuple(map(extent_of, self.ranges))
        dtype, origin = self.value.dtype, self.value.origin
        place = tuple(map(position_in, self.ranges))
        nest = wrap(self.ranges, (Store(name, place, self.value, origin),))
        return Load(name, self.index, dtype, origin), Buffer(name, dtype, shape, "temp", self.layout), nest


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy that is made: a load of it, and the buffers that it was made from."""

    load: Load
    sources: frozenset[str]


Copies = dict[tuple[object, ...], Copied]  # by their keys


@dataclass(frozen=True, slots=True)
class Side:
    """A factor of the product, the axis that only it holds, and the copy that it is read from, if not in place."""

    factor: Expr
    own: Range
    copy: Copy | None


@dataclass(frozen=True, slots=True)
class Space:
    """The program, the loops around and the k ranges of a contraction in the making, and the names that are taken.

    `hull` are k ranges with bounds that hold wherever the loops are; None where there are none.
    """

    program: Program
    loops: tuple[Range, ...]
    k: tuple[Range, ...]
    hull: tuple[Range, ...] | None
    names: set[str]
    _safe: dict[int, bool] = field(default_factory=dict)
    _padded: dict[tuple[int, Expr | None], Copy | None] = field(default_factory=dict)

    def is_safe(self, factor: Expr) -> bool:
        """Whether a factor of the contraction stays in range everywhere, whatever its guard says."""
        if id(factor) not in self._safe:
            self._safe[id(factor)] = in_range(self.program, factor, (*self.loops, *self.k))
        return self._safe[id(factor)]

    def padded(self, factor: Expr, guard: Expr | None) -> Copy | None:
        """The copy of a factor's buffer with zeros around it, see `_pad`."""
        place = id(factor), guard
        if place not in self._padded:
            self._padded[place] = _pad(self, factor, guard)
        return self._padded[place]


def prepare(space: Space, factor: Expr, guard: Expr | None, own: Range, along: Range | None) -> Side | None:
    """How a factor is read by a tile that needs unit stride along `along`: its own axis, the last of k, or none.

    None where nothing will do.

    In place, if it is an affine load. With zeros around it, if its conditions say no more than that an affine load is
    in range (a convolution's padding, and the adjoint of one without): x[p - 1] if 1 <= p -> x.packed[p], with
    x.packed[0] = 0. Else it is packed into [k..., n] or [m, k...] through its own expression. A copy with zeros lies in
    memory as its source does, except that the dimension of `along` is the fastest.
    """
    layout = space.program.buffer(factor.buffer).layout if isinstance(factor, Load) else ()
    if guard is None and isinstance(factor, Load) and _readable(factor, along, layout):
        return Side(factor, own, None)
    padded = space.padded(factor, guard)
    if padded is not None:
        layout = _layout_for(padded.layout, padded.index, along)
        if _readable(Load("", padded.index, factor.dtype), along, layout):
            return Side(factor, own, replace(padded, layout=layout))
    k: tuple[Range, ...] | None = space.k
    if not all(is_size(bound) for r in (own, *space.k) for bound in (r.lo, r.hi)):
        # Bounds that move with the loops around: what they select is read from a copy of everything, made once.
        whole = space.hull is not None and in_range(space.program, factor, (*space.loops, *space.hull))
        k = space.hull if whole else None
    if k is None:
        return None
    ranges = (*k, own) if along == own else (own, *k)
    index = tuple(map(position_in, ranges))
    return Side(factor, own, Copy(ranges, _where(guard, factor), index, default_layout(index)))


def _readable(load: Load, along: Range | None, layout: tuple[int, ...]) -> bool:
    return is_affine(load.index) and (along is None or stride(load.index, along.axis, layout) == 1)


def _layout_for(layout: tuple[int, ...], index: Sequence[Expr], along: Range | None) -> tuple[int, ...]:
    """A source's layout, with the dimension that an axis moves along as the fastest."""
    fast = [d for d in layout if along is not None and along.axis in axes_of(index[d])]
    return (*(d for d in layout if d not in fast), *fast)


def _where(guard: Expr | None, value: Expr) -> Expr:
    zero = identity_of("sum", value.dtype)
    return value if guard is None else Op("select", (guard, value, zero), value.dtype, value.origin)


def _pad(space: Space, factor: Expr, guard: Expr | None) -> Copy | None:
    """The copy of a loaded buffer with zeros wherever the loops reach beyond it.

    Only where the conditions follow from the load being in range; that it is in range under them is given. Without a
    condition, only where a copy into [k..., n] would be made again for each position of a window.
    """
    conditions = list(conjuncts(guard))
    zero = identity_of("sum", factor.dtype)
    if isinstance(factor, Op) and factor.fn == "select" and factor.args[2] == zero:
        conditions += conjuncts(factor.args[0])
        factor = factor.args[1]
    if not isinstance(factor, Load) or not is_affine(factor.index):
        return None
    known = {r.axis: r for r in (*space.loops, *space.k)}
    if not conditions and not any(len(axes_of(e) & known.keys()) > 1 for e in factor.index):
        return None
    forms = [affine(e) for e in factor.index]
    beyond = [
        f.plus(affine(e), -1).shifted(1) for f, e in zip(forms, space.program.buffer(factor.buffer).shape, strict=True)
    ]
    inside = [*beyond, *(f.negated() for f in forms)]
    if not all(_follows(c, inside, known) for c in conditions):
        return None

    lows = [_extreme(f, known, highest=False) for f in forms]
    ends = [_extreme(f, known, highest=True).shifted(1) for f in forms]
    if not all(is_size(f.expr()) for f in (*lows, *ends)):
        return None
    axes = [untaken_name(f"p{d}", space.names) for d in range(len(forms))]
    copied = tuple(Range(p, lo.expr(), end.expr()) for p, lo, end in zip(axes, lows, ends, strict=True))
    index = tuple(Axis(p) for p in axes)
    checks: list[Expr] = []
    for p, lo, past, f in zip(index, lows, beyond, forms, strict=True):
        if not never_positive(lo.negated(), known):
            checks.append(Op("le", (ZERO, p), "bool"))
        if not never_positive(past, known):
            checks.append(Op("lt", (p, f.plus(past, -1).shifted(1).expr()), "bool"))
    value = _where(conjunction(checks), Load(factor.buffer, index, factor.dtype, factor.origin))
    shifted = tuple(f.plus(lo, -1).expr() for f, lo in zip(forms, lows, strict=True))
    return Copy(copied, value, shifted, space.program.buffer(factor.buffer).layout)


def _follows(condition: Expr, inside: Sequence[Affine], known: dict[str, Range]) -> bool:
    """Whether a condition holds wherever all forms of `inside` are at most 0."""
    match condition:
        case Op(fn="lt" | "le", args=(Op(fn="max", args=parts), other)):
            split = [replace(condition, args=(part, other)) for part in parts]
        case Op(fn="lt" | "le", args=(other, Op(fn="min", args=parts))):
            split = [replace(condition, args=(other, part)) for part in parts]
        case _:
            forms = nonpositive_forms(condition)
            return forms is not None and all(
                never_positive(f, known) or any(never_positive(f.plus(i, -1), {}) for i in inside) for f in forms
            )
    return all(_follows(c, inside, known) for c in split)


def _extreme(form: Affine, known: dict[str, Range], highest: bool) -> Affine:
    """The least or greatest value of a form over all points of the ranges, outer ones first."""
    for r in reversed(list(known.values())):
        factor, rest = form.apart(r.axis)
        if factor:
            form = rest.plus(affine(r.hi).shifted(-1) if (factor > 0) == highest else affine(r.lo), factor)
    return form
