"""Optimizers are formulas: the new value of a weight and of each slot, in terms of the old ones and the gradient.

    Momentum = optimizer("momentum", state={"v": 0}, attributes={"lr": 0.01, "mu": 0.9},
                         update=lambda w, g, v, lr, mu: {"v": mu*v - lr*g, "w": w + mu*v - lr*g})
    Trainer(loss, Momentum(0.1))

Each formula becomes an elementwise definition per parameter, in the same network as the gradients it reads.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy

from graphnn.declare.network import Network, Tensor
from graphnn.declare.notation import ELLIPSIS, Operand, as_formula
from graphnn.declare.op import Op, as_number, as_symbolic
from graphnn.errors import DTypeError, GraphError
from graphnn.nn.optimizers.once import split_once

Formulas = dict[str, sympy.Expr]
_LETTERS = {"lr": r"\eta", "rho": r"\rho", "eps": r"\epsilon"}


def _symbol(name: str) -> sympy.Symbol:
    return sympy.Symbol(name, real=True)


@dataclass(frozen=True, slots=True)
class Rule:
    """An update rule with its attributes open; calling it gives an Optimizer.

    name        prefix of the slots' names
    state       first value of each slot
    attributes  default of each constant, in the order of positional arguments
    scalars     slots that are one number, shared by all parameters, and updated once per step
    formulas    the new "w" and the new value of each slot, in real symbols w, g, the slots and the attributes
    """

    name: str
    state: Mapping[str, float]
    attributes: Mapping[str, float]
    scalars: tuple[str, ...]
    formulas: Mapping[str, sympy.Expr]

    def __call__(self, *values: float, **named: float) -> Optimizer:
        """An Optimizer with these attributes; GraphError for an unknown one, or one that is no finite number."""
        if len(values) > len(self.attributes):
            raise GraphError(f"{self.name} has the attributes {', '.join(self.attributes)}; {len(values)} are given")
        given = dict(zip(self.attributes, values, strict=False))
        for key in named:
            if key not in self.attributes:
                raise GraphError(f"{self.name} has no attribute '{key}'; it has {', '.join(self.attributes)}")
            if key in given:
                raise GraphError(f"{self.name}: attribute '{key}' is given twice")
        attributes = {**self.attributes, **given, **named}
        for key, value in attributes.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise GraphError(f"{self.name}: attribute '{key}' is a number, not {value!r}")
            as_number(value, f"{self.name}: attribute '{key}'")
        return Optimizer(self, attributes)


@dataclass(frozen=True, slots=True)
class Optimizer:
    """An update rule with the values of its attributes."""

    rule: Rule
    attributes: Mapping[str, float]

    def __repr__(self) -> str:
        return f"{self.rule.name}({', '.join(f'{k}={v}' for k, v in self.attributes.items())})"

    @property
    def formulas(self) -> Formulas:
        """The new value of each slot and of "w", with the attributes as symbols."""
        return dict(self.rule.formulas)

    def latex(self) -> str:
        """The rule as aligned equations; a prime marks a new value, and new slots stand for their formulas."""
        rows: list[str] = []
        fresh: dict[sympy.Expr, sympy.Symbol] = {}
        names = {_symbol(k): v for k, v in _LETTERS.items()}
        for key, formula in self.rule.formulas.items():
            shown = formula
            for new, symbol in fresh.items():
                shown = shown.subs(new, symbol)
            rows.append(rf"{sympy.latex(_symbol(key))}' &= {sympy.latex(shown, symbol_names=names)}")
            if not formula.is_Atom:
                prime = _symbol(f"{key}'")
                fresh[formula] = prime
                names[prime] = f"{sympy.latex(_symbol(key))}'"
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def updates(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> dict[str, Tensor]:
        """Declare the slots, and the new value of every parameter and slot, by the variable's name.

        Slots are the state variables {parameter}.{rule}.{slot}, and {rule}.{slot} for scalars, typed as the
        parameters. Slots that the network has already go on from where they are. Raises DTypeError where the
        parameters have several dtypes.
        """
        rule, network = self.rule, parameters[0].network
        if other := [p for p in parameters if p.dtype != parameters[0].dtype]:
            raise DTypeError(
                f"{rule.name}: '{parameters[0].name}' is {parameters[0].dtype}, '{other[0].name}' is {other[0].dtype}; "
                "train parameters of one dtype"
            )
        dtype = parameters[0].dtype
        shared = {s: _slot(network, f"{rule.name}.{s}", (), rule.state[s], dtype) for s in rule.scalars}
        updates: dict[str, Tensor] = {}
        for key in rule.scalars:
            if key in rule.formulas:
                updates[shared[key].name] = self._apply(key, rule.formulas[key], shared, f"{shared[key].name}.next")
        once, each = split_once(
            {k: f for k, f in rule.formulas.items() if k not in rule.scalars},
            {_symbol(s) for s in rule.scalars},
            {_symbol(a) for a in rule.attributes},
        )
        for symbol, formula in once.items():
            shared[symbol.name] = self._apply(symbol.name, formula, shared, f"{rule.name}.{symbol.name}")
        for parameter, gradient in zip(parameters, gradients, strict=True):
            slots = {
                s: _slot(network, f"{parameter.name}.{rule.name}.{s}", parameter.shape, rule.state[s], dtype)
                for s in rule.state
                if s not in rule.scalars
            }
            values = {"w": parameter, "g": gradient, **slots, **shared}
            for key, formula in each.items():
                target = values[key].name
                updates[target] = self._apply(key, formula, values, f"{target}.next")
        return updates

    def _apply(self, key: str, formula: sympy.Expr, values: Mapping[str, Tensor], name: str) -> Tensor:
        """One formula as a node, its symbols bound to `values`."""
        used = [k for k in values if _symbol(k) in formula.free_symbols]
        if not used:
            raise GraphError(f"{self.rule.name}: the new '{key}' = {formula} reads no weight, gradient or slot")
        entries = {_symbol(k): Operand(k)[ELLIPSIS] for k in used}
        op = Op(
            f"{self.rule.name} {key}",
            (ELLIPSIS,),
            formula.xreplace(entries),
            attributes={a: v for a, v in self.attributes.items() if _symbol(a) in formula.free_symbols},
            operand_order=used,
            dtype="float",
            shown=self.attributes,
        )
        network = values[used[0]].network
        return op(*(values[k] for k in used), name=network.fresh_name(name))


def _slot(network: Network, name: str, shape: tuple[Any, ...], init: float, dtype: str) -> Tensor:
    """The state variable of that name, declared unless the network has it."""
    if name not in network:
        return network.variable(name, shape, init=init, dtype=dtype)
    slot = network[name]
    if slot.kind != "state" or slot.shape != shape or slot.dtype != dtype:
        raise GraphError(f"{slot!r} is in the way of an optimizer's slot {dtype}{[*shape]} of that name")
    return slot


def optimizer(
    name: str,
    update: Callable[..., Mapping[str, Any]],
    state: Mapping[str, float] | None = None,
    attributes: Mapping[str, float] | None = None,
    scalars: Sequence[str] = (),
) -> Rule:
    """Define an optimizer by one function of sympy symbols, whose parameters are taken by their names:

    w and g (a weight, its gradient), the slots of `state` (with their first values) and `attributes` (constants with
    defaults). It gives a formula for the new "w" and the new value of each slot, in terms of the old values. Slots in
    `scalars` are one number for all parameters (a step count); their formulas read scalars and attributes only, and
    one without a formula keeps the value that `network.state` gives it (a learning rate that a callback changes).

    Raises GraphError for a parameter of `update` that is nothing of these, a name used twice, a missing formula or
    one with a symbol of its own.
    """
    state, attributes = dict(state or {}), dict(attributes or {})
    names = ["w", "g", *state, *attributes]
    if twice := [n for n in names if names.count(n) > 1]:
        raise GraphError(f"{name}: '{twice[0]}' is used twice among w, g, the slots and the attributes")
    if unknown := [s for s in scalars if s not in state]:
        raise GraphError(f"{name}: the scalar '{unknown[0]}' is not in state, which has {[*state]}")
    asked = [*inspect.signature(update).parameters]
    if unknown := [p for p in asked if p not in names]:
        raise GraphError(f"{name}: update asks for '{unknown[0]}'; there are {', '.join(names)}")
    given = as_symbolic(name, update, **{p: _symbol(p) for p in asked})
    if not isinstance(given, Mapping):
        raise GraphError(f"{name}: update gives a dict of formulas, not {type(given).__name__}")
    targets = [*state, "w"]
    if unknown := [k for k in given if k not in targets]:
        raise GraphError(f"{name}: update gives a new '{unknown[0]}'; there are {', '.join(targets)}")
    if missing := [k for k in targets if k not in given and k not in scalars]:
        raise GraphError(f"{name}: update gives no new '{missing[0]}'")
    formulas = {k: as_formula(given[k]) for k in targets if k in given}
    for key, formula in formulas.items():
        known = {*scalars, *attributes} if key in scalars else names
        if stray := sorted(s.name for s in formula.free_symbols - {_symbol(n) for n in known}):
            raise GraphError(f"{name}: the new '{key}' = {formula} reads '{stray[0]}'; it may read {', '.join(known)}")
    return Rule(name, state, attributes, tuple(scalars), formulas)
