"""Binding: entries and axes as written become a canonical Definition, checked against the operands' shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy
from sympy.logic.boolalg import Boolean

from graphnn.declare.affine import check_quasi_affine, extremes, is_axis, never_negative, simplify_index
from graphnn.declare.definition import DTYPES, FLOATS, Access, Definition, Extent, OperandType, access_symbol
from graphnn.declare.entries import Entry, Guarded, Reduction
from graphnn.declare.notation import axis_symbol
from graphnn.declare.parts import find_parts
from graphnn.declare.substitute import substitute
from graphnn.declare.whole import choose, compare
from graphnn.errors import DTypeError, GraphError, ShapeError


@dataclass(frozen=True, slots=True)
class Slot:
    """A formal operand at a position, with the type it is bound to."""

    name: str
    position: int
    type: OperandType


def bind_definition(
    op: str,
    slots: Sequence[Slot],
    axes: Sequence[Extent],
    body: sympy.Expr,
    sizes: dict[sympy.Symbol, sympy.Expr],
    dtype: str | None = None,
    checked: bool = True,
) -> Definition:
    """The Definition of one formula: `body` is a map over `axes`, or one Reduction of a map.

    `dtype` overrides the result's dtype (a position is int64 though floats decide it); "float" is the operands'
    float dtype, float32 where there is none. `checked=False` is for
    derived formulas, whose accesses are inside by construction.

    `sizes` holds the extent of every axis that occurs. Raises ShapeError where an access leaves its operand and
    GraphError where an axis has no extent or an index is not quasi-affine.
    """
    by_name = {slot.name: slot for slot in slots}
    reducer, guard = None, sympy.true
    reduced: tuple[Extent, ...] = ()
    if isinstance(body, Reduction):
        reducer, guard = body.reducer, body.guard
        reduced = tuple(Extent(a, _size(op, a, sizes)) for a in body.axes)
        _check_reduced(op, reducer, reduced, axes)
        body = body.body
        if reducer in ("max", "min") and isinstance(body, Guarded):
            entry, condition = body.args
            guard, body = sympy.And(guard, condition, *_inside(by_name[entry.operand], entry, sizes)), entry
    if body.has(Guarded):
        body = body.replace(Guarded, lambda entry, c: _read_or_zero(by_name[entry.operand], entry, c, sizes))
    renaming = {e.axis: axis_symbol(f"i{n}") for n, e in enumerate(axes)}
    renaming |= {e.axis: axis_symbol(f"r{n}") for n, e in enumerate(reduced)}
    canonical = {renaming[a]: _size(op, a, sizes) for a in renaming}
    guarded = {e for p in find_parts(body, sympy.Piecewise) for e in find_parts(p, Entry)} | find_parts(guard, Entry)
    accesses: list[Access] = []
    shown: dict[Entry, sympy.Symbol] = {}
    for entry in _ordered_entries((body, guard), by_name, op):
        slot = by_name[entry.operand]
        if len(entry.index) != len(slot.type.shape):
            raise ShapeError(
                f"{op}: operand '{slot.name}' is indexed as {entry} with {len(entry.index)} indices, "
                f"but the operand given has shape {_shape(slot)}"
            )
        index = tuple(substitute(i, {**renaming, **shown}) for i in entry.index)
        for expression in index:
            check_quasi_affine(expression, set(canonical) | set(shown.values()))
        index = tuple(simplify_index(i, canonical) for i in index)
        if checked and entry not in guarded and guard == sympy.true:
            _check_inside(op, slot, entry, index, canonical)
        symbol = access_symbol(len(accesses), slot.type.dtype)
        accesses.append(Access(symbol, slot.position, index))
        shown[entry] = symbol
    symbols = {**renaming, **shown}
    body, guard = substitute(body, symbols), substitute(guard, symbols)
    known = set(canonical) | {a.symbol for a in accesses} | {s for size in sizes.values() for s in size.free_symbols}
    for stray in sorted((body.free_symbols | guard.free_symbols) - known, key=str) if checked else ():
        extents = (*sizes.values(), *(dim for slot in slots for dim in slot.type.shape))
        if not (stray.is_integer and any(stray in extent.free_symbols for extent in extents)):
            raise GraphError(f"{op}: '{stray}' is neither an axis of the output or of a reducer nor an attribute")
    types = tuple(slot.type for slot in sorted(slots, key=lambda slot: slot.position))
    return Definition(
        operands=types,
        axes=tuple(Extent(renaming[e.axis], e.size) for e in axes),
        reducer=reducer,
        reduced=tuple(Extent(renaming[e.axis], e.size) for e in reduced),
        guard=guard,
        accesses=tuple(accesses),
        body=body,
        dtype=_result_dtype(op, body, slots, accesses, reducer, dtype),
        op=op,
    )


def _check_reduced(op: str, reducer: str, reduced: Sequence[Extent], axes: Sequence[Extent]) -> None:
    for extent in reduced:
        if extent.axis in [e.axis for e in axes]:
            raise GraphError(f"{op}: '{extent.axis}' is an axis of the output and of {reducer}; reduce another axis")
        if reducer in ("max", "min") and extent.size == 0 and all(e.size != 0 for e in axes):
            raise ShapeError(f"{op}: {reducer} over no elements: the axis '{extent.axis}' has extent 0")


def _shape(slot: Slot) -> str:
    return "(" + ", ".join(map(str, slot.type.shape)) + ")"


def _size(op: str, axis: sympy.Symbol, sizes: dict[sympy.Symbol, sympy.Expr]) -> sympy.Expr:
    if axis not in sizes:
        raise GraphError(
            f"{op}: the axis '{axis}' has no extent: no operand is indexed by it alone; give extents={{{axis}: ...}}"
        )
    return sizes[axis]


def _ordered_entries(exprs: Sequence[sympy.Expr], slots: dict[str, Slot], op: str) -> list[Entry]:
    """Every entry, those that stand inside another's index first, else by operand and index."""
    found: list[Entry] = []

    def visit(entry: Entry) -> None:
        for inner in sorted({e for i in entry.index for e in find_parts(i, Entry)}, key=sympy.default_sort_key):
            if slots[inner.operand].type.dtype != "int64":
                raise DTypeError(
                    f"{op}: '{inner}' is used as an index, so operand '{inner.operand}' must be int64, "
                    f"not {slots[inner.operand].type.dtype}"
                )
            visit(inner)
        if entry not in found:
            found.append(entry)

    entries = {e for expr in exprs for e in find_parts(expr, Entry)}
    for entry in sorted(entries, key=lambda e: (slots[e.operand].position, sympy.default_sort_key(e))):
        visit(entry)
    return found


def _inside(slot: Slot, entry: Entry, sizes: dict[sympy.Symbol, sympy.Expr]) -> list[Boolean]:
    """The conditions, as written, under which `entry` is inside its operand."""
    conditions = []
    for index, dim in zip(entry.index, slot.type.shape, strict=True):
        if not (index in sizes and sizes[index] == dim):
            conditions += [compare(sympy.Ge, index, sympy.S.Zero), compare(sympy.Lt, index, dim)]
    return conditions


def _read_or_zero(slot: Slot, entry: Entry, condition: Boolean, sizes: dict[sympy.Symbol, sympy.Expr]) -> sympy.Expr:
    inside = sympy.And(condition, *_inside(slot, entry, sizes))
    return entry if inside == sympy.true else choose((entry, inside))


def _check_inside(
    op: str, slot: Slot, entry: Entry, index: tuple[sympy.Expr, ...], sizes: dict[sympy.Symbol, sympy.Expr]
) -> None:
    for dimension, (expression, dim) in enumerate(zip(index, slot.type.shape, strict=True)):
        if sizes.get(expression) == dim or any(s not in sizes and is_axis(s) for s in expression.free_symbols):
            continue  # a bare axis, or an integer access: its values are checked at the boundary
        bounds = extremes(expression, sizes)
        if bounds is not None and never_negative(bounds[0]) and never_negative(dim - 1 - bounds[1]):
            continue
        if any(size == 0 for size in sizes.values()):
            continue  # nothing is read where an axis is empty
        reach = "cannot be bounded" if bounds is None else f"runs from {bounds[0]} to {bounds[1]}"
        raise ShapeError(
            f"{op}: the access {entry} of operand '{slot.name}' {reach} in dimension {dimension}, whose extent is "
            f"{dim} (operand shape {_shape(slot)}); guard() the access or change the extents"
        )


def _result_dtype(
    op: str,
    body: sympy.Expr,
    slots: Sequence[Slot],
    accesses: Sequence[Access],
    reducer: str | None,
    wanted: str | None,
) -> str:
    """bool for a condition or a choice among bools, int64 for an integer of integers, else the one float dtype."""
    if wanted in DTYPES:
        return str(wanted)
    floats = {slot.type.dtype: slot for slot in slots if slot.type.dtype in FLOATS}
    if len(floats) > 1:
        a, b = floats.values()
        raise DTypeError(
            f"{op}: operand '{a.name}' is {a.type.dtype} and operand '{b.name}' is {b.type.dtype}; "
            "declare both with one dtype"
        )
    if wanted is None and isinstance(body, Boolean) and not isinstance(body, sympy.Symbol):
        return "bool"
    if floats:
        return next(iter(floats))
    if wanted == "float":
        return "float32"
    types = {slot.position: slot.type.dtype for slot in slots}
    bools = {a.symbol for a in accesses if types[a.operand] == "bool"}
    chosen = {value for value, _ in body.args} if isinstance(body, sympy.Piecewise) else {body}
    if chosen <= bools and reducer not in ("sum", "prod"):
        return "bool"
    return "int64" if body.is_integer else "float32"
