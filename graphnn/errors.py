"""The typed errors. Each message names the op, the axis, both extents and both operands, and what to do.

The hierarchy is flat on purpose: catch `GraphnnError` for all of them, or the one stage you care about.
"""

from __future__ import annotations


class GraphnnError(Exception):
    """Base of every error that graphnn raises on purpose."""


class GraphError(GraphnnError):
    """The network is not a valid graph: a cycle, a duplicate name, an unknown op, a missing operand."""


class ShapeError(GraphnnError):
    """Two extents that must agree do not, or an access leaves its operand."""


class DTypeError(GraphnnError):
    """An operand has a dtype that the definition does not accept."""


class DeriveError(GraphnnError):
    """A gradient was asked for that does not exist: through an integer, a step, a constant."""


class CompileError(GraphnnError):
    """A stage of the compiler refused its input, or a verifier found an invalid program."""


class BoundaryError(GraphnnError):
    """An array or file handed to native code does not fit what was compiled."""


class NumericError(GraphnnError):
    """A value came up in training that is not finite.

    node  the first node of the network, operands first, at which it did
    rows  the rows of the data (of the batch, for a single step) that lead to it by themselves
    """

    def __init__(self, message: str, node: str = "", rows: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.node, self.rows = node, rows
