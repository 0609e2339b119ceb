from dataclasses import replace

import numpy as np
import pytest

import graphnn as gn
from graphnn.lower.ir import Contract, Fold, For, Program, Store
from graphnn.schedule.affine import coefficient, is_affine, known_extent, stride
from graphnn.schedule.contract import contract
from graphnn.schedule.machine import Machine
from graphnn.schedule.memory import evaluate
from graphnn.schedule.statements import statements
from graphnn.simplify.expr import Load, Op, axes_of, index_constant
from tests.schedule.samples import (
    FILTERS,
    KERNEL,
    VALID,
    array,
    assert_same_meaning,
    at,
    condition,
    convolution,
    convolution_adjoint,
    convolution_weight_update,
    integer,
    layer,
    load,
    mlp_step,
    op,
    program,
    run,
    total,
)


def contracts(p):
    return contracts_in(p.body)


def contracts_in(body):
    return [s for s in statements(body) if isinstance(s, Contract)]


def test_docstring_example():
    """for i0: for i1: acc = sum(x*W); h = acc  ->  contract m=i0 n=i1 k=r0"""
    after = contract(layer(), Machine())
    (found,) = after.body
    assert isinstance(found, Contract)
    assert (found.m.axis, found.n.axis, [r.axis for r in found.k]) == ("i0", "i1", ["r0"])
    assert len(after.buffers) == 4  # nothing is packed


@pytest.mark.parametrize("n", [0, 1, 7, 16, 17])
def test_layer_against_numpy(n):
    after = contract(layer(), Machine())
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in ((n, 20), (20, 24), (24,)))
    np.testing.assert_allclose(run(after, {"N": n})["a"], 1 / (1 + np.exp(-(x @ w + b))), rtol=1e-5)


def test_a_product_that_overwrites_its_factor_stays_loops():
    """W[i, j] = sigmoid(x @ W + b): row i + 1 reads the new row i."""

    def onto_weights(stmt):
        if isinstance(stmt, For):
            return replace(stmt, body=tuple(map(onto_weights, stmt.body)))
        return replace(stmt, buffer="W") if isinstance(stmt, Store) else stmt

    made = layer(24, 24, 24)
    before = replace(made, body=tuple(map(onto_weights, made.body)))
    assert contract(before, Machine()) == before


@pytest.mark.parametrize("make", [convolution, convolution_weight_update, convolution_adjoint, mlp_step])
@pytest.mark.parametrize("n", [0, 1, 2])
def test_meaning(make, n):
    if make is mlp_step and n == 0:
        n = 17
    assert_same_meaning(make(), contract(make(), Machine()), {"N": n})


@pytest.mark.parametrize("make", [layer, convolution, convolution_weight_update, convolution_adjoint, mlp_step])
def test_operands_are_what_a_tile_can_read(make):
    after = contract(make(), Machine())
    assert contracts(after)
    for c in contracts(after):
        assert isinstance(c.a, Load)
        assert isinstance(c.b, Load)
        assert is_affine((*c.a.index, *c.b.index))
        assert stride(c.b.index, c.n.axis, after.buffer(c.b.buffer).layout) == 1
        assert c.n.axis not in axes_of(c.a)
        assert c.m.axis not in axes_of(c.b)


def test_a_transposed_factor_is_packed_once():
    """delta @ W.T: W is copied to [k, n] by a nest ahead of the contraction."""
    body = total(op("mul", load("d", "i", "r"), load("W", "j", "r")), r=30)
    arrays = [array("d", "input", "N", 30), array("W", "state", 16, 30), array("y", "output", "N", 16)]
    before = program(arrays, [("y", {"i": "N", "j": 16}, body)])
    after = contract(before, Machine())
    pack, found = after.body
    assert isinstance(pack, For)
    assert isinstance(found, Contract)
    assert found.b == load("W.packed", "r0", "i1")
    assert_same_meaning(before, after, {"N": 5})


def test_a_computed_factor_is_packed():
    product = op("mul", op("exp", load("x", "i", "r")), op("abs", load("W", "r", "j")))
    arrays = [array("x", "input", "N", 12), array("W", "input", 12, 16), array("y", "output", "N", 16)]
    before = program(arrays, [("y", {"i": "N", "j": 16}, total(product, r=12))])
    after = contract(before, Machine())
    (found,) = contracts(after)
    assert {found.a.buffer, found.b.buffer} == {"x.packed", "W.packed"}
    assert_same_meaning(before, after, {"N": 6})


def test_packing_moves_out_of_loops_that_its_factor_does_not_hold():
    after = contract(convolution_weight_update(), Machine())
    pack, loops, _copy = after.body
    assert not contracts_in([pack])
    assert isinstance(loops, For)
    assert len(contracts_in([loops])) == 1


@pytest.mark.parametrize(("n", "k", "m", "expected"), [(4, 4, 4, 0), (4, 4, 8, 1), (2, 2, 2, 0)])
def test_small_products_stay_loops(n, k, m, expected):
    assert len(contracts(contract(layer(n, k, m), Machine()))) == expected


def test_no_contraction_without_two_free_axes():
    """A matrix times a vector has no n axis; a row-wise dot product has neither."""
    body = total(op("mul", load("A", "i", "r"), load("v", "r")), r=50)
    arrays = [array("A", "input", "N", 50), array("v", "input", 50), array("y", "output", "N")]
    after = contract(program(arrays, [("y", {"i": "N"}, body)]), Machine())
    assert not contracts(after)
    assert any(isinstance(s, Fold) for s in statements(after.body))


@pytest.mark.parametrize("make", [convolution, convolution_adjoint])
def test_terms_run_up_in_memory(make):
    """The adjoint reads g[p - u] and w[u]: with u = 2, 1, 0 the vectors of g come one after the other."""
    (found,) = contracts(contract(make(), Machine()))
    assert all((coefficient(e, r.axis) or 0) >= 0 for r in found.k for e in found.b.index)
    downwards = [r.axis for r in found.k for e in found.a.index if (coefficient(e, r.axis) or 0) < 0]
    assert len(downwards) == (2 if make is convolution_adjoint else 0)


def test_zeros_around_a_factor_instead_of_a_guard():
    """The adjoint of a convolution reads g[p - u] where that is in range: from a copy with zeros on both sides."""
    before = convolution_adjoint()
    after = contract(before, Machine())
    padded = after.buffer("g.packed")
    edge = 2 * (KERNEL - 1)
    assert [evaluate(d, {"N": 3}) for d in padded.shape] == [3, FILTERS, VALID + edge, VALID + edge]
    (found,) = contracts(after)
    assert found.b.buffer == "g.packed"
    assert_same_meaning(before, after, {"N": 2})


def padded_convolution(stride):
    """y[n, o, q] = sum[c, v] (x[n, c, stride*q + v - 1] if in range) * w[o, c, v]"""
    place = integer("sub", integer("add", integer("mul", stride, "q"), "v"), 1)
    inside = Op("and", (condition("le", 0, place), condition("lt", place, 8)), "bool")
    x = op("select", inside, at("x", "n", "c", place), 0.0)
    body = total(op("mul", x, at("w", "o", "c", "v")), c=4, v=3)
    extent = 8 // stride
    arrays = [array("x", "input", "N", 4, 8), array("w", "input", 16, 4, 3), array("y", "output", "N", 16, extent)]
    return program(arrays, [("y", {"n": "N", "o": 16, "q": extent}, body)])


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("n", [0, 1, 3])
def test_padding_of_a_convolution(stride, n):
    before = padded_convolution(stride)
    after = contract(before, Machine())
    assert len(contracts(after)) == 1
    if stride == 1:  # with stride 2 it is cheaper to pack windows than to store channels apart
        assert after.buffer("x.packed").shape[-1] == index_constant(10)
    assert_same_meaning(before, after, {"N": n})


def test_a_condition_that_is_not_about_range_is_packed():
    """A causal mask, r <= i, says more than that the load is in range: it must not become padding."""
    mask = condition("le", "r", "i")
    body = total(op("mul", at("x", "i", "r"), at("W", "r", "j")), guard=mask, r=16)
    arrays = [array("x", "input", 16, 16), array("W", "input", 16, 16), array("y", "output", 16, 16)]
    before = program(arrays, [("y", {"i": 16, "j": 16}, body)], sizes=[])
    after = contract(before, Machine())
    assert len(contracts(after)) == 1
    assert_same_meaning(before, after, {})


def test_a_sum_whose_terms_would_nearly_all_be_masked_stays_loops():
    """A band leaves each output 2 of 64 terms; a triangle leaves half of them, which a tile masks."""
    net = gn.Network()
    i, j, k = gn.indices("i j k")
    A, B = gn.operands("A B")
    triangle = gn.op("triangle", (i, j), gn.Sum(A[i, k] * B[k, j], k, where=k <= i))
    product = triangle(net.input("a", (64, 64)), net.input("b", (64, 64)))
    assert "contract" in gn.compile(product, until="schedule").stage("schedule")
    band = gn.op("band", (i, j), gn.Sum(A[i, k] * B[k, j], k, where=(k <= i) & (k >= i - 1)))
    product = band(net.input("c", (64, 64)), net.input("d", (64, 64)))
    assert "contract" not in gn.compile(product, until="schedule").stage("schedule")


def test_the_adjoint_of_a_strided_convolution_multiplies_only_what_meets():
    """dx[n, c, p] = sum[o, q](g[n, o, q] * w[o, c, p + 1 - 2 q]): one or two q for each p, and g is packed once."""
    q, bounds = integer("sub", integer("add", "p", 1), integer("mul", 2, "q")), (0, 1, 2)
    inside = condition("and", condition("le", bounds[0], q), condition("le", q, bounds[2]))
    body = total(op("mul", at("g", "n", "o", "q"), at("w", "o", "c", q)), guard=inside, o=24, q=14)
    arrays = [array("g", "input", "N", 24, 14), array("w", "input", 24, 32, 3), array("dx", "output", "N", 32, 28)]
    before = program(arrays, [("dx", {"n": "N", "c": 32, "p": 28}, body)])
    after = contract(before, Machine())
    (found,) = contracts(after)
    assert any(axes_of(r.lo) | axes_of(r.hi) for r in found.k)  # bounds move with p, nothing is masked
    for n in (0, 1, 3):
        assert_same_meaning(before, after, {"N": n})


def wide_convolution() -> Program:
    """y[o, p, q] = sum[c, u, v] x[c, p + u, q + v] * w[o, c, u, v]: 3.5 MB of weights for 13 x 13 pixels."""
    x = at("x", "c", integer("add", "p", "u"), integer("add", "q", "v"))
    body = total(op("mul", x, at("w", "o", "c", "u", "v")), c=384, u=3, v=3)
    arrays = [array("x", "input", 384, 15, 15), array("w", "input", 256, 384, 3, 3), array("y", "output", 256, 13, 13)]
    return program(arrays, [("y", {"o": 256, "p": 13, "q": 13}, body)], sizes=[])


def test_wide_weights_of_one_image_are_packed_with_the_filters_in_the_lanes():
    """With 13 pixels in 16 lanes and weights as scalars it takes twice as long, packing included."""
    (found,) = contracts(contract(wide_convolution(), Machine()))
    assert (known_extent(found.m), known_extent(found.n)) == (13, 256)
