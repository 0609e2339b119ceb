"""The dtypes that each scalar function takes and gives."""

from __future__ import annotations

from graphnn.errors import CompileError
from graphnn.simplify.expr import SCALARS, DType, Op, text

FLOATS: frozenset[DType] = frozenset(("float32", "float64"))
NUMBERS: frozenset[DType] = FLOATS | {"int64"}
INTEGER_FUNCTIONS = frozenset(("add", "sub", "mul", "floordiv", "mod", "neg", "max", "min", "abs", "lt", "le"))
LOGICAL_FUNCTIONS = frozenset(("and", "or", "not"))
BIT_FUNCTIONS = frozenset(("threefry",))
ANY_FUNCTIONS = frozenset(("eq", "ne", "select", "cast"))


def accepted(fn: str) -> frozenset[DType]:
    """The dtypes of a scalar function's arguments (of select: of its branches)."""
    if fn in LOGICAL_FUNCTIONS:
        return frozenset(("bool",))
    if fn in BIT_FUNCTIONS:
        return frozenset(("int64",))
    if fn in ANY_FUNCTIONS:
        return NUMBERS | {"bool"}
    return NUMBERS if fn in INTEGER_FUNCTIONS else FLOATS


def check_operation(op: Op, where: object) -> None:
    """Raise CompileError unless the arguments fit the function and each other, and the result's dtype follows."""
    scalar = SCALARS.get(op.fn)
    if scalar is None:
        raise CompileError(f"{where} the function {op.fn} is unknown")
    if len(op.args) != scalar.arity:
        raise CompileError(f"{where} {op.fn} takes {scalar.arity} arguments, not {len(op.args)}")
    operands = op.args[1:] if op.fn == "select" else op.args
    if op.fn == "select" and op.args[0].dtype != "bool":
        raise CompileError(f"{where} the condition of {text(op)} is {op.args[0].dtype}, not bool")
    for operand in operands:
        if operand.dtype != operands[0].dtype or operand.dtype not in accepted(op.fn):
            raise CompileError(
                f"{where} {op.fn} of {', '.join(o.dtype for o in operands)}: the operands of {text(op)} must agree "
                f"in one of {', '.join(sorted(accepted(op.fn)))}"
            )
    result = {"same": operands[0].dtype, "bool": "bool", "cast": op.dtype}[scalar.result]
    if op.dtype != result:
        raise CompileError(f"{where} {text(op)} is {result}, but typed as {op.dtype}")
