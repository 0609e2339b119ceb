"""The first node that is not finite in a step: found after the watch has kept the step from changing anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from graphnn.declare.definition import formula_text
from graphnn.declare.network import Network, Tensor
from graphnn.errors import NumericError
from graphnn.nn.training.batches import Arrays
from graphnn.pipeline import compile
from graphnn.simplify.expr import DType, Load, text, walk
from graphnn.simplify.formula import Formula
from graphnn.simplify.passes import simplify

Values = dict[str, npt.NDArray[Any]]


def find_first_bad(
    outputs: Sequence[Tensor],
    arrays: Arrays,
    dtype: DType | None,
    batch: str | None,
    labels: npt.NDArray[np.int64],
    when: str,
) -> NumericError:
    """The error that names the first node, operands first, which is not finite in a step for `outputs`.

    Inputs, then state, then the formulas of the training program in order. `labels` numbers the rows of the batch for
    the message; `when` says which step it was.
    """
    network = outputs[0].network
    leaves = [t for t in network.ancestors(outputs) if t.kind in ("input", "parameter", "state")]
    values: Values = {t.name: arrays[t.name] if t.kind == "input" else network.state[t.name] for t in leaves}
    for leaf in sorted(leaves, key=lambda t: t.kind != "input"):
        if not np.isfinite(values[leaf.name]).all():
            return _leaf_error(leaf, values[leaf.name], batch, labels, when)
    program = simplify(network, outputs, dtype=dtype, training=True).program
    formulas = {f.target: f for f in program.formulas}
    # A name that is no node's is a part of the formula that reads it: the shifted sum of a softmax, for one.
    shown = [network[name] for name in formulas if name in network]
    inputs = {t.name: values[t.name] for t in leaves if t.kind == "input"}
    values |= _evaluator(shown, dtype)(inputs)
    for node in shown:
        if not np.isfinite(values[node.name]).all():
            inside = _inlined(node, formulas)
            values |= _evaluator(inside, dtype)(inputs)
            first = _first_inside(node, inside, values)
            rows = labels[_rows_alone(first, inputs, batch, len(labels), dtype)]
            return _node_error(first, node, formulas, values, rows, when)
    return NumericError(f"{when}: '{outputs[0].name}' is not finite, though each of its parts is", outputs[0].name)


def _evaluator(nodes: Sequence[Tensor], dtype: DType | None) -> Callable[[Values], Values]:
    """A function that gives the values of the nodes in a training step, which changes no state."""
    if not nodes:
        return lambda inputs: {}
    network = nodes[0].network
    kept = {name: network[name] for name in network.updates}
    needed = [t.name for t in network.ancestors(nodes) if t.kind == "input"]
    run = compile({t.name: t for t in nodes}, dtype=dtype, training=True, updates=kept)
    return lambda inputs: run(**{name: inputs[name] for name in needed})


def _inlined(node: Tensor, formulas: Mapping[str, Formula]) -> list[Tensor]:
    """The nodes that the formula of a node has in it, operands first."""
    inside: set[str] = set()
    stack = [node]
    while stack:
        for operand in node.network.operands(stack.pop()):
            if operand.definition is not None and operand.name not in formulas and operand.name not in inside:
                inside.add(operand.name)
                stack.append(operand)
    return [t for t in node.network.ancestors([node]) if t.name in inside]


def _first_inside(node: Tensor, inside: Sequence[Tensor], values: Values) -> Tensor:
    """The first bad node with a bad consumer: what a stable formula looks past may overflow by itself."""
    bad = [t for t in [*inside, node] if not np.isfinite(values[t.name]).all()]
    read = {o for t in bad for o in node.network.operands(t)}
    return next((t for t in bad if t in read), node)


def _leaf_error(
    leaf: Tensor, value: npt.NDArray[Any], batch: str | None, labels: npt.NDArray[np.int64], when: str
) -> NumericError:
    bad = ~np.isfinite(value)
    if leaf.kind != "input":
        return NumericError(
            f"{when}: the {leaf.kind} '{leaf.name}' has {bad.sum()} of {bad.size} elements that are not finite: an "
            "earlier update made them so, or they were set so; Trainer(watch='gradients') stops before such an update",
            leaf.name,
        )
    rows: tuple[int, ...] = ()
    if batch is not None and leaf.ndim and leaf.shape[0] == batch:
        rows = tuple(int(r) for r in labels[bad.reshape(len(bad), -1).any(axis=1)])
    return NumericError(
        f"{when}: the input '{leaf.name}' has {bad.sum()} of {bad.size} elements that are not finite"
        f"{_row_text(rows)}; the state is that before the step",
        leaf.name,
        rows,
    )


def _node_error(
    first: Tensor,
    node: Tensor,
    formulas: Mapping[str, Formula],
    values: Values,
    rows: npt.NDArray[np.int64],
    when: str,
) -> NumericError:
    """`first` is the bad node, which stands in the formula of `node` or is it."""
    network = node.network
    lines, reads = _written_out(node.name, formulas, network)
    if first != node and first.definition is not None:
        reads = [o.name for o in network.operands(first)]
        lines = [formula_text(first.definition, tuple(reads), first.name), *(f"computed in {line}" for line in lines)]
    op = network.graph.nodes[first.name]["op"]
    chosen = tuple(int(r) for r in rows)
    message = [
        f"{when}: '{first.name}' ({op}) is the first node that is not finite: {_extremes(values[first.name])}",
        *(f"  {line}" for line in lines),
        *(f"  {name}: {_extremes(values[name])}" for name in dict.fromkeys(reads) if name in values),
        f"the state is that before the step{_row_text(chosen)}",
    ]
    return NumericError("\n".join(message), first.name, chosen)


def _written_out(name: str, formulas: Mapping[str, Formula], network: Network) -> tuple[list[str], list[str]]:
    """(the formula, after those of its parts that are no nodes; the arrays that these read)."""
    lines: list[str] = []
    reads: list[str] = []
    formula = formulas[name]
    for part in dict.fromkeys(e.buffer for e in walk(formula.body) if isinstance(e, Load)):
        if part in formulas and part not in network:
            above, below = _written_out(part, formulas, network)
            lines += [line for line in above if line not in lines]
            reads += [r for r in below if r not in reads]
        elif part not in reads:
            reads.append(part)
    axes = ", ".join(f"{r.axis} < {text(r.hi)}" for r in formula.axes)
    return [*lines, f"{name}[{axes}] = {text(formula.body)}"], reads


def _extremes(value: npt.NDArray[Any]) -> str:
    finite = value[np.isfinite(value)]
    span = f"from {finite.min():.6g} to {finite.max():.6g}" if finite.size else "nothing finite"
    kinds = {"nan": np.isnan(value).sum(), "inf": np.isposinf(value).sum(), "-inf": np.isneginf(value).sum()}
    found = [f"{count} {kind}" for kind, count in kinds.items() if count]
    return ", ".join([span, *found]) + (f" of {value.size}" if found else "")


def _rows_alone(
    node: Tensor, inputs: Values, batch: str | None, rows: int, dtype: DType | None
) -> npt.NDArray[np.int64]:
    """The rows of the batch for which the node is not finite where each is a batch by itself."""
    if batch is None:
        return np.empty(0, np.int64)
    network = node.network
    batched = {name for name in inputs if network[name].ndim and network[name].shape[0] == batch}
    run = _evaluator([node], dtype)
    alone = ({name: a[row : row + 1] if name in batched else a for name, a in inputs.items()} for row in range(rows))
    bad = [row for row, values in enumerate(map(run, alone)) if not np.isfinite(values[node.name]).all()]
    return np.array(bad, np.int64)


def _row_text(rows: Sequence[int]) -> str:
    if not rows:
        return ""
    listed = ", ".join(map(str, rows[:8])) + (", ..." if len(rows) > 8 else "")
    return f"; row{'s' if len(rows) > 1 else ''} {listed} by {'themselves' if len(rows) > 1 else 'itself'}"
