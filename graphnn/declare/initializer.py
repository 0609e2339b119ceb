"""How a state variable gets its first value."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from graphnn.errors import GraphError


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


@dataclass(frozen=True, slots=True)
class Constant:
    """Every element is `value`."""

    value: float = 0.0

    def __call__(self, shape: tuple[int, ...], generator: np.random.Generator) -> npt.NDArray[np.float64]:
        return np.full(shape, self.value)


@dataclass(frozen=True, slots=True)
class Normal:
    """N(mean, stddev^2)."""

    stddev: float = 0.05
    mean: float = 0.0

    def __call__(self, shape: tuple[int, ...], generator: np.random.Generator) -> npt.NDArray[np.float64]:
        return generator.normal(self.mean, self.stddev, shape)


@dataclass(frozen=True, slots=True)
class Glorot:
    """Uniform in +-sqrt(6/(fan_in + fan_out)) (Glorot and Bengio 2010)."""

    def __call__(self, shape: tuple[int, ...], generator: np.random.Generator) -> npt.NDArray[np.float64]:
        limit = math.sqrt(6 / sum(_fans(shape)))
        return generator.uniform(-limit, limit, shape)


@dataclass(frozen=True, slots=True)
class He:
    """N(0, 2/fan_in), for rectified units (He et al. 2015)."""

    def __call__(self, shape: tuple[int, ...], generator: np.random.Generator) -> npt.NDArray[np.float64]:
        return generator.normal(0.0, math.sqrt(2 / _fans(shape)[0]), shape)


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
