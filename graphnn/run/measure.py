"""Which of several programs that compute the same is the fastest here: calls on random arrays, timed in turns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from graphnn.run.arrays import Array
from graphnn.run.bound import Bound
from graphnn.run.executable import Executable
from graphnn.run.manifest import Manifest
from graphnn.run.resolve import concrete_shape
from graphnn.run.states import HeldState, StateSource
from graphnn.run.tuning import Tuning
from graphnn.schedule.memory import evaluate

Clock = Callable[[], float]  # seconds, as `time.perf_counter` gives them

SECONDS = 2.0  # that timing takes in all, but for a first call and a turn of each program
TURNS = 9  # of each program; the least time counts, since nothing makes a program faster than it is
SLICE = 5e-3  # seconds of one turn, so that the clock's own time does not count
MARGIN = 0.97  # what another program's time must be of the first one's for it to be chosen: less is noise


def fastest(
    programs: Mapping[str, tuple[Manifest, bytes]],
    source: StateSource,
    threads: int | None = None,
    clock: Clock = perf_counter,
) -> Tuning:
    """The seconds of a call of each program on the same arrays; the first program is chosen unless another is faster.

    A program is its manifest and its code, as in Executable. Each works on copies of the states of `source`, which are
    as at first again at the beginning of each turn.
    """
    arrays = random_inputs(next(iter(programs.values()))[0])
    calls = {name: _Timed.of(*program, source, threads, arrays, clock) for name, program in programs.items()}
    once = {name: call.turn(1) for name, call in calls.items()}
    counts = {name: max(1, math.ceil(SLICE / max(seconds, 1e-9))) for name, seconds in once.items()}
    turns = math.floor(SECONDS / sum(counts[name] * seconds for name, seconds in once.items()))
    least = dict.fromkeys(programs, math.inf)
    for _ in range(min(TURNS, max(1, turns))):
        for name, call in calls.items():
            least[name] = min(least[name], call.turn(counts[name]))
    first, best = next(iter(programs)), min(least, key=lambda name: least[name])
    return Tuning(best if least[best] < MARGIN * least[first] else first, least)


@dataclass(frozen=True, slots=True)
class _Timed:
    """A program bound to arrays; `turn` gives the mean seconds of some calls one after the other."""

    call: Bound
    clock: Clock
    states: dict[str, Array]
    first: dict[str, Array]  # the states as they were

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        code: bytes,
        source: StateSource,
        threads: int | None,
        arrays: Mapping[str, Array],
        clock: Clock,
    ) -> _Timed:
        states, first = (
            {s.name: np.array(source.buffer(s.name), s.numpy_dtype) for s in manifest.states} for _ in "ab"
        )
        program = Executable(manifest, code, HeldState(states), threads)
        return cls(program.bind(**arrays), clock, states, first)

    def turn(self, count: int) -> float:
        for name, value in self.first.items():
            self.states[name][...] = value
        self.call()
        start = self.clock()
        for _ in range(count):
            self.call()
        return (self.clock() - start) / count


def random_inputs(manifest: Manifest, seed: int = 0) -> dict[str, Array]:
    """An array for each input that a call accepts: normal floats, distributions of rows, indices in range.

    Never zeros, which some hardware multiplies faster. All sizes of the program are bound.
    """
    generator = np.random.default_rng(seed)
    bounds = {name: evaluate(extent, {}) for name, extent in manifest.index_bounds}
    return {
        spec.name: _random(
            generator, concrete_shape(spec, {}), spec.dtype, bounds.get(spec.name), spec.name in manifest.distributions
        )
        for spec in manifest.inputs
    }


def _random(
    generator: np.random.Generator, shape: Sequence[int], dtype: str, bound: int | None, distribution: bool
) -> Array:
    values: Any
    if dtype == "bool":
        values = generator.integers(0, 2, shape)
    elif dtype == "int64":
        values = generator.integers(0, 2 if bound is None else max(bound, 1), shape)
    elif distribution:
        values = generator.random(shape) + 0.1
        values /= values.sum(-1, keepdims=True)
    else:
        values = generator.normal(size=shape)
    return np.array(values, dtype)
