"""Networks for sequences: an unrolled recurrent one, and a block of a transformer."""

from __future__ import annotations

from collections.abc import Callable

from graphnn.declare.network import Tensor
from graphnn.errors import GraphError
from graphnn.nn.arguments import check_count
from graphnn.nn.layers.activation import Activation
from graphnn.nn.layers.attention import multi_head_attention
from graphnn.nn.layers.dense import dense
from graphnn.nn.layers.dropout import dropout
from graphnn.nn.layers.normalisation import layer_norm
from graphnn.nn.layers.recurrent import gru, lstm, rnn
from graphnn.ops.arguments import check_tensors
from graphnn.ops.elementwise import add, relu

CELLS: dict[str, Callable[..., Tensor]] = {"rnn": rnn, "lstm": lstm, "gru": gru}


def recurrent(
    x: Tensor, units: int, outputs: int, cell: str = "rnn", sequences: bool = False, name: str = "recurrent"
) -> Tensor:
    """Outputs of a recurrent net that is unrolled over the steps of x: {name}.cells, then dense {name}.output.

    Shapes: x (N, T, D) with ints but for N, result (N, outputs) of the last state, or (N, T, outputs) of all with
    sequences=True. Each step has the same parameters: with H `units`, H*(D + H + 1) for cell="rnn", three times that
    for "gru", four times for "lstm", and (H + 1)*outputs.

    Raises GraphError for another cell, and as the layers do. An error leaves the network as it was.
    """
    check_tensors("recurrent", x)
    if not isinstance(cell, str) or cell not in CELLS:
        raise GraphError(f"recurrent: cell {cell!r} is not one of {', '.join(CELLS)}")
    with x.network.composing("recurrent", name) as final:
        states = CELLS[cell](x, units, sequences=sequences, name=f"{final}.cells")
        return dense(states, outputs, name=f"{final}.output")


def transformer_block(
    x: Tensor,
    heads: int,
    hidden: int,
    activation: Activation = relu,
    causal: bool = False,
    first: str = "add",
    drop: float = 0.0,
    name: str = "block",
) -> Tensor:
    """Self-attention and a feed-forward net of two layers, each with a residual connection and layer normalisation.

    first="add" is the block of the paper, norm(x + f(x)); first="norm" is x + f(norm(x)), as is common today. `drop` is
    the probability of dropout of each f. Shapes: x and the result (..., T, D); parameters 4*D*(D + 1) of the attention,
    2*D*hidden + hidden + D of the net and 4*D of the norms: 3,152,384 for the base model's D = 512, hidden = 2048.

    Raises GraphError for another `first`, and as the layers do. An error leaves the network as it was. A. Vaswani et
    al., "Attention Is All You Need", NIPS 2017, section 3.1.
    """
    check_tensors("transformer_block", x)
    hidden = check_count("transformer_block: hidden", hidden, 1)
    if first not in ("add", "norm"):
        raise GraphError(f"transformer_block: first is 'add' or 'norm', not {first!r}")
    with x.network.composing("transformer_block", name) as final:

        def attend(h: Tensor) -> Tensor:
            return multi_head_attention(h, heads, causal=causal, name=f"{final}.attention")

        def feed(h: Tensor) -> Tensor:
            width = int(h.shape[-1])
            return dense(dense(h, hidden, activation, name=f"{final}.ff1"), width, name=f"{final}.ff2")

        for number, part in enumerate((attend, feed), 1):
            norm, label = f"{final}.norm{number}", f"{final}.drop{number}"
            if first == "norm":
                inner = dropout(part(layer_norm(x, name=norm)), drop, name=label)
                x = add(x, inner, name=f"{final}.add{number}")
            else:
                inner = dropout(part(x), drop, name=label)
                x = layer_norm(add(x, inner, name=f"{final}.add{number}"), name=norm)
        return x
