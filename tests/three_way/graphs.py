"""Random graphs, decoded from lists of small integers, so that a failing one shrinks and can be pinned.

Every step applies one op to tensors that exist already. The values are computed along the way, and an op is applied
only where they are inside its domain and away from its kinks: then a difference in a result is an error, not bad luck.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

import graphnn as gn
from tests.three_way.runner import Accuracy
from tests.three_way.spatial import correlate, correlate_transpose, pad, pool, upsample

EXTENTS = (3, 2, 1, 7, 8, 9, 15, 16, 17, 31, 5, 0)
SHAPES = ("na", "a", "ab", "n", "", "n1", "1a", "nab", "ba", "an")
LARGEST = 3000  # elements of a tensor
T = TypeVar("T")
Array = np.ndarray[Any, Any]


@dataclass(slots=True)
class Graph:
    """Tensors with their values, and how the graph is to be compiled and differentiated."""

    codes: Iterator[int]
    network: gn.Network = field(default_factory=lambda: gn.Network("random"))
    values: dict[str, Array] = field(default_factory=dict)
    known: dict[str, Array] = field(default_factory=dict)
    tensors: list[gn.Tensor] = field(default_factory=list)
    indices: list[gn.Tensor] = field(default_factory=list)
    dtype: str = "float64"
    training: bool = False

    def pick(self, options: Sequence[T]) -> T:
        """One of the options; the first where the codes have run out."""
        return options[next(self.codes, 0) % len(options)]

    def value(self, tensor: gn.Tensor) -> Array:
        return self.known[tensor.name]

    def add(self, tensor: gn.Tensor) -> None:
        (value,) = gn.evaluate([tensor], self.values, training=self.training)
        self.known[tensor.name] = value
        good = value.size <= LARGEST and (tensor.dtype == "bool" or np.abs(value).max(initial=0) < 1e3)
        if good and tensor.dtype == self.dtype:
            self.tensors.append(tensor)

    @property
    def gap(self) -> float:
        """How far from a kink a value must be, so that rounding cannot carry it over."""
        return 1e-6 if self.dtype == "float64" else 1e-2

    def distinct(self, v: Array) -> bool:
        """Whether equal values are exactly equal."""
        gaps = np.diff(np.sort(v, axis=None))
        return bool(((gaps == 0) | (gaps > self.gap)).all())

    def apart(self, difference: Array) -> bool:
        return bool((np.abs(difference) > self.gap).all())


@dataclass(frozen=True, slots=True)
class Case:
    """A decoded graph: what to compute, from which values, compiled how."""

    outputs: list[gn.Tensor]
    values: dict[str, Array]
    accuracy: Accuracy
    sizes: dict[str, int]
    debug: bool
    training: bool


def decode(codes: Sequence[int]) -> Case:
    """The graph of a list of integers, forward and backward."""
    g = Graph(iter(codes))
    rng = np.random.default_rng(list(codes))
    steps = g.pick(range(3, 9))
    g.dtype = g.pick(("float64", "float64", "float32"))
    g.training = g.pick((True, False))
    extents = {"n": g.pick(EXTENTS), "a": g.pick(EXTENTS), "b": g.pick(EXTENTS), "1": 1}
    symbolic = g.pick((True, False))
    for number in range(g.pick((2, 3, 4))):
        shape = g.pick(SHAPES)
        declared = tuple("N" if symbolic and c == "n" else extents[c] for c in shape)
        declare = g.network.input if "N" in declared else g.pick((g.network.input, g.network.parameter))
        tensor = declare(f"x{number}", declared, dtype=g.dtype)
        made = rng.uniform(-2, 2, tuple(extents[c] for c in shape))
        g.values[tensor.name] = made.astype(np.float32).astype(np.float64)
        g.add(tensor)
    if extents["a"]:
        labels = g.network.input("labels", ("N" if symbolic else extents["n"],), dtype="int64")
        g.values["labels"] = g.known["labels"] = rng.integers(0, extents["a"], extents["n"])
        g.indices.append(labels)
    if not g.tensors:
        fallback = g.network.input("x", (2,), dtype=g.dtype)
        g.values["x"] = np.array([0.5, -1.5])
        g.add(fallback)
    for _ in range(steps):
        made_tensor = g.pick(STEPS)(g, g.pick(g.tensors[::-1]))
        if made_tensor is not None:
            g.add(made_tensor)
    outputs = [g.tensors[-1]] + ([g.pick(g.tensors)] if g.pick((False, True)) else [])
    outputs += _gradients(g, outputs)
    used = {t.name for t in g.network.ancestors(outputs)}
    g.values |= {name: g.network.state[name] for name in used & set(g.network.state) - set(g.values)}
    values = {n: v for n, v in g.values.items() if n in used}
    symbols = {s.name for leaf in g.values for d in g.network[leaf].shape_exprs for s in d.free_symbols}
    known = {s.name for leaf in values for d in g.network[leaf].shape_exprs for s in d.free_symbols}
    bound = symbols if g.pick((False, False, True)) else symbols - known
    sizes = dict.fromkeys(bound, extents["n"])
    return Case(outputs, values, g.pick(("fast", "tight")), sizes, g.pick((False, False, True)), g.training)


def _gradients(g: Graph, outputs: Sequence[gn.Tensor]) -> list[gn.Tensor]:
    """By every float leaf that the first output depends on, of the output itself or of its squares."""
    target = outputs[0]
    order = g.network.ancestors([target])
    leaves = [t for t in order if t.definition is None and t.dtype == g.dtype]
    loss = g.pick((lambda t: t, lambda t: gn.sum(t * t), gn.sum))(target)
    ties = g.pick(("first", "split"))
    found = []
    for leaf in leaves:
        try:
            found += gn.gradients(loss, [leaf], ties=ties)
        except gn.DeriveError:
            continue  # every way leads through a step
    return found


# Steps: each takes the graph and a tensor and gives a new tensor, or None where it does not apply.
Step = Callable[[Graph, gn.Tensor], gn.Tensor | None]


def _partner(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
    """A tensor that broadcasts with x."""

    def fits(other: gn.Tensor) -> bool:
        pairs = zip(reversed(x.shape), reversed(other.shape), strict=False)
        if not all(a == b or 1 in (a, b) for a, b in pairs):
            return False
        return np.broadcast_shapes(g.value(x).shape, g.value(other).shape) is not None

    candidates = [t for t in g.tensors if fits(t)]
    return g.pick(candidates) if candidates else None


def _unary(
    name: str, domain: tuple[float, float] = (-50, 50), kinks: tuple[float, ...] = (), **attributes: Any
) -> Step:
    def step(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
        v = g.value(x)
        inside = bool(((v >= domain[0]) & (v <= domain[1])).all())
        return getattr(gn, name)(x, **attributes) if inside and all(g.apart(v - k) for k in kinks) else None

    return step


def _binary(name: str, kink: bool = False) -> Step:
    def step(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
        y = _partner(g, x)
        if y is None or (kink and y is not x and not g.apart(g.value(x) - g.value(y))):
            return None
        if name == "divide" and np.abs(g.value(y)).min(initial=1) < 0.1:
            return None
        return getattr(gn, name)(x, y)

    return step


def _reduction(name: str) -> Step:
    def step(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
        v = g.value(x)
        axes = g.pick([None, *range(-v.ndim, 0), *([(0, -1)] if v.ndim > 1 else [])])
        keepdims = g.pick((False, True))
        if name in ("mean", "max", "min", "logsumexp") and v.size == 0:
            return None
        if name in ("max", "min") and not g.distinct(v):
            return None
        if name == "prod" and v.size > 40:
            return None
        return getattr(gn, name)(x, axis=axes, keepdims=keepdims)

    return step


def _matmul(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
    if x.ndim == 0:
        return None
    inner = x.shape[-1]
    candidates = [t for t in g.tensors if t.ndim and t.shape[-2 if t.ndim > 1 else -1] == inner]
    candidates = [t for t in candidates if x.ndim < 3 or t.ndim < 3 or x.shape[:-2] == t.shape[:-2]]
    if not candidates:
        return None
    return gn.matmul(x, g.pick(candidates))


def _transpose(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
    order = list(range(x.ndim))
    shift = g.pick(range(max(1, x.ndim)))
    return gn.transpose(x, g.pick((None, order[shift:] + order[:shift])))


def _reshape(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
    shape = g.value(x).shape
    fixed = [d for d in x.shape if isinstance(d, int)]
    options: list[Any] = [(-1,), (1, *x.shape), (*x.shape, 1)]
    if x.ndim >= 2:
        options += [(-1, x.shape[-1]), (x.shape[0], -1)]
    if len(fixed) == x.ndim:
        options += [(k, int(np.prod(shape)) // k) for k in (2, 3, 4, 7) if np.prod(shape) % k == 0]
    chosen = g.pick(options)
    if 0 in shape and -1 in chosen:
        return None
    return gn.reshape(x, chosen)


def _slice(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
    if x.ndim == 0:
        return None
    fixed = isinstance(x.shape[0], int)
    items = [slice(None, None, -1), slice(None), None, ...]
    if fixed and x.shape[0] > 1:
        items += [
            slice(1, None),
            slice(None, None, 2),
            slice(-2, None),
            slice(1, None, 3),
            slice(None, None, -2),
            0,
            -1,
        ]
    first = g.pick(items)
    last: list[Any] = [slice(None)]
    if x.ndim > 1 and isinstance(x.shape[-1], int) and x.shape[-1] > 1:
        last += [slice(None, -1), slice(1, None, 2), -1, slice(3, 1, -1)]
    chosen = g.pick(last)
    return x[first, ..., chosen] if x.ndim > 1 and first is not ... else x[first]


def _concatenate(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
    if x.ndim == 0:
        return None
    axis = g.pick(range(-x.ndim, 0))
    others = [t for t in g.tensors if t.ndim == x.ndim and _drop(t, axis) == _drop(x, axis)]
    return gn.concatenate([x, g.pick(others), *([g.pick(others)] if g.pick((False, True)) else [])], axis=axis)


def _drop(t: gn.Tensor, axis: int) -> tuple[Any, ...]:
    shape = list(t.shape)
    del shape[axis]
    return tuple(shape)


def _stack(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
    others = [t for t in g.tensors if t.shape == x.shape]
    return gn.stack([x, g.pick(others)], axis=g.pick(range(-x.ndim - 1, 1)))


def _gather(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
    rows = [t for t in g.indices if x.ndim and g.value(t).max(initial=-1) < g.value(x).shape[0]]
    return gn.gather(x, g.pick(rows)) if rows else None


def _argmax(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
    v = g.value(x)
    if v.ndim != 2 or v.size == 0 or not g.distinct(v):
        return None
    found = gn.argmax(x, axis=1)
    g.add(found)
    g.indices.append(found)
    depth = v.shape[1]
    return gn.one_hot(found, depth, dtype=g.dtype)


def _where(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
    y = _partner(g, x)
    if y is None or not (y is x or g.apart(g.value(x) - g.value(y))):
        return None
    condition = g.pick((gn.less, gn.greater_equal))(x, y)
    return gn.where(condition, x, g.pick((y, 0.25)))


def _softmax(name: str) -> Step:
    def step(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
        if x.ndim == 0 or g.value(x).size == 0:
            return None
        return getattr(gn, name)(x, axis=g.pick(range(-x.ndim, 0)))

    return step


def _loss(name: str, domain: tuple[float, float] = (-50, 50)) -> Step:
    def step(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
        v = g.value(x)
        same = [t for t in g.tensors if t.shape == x.shape and t is not x]
        reduction = g.pick(("mean", "sum", "none"))
        if not same or x.ndim == 0 or v.size == 0 or v.min() < domain[0] or v.max() > domain[1]:
            return None
        y = g.pick(same)
        kinks = {"l1": v - g.value(y), "hinge": 1 - v * g.value(y)}
        if name in kinks and not g.apart(kinks[name]):
            return None
        return getattr(gn, name)(x, y, reduction=reduction)

    return step


def _cross_entropy(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
    v = g.value(x)
    if v.ndim != 2 or v.size == 0:
        return None
    labels = [t for t in g.indices if t.shape == x.shape[:1] and g.value(t).max() < v.shape[1]]
    return gn.softmax_cross_entropy(x, g.pick(labels), reduction=g.pick(("mean", "sum", "none"))) if labels else None


def _random(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
    if g.value(x).size == 0:
        return None
    if g.pick((True, False)):
        return gn.dropout(x, g.pick((0.5, 0.1)), shared=g.pick(((), (-1,) if x.ndim else ())))
    return x * gn.random_uniform(x, -0.5, 2)


def _batch_norm(g: Graph, x: gn.Tensor) -> gn.Tensor | None:
    axes = [n for n, extent in enumerate(x.shape) if isinstance(extent, int)]
    if x.ndim < 2 or not axes or g.value(x).size == 0:
        return None
    axis = g.pick(axes[::-1])
    others = tuple(n for n in range(x.ndim) if n != axis)
    if g.training and g.value(x).var(others).min() < 0.05:  # nearly constant channels amplify rounding
        return None
    return gn.batch_norm(x, axis, eps=g.pick((0.001, 0.1)))


STEPS: tuple[Step, ...] = (
    *(_random, _random, _batch_norm),
    *(_binary(name) for name in ("add", "multiply", "subtract", "divide")),
    *(_reduction(name) for name in ("sum", "mean", "max", "min", "prod", "logsumexp")),
    *(_matmul, _matmul, _transpose, _reshape, _slice, _concatenate, _stack, _gather, _argmax, _where),
    *(_softmax(name) for name in ("softmax", "log_softmax")),
    *(correlate, correlate, pad, pool("max_pool"), pool("avg_pool"), upsample, correlate_transpose),
    *(_unary(name) for name in ("tanh", "sigmoid", "softplus", "square", "negative", "identity")),
    *(_unary(name) for name in ("sin", "cos", "erf", "gelu", "silu", "mish", "softsign")),
    _unary("gelu", approximate=True),
    _unary("rsqrt", (0.1, 50)),
    _unary("elu", kinks=(0,), alpha=0.5),
    _unary("selu", kinks=(0,)),
    _unary("relu6", kinks=(0, 6)),
    _unary("hard_sigmoid", kinks=(-3, 3)),
    _unary("exp", (-50, 5)),
    _unary("expm1", (-50, 5)),
    _unary("log", (0.1, 50)),
    _unary("log1p", (-0.9, 50)),
    _unary("sqrt", (0.1, 50)),
    _unary("relu", kinks=(0,)),
    _unary("abs", kinks=(0,)),
    _unary("leaky_relu", kinks=(0,), alpha=0.2),
    _unary("clip", kinks=(-1, 0.5), low=-1, high=0.5),
    _binary("maximum", kink=True),
    _binary("minimum", kink=True),
    *(_loss(name) for name in ("mean_squared_error", "quadratic", "l1", "hinge", "sigmoid_cross_entropy")),
    _loss("binary_cross_entropy", (0.05, 0.95)),
    _cross_entropy,
)
