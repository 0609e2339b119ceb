"""embedding: a learned row for each word of a vocabulary."""

from __future__ import annotations

from typing import Any

from graphnn.declare.initializer import Normal
from graphnn.declare.network import Tensor
from graphnn.nn.arguments import check_count
from graphnn.ops.arguments import check_dtype, check_tensors
from graphnn.ops.indexing import gather


def embedding(
    tokens: Tensor, vocabulary: int, width: int, init: Any = None, dtype: str = "float32", name: str | None = None
) -> Tensor:
    """Row `token` of a table, for each token.

    Shapes: tokens (...) int64 in 0 ... vocabulary-1, which the call checks, {name}.W (vocabulary, width), result
    (..., width) of `dtype`. `init` is a number or an Initializer for W, N(0, 0.05^2) unless given.

    Raises DTypeError where tokens are not int64 or dtype is no float, GraphError for a vocabulary or width below 1. An
    error leaves the network as it was.
    """
    check_tensors("embedding", tokens)
    check_dtype("embedding", "tokens", tokens, "int64")
    rows = check_count("embedding: vocabulary", vocabulary, 1)
    columns = check_count("embedding: width", width, 1)
    network = tokens.network
    with network.composing("embedding", name) as final:
        first = Normal() if init is None else init
        return gather(network.parameter(f"{final}.W", (rows, columns), init=first, dtype=dtype), tokens, name=final)
