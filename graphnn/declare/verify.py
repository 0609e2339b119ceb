"""The verifier of definitions: what is read from a file must hold everything that binding guarantees.

symbols    axes are i0, i1, ... and r0, r1, ...; accesses t0, t1, ...; everything else is a size
indices    quasi-affine, one for each dimension, inside the operand unless a guard or a branch stands before the access
body       of known symbols; a condition only as a bool result; a reducer has axes, a guard has a reducer
"""

from __future__ import annotations

import math

import sympy

from graphnn.declare.affine import check_quasi_affine, extremes, is_axis, never_negative
from graphnn.declare.definition import DTYPES, FLOATS, Access, Definition, access_symbol
from graphnn.declare.notation import axis_symbol
from graphnn.declare.reducers import REDUCERS
from graphnn.declare.trees import is_condition
from graphnn.errors import DTypeError, GraphError, ShapeError

TERM_LIMIT = 1000  # of an index or an extent that is multiplied out


def verify_definition(definition: Definition, where: str) -> None:
    """Raise GraphError, ShapeError or DTypeError, naming `where`, unless `definition` is one that binding makes."""
    sizes = {e.axis: e.size for e in (*definition.axes, *definition.reduced)}
    expected = [axis_symbol(f"i{n}") for n in range(len(definition.axes))]
    expected += [axis_symbol(f"r{n}") for n in range(len(definition.reduced))]
    if [*sizes] != expected:
        raise GraphError(f"{where}: the axes are {[*sizes]}, not {expected}")
    known = set(expected)
    for slot, operand in enumerate(definition.operands):
        check_dtype(operand.dtype, f"{where}: operand {slot}")
        for size in operand.shape:
            check_extent(size, f"{where}: operand {slot}")
    for axis, size in sizes.items():
        check_extent(size, f"{where}: the extent of {axis}")
    check_dtype(definition.dtype, where)
    floats = sorted({o.dtype for o in definition.operands if o.dtype in FLOATS})
    if len(floats) > 1:
        raise DTypeError(f"{where}: operands are {floats[0]} and {floats[1]}; declare both with one dtype")
    if definition.reducer is not None and definition.reducer not in REDUCERS:
        raise GraphError(f"{where}: unknown reducer {definition.reducer!r:.40}; known are {', '.join(REDUCERS)}")
    if (definition.reducer is None) == bool(definition.reduced):
        raise GraphError(f"{where}: a reducer and the axes that it reduces belong together")
    if not is_condition(definition.guard) or (definition.reducer is None and definition.guard != sympy.true):
        raise GraphError(f"{where}: a guard is a condition on the terms of a reducer")
    if is_condition(definition.body) and definition.dtype in FLOATS:
        raise DTypeError(f"{where}: a condition gives bool, not {definition.dtype}")
    guarded = definition.guard.free_symbols | {
        s for p in definition.body.atoms(sympy.Piecewise) for s in p.free_symbols
    }
    for number, access in enumerate(definition.accesses):
        _verify_access(definition, number, access, sizes, known, f"{where}: access t{number}")
        if access.symbol not in guarded and definition.guard == sympy.true:
            _check_inside(definition, access, sizes, f"{where}: access t{number}")
        known.add(access.symbol)
    if stray := _stray((definition.body.free_symbols | definition.guard.free_symbols) - known):
        raise GraphError(f"{where}: the formula holds '{stray[0]}', which is no axis, access or size of it")


def check_dtype(dtype: str, where: str) -> None:
    if dtype not in DTYPES:
        raise DTypeError(f"{where}: dtype {dtype!r:.40} is not one of {', '.join(DTYPES)}")


def check_extent(size: sympy.Expr, where: str) -> None:
    """Raise ShapeError unless `size` is a nonnegative integer or a whole expression of sizes."""
    whole = isinstance(size, sympy.Expr) and size.is_integer and not size.is_negative
    if not whole or any(is_axis(s) for s in size.free_symbols) or _terms(size) > TERM_LIMIT:
        raise ShapeError(f"{where}: {size!s:.80} is not an extent: a nonnegative integer or an expression of sizes")


def _stray(symbols: set[sympy.Symbol]) -> list[sympy.Symbol]:
    """Those that are no sizes. A formula may hold sizes that none of its operands has: 1/N in the mean's adjoint."""
    return sorted((s for s in symbols if is_axis(s) or s != axis_symbol(s.name)), key=str)


def _verify_access(
    definition: Definition,
    number: int,
    access: Access,
    sizes: dict[sympy.Symbol, sympy.Expr],
    known: set[sympy.Symbol],
    where: str,
) -> None:
    if not 0 <= access.operand < len(definition.operands):
        raise GraphError(f"{where}: there is no operand {access.operand}; there are {len(definition.operands)}")
    operand = definition.operands[access.operand]
    if access.symbol != access_symbol(number, operand.dtype):
        raise GraphError(f"{where}: its symbol is '{access.symbol}'")
    if len(access.index) != len(operand.shape):
        raise ShapeError(f"{where}: {len(access.index)} indices for an operand of shape {operand.shape}")
    earlier = {a.symbol: definition.operands[a.operand].dtype for a in definition.accesses[:number]}
    for index in access.index:
        if not isinstance(index, sympy.Expr) or _terms(index) > TERM_LIMIT:
            raise GraphError(f"{where}: {index!s:.80} is not an index")
        if stray := _stray(index.free_symbols - known):
            raise GraphError(f"{where}: the index {index} holds '{stray[0]}', which is no axis, earlier access or size")
        if bad := [s for s in sorted(index.free_symbols, key=str) if earlier.get(s, "int64") != "int64"]:
            raise DTypeError(f"{where}: '{bad[0]}' is used as an index, so its operand must be int64")
        try:
            check_quasi_affine(index, set(sizes) | set(earlier))
        except GraphError as error:
            raise GraphError(f"{where}: {error}") from error


def _check_inside(definition: Definition, access: Access, sizes: dict[sympy.Symbol, sympy.Expr], where: str) -> None:
    shape = definition.operands[access.operand].shape
    if any(size == 0 for size in sizes.values()):
        return  # nothing is read where an axis is empty
    for dimension, (index, dim) in enumerate(zip(access.index, shape, strict=True)):
        if sizes.get(index) == dim or any(is_axis(s) and s not in sizes for s in index.free_symbols):
            continue  # a bare axis, or an integer access: its values are checked at the boundary
        bounds = extremes(index, sizes)
        if bounds is None or not (never_negative(bounds[0]) and never_negative(dim - 1 - bounds[1])):
            reach = "cannot be bounded" if bounds is None else f"runs from {bounds[0]} to {bounds[1]}"
            raise ShapeError(f"{where}: the index {index} {reach} in dimension {dimension}, whose extent is {dim}")


def _terms(expr: sympy.Basic) -> float:
    """How many terms `expr` has at most when it is multiplied out."""
    parts = [_terms(a) for a in expr.args]
    if isinstance(expr, sympy.Add):
        return sum(parts)
    if isinstance(expr, sympy.Mul):
        return math.prod(parts)
    if isinstance(expr, sympy.Pow):
        exponent = expr.exp
        if not exponent.is_Integer or abs(exponent) > TERM_LIMIT:
            return math.inf
        return math.inf if parts[0] > 1 and abs(exponent) > 16 else parts[0] ** abs(int(exponent))
    return max(parts, default=1)
