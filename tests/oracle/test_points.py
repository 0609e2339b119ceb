"""Pointwise ops at 200 random points against mpmath with 50 digits: value and every partial derivative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from mpmath import mp

from tests.oracle.apply import Applied, as_dtype, kinds_of
from tests.oracles import ORACLES, Oracle

POINTS = 200
WIDE = {
    "sigmoid": 80.0,
    "tanh": 40.0,
    "softplus": 80.0,
    "exp": 80.0,
    "expm1": 80.0,
    "gelu": 12.0,
    "silu": 80.0,
    "mish": 40.0,
    "elu": 60.0,
    "softsign": 1e6,
    "sin": 1e6,
    "cos": 1e6,
    "erf": 9.0,
}  # sampled up to there as well
ROWS = sorted(
    n for n, r in ORACLES.items() if r.mp_forward and r.mp_gradient and n not in ("softmax", "log_softmax", "where")
)
BARS = {"float64": 1e-12, "float32": 32 * float(np.finfo(np.float32).eps)}
Group = tuple[dict[str, Any], list[np.ndarray]]


def groups(row: Oracle, rng: np.random.Generator) -> list[Group]:
    """At least POINTS points for every attribute set, as 1-D operands."""
    found: dict[str, Group] = {}
    while not found or min(len(args[0]) for _, args in found.values()) < POINTS:
        for operands, attributes in row.sample(rng):
            chosen = {k: v for k, v in attributes.items() if k != "reduction"}
            flat = [a.ravel() for a in np.broadcast_arrays(*operands)]
            _, before = found.setdefault(f"{len(flat)}{chosen}", (chosen, [np.empty(0)] * len(flat)))
            before[:] = [np.concatenate(pair) for pair in zip(before, flat, strict=True)]
    if row.name in WIDE:
        for _, args in found.values():
            args[0] = np.concatenate([args[0], rng.uniform(-WIDE[row.name], WIDE[row.name], 60)])
    return list(found.values())


def partial_condition(f: Callable[..., Any], point: Sequence[Any], attributes: dict[str, Any]) -> Any:
    """sum |x df/dx| / |f| by numeric differentiation at 50 digits."""
    value = f(*point, **attributes)
    if value == 0:
        return mp.mpf(1)
    total = mp.mpf(0)
    for n, x in enumerate(point):

        def along(t: Any, n: int = n) -> Any:
            return f(*point[:n], t, *point[n + 1 :], **attributes)

        total += abs(x * mp.diff(along, x, h=mp.mpf(10) ** -20))
    return total / abs(value)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ROWS)
def test_tight(name: str, dtype: str) -> None:
    row, rng = ORACLES[name], np.random.default_rng(7)
    extra = {"reduction": "none"} if name.endswith("entropy") else {}
    smallest = float(np.finfo(dtype).smallest_normal)
    for attributes, points in groups(row, rng):
        args = as_dtype(points, dtype)
        program = Applied(name, kinds_of(args, dtype), {**attributes, **extra}, "tight")
        value, gradients = program(args, np.ones(len(args[0])))
        assert row.mp_forward is not None
        assert row.mp_gradient is not None
        checks = [(value, row.mp_forward), *((gradients[n], row.mp_gradient[n]) for n in gradients)]
        with mp.workdps(50):
            for place, (results, formula) in enumerate(checks):
                for point, result in zip(zip(*args, strict=True), results, strict=True):
                    scalars = [mp.mpf(float(x)) for x in point]
                    exact = formula(*scalars, **attributes)
                    condition = max(1, partial_condition(formula, scalars, attributes))
                    error = abs(mp.mpf(float(result)) - exact)
                    assert error <= BARS[dtype] * condition * abs(exact) + smallest, (place, point, result, exact)


@pytest.mark.parametrize("name", [n for n in ROWS if len(ORACLES[n].mp_gradient or ()) == 1])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_fast_has_its_own_bar(name: str, dtype: str) -> None:
    """accuracy="fast" may use a saved output while the error stays within 4 eps of the largest slope."""
    row, rng = ORACLES[name], np.random.default_rng(11)
    for attributes, points in groups(row, rng):
        args = as_dtype(points, dtype)
        program = Applied(name, kinds_of(args, dtype), attributes, "fast")
        _, gradients = program(args, np.ones(len(args[0])))
        assert row.mp_gradient is not None
        with mp.workdps(50):
            exact = [row.mp_gradient[0](mp.mpf(float(x)), **attributes) for x in args[0]]
            bound = 4 * float(np.finfo(dtype).eps) * max(map(abs, exact))
            worst = max(abs(mp.mpf(float(g)) - e) for g, e in zip(gradients[0], exact, strict=True))
        assert worst <= bound, (float(worst / bound), attributes)
