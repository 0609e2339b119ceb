"""The well-known update rules, one formula each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy

from graphnn.nn.optimizers.rule import optimizer

SGD = optimizer("sgd", lambda w, g, lr: {"w": w - lr * g}, attributes={"lr": 0.01})


def _momentum(w: Any, g: Any, v: Any, lr: Any, mu: Any) -> Mapping[str, Any]:
    new_v = mu * v - lr * g
    return {"v": new_v, "w": w + new_v}


def _nesterov(w: Any, g: Any, v: Any, lr: Any, mu: Any) -> Mapping[str, Any]:
    new_v = mu * v - lr * g
    return {"v": new_v, "w": w + mu * new_v - lr * g}


def _adagrad(w: Any, g: Any, s: Any, lr: Any, eps: Any) -> Mapping[str, Any]:
    new_s = s + g**2
    return {"s": new_s, "w": w - lr * g / (sympy.sqrt(new_s) + eps)}


def _rmsprop(w: Any, g: Any, s: Any, lr: Any, rho: Any, eps: Any) -> Mapping[str, Any]:
    new_s = rho * s + (1 - rho) * g**2
    return {"s": new_s, "w": w - lr * g / (sympy.sqrt(new_s) + eps)}


def _adadelta(w: Any, g: Any, s: Any, d: Any, lr: Any, rho: Any, eps: Any) -> Mapping[str, Any]:
    new_s = rho * s + (1 - rho) * g**2
    step = sympy.sqrt(d + eps) / sympy.sqrt(new_s + eps) * g
    return {"s": new_s, "d": rho * d + (1 - rho) * step**2, "w": w - lr * step}


def _adam(w: Any, g: Any, m: Any, v: Any, t: Any, lr: Any, beta1: Any, beta2: Any, eps: Any) -> Mapping[str, Any]:
    new_t = t + 1
    new_m = beta1 * m + (1 - beta1) * g
    new_v = beta2 * v + (1 - beta2) * g**2
    mean, square = new_m / (1 - beta1**new_t), new_v / (1 - beta2**new_t)
    return {"m": new_m, "v": new_v, "t": new_t, "w": w - lr * mean / (sympy.sqrt(square) + eps)}


# Momentum as Rumelhart et al. 1986; its look-ahead form as Sutskever et al. 2013, with the gradient where the weights
# are; Adagrad: Duchi et al. 2011; RMSProp: Tieleman and Hinton 2012; Adadelta: Zeiler 2012; Adam: Kingma and Ba 2015.
# fmt: off
Momentum = optimizer("momentum", _momentum, {"v": 0}, {"lr": 0.01, "mu": 0.9})
Nesterov = optimizer("nesterov", _nesterov, {"v": 0}, {"lr": 0.01, "mu": 0.9})
Adagrad  = optimizer("adagrad",  _adagrad,  {"s": 0}, {"lr": 0.01, "eps": 1e-8})
RMSProp  = optimizer("rmsprop",  _rmsprop,  {"s": 0}, {"lr": 0.001, "rho": 0.9, "eps": 1e-8})
Adadelta = optimizer("adadelta", _adadelta, {"s": 0, "d": 0}, {"lr": 1.0, "rho": 0.95, "eps": 1e-6})
Adam     = optimizer("adam",     _adam,     {"m": 0, "v": 0, "t": 0},
                     {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}, scalars=("t",))
# fmt: on
