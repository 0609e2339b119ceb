"""Ops: index notation with formal operands, bound to tensors when it is called.

    matmul = op("matmul", out=(i, j), body=Sum(A[i, k] * B[k, j], k))
    swish = elementwise("swish", lambda t: t / (1 + sympy.exp(-t)))

An op may be written for any rank with a leading `...`, which stands for broadcast dimensions.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from numbers import Number
from typing import TYPE_CHECKING, Any

from graphnn.declare.definition import OperandType, Recipe
from graphnn.declare.extents import Dims
from graphnn.declare.formula import Formula, written
from graphnn.declare.notation import Operand
from graphnn.declare.outlines import OUTLINES
from graphnn.declare.sizes import as_exprs
from graphnn.errors import GraphError
from graphnn.late import sympy

if TYPE_CHECKING:
    from graphnn.declare.definition import Step
    from graphnn.declare.network import Tensor
    from graphnn.declare.outline import LateStep


def as_number(value: Any, what: str) -> sympy.Expr:
    """An exact sympy number: 0.1 becomes 1/10, which rounds back to the same double."""
    if isinstance(value, sympy.Expr):
        return value
    if isinstance(value, bool | int) or (isinstance(value, Number) and hasattr(value, "__index__")):
        return sympy.Integer(int(value))
    number = float(value)
    if not math.isfinite(number):
        raise GraphError(f"{what} is {value}; a formula's constants are finite")
    return sympy.Rational(repr(number))


def is_finite(number: Any) -> bool:
    """Whether a real number is finite as a double, too."""
    try:
        return math.isfinite(number)
    except OverflowError:  # an int or a Fraction that is larger than any
        return False


def as_symbolic(name: str, function: Callable[..., Any], /, *symbols: Any, **named: Any) -> Any:
    """function(symbols); GraphError where it wants numbers, as functions of NumPy and math and `if` do."""
    try:
        return function(*symbols, **named)
    except TypeError as error:
        raise GraphError(
            f"{name}: the formula is called once, on symbols: write sympy.exp, sympy.Max, sympy.Piecewise instead of "
            f"np.exp, max and if ({error})"
        ) from error


class Op:
    """A formula with formal operands. Calling it on Tensors adds its nodes to their network.

    `formula` is one, or a function of this package and its arguments that give one when it is first needed; they tell
    the op from others, so that what is known of its calls (`outlines.py`) needs no formula. `operands` names the
    operands in their order, `attributes` the constants with their defaults, which stand in the formula as symbols.
    """

    def __init__(
        self,
        name: str,
        formula: Formula | partial[Formula],
        operands: Sequence[str],
        attributes: Mapping[str, Any] | None = None,
        dtype: str | None = None,
        shown: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self.operands, self.dtype = name, tuple(operands), dtype
        self.attributes = {str(key): value for key, value in (attributes or {}).items()}
        self.shown = dict(shown or {})
        self._formula = formula

    def __repr__(self) -> str:
        return f"<op {self.name}({', '.join(self.operands)})>"

    @cached_property
    def formula(self) -> Formula:
        """The formula, with entries of formal operands."""
        return self._formula if isinstance(self._formula, Formula) else self._formula()

    @property
    def out(self) -> tuple[sympy.Symbol, ...]:
        return self.formula.out

    @property
    def body(self) -> Any:
        return self.formula.body

    @cached_property
    def _told(self) -> str:
        """What tells the op from every other."""
        if isinstance(self._formula, Formula):
            from graphnn.declare.recipe import told  # where formulas are

            about = told(self._formula)
        else:
            about = repr([_place(a) if inspect.isfunction(a) else a for a in (self._formula.func, *self._formula.args)])
        return repr((self.name, self.operands, self.dtype, about))

    def __call__(self, *tensors: Any, name: str | None = None, **keywords: Any) -> Tensor:
        """Apply to Tensors, in the order of the operands or by keyword; numbers become constants of the formula."""
        given: dict[str, Any] = dict(zip(self.operands, tensors, strict=False))
        if len(tensors) > len(self.operands):
            raise GraphError(f"{self.name} takes {len(self.operands)} operands {self.operands}, got {len(tensors)}")
        for key in [k for k in keywords if k in self.operands]:
            if key in given:
                raise GraphError(f"{self.name}: operand '{key}' is given twice")
            given[key] = keywords.pop(key)
        if missing := [o for o in self.operands if o not in given]:
            raise GraphError(f"{self.name}: operand '{missing[0]}' is missing; its operands are {self.operands}")
        if surplus := [k for k in keywords if k not in self.attributes]:
            raise GraphError(f"{self.name} has no operand or attribute '{surplus[0]}'; it has {[*self.attributes]}")
        constants = {o: v for o, v in given.items() if isinstance(v, Number)}
        bound = [given[o] for o in self.operands if o not in constants]
        networks = {id(t.network): t.network for t in bound if hasattr(t, "network")}
        if len(networks) != 1 or len([t for t in bound if hasattr(t, "network")]) != len(bound):
            kinds = ", ".join(f"{o}: {type(given[o]).__name__}" for o in self.operands)
            several = f" of {len(networks)} networks" if len(networks) > 1 else ""
            raise GraphError(f"{self.name} needs Tensors of one network as operands, got {kinds}{several}")
        attributes = {**self.attributes, **keywords}
        # A float constant makes the result a float, as in NumPy, though the formula holds 2 for 2.0.
        fractional = any(not hasattr(given[o], "__index__") for o in constants)
        steps = self._steps([(t.shape, t.dtype) for t in bound], attributes, constants, "float" if fractional else None)
        network = bound[0].network
        shown = {**self.shown, **keywords, **{k: given[k] for k in constants}}
        tensor: Tensor = network.add_recipe(steps, bound, label=self.name, name=name, attributes=shown)
        return tensor

    def _steps(
        self,
        types: Sequence[tuple[Dims, str]],
        attributes: Mapping[str, Any],
        constants: Mapping[str, Any],
        dtype: str | None,
    ) -> Sequence[Step | LateStep]:
        """The recipe, with definitions that are made late where a call like this one is known."""

        def make() -> Recipe:
            numbers = {o: as_number(value, f"{self.name}: {o}") for o, value in constants.items()}
            return self.recipe([OperandType(as_exprs(s), d) for s, d in types], attributes, numbers, dtype)

        values = [[(k, _number_text(v, f"{self.name}: {k}")) for k, v in g.items()] for g in (attributes, constants)]
        key = hashlib.sha256(repr((self._told, types, values, dtype)).encode()).hexdigest()
        steps = OUTLINES.find(key, make)
        if steps is None:
            steps = make()
            OUTLINES.learn(key, steps)
        return steps

    def recipe(
        self,
        types: Sequence[OperandType],
        attributes: Mapping[str, Any] | None = None,
        constants: Mapping[str, sympy.Expr] | None = None,
        dtype: str | None = None,
    ) -> Recipe:
        """The definitions for operands of these types (those not in `constants`), in order; the last is the result.

        `dtype` is the result's where the op fixes none; a condition stays bool.
        """
        constants = constants or {}
        values = {**self.attributes, **(attributes or {})}
        fixed = {k: as_number(v, f"{self.name}: {k}") for k, v in values.items()}
        operands = dict(zip((o for o in self.operands if o not in constants), types, strict=True))
        from graphnn.declare.recipe import bind_formula  # a call that is known binds none

        return bind_formula(self.name, self.formula, operands, fixed, constants, self.dtype, dtype)


def op(
    name: str,
    out: Sequence[Any],
    body: Any,
    extents: Mapping[Any, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    integer: Iterable[str] = (),
    dtype: str | None = None,
) -> Op:
    """Define an op by one formula.

    Parameters: `out` the output axes (a leading `...` for broadcast dimensions), `body` a formula of accesses,
    `extents` sizes of axes that no operand gives, `attributes` constants with defaults, used in the body as
    sympy.Symbol(name), `integer` operands that are used as indices, `dtype` the result's where it does not
    follow from the formula ("float": the operands' float dtype, float32 where there is none).
    """
    from graphnn.declare.entries import ELLIPSIS  # who writes a formula has imported sympy
    from graphnn.declare.recipe import operands_of

    formula = written(out, body, extents)
    if ELLIPSIS in formula.out[1:]:
        raise GraphError(f"{name}: `...` stands in front of the output axes {formula.out}")
    return Op(name, formula, operands_of(formula), attributes, dtype)


def elementwise(name: str, function: Callable[..., Any], dtype: str | None = None) -> Op:
    """Define a pointwise op: each parameter is an operand, a parameter with a default is an attribute.

    Raises GraphError for a function that cannot be called on symbols.
    """
    return Op(name, _pointwise(name, function), *_signature(function), dtype)


def library_elementwise(name: str, function: Callable[..., Any], dtype: str | None = None) -> Op:
    """`elementwise` for a function of this package, which is called when the formula is first needed."""
    return Op(name, partial(_pointwise, name, function), *_signature(function), dtype)


def _pointwise(name: str, function: Callable[..., Any]) -> Formula:
    operands, attributes = _signature(function)
    symbols = {a: sympy.Symbol(a, real=True) for a in attributes}
    return written((...,), as_symbolic(name, function, *(Operand(o)[...] for o in operands), **symbols))


def _signature(function: Callable[..., Any]) -> tuple[list[str], dict[str, Any]]:
    """(operands, attributes with their defaults)."""
    parameters = inspect.signature(function).parameters.values()
    free = [p.name for p in parameters if p.default is inspect.Parameter.empty]
    return free, {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def _place(function: Callable[..., Any]) -> str:
    """What tells a function of this package from every other; two lambdas have one name."""
    return f"{function.__module__}.{function.__qualname__}:{function.__code__.co_firstlineno}"


def _number_text(value: Any, what: str) -> str:
    """What tells a number from every other, whatever a subclass prints."""
    if isinstance(value, int):
        return hex(int(value))  # repr() refuses those of more than 4300 digits
    if isinstance(value, float):
        return repr(float(value))
    from graphnn.declare.recipe import written_text  # numbers of sympy and NumPy

    return written_text(as_number(value, what))
