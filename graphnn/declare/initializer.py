"""How a state variable gets its first value."""

from __future__ import annotations

import math
import zlib
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from graphnn.declare.arrays import aligned_zeros, copy_into
from graphnn.errors import GraphError, ShapeError

PIECE = 1 << 15  # elements that are drawn at a time: in float64 they stay in a cache of the second level


@runtime_checkable
class Initializer(Protocol):
    """Called once per variable: gives an array of `shape`, drawn from `generator` where it is random."""

    def __call__(self, shape: tuple[int, ...], generator: np.random.Generator) -> npt.NDArray[Any]: ...


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(inputs, outputs) of one unit: (in, out) for a matrix; (out, in, *window) for a convolution kernel."""
    if len(shape) < 2:
        return max(1, math.prod(shape)), max(1, math.prod(shape))
    if len(shape) == 2:
        return max(1, shape[0]), max(1, shape[1])
    window = math.prod(shape[2:])
    return max(1, shape[1] * window), max(1, shape[0] * window)


class Independent(ABC):
    """An initializer whose elements are drawn one after the other: pieces in turn give the values of the whole."""

    __slots__ = ()

    @abstractmethod
    def draw(self, shape: tuple[int, ...], count: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
        """The next `count` elements of an array of `shape`, in row-major order."""

    def __call__(self, shape: tuple[int, ...], generator: np.random.Generator) -> npt.NDArray[np.float64]:
        return self.draw(shape, math.prod(shape), generator).reshape(shape)


@dataclass(frozen=True, slots=True)
class Constant(Independent):
    """Every element is `value`."""

    value: float = 0.0

    def draw(self, shape: tuple[int, ...], count: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
        return np.full(count, self.value)


@dataclass(frozen=True, slots=True)
class Normal(Independent):
    """N(mean, stddev^2)."""

    stddev: float = 0.05
    mean: float = 0.0

    def draw(self, shape: tuple[int, ...], count: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
        return generator.normal(self.mean, self.stddev, count)


@dataclass(frozen=True, slots=True)
class Glorot(Independent):
    """Uniform in +-sqrt(6/(fan_in + fan_out)) (Glorot and Bengio 2010)."""

    def draw(self, shape: tuple[int, ...], count: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
        limit = math.sqrt(6 / sum(_fans(shape)))
        return generator.uniform(-limit, limit, count)


@dataclass(frozen=True, slots=True)
class He(Independent):
    """N(0, 2/fan_in), for rectified units (He et al. 2015)."""

    def draw(self, shape: tuple[int, ...], count: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
        return generator.normal(0.0, math.sqrt(2 / _fans(shape)[0]), count)


@dataclass(frozen=True, slots=True)
class Bits:
    """Every int64 is equally likely: the seed of a generator."""

    def __call__(self, shape: tuple[int, ...], generator: np.random.Generator) -> npt.NDArray[np.int64]:
        return generator.integers(-(2**63), 2**63 - 1, shape, endpoint=True)


@dataclass(frozen=True, slots=True)
class ForgetBias:
    """`value` for the second quarter, the forget gates of an LSTM, and 0 elsewhere (Gers et al. 2000)."""

    value: float = 1.0

    def __call__(self, shape: tuple[int, ...], generator: np.random.Generator) -> npt.NDArray[np.float64]:
        return np.repeat([0.0, self.value, 0.0, 0.0], shape[0] // 4)


@dataclass(frozen=True, slots=True)
class Given:
    """These elements: nested tuples of numbers, as an array's `tolist` gives them."""

    values: Any = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _as_tuples(self.values))
        try:
            self(())
        except ValueError as error:
            raise GraphError(f"an initializer's rows are no array of numbers ({error})") from error

    def __call__(self, shape: tuple[int, ...], generator: np.random.Generator | None = None) -> npt.NDArray[np.float64]:
        return np.array(self.values, np.float64)


def _as_tuples(values: Any) -> Any:
    return tuple(map(_as_tuples, values)) if isinstance(values, list | tuple) else values


def _numbers(value: Any) -> bool:
    """Whether the value is a number, or a list of such values."""
    return all(map(_numbers, value)) if isinstance(value, list | tuple) else isinstance(value, int | float)


def first_value(
    name: str, shape: tuple[int, ...], dtype: npt.DTypeLike, initializer: Initializer, seed: int
) -> npt.NDArray[Any]:
    """A new array with the first value of variable `name`, at a cache line. ShapeError where the initializer errs."""
    target = aligned_zeros(shape, dtype)
    if not _leaves_zeros(initializer):
        draw_into(target, name, initializer, seed)
    return target


def draw_into(target: npt.NDArray[Any], name: str, initializer: Initializer, seed: int) -> None:
    """Write the first value of variable `name` into a C-contiguous array. ShapeError where the initializer errs.

    The value depends on the seed, the name and the shape only. What an initializer of ours draws goes to its place a
    piece at a time: the pages of arrays between would cost more than the drawing.
    """
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if type(initializer) in (Constant, Normal, Glorot, He):  # a user's subclass may have a __call__ of its own
        assert isinstance(initializer, Independent)
        flat = target.reshape(-1)
        for first in range(0, flat.size, PIECE):
            piece = flat[first : first + PIECE]
            piece[...] = initializer.draw(target.shape, piece.size, generator)
        return
    value = np.asarray(initializer(target.shape, generator))
    if value.shape != target.shape:
        raise ShapeError(f"the initializer of '{name}' gave shape {value.shape} for a variable of shape {target.shape}")
    copy_into(target, value)


def _leaves_zeros(initializer: Initializer) -> bool:
    """Whether every byte of the value is 0, unlike those of -0.0."""
    return type(initializer) is Constant and not any(np.float64(initializer.value).tobytes())


# fmt: off
INITIALIZERS: dict[str, type] = {
    "constant": Constant, "normal": Normal, "glorot": Glorot, "he": He, "bits": Bits, "forget_bias": ForgetBias,
    "given": Given,
}
# fmt: on


def as_initializer(value: Any) -> Initializer:
    """An Initializer as it is, a number as Constant, an array or a list of numbers as Given."""
    if isinstance(value, int | float):
        return Constant(float(value))
    if callable(value):
        initializer: Initializer = value
        return initializer
    if isinstance(value, np.ndarray | list | tuple):
        values = value.tolist() if isinstance(value, np.ndarray) else value
        if _numbers(values):
            return Given(values)
    raise GraphError(
        "init= takes a number, an array of numbers or an Initializer (shape, generator) -> array, "
        f"not {type(value).__name__}"
    )


def initializer_to_json(initializer: Initializer) -> dict[str, Any] | None:
    """{"kind": "normal", "stddev": ...}; None for a user's own, whose code is not stored."""
    for kind, known in INITIALIZERS.items():
        if type(initializer) is known:
            return {"kind": kind, **asdict(initializer)}  # type: ignore[call-overload]
    return None


def initializer_from_json(data: Any) -> Initializer:
    if data is None:
        return Constant(0.0)
    if not isinstance(data, dict) or str(data.get("kind")) not in INITIALIZERS:
        raise GraphError(f"unknown initializer {data!r:.80}; known are {', '.join(INITIALIZERS)}")
    arguments = {k: v for k, v in data.items() if k != "kind"}
    made = INITIALIZERS[str(data["kind"])]
    known = {f.name for f in fields(made)}
    if set(arguments) - known or not all(
        isinstance(v, int | float) or (made is Given and _numbers(v)) for v in arguments.values()
    ):
        raise GraphError(f"initializer '{data['kind']}' has no such arguments: {arguments!r:.80}")
    initializer: Initializer = made(**arguments)
    return initializer
