"""Formulas grow with the length of a network, not exponentially, whatever reads what how often."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import graphnn as gn

Layer = Callable[[gn.Tensor], gn.Tensor]

# fmt: off
LAYERS: list[tuple[str, Layer]] = [
    ("reads once",          gn.sigmoid),
    ("reads four times",    gn.tanh),
    ("cheap diamond",       lambda t: t * t + t * 0.3),
    ("costly diamond",      lambda t: gn.tanh(t) * t + gn.sigmoid(t)),
    ("division",            lambda t: t / (1.0 + gn.square(t))),
    ("kinks",               lambda t: gn.relu(t) - gn.abs(t) * 0.5),
    ("rows",                gn.softmax),
]
# fmt: on


def _sizes(layer: Layer, depth: int, gradient: bool) -> tuple[int, int]:
    """Characters of all formulas, and of the longest."""
    net = gn.Network("deep")
    x = t = net.input("x", ("N", 4))
    for _ in range(depth):
        t = layer(t)
    outputs = [t, *gn.gradients(gn.sum(t), [x])] if gradient else [t]
    lines = gn.compile(outputs, until="simplify").stage("simplify").splitlines()
    return sum(map(len, lines)), max(map(len, lines))


@pytest.mark.parametrize("gradient", [False, True], ids=["forward", "gradient"])
@pytest.mark.parametrize(("name", "layer"), LAYERS, ids=[name for name, _ in LAYERS])
def test_formulas_grow_linearly_with_depth(name: str, layer: Layer, gradient: bool) -> None:
    (short, _), (long, longest) = _sizes(layer, 8, gradient), _sizes(layer, 24, gradient)
    assert long < 5 * short  # three times, and what names of more digits add
    assert longest < 6000


def test_a_state_that_each_step_reads_twice_is_stored() -> None:
    """c[t] = f[t]*c[t-1] + g[t]; h[t] = c[t] + x: no formula goes back over more than a few steps."""
    net = gn.Network("recurrence")
    x = c = net.input("x", ("N", 4))
    states = []
    for step in range(12):
        f, g = (net.input(f"{name}{step}", ("N", 4)) for name in "fg")
        c = f * c + g
        states.append(c + x)
    lines = gn.compile(states, until="simplify").stage("simplify").splitlines()
    assert max(line.count("[i0, i1]") for line in lines if " = " in line) <= 6


def test_a_sum_that_rows_are_added_to_is_computed_again() -> None:
    """A bias or a mean is one value for many elements: a map of such is computed where it is read."""
    net = gn.Network("rows")
    x = net.input("x", ("N", 4))
    a, b, c, d = (net.parameter(name, (4,)) for name in "abcd")
    y = (x - a) * b + c - d
    lines = gn.compile([gn.exp(y), gn.sin(y)], until="simplify").stage("simplify").splitlines()
    assert len([line for line in lines if " = " in line]) == 2
