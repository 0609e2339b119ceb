"""What an equation compares is stored: computed a second time, in another formula, it might round apart."""

from __future__ import annotations

import re

import graphnn as gn


def test_the_winner_of_a_max_is_looked_for_among_stored_values() -> None:
    net = gn.Network("winner")
    x, b = net.input("x", (7, 5)), net.input("b", (5,))
    largest = gn.max(x * 0.3 + b, axis=1)
    text = gn.compile(gn.gradients(gn.sum(largest * largest), [x])[0], until="simplify").stage("simplify")
    equations = re.findall(r"\(([^()]*(?:\[[^\]]*\])[^()]*) == ([^()]*\[[^\]]*\])\)", text)
    assert equations
    for left, right in equations:
        assert re.fullmatch(r"\S+\[[^\]]*\]", left), left
        assert re.fullmatch(r"\S+\[[^\]]*\]", right), right
