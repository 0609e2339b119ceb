"""dropout: units that are missing at random while training."""

from __future__ import annotations

from fractions import Fraction

from graphnn.declare.definition import FLOATS
from graphnn.declare.network import Tensor
from graphnn.errors import DTypeError
from graphnn.nn.arguments import FRACTION, check_number
from graphnn.ops.arguments import Axes, as_axes, check_tensors
from graphnn.ops.elementwise import divide, identity, where
from graphnn.ops.random import draw_bernoulli


def dropout(x: Tensor, p: float = 0.5, shared: Axes = (), name: str | None = None) -> Tensor:
    """In training, each element is 0 with probability p, and x/(1 - p) otherwise; in inference, x as it is.

    Shape and dtype are those of x, a float. Elements that differ only along the axes `shared` are dropped together:
    shared=(2, 3) drops whole channels of images. Masks change with each training step, and two layers have masks of
    their own (see `graphnn/ops/random.py`). A dropped element has a gradient of exactly 0.

    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (JMLR 15, 2014), scaled in
    training instead of inference.

    Raises GraphError unless p is a number of [0, 1), DTypeError where x is no float, ShapeError for an axis that x has
    not. An error leaves the network as it was.
    """
    check_tensors("dropout", x)
    p = check_number("dropout: p", p, FRACTION)
    if x.dtype not in FLOATS:
        raise DTypeError(f"dropout: operand 'x' ('{x.name}') is {x.dtype}; it must be float32 or float64")
    together = as_axes("dropout", shared, x)
    shape = tuple(1 if n in together else size for n, size in enumerate(x.shape))
    network = x.network
    with network.composing("dropout", name) as final:
        if p == 0:
            return identity(x, name=final)
        left = float(1 - Fraction(repr(float(p))))  # 1 - 0.9 is not 0.1 in floating point
        kept = draw_bernoulli(network, shape, left, f"{final}.kept")
        scaled = divide(x, left, name=f"{final}.scaled")
        thinned = where(kept, scaled, 0, name=f"{final}.thinned")
        return where(network.training, thinned, x, name=final)
