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
import math
from fractions import Fraction
from numbers import Real
from typing import Any

import sympy as sp

from graphnn.declare import scalars
from graphnn.declare.definition import FLOATS
from graphnn.declare.initializer import Bits
from graphnn.declare.network import Network, Tensor
from graphnn.declare.notation import Operand
from graphnn.declare.op import Op, as_number
from graphnn.declare.registry import register
from graphnn.errors import GraphError
from graphnn.ops.arguments import check_dtype, check_tensors, numbered_axes
from graphnn.ops.elementwise import add

KEY, COUNTER, STREAM = (Operand(name, integer=True) for name in ("key", "counter", "stream"))
Shape = tuple[sp.Expr, ...]
_HALF = 2**63  # of all blocks are negative

_threefry = Op("threefry", (...,), scalars.threefry(KEY[...], COUNTER[...]), operand_order=["key", "counter"])


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


def _blocks(shape: Shape) -> tuple[tuple[sp.Symbol, ...], sp.Expr]:
    """Axes for a shape, and the block of the element there: its counter is its number in row-major order."""
    axes = numbered_axes(len(shape))
    number = sp.S.Zero
    for axis, size in zip(axes, shape, strict=True):
        number = number * size + axis
    return axes, scalars.threefry(STREAM[()], sp.expand(number))


def _op(name: str, axes: tuple[sp.Symbol, ...], shape: Shape, body: Any, dtype: str, **shown: Any) -> Op:
    extents = dict(zip(axes, shape, strict=True))
    return Op(name, axes, body, extents, operand_order=["stream"], dtype=dtype, shown=shown)


@functools.cache
def _bernoulli(shape: Shape, p: float) -> Op:
    axes, block = _blocks(shape)
    below = round(Fraction(p) * 2 * _HALF) - _HALF  # as many of the 2^64 blocks are smaller
    body = block < below if below < _HALF else block <= below - 1  # all of them are, where p is 1
    return _op("bernoulli", axes, shape, body, "bool", p=p)


@functools.cache
def _uniform(shape: Shape, dtype: str, low: float, high: float) -> Op:
    axes, block = _blocks(shape)
    bits = 24 if dtype == "float32" else 53
    unit = (sp.floor(block / 2 ** (64 - bits)) + 2 ** (bits - 1)) / sp.Integer(2) ** bits
    low_number, width = as_number(low, "low"), as_number(high, "high") - as_number(low, "low")
    return _op("random_uniform", axes, shape, low_number + width * unit, dtype, low=low, high=high)


@functools.cache
def _normal(shape: Shape, dtype: str, mean: float, stddev: float) -> Op:
    axes, block = _blocks(shape)
    word = sp.Integer(2**32)
    radius = (sp.floor(block / word) + 2**31 + sp.Rational(1, 2)) / word  # in (0, 1)
    turn = sp.Mod(block, word) / word
    unit = sp.sqrt(-2 * sp.log(radius)) * sp.cos(2 * sp.pi * turn)
    body = as_number(mean, "mean") + as_number(stddev, "stddev") * unit
    return _op("random_normal", axes, shape, body, dtype, mean=mean, stddev=stddev)


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
    return draw_bernoulli(like.network, like.shape_exprs, chance, name)


def draw_bernoulli(network: Network, shape: Shape, p: float, name: str | None = None) -> Tensor:
    """`bernoulli` of any shape."""
    with network.composing("bernoulli", name) as final:
        return _bernoulli(shape, p)(_stream(network, final), name=final)


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
        return _uniform(like.shape_exprs, _float_of(like), *ends)(_stream(like.network, final), name=final)


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
        return _normal(like.shape_exprs, _float_of(like), *numbers)(_stream(like.network, final), name=final)


def _number(op: str, what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise GraphError(f"{op}: {what} is a finite number, not {' '.join(repr(value).split()):.40}")
    return float(value)
