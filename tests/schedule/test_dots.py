"""Contractions with terms in the lanes: where they are taken, and sums in blocks whose factors stay in cache."""

from dataclasses import replace

import numpy as np
import pytest

from graphnn.lower.ir import Buffer, Contract, Fold, Program
from graphnn.lower.verify import verify
from graphnn.schedule.affine import default_layout, stride
from graphnn.schedule.contract import contract
from graphnn.schedule.cost import CostModel
from graphnn.schedule.extents import volume
from graphnn.schedule.machine import Machine
from graphnn.schedule.nest import peel
from graphnn.schedule.partial_sums import shorter, take_apart
from graphnn.schedule.passes import schedule
from graphnn.schedule.statements import names_in, statements
from graphnn.simplify.expr import Load, axes_of
from tests.schedule.samples import array, assert_same_meaning, at, condition, integer, op, program, ranges, run, total

AVX512, AVX2 = Machine(), Machine(vector_bytes=32, vector_registers=16)


def weight_gradient(images=2, filters=6, height=3, row=32, kernel=5) -> Program:
    """w[o, u, v] = sum[b, y, j] g[b, o, y, j] * x[b, y + u, j + 16*v]: rows of pixels of 16 images each."""
    x = at("x", "b", integer("add", "y", "u"), integer("add", "j", integer("mul", 16, "v")))
    body = total(op("mul", at("g", "b", "o", "y", "j"), x), b=images, y=height, j=row)
    arrays = [
        array("g", "input", images, filters, height, row),
        array("x", "input", images, height + kernel - 1, row + 16 * (kernel - 1)),
        array("w", "output", filters, kernel, kernel),
    ]
    return program(arrays, [("w", {"o": filters, "u": kernel, "v": kernel}, body)], sizes=[])


def contracts(p):
    return [s for s in statements(p.body) if isinstance(s, Contract)]


def test_a_weight_gradient_runs_along_its_rows_in_place():
    before = weight_gradient()
    after = contract(before, AVX512)
    (found,) = contracts(after)
    assert found.lanes == 16
    assert len(after.buffers) == len(before.buffers)  # nothing is packed
    for factor in (found.a, found.b):
        assert isinstance(factor, Load)
        assert stride(factor.index, found.k[-1].axis, after.buffer(factor.buffer).layout) == 1
    assert_same_meaning(before, after, {})


@pytest.mark.parametrize(("row", "machine", "lanes"), [(32, AVX2, 8), (24, AVX2, 8), (24, AVX512, 1), (32, AVX512, 16)])
def test_only_whole_vectors_of_terms(row, machine, lanes):
    before = weight_gradient(row=row)
    (found,) = contracts(after := contract(before, machine))
    assert found.lanes == lanes
    assert_same_meaning(before, after, {})


def test_the_order_of_axes_is_chosen_without_them():
    assert [c.lanes for c in contracts(contract(weight_gradient(), AVX512, dots=False))] == [1]


def test_a_factor_with_padding_is_read_from_a_copy_with_zeros_along_its_rows():
    """w[o, v] = sum[b, j] g[b, o, j] * (x[b, j + 16*(v - 1)] if in range)."""
    place = integer("add", "j", integer("mul", 16, integer("sub", "v", 1)))
    inside = op("and", condition("le", 0, place), condition("lt", place, 32), dtype="bool")
    body = total(op("mul", at("g", "b", "o", "j"), op("select", inside, at("x", "b", place), 0.0)), b=8, j=32)
    arrays = [array("g", "input", 8, 6, 32), array("x", "input", 8, 32), array("w", "output", 6, 3)]
    before = program(arrays, [("w", {"o": 6, "v": 3}, body)], sizes=[])
    (found,) = contracts(after := contract(before, AVX512))
    assert found.lanes == 16
    assert {e.buffer for e in (found.a, found.b)} == {"g", "x.packed"}
    assert_same_meaning(before, after, {})


def first_fold(p):
    nest = peel(p.body[0])
    assert isinstance(nest.body[0], Fold)
    return nest, nest.body[0]


def test_docstring_example_of_shorter():
    """chains over r0 < 2, r1, r2;  r1, r2;  r1 < 14, r2;  r1 < 7, r2;  r1 < 4, r2 ...  r2"""
    _, fold = first_fold(weight_gradient(images=4, height=28, row=448))
    chains = [[int(r.hi.value) for r in cut.chain] for cut in shorter(fold, set())]
    assert chains == [[2, 28, 448], [28, 448], *([y, 448] for y in (14, 7, 4, 2)), [448]]
    assert all(volume((*cut.stored, *cut.chain)) == 4 * 28 * 448 for cut in shorter(fold, set()))


def test_every_cut_has_the_same_meaning():
    before = weight_gradient(images=4, filters=2, height=6, row=16, kernel=2)
    nest, fold = first_fold(before)
    cuts = list(shorter(fold, names_in(before.body)))
    assert len(cuts) == 5
    for cut in cuts:
        names = names_in(before.body) | {r.axis for r in cut.stored}
        level = take_apart(nest, fold, cut, names)
        after = replace(
            before, buffers=(*before.buffers, level.buffer), body=(level.partial, level.rest, *before.body[1:])
        )
        assert_same_meaning(before, after, {})


def test_a_sum_beyond_the_second_cache_is_taken_in_blocks():
    """g of 1.2 MB is read five times: an image's part of it, 300 KB, stays in cache meanwhile."""
    before = weight_gradient(4, 6, 28, 448)
    after = contract(before, AVX512)
    verify(after)
    (found,) = contracts(after)
    assert found.lanes == 16
    assert CostModel.of(after.buffers, AVX512).stay(found)
    nest, rest = peel(after.body[0]), peel(after.body[1])
    blocks = axes_of(found.a) & axes_of(found.b) - {r.axis for r in found.k}
    assert nest.loops[0].axis in blocks  # the outermost loop
    assert isinstance(rest.body[0], Fold)
    assert volume(rest.body[0].ranges) * volume(found.k) == 4 * 28 * 448


@pytest.mark.parametrize(("height", "stays"), [(32, False), (30, True)])
def test_rows_that_share_the_sets_of_a_cache_do_not_stay(height, stays):
    """4 lines of 32 rows of 512 pixels: with 32 lines a row, those lie 64 KB apart, where a cache's sets repeat."""
    g, x = array("g", "temp", 1, 32, height, 512), array("x", "temp", 1, height + 2, 544)
    o, v, y, j = ranges(o=32, v=3, y=4, j=512)
    shifted = at("x", 0, "y", integer("add", "j", integer("mul", 16, "v")))
    found = Contract("s", o, v, (y, j), at("g", 0, "o", "y", "j"), shifted, (), lanes=16)
    model = CostModel.of([Buffer(a.name, a.dtype, a.shape, "temp", default_layout(a.shape)) for a in (g, x)], AVX512)
    assert model.stay(found) == stays


def test_the_whole_schedule():
    before = weight_gradient()
    after = schedule(before)
    assert [c.lanes for c in contracts(after)] == [16]
    assert_same_meaning(before, after, {})


def test_a_gradient_of_rows_against_numpy():
    after = contract(weight_gradient(), AVX512)
    rng = np.random.default_rng(0)
    g, x = (rng.normal(size=s).astype(np.float32).astype(float) for s in ((2, 6, 3, 32), (2, 7, 96)))
    windows = np.stack([[x[:, u : u + 3, 16 * v : 16 * v + 32] for v in range(5)] for u in range(5)])
    np.testing.assert_allclose(run(after, {})["w"], np.einsum("boyj,uvbyj->ouv", g, windows), rtol=1e-5, atol=1e-5)
