"""decoupled_decay: weights decay beside the update, and not through the gradient."""

from __future__ import annotations

from graphnn.errors import GraphError
from graphnn.late import sympy
from graphnn.nn.arguments import NONNEGATIVE, check_number
from graphnn.nn.optimizers.late import LateFormulas, told
from graphnn.nn.optimizers.rule import Rule
from graphnn.nn.optimizers.updates import symbol


def decoupled_decay(rule: Rule, decay: float = 0.01, name: str | None = None) -> Rule:
    """The rule with decay of weights beside it: w' becomes w' - lr * decay * w, with 0 for the decay of biases.

    A new last attribute `decay`, with this default; the rule is named `name`, or as the old one with a "w" at its end.
    Decay does not pass through the gradient and its statistics, as an L2 penalty does: Loshchilov and Hutter 2019.
    Raises GraphError for a rule without `lr`, or with a `decay` of its own.
    """
    if not isinstance(rule, Rule):
        raise GraphError(f"decoupled_decay takes an update rule such as gn.SGD, not {rule!r:.60}")
    names = {*rule.attributes, *rule.state}
    if "lr" not in names or "decay" in names:
        raise GraphError(f"decoupled_decay: {rule.name} needs an 'lr' and no 'decay' yet; it has {sorted(names)}")
    known = rule.formulas

    def formulas() -> dict[str, sympy.Expr]:
        w, lr, rate = symbol("w"), symbol("lr"), symbol("decay")
        return {**known, "w": known["w"] - lr * rate * w}

    late = isinstance(known, LateFormulas)
    return Rule(
        f"{rule.name}w" if name is None else name,
        rule.state,
        {**rule.attributes, "decay": check_number("decoupled_decay: decay", decay, NONNEGATIVE)},
        rule.scalars,
        LateFormulas([*known], ["decoupled decay", told(known)], formulas) if late else formulas(),
        {**rule.domains, "decay": NONNEGATIVE},
        (*rule.weights_only, "decay"),
    )
