"""Recipes: a formula with formal operands, bound to the types of operands, becomes definitions of one reducer each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import sympy
from sympy.logic.boolalg import Boolean

from graphnn.declare.bind import Slot, bind_definition
from graphnn.declare.definition import Extent, OperandType, Recipe, Step
from graphnn.declare.entries import ELLIPSIS, Entry, Reduction
from graphnn.declare.extents import IDENTIFIER
from graphnn.declare.formula import Formula
from graphnn.declare.notation import Operand, axis_symbol, dimension, size_symbol
from graphnn.declare.parts import find_parts
from graphnn.declare.substitute import substitute
from graphnn.declare.text import formula as formula_text
from graphnn.declare.text import head_text
from graphnn.errors import GraphError, ShapeError


def operands_of(formula: Formula) -> tuple[str, ...]:
    """The operands in the order in which the formula was written."""
    serials = {e.serial: e.operand for e in find_parts(formula.body, Entry)}
    return tuple(dict.fromkeys(serials[s] for s in sorted(serials)))


def told(formula: Formula) -> str:
    """What tells a formula from every other, in any process."""
    return repr([*map(written_text, (*formula.out, formula.body, *formula.extents, *formula.extents.values()))])


def written_text(expr: sympy.Basic) -> str:
    """`formula` of what a person may write: with the assumptions of symbols, and without serial numbers of operands."""
    if isinstance(expr, sympy.Symbol):
        return _symbol_text(expr)
    if not expr.args:
        return formula_text(expr)
    parts = [expr.args[0], *expr.index] if isinstance(expr, Entry) else expr.args
    return f"{head_text(type(expr))}({','.join(map(written_text, parts))})"


@lru_cache(2**10)
def _symbol_text(symbol: sympy.Symbol) -> str:
    return f"{formula_text(symbol)}{sorted(symbol.assumptions0.items())}"


def bind_formula(
    name: str,
    formula: Formula,
    operands: Mapping[str, OperandType],
    attributes: Mapping[str, sympy.Expr],
    constants: Mapping[str, sympy.Expr],
    dtype: str | None,
    fallback: str | None,
) -> Recipe:
    """The definitions for operands of these types, in order; the last is the result.

    `constants` take the places of further operands, `attributes` those of symbols of their names. `dtype` is the
    result's; without one it is `fallback`, but that a condition stays bool.
    """
    body = formula.body
    if constants:
        body = body.replace(lambda e: isinstance(e, Entry) and e.operand in constants, lambda e: constants[e.operand])
    if attributes:
        body = body.xreplace({s: attributes[s.name] for s in body.free_symbols if s.name in attributes})
    slots = [Slot(o, n, t) for n, (o, t) in enumerate(operands.items())]
    dims = {dimension(s.name, d): size for s in slots for d, size in enumerate(s.type.shape)}
    apart = _keep_apart(formula, operands.values())
    body = substitute(substitute(body, apart), dims)
    batch = _batch(name, slots, formula.body)  # as written: x*0 has the shape of x
    body = substitute(body, _expansions(body, slots, batch))
    out = [apart.get(a, a) for a in formula.out]
    axes = [a for item in out for a in ([e.axis for e in batch] if item == ELLIPSIS else [item])]
    sizes = {e.axis: e.size for e in batch}
    known = dims | {sympy.Symbol(a): value for a, value in attributes.items()}
    sizes |= {apart.get(axis, axis): _named_sizes(size.xreplace(known)) for axis, size in formula.extents.items()}
    sizes |= _infer(name, slots, body, sizes)
    condition = isinstance(body, Boolean)
    return _split(name, slots, axes, body, sizes, dtype or (None if condition else fallback))


def _keep_apart(formula: Formula, types: Iterable[OperandType]) -> dict[sympy.Symbol, sympy.Symbol]:
    """New symbols for the axes that are named like a size of the operands, which is another thing."""
    axes = {*formula.out, *(a for r in find_parts(formula.body, Reduction) for a in r.axes)}
    taken = {s for t in types for size in t.shape for s in size.free_symbols}
    return {axis: axis_symbol(f"{axis.name}'") for axis in axes & taken}


def _named_sizes(size: sympy.Expr) -> sympy.Expr:
    """A size that was written by its name, sympy.Symbol("N"), is that of the network, whatever is assumed of it."""
    return size.xreplace({s: size_symbol(s.name) for s in size.free_symbols if IDENTIFIER.fullmatch(s.name)})


def _batch(name: str, slots: Sequence[Slot], body: sympy.Expr) -> list[Extent]:
    """The broadcast axes: their extents by NumPy's rule, where an extent of 1 stretches."""
    dims: list[tuple[sympy.Expr, Slot]] = []
    for slot in slots:
        for entry in sorted(find_parts(body, Entry), key=sympy.default_sort_key):
            if entry.operand != slot.name or ELLIPSIS not in entry.index:
                continue
            count = len(slot.type.shape) - (len(entry.index) - 1)
            if count < 0:
                raise ShapeError(
                    f"{name}: operand '{slot.name}' of shape {slot.type.shape} has too few dimensions for {entry}"
                )
            for position, dim in enumerate(reversed(slot.type.shape[:count])):
                if position == len(dims):
                    dims.append((dim, slot))
                elif dims[position][0] == 1:
                    dims[position] = (dim, slot)
                elif dim not in (1, dims[position][0]):
                    other, first = dims[position]
                    raise ShapeError(
                        f"{name}: operands '{first.name}' and '{slot.name}' do not broadcast: extents "
                        f"{other} and {dim} in dimension -{position + 1} "
                        f"(shapes {first.type.shape} and {slot.type.shape})"
                    )
            break
    return [Extent(axis_symbol(f"...{n}"), dim) for n, (dim, _) in enumerate(reversed(dims))]


def _infer(
    name: str, slots: Sequence[Slot], body: sympy.Expr, given: Mapping[sympy.Symbol, sympy.Expr]
) -> dict[sympy.Symbol, sympy.Expr]:
    """The extent of each axis that indexes a dimension by itself; two of them must agree."""
    found: dict[sympy.Symbol, tuple[sympy.Expr, str, Slot]] = {}
    for slot in slots:
        for entry in sorted((e for e in find_parts(body, Entry) if e.operand == slot.name), key=sympy.default_sort_key):
            if len(entry.index) != len(slot.type.shape):
                raise ShapeError(
                    f"{name}: operand '{slot.name}' is indexed as {entry} with {len(entry.index)} indices, "
                    f"but the operand given has shape {slot.type.shape}"
                )
            for number, (axis, dim) in enumerate(zip(entry.index, slot.type.shape, strict=True)):
                if not isinstance(axis, sympy.Symbol) or axis in given:
                    continue
                where = f"dimension {number} of '{slot.name}'"
                size, place, other = found.setdefault(axis, (dim, where, slot))
                if size != dim:
                    raise ShapeError(
                        f"{name}: axis '{axis}' has extent {size} in {place} (shape {other.type.shape}) "
                        f"but {dim} in {where} (shape {slot.type.shape})"
                    )
    return {axis: size for axis, (size, _, _) in found.items()}


def _expansions(body: sympy.Expr, slots: Sequence[Slot], batch: Sequence[Extent]) -> dict[sympy.Basic, sympy.Basic]:
    """What each access becomes, those within the indices of others first."""
    expanded: dict[sympy.Basic, sympy.Basic] = {}
    for entry in sorted(find_parts(body, Entry), key=lambda e: len(find_parts(e, Entry))):
        expanded[entry] = _expand(entry.with_index(i.xreplace(expanded) for i in entry.index), slots, batch)
    return expanded


def _expand(entry: Entry, slots: Sequence[Slot], batch: Sequence[Extent]) -> Entry:
    """`...` in an access becomes the operand's own broadcast axes; a stretched dimension is read at 0."""
    if ELLIPSIS not in entry.index:
        return entry
    slot = next(s for s in slots if s.name == entry.operand)
    count = len(slot.type.shape) - (len(entry.index) - 1)
    own = batch[len(batch) - count :]
    front = [sympy.S.Zero if d == 1 and e.size != 1 else e.axis for e, d in zip(own, slot.type.shape, strict=False)]
    return entry.with_index((*front, *entry.index[1:]))


def _split(
    name: str,
    slots: list[Slot],
    axes: list[sympy.Symbol],
    body: sympy.Expr,
    sizes: dict[sympy.Symbol, sympy.Expr],
    dtype: str | None,
) -> Recipe:
    """Nested reducers become definitions of their own, innermost first."""
    steps: list[Step] = []
    slots = list(slots)
    count = len(slots)

    def add(definition_axes: Sequence[sympy.Symbol], part: sympy.Expr, dtype: str | None = None) -> Slot:
        used = {e.operand for e in find_parts(part, Entry)}
        mine = [s for s in slots if s.name in used] or slots[:count]  # a constant keeps its operands' dtype
        local = [Slot(s.name, n, s.type) for n, s in enumerate(mine)]
        extents = [Extent(a, _known(name, a, sizes)) for a in definition_axes]
        definition = bind_definition(name, local, extents, part, sizes, dtype)
        sources = tuple(s.position if s.position < count else count - 1 - s.position for s in mine)
        steps.append(Step(definition, sources))
        return Slot(f"#{len(steps)}", count + len(steps) - 1, OperandType(definition.shape, definition.dtype))

    while True:
        inner = [r for r in find_parts(body, Reduction) if not any(find_parts(p, Reduction) for p in r.args[1:])]
        if not inner or (len(inner) == 1 and inner[0] == body):
            break
        reduction = min(inner, key=sympy.default_sort_key)
        free = {
            a for e in find_parts(reduction, Entry) for i in e.index for a in i.free_symbols
        } | reduction.body.free_symbols
        outer = [*axes, *(a for r in find_parts(body, Reduction) for a in r.axes)]
        kept = [a for n, a in enumerate(outer) if a in free - set(reduction.axes) and a not in outer[:n]]
        slot = add(kept, reduction)
        slots.append(slot)
        body = body.xreplace({reduction: Operand(slot.name)[tuple(kept)]})
    add(axes, body, dtype)
    return tuple(steps)


def _known(name: str, axis: sympy.Symbol, sizes: Mapping[sympy.Symbol, sympy.Expr]) -> sympy.Expr:
    if axis not in sizes:
        raise GraphError(
            f"{name}: the output axis '{axis}' is unbound: no operand is indexed by it alone; "
            f"give extents={{{axis}: ...}}"
        )
    return sizes[axis]
