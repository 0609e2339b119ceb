"""Formulas as plain data: [head, argument, ...] lists over a fixed table of heads.

i0 + 1 < N        <->  ["lt", ["add", ["int", "1"], ["symbol", "i0"]], ["size", "N"]]

Reading looks heads up in the table and symbols up in a scope. No text is ever parsed as a formula, so there is
nothing in a file that could run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import sympy
from sympy.logic.boolalg import Boolean

from graphnn.declare.notation import size_symbol
from graphnn.declare.scalars import PRIMITIVES, threefry
from graphnn.errors import GraphError

Tree = list[Any]
Scope = Mapping[str, sympy.Symbol]

DEPTH_LIMIT = 100  # levels of one formula; sympy itself recurses several frames to a level
_DIGITS = re.compile(r"-?[0-9]{1,400}")  # a double needs up to 324 decimal places
_RATIO = re.compile(r"(-?[0-9]{1,400})/([0-9]{1,400})")
_HEX = re.compile(r"-?0x[01]\.[0-9a-f]{1,13}p[+-][0-9]{1,4}")
_MAGNITUDE = 10_000  # of a constant argument: sympy computes constants exactly, and exp(exp(exp(9))) takes forever
_POWER_BITS = 1 << 16  # of a constant power

# name: (sympy class, fewest arguments, most arguments or None); the kinds of the arguments follow from the class.
# fmt: off
HEADS: dict[str, tuple[Any, int, int | None]] = {
    "add": (sympy.Add, 2, None),        "mul": (sympy.Mul, 2, None),          "pow": (sympy.Pow, 2, 2),
    "max": (sympy.Max, 2, None),        "min": (sympy.Min, 2, None),          "mod": (sympy.Mod, 2, 2),
    "exp": (sympy.exp, 1, 1),           "log": (sympy.log, 1, 1),             "tanh": (sympy.tanh, 1, 1),
    "sinh": (sympy.sinh, 1, 1),         "cosh": (sympy.cosh, 1, 1),
    "sin": (sympy.sin, 1, 1),           "cos": (sympy.cos, 1, 1),
    "erf": (sympy.erf, 1, 1),           "erfc": (sympy.erfc, 1, 1),
    "abs": (sympy.Abs, 1, 1),           "sign": (sympy.sign, 1, 1),           "floor": (sympy.floor, 1, 1),
    "lt": (sympy.StrictLessThan, 2, 2),    "le": (sympy.LessThan, 2, 2),      "eq": (sympy.Equality, 2, 2),
    "gt": (sympy.StrictGreaterThan, 2, 2), "ge": (sympy.GreaterThan, 2, 2),   "ne": (sympy.Unequality, 2, 2),
    "and": (sympy.And, 2, None),        "or": (sympy.Or, 2, None),            "not": (sympy.Not, 1, 1),
    "xor": (sympy.Xor, 2, None),        "ite": (sympy.ITE, 3, 3),
    "threefry": (threefry, 2, 2),
    **{primitive.__name__: (primitive, 1, 1) for primitive in PRIMITIVES},
}
CONSTANTS: dict[str, Any] = {"true": sympy.true, "false": sympy.false, "pi": sympy.pi, "e": sympy.E}
# fmt: on
_NAMES = {head: name for name, (head, _, _) in HEADS.items()}
_LOGICAL = ("and", "or", "not", "xor", "ite")


def is_condition(expr: Any) -> bool:
    """Whether a formula is true or false; to sympy a bare symbol could be either, to us it is a number."""
    return isinstance(expr, Boolean) and not isinstance(expr, sympy.Symbol)


def encode(expr: sympy.Basic, scope: Scope, depth: int = 0) -> Tree:
    """The tree of a formula whose symbols are those of `scope`, or sizes. GraphError for what no tree can hold."""
    if depth > DEPTH_LIMIT:
        raise GraphError(f"a formula is nested more than {DEPTH_LIMIT} deep: split it into several ops")
    for name, constant in CONSTANTS.items():
        if expr == constant:
            return [name]
    if expr.is_Integer:
        return ["int", str(int(expr))]
    if expr.is_Rational:
        return ["rational", f"{int(expr.p)}/{int(expr.q)}"]
    if expr.is_Float:
        if sympy.Float(float(expr)) != expr:
            raise GraphError(f"the constant {expr} is not a double; write it as a sympy.Rational")
        return ["float", float(expr).hex()]
    if isinstance(expr, sympy.Symbol):
        return ["symbol", expr.name] if scope.get(expr.name) == expr else ["size", size_symbol(expr.name).name]
    if isinstance(expr, sympy.Piecewise):
        return ["piecewise", *([encode(part, scope, depth + 1) for part in pair] for pair in expr.args)]
    if type(expr) not in _NAMES:
        raise GraphError(f"a formula holds {type(expr).__name__}, which is none of the functions that are stored")
    return [_NAMES[type(expr)], *(encode(a, scope, depth + 1) for a in expr.args)]


def decode(tree: Any, scope: Scope, where: str, depth: int = 0) -> Any:
    """The formula of a tree. Symbols are those of `scope`; a size may have any name that a size may have.

    Raises GraphError, which names `where`, for an unknown head, a wrong number or kind of arguments, an unknown
    symbol, nesting beyond the limit and constants that are too large to compute.
    """
    if depth > DEPTH_LIMIT:
        raise GraphError(f"{where}: the formula is nested more than {DEPTH_LIMIT} deep")
    if not isinstance(tree, list) or not tree or not isinstance(tree[0], str):
        raise GraphError(f"{where}: {_short(tree)} is not a formula: [head, arguments...] was expected")
    head, *arguments = tree
    if head in CONSTANTS and not arguments:
        return CONSTANTS[head]
    if head in _LEAVES:
        if len(arguments) != 1 or not isinstance(arguments[0], str):
            raise GraphError(f"{where}: {_short(tree)}: '{head}' takes one string")
        return _LEAVES[head](arguments[0], scope, where)
    if head == "piecewise":
        return _decode_piecewise(arguments, scope, where, depth)
    if head not in HEADS:
        raise GraphError(f"{where}: unknown head {_short(head)}; known are {', '.join(HEADS)}")
    function, fewest, most = HEADS[head]
    if len(arguments) < fewest or (most is not None and len(arguments) > most):
        wanted = str(fewest) if fewest == most else f"{fewest} or more"
        raise GraphError(f"{where}: '{head}' takes {wanted} arguments, got {len(arguments)}")
    made = [decode(a, scope, where, depth + 1) for a in arguments]
    for argument in made:
        if is_condition(argument) is not (head in _LOGICAL):
            wanted = "conditions" if head in _LOGICAL else "numbers"
            raise GraphError(f"{where}: '{head}' takes {wanted}, got {_short(argument)}")
    _check_affordable(head, made, where)
    return _construct(lambda: function(*made), head, where)


def _decode_piecewise(pairs: list[Any], scope: Scope, where: str, depth: int) -> Any:
    branches = []
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            raise GraphError(f"{where}: {_short(pair)} is not a [value, condition] of a piecewise")
        value, condition = (decode(part, scope, where, depth + 1) for part in pair)
        if is_condition(value) or not is_condition(condition):
            raise GraphError(f"{where}: a branch of a piecewise is a number and a condition, got {_short(pair)}")
        branches.append((value, condition))
    if not branches:
        raise GraphError(f"{where}: a piecewise has no branches")
    return _construct(lambda: sympy.Piecewise(*branches), "piecewise", where)


def _construct(build: Callable[[], Any], head: str, where: str) -> Any:
    try:
        made = build()
    except (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError) as error:
        raise GraphError(f"{where}: '{head}' of these arguments is no formula: {_short(str(error))}") from error
    if made.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo, sympy.I):
        raise GraphError(f"{where}: '{head}' of these arguments is {_short(made)}; a formula's constants are finite")
    return made


def _check_affordable(head: str, arguments: list[Any], where: str) -> None:
    """sympy computes constants exactly while it builds a formula; refuse those that would take forever."""
    if any(a.free_symbols for a in arguments) or head in ("add", "mul", *_LOGICAL):
        return
    if head == "pow" and all(a.is_Rational for a in arguments):
        base, exponent = arguments
        bits = max(int(base.p).bit_length(), int(base.q).bit_length())
        affordable = bits * abs(exponent) <= _POWER_BITS
    else:
        affordable = all((a.is_Number and head != "exp") or _magnitude(a) <= _MAGNITUDE for a in arguments)
    if not affordable:
        raise GraphError(f"{where}: the constant '{head}' of {_short(arguments)} is too large to compute")


def _magnitude(constant: sympy.Expr) -> float:
    try:
        return float(abs(complex(constant.evalf(15))))
    except (ArithmeticError, TypeError, ValueError):
        return float("inf")


def _read_integer(text: str, scope: Scope, where: str) -> Any:
    if not _DIGITS.fullmatch(text):
        raise GraphError(f"{where}: {_short(text)} is not an integer of up to 400 digits")
    return sympy.Integer(int(text))


def _read_rational(text: str, scope: Scope, where: str) -> Any:
    match = _RATIO.fullmatch(text)
    if match is None or int(match[2]) == 0:
        raise GraphError(f"{where}: {_short(text)} is not a ratio of integers of up to 400 digits")
    return sympy.Rational(int(match[1]), int(match[2]))


def _read_float(text: str, scope: Scope, where: str) -> Any:
    if not _HEX.fullmatch(text):
        raise GraphError(f"{where}: {_short(text)} is not a hexadecimal double")
    return _construct(lambda: sympy.Float(float.fromhex(text)), "float", where)


def _read_symbol(text: str, scope: Scope, where: str) -> Any:
    if text not in scope:
        raise GraphError(f"{where}: unknown symbol {_short(text)}; there are {', '.join(scope)}")
    return scope[text]


def _read_size(text: str, scope: Scope, where: str) -> Any:
    try:
        return size_symbol(text)
    except GraphError as error:
        raise GraphError(f"{where}: {_short(str(error))}") from error


_LEAVES: dict[str, Callable[[str, Scope, str], Any]] = {
    "int": _read_integer,
    "rational": _read_rational,
    "float": _read_float,
    "symbol": _read_symbol,
    "size": _read_size,
}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else _shallow(value)
    return repr(text) if len(text) <= 80 else repr(text[:77] + "...")


def _shallow(value: Any) -> str:
    """The text of a value of a file, which may be nested deeper than repr() can follow."""
    if isinstance(value, list):
        return "[" + ", ".join("[...]" if isinstance(v, list | dict) else str(v)[:40] for v in value[:6]) + "]"
    return "{...}" if isinstance(value, dict) else str(value)
