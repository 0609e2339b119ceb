"""Terms of a reduction that a later nest computes again are kept for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphnn.lower.ir import Buffer, Fold, Program, Stmt, Store
from graphnn.schedule.cost import FAR_LINES, LINE, POLYNOMIAL, WEIGHTS
from graphnn.schedule.extents import volume
from graphnn.schedule.machine import Machine
from graphnn.schedule.nest import Nest, peel, wrap
from graphnn.schedule.statements import fresh_name, names_in, rename, rewrite, writes
from graphnn.simplify.expr import Axis, Expr, Load, Local, Op, Range, axes_of, substitute, walk


def keep_terms(program: Program, machine: Machine) -> Program:
    """Store the terms of a fold that are needed again, and read them twice.

    for i: fold s = sum[r](exp(x[i, r])); t[i] = s;   for i: for j: y[i, j] = exp(x[i, j])/t[i]
      ->  for i: for j: e[i, j] = exp(x[i, j]);   for i: fold s = sum[r](e[i, r]); t[i] = s;
          for i: for j: y[i, j] = e[i, j]/t[i]

    Legal: nothing from the fold to the later nest writes what the terms are computed from. It pays for terms that take
    more instructions than a way to the cache and back, where as many rows of e as there are lanes stay in the
    second-level cache until fusion's one nest has used them. The rows that are in work then need no array (pass
    `local`), or e is where y is (pass `reuse`).
    """
    body, buffers = list(program.body), list(program.buffers)
    names = {b.name for b in program.buffers} | names_in(body) | set(program.sizes)
    place = 0
    while place < len(body):
        # Few folds have such terms, so that not every statement is compared with every later one.
        dear = _dear_terms(peel(body[place]))
        later = place + 1
        while dear is not None and later < len(body):
            kept = _keep(program, body[place : later + 1], dear, machine, names)
            if kept is not None:
                terms, stored, fold, again = kept
                buffers.append(terms)
                body[later] = again
                body[place : place + 1] = [stored, fold]
                place += 1
                break
            later += 1
        place += 1
    return replace(program, buffers=tuple(buffers), body=tuple(body))


@dataclass(frozen=True, slots=True)
class _DearTerms:
    """Parts of the terms of a fold inside of loops that take a polynomial, largest first."""

    loops: tuple[Range, ...]
    fold: Fold
    terms: tuple[Expr, ...]


def _keep(
    program: Program, body: Sequence[Stmt], dear: _DearTerms, machine: Machine, names: set[str]
) -> tuple[Buffer, Stmt, Stmt, Stmt] | None:
    """For a fold and a later nest, the first and the last of the statements: an array, what fills it, and both."""
    last = peel(body[-1])
    store = _store_of(last)
    if store is None:
        return None
    ranges, target = (*dear.loops, *dear.fold.ranges), program.buffer(store.buffer)
    if [(r.lo, r.hi) for r in ranges] != [(r.lo, r.hi) for r in last.loops]:
        return None
    axes: dict[Expr, Expr] = {Axis(a.axis): Axis(b.axis) for a, b in zip(ranges, last.loops, strict=True)}
    again = set(walk(store.value))
    term = next((e for e in dear.terms if substitute(e, axes) in again), None)
    if term is None or volume(dear.fold.ranges) * machine.lanes(term.dtype) > LINE * FAR_LINES:
        return None
    if not writes(body[:-1]).isdisjoint(e.buffer for e in walk(term) if isinstance(e, Load)):
        return None
    terms = Buffer(fresh_name(f"{target.name}.terms", names), term.dtype, target.shape, "temp", target.layout)
    element = Load(terms.name, store.index, term.dtype, term.origin)
    back = {after: before for before, after in axes.items()}
    (kept,) = wrap(last.loops, (Store(terms.name, store.index, substitute(term, axes), term.origin),))
    (kept,) = rename((kept,), {r.axis: fresh_name(r.axis, names) for r in last.loops})
    (folded,) = rewrite((body[0],), lambda e: substitute(e, {term: substitute(element, back)}))
    (scaled,) = rewrite((body[-1],), lambda e: substitute(e, {substitute(term, axes): element}))
    return terms, kept, folded, scaled


def _store_of(nest: Nest) -> Store | None:
    """The one statement of a nest that stores each element of an array once."""
    store = nest.body[0] if len(nest.body) == 1 and nest.contract is None else None
    if not isinstance(store, Store) or store.index != tuple(Axis(r.axis) for r in nest.loops):
        return None
    return store


def _dear_terms(nest: Nest) -> _DearTerms | None:
    """Those that move with what a nest reduces first, where all of its terms count."""
    fold = nest.body[0] if nest.body and nest.contract is None else None
    if not isinstance(fold, Fold) or fold.guard is not None:
        return None
    axes, terms = {r.axis for r in fold.ranges}, list[Expr]()
    for e in reversed(list(walk(fold.value))):
        parts = list(walk(e))
        dear = any(isinstance(p, Op) and WEIGHTS.get(p.fn, 0) >= POLYNOMIAL for p in parts)
        if dear and axes <= axes_of(e) and not any(isinstance(p, Local) for p in parts):
            terms.append(e)
    return _DearTerms(nest.loops, fold, tuple(terms)) if terms else None
