"""Requests: nodes that are asked for now and made when somebody looks.

A request knows the shapes and dtypes of its results, and `make`, which adds them to the network. What it asks for is
told by its content and sources alone, so a program of it has a key before anything is derived. Requests are made
in the order in which they were asked, all of them as soon as somebody lists the nodes of the network (`Network.graph`)
or asks for the name of one that was requested; so what a network holds does not depend on who looks first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import RLock
from typing import TYPE_CHECKING, Any

from graphnn.declare.extents import TensorType
from graphnn.declare.tensor import Requested, Tensor

if TYPE_CHECKING:
    from graphnn.declare.network import Network

Make = Callable[[], Sequence[Tensor]]


@dataclass(slots=True, eq=False)
class Request:
    """What was asked for, of which `sources`.

    `digest` tells it from every other: it covers content and sources, and the names that are in the way of its nodes'.
    """

    what: str
    digest: str
    sources: tuple[Tensor, ...]
    types: tuple[TensorType, ...]
    made: tuple[str, ...] | None = None  # the names of the results
    error: Exception | None = None


class Requests:
    """The requests of one network, in the order in which they were asked."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._asked: dict[str, Request] = {}  # by content and sources
        self._pending: list[tuple[Request, Make]] = []
        self._results: dict[str, tuple[Request, int]] = {}
        self._makers: dict[str, Request] = {}  # of every node that a request has added
        self._lock = RLock()
        self._busy = False

    def __len__(self) -> int:
        return len(self._asked)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = RLock()

    def ask(
        self, what: str, content: Any, sources: Sequence[Tensor], types: Sequence[TensorType], make: Make
    ) -> list[Tensor]:
        """A Tensor per type; the same ones for the same question."""
        with self._lock:
            question = json.dumps([what, content, [self.reference(source) for source in sources]])
            request = self._asked.get(question)
            if request is None:
                names = sorted(name for name in self._network.made if name not in self._makers)
                parts = [question, names, [earlier.digest for earlier in self._asked.values()]]
                digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
                request = self._asked[question] = Request(what, digest, tuple(sources), tuple(types))
                self._pending.append((request, make))
            return [Requested(self._network, request, n) for n in range(len(types))]

    def reference(self, tensor: Tensor) -> str | list[Any]:
        """What tells a tensor from every other of the network, without making it: a name, or [digest, number]."""
        origin = self.origin(tensor)
        return tensor.name if origin is None else [origin[0].digest, origin[1]]

    def origin(self, tensor: Tensor) -> tuple[Request, int] | None:
        """The request that a tensor is a result of, and which one; None for a node that was declared."""
        if isinstance(tensor, Requested):
            return tensor.request, tensor.position
        return self._results.get(tensor.name)

    def has_made(self, name: str) -> bool:
        """Whether a request added the node of that name."""
        return name in self._makers

    def names(self, request: Request) -> tuple[str, ...]:
        """The nodes of a request, made if need be. Raises what making them raised."""
        if request.made is None and request.error is None:
            self.make_all()
        if request.error is not None:
            raise request.error
        assert request.made is not None
        return request.made

    def make_all(self) -> None:
        """Make what is pending. While a request is made, its maker sees the nodes made so far.

        An error drops the request at fault, is raised here, and again to whoever looks at its results.
        """
        if not self._pending:
            return
        with self._lock:
            if self._busy:
                return
            self._busy = True
            try:
                while self._pending:
                    request, make = self._pending[0]
                    try:
                        self._make(request, make)
                    except Exception as error:
                        error.add_note(f"{request.what} had been asked for, and were made when somebody looked at them")
                        request.error = error
                        raise
                    finally:
                        if request.made is not None or request.error is not None:  # after Ctrl-C it still is to be made
                            del self._pending[0]  # only now: other threads wait for what is pending
            finally:
                self._busy = False

    def _make(self, request: Request, make: Make) -> None:
        network = self._network
        before = network.made.number_of_nodes()
        with network.composing(request.what):
            made = tuple(tensor.name for tensor in make())
        self._makers |= dict.fromkeys(islice(network.made, before, None), request)
        for number, name in enumerate(made):
            self._results.setdefault(name, (request, number))
        request.made = made

    def reach(self, tensors: Sequence[Tensor]) -> tuple[list[Tensor], list[Request]]:
        """(declared nodes, operands first; requests): what the tensors are made of at most. Nothing is made.

        Whatever a request was asked about counts as part of its results.
        """
        requests: dict[Request, None] = {}
        nodes: dict[str, Tensor] = {}
        groups = [list(tensors)]

        def declared(group: Sequence[Tensor]) -> list[Tensor]:
            origins = [self.origin(tensor) for tensor in group]
            for request, _ in filter(None, origins):
                if request not in requests:
                    requests[request] = None
                    groups.append(list(request.sources))
            return [tensor for tensor, origin in zip(group, origins, strict=True) if origin is None]

        def unknown_operands(node: Tensor) -> list[Tensor]:
            return [operand for operand in declared(self._network.operands(node)) if operand.name not in nodes]

        for group in groups:  # which grows
            roots = [tensor for tensor in declared(group) if tensor.name not in nodes]
            nodes |= {node.name: node for node in self._network.ancestors(roots, unknown_operands)}
        return list(nodes.values()), list(requests)

    def take_back(self, before: int, nodes: int) -> list[str]:
        """Forget the requests but the first `before`. Gives the nodes to be removed: all but the first `nodes`.

        Those that an earlier request added meanwhile stay.
        """
        with self._lock:
            kept = list(self._asked.items())[:before]
            self._asked = dict(kept)
            earlier = {request for _, request in kept}
            self._pending = [pair for pair in self._pending if pair[0] in earlier]
            added = islice(self._network.made, nodes, None)
            gone = [name for name in added if name not in self._makers or self._makers[name] not in earlier]
            for name in gone:
                self._makers.pop(name, None)
            self._results = {name: result for name, result in self._results.items() if result[0] in earlier}
            return gone
