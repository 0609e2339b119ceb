"""Integer forms against the numbers that expressions have."""

import pytest

from graphnn.lower.affine import affine, never_positive, split
from graphnn.simplify.expr import Axis, Op, Range, Size, index_constant, text


def op(fn, *args):
    return Op(fn, args, "int64")


i, r, N = Axis("i"), Axis("r"), Size("N")
TWO, THREE = map(index_constant, (2, 3))
FORM = op("sub", op("add", op("mul", TWO, r), op("mul", THREE, op("add", i, N))), op("add", r, TWO))


def test_terms_are_collected():
    assert text(affine(FORM).expr()) == "(((r + 3*i) + 3*N) - 2)"


@pytest.mark.parametrize(
    ("axis", "times", "left"), [("r", 1, "((3*i + 3*N) - 2)"), ("i", 3, "((r + 3*N) - 2)"), ("j", 0, None)]
)
def test_an_axis_is_split_off(axis, times, left):
    coefficient, rest = split(affine(FORM), axis)
    assert coefficient == times
    assert text(rest.expr()) == (left or text(affine(FORM).expr()))


def test_no_axis_is_split_off_that_the_rest_still_holds():
    half = op("add", i, op("floordiv", i, TWO))
    assert split(affine(half), "i") is None
    assert affine(half).apart("i")[0] == 1


def test_an_index_stays_below_its_size():
    ranges = {"i": Range("i", index_constant(0), N), "r": Range("r", i, op("add", i, TWO))}
    assert never_positive(affine(op("sub", i, op("sub", N, index_constant(1)))), ranges)
    assert never_positive(affine(op("sub", r, N)), ranges)  # r < i + 2 <= N + 1
    assert not never_positive(affine(op("add", op("sub", r, N), index_constant(1))), ranges)
