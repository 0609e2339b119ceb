"""Substitution that evaluates again only what it may change.

    exp(-t0)*t1   ->   exp(-x[i0])*y[i0]        elements take the place of elements: the tree stays as it is
    t0 + t1       ->   2*x[i0]                  two became one: evaluated
    select(i0 - 1 >= 0, t0, 0)  ->  select(p0 >= 0, x[p0], 0)      the condition is evaluated, what is beside it is not

sympy's constructors normalise what they are given, which is most of the time of `xreplace`; yet renaming leaves of
equal assumptions cannot change what they decide, but for the order of sums and products, which is restored.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cmp_to_key

import sympy

from graphnn.declare.entries import Entry
from graphnn.declare.whole import replace_within, write

Leaves = dict[sympy.Basic, sympy.Basic]
_ORDER = cmp_to_key(sympy.Basic.compare)
_KEPT = (sympy.exp, sympy.log, sympy.Pow, sympy.Max, sympy.Min, sympy.core.relational.Relational)


def substitute(expr: sympy.Basic, mapping: Mapping[sympy.Basic, sympy.Basic]) -> sympy.Basic:
    """`expr.xreplace(mapping)` for a mapping of symbols and accesses; accesses are replaced within indices, too."""
    images: Leaves = {}
    _find(expr, mapping, images)
    if all(image is leaf for leaf, image in images.items()):
        return expr
    names = [image for leaf, image in images.items() if _alike(leaf, image)]
    if len(set(names)) < len(names):
        return expr.xreplace(images)
    return _rebuild(expr, images)[0]


def _find(expr: sympy.Basic, mapping: Mapping[sympy.Basic, sympy.Basic], images: Leaves) -> None:
    """Note what becomes of each symbol and each outermost access of an expression."""
    if isinstance(expr, Entry):
        if expr not in images:
            image = mapping.get(expr)
            images[expr] = _moved(expr, mapping) if image is None else image
    elif expr.args:
        for argument in expr.args:
            _find(argument, mapping, images)
    elif expr.is_Symbol:
        images[expr] = mapping.get(expr, expr)


def _moved(entry: Entry, mapping: Mapping[sympy.Basic, sympy.Basic]) -> Entry:
    """The access at the index that the substitution makes of its own."""
    index = [replace_within(i, mapping) for i in entry.index]
    return entry if all(new is old for new, old in zip(index, entry.index, strict=True)) else entry.with_index(index)


def _alike(leaf: sympy.Basic, image: sympy.Basic) -> bool:
    """Whether both are leaves of which sympy knows the same."""
    return leaf is image or ((image.is_Symbol or isinstance(image, Entry)) and _facts(leaf) == _facts(image))


def _facts(leaf: sympy.Expr) -> tuple[bool | None, ...]:
    return leaf.is_real, leaf.is_integer, leaf.is_nonnegative, leaf.is_positive


def _rebuild(expr: sympy.Basic, images: Leaves) -> tuple[sympy.Basic, bool]:
    """(the expression of images, whether it is the same tree)."""
    image = images.get(expr)
    if image is not None:
        return image, _alike(expr, image)
    if not expr.args:
        return expr, True
    parts = [_rebuild(argument, images) for argument in expr.args]
    arguments = [part for part, _ in parts]
    if all(new is old for new, old in zip(arguments, expr.args, strict=True)):
        return expr, True
    if not all(same for _, same in parts):
        return write(expr.func, arguments), False
    if expr.is_Add or expr.is_Mul:
        if expr.is_Mul and len(arguments) == 2 and arguments[0].is_Number and arguments[1].is_Add:
            return expr.func(*arguments), False  # 2*(x + y), which sympy spreads
        numbers = [a for a in arguments if a.is_Number]
        others = sorted((a for a in arguments if not a.is_Number), key=_ORDER)
        return expr.func(*numbers, *others, evaluate=False), True
    # A choice writes its conditions by the order of names.
    if isinstance(expr, _KEPT) or (
        isinstance(expr, sympy.Piecewise)
        and all(new.cond is old.cond for new, old in zip(arguments, expr.args, strict=True))
    ):
        return expr.func(*arguments, evaluate=False), True
    # Evaluated: an odd function hands a sign on, by the order of its argument's terms.
    made = write(expr.func, arguments)
    return made, made.func is expr.func and set(made.args) == set(arguments)
