"""What is found about a node is kept on the node: expressions and statements never change, and are asked often.

A class of nodes inherits one empty slot for each function of a node that is `once`. A slot is no field: it is neither
compared, copied by `replace`, printed nor pickled, and what it holds lives as long as the node.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

N = TypeVar("N")
T = TypeVar("T")
C = TypeVar("C", bound=type[Any])


def once(slot: str) -> Callable[[Callable[[N], T]], Callable[[N], T]]:
    """A function of one node, never None, computed at the first call for each and kept in the node's `slot`.

    Threads that ask at the same moment find equal values, of which the last stays.
    """

    def decorate(find: Callable[[N], T]) -> Callable[[N], T]:
        @wraps(find)
        def found(node: N) -> T:
            kept: T | None = getattr(node, slot, None)  # three times as fast for an empty slot as to catch its error
            if kept is not None:
                return kept
            value = find(node)
            object.__setattr__(node, slot, value)  # past the lock of a frozen dataclass
            return value

        return found

    return decorate


def hashed_once(cls: C) -> C:
    """A frozen dataclass whose hash, over the whole tree below a node, is computed once."""
    kind: Any = cls
    kind.__hash__ = once("_hash")(kind.__hash__)
    return cls
