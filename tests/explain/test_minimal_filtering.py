"""The derivation of F(m, r) as it is shown."""

import pytest
import sympy as sp

import graphnn as gn


@pytest.mark.parametrize(("m", "r"), [(1, 1), (2, 3), (4, 3), (2, 5)])
def test_each_step_follows(m, r):
    shown = gn.minimal_filtering(m, r)
    steps = dict(shown.steps)
    g, d = sp.symbols(f"g:{r}"), sp.symbols(f"d:{m + r - 1}")
    definition = [sum(g[j] * d[i + j] for j in range(r)) for i in range(m)]
    transposed = [sp.expand(e.rhs) for e in steps["transpose: the filter"]]
    products = {e.lhs: e.rhs for e in steps["denominators to the kernel"]}
    assert transposed == definition
    assert [sp.expand(e.rhs.xreplace(products)) for e in shown.result] == definition
    assert [e.rhs for e in steps["expand"]] == definition
    assert len(products) == m + r - 1
    # What is interpolated is the product of the polynomials.
    product, values = steps["product of polynomials"].rhs, steps["values at the points"]
    interpolated = steps["interpolate"].rhs.xreplace({e.lhs: e.rhs for e in values})
    assert sp.expand(product - interpolated) == 0


def test_it_is_shown_in_every_form():
    shown = gn.minimal_filtering(2, 3, points=(0, 1, -1))
    assert str(shown).startswith("F(2, 3): 4 products in place of 6\n  product of polynomials ")
    assert "q1 = (d1 + d2)*(g0/2 + g1/2 + g2/2)" in str(shown)
    assert "\n6. outputs: `y0 = q0 + q1 + q2; y1 = q1 - q2 + q3`\n" in shown.markdown()
    assert r"&& \text{denominators to the kernel}" in shown.latex()
    assert shown.points == (0, 1, -1)
    assert (shown.A.shape, shown.G.shape, shown.B.shape) == ((4, 2), (4, 3), (4, 4))
