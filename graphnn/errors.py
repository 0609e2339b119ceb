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
