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
