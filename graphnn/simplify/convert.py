"""sympy -> our own expression nodes: one tree of scalar functions, each node with its origin.

Integer powers become products, quotients one division, and factors made of numbers and sizes alone are gathered in
front, so that they are computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce

import sympy
from sympy.logic.boolalg import Boolean

from graphnn.declare.affine import quotient
from graphnn.declare.definition import FLOATS, Extent
from graphnn.declare.entries import Entry, IntegerEntry
from graphnn.declare.notation import axis_symbol
from graphnn.declare.parts import find_parts
from graphnn.declare.scalars import expm1, log1p, threefry
from graphnn.errors import CompileError
from graphnn.simplify.expr import Axis, Const, DType, Expr, Load, Op, Origin, Range, Reduce, Size
from graphnn.simplify.formula import Formula
from graphnn.simplify.heads import HEADS, Erfc, Sigmoid
from graphnn.simplify.inside import is_inside
from graphnn.simplify.region import Assignment

_FUNCTIONS: dict[type, str] = {
    sympy.exp: "exp",
    sympy.log: "log",
    sympy.tanh: "tanh",
    sympy.sin: "sin",
    sympy.cos: "cos",
    sympy.erf: "erf",
    sympy.erfc: "erfc",
    Erfc: "erfc",
    sympy.Abs: "abs",
    sympy.sign: "sign",
    log1p: "log1p",
    expm1: "expm1",
    Sigmoid: "sigmoid",
}
LARGEST = 2**24  # whole number that is multiplied with sizes as an integer: products of larger ones leave int64
_COMPARISONS: dict[type, tuple[str, bool]] = {  # name, whether the sides change places
    sympy.Lt: ("lt", False),
    sympy.Le: ("le", False),
    sympy.Gt: ("lt", True),
    sympy.Ge: ("le", True),
    sympy.Eq: ("eq", False),
    sympy.Ne: ("ne", False),
}


@dataclass(frozen=True, slots=True)
class Arrays:
    """What is known of the arrays of a program: dtypes, shapes, which of integers are checked before use.

    `ages` count them in the order in which they are known: leaves, then what formulas make.
    """

    dtypes: Mapping[str, DType]
    shapes: Mapping[str, tuple[sympy.Expr, ...]]
    checked: frozenset[str]
    ages: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Converter:
    """Converts one assignment, whose dtype is `dtype` and whose axes have the extents `sizes`.

    `conditions` hold where the expression is evaluated: the guard of a reduction, the condition of a branch.
    """

    arrays: Arrays
    dtype: DType
    origin: Origin
    sizes: Mapping[sympy.Symbol, sympy.Expr]
    conditions: tuple[Boolean, ...] = ()

    def formula(self, assignment: Assignment) -> Formula:
        body = self._where(assignment.guard).typed(assignment.body)
        if assignment.reducer is not None:
            guard = None if assignment.guard == sympy.true else self.condition(assignment.guard)
            body = Reduce(assignment.reducer, self._ranges(assignment.reduced), guard, body, self.origin)
        return Formula(assignment.name, self._ranges(assignment.axes), body, self.origin)

    def _ranges(self, extents: tuple[Extent, ...]) -> tuple[Range, ...]:
        return tuple(Range(e.axis.name, Const(0, "int64"), self.index(e.size)) for e in extents)

    def typed(self, expr: sympy.Basic) -> Expr:
        if self.dtype == "bool":
            return self.condition(expr)
        return self.index(expr) if self.dtype == "int64" else self.value(expr)

    def _op(self, fn: str, *args: Expr, dtype: DType | None = None) -> Expr:
        return Op(fn, args, dtype or self.dtype, self.origin)

    def _const(self, value: float) -> Expr:
        return Const(float(value), self.dtype, self.origin)

    def _where(self, condition: Boolean) -> Converter:
        """The converter of what is evaluated only where a condition holds."""
        return self if condition == sympy.true else replace(self, conditions=(*self.conditions, condition))

    def _load(self, entry: Entry) -> Expr:
        """A load; where it is not proved to stay inside of its array, one that gives NaN (or 0) outside."""
        dtype, shape = self.arrays.dtypes[entry.operand], self.arrays.shapes[entry.operand]
        load = Load(entry.operand, tuple(map(self.index, self._spelled(entry, shape))), dtype, Origin(entry.operand))
        unproved = [
            (index, extent)
            for index, extent in zip(entry.index, shape, strict=True)
            if not self._is_checked(index) and not is_inside(index, extent, self.sizes, self.conditions)
        ]
        if not unproved:
            return load
        inside = sympy.And(*(c for index, extent in unproved for c in (sympy.Ge(index, 0), sympy.Lt(index, extent))))
        outside = Const(float("nan"), dtype) if dtype in FLOATS else Const(False if dtype == "bool" else 0, dtype)
        return Op("select", (self.condition(inside), load, outside), dtype, self.origin)

    def _spelled(self, entry: Entry, shape: tuple[sympy.Expr, ...]) -> list[sympy.Expr]:
        """The index; 0 along a dimension of one element is spelled as the axis along it, as fusion expects."""
        own = [axis_symbol(f"i{n}") for n in range(len(shape))]
        places = zip(entry.index, shape, own, strict=True)
        return [axis if i == 0 and size == self.sizes.get(axis) == 1 else i for i, size, axis in places]

    def _is_checked(self, index: sympy.Expr) -> bool:
        """Whether an index is an element of an input whose values the call checks."""
        return isinstance(index, IntegerEntry) and index.operand in self.arrays.checked

    # floating point -------------------------------------------------------------------------------------------

    def value(self, expr: sympy.Expr) -> Expr:
        if isinstance(expr, Entry):
            load = self._load(expr)
            return load if load.dtype == self.dtype else self._op("cast", load)
        if expr.is_Number or expr.is_NumberSymbol or expr is sympy.zoo:
            return self._const(_as_float(expr))
        if expr.is_Symbol or expr.func in (sympy.floor, sympy.Mod, threefry):
            return self._op("cast", self.index(expr))
        if expr.is_Add:
            return self._sum(expr)
        if expr.is_Mul:
            return self._product(expr)
        if expr.is_Pow:
            return self._power(expr.base, expr.exp)
        if expr.func in (sympy.Max, sympy.Min):
            fn = "max" if expr.func is sympy.Max else "min"
            first, *others = map(self.value, sorted(expr.args, key=sympy.default_sort_key))
            for other in others:
                first = self._op(fn, first, other)
            return first
        if isinstance(expr, sympy.Piecewise):
            return self._select(expr, Converter.value, self._const(float("nan")))
        if isinstance(expr, Boolean):
            return self._op("cast", self.condition(expr))
        if expr.func not in _FUNCTIONS:
            raise CompileError(f"{self.origin.node}: no native form for '{expr.func.__name__}' in {expr}")
        if not expr.has(Entry, *(s for s in expr.free_symbols)):
            return self._const(_as_float(expr))
        return self._op(_FUNCTIONS[expr.func], *map(self.value, expr.args))

    def _sum(self, expr: sympy.Expr) -> Expr:
        """Accesses first, functions last: (max - z) + log(sum) subtracts numbers of one size before it rounds."""

        def place(term: sympy.Expr) -> tuple[bool, bool, bool, object]:
            functions = term.has(sympy.exp, sympy.log, log1p)
            return functions, term.could_extract_minus_sign(), bool(term.is_number), sympy.default_sort_key(term)

        content, primitive = expr.primitive()
        if content != 1 and all(abs(t.as_coeff_Mul()[0]) == 1 for t in primitive.args):
            # sympy spreads c*(a - t) to c*a - c*t, which loses what a - t keeps.
            return self._op("mul", self._const(_as_float(content)), self._sum(primitive))
        terms = sorted(expr.args, key=place)
        first = next((t for t in terms if not t.could_extract_minus_sign()), terms[0])
        total = self.value(first)
        for term in terms:
            if term is first:
                continue
            if term.could_extract_minus_sign():
                total = self._op("sub", total, self.value(-term))
            else:
                total = self._op("add", total, self.value(term))
        return total

    def _product(self, expr: sympy.Expr) -> Expr:
        """Factors in the order in which they are known, where there are three and more: fewer wait for the last one.

        rate*x[i]*g[j], g computed after x  ->  (rate*x[i])*g[j], whose first product a loop over j computes once
        """
        scale, rest = expr.as_independent(Entry, sympy.exp, sympy.log, sympy.Piecewise, as_Add=False)
        if any(s.name[0] in "ir" and s.name[1:].isdigit() for s in scale.free_symbols):
            scale, rest = expr.as_coeff_Mul()
        below = [f for f in sympy.Mul.make_args(rest) if f.is_Pow and f.exp.is_Integer and f.exp.is_negative]
        above = sympy.Mul.make_args(rest / sympy.Mul(*below))
        ordered = sorted((f for f in above if f != 1), key=sympy.default_sort_key)
        if len(ordered) + (abs(scale) != 1) > 2:
            ordered.sort(key=self._age)
        factors = [self.value(f) for f in ordered]
        negative = scale == -1
        if scale not in (1, -1):
            factors.insert(0, self._scale(scale))
        product = factors[0] if factors else self._const(1.0)
        for factor in factors[1:]:
            product = self._op("mul", product, factor)
        if below:
            divisor = self.value(sympy.Mul(*(1 / f for f in below)))
            product = self._op("div", product, divisor)
        return self._op("neg", product) if negative else product

    def _age(self, factor: sympy.Expr) -> int:
        return max((self.arrays.ages[e.operand] for e in find_parts(factor, Entry)), default=-1)

    def _scale(self, scale: sympy.Expr) -> Expr:
        """A factor of numbers and sizes: (c*N)/M as one quotient, or a large number times that of the sizes."""
        if not scale.free_symbols:
            return self._const(_as_float(scale))
        number, sizes = scale.as_coeff_Mul()
        if number.is_Rational and max(abs(number.p), number.q) > LARGEST:
            return self._op("mul", self._const(_as_float(number)), self._scale(sizes))
        above, below = map(self._sizes, sympy.fraction(scale))
        return above if below == self._const(1.0) else self._op("div", above, below)

    def _sizes(self, product: sympy.Expr) -> Expr:
        """A product of numbers and sizes; its whole part is one integer."""
        if not product.free_symbols:
            return self._const(_as_float(product))
        number, sizes = product.as_coeff_Mul()  # a whole number stays with the sizes
        factors = [f for f in sympy.Mul.make_args(sizes) if f.free_symbols and not f.is_integer]
        number = sympy.Mul(number, *(f for f in sympy.Mul.make_args(sizes) if not f.free_symbols))
        whole = sympy.Mul(*(f for f in sympy.Mul.make_args(sizes) if f.is_integer and f.free_symbols))
        if number.is_Integer and whole != 1:
            number, whole = sympy.S.One, number * whole
        parts = [self.value(f) for f in factors]
        if whole != 1:
            parts.insert(0, self._op("cast", self.index(whole)))
        if number != 1:
            parts.insert(0, self._const(_as_float(number)))
        return reduce(lambda a, b: self._op("mul", a, b), parts)

    def _power(self, base: sympy.Expr, exponent: sympy.Expr) -> Expr:
        if exponent.is_Integer and abs(int(exponent)) <= 64:
            count, square, result = abs(int(exponent)), self.value(base), None
            while count:
                if count & 1:
                    result = square if result is None else self._op("mul", result, square)
                count >>= 1
                square = self._op("mul", square, square) if count else square
            assert result is not None
            return result if exponent > 0 else self._op("div", self._const(1.0), result)
        if exponent == sympy.Rational(1, 2):
            return self._op("sqrt", self.value(base))
        if exponent == sympy.Rational(-1, 2):
            return self._op("div", self._const(1.0), self._op("sqrt", self.value(base)))
        return self._op("pow", self.value(base), self.value(exponent))

    def _select(
        self, expr: sympy.Piecewise, convert: Callable[[Converter, sympy.Basic], Expr], otherwise: Expr
    ) -> Expr:
        for value, condition in reversed(expr.args):
            taken = convert(self._where(condition), value)
            if condition == sympy.true:
                otherwise = taken
            else:
                otherwise = Op("select", (self.condition(condition), taken, otherwise), taken.dtype, self.origin)
        return otherwise

    # conditions and integers ----------------------------------------------------------------------------------

    def condition(self, expr: sympy.Basic) -> Expr:
        if expr in (sympy.true, sympy.false):
            return Const(expr == sympy.true, "bool", self.origin)
        if isinstance(expr, sympy.And | sympy.Or):
            fn = "and" if isinstance(expr, sympy.And) else "or"
            first, *others = map(self.condition, sorted(expr.args, key=sympy.default_sort_key))
            for other in others:
                first = Op(fn, (first, other), "bool", self.origin)
            return first
        if isinstance(expr, sympy.Not):
            return Op("not", (self.condition(expr.args[0]),), "bool", self.origin)
        if isinstance(expr, Entry) and self.arrays.dtypes[expr.operand] == "bool":
            return self._load(expr)
        if expr.func in _COMPARISONS:
            return self._comparison(expr)
        if isinstance(expr, sympy.ITE):
            return Op("select", tuple(map(self.condition, expr.args)), "bool", self.origin)
        if isinstance(expr, sympy.Piecewise):
            return self._select(expr, Converter.condition, Const(False, "bool", self.origin))
        raise CompileError(f"{self.origin.node}: '{expr}' is not a condition")

    def _comparison(self, expr: sympy.Basic) -> Expr:
        fn, swapped = _COMPARISONS[expr.func]
        left, right = expr.args[::-1] if swapped else expr.args
        if isinstance(left, Entry) and self.arrays.dtypes[left.operand] == "bool" and right in (0, 1):
            load = self._load(left)
            return load if (fn == "ne") == (right == 0) else Op("not", (load,), "bool", self.origin)
        if left.is_integer and right.is_integer:
            return Op(fn, (self.index(left), self.index(right)), "bool", self.origin)
        floats = sorted(
            {self.arrays.dtypes[e.operand] for side in (left, right) for e in find_parts(side, Entry)} & set(FLOATS)
        )
        inner = replace(self, dtype=floats[0] if floats else "float64")
        return Op(fn, (inner.value(left), inner.value(right)), "bool", self.origin)

    def index(self, expr: sympy.Expr) -> Expr:
        if isinstance(expr, Entry):
            load = self._load(expr)
            return load if load.dtype == "int64" else Op("cast", (load,), "int64", self.origin)
        if expr.is_Integer:
            return Const(int(expr), "int64", self.origin)
        if expr.is_Symbol:
            name = expr.name
            return Axis(name, self.origin) if name[0] in "ir" and name[1:].isdigit() else Size(name, self.origin)
        if expr.is_Add or expr.is_Mul or expr.func in (sympy.Max, sympy.Min):
            names = {sympy.Add: "add", sympy.Mul: "mul", sympy.Max: "max", sympy.Min: "min"}
            first, *others = map(self.index, sorted(expr.args, key=sympy.default_sort_key))
            for other in others:
                first = Op(names[expr.func], (first, other), "int64", self.origin)
            return first
        if isinstance(expr, sympy.Mod):
            return Op("mod", (self.index(expr.args[0]), self.index(expr.args[1])), "int64", self.origin)
        divided = quotient(expr)
        if divided is not None:
            return Op("floordiv", (self.index(divided[0]), self.index(divided[1])), "int64", self.origin)
        if expr.is_Pow and expr.exp.is_Integer and expr.exp > 0:
            return self.index(sympy.Mul(*[expr.base] * int(expr.exp), evaluate=False))
        if isinstance(expr, sympy.Piecewise):
            return self._select(expr, Converter.index, Const(0, "int64", self.origin))
        if isinstance(expr, threefry):
            return Op("threefry", (self.index(expr.args[0]), self.index(expr.args[1])), "int64", self.origin)
        if isinstance(expr, sympy.Abs):
            return Op("abs", (self.index(expr.args[0]),), "int64", self.origin)
        raise CompileError(f"{self.origin.node}: '{expr}' is not an integer expression")


def _as_float(expr: sympy.Expr) -> float:
    """The nearest double: rationals by exact division, constants such as pi and log1p(2) from 30 digits."""
    if expr.is_Rational:
        return float(Fraction(int(expr.p), int(expr.q)))
    if expr.has(sympy.zoo):  # sympy has 1/select(c, a, 0) as select(c, 1/a, zoo)
        return float("inf")
    for head, definition in HEADS.items():
        expr = expr.replace(head, definition)
    return float(sympy.N(expr, 30))
