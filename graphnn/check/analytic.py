"""Where a loss is not an analytic function of a leaf: there it may have kinks, and a complex step means nothing.

The answer is read off the definitions, so it holds for an op that was declared a minute ago.
"""

from __future__ import annotations

import sympy
from sympy.core.relational import Relational

from graphnn.declare.definition import FLOATS, Definition
from graphnn.declare.network import Tensor

_KINKED = (sympy.Max, sympy.Min, sympy.Abs, sympy.sign, sympy.floor, sympy.ceiling, sympy.Mod, Relational)


def find_obstacle(loss: Tensor, leaf: Tensor) -> str | None:
    """The first place on a way from `leaf` to `loss` that is not analytic, as "Max in 'hidden'"; None if there is none.

    A condition on axes, sizes or integer inputs (a mask, a one-hot row) is no obstacle: it does not move with the leaf.
    """
    network = loss.network
    moving = {leaf.name}
    for node in network.ancestors([loss]):
        slots = {n for n, operand in enumerate(network.operands(node)) if operand.name in moving}
        if node.definition is None or not slots:
            continue
        moving.add(node.name)
        if node.dtype not in FLOATS:
            return f"{node.dtype} values in '{node.name}'"
        if (found := _obstacle_in(node.definition, slots)) is not None:
            return f"{found} in '{node.name}'"
    return None


def _obstacle_in(definition: Definition, slots: set[int]) -> str | None:
    """The function of a definition that is not analytic in the operands of `slots`."""
    symbols = {access.symbol for access in definition.accesses if access.operand in slots}
    if definition.reducer in ("max", "min"):
        return str(definition.reducer)
    atoms = definition.body.atoms(*_KINKED) | definition.guard.atoms(Relational)
    kinked = sorted((atom for atom in atoms if atom.free_symbols & symbols), key=sympy.default_sort_key)
    if not kinked:
        return None
    return "a condition" if isinstance(kinked[0], Relational) else type(kinked[0]).__name__
