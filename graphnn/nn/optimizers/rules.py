"""The well-known update rules, one formula each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from graphnn.late import sympy
from graphnn.nn.arguments import FRACTION, NONNEGATIVE, POSITIVE
from graphnn.nn.optimizers.decay import decoupled_decay
from graphnn.nn.optimizers.late import LateFormulas
from graphnn.nn.optimizers.rule import Rule, optimizer

New = Mapping[str, Any]


def _momentum(w: Any, g: Any, v: Any, lr: Any, mu: Any) -> New:
    new_v = mu * v - lr * g
    return {"v": new_v, "w": w + new_v}


def _nesterov(w: Any, g: Any, v: Any, lr: Any, mu: Any) -> New:
    new_v = mu * v - lr * g
    return {"v": new_v, "w": w + mu * new_v - lr * g}


def _adagrad(w: Any, g: Any, s: Any, lr: Any, eps: Any) -> New:
    new_s = s + g**2
    return {"s": new_s, "w": w - lr * g / (sympy.sqrt(new_s) + eps)}


def _rmsprop(w: Any, g: Any, s: Any, lr: Any, rho: Any, eps: Any) -> New:
    new_s = rho * s + (1 - rho) * g**2
    return {"s": new_s, "w": w - lr * g / (sympy.sqrt(new_s) + eps)}


def _adadelta(w: Any, g: Any, s: Any, d: Any, lr: Any, rho: Any, eps: Any) -> New:
    new_s = rho * s + (1 - rho) * g**2
    step = sympy.sqrt(d + eps) / sympy.sqrt(new_s + eps) * g
    return {"s": new_s, "d": rho * d + (1 - rho) * step**2, "w": w - lr * step}


def _adam(w: Any, g: Any, m: Any, v: Any, t: Any, lr: Any, beta1: Any, beta2: Any, eps: Any) -> New:
    new_t = t + 1
    new_m = beta1 * m + (1 - beta1) * g
    new_v = beta2 * v + (1 - beta2) * g**2
    mean, square = new_m / (1 - beta1**new_t), new_v / (1 - beta2**new_t)
    return {"m": new_m, "v": new_v, "t": new_t, "w": w - lr * mean / (sympy.sqrt(square) + eps)}


def _adamax(w: Any, g: Any, m: Any, u: Any, t: Any, lr: Any, beta1: Any, beta2: Any, eps: Any) -> New:
    new_t, new_m = t + 1, beta1 * m + (1 - beta1) * g
    new_u = sympy.Max(beta2 * u, abs(g) + eps)
    return {"m": new_m, "u": new_u, "t": new_t, "w": w - lr / (1 - beta1**new_t) * new_m / new_u}


def _nadam(w: Any, g: Any, m: Any, v: Any, t: Any, lr: Any, beta1: Any, beta2: Any, eps: Any) -> New:
    new_t = t + 1
    new_m = beta1 * m + (1 - beta1) * g
    new_v = beta2 * v + (1 - beta2) * g**2
    mean = beta1 * new_m / (1 - beta1 ** (new_t + 1)) + (1 - beta1) * g / (1 - beta1**new_t)
    square = new_v / (1 - beta2**new_t)
    return {"m": new_m, "v": new_v, "t": new_t, "w": w - lr * mean / (sympy.sqrt(square) + eps)}


def _lion(w: Any, g: Any, m: Any, lr: Any, beta1: Any, beta2: Any) -> New:
    return {"m": beta2 * m + (1 - beta2) * g, "w": w - lr * sympy.sign(beta1 * m + (1 - beta1) * g)}


_DOMAINS = {"lr": NONNEGATIVE, "eps": POSITIVE} | dict.fromkeys(("mu", "rho", "beta1", "beta2"), FRACTION)


def _rule(
    name: str, update: Any, state: dict[str, float], attributes: dict[str, float], scalars: tuple[str, ...] = ()
) -> Rule:
    """`optimizer`, when the formulas are first read."""
    domains = {a: _DOMAINS[a] for a in attributes}
    made = partial(optimizer, name, update, state, attributes, scalars, domains)
    formulas = LateFormulas([*state, "w"], ["rule", name], lambda: made().formulas)
    return Rule(name, state, attributes, scalars, formulas, domains)


# Momentum as Rumelhart et al. 1986; its look-ahead form as Sutskever et al. 2013, with the gradient where the weights
# are; Adagrad: Duchi et al. 2011; RMSProp: Tieleman and Hinton 2012; Adadelta: Zeiler 2012; Adam, Adamax: Kingma and
# Ba 2015 (eps beside |g|, so that a zero gradient gives no 0/0); NAdam: Dozat 2016 with a constant beta1; AdamW:
# Loshchilov and Hutter 2019; Lion: Chen et al. 2023.
_MEANS = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
_COUNTED = ("t",)
# fmt: off
SGD      = _rule("sgd",      lambda w, g, lr: {"w": w - lr * g}, {}, {"lr": 0.01})
Momentum = _rule("momentum", _momentum, {"v": 0}, {"lr": 0.01, "mu": 0.9})
Nesterov = _rule("nesterov", _nesterov, {"v": 0}, {"lr": 0.01, "mu": 0.9})
Adagrad  = _rule("adagrad",  _adagrad,  {"s": 0}, {"lr": 0.01, "eps": 1e-8})
RMSProp  = _rule("rmsprop",  _rmsprop,  {"s": 0}, {"lr": 0.001, "rho": 0.9, "eps": 1e-8})
Adadelta = _rule("adadelta", _adadelta, {"s": 0, "d": 0}, {"lr": 1.0, "rho": 0.95, "eps": 1e-6})
Adam     = _rule("adam",     _adam,     {"m": 0, "v": 0, "t": 0}, {"lr": 0.001, **_MEANS}, _COUNTED)
Adamax   = _rule("adamax",   _adamax,   {"m": 0, "u": 0, "t": 0}, {"lr": 0.002, **_MEANS}, _COUNTED)
NAdam    = _rule("nadam",    _nadam,    {"m": 0, "v": 0, "t": 0}, {"lr": 0.002, **_MEANS}, _COUNTED)
AdamW    = decoupled_decay(Adam)
Lion     = decoupled_decay(_rule("lion", _lion, {"m": 0}, {"lr": 1e-4, "beta1": 0.9, "beta2": 0.99}), name="lion")
# fmt: on
