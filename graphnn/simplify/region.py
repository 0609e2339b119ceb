"""Which nodes become arrays of the program, and inlining of the others.

    h = x W;  a = sigmoid(h + b);  q = a.reshape(...);  loss = sum(q)     a, q and h + b are inlined or not, h never

A node is materialised ("a root") when it is an output or a new state value, a reduction, a factor of a contraction, a
side of an equation of real numbers, or when several arrays read it and it is expensive, or is the epilogue of a
contraction, where storing it is free. A bare re-index (transpose, reshape, slice, broadcast) never is, unless it is an
output. A monomial of exponentials, exp(z)/s, is inlined for the algebra: it cancels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import sympy
from sympy.logic.boolalg import Boolean

from graphnn.declare.affine import simplify_index
from graphnn.declare.definition import FLOATS, Definition, Extent
from graphnn.declare.entries import Entry, IntegerEntry
from graphnn.declare.network import Tensor
from graphnn.declare.parts import find_parts
from graphnn.declare.substitute import substitute
from graphnn.simplify.cost import cost
from graphnn.simplify.elements import outermost

_REPEATED = 24  # additions; the same for a map that is read several times, unless it may cancel
_LARGEST = 100  # additions; a map that would be larger with everything inlined becomes an array
_WIDE = 3  # elements of full rank; a map of more, read several times, costs more loads than its array would
_CHEAP = 12  # additions; up to here a node is computed again where it is read rather than stored


@dataclass(frozen=True, slots=True)
class Assignment:
    """name[axes] = reducer over `reduced` of `body`: a definition whose accesses name arrays."""

    name: str
    axes: tuple[Extent, ...]
    reducer: str | None
    reduced: tuple[Extent, ...]
    guard: Boolean
    body: sympy.Expr
    dtype: str

    @property
    def sizes(self) -> dict[sympy.Symbol, sympy.Expr]:
        return {e.axis: e.size for e in (*self.axes, *self.reduced)}

    def as_map(self, body: sympy.Expr) -> Assignment:
        return replace(self, reducer=None, reduced=(), guard=sympy.true, body=body)


def read(name: str, index: Sequence[sympy.Expr], dtype: str) -> Entry:
    """An element of an array of the program."""
    kind = Entry if dtype in FLOATS else IntegerEntry
    return kind(sympy.Symbol(name), sympy.S.Zero, *index)


def assignment_of(
    node: Tensor, definition: Definition, operands: Sequence[Tensor], sizes: Mapping[sympy.Symbol, sympy.Expr]
) -> Assignment:
    """A node's definition with its operands' names in place, and with the sizes that the compile binds.

    An axis of one element is 0 wherever it is used, and nothing is reduced over it, so that what a reshape wrote as
    i0 + 2*i1 cancels. A contraction keeps such an axis: with a batch of one it is a contraction still.
    """

    def bound(extents: Sequence[Extent]) -> tuple[Extent, ...]:
        return tuple(Extent(e.axis, e.size.xreplace(sizes)) for e in extents)

    axes, reduced = bound(definition.axes), bound(definition.reduced)

    def without(units: Sequence[Extent]) -> Assignment:
        shown: dict[sympy.Expr, sympy.Expr] = {**sizes, **{e.axis: sympy.S.Zero for e in units}}
        for access in definition.accesses:
            operand = operands[access.operand]
            shown[access.symbol] = read(operand.name, [i.xreplace(shown) for i in access.index], operand.dtype)
        body, guard = substitute(definition.body, shown), substitute(definition.guard, shown)
        left = tuple(e for e in reduced if e not in units)
        if reduced and not left and guard == sympy.true:
            return Assignment(node.name, axes, None, (), guard, body, definition.dtype)
        return Assignment(node.name, axes, definition.reducer, left or reduced, guard, body, definition.dtype)

    inner = [e for e in reduced if e.size == 1]
    outer = [e for e in axes if e.size == 1]
    assignment = without(inner)
    return without([*inner, *outer]) if outer and not contraction_factors(assignment) else assignment


@lru_cache(2**12)
def entries(expr: sympy.Basic) -> tuple[Entry, ...]:
    """All accesses in an expression, in a fixed order."""
    found = find_parts(expr, Entry)
    return tuple(sorted(found, key=sympy.default_sort_key) if len(found) > 1 else found)


def is_reindex(assignment: Assignment) -> bool:
    """A bare access or a constant: transpose, reshape, slice, broadcast, fill."""
    return assignment.reducer is None and (isinstance(assignment.body, Entry) or assignment.body.is_number)


def is_monomial(body: sympy.Expr) -> bool:
    """A product of powers of accesses and exponentials of accesses: exp(z), exp(z)/s."""
    return not isinstance(body, Boolean) and all(
        isinstance(base := factor.as_base_exp()[0], Entry | sympy.exp)
        or base.is_number
        or factor.is_number
        or factor.func is sympy.exp
        for factor in sympy.Mul.make_args(body)
    )


def is_rational(body: sympy.Expr) -> bool:
    """Whether a formula divides by accesses or holds exponentials: it may cancel where it is read."""
    return body.has(sympy.exp) or any(q.exp.is_negative and q.base.has(Entry) for q in find_parts(body, sympy.Pow))


def contraction_factors(assignment: Assignment) -> list[Entry]:
    """The accesses of a sum of products over two arrays neither of which has all output axes of the other."""
    if assignment.reducer != "sum" or not (assignment.body.is_Mul or assignment.body.is_Pow):
        return []
    outer = {e.axis for e in assignment.axes}
    inner = {e.axis for e in assignment.reduced}
    factors = [e for f in sympy.Mul.make_args(assignment.body) if (e := _read_or_zero(f)) is not None]
    used = [{a for i in f.index for a in i.free_symbols} for f in factors]
    for n, first in enumerate(used):
        for second in used[n + 1 :]:
            if first & second & inner and (first - second) & outer and (second - first) & outer:
                return factors
    return []


def _read_or_zero(factor: sympy.Expr) -> Entry | None:
    """The access that a factor is: x[i], or x[i] inside of some bounds and 0 outside of them, as padding has it."""
    if isinstance(factor, sympy.Piecewise) and len(factor.args) == 2 and factor.args[1].expr == 0:
        factor = factor.args[0].expr
    return factor if isinstance(factor, Entry) else None


def compared(assignment: Assignment) -> set[str]:
    """The arrays in equations of real numbers, such as x[i] == max: computed a second time they might round apart."""
    if not (assignment.body.has(sympy.Eq) or assignment.guard.has(sympy.Eq)):
        return set()
    equations = find_parts(assignment.body, sympy.Eq) | find_parts(assignment.guard, sympy.Eq)
    real = [e for e in equations if not all(side.is_integer for side in e.args)]
    return {entry.operand for equation in real for entry in entries(equation)}


def stored_anyway(assignments: Sequence[Assignment]) -> set[str]:
    """The arrays that contractions or equations of real numbers read, be it through a transpose or reshape."""
    reindex = {a.name: a for a in assignments if is_reindex(a)}
    names = {f.operand for a in assignments for f in contraction_factors(a)}
    return {_source(name, reindex) for name in names.union(*map(compared, assignments))}


def choose_roots(assignments: Sequence[Assignment], wanted: set[str]) -> set[str]:
    """The names of the maps that become arrays; reductions are arrays unless they simplify to maps.

    First by use, from the last node back: a node that is inlined hands its reads on. Then by size, from
    the first node on: what an array would hold once everything is inlined stays within bounds, so that the formulas of
    a chain of maps grow with its length and not exponentially.
    """
    reindex = {a.name: a for a in assignments if is_reindex(a)}
    contractions = {a.name for a in assignments if contraction_factors(a)}
    stored = stored_anyway(assignments)
    roots = set(wanted)
    reads = {a.name: _occurrences(a.body) + _occurrences(a.guard) for a in assignments}
    uses: Counter[str] = Counter()
    for a in reversed(assignments):
        many = uses[a.name] > 1
        own = tuple(sympy.S.Zero if e.size == 1 else e.axis for e in a.axes)
        epilogue = any(e.operand in contractions and e.index == own for e in entries(a.body))
        costly = cost(a.body) > _CHEAP and not is_monomial(a.body)
        if a.name not in reindex and (a.name in stored or a.dtype not in FLOATS or (many and (costly or epilogue))):
            roots.add(a.name)
        passed = 1 if a.name in roots or a.reducer else uses[a.name]
        for name in reads[a.name]:
            uses[name] += passed
    sizes: dict[str, int] = {}
    widths: dict[str, int] = {}
    for a in assignments:
        inlined = cost(a.body) + sum(count * sizes.get(name, 0) for name, count in reads[a.name].items())
        limit = _LARGEST if uses[a.name] < 2 or is_rational(a.body) else _REPEATED
        width = sum(widths.get(e.operand, 1) for e in entries(a.body) if _moves_with_all(e, a.axes))
        wide = width > _WIDE and uses[a.name] > 1 and not is_rational(a.body)
        if a.name not in reindex and not a.reducer and (inlined > limit or wide):
            roots.add(a.name)
        stored_here = a.name in roots or a.reducer is not None
        sizes[a.name], widths[a.name] = (0, 1) if stored_here else (inlined, width)
    return roots


def _moves_with_all(entry: Entry, axes: Sequence[Extent]) -> bool:
    """Whether an access is another element in each iteration, unlike a bias or a mean."""
    used = {symbol for index in entry.index for symbol in index.free_symbols}
    return all(e.axis in used for e in axes if e.size != 1)


def _occurrences(expr: sympy.Basic) -> Counter[str]:
    """How often each array is read, as the formula stands."""
    if isinstance(expr, Entry):
        return sum(map(_occurrences, expr.index), Counter([expr.operand]))
    return sum(map(_occurrences, expr.args), Counter())


def _source(name: str, reindex: Mapping[str, Assignment]) -> str:
    """What a chain of re-indexing nodes reads in the end."""
    while name in reindex and isinstance(reindex[name].body, Entry):
        name = reindex[name].body.operand
    return name


def inline(expr: sympy.Basic, bodies: Mapping[str, Assignment]) -> sympy.Basic:
    """Replace accesses of inlined nodes by their bodies at that index."""

    def visit(entry: Entry) -> sympy.Expr:
        index = [inline(i, bodies) for i in entry.index]
        source = bodies.get(entry.operand)
        if source is None:
            return entry.with_index(index)
        moved = {e.axis: i for e, i in zip(source.axes, index, strict=True) if e.axis != i}
        return substitute(source.body, moved) if moved else source.body

    if not any(e.operand in bodies for e in entries(expr)):
        return expr
    return substitute(expr, {e: visit(e) for e in outermost(expr)})


def tidy_indices(expr: sympy.Basic, sizes: Mapping[sympy.Symbol, sympy.Expr]) -> sympy.Basic:
    """Simplify the quotients and remainders that inlining left in indices."""
    if not expr.has(sympy.floor, sympy.Mod):
        return expr
    changes = {e: e.with_index([simplify_index(i, sizes) for i in e.index]) for e in entries(expr)}
    expr = expr.xreplace({old: new for old, new in changes.items() if old != new})
    left = [q for q in find_parts(expr, sympy.floor, sympy.Mod) if not q.has(Entry)]
    return expr.xreplace({q: simplify_index(q, sizes) for q in left})
