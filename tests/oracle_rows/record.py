"""The record of one oracle row, and the NumPy pieces that several rows share."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp
from numpy.typing import NDArray

Array = NDArray[Any]
Attributes = dict[str, Any]
Case = tuple[tuple[Array, ...], Attributes]
Formula = Callable[..., Any]
Sample = Callable[[np.random.Generator], list[Case]]


@dataclass(frozen=True, slots=True)
class Oracle:
    """What one op means.

    name         the op's name in the graphnn namespace ("slice" is basic indexing, `x[index]`)
    sample       rng -> [(operands, attributes)], float64 operands away from every kink
    forward      (*operands, **attributes) -> value
    pullback     (adjoint, *operands, **attributes) -> one gradient per operand; None for an op without a gradient
    mp_forward   the value for mpmath scalars; softmax and its kin take one row, a sequence, in place of a scalar
    mp_gradient  the partial derivatives for mpmath scalars, one per operand
    kinks        (*operands, **attributes) -> distance to the nearest kink; None for a smooth op
    """

    name: str
    sample: Sample
    forward: Formula
    pullback: Formula | None = None
    mp_forward: Formula | None = None
    mp_gradient: tuple[Formula, ...] | None = None
    kinks: Formula | None = None

    def gradient(self, args: Sequence[Array], attributes: Attributes, adjoint: Array) -> list[Array | None]:
        """Gradients of sum(adjoint * forward) by operand, each in its operand's shape; None for integers and bools."""
        if self.pullback is None:
            raise ValueError(f"{self.name} has no gradient")
        found = self.pullback(np.asarray(adjoint), *args, **attributes)
        # An operand may also be passed as an attribute (the exponent of a power): its partial is then not asked for.
        return [None if arg.dtype.kind in "iub" else part for arg, part in zip(args, found, strict=False)]

    def condition(self, *scalars: Any, **attributes: Any) -> Any:
        """Relative condition number sum |x df/dx| / |f| at one point: the error, in eps, that rounded inputs excuse."""
        if self.mp_forward is None or self.mp_gradient is None:
            raise ValueError(f"{self.name} has no mpmath formulas")
        value = self.mp_forward(*scalars, **attributes)
        terms = [x * d(*scalars, **attributes) for x, d in zip(scalars, self.mp_gradient, strict=False)]
        return mp.fsum(terms, absolute=True) / abs(value)


def normal(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape)


def away(x: Array, corners: Iterable[float]) -> Array:
    """Moves what lies within 0.05 of a corner to 0.1 above it."""
    for corner in corners:
        x = np.where(np.abs(x - corner) < 0.05, corner + 0.1, x)
    return x


def distinct(rng: np.random.Generator, *shape: int) -> Array:
    """Values in random order, neighbours 0.25 apart: no ties."""
    return (rng.permutation(int(np.prod(shape))).reshape(shape) - 3.1) * 0.25


def cases(operands: Callable[[np.random.Generator], tuple[Array, ...]], *attributes: Attributes) -> Sample:
    """One case per attribute set, with fresh operands for each."""
    return lambda rng: [(operands(rng), chosen) for chosen in attributes or ({},)]


def pairs(gap: float = 0.0, nonzero: bool = False) -> Sample:
    """Two operands: equal shapes, a lower rank, mutual broadcasting. A `gap` keeps every a and b that far apart."""

    def sample(rng: np.random.Generator) -> list[Case]:
        found: list[Case] = []
        for left, right in [((2, 3), (2, 3)), ((3,), (2, 3)), ((2, 1), (1, 4)), ((3, 2), ())]:
            a, b = normal(rng, *left), np.asarray(normal(rng, *right))
            if nonzero:
                b = np.sign(b) * (np.abs(b) + 0.5)
            if gap:  # a on the even multiples of the gap, b on the odd ones
                a, b = 2 * gap * np.round(a / (2 * gap)), gap * (2 * np.round(b / (2 * gap)) + 1)
            found.append(((np.asarray(a), np.asarray(b)), {}))
        return found

    return sample


def unbroadcast(x: Array, shape: tuple[int, ...]) -> Array:
    """The adjoint of broadcasting: sums the axes that `shape` lacks or has at extent 1."""
    x = x.sum(axis=tuple(range(x.ndim - len(shape))))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1)
    return np.asarray(x.sum(axis=stretched, keepdims=True)).reshape(shape)


def reduced_axes(ndim: int, axis: int | tuple[int, ...] | None) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    return tuple(sorted(i % ndim for i in (axis if isinstance(axis, tuple) else (axis,))))


def restore(g: Array, x: Array, axis: int | tuple[int, ...] | None) -> Array:
    """A reduction's adjoint, with or without kept axes, broadcast to the shape of x."""
    axes = reduced_axes(x.ndim, axis)
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    return np.broadcast_to(g.reshape(kept), x.shape)


def along_rows(x: Array, axis: int | tuple[int, ...] | None, rule: Callable[[Array], Array]) -> Array:
    """Applies `rule` to x as (rows, reduced elements in row-major order), and puts its result back in x's shape."""
    axes = reduced_axes(x.ndim, axis)
    order = (*(i for i in range(x.ndim) if i not in axes), *axes)
    moved = x.transpose(order)
    count = int(np.prod([x.shape[i] for i in axes]))
    return rule(moved.reshape(-1, count)).reshape(moved.shape).transpose(np.argsort(order))
