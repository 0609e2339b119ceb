"""Schedules: a constant of an optimizer as a formula of t, the number of updates already made.

    Adam(lr=cosine_decay(1e-3, steps=1000))
    Momentum(lr=warm_up(step_decay(0.1, 0.5, every=300), steps=50))
    SGD(lr=scheduled(lambda t: 0.1 / (1 + t / 100)))

The first update has t = 0. The formula is compiled into the step; t is a slot of the optimizer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphnn.declare.op import as_number, as_symbolic
from graphnn.errors import GraphError
from graphnn.late import sympy
from graphnn.nn.arguments import NONNEGATIVE, Range, check_count, check_number

_DECAY = Range(0, 1, left_open=True)


def update_count() -> sympy.Symbol:
    """The symbol t."""
    return sympy.Symbol("t", real=True)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A formula of the number t of updates already made; schedule(t) is its value at a number or an expression."""

    name: str
    formula: sympy.Expr

    def __call__(self, t: Any) -> Any:
        """A float at a number; the formula at a sympy expression."""
        from graphnn.declare.entries import as_formula  # where formulas are

        at = as_formula(t)
        value = self.formula.subs(update_count(), at)
        return float(value) if at.is_number else value

    def __repr__(self) -> str:
        return self.name

    def latex(self) -> str:
        """The formula."""
        return str(sympy.latex(sympy.factor_terms(self.formula)))


@dataclass(frozen=True, slots=True)
class Adjustable:
    """A constant of an optimizer that is a state variable: `adjustable`."""

    first: float

    def __repr__(self) -> str:
        return f"adjustable({self.first})"


def adjustable(value: float) -> Adjustable:
    """A constant of an optimizer that can be set between two steps: it is the state variable {rule}.{constant}.

    Adam(lr=adjustable(1e-3)) starts with that rate; `network.state["adam.lr"] = 1e-4` changes it, from a callback of
    `fit`, too. Raises GraphError for what is no finite number.
    """
    return Adjustable(check_number("adjustable: the value", value))


def scheduled(function: Callable[[Any], Any]) -> Schedule:
    """A schedule of your own: a function of the symbol t, which counts the updates already made.

    scheduled(lambda t: 0.1 / (1 + t / 100)). It is called once, on a symbol: write sympy.exp instead of math.exp,
    sympy.Piecewise instead of `if`. Other schedules can be called in it: cosine_decay(1, 100)(t).

    Raises GraphError for what is no function of one argument, a result that is no real formula of t alone, and one
    that is not finite at t = 0.
    """
    if not callable(function):
        raise GraphError(f"scheduled: a schedule is a function of the symbol t, not {function!r:.60}")
    from graphnn.declare.entries import as_formula  # who writes a formula has imported sympy

    formula = as_formula(as_symbolic("scheduled", function, update_count()))
    if not isinstance(formula, sympy.Expr):
        raise GraphError(f"scheduled: a schedule gives a number at each t; {formula} is a condition")
    if stray := sorted(str(s) for s in formula.free_symbols - {update_count()}):
        raise GraphError(f"scheduled: {formula} reads '{stray[0]}'; a schedule reads the t that it is called with")
    return _schedule(f"scheduled({formula})", formula)


def constant(value: float) -> Schedule:
    """The same value at every step, as a number by itself is."""
    return _schedule(f"constant({value!r})", _rate("constant", value))


def step_decay(lr: float, drop: float, every: int) -> Schedule:
    """lr * drop^floor(t / every): falls by the factor `drop`, in (0, 1], after each `every` updates."""
    factor = as_number(check_number("step_decay: drop", drop, _DECAY), "drop")
    count = check_count("step_decay: every", every, 1)
    formula = _rate("step_decay", lr) * factor ** sympy.floor(update_count() / count)
    return _schedule(f"step_decay({lr!r}, {drop!r}, {every!r})", formula)


def exponential_decay(lr: float, rate: float, every: int = 1) -> Schedule:
    """lr * rate^(t / every): falls smoothly, by the factor `rate`, in (0, 1], in each `every` updates."""
    factor = as_number(check_number("exponential_decay: rate", rate, _DECAY), "rate")
    count = check_count("exponential_decay: every", every, 1)
    formula = _rate("exponential_decay", lr) * factor ** (update_count() / count)
    return _schedule(f"exponential_decay({lr!r}, {rate!r}, {every!r})", formula)


def cosine_decay(lr: float, steps: int, alpha: float = 0.0) -> Schedule:
    """lr * (alpha + (1 - alpha) (1 + cos(pi t / steps)) / 2) up to t = steps, and lr * alpha from there on.

    Half a wave, without restarts, of Loshchilov and Hutter 2017 (SGDR); `alpha` in [0, 1] is the part that is left.
    """
    count = check_count("cosine_decay: steps", steps, 1)
    left = as_number(check_number("cosine_decay: alpha", alpha, Range(0, 1)), "alpha")
    wave = (1 + sympy.cos(sympy.pi * sympy.Min(update_count(), count) / count)) / 2
    formula = _rate("cosine_decay", lr) * (left + (1 - left) * wave)
    return _schedule(f"cosine_decay({lr!r}, {steps!r}, {alpha!r})", formula)


def warm_up(schedule: Schedule | float, steps: int) -> Schedule:
    """schedule(t) * min(1, (t + 1) / steps): the first `steps` updates rise to the schedule, which runs from t = 0.

    The linear warm-up of Goyal et al. 2017; the first update has 1/steps of the rate, and not nothing.
    """
    given = as_schedule("warm_up", schedule)
    count = check_count("warm_up: steps", steps, 1)
    return _schedule(f"warm_up({schedule!r}, {steps!r})", given.formula * sympy.Min(1, (update_count() + 1) / count))


def as_schedule(what: str, value: Any) -> Schedule:
    """The Schedule, or a number as one. GraphError for anything else: an unknown schedule."""
    if isinstance(value, Schedule):
        return value
    if callable(value) or isinstance(value, str):
        raise unknown_schedule(what, value)
    return constant(check_number(f"{what}: the schedule", value, NONNEGATIVE))


def unknown_schedule(what: str, value: Any) -> GraphError:
    """The error for what is neither a number nor a schedule."""
    hint = "wrap the function: gn.scheduled(f)" if callable(value) else "make one: gn.cosine_decay(1e-3, steps=1000)"
    return GraphError(f"{what} is a number or a schedule; {value!r:.60} is an unknown schedule: {hint}")


def _rate(what: str, lr: Any) -> sympy.Expr:
    return as_number(check_number(f"{what}: lr", lr, NONNEGATIVE), "lr")


def _schedule(name: str, formula: sympy.Expr) -> Schedule:
    """The Schedule, once its first value is known to be a number."""
    first = formula.subs(update_count(), 0)
    if not (first.evalf().is_Float or first.is_Rational):
        raise GraphError(f"{name} is {first} at t = 0, where the first update is made; a schedule is finite")
    return Schedule(name, formula)
