"""Scalar derivatives: through the output, at kinks, and refused at steps."""

from __future__ import annotations

import mpmath
import pytest
import sympy

import graphnn as gn
from graphnn.derive.output import OUTPUT, through_output
from graphnn.derive.scalar import differentiate
from graphnn.derive.steps import StepError

t, u = sympy.Symbol("t0", real=True), sympy.Symbol("t1", real=True)
y = OUTPUT
SIGMOID = 1 / (1 + sympy.exp(-t))
TANH = (sympy.exp(t) - sympy.exp(-t)) / (sympy.exp(t) + sympy.exp(-t))

# fmt: off
FOUND = [
    ("sigmoid",    SIGMOID,                       y * (1 - y)),
    ("tanh",       TANH,                          1 - y**2),
    ("exp",        sympy.exp(t),                  y),
    ("sqrt",       sympy.sqrt(t),                 1 / (2 * y)),
    ("rsqrt",      1 / sympy.sqrt(t),             -(y**3) / 2),
    ("tan",        sympy.sin(t) / sympy.cos(t),   1 + y**2),
    ("softplus",   sympy.log(1 + sympy.exp(t)),   1 - sympy.exp(-y)),
    ("logistic",   1 / (1 + 3 * sympy.exp(-2*t)), 2 * y * (1 - y)),
]
# fmt: on


@pytest.mark.parametrize(("name", "body", "expected"), FOUND)
def test_the_derivative_is_found_in_terms_of_the_output(name: str, body: sympy.Expr, expected: sympy.Expr) -> None:
    found = through_output(body, t, differentiate(body, t, name))
    assert found is not None
    assert sympy.simplify(found.result - expected) == 0
    assert found.result.free_symbols <= {y}


@pytest.mark.parametrize(("name", "body", "expected"), FOUND)
def test_what_is_found_is_the_derivative(name: str, body: sympy.Expr, expected: sympy.Expr) -> None:
    found = through_output(body, t, differentiate(body, t, name))
    assert found is not None
    with mpmath.workdps(40):
        for point in map(mpmath.mpf, ("0.25", "1.5", "3.75")):
            slope = mpmath.diff(lambda v: mpmath.mpf(sympy.N(body.subs(t, v), 60)), point)
            value = sympy.N(found.result.subs(y, sympy.N(body.subs(t, point), 60)), 40)
            assert abs(slope - mpmath.mpf(value)) < mpmath.mpf("1e-15")


TWO_POWERS = 1 / (1 + sympy.exp(-t) + sympy.exp(-2 * t))  # no linear equation in exp(-t), nor in its square


@pytest.mark.parametrize("body", [t / (1 + sympy.exp(-t)), TWO_POWERS, t**2, sympy.log(t), t * u, sympy.Max(0, t)])
def test_no_output_form_is_claimed_where_there_is_none(body: sympy.Expr) -> None:
    assert through_output(body, t, differentiate(body, t, "op")) is None


@pytest.mark.parametrize(
    ("body", "point", "slope"),
    [
        (sympy.Max(0, t), 0, 0),
        (sympy.Min(sympy.Max(t, -1), 1), 1, 0),
        (sympy.Min(sympy.Max(t, -1), 1), -1, 0),
        (sympy.Min(sympy.Max(t, -1), 1), 0, 1),
        (sympy.Abs(t), 0, 0),
        (sympy.Max(t, u).subs(u, 2), 2, 0),
    ],
)
def test_kinks_have_a_declared_slope(body: sympy.Expr, point: int, slope: int) -> None:
    assert differentiate(body, t, "op").subs(t, point) == slope


def test_a_tie_of_two_operands_goes_to_the_first() -> None:
    body = sympy.Max(t, u)
    assert differentiate(body, t, "maximum").subs({t: 1, u: 1}) == 1
    assert differentiate(body, u, "maximum").subs({t: 1, u: 1}) == 0


@pytest.mark.parametrize(
    "body",
    [sympy.Piecewise((1, t > 0), (0, True)), sympy.sign(t), sympy.Heaviside(t), sympy.floor(t), sympy.ceiling(t)],
)
def test_a_step_is_refused_by_name(body: sympy.Expr) -> None:
    with pytest.raises(StepError, match=r"my_step: .*not differentiable"):
        differentiate(body, t, "my_step")


def test_a_second_derivative_passes_through_a_kink() -> None:
    net = gn.Network("kink")
    x = net.input("x", (5,), "float64")
    loss = gn.sum(gn.square(gn.relu(x)))
    (first,) = gn.gradients(loss, [x])
    (second,) = gn.gradients(gn.sum(first), [x])
    (value,) = gn.evaluate([second], {"x": [-2.0, -0.5, 0.0, 0.5, 2.0]})
    assert value.tolist() == [0, 0, 0, 2, 2]


def test_a_floor_is_flat_where_it_is_a_part() -> None:
    assert differentiate(t * sympy.floor(t), t, "op") == sympy.floor(t)
    assert differentiate(t - sympy.floor(t), t, "op") == 1


def test_a_number_times_its_sign_is_its_size() -> None:
    """x/(1 + |x|): as |x| + 1 - x*sign(x) its slope would lose all digits of the 1 for a large x."""
    slope = differentiate(t / (1 + sympy.Abs(t)), t, "softsign")
    assert not slope.has(sympy.sign)
    assert sympy.simplify(slope - 1 / (1 + sympy.Abs(t)) ** 2) == 0
    assert differentiate(t * sympy.Abs(t), t, "signed square") == 2 * sympy.Abs(t)
