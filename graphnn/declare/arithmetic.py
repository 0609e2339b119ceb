"""The number systems of the reference evaluator, and the value of a scalar formula in one of them.

    float64      IEEE doubles
    complex128   for derivatives by a complex step: comparisons, abs, max and min go by the real part
    mpmath       object arrays of mpmath numbers of any precision: judges where float64 is not finite or not exact

Whole numbers and conditions are int64 and bool arrays in all three. No operation raises: a real function outside of
its domain is NaN, a division by zero is infinite or NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
import sympy
from sympy.logic.boolalg import BooleanAtom

from graphnn.declare.error_function import complex_erf, complex_erfc
from graphnn.declare.scalars import threefry
from graphnn.declare.threefry import threefry_2x32
from graphnn.errors import GraphError

Values = npt.NDArray[Any]
Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How one kind of number computes.

    `functions` are keyed by the sympy function's name; `order` maps a number to what comparisons look at;
    `constant` is an exact sympy number in this system.
    """

    dtype: Any
    functions: Mapping[str, Function]
    divide: Function
    power: Function
    order: Function
    constant: Callable[[sympy.Expr], Any]

    def convert(self, values: Any) -> Values:
        """Values of any kind as numbers of this one."""
        array = np.asarray(values)
        if self.dtype is not object:
            return array.astype(self.dtype)
        with np.errstate(invalid="ignore"):  # raised by the conversion of NaN
            return _array(np.frompyfunc(mpmath.mpf, 1, 1)(array.astype(object)))


def _array(values: Any) -> Values:
    """NumPy hands out the element of a 0-d object array; an mpmath number must become an array again."""
    return values if isinstance(values, np.ndarray) else np.asarray(values)


def _real_domain(function: Function, inside: Function) -> Function:
    """A complex function that is NaN where its real counterpart is."""
    return lambda z: np.where(inside(np.real(z)), function(z), np.nan)


def _complex_power(base: Values, exponent: Values) -> Values:
    whole = np.real(exponent) == np.floor(np.real(exponent))
    return np.where((np.real(base) >= 0) | whole, np.power(base, exponent), np.nan)


def _mp_divide(a: Any, b: Any) -> Any:
    if b == 0:
        return mpmath.nan if a == 0 or mpmath.isnan(a) else mpmath.sign(a) * mpmath.inf
    return mpmath.mpf(a) / b


def _mp_power(base: Any, exponent: Any) -> Any:
    base, exponent = mpmath.mpf(base), mpmath.mpf(exponent)
    if exponent == 0:
        return mpmath.mpf(1)
    if base == 0:
        return mpmath.inf if exponent < 0 else mpmath.mpf(0) if exponent > 0 else mpmath.nan
    if base < 0 and not mpmath.isint(exponent):
        return mpmath.nan
    return base**exponent


def _mp_guarded(function: Function, low: int) -> Function:
    """`function` on its real domain, NaN below `low`."""
    return lambda x: function(x) if x >= low else mpmath.nan


def _each(function: Callable[[float], float]) -> Function:
    """A function of one number, for arrays."""
    return np.vectorize(function, otypes=[np.float64])


def _double(expr: sympy.Expr) -> float:
    return int(expr.p) / int(expr.q) if expr.is_Rational else float(expr)


def _mp_constant(expr: sympy.Expr) -> Any:
    if expr.is_Rational:
        return mpmath.mpf(int(expr.p)) / int(expr.q)
    return mpmath.mpf(expr.evalf(mpmath.mp.dps + 5)._mpf_)


# The functions of formulas: name, float64, complex128, mpmath. Floor and Mod are exact on whole numbers.
# fmt: off
_FUNCTIONS: tuple[tuple[str, Function, Function, Function], ...] = (
    ("exp",   np.exp,   np.exp,                                        mpmath.exp),
    ("log",   np.log,   _real_domain(np.log, lambda x: x >= 0),        _mp_guarded(mpmath.log, 0)),
    ("log1p", np.log1p, _real_domain(np.log1p, lambda x: x >= -1),     _mp_guarded(mpmath.log1p, -1)),
    ("expm1", np.expm1, np.expm1,                                      mpmath.expm1),
    ("tanh",  np.tanh,  np.tanh,                                       mpmath.tanh),
    ("sinh",  np.sinh,  np.sinh,                                       mpmath.sinh),
    ("cosh",  np.cosh,  np.cosh,                                       mpmath.cosh),
    ("sin",   np.sin,   np.sin,                                        mpmath.sin),
    ("cos",   np.cos,   np.cos,                                        mpmath.cos),
    ("erf",   _each(math.erf),  complex_erf,                           mpmath.erf),
    ("erfc",  _each(math.erfc), complex_erfc,                          mpmath.erfc),
    ("sign",  np.sign,  lambda z: np.sign(np.real(z)),                 mpmath.sign),
    ("Abs",   np.abs,   lambda z: z * np.sign(np.real(z)),             abs),
    ("floor", np.floor, lambda z: np.floor(np.real(z)),                mpmath.floor),
)
# fmt: on


def arithmetic(number: str) -> Arithmetic:
    """The number system of that name; mpmath computes in the precision of its current context."""
    if number == "float64":
        functions = {name: real for name, real, _, _ in _FUNCTIONS}
        return Arithmetic(np.float64, functions, np.divide, np.power, np.asarray, _double)
    if number == "complex128":
        functions = {name: function for name, _, function, _ in _FUNCTIONS}
        return Arithmetic(np.complex128, functions, np.divide, _complex_power, np.real, _double)
    if number == "mpmath":
        functions = {name: np.frompyfunc(function, 1, 1) for name, _, _, function in _FUNCTIONS}
        divide, power = np.frompyfunc(_mp_divide, 2, 1), np.frompyfunc(_mp_power, 2, 1)
        return Arithmetic(object, functions, divide, power, np.asarray, _mp_constant)
    raise GraphError(f"number={number!r}: the reference evaluator computes in float64, complex128 or mpmath")


_RELATIONS: dict[type, Function] = {
    sympy.StrictLessThan: np.less,
    sympy.LessThan: np.less_equal,
    sympy.StrictGreaterThan: np.greater,
    sympy.GreaterThan: np.greater_equal,
    sympy.Equality: np.equal,
    sympy.Unequality: np.not_equal,
}
_CONNECTIVES: dict[type, np.ufunc] = {
    sympy.And: np.logical_and,
    sympy.Or: np.logical_or,
    sympy.Xor: np.logical_xor,
}


def evaluate_scalar(expr: sympy.Basic, scope: Mapping[sympy.Symbol, Values], numbers: Arithmetic) -> Values:
    """The value of a formula where its symbols are the arrays of `scope`; arrays broadcast as in NumPy."""
    if expr in scope:
        return scope[expr]
    if isinstance(expr, BooleanAtom):
        return np.asarray(bool(expr))
    if expr.is_Integer and abs(int(expr)) < 2**63:
        return np.asarray(int(expr))
    if expr.is_Number or expr.is_NumberSymbol:
        return _array(numbers.constant(expr))
    if isinstance(expr, sympy.Symbol):
        raise GraphError(f"the formula holds the symbol '{expr}', which has no value here")
    if isinstance(expr, sympy.floor | sympy.Mod):
        return _whole_division(expr, scope, numbers)
    if isinstance(expr, sympy.Piecewise):
        return _select(expr, scope, numbers)
    args = [evaluate_scalar(arg, scope, numbers) for arg in expr.args]
    if isinstance(expr, sympy.Add):
        return _fold(np.add, args)
    if isinstance(expr, sympy.Mul):
        return _fold(np.multiply, args)
    if isinstance(expr, sympy.Pow):
        return _power(args[0], expr.exp, args[1], numbers)
    if isinstance(expr, sympy.Max | sympy.Min):
        ordered = [
            value for _, value in sorted(zip(map(_precedence, expr.args), args, strict=True), key=lambda p: p[0])
        ]
        return _fold(lambda a, b: choose(a, b, isinstance(expr, sympy.Max), numbers), ordered)
    if (relation := _RELATIONS.get(type(expr))) is not None:
        return _array(relation(numbers.order(args[0]), numbers.order(args[1]))).astype(bool)
    if (connective := _CONNECTIVES.get(type(expr))) is not None:
        return _fold(connective, args)
    if isinstance(expr, sympy.Not):
        return np.asarray(np.logical_not(args[0]))
    if isinstance(expr, sympy.ITE):
        return np.where(*args)
    if isinstance(expr, threefry):
        return threefry_2x32(*args)
    name = type(expr).__name__
    if name in numbers.functions and len(args) == 1:
        if name in ("Abs", "sign") and args[0].dtype.kind == "i":
            return np.abs(args[0]) if name == "Abs" else np.sign(args[0])
        return _array(numbers.functions[name](numbers.convert(args[0])))
    raise GraphError(f"the reference evaluator does not know the function '{name}' in {expr}")


def _fold(function: Function, args: list[Values]) -> Values:
    total = args[0]
    for arg in args[1:]:
        total = _array(function(total, arg))
    return total


def _power(base: Values, exponent: sympy.Expr, values: Values, numbers: Arithmetic) -> Values:
    if exponent == sympy.S.Half:
        return _sqrt(base, numbers)
    if exponent.is_Integer and exponent.is_positive and base.dtype.kind == "i":
        return np.power(base, values)
    base = numbers.convert(base)
    if exponent == -1:
        return _array(numbers.divide(numbers.convert(1), base))
    return _array(numbers.power(base, values if exponent.is_Integer else numbers.convert(values)))


def _sqrt(base: Values, numbers: Arithmetic) -> Values:
    base = numbers.convert(base)
    if numbers.dtype is object:
        return _array(np.frompyfunc(lambda x: mpmath.sqrt(x) if x >= 0 else mpmath.nan, 1, 1)(base))
    return np.where(np.real(base) >= 0, np.sqrt(base), np.nan)


def _whole_division(expr: sympy.Expr, scope: Mapping[sympy.Symbol, Values], numbers: Arithmetic) -> Values:
    """floor(a/b) and a mod b: exact on whole numbers, by the real part on others."""
    if isinstance(expr, sympy.Mod):
        above, below = expr.args
    else:
        above, below = sympy.fraction(sympy.together(expr.args[0]))
    a, b = evaluate_scalar(above, scope, numbers), evaluate_scalar(below, scope, numbers)
    if a.dtype.kind == b.dtype.kind == "i":
        whole = np.floor_divide(a, b)
    else:
        whole = _array(numbers.functions["floor"](numbers.divide(numbers.convert(a), numbers.convert(b))))
    return a - b * whole if isinstance(expr, sympy.Mod) else whole


def _select(expr: sympy.Piecewise, scope: Mapping[sympy.Symbol, Values], numbers: Arithmetic) -> Values:
    """Each element takes its first branch that holds; what the other branches are there never counts."""
    result: Values = numbers.convert(np.nan)
    for number, (value, condition) in enumerate(reversed(expr.args)):
        values = evaluate_scalar(value, scope, numbers)
        if number == 0 and condition == sympy.true:
            result = values
        else:
            result = np.where(evaluate_scalar(condition, scope, numbers), values, result)
    return result


def _precedence(argument: sympy.Expr) -> int:
    """Of equal arguments a max takes the constant, else the first operand: seen in the imaginary part only."""
    numbers = [int(s.name[1:]) for s in argument.free_symbols if s.name[0] == "t" and s.name[1:].isdigit()]
    return min(numbers, default=-1)


def choose(a: Values, b: Values, larger: bool, numbers: Arithmetic) -> Values:
    """The larger (or smaller) of two by the order of the numbers; `a` where they are equal, NaN where either is."""
    first, second = numbers.order(a), numbers.order(b)
    better = _array(second > first if larger else second < first).astype(bool)
    ordered = _array(second == second).astype(bool)  # noqa: PLR0124 - NaN, and only it, is not itself
    return np.where(better | ~ordered, b, a)
