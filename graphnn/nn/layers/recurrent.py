"""Recurrent layers: one cell after the other, as many as there are time steps, all with the same parameters.

The network stays static: T cells are T copies of a few nodes, {name}.0.h, {name}.1.h, ... The contributions x W + b of
all steps are one product. What a shared parameter adds at each step adds up in its gradient, as with any node that is
read more than once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from graphnn.declare.definition import FLOATS
from graphnn.declare.initializer import ForgetBias, Glorot
from graphnn.declare.network import Tensor
from graphnn.errors import DTypeError, GraphError, ShapeError
from graphnn.nn.arguments import check_count
from graphnn.nn.layers.activation import Activation
from graphnn.nn.layers.cells import States, Step, Weights, gru_step, gru_weights, lstm_step, rnn_step, whole_weights
from graphnn.ops.arguments import check_tensors
from graphnn.ops.contraction import matmul
from graphnn.ops.elementwise import add, tanh
from graphnn.ops.indexing import slice as read_slice
from graphnn.ops.indexing import stack


@dataclass(frozen=True, slots=True)
class _Layer:
    """What a kind of cell needs: its op's name, the gates side by side in W, the states it hands on."""

    op: str
    gates: int
    states: tuple[str, ...]
    step: Step
    weights: Weights = whole_weights
    bias: Any = 0.0


def rnn(
    x: Tensor,
    units: int,
    activation: Activation = tanh,
    initial: Tensor | None = None,
    sequences: bool = False,
    init: Any = None,
    name: str | None = None,
) -> Tensor:
    """h[t] = activation(x[t] W + h[t-1] U + b): the simple recurrent layer; the last state, or all of them.

    Shapes: x (N, T, D) with an int T, {name}.W (D, H), {name}.U (H, H), {name}.b (H,) for H = `units`, `initial` (N,
    H), zeros unless given; the result is h[T-1] (N, H), with sequences=True all states (N, T, H); all of x's dtype.
    `init` is a number or an Initializer for W and U (Glorot unless given); b starts at 0. The state of step t is the
    node {name}.{t}.h.

    Raises ShapeError where x is not of rank 3, T or D is symbolic or 0, or `initial` does not fit; DTypeError where x
    is no float or `initial` another one; GraphError for units below 1. An error leaves the network as it was. Source:
    Elman 1990.
    """
    layer = _Layer("rnn", 1, ("h",), partial(rnn_step, activation=activation))
    return _unroll(layer, x, units, None if initial is None else (initial,), sequences, init, name)


def lstm(
    x: Tensor,
    units: int,
    initial: Sequence[Tensor] | None = None,
    sequences: bool = False,
    init: Any = None,
    name: str | None = None,
) -> Tensor:
    """Long short-term memory: c[t] = f c[t-1] + i g, h[t] = o tanh(c[t]); the last h, or all of them.

    i, f, o = sigmoid and g = tanh of their quarter of x[t] W + h[t-1] U + b, in which the gates stand in the order i,
    f, g, o: input, forget, candidate, output. Shapes: {name}.W (D, 4H), {name}.U (H, 4H), {name}.b (4H,), the others
    as for rnn; `initial` is the pair (h, c), each (N, H). The forget gate's biases start at 1 (Gers et al. 2000), the
    others at 0. Nodes of step t: {name}.{t}.i, .f, .g, .o, .c and .h.

    Arguments and errors are otherwise those of rnn. Sources: Hochreiter and Schmidhuber 1997; Gers, Schmidhuber and
    Cummins 2000 for the forget gate. There are no peepholes.
    """
    layer = _Layer("lstm", 4, ("h", "c"), lstm_step, bias=ForgetBias())
    return _unroll(layer, x, units, initial, sequences, init, name)


def gru(
    x: Tensor,
    units: int,
    initial: Tensor | None = None,
    sequences: bool = False,
    init: Any = None,
    name: str | None = None,
) -> Tensor:
    """Gated recurrent units: h[t] = z h[t-1] + (1 - z) n; the last state, or all of them.

    z and r are sigmoids of their thirds of x[t] W + h[t-1] U + b, and n = tanh(x[t] Wn + (r h[t-1]) Un + bn): the
    reset gate works before the product, as in the paper (cuDNN's variant has it after). The thirds stand in the order
    z, r, n: update, reset, candidate. Shapes: {name}.W (D, 3H), {name}.U (H, 3H), {name}.b (3H,), the others as for
    rnn. Nodes of step t: {name}.{t}.z, .r, .n and .h.

    Arguments and errors are otherwise those of rnn. Source: Cho et al. 2014, equations 5 to 8.
    """
    layer = _Layer("gru", 3, ("h",), gru_step, gru_weights)
    return _unroll(layer, x, units, None if initial is None else (initial,), sequences, init, name)


def _unroll(
    layer: _Layer,
    x: Tensor,
    units: int,
    initial: Sequence[Tensor] | None,
    sequences: bool,
    init: Any,
    name: str | None,
) -> Tensor:
    """One cell per time step, over parameters that are declared here."""
    op = layer.op
    check_tensors(op, x)
    units = check_count(f"{op}: units", units, 1)
    if x.dtype not in FLOATS:
        raise DTypeError(f"{op}: operand 'x' ('{x.name}') is {x.dtype}; it must be float32 or float64")
    if x.ndim != 3 or not all(isinstance(d, int) and d > 0 for d in x.shape[1:]):
        raise ShapeError(
            f"{op}: '{x.name}' has shape {x.shape}; it must be (examples, steps, features), and the numbers of steps "
            "and of features ints of at least 1: a network is static, one cell per step"
        )
    states = _check_initial(layer, x, units, initial)
    steps, features, width = int(x.shape[1]), int(x.shape[2]), layer.gates * units
    first = Glorot() if init is None else init
    network = x.network
    with network.composing(op, name) as final:
        W = network.parameter(f"{final}.W", (features, width), init=first, dtype=x.dtype)
        U = network.parameter(f"{final}.U", (units, width), init=first, dtype=x.dtype)
        b = network.parameter(f"{final}.b", (width,), init=layer.bias, dtype=x.dtype, role="bias")
        inputs = add(matmul(x, W, name=f"{final}.xW"), b, name=f"{final}.xWb")
        weights = layer.weights(U, final)
        hidden = []
        for t in range(steps):
            last = t == steps - 1 and not sequences
            v = read_slice(inputs, (Ellipsis, t, slice(None)), name=f"{final}.{t}.xWb")
            states = layer.step(v, states, weights, f"{final}.{t}", final if last else f"{final}.{t}.h")
            hidden.append(states[0])
        return stack(hidden, axis=1, name=final) if sequences else hidden[-1]


def _check_initial(layer: _Layer, x: Tensor, units: int, initial: Sequence[Tensor] | None) -> States:
    """The states before the first step; () for zeros."""
    if initial is None:
        return ()
    given = () if isinstance(initial, Tensor) else tuple(initial)
    if len(given) != len(layer.states) or not all(isinstance(s, Tensor) for s in given):
        raise GraphError(f"{layer.op}: initial is {len(layer.states)} Tensor(s), of {', '.join(layer.states)}")
    for label, state in zip(layer.states, given, strict=True):
        if state.dtype != x.dtype:
            raise DTypeError(f"{layer.op}: the initial {label} ('{state.name}') is {state.dtype}, x is {x.dtype}")
        if state.shape != (x.shape[0], units):
            raise ShapeError(
                f"{layer.op}: the initial {label} ('{state.name}') has shape {state.shape}; for '{x.name}' of shape "
                f"{x.shape} and {units} units it must be {(x.shape[0], units)}"
            )
    return given
