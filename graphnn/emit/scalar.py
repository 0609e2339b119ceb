"""The scalar functions of `simplify/expr.py` on LLVM values, one lane or many: the same instructions either way.

No fast-math flag anywhere: a lane's bits depend on the formula alone.
"""

from __future__ import annotations

from collections.abc import Callable

from graphnn.emit.power import power
from graphnn.emit.random import emit_threefry
from graphnn.emit.vector_math import FUNCTIONS, emit_function
from graphnn.emit.writer import Value, Writer, constant, element_type, lanes_of, mangle, vector_type
from graphnn.errors import CompileError

# fmt: off
FLOAT_OPCODES = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv",
                 "lt": "fcmp olt", "le": "fcmp ole", "eq": "fcmp oeq", "ne": "fcmp une"}
INT_OPCODES =   {"add": "add", "sub": "sub", "mul": "mul",
                 "lt": "icmp slt", "le": "icmp sle", "eq": "icmp eq", "ne": "icmp ne"}
BOOL_OPCODES =  {"and": "and", "or": "or", "eq": "icmp eq", "ne": "icmp ne"}
# fmt: on


def emit_scalar(w: Writer, fn: str, args: tuple[Value, ...], exponent: float | None = None) -> Value:
    """Apply `fn`, a scalar function other than cast, to arguments of equal lanes.

    `exponent` is the second argument of pow where that is a constant. Raises CompileError where `fn` is not
    defined for the type of its arguments.
    """
    element = element_type(args[-1].type)
    is_float = element in ("float", "double")
    opcodes = FLOAT_OPCODES if is_float else INT_OPCODES if element == "i64" else BOOL_OPCODES
    if fn in opcodes:
        opcode = opcodes[fn]
        return w.compare(opcode, *args) if " " in opcode else w.binary(opcode, *args)
    if fn == "select":
        return w.select(*args)
    if fn == "pow" and is_float:
        return power(w, args[0], args[1], exponent)
    if fn in FUNCTIONS and is_float:
        return emit_function(w, fn, args[0])
    emitter = (FLOAT_EMITTERS if is_float else INT_EMITTERS if element == "i64" else BOOL_EMITTERS).get(fn)
    if emitter is None:
        raise CompileError(f"scalar function {fn!r} is not defined for {element} arguments")
    return emitter(w, *args)


def emit_cast(w: Writer, a: Value, element: str) -> Value:
    """NumPy's `astype`, except that a float outside of int64 becomes the nearest one and NaN becomes 0."""
    source, to = element_type(a.type), vector_type(element, lanes_of(a.type))
    if source == element:
        return a
    if element == "i1":
        return w.compare("fcmp une" if source in ("float", "double") else "icmp ne", a, constant(a.type, 0))
    if source == "i1":
        return w.convert("zext" if element == "i64" else "uitofp", a, to)
    if source == "i64":
        return w.convert("sitofp", a, to)
    if element == "i64":
        return w.intrinsic(f"fptosi.sat.{mangle(to)}.{mangle(a.type)}", to, a)
    return w.convert("fpext" if element == "double" else "fptrunc", a, to)


def maximum(w: Writer, a: Value, b: Value) -> Value:
    """The larger; NaN if either is. One vmaxps (it yields b if an operand is NaN) and a blend for a NaN in a."""
    larger = w.select(w.compare("fcmp ogt", a, b), a, b)
    return w.select(w.compare("fcmp uno", a, a), a, larger)


def minimum(w: Writer, a: Value, b: Value) -> Value:
    """The smaller; NaN if either is."""
    smaller = w.select(w.compare("fcmp olt", a, b), a, b)
    return w.select(w.compare("fcmp uno", a, a), a, smaller)


def sign(w: Writer, a: Value) -> Value:
    """-1, 0 or 1; NaN stays NaN."""
    zero = constant(a.type, 0.0)
    unit = w.intrinsic(f"copysign.{mangle(a.type)}", a.type, constant(a.type, 1.0), a)
    signed = w.select(w.compare("fcmp oeq", a, zero), zero, unit)
    return w.select(w.compare("fcmp uno", a, a), a, signed)


def quotient(w: Writer, a: Value, b: Value) -> Value:
    """a/b rounded to minus infinity, for a positive b."""
    power = _power_of_two(b)
    if power is not None:
        return w.binary("ashr", a, constant(a.type, power))
    b = _divisor(w, b)
    truncated = w.binary("sdiv", a, b)
    rest = w.binary("sub", a, w.binary("mul", truncated, b))
    return w.binary("add", truncated, _sign_bits(w, rest))


def remainder(w: Writer, a: Value, b: Value) -> Value:
    """a - b*quotient(a, b), for a positive b."""
    power = _power_of_two(b)
    if power is not None:
        return w.binary("and", a, constant(a.type, (1 << power) - 1))
    b = _divisor(w, b)
    rest = w.binary("srem", a, b)
    return w.binary("add", rest, w.binary("and", b, _sign_bits(w, rest)))


def _power_of_two(b: Value) -> int | None:
    """log2 of a constant, the same in all lanes, that is a power of two."""
    number = b.ref.strip("<>").split(", ")[0].split(" ")[-1]
    if not number.isdecimal() or int(number) & int(number) - 1 or b != constant(b.type, int(number)):
        return None
    return int(number).bit_length() - 1


def _divisor(w: Writer, b: Value) -> Value:
    """b, or 1 in lanes that are masked off, where it may be anything and the division must not trap."""
    return w.intrinsic(f"smax.{mangle(b.type)}", b.type, b, constant(b.type, 1)) if b.ref[0] == "%" else b


def _sign_bits(w: Writer, a: Value) -> Value:
    """-1 where a is negative, else 0."""
    return w.binary("ashr", a, constant(a.type, 63))


def overloaded(name: str) -> Callable[..., Value]:
    """The intrinsic of one to three arguments of its result's type."""
    return lambda w, *args: w.intrinsic(f"{name}.{mangle(args[0].type)}", args[0].type, *args)


FLOAT_EMITTERS: dict[str, Callable[..., Value]] = {
    "neg": lambda w, a: w.ins(a.type, f"fneg {a}"),
    "fma": overloaded("fma"),
    "sqrt": overloaded("sqrt"),
    "abs": overloaded("fabs"),
    "sign": sign,
    "max": maximum,
    "min": minimum,
}
INT_EMITTERS: dict[str, Callable[..., Value]] = {
    "neg": lambda w, a: w.binary("sub", constant(a.type, 0), a),
    "abs": lambda w, a: w.intrinsic(f"abs.{mangle(a.type)}", a.type, a, Value("i1", "false")),
    "max": overloaded("smax"),
    "min": overloaded("smin"),
    "floordiv": quotient,
    "mod": remainder,
    "threefry": emit_threefry,
}
BOOL_EMITTERS: dict[str, Callable[..., Value]] = {
    "not": lambda w, a: w.binary("xor", a, constant(a.type, 1)),
}
