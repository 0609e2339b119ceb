"""Scalar functions as straight-line LLVM instructions, for float and double, scalar or in lanes.

exponential.py      exp, log, log1p, expm1, tanh, sigmoid
trigonometry.py     sin, cos
error_function.py   erf, erfc
power.py            x**y, which is not in the table here: it has two operands
lanes.py            the arithmetic that they are written in
coefficients.py     their polynomials, made by minimax.py

There is no call and no branch, and of tables only the bits of 1/(2 pi), for double sin and cos. Without a hardware
fused multiply-add `llvm.fma` becomes a library call: right, but slow.
"""

from __future__ import annotations

from collections.abc import Callable

from graphnn.emit.error_function import erf, erfc
from graphnn.emit.exponential import exp, expm1, log, log1p, sigmoid, tanh
from graphnn.emit.lanes import FORMATS, Lanes
from graphnn.emit.trigonometry import cos, sin
from graphnn.emit.writer import Value, Writer, element_type
from graphnn.errors import CompileError

FUNCTIONS: dict[str, Callable[[Lanes, Value], Value]] = {
    "exp": exp,
    "log": log,
    "log1p": log1p,
    "expm1": expm1,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "erf": erf,
    "erfc": erfc,
    "sin": sin,
    "cos": cos,
}


def emit_function(w: Writer, name: str, x: Value) -> Value:
    """Append name(x), elementwise, for x a float or double or a vector of any number of them.

    Special values are those of IEEE 754. Largest errors: docs/vector-math.md.
    Raises CompileError for an unknown name or another type.
    """
    if name not in FUNCTIONS:
        raise CompileError(f"no code for the function {name!r}; there is code for {', '.join(FUNCTIONS)}")
    if element_type(x.type) not in FORMATS:
        raise CompileError(f"{name} needs a float or double operand, got {x.type}")
    return FUNCTIONS[name](Lanes(w, x.type), x)
