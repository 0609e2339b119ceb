"""Optimizers are formulas: the new value of a weight and of each slot, in terms of the old ones and the gradient.

    Momentum = optimizer("momentum", state={"v": 0}, attributes={"lr": 0.01, "mu": 0.9},
                         update=lambda w, g, v, lr, mu: {"v": mu*v - lr*g, "w": w + mu*v - lr*g})
    Trainer(loss, Momentum(0.1))

optimizer() makes a Rule, whose constants are open; calling it gives an Optimizer, with values in their place.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphnn.declare.network import Tensor
from graphnn.declare.op import as_symbolic
from graphnn.errors import GraphError
from graphnn.late import sympy
from graphnn.nn.arguments import POSITIVE, REALS, Domain, Range, check_number
from graphnn.nn.optimizers.schedules import Adjustable, Schedule, unknown_schedule
from graphnn.nn.optimizers.updates import Formulas, Value, bind, declare_updates, symbol

_CLIPPING = ("clip_value", "clip_norm")


@dataclass(frozen=True, slots=True)
class Rule:
    """An update rule with its attributes open; calling it gives an Optimizer.

    name          prefix of the slots' names
    state         first value of each slot
    attributes    default of each constant, in the order of positional arguments
    scalars       slots that are one number, shared by all parameters, and updated once per step
    formulas      the new "w" and the new value of each slot, in real symbols w, g, the slots and the attributes
    domains       the set in which an attribute lies, where it is not any number
    weights_only  attributes that are 0 for biases
    """

    name: str
    state: Mapping[str, float]
    attributes: Mapping[str, float]
    scalars: tuple[str, ...]
    formulas: Mapping[str, sympy.Expr]
    domains: Mapping[str, Domain] = field(default_factory=dict)
    weights_only: tuple[str, ...] = ()

    def __call__(
        self, *values: Value, clip_value: float | None = None, clip_norm: float | None = None, **named: Value
    ) -> Optimizer:
        """An Optimizer with these attributes: numbers, schedules or `adjustable` ones.

        clip_value  gradients are clipped to [-clip_value, clip_value] before the rule reads them
        clip_norm   gradients of all parameters together are shortened to this norm; after clip_value, where both are

        Raises GraphError for an unknown attribute, one that is no finite number in its domain (a schedule: at t = 0),
        and for an unknown schedule.
        """
        if len(values) > len(self.attributes):
            raise GraphError(f"{self.name} has the attributes {', '.join(self.attributes)}; {len(values)} are given")
        given = dict(zip(self.attributes, values, strict=False))
        for key in named:
            if key not in self.attributes:
                raise GraphError(f"{self.name} has no attribute '{key}'; it has {', '.join(self.attributes)}")
            if key in given:
                raise GraphError(f"{self.name}: attribute '{key}' is given twice")
        attributes = {k: self._check(k, v) for k, v in {**self.attributes, **given, **named}.items()}
        limits = (
            None if limit is None else check_number(f"{self.name}: {key}", limit, POSITIVE)
            for key, limit in zip(_CLIPPING, (clip_value, clip_norm), strict=True)
        )
        return Optimizer(self, attributes, *limits)

    def _check(self, key: str, value: Value) -> Value:
        what, domain = f"{self.name}: attribute '{key}'", self.domains.get(key, REALS)
        if isinstance(value, Schedule):
            check_number(f"{what} at t = 0", value(0), domain)
        elif isinstance(value, Adjustable):
            check_number(what, value.first, domain)
        elif isinstance(value, str) or callable(value):
            raise unknown_schedule(what, value)
        else:
            return check_number(what, value, domain)
        return value


@dataclass(frozen=True, slots=True)
class Optimizer:
    """An update rule with the values of its attributes."""

    rule: Rule
    attributes: Mapping[str, Value]
    clip_value: float | None = None
    clip_norm: float | None = None

    def __repr__(self) -> str:
        clipping = {k: v for k in _CLIPPING if (v := getattr(self, k)) is not None}
        return f"{self.rule.name}({', '.join(f'{k}={v}' for k, v in {**self.attributes, **clipping}.items())})"

    @property
    def formulas(self) -> Formulas:
        """The new value of each slot and of "w" for a weight; numbers stay symbols, schedules are put in."""
        return dict(bind(self.rule, self.attributes).formulas)

    def latex(self) -> str:
        """Clipping, schedules and the rule as aligned equations in their order; a prime marks a new value."""
        from graphnn.nn.optimizers.equations import optimizer_latex  # for people

        return optimizer_latex(self)

    def updates(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> dict[str, Tensor]:
        """Declare the slots, and the new value of every parameter and slot, by the variable's name.

        Slots are the state variables {parameter}.{rule}.{slot}, and {rule}.{slot} for scalars, typed as the
        parameters. Slots that the network has already go on from where they are. Raises DTypeError where the
        parameters have several dtypes, ShapeError where a gradient has another shape than its parameter, GraphError
        for no parameters, and where a slot's name is taken. An error leaves the network as it was.
        """
        return declare_updates(self, parameters, gradients)


def optimizer(
    name: str,
    update: Callable[..., Mapping[str, Any]],
    state: Mapping[str, float] | None = None,
    attributes: Mapping[str, float] | None = None,
    scalars: Sequence[str] = (),
    domains: Mapping[str, Domain] | None = None,
    weights_only: Sequence[str] = (),
) -> Rule:
    """Define an optimizer by one function of sympy symbols, whose parameters are taken by their names:

    w and g (a weight, its gradient), the slots of `state` (with their first values) and `attributes` (constants with
    defaults). It gives a formula for the new "w" and the new value of each slot, in terms of the old values. Slots in
    `scalars` are one number for all parameters (a step count); their formulas read scalars and attributes only, and
    one without a formula keeps the value that `network.state` gives it. `domains` has the sets in which attributes
    lie, such as sympy.Interval.Ropen(0, 1); other values are refused. Attributes in `weights_only` are 0 for biases.

    Raises GraphError for a parameter of `update` that is nothing of these, a name used twice, a missing formula or
    one with a symbol of its own, a default outside of its domain, and the domain of no attribute.
    """
    for what, table in (("state", state), ("attributes", attributes), ("domains", domains)):
        if table is not None and not isinstance(table, Mapping):
            raise GraphError(f"{name}: {what} is a dict by name, such as {{'v': 0}}, not {table!r:.40}")
    state, attributes, domains = dict(state or {}), dict(attributes or {}), dict(domains or {})
    names = ["w", "g", *state, *attributes]
    if not isinstance(name, str) or not name:
        raise GraphError(f"an optimizer's name is a nonempty str, not {name!r:.40}")
    if not callable(update):
        raise GraphError(f"{name}: update is a function of w, g, the slots and the attributes, not {update!r:.40}")
    if twice := [n for n in names if names.count(n) > 1]:
        raise GraphError(f"{name}: '{twice[0]}' is used twice among w, g, the slots and the attributes")
    if taken := [n for n in names if n in _CLIPPING]:
        raise GraphError(f"{name}: '{taken[0]}' is a keyword of every optimizer; choose another name")
    if unknown := [s for s in scalars if s not in state]:
        raise GraphError(f"{name}: the scalar '{unknown[0]}' is not in state, which has {[*state]}")
    if unknown := [a for a in (*domains, *weights_only) if a not in attributes]:
        raise GraphError(f"{name}: '{unknown[0]}' is not in attributes, which has {[*attributes]}")
    for key, domain in domains.items():
        if not isinstance(domain, Range | sympy.Set):
            raise GraphError(f"{name}: the domain of '{key}' is a set such as sympy.Interval(0, 1), not {domain!r:.40}")
    for key, first in state.items():
        check_number(f"{name}: the first value of '{key}'", first)
    rule = Rule(name, state, attributes, tuple(scalars), _formulas(name, update, state, attributes, scalars), domains,
                tuple(weights_only))  # fmt: skip
    rule()  # the defaults are in their domains
    return rule


def _formulas(
    name: str,
    update: Callable[..., Any],
    state: Mapping[str, float],
    attributes: Mapping[str, float],
    scalars: Sequence[str],
) -> Formulas:
    """What `update` gives, checked."""
    names = ["w", "g", *state, *attributes]
    asked = [*inspect.signature(update).parameters]
    if unknown := [p for p in asked if p not in names]:
        raise GraphError(
            f"{name}: update asks for '{unknown[0]}'; there are {', '.join(names)}. A slot is declared with its first "
            f"value, state={{'{unknown[0]}': 0}}, a constant with its default, attributes={{'{unknown[0]}': 0.9}}"
        )
    given = as_symbolic(name, update, **{p: symbol(p) for p in asked})
    if not isinstance(given, Mapping):
        raise GraphError(f"{name}: update gives a dict of formulas, not {type(given).__name__}")
    targets = [*state, "w"]
    if unknown := [k for k in given if k not in targets]:
        raise GraphError(f"{name}: update gives a new '{unknown[0]}'; there are {', '.join(targets)}")
    if missing := [k for k in targets if k not in given and k not in scalars]:
        raise GraphError(f"{name}: update gives no new '{missing[0]}'")
    from graphnn.declare.entries import as_formula  # where formulas are

    formulas = {k: as_formula(given[k]) for k in targets if k in given}
    for key, formula in formulas.items():
        known = {*scalars, *attributes} if key in scalars else names
        if stray := sorted(s.name for s in formula.free_symbols - {symbol(n) for n in known}):
            raise GraphError(f"{name}: the new '{key}' = {formula} reads '{stray[0]}'; it may read {', '.join(known)}")
    return formulas
