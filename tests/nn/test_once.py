"""What scalars alone decide leaves the per-element formula, and the meaning stays."""

import random

import sympy

from graphnn.nn.optimizers.once import split_once

W, M, T, LR, BETA = sympy.symbols("w m t lr beta", real=True)


def check(formula, parts):
    once, split = split_once({"w": formula}, {T}, {LR, BETA})
    assert list(once.values()) == parts
    assert sympy.expand(split["w"].xreplace(once) - formula) == 0
    return once, split["w"]


def test_the_line_of_the_docstring():
    once, split = check(W - LR * M / (1 - BETA ** (T + 1)), [-LR / (1 - BETA ** (T + 1))])
    (c,) = once
    assert split == W + M * c


def test_equal_parts_are_one():
    rate = 1 / (1 + T)
    once, split = split_once({"v": M * rate, "w": W + M * rate}, {T}, {LR})
    assert list(once.values()) == [rate]
    assert split["w"] - W == split["v"]
    apart, _ = split_once({"v": M * rate, "w": W - M * rate * LR}, {T}, {LR})
    assert list(apart.values()) == [rate, -LR * rate]


def test_bare_scalars_and_constants_stay():
    check(W * T - LR**2 * M, [])
    once, split = split_once({"w": W - LR * M}, {T}, {LR})
    assert (once, split) == ({}, {"w": W - LR * M})


def test_a_part_inside_a_branch_is_found():
    formula = sympy.Piecewise((W * sympy.exp(T), M > T), (sympy.exp(T), True))
    once, split = split_once({"w": formula}, {T}, set())
    assert list(once.values()) == [sympy.exp(T)]
    generator = random.Random(0)
    for _ in range(5):
        at = {s: sympy.Rational(generator.randint(-9, 9), 7) for s in (W, M, T)}
        assert split["w"].xreplace(once).xreplace(at) == formula.xreplace(at)
