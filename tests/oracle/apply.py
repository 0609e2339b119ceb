"""One op as a compiled program: its value, and the gradients of sum(adjoint * value) by its float operands."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

import graphnn as gn
from tests.three_way.runner import Accuracy, Array, Chain

Attributes = tuple[tuple[str, Any], ...]
Kinds = tuple[tuple[str, tuple[int, ...]], ...]  # dtype and shape of each operand
SPREAD = ("concatenate", "stack")  # take one sequence of tensors


class Applied:
    """`op` on operands of these kinds; operands in `constants` are numbers of the formula."""

    def __init__(
        self,
        op: str,
        kinds: Kinds,
        attributes: dict[str, Any],
        accuracy: Accuracy,
        ties: Any = "first",
        constants: dict[int, float] | None = None,
        differentiable: bool = True,
    ) -> None:
        net = gn.Network("oracle")
        floats = [dtype for dtype, _ in kinds if dtype.startswith("float")]
        given: list[Any] = [
            constants[n] if constants and n in constants else net.input(f"x{n}", shape, dtype=dtype)
            for n, (dtype, shape) in enumerate(kinds)
        ]
        self.value = _call(op, given, attributes)
        self.by = [t for t in given if isinstance(t, gn.Tensor) and t.dtype.startswith("float")]
        outputs = [self.value]
        if differentiable and self.by:
            adjoint = net.input("adjoint", self.value.shape, dtype=floats[0])
            outputs += gn.gradients(gn.sum(self.value * adjoint), self.by, ties=ties)
        self.chain = Chain(outputs, accuracy)

    def __call__(self, args: Sequence[Any], adjoint: Any = None) -> tuple[Array, dict[int, Array]]:
        """The value, and the gradients by operand number."""
        values = {f"x{n}": arg for n, arg in enumerate(args)} | {"adjoint": adjoint}
        value, *gradients = self.chain.native({n: values[n] for n in self.chain.network.inputs})
        return value, {int(t.name[1:]): g for t, g in zip(self.by, gradients, strict=False)}


def _call(op: str, given: list[Any], attributes: dict[str, Any]) -> gn.Tensor:
    if op == "slice":
        return given[0][attributes["index"]]
    if op in SPREAD:
        return getattr(gn, op)(given, **attributes)
    return getattr(gn, op)(*given, **attributes)


def kinds_of(args: Sequence[Array], dtype: str) -> Kinds:
    """Integer and bool operands as they are, floats as `dtype`."""
    names = {"i": "int64", "b": "bool"}
    return tuple((names.get(a.dtype.kind, dtype), a.shape) for a in args)


@functools.cache
def _applied(
    op: str, kinds: Kinds, attributes: Attributes, accuracy: Accuracy, ties: str, constants: Any, gradient: bool
) -> Applied:
    return Applied(op, kinds, dict(attributes), accuracy, ties, dict(constants), gradient)


def applied(
    op: str,
    kinds: Kinds,
    attributes: dict[str, Any],
    accuracy: Accuracy,
    ties: str,
    constants: dict[int, float],
    gradient: bool,
) -> Applied:
    """As Applied, compiled once per test run."""
    return _applied(op, kinds, tuple(attributes.items()), accuracy, ties, tuple(constants.items()), gradient)


def as_dtype(args: Sequence[Array], dtype: str) -> list[Array]:
    """The operands rounded to what the program is given."""
    return [a if a.dtype.kind in "ib" else a.astype(dtype).astype(np.float64) for a in args]
