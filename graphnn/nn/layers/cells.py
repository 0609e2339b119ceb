"""Recurrent cells: one time step, with parameters that the caller declared.

    rnn    h' = activation(v + h U)
    lstm   c' = f c + i g;  h' = o tanh(c');         i, f, g, o from v + h U
    gru    h' = z h + (1 - z) n;                     z, r from v + h U, n from v and r h

where v = x W + b is what the step's input contributes. Without states yet (they are zeros) the products with them are
left out, which changes no value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from graphnn.declare.network import Tensor
from graphnn.errors import ShapeError
from graphnn.nn.layers.activation import Activation, activate
from graphnn.ops.arguments import check_tensors
from graphnn.ops.contraction import matmul
from graphnn.ops.elementwise import add, multiply, sigmoid, subtract, tanh
from graphnn.ops.indexing import slice as read_slice

States = tuple[Tensor, ...]  # what a cell hands on, the hidden state first; () for zeros
Step = Callable[[Tensor, States, States, str, str], States]  # (v, states, weights, prefix of nodes, name of the new h)
Weights = Callable[[Tensor, str], States]  # U and a prefix of nodes to what a step multiplies states with


def rnn_cell(
    x: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Tensor, activation: Activation = tanh, name: str | None = None
) -> Tensor:
    """activation(x W + h U + b): one step of gn.rnn.

    Shapes: x (..., D), h (..., H), W (D, H), U (H, H), b (H,), result (..., H), of one float dtype. Raises ShapeError
    and DTypeError for operands that do not fit. An error leaves the network as it was.
    """
    return _cell("rnn_cell", 1, partial(rnn_step, activation=activation), x, (h,), (W, U, b), name)[0]


def lstm_cell(
    x: Tensor, h: Tensor, c: Tensor, W: Tensor, U: Tensor, b: Tensor, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """(h', c'): one step of gn.lstm, with the gates in the order i, f, g, o.

    Shapes: x (..., D), h, c and results (..., H), W (D, 4H), U (H, 4H), b (4H,). Errors are those of rnn_cell.
    """
    new = _cell("lstm_cell", 4, lstm_step, x, (h, c), (W, U, b), name)
    return new[0], new[1]


def gru_cell(x: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Tensor, name: str | None = None) -> Tensor:
    """h': one step of gn.gru, with the thirds in the order z, r, n.

    Shapes: x (..., D), h and the result (..., H), W (D, 3H), U (H, 3H), b (3H,). Errors are those of rnn_cell.
    """
    return _cell("gru_cell", 3, gru_step, x, (h,), (W, U, b), name, gru_weights)[0]


def whole_weights(U: Tensor, prefix: str) -> States:
    """(U,), where one vector is multiplied with all of it."""
    return (U,)


def _cell(
    op: str,
    gates: int,
    step: Step,
    x: Tensor,
    states: States,
    parameters: Sequence[Tensor],
    name: str | None,
    weights: Weights = whole_weights,
) -> States:
    check_tensors(op, x, *states, *parameters)
    W, U, b = parameters
    units = states[0].shape[-1] if states[0].ndim else 0
    wide = gates * units if isinstance(units, int) else 0
    if not wide or U.shape != (units, wide) or W.ndim != 2 or W.shape[-1] != wide or b.shape != (wide,):
        raise ShapeError(
            f"{op}: '{states[0].name}' of shape {states[0].shape} is (..., H) for an int H; then W is (D, {gates}H), "
            f"U (H, {gates}H) and b ({gates}H,), but they are {W.shape}, {U.shape} and {b.shape}"
        )
    with x.network.composing(op, name) as final:
        v = add(matmul(x, W, name=f"{final}.xW"), b, name=f"{final}.xWb")
        return step(v, states, weights(U, final), final, final)


def rnn_step(
    v: Tensor, states: States, weights: States, prefix: str, name: str, activation: Activation = tanh
) -> States:
    return (activate("rnn", activation, _with_recurrent(v, states, weights, prefix), name),)


def lstm_step(v: Tensor, states: States, weights: States, prefix: str, name: str) -> States:
    z = _with_recurrent(v, states, weights, prefix)
    i, f, g, o = (_part(z, n, n + 1, 4, f"{prefix}.{gate}.pre") for n, gate in enumerate("ifgo"))
    written = f"{prefix}.ig" if states else f"{prefix}.c"
    c = multiply(sigmoid(i, name=f"{prefix}.i"), tanh(g, name=f"{prefix}.g"), name=written)
    if states:
        kept = multiply(sigmoid(f, name=f"{prefix}.f"), states[1], name=f"{prefix}.fc")
        c = add(kept, c, name=f"{prefix}.c")
    return multiply(sigmoid(o, name=f"{prefix}.o"), tanh(c, name=f"{prefix}.tanh"), name=name), c


def _with_recurrent(v: Tensor, states: States, weights: States, prefix: str) -> Tensor:
    """v + h U."""
    return add(v, matmul(states[0], weights[0], name=f"{prefix}.hU"), name=f"{prefix}.pre") if states else v


def gru_step(v: Tensor, states: States, weights: States, prefix: str, name: str) -> States:
    gates, n = _part(v, 0, 2, 3, f"{prefix}.zr.x"), _part(v, 2, 3, 3, f"{prefix}.n.x")
    if states:
        gates = add(gates, matmul(states[0], weights[0], name=f"{prefix}.hU"), name=f"{prefix}.zr.pre")
    gates = sigmoid(gates, name=f"{prefix}.zr")
    update, reset = _part(gates, 0, 1, 2, f"{prefix}.z"), _part(gates, 1, 2, 2, f"{prefix}.r")
    if states:
        kept = multiply(reset, states[0], name=f"{prefix}.rh")
        n = add(n, matmul(kept, weights[1], name=f"{prefix}.rhU"), name=f"{prefix}.n.pre")
    n = tanh(n, name=f"{prefix}.n")
    new = multiply(subtract(1, update, name=f"{prefix}.1z"), n, name=f"{prefix}.1zn" if states else name)
    return (add(multiply(update, states[0], name=f"{prefix}.zh"), new, name=name) if states else new,)


def gru_weights(U: Tensor, prefix: str) -> States:
    """(Uz and Ur side by side, Un): the second is multiplied by another vector."""
    return _part(U, 0, 2, 3, f"{prefix}.Uzr"), _part(U, 2, 3, 3, f"{prefix}.Un")


def _part(tensor: Tensor, start: int, stop: int, count: int, name: str) -> Tensor:
    """Parts `start` to `stop` of the last axis, which is cut into `count` equal ones."""
    width = int(tensor.shape[-1]) // count
    return read_slice(tensor, (Ellipsis, slice(start * width, stop * width)), name=name)
