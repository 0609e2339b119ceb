"""One independent row per public op: its value and its gradient, written by hand in NumPy from the textbook.

Nothing here is derived by graphnn and nothing imports it. The suite compares every op with its row:

    row = ORACLES["tanh"]
    for args, attributes in row.sample(rng):
        value = row.forward(*args, **attributes)
        adjoint = rng.standard_normal(np.shape(value))
        gradients = row.gradient(args, attributes, adjoint)

Elementwise rows carry a second pair of formulas for mpmath scalars. These are the plain textbook ones, since 50 digits
need no care against overflow, and they judge wherever the float64 row loses digits. Call them in `mp.workdps(50)`.

Conventions at kinks: relu'(0) = abs'(0) = 0, leaky_relu'(0) = alpha, clip' = 0 at both ends, a tie of maximum(a, b)
goes to a, a tie of a constant with a variable to the constant, and a tie inside a reducer to its first element in
row-major order.
"""

from tests.oracle_rows.activation import ACTIVATIONS
from tests.oracle_rows.convolution import CONVOLUTIONS
from tests.oracle_rows.elementwise import BINARY, UNARY, WITHOUT_GRADIENT
from tests.oracle_rows.loss import LOSSES
from tests.oracle_rows.random import RANDOM
from tests.oracle_rows.record import Oracle
from tests.oracle_rows.reduction import REDUCTIONS
from tests.oracle_rows.structural import STRUCTURAL

__all__ = ["ORACLES", "Oracle"]

ORACLES: dict[str, Oracle] = {
    row.name: row
    for row in (
        *UNARY,
        *ACTIVATIONS,
        *BINARY,
        *WITHOUT_GRADIENT,
        *STRUCTURAL,
        *REDUCTIONS,
        *LOSSES,
        *CONVOLUTIONS,
        *RANDOM,
    )
}
