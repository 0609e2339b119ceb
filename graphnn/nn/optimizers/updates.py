"""The updates of an optimizer as nodes: an elementwise definition per parameter and slot.

They are requested in the network of the gradients that they read, and compiled with them; slots are declared at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from graphnn.declare.extents import TensorType
from graphnn.declare.formula import written
from graphnn.declare.network import Network, Tensor
from graphnn.declare.notation import Operand
from graphnn.declare.op import Op
from graphnn.errors import DTypeError, GraphError, ShapeError
from graphnn.late import sympy
from graphnn.nn.optimizers.clipping import clip_by_norm, clip_by_value
from graphnn.nn.optimizers.late import LateFormulas, told
from graphnn.nn.optimizers.once import split_once
from graphnn.nn.optimizers.schedules import Adjustable, Schedule, update_count

if TYPE_CHECKING:
    from graphnn.nn.optimizers.rule import Optimizer, Rule

Formulas = dict[str, "sympy.Expr"]
Value = float | Schedule | Adjustable  # of an attribute


def symbol(name: str) -> sympy.Symbol:
    """The symbol that stands for a slot or attribute in a rule's formulas."""
    return sympy.Symbol(name, real=True)


def bind(rule: Rule, attributes: Mapping[str, Value], role: str = "weight") -> Rule:
    """The rule for parameters of that role, whose open attributes are numbers only.

    {"w": w - lr*g}  ->  {"t": t + 1, "w": w - f(t)*g}  where lr is a schedule f
    {"w": w - lr*g}  ->  {"w": w - lr*g}                where lr is adjustable: a scalar slot

    Raises GraphError for a schedule where the rule's own t is no count of the updates.
    """
    zero = [a for a in rule.weights_only if role == "bias"]
    schedules = {a: v.formula for a, v in attributes.items() if isinstance(v, Schedule)}
    slots = {a: v.first for a, v in attributes.items() if isinstance(v, Adjustable)}
    formulas = _replaced(rule.formulas, zero, schedules)
    if counted := [a for a, formula in schedules.items() if formula.has(update_count())]:
        following = update_count() + 1
        own = "t" in rule.state or "t" in rule.attributes
        if not own:
            slots, formulas = {"t": 0, **slots}, {"t": following, **formulas}
        elif "t" not in rule.scalars or rule.state["t"] != 0 or rule.formulas.get("t") != following:
            raise GraphError(
                f"{rule.name}: '{counted[0]}' is a schedule, which counts the updates in a slot t; the rule has "
                "another t of its own: give that another name"
            )
    return replace(
        rule,
        state={**slots, **rule.state},
        attributes={a: v for a, v in attributes.items() if not isinstance(v, Schedule | Adjustable)},
        scalars=(*slots, *rule.scalars),
        formulas=formulas,
    )


def _replaced(
    formulas: Mapping[str, sympy.Expr], zero: Sequence[str], schedules: Mapping[str, sympy.Expr]
) -> Mapping[str, sympy.Expr]:
    """The formulas with 0 for some attributes and schedules for others."""

    def replaced() -> dict[str, sympy.Expr]:
        zeros = {symbol(a): sympy.S.Zero for a in zero}
        values = {symbol(a): formula for a, formula in schedules.items()}
        return {k: f.xreplace(zeros).xreplace(values) for k, f in formulas.items()}

    if isinstance(formulas, LateFormulas) and not schedules:
        return LateFormulas([*formulas], [formulas.told, zero], replaced) if zero else formulas
    return replaced()


def declare_updates(
    optimizer: Optimizer, parameters: Sequence[Tensor], gradients: Sequence[Tensor]
) -> dict[str, Tensor]:
    """`Optimizer.updates`."""
    _check(optimizer.rule.name, parameters, gradients)
    network = parameters[0].network
    with network.composing(optimizer.rule.name):
        roles = [network.made.nodes[p.name]["attributes"]["role"] for p in parameters]
        rules = {role: bind(optimizer.rule, optimizer.attributes, role) for role in dict.fromkeys(roles)}
        rule = rules[roles[0]]  # but for the formulas they are the same
        declaration = _Declaration(rule, {a: _plain(v) for a, v in optimizer.attributes.items()}, network)
        scalars = declaration.scalars(parameters[0].dtype)
        slots = [{"w": parameter, **declaration.slots(parameter)} for parameter in parameters]
        for bound in rules.values():
            _check_reads(bound, [*slots[0], "g", *scalars])
        targets = [scalars[s] for s in rule.scalars if s in rule.formulas]
        targets += [own[k] for own in slots for k in rule.formulas if k not in rule.scalars]

        def make() -> list[Tensor]:
            clipped = _clip(optimizer, gradients)
            rows = [(role, {**own, "g": g}) for role, own, g in zip(roles, slots, clipped, strict=True)]
            updates = declaration.declare(rules, scalars, rows)
            return [updates[target.name] for target in targets]

        made = network.requests.ask(
            f"the updates by {optimizer}",
            ["updates", *_content(optimizer)],
            [*parameters, *gradients, *scalars.values(), *(slot for own in slots for slot in own.values())],
            [TensorType(target.shape, target.dtype) for target in targets],
            make,
        )
        return {target.name: tensor for target, tensor in zip(targets, made, strict=True)}


def _content(optimizer: Optimizer) -> list[Any]:
    """All that tells the updates of one optimizer from those of another, as plain data."""
    rule = optimizer.rule
    values = {
        a: told({a: v.formula}) if isinstance(v, Schedule) else ["adjustable"] if isinstance(v, Adjustable) else repr(v)
        for a, v in optimizer.attributes.items()
    }
    shown = [repr(_plain(v)) for v in optimizer.attributes.values()]
    about = [rule.name, [*rule.state], [*rule.scalars], told(rule.formulas), [*rule.weights_only]]
    return [*about, values, shown, repr(optimizer.clip_value), repr(optimizer.clip_norm)]


def _clip(optimizer: Optimizer, gradients: Sequence[Tensor]) -> Sequence[Tensor]:
    if optimizer.clip_value is not None:
        gradients = clip_by_value(gradients, optimizer.clip_value)
    if optimizer.clip_norm is not None:
        gradients = clip_by_norm(gradients, optimizer.clip_norm)
    return gradients


def _check_reads(rule: Rule, names: Sequence[str]) -> None:
    """GraphError for a formula that is a number: a node reads at least one Tensor. Those of this package do."""
    if isinstance(rule.formulas, LateFormulas):
        return
    for key, new in rule.formulas.items():
        if not new.free_symbols & {symbol(n) for n in names}:
            raise GraphError(f"{rule.name}: the new '{key}' = {new} reads no weight, gradient or slot")


@dataclass(frozen=True, slots=True)
class _Declaration:
    """Adds the slots and nodes of a bound rule to a network; `shown` are the attributes that the nodes carry."""

    rule: Rule
    shown: Mapping[str, Any]
    network: Network

    def declare(
        self, rules: Mapping[str, Rule], scalars: Mapping[str, Tensor], rows: Sequence[tuple[str, Mapping[str, Tensor]]]
    ) -> dict[str, Tensor]:
        """The new values by the names of their variables. `rows` has the role and the values of each parameter."""
        rule, updates = self.rule, {}
        for s in (s for s in rule.scalars if s in rule.formulas):
            updates[scalars[s].name] = self.node(s, rule.formulas[s], scalars, f"{scalars[s].name}.next")
        once, each = split_once(
            {(role, k): f for role, r in rules.items() for k, f in r.formulas.items() if k not in rule.scalars},
            {symbol(s) for s in rule.scalars},
            {symbol(a) for a in rule.attributes},
        )
        shared = dict(scalars)
        for part, new in once.items():
            shared[part.name] = self.node(part.name, new, shared, f"{rule.name}.{part.name}")
        for wanted, own in rows:
            for (role, key), new in each.items():
                if role == wanted:
                    target = own[key].name
                    updates[target] = self.node(key, new, {**own, **shared}, f"{target}.next")
        return updates

    def scalars(self, dtype: str) -> dict[str, Tensor]:
        """The scalar slots by their names in the rule."""
        rule = self.rule
        return {s: self._slot(f"{rule.name}.{s}", (), rule.state[s], dtype) for s in rule.scalars}

    def slots(self, parameter: Tensor) -> dict[str, Tensor]:
        """The slots of one parameter by their names in the rule."""
        rule, prefix = self.rule, f"{parameter.name}.{self.rule.name}"
        own = {s: first for s, first in rule.state.items() if s not in rule.scalars}
        return {s: self._slot(f"{prefix}.{s}", parameter.shape, v, parameter.dtype) for s, v in own.items()}

    def _slot(self, name: str, shape: tuple[Any, ...], init: float, dtype: str) -> Tensor:
        """The state variable of that name, declared unless the network has it."""
        if name not in self.network.made:
            return self.network.variable(name, shape, init=init, dtype=dtype)
        slot = self.network[name]
        if slot.kind != "state" or slot.shape != shape or slot.dtype != dtype:
            raise GraphError(f"{slot!r} is in the way of an optimizer's slot {dtype}{[*shape]} of that name")
        return slot

    def node(self, key: str, new: sympy.Expr, values: Mapping[str, Tensor], name: str) -> Tensor:
        """One formula as a node, its symbols bound to `values`."""
        used = [k for k in values if symbol(k) in new.free_symbols]
        op = Op(
            f"{self.rule.name} {key}",
            written((...,), new.xreplace({symbol(k): Operand(k)[...] for k in used})),
            used,
            {a: v for a, v in self.rule.attributes.items() if symbol(a) in new.free_symbols},
            dtype="float",
            shown=self.shown,
        )
        return op(*(values[k] for k in used), name=self.network.fresh_name(name))


def _plain(value: Value) -> float | str:
    """An attribute as the nodes show it."""
    return repr(value) if isinstance(value, Schedule | Adjustable) else value


def _check(name: str, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
    """Raise unless the parameters and gradients fit each other."""
    if not all(isinstance(given, Sequence) for given in (parameters, gradients)):
        raise GraphError(f"{name}: parameters and gradients are lists of Tensors")
    if len(parameters) != len(gradients) or not parameters:
        raise GraphError(
            f"{name}: there are {len(parameters)} parameters and {len(gradients)} gradients; give as many of each, "
            "and at least one"
        )
    first = parameters[0]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if strange := [t for t in (parameter, gradient) if not isinstance(t, Tensor)]:
            raise GraphError(f"{name}: {strange[0]!r:.60} is no Tensor")
        if parameter.kind != "parameter":
            raise GraphError(f"{name}: {parameter!r} is no parameter")
        if parameter.dtype != first.dtype:
            raise DTypeError(
                f"{name}: '{first.name}' is {first.dtype}, '{parameter.name}' is {parameter.dtype}; "
                "train parameters of one dtype"
            )
        if (gradient.shape, gradient.dtype) != (parameter.shape, parameter.dtype):
            raise ShapeError(f"{name}: {gradient!r} is no gradient of {parameter!r}")
