"""Between a Trainer and the file of a checkpoint: taking a snapshot, checking one, putting it into place."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graphnn.declare.definition import FLOATS, formula_text
from graphnn.declare.network import Tensor
from graphnn.errors import GraphError
from graphnn.nn.training.callbacks import Callback
from graphnn.nn.training.checkpoint import Saved, refusal
from graphnn.nn.training.history import History
from graphnn.nn.training.position import Position

if TYPE_CHECKING:
    from graphnn.nn.training.trainer import Trainer

Memories = list[tuple[str, dict[str, npt.NDArray[Any]]]]  # (class of a callback, what it remembers)


def take_snapshot(trainer: Trainer, memories: Memories) -> Saved:
    """Everything that going on bit for bit needs."""
    state, history = trainer.network.state, trainer.history.to_dict()
    arrays = {f"state/{name}": state[name] for name in trainer.variables}
    arrays["history/steps"] = np.array(history.pop("steps"), np.float64)
    for number, (_, memory) in enumerate(memories):
        arrays |= {f"callback/{number}/{name}": value for name, value in memory.items()}
    content = {
        "network": trainer.fingerprint,
        "optimizer": repr(trainer.optimizer),
        "dtype": trainer.dtype,
        "history": history,
        "position": trainer.position.to_dict(),
        "callbacks": [kind for kind, _ in memories],
    }
    return Saved(content, arrays)


def check_snapshot(trainer: Trainer, saved: Saved, path: str | PathLike[str]) -> tuple[History, Position, Memories]:
    """What is in a snapshot beside the state. Changes nothing.

    Raises BoundaryError where it is of another network, optimizer or dtype, or malformed.
    """
    content, network = saved.content, trainer.network
    hint = "build the network and the Trainer as they were when it was saved"
    mine = {f"state/{name}": network[name] for name in trainer.variables}
    theirs = {name: array for name, array in saved.arrays.items() if name.startswith("state/")}
    for name in [*mine, *theirs]:
        label = f"'{name.removeprefix('state/')}'"
        if name not in mine:
            raise refusal(path, f"it holds {label}, which this network does not have", hint)
        if name not in theirs:
            raise refusal(path, f"it does not hold {label} of this network", hint)
        tensor, array = mine[name], theirs[name]
        if tensor.shape != array.shape:
            raise refusal(path, f"{label} has shape {array.shape} in it, {tensor.shape} in this network", hint)
        floats = tensor.dtype in FLOATS and str(array.dtype) in FLOATS
        if str(array.dtype) != tensor.dtype and not floats:
            raise refusal(path, f"{label} is {array.dtype} in it, {tensor.dtype} in this network", hint)
    here = {"dtype": trainer.dtype, "optimizer": repr(trainer.optimizer)}
    if content.get("network") != trainer.fingerprint or content.get("dtype") != trainer.dtype:
        for what, mine_is in here.items():
            if content.get(what) != mine_is:
                raise refusal(
                    path, f"its {what} is {content.get(what)!r:.100}, this Trainer's is {mine_is!r:.100}", hint
                )
        found = f"{content.get('network')!s:.12}... in it, {trainer.fingerprint[:12]}... here"
        raise refusal(path, f"the formulas of its network or loss are others (SHA-256 {found})", hint)
    try:
        history = History.from_dict({**content["history"], "steps": saved.arrays["history/steps"].tolist()})
        position = Position.from_dict(content["position"])
        memories: Memories = [
            (str(kind), _below(f"callback/{number}/", saved.arrays)) for number, kind in enumerate(content["callbacks"])
        ]
    except (GraphError, ValueError, KeyError, TypeError) as error:
        raise refusal(path, f"it is malformed: {error!s:.200}", "take an older checkpoint") from error
    return history, position, memories


def put_state(trainer: Trainer, saved: Saved) -> None:
    """Give every variable of the trainer the saved value, in the dtype in which it was saved."""
    state = trainer.network.state
    for name, array in _below("state/", saved.arrays).items():
        state.buffer(name, str(array.dtype))[...] = array
    state.version += 1


def fingerprint(outputs: Sequence[Tensor], updates: Mapping[str, Tensor]) -> str:
    """SHA-256 over the formulas that the outputs and updates are made of.

    Nodes with a formula are numbered, since their names depend on what else the network holds; leaves have theirs.
    """
    network = outputs[0].network
    lines: list[str] = []
    labels: dict[str, str] = {}
    for number, node in enumerate(network.ancestors([*outputs, *updates.values()])):
        kind = f"{node.dtype}[{', '.join(map(str, node.shape))}]"
        if node.definition is None:
            labels[node.name] = repr(node.name)
            lines.append(f"{node.kind} {node.name!r}: {kind}")
        else:
            labels[node.name] = f"#{number}"
            names = tuple(labels[o.name] for o in network.operands(node))
            lines.append(f"{kind} {formula_text(node.definition, names, labels[node.name])}")
    lines += [labels[t.name] for t in outputs]
    lines += [f"{name!r} <- {labels[value.name]}" for name, value in sorted(updates.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def memories_of(callbacks: Sequence[Callback]) -> Memories:
    """What the callbacks remember, of those that do."""
    found = [(type(c).__name__, {n: np.array(v) for n, v in c.memory().items()}) for c in callbacks]
    return [(kind, memory) for kind, memory in found if memory]


def match_memories(
    callbacks: Sequence[Callback], memories: Memories
) -> list[tuple[Callback, dict[str, npt.NDArray[Any]]]]:
    """Each callback that takes up what one of its class remembered. GraphError where there is none of that class."""
    left = list(callbacks)
    found = []
    for kind, memory in memories:
        taker = next((c for c in left if type(c).__name__ == kind), None)
        if taker is None:
            raise GraphError(
                f"the fit to resume has the callback {kind}, this one has not: give fit the same callbacks"
            )
        left.remove(taker)
        found.append((taker, memory))
    return found


def _below(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
