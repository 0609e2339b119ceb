"""The values of a network's state variables: parameters, optimizer slots, statistics.

The network owns each value once. Executables read it through `values` and notice changes by `version`.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graphnn.declare.arrays import aligned_copy, aligned_empty, copy_into
from graphnn.declare.initializer import draw_into, first_value
from graphnn.errors import GraphError, ShapeError

if TYPE_CHECKING:
    from graphnn.declare.network import Network


class State(MutableMapping[str, npt.NDArray[Any]]):
    """`state[name]` reads the current value (a read-only view); `state[name] = array` copies the array in.

    A view cannot be made writable: programs keep what they computed from a value until `version` says that it changed.

    A variable that was never set is drawn by its initializer, with seed 0 unless `Network.initialize` was called.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._values: dict[str, npt.NDArray[Any]] = {}
        self._seed = 0
        self._changed: dict[str, int] = {}  # the version that came with the last assignment to each
        self._lent: set[str] = set()  # what native code updates, which counts `version` and nothing else
        self.version = 0  # grows with every change of a value

    def initialize(self, seed: int) -> None:
        """Draw every value again. A variable's value depends on the seed and its own name and shape only."""
        self._seed = seed
        for name in self._network.state_variables:
            if name in self._values:
                draw_into(self._values[name], name, self._network.initializers[name], seed)
            else:
                self.buffer(name)
        self._count(*self._network.state_variables)

    def _count(self, *names: str) -> None:
        # A program that sees the new version must find by `changed` what is new.
        self._changed |= dict.fromkeys(names, self.version + 1)
        self.version += 1

    def changed(self, name: str, since: int) -> bool:
        """Whether the value may differ from what it was at version `since`."""
        return name in self._lent or self._changed.get(name, 0) > since

    def buffer(self, name: str, dtype: str | None = None) -> npt.NDArray[Any]:
        """The array itself: for reading, and with `dtype` for whoever writes to it, and adds to `version` afterwards.

        A new dtype converts the value.
        """
        if self._network.made.nodes.get(name, {}).get("kind") not in ("parameter", "state"):
            raise GraphError(f"'{name}' is not a state variable; there are {', '.join(self._network.state_variables)}")
        value = self._values.get(name)
        if value is None:
            tensor, initializer = self._network[name], self._network.initializers[name]
            shape = tuple(map(int, tensor.shape))
            value = first_value(name, shape, dtype or tensor.dtype, initializer, self._seed)
            self._values[name] = value
        if dtype is not None:
            self._lent.add(name)
            if value.dtype != np.dtype(dtype):
                value = self._values[name] = aligned_copy(value, dtype)
                self.version += 1
        return value

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        # The flags of a mere view could be set back to writable, those of a read-only buffer cannot.
        return np.asarray(self.buffer(name).data.toreadonly())

    def __setitem__(self, name: str, value: Any) -> None:
        array = np.asarray(value)
        if name in self._network.initializers and name not in self._values:  # then there is nothing to draw
            tensor = self._network[name]
            target = aligned_empty(tuple(map(int, tensor.shape)), tensor.dtype)
        else:
            target = self.buffer(name)
        if array.shape != target.shape:
            raise ShapeError(f"'{name}' has shape {target.shape}; the value given has shape {array.shape}")
        if not np.can_cast(array.dtype, target.dtype, casting="same_kind"):
            raise GraphError(f"'{name}' is {target.dtype}; the value given is {array.dtype}: use .astype")
        if name in self._values and array.dtype != target.dtype:
            array = aligned_copy(array, target.dtype)  # a cast that overflows may raise: nothing is written then
        copy_into(target, array)
        self._values[name] = target
        self._count(name)

    def __delitem__(self, name: str) -> None:
        raise GraphError(f"the state variable '{name}' belongs to the network and cannot be deleted")

    def __iter__(self) -> Iterator[str]:
        return iter(self._network.state_variables)

    def __len__(self) -> int:
        return len(self._network.state_variables)
