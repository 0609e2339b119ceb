"""Random numbers: pure functions of a seed, a step, a name and an element's number, by the generator Threefry-2x32.

    random.key            = threefry(random.seed, random.step)       one for the network
    kept.stream           = threefry(random.key, digest of "kept")   one for each node that draws
    kept[i0, i1]          = threefry(kept.stream, 64*i0 + i1) < limit

`random.seed` is drawn by `Network.initialize(seed)`; `random.step` counts the training steps. So a node's numbers
depend neither on other nodes nor on the batch, the vector width or the order in which elements are computed.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from fractions import Fraction
from numbers import Real
from typing import Any

from graphnn.declare import primitives
from graphnn.declare.definition import FLOATS
from graphnn.declare.extents import Dims
from graphnn.declare.formula import Formula, written
from graphnn.declare.initializer import Bits
from graphnn.declare.network import Network, Tensor
from graphnn.declare.notation import Operand
from graphnn.declare.op import Op, as_number, is_finite
from graphnn.declare.registry import register
from graphnn.declare.sizes import as_exprs
from graphnn.errors import GraphError
from graphnn.late import sympy as sp
from graphnn.ops.arguments import check_dtype, check_tensors, numbered_axes
from graphnn.ops.elementwise import add

KEY, COUNTER, STREAM = (Operand(name, integer=True) for name in ("key", "counter", "stream"))
_HALF = 2**63  # of all blocks are negative


def _block() -> Formula:
    return written((...,), primitives.threefry(KEY[...], COUNTER[...]))


_threefry = Op("threefry", functools.partial(_block), ["key", "counter"])


def threefry(key: Any, counter: Any, name: str | None = None) -> Tensor:
    """The block of 64 random bits of each key and counter, both int64 and broadcast (DTypeError for others).

    Threefry-2x32 with 20 rounds, the low half of each number being its first word: Salmon et al., "Parallel random
    numbers: as easy as 1, 2, 3" (SC 2011).
    """
    for operand, value in (("key", key), ("counter", counter)):
        if isinstance(value, Tensor):
            check_dtype("threefry", operand, value, "int64")
    return _threefry(key, counter, name=name)


register("threefry", threefry)


def step_key(network: Network) -> Tensor:
    """The network's key of this step, an int64 scalar; its seed and its counter of steps are made on first use."""
    if "random.key" in network:
        return network["random.key"]
    with network.composing("random.key", "random.key"):
        seed = network.variable("random.seed", (), Bits(), "int64")
        step = network.variable("random.step", (), 0, "int64")
        network.update(step, add(step, 1, name="random.step.next"))
        return threefry(seed, step, name="random.key")


def _stream(network: Network, name: str) -> Tensor:
    """The key of one node's numbers: they depend on its name and not on what else the network holds."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return threefry(step_key(network), int.from_bytes(digest, "little", signed=True), name=f"{name}.stream")


def _drawn(shape: Dims, value: Callable[..., Any], *arguments: Any) -> Formula:
    """value(block, *arguments) of the block of each element: its counter is its number in row-major order."""
    axes, sizes = numbered_axes(len(shape)), as_exprs(shape)
    number = sp.S.Zero
    for axis, size in zip(axes, sizes, strict=True):
        number = number * size + axis
    block = primitives.threefry(STREAM[()], sp.expand(number))
    return written(axes, value(block, *arguments), dict(zip(axes, sizes, strict=True)))


def _less(block: sp.Expr, p: float) -> sp.Basic:
    """True with probability p."""
    below = round(Fraction(p) * 2 * _HALF) - _HALF  # as many of the 2^64 blocks are smaller
    return block < below if below < _HALF else block <= below - 1  # all of them are, where p is 1


def _uniform(block: sp.Expr, dtype: str, low: float, high: float) -> sp.Expr:
    bits = 24 if dtype == "float32" else 53
    unit = (sp.floor(block / 2 ** (64 - bits)) + 2 ** (bits - 1)) / sp.Integer(2) ** bits
    low_number, width = as_number(low, "low"), as_number(high, "high") - as_number(low, "low")
    return low_number + width * unit


def _normal(block: sp.Expr, mean: float, stddev: float) -> sp.Expr:
    word = sp.Integer(2**32)
    radius = (sp.floor(block / word) + 2**31 + sp.Rational(1, 2)) / word  # in (0, 1)
    turn = sp.Mod(block, word) / word
    unit = sp.sqrt(-2 * sp.log(radius)) * sp.cos(2 * sp.pi * turn)
    return as_number(mean, "mean") + as_number(stddev, "stddev") * unit


def _draw(
    op: str, final: str, network: Network, shape: Dims, dtype: str, shown: dict[str, float], *value: Any
) -> Tensor:
    """A node of that name and shape whose elements are value(block, ...), as `_drawn`."""
    drawn = Op(op, functools.partial(_drawn, shape, *value), ["stream"], dtype=dtype, shown=shown)
    return drawn(_stream(network, final), name=final)


def _float_of(like: Tensor) -> str:
    return like.dtype if like.dtype in FLOATS else "float32"


def bernoulli(like: Tensor, p: float = 0.5, name: str | None = None) -> Tensor:
    """A bool of the shape of `like`, true with probability p: exactly round(2^64 p) of 2^64 equally likely numbers.

    The same draws in any dtype. They change with each training step, and with `Network.initialize(seed)`. GraphError
    unless p is a number of [0, 1].
    """
    check_tensors("bernoulli", like)
    chance = _number("bernoulli", "p", p)
    if not 0 <= chance <= 1:
        raise GraphError(f"bernoulli: p is a probability, of [0, 1], not {p}")
    return draw_bernoulli(like.network, like.shape, chance, name)


def draw_bernoulli(network: Network, shape: Dims, p: float, name: str | None = None) -> Tensor:
    """`bernoulli` of any shape."""
    with network.composing("bernoulli", name) as final:
        return _draw("bernoulli", final, network, shape, "bool", {"p": p}, _less, p)


def random_uniform(like: Tensor, low: float = 0.0, high: float = 1.0, name: str | None = None) -> Tensor:
    """low + (high - low) u, of the shape and float dtype of `like` (float32 for others), u uniform in [0, 1).

    u is a multiple of 2^-24 in float32 and of 2^-53 in float64. It changes with each training step. GraphError unless
    low < high are finite numbers.
    """
    check_tensors("random_uniform", like)
    ends = _number("random_uniform", "low", low), _number("random_uniform", "high", high)
    if not ends[0] < ends[1]:
        raise GraphError(f"random_uniform: low is less than high, not low={low}, high={high}")
    with like.network.composing("random_uniform", name) as final:
        dtype, shown = _float_of(like), dict(zip(("low", "high"), ends, strict=True))
        return _draw("random_uniform", final, like.network, like.shape, dtype, shown, _uniform, dtype, *ends)


def random_normal(like: Tensor, mean: float = 0.0, stddev: float = 1.0, name: str | None = None) -> Tensor:
    """Normal numbers of the shape and float dtype of `like` (float32 for others), by Box and Muller (1958).

    sqrt(-2 ln u) cos(2 pi v) with 32 bits each for u and v: never beyond 6.8 standard deviations. They change with each
    training step. GraphError unless mean and stddev are finite numbers, stddev not negative.
    """
    check_tensors("random_normal", like)
    numbers = _number("random_normal", "mean", mean), _number("random_normal", "stddev", stddev)
    if numbers[1] < 0:
        raise GraphError(f"random_normal: stddev is not negative, but {stddev}")
    with like.network.composing("random_normal", name) as final:
        shown = dict(zip(("mean", "stddev"), numbers, strict=True))
        return _draw("random_normal", final, like.network, like.shape, _float_of(like), shown, _normal, *numbers)


def _number(op: str, what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not is_finite(value):
        raise GraphError(f"{op}: {what} is a finite number, not {' '.join(repr(value).split()):.40}")
    return float(value)
