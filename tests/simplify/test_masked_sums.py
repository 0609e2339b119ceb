"""Sums of exponentials under conditions: shifted by the largest exponent that counts, in gradients too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy

import graphnn as gn

Mask = Callable[[Any, Any], Any]  # of a column and a row

i, j, r = gn.indices("i j r")
Z = gn.operands("z")


def softmax_where(kept: Mask) -> Any:
    """The softmax of each row over the columns j for which kept(j, i) holds."""
    part = sympy.exp(Z[i, j]) / gn.Sum(sympy.exp(Z[i, r]), r, where=kept(r, i))
    return gn.op("part", out=(i, j), body=sympy.Piecewise((part, kept(j, i)), (0, True)), dtype="float")


# fmt: off
MASKS = {
    "column <= row":    lambda c, row: c <= row,
    "row >= column":    lambda c, row: row >= c,
    "two of columns":   lambda c, row: sympy.And(c >= 1, c < 3),
    "all but diagonal": sympy.Ne,
}
# fmt: on
# Rows of thousands; somewhere in each, a column that no mask but the last lets through is larger by another thousand.
SCORES = np.array([[2000.0, 1000.5, 1001, 3000], [1500, 1500.5, 1501, 2500], [-2000, -2001, -2000.5, 0], [1, 2, 3, 4]])
WEIGHTS = np.random.default_rng(0).normal(size=(4, 4))


def by_hand(z: np.ndarray, kept: np.ndarray) -> np.ndarray:
    e = np.exp(np.where(kept, z - np.where(kept, z, -np.inf).max(axis=1, keepdims=True), -np.inf))
    return e / e.sum(axis=1, keepdims=True)


def slope_by_hand(p: np.ndarray, w: np.ndarray) -> np.ndarray:
    return p * (w - (p * w).sum(axis=1, keepdims=True))


def kept_where(mask: Mask) -> np.ndarray:
    return np.array([[bool(mask(sympy.Integer(c), sympy.Integer(n))) for c in range(4)] for n in range(4)])


@pytest.mark.parametrize("name", MASKS)
def test_a_masked_softmax_and_its_gradient_are_shifted(name: str) -> None:
    net = gn.Network()
    z, w = net.input("z", (4, 4), "float64"), net.input("w", (4, 4), "float64")
    p = softmax_where(MASKS[name])(z)
    outputs = [p, *gn.gradients(gn.sum(p * w), [z])]
    found, slope = gn.compile(outputs, debug=True)(z=SCORES, w=WEIGHTS)
    expected = by_hand(SCORES, kept_where(MASKS[name]))
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    np.testing.assert_allclose(slope, slope_by_hand(expected, WEIGHTS), rtol=1e-10, atol=1e-15)


def test_masks_over_the_same_scores_have_maxima_of_their_own() -> None:
    net = gn.Network()
    z, w = net.input("z", (4, 4), "float64"), net.input("w", (4, 4), "float64")
    parts = [gn.softmax(z), softmax_where(MASKS["two of columns"])(z)]
    loss = gn.sum((parts[0] + parts[1]) * w)
    *found, slope = gn.compile([*parts, *gn.gradients(loss, [z])])(z=SCORES, w=WEIGHTS)
    expected = [by_hand(SCORES, np.ones((4, 4), bool)), by_hand(SCORES, kept_where(MASKS["two of columns"]))]
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    np.testing.assert_allclose(slope, sum(slope_by_hand(p, WEIGHTS) for p in expected), rtol=1e-10, atol=1e-15)


def test_exponents_keep_the_form_in_which_they_were_written() -> None:
    net = gn.Network()
    a, b, c, d = (net.input(name, ("N",), "float64") for name in "abcd")
    text = gn.compile(gn.tanh(a * (b + c * (b + d))), until="simplify").stage("simplify")
    assert "tanh(((b[i0] + d[i0])*c[i0] + b[i0])*a[i0])" in text
