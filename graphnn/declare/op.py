"""Ops: index notation with formal operands, bound to tensors when it is called.

    matmul = op("matmul", out=(i, j), body=Sum(A[i, k] * B[k, j], k))
    swish = elementwise("swish", lambda t: t / (1 + sympy.exp(-t)))

An op may be written for any rank with a leading `...`, which stands for broadcast dimensions.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from numbers import Number
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import sympy
from sympy.logic.boolalg import Boolean

from graphnn.declare.bind import Slot, bind_definition
from graphnn.declare.definition import Extent, OperandType, Recipe, Step
from graphnn.declare.notation import ELLIPSIS, Entry, Operand, Reduction, as_formula, axis_symbol, dimension
from graphnn.declare.substitute import substitute
from graphnn.errors import GraphError, ShapeError

if TYPE_CHECKING:
    from graphnn.declare.network import Tensor


def as_number(value: Any, what: str) -> sympy.Expr:
    """An exact sympy number: 0.1 becomes 1/10, which rounds back to the same double."""
    if isinstance(value, sympy.Expr):
        return value
    if isinstance(value, bool | int) or (isinstance(value, Number) and hasattr(value, "__index__")):
        return sympy.Integer(int(value))
    number = float(value)
    if not math.isfinite(number):
        raise GraphError(f"{what} is {value}; a formula's constants are finite")
    return sympy.Rational(repr(number))


def as_symbolic(name: str, function: Callable[..., Any], /, *symbols: Any, **named: Any) -> Any:
    """function(symbols); GraphError where it wants numbers, as functions of NumPy and math and `if` do."""
    try:
        return function(*symbols, **named)
    except TypeError as error:
        raise GraphError(
            f"{name}: the formula is called once, on symbols: write sympy.exp, sympy.Max, sympy.Piecewise instead of "
            f"np.exp, max and if ({error})"
        ) from error


class Op:
    """A formula with formal operands. Calling it on Tensors adds its nodes to their network.

    A `body` that is a function gives the formula when it is first needed; `operand_order` then tells the operands.
    """

    def __init__(
        self,
        name: str,
        out: Sequence[Any],
        body: Any,
        extents: Mapping[Any, Any] | None = None,
        attributes: Mapping[str, Any] | None = None,
        integer: Iterable[str] = (),
        operand_order: Sequence[str] = (),
        dtype: str | None = None,
        shown: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self.dtype, self.shown = name, dtype, dict(shown or {})
        self.out = tuple(ELLIPSIS if isinstance(a, EllipsisType) else a for a in out)
        self._body = body
        self.extents = {axis: as_formula(size) for axis, size in (extents or {}).items()}
        self.attributes = {str(key): value for key, value in (attributes or {}).items()}
        self.integer = frozenset(integer)
        self.operands = tuple(operand_order) or self._operands()
        if ELLIPSIS in self.out[1:]:
            raise GraphError(f"{name}: `...` stands in front of the output axes {self.out}")

    def __repr__(self) -> str:
        return f"<op {self.name}({', '.join(self.operands)})>"

    @cached_property
    def body(self) -> Any:
        """The formula, with entries of formal operands."""
        return as_formula(self._body() if inspect.isfunction(self._body) else self._body)

    def _operands(self) -> tuple[str, ...]:
        """The operands in the order in which the formula was written."""
        serials = {e.serial: e.operand for e in self.body.atoms(Entry)}
        return tuple(dict.fromkeys(serials[s] for s in sorted(serials)))

    def __call__(self, *tensors: Any, name: str | None = None, **keywords: Any) -> Tensor:
        """Apply to Tensors, in the order of the operands or by keyword; numbers become constants of the formula."""
        given: dict[str, Any] = dict(zip(self.operands, tensors, strict=False))
        if len(tensors) > len(self.operands):
            raise GraphError(f"{self.name} takes {len(self.operands)} operands {self.operands}, got {len(tensors)}")
        for key in [k for k in keywords if k in self.operands]:
            if key in given:
                raise GraphError(f"{self.name}: operand '{key}' is given twice")
            given[key] = keywords.pop(key)
        if missing := [o for o in self.operands if o not in given]:
            raise GraphError(f"{self.name}: operand '{missing[0]}' is missing; its operands are {self.operands}")
        if surplus := [k for k in keywords if k not in self.attributes]:
            raise GraphError(f"{self.name} has no operand or attribute '{surplus[0]}'; it has {[*self.attributes]}")
        constants = {o: as_number(v, f"{self.name}: {o}") for o, v in given.items() if isinstance(v, Number)}
        bound = [given[o] for o in self.operands if o not in constants]
        networks = {id(t.network): t.network for t in bound if hasattr(t, "network")}
        if len(networks) != 1 or len([t for t in bound if hasattr(t, "network")]) != len(bound):
            kinds = ", ".join(f"{o}: {type(given[o]).__name__}" for o in self.operands)
            several = f" of {len(networks)} networks" if len(networks) > 1 else ""
            raise GraphError(f"{self.name} needs Tensors of one network as operands, got {kinds}{several}")
        attributes = {**self.attributes, **keywords}
        types = [OperandType(t.shape_exprs, t.dtype) for t in bound]
        # A float constant makes the result a float, as in NumPy, though the formula holds 2 for 2.0.
        fractional = any(not hasattr(given[o], "__index__") for o in constants)
        recipe = self.recipe(types, attributes, constants, "float" if fractional else None)
        network = bound[0].network
        shown = {**self.shown, **keywords, **{k: given[k] for k in constants}}
        tensor: Tensor = network.add_recipe(recipe, bound, label=self.name, name=name, attributes=shown)
        return tensor

    def recipe(
        self,
        types: Sequence[OperandType],
        attributes: Mapping[str, Any] | None = None,
        constants: Mapping[str, sympy.Expr] | None = None,
        dtype: str | None = None,
    ) -> Recipe:
        """The definitions for operands of these types (those not in `constants`), in order; the last is the result.

        `dtype` is the result's where the op fixes none; a condition stays bool.
        """
        constants = constants or {}
        values = {**self.attributes, **(attributes or {})}
        fixed = {sympy.Symbol(k): as_number(v, f"{self.name}: {k}") for k, v in values.items()}
        body = self.body
        if constants:
            body = body.replace(
                lambda e: isinstance(e, Entry) and e.operand in constants, lambda e: constants[e.operand]
            )
        if fixed:
            body = body.xreplace(
                {s: fixed[sympy.Symbol(s.name)] for s in body.free_symbols if sympy.Symbol(s.name) in fixed}
            )
        names = [o for o in self.operands if o not in constants]
        slots = [Slot(o, n, t) for n, (o, t) in enumerate(zip(names, types, strict=True))]
        dims = {dimension(s.name, d): size for s in slots for d, size in enumerate(s.type.shape)}
        apart = self._keep_apart(types)
        body = substitute(substitute(body, apart), dims)
        batch = self._batch(slots, self.body)  # as written: x*0 has the shape of x
        body = substitute(body, _expansions(body, slots, batch))
        out = [apart.get(a, a) for a in self.out]
        axes = [a for item in out for a in ([e.axis for e in batch] if item == ELLIPSIS else [item])]
        sizes = {e.axis: e.size for e in batch}
        sizes |= {apart.get(axis, axis): size.xreplace(fixed | dims) for axis, size in self.extents.items()}
        sizes |= self._infer(slots, body, sizes)
        condition = isinstance(body, Boolean)
        return _split(self.name, slots, axes, body, sizes, self.dtype or (None if condition else dtype))

    def _keep_apart(self, types: Sequence[OperandType]) -> dict[sympy.Symbol, sympy.Symbol]:
        """New symbols for the axes that are named like a size of the operands, which is another thing."""
        axes = {*self.out, *(a for r in self.body.atoms(Reduction) for a in r.axes)}
        taken = {s for t in types for size in t.shape for s in size.free_symbols}
        return {axis: axis_symbol(f"{axis.name}'") for axis in axes & taken}

    def _batch(self, slots: Sequence[Slot], body: sympy.Expr) -> list[Extent]:
        """The broadcast axes: their extents by NumPy's rule, where an extent of 1 stretches."""
        dims: list[tuple[sympy.Expr, Slot]] = []
        for slot in slots:
            for entry in sorted(body.atoms(Entry), key=sympy.default_sort_key):
                if entry.operand != slot.name or ELLIPSIS not in entry.index:
                    continue
                count = len(slot.type.shape) - (len(entry.index) - 1)
                if count < 0:
                    raise ShapeError(
                        f"{self.name}: operand '{slot.name}' of shape {slot.type.shape} has too few dimensions "
                        f"for {entry}"
                    )
                for position, dim in enumerate(reversed(slot.type.shape[:count])):
                    if position == len(dims):
                        dims.append((dim, slot))
                    elif dims[position][0] == 1:
                        dims[position] = (dim, slot)
                    elif dim not in (1, dims[position][0]):
                        other, first = dims[position]
                        raise ShapeError(
                            f"{self.name}: operands '{first.name}' and '{slot.name}' do not broadcast: extents "
                            f"{other} and {dim} in dimension -{position + 1} "
                            f"(shapes {first.type.shape} and {slot.type.shape})"
                        )
                break
        return [Extent(axis_symbol(f"...{n}"), dim) for n, (dim, _) in enumerate(reversed(dims))]

    def _infer(
        self, slots: Sequence[Slot], body: sympy.Expr, given: Mapping[sympy.Symbol, sympy.Expr]
    ) -> dict[sympy.Symbol, sympy.Expr]:
        """The extent of each axis that indexes a dimension by itself; two of them must agree."""
        found: dict[sympy.Symbol, tuple[sympy.Expr, str, Slot]] = {}
        for slot in slots:
            for entry in sorted((e for e in body.atoms(Entry) if e.operand == slot.name), key=sympy.default_sort_key):
                if len(entry.index) != len(slot.type.shape):
                    raise ShapeError(
                        f"{self.name}: operand '{slot.name}' is indexed as {entry} with {len(entry.index)} indices, "
                        f"but the operand given has shape {slot.type.shape}"
                    )
                for number, (axis, dim) in enumerate(zip(entry.index, slot.type.shape, strict=True)):
                    if not isinstance(axis, sympy.Symbol) or axis in given:
                        continue
                    where = f"dimension {number} of '{slot.name}'"
                    size, place, other = found.setdefault(axis, (dim, where, slot))
                    if size != dim:
                        raise ShapeError(
                            f"{self.name}: axis '{axis}' has extent {size} in {place} (shape {other.type.shape}) "
                            f"but {dim} in {where} (shape {slot.type.shape})"
                        )
        return {axis: size for axis, (size, _, _) in found.items()}


def _expansions(body: sympy.Expr, slots: Sequence[Slot], batch: Sequence[Extent]) -> dict[sympy.Basic, sympy.Basic]:
    """What each access becomes, those within the indices of others first."""
    expanded: dict[sympy.Basic, sympy.Basic] = {}
    for entry in sorted(body.atoms(Entry), key=lambda e: len(e.atoms(Entry))):
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
        used = {e.operand for e in part.atoms(Entry)}
        mine = [s for s in slots if s.name in used] or slots[:count]  # a constant keeps its operands' dtype
        local = [Slot(s.name, n, s.type) for n, s in enumerate(mine)]
        extents = [Extent(a, _known(name, a, sizes)) for a in definition_axes]
        definition = bind_definition(name, local, extents, part, sizes, dtype)
        sources = tuple(s.position if s.position < count else count - 1 - s.position for s in mine)
        steps.append(Step(definition, sources))
        return Slot(f"#{len(steps)}", count + len(steps) - 1, OperandType(definition.shape, definition.dtype))

    while True:
        inner = [r for r in body.atoms(Reduction) if not any(p.atoms(Reduction) for p in r.args[1:])]
        if not inner or (len(inner) == 1 and inner[0] == body):
            break
        reduction = min(inner, key=sympy.default_sort_key)
        free = {
            a for e in reduction.atoms(Entry) for i in e.index for a in i.free_symbols
        } | reduction.body.free_symbols
        outer = [*axes, *(a for r in body.atoms(Reduction) for a in r.axes)]
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


def op(
    name: str,
    out: Sequence[Any],
    body: Any,
    extents: Mapping[Any, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    integer: Iterable[str] = (),
    dtype: str | None = None,
) -> Op:
    """Define an op by one formula.

    Parameters: `out` the output axes (a leading `...` for broadcast dimensions), `body` a formula of accesses,
    `extents` sizes of axes that no operand gives, `attributes` constants with defaults, used in the body as
    sympy.Symbol(name), `integer` operands that are used as indices, `dtype` the result's where it does not
    follow from the formula ("float": the operands' float dtype, float32 where there is none).
    """
    return Op(name, out, body, extents, attributes, integer, dtype=dtype)


def elementwise(name: str, function: Callable[..., Any], dtype: str | None = None) -> Op:
    """Define a pointwise op: each parameter is an operand, a parameter with a default is an attribute.

    Raises GraphError for a function that cannot be called on symbols.
    """
    made = library_elementwise(name, function, dtype)
    _ = made.body
    return made


def library_elementwise(name: str, function: Callable[..., Any], dtype: str | None = None) -> Op:
    """`elementwise`, but the function is called when the formula is first needed: few of many ops are used."""
    parameters = inspect.signature(function).parameters.values()
    free = [p.name for p in parameters if p.default is inspect.Parameter.empty]
    attributes = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}

    def formula() -> Any:
        symbols = {a: sympy.Symbol(a, real=True) for a in attributes}
        return as_symbolic(name, function, *(Operand(f)[...] for f in free), **symbols)

    return Op(name, (...,), formula, attributes=attributes, operand_order=free, dtype=dtype)
