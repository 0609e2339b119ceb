"""No load is emitted without a proof that it stays inside: the proof is checked by brute force."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import sympy

import graphnn as gn
from graphnn.simplify.inside import is_inside

i, r = (sympy.Symbol(n, integer=True, nonnegative=True) for n in ("i0", "r0"))
N = sympy.Symbol("N", integer=True, nonnegative=True)
SIZES = {i: sympy.Integer(7), r: sympy.Integer(3)}

INDICES = [i, r, i + r, 2 * i + r, i - r, i - r + 2, 6 - i, i // 2, i % 3, 3 * i + r, (3 * i + r) // 6, i * 0 + 4]
CONDITIONS = [
    sympy.true,
    sympy.Ge(i - r, 0),
    sympy.And(sympy.Ge(i + r, 1), sympy.Lt(i + r, 9)),
    sympy.Eq(i, r),
    sympy.And(sympy.Gt(2 * i - r, 0), sympy.Le(2 * i - r, 8)),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
@pytest.mark.parametrize("index", INDICES, ids=str)
def test_what_is_proved_is_true(index: sympy.Expr, condition: sympy.Basic) -> None:
    values = [
        int(index.subs({i: a, r: b}))
        for a, b in itertools.product(range(7), range(3))
        if condition == sympy.true or condition.subs({i: a, r: b}) == sympy.true
    ]
    for extent in range(1, 24):
        if is_inside(index, sympy.Integer(extent), SIZES, (condition,)):
            assert min(values) >= 0
            assert max(values) < extent


def test_the_proof_is_exact_where_it_matters() -> None:
    assert is_inside(2 * i + r, sympy.Integer(15), SIZES, ())
    assert not is_inside(2 * i + r, sympy.Integer(14), SIZES, ())
    assert not is_inside(i - r, sympy.Integer(7), SIZES, ())
    assert is_inside(i - r, sympy.Integer(7), SIZES, (sympy.Ge(i - r, 0),))
    assert is_inside(i - r, 8 * N + 7, SIZES, (sympy.And(sympy.Ge(i, r), sympy.Lt(i, 5)),))
    assert is_inside(i - r, 8 * N + 7, SIZES, (sympy.Gt(i - r, -1, evaluate=False),))
    assert not is_inside(i - r, 8 * N + 7, SIZES, (sympy.Gt(i - r, -2, evaluate=False),))
    assert is_inside(i + r, N, SIZES, (sympy.Lt(i + r, N),))
    assert not is_inside(i + r, N, SIZES, (sympy.Lt(i + r, N + 1),))
    assert is_inside(i + r, N, SIZES, (sympy.Gt(N, i + r),))
    assert is_inside(i, N, {i: N}, ())
    assert not is_inside(i, N, {i: N + 1}, ())


def test_a_tampered_guard_reads_nothing_outside() -> None:
    net = gn.Network("tampered")
    a, k = gn.indices("a k")
    X = gn.operands("X")
    window = gn.op("window", out=(a,), body=gn.Sum(gn.guard(X[a + k - 1]), k), extents={a: X.shape[0], k: 3})
    window(net.input("x", (4,), "float64"), name="y")
    text = net.to_json()
    assert text.count('"5"') == 1  # the upper bound of the guard, i0 + r0 < 5
    upper = json.dumps(json.loads(text)).replace('["int", "5"]', '["int", "900000000"]')
    lower = json.dumps(json.loads(text)).replace('["ge", ', '["le", ')
    x = np.arange(1.0, 5.0)
    for tampered, expected in ((upper, [3, 6, 9, np.nan]), (lower, [np.nan, 1, 0, 0])):
        found = gn.compile(gn.Network.from_json(tampered)["y"], debug=True)(x=x)
        np.testing.assert_array_equal(found, expected)
