"""tighten(): the text of each rewrite, and the same values as the guarded fold by brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from graphnn.errors import CompileError
from graphnn.lower.affine import affine, never_positive, split
from graphnn.lower.bounds import tighten
from graphnn.lower.guards import conjunction
from graphnn.lower.ir import Buffer, Fold, For, Let, Program, Store
from graphnn.lower.printer import header
from graphnn.simplify.expr import Local, Range, text
from tests.lower.make import at, e, op, poison, run, span

RNG = np.random.default_rng(1)


def one_fold(ranges, guard, value, buffers=(), reducer="sum"):
    """for p in 0 .. P: y[p] = fold."""
    fold = Fold("s0", reducer, tuple(ranges), guard, value)
    store = Store("y", (e("p"),), Local("s0", value.dtype))
    y = Buffer("y", value.dtype, (e("P"),), "output", (0,))
    loop = For("p", e(0), e("P"), (fold, store))
    return Program("p", ("A", "B", "N", "P"), (*buffers, y), (loop,))


def reduction_of(program):
    return tighten(program).body[0].body[0]


def x_of(*shape, dtype="float32"):
    return Buffer("x", dtype, tuple(map(e, shape)), "input", tuple(range(len(shape))))


def difference(stride, axis="r0"):
    return op("sub", "p", op("mul", stride, axis))


def between(lo, expr, hi):
    return op("and", op("le", lo, expr), op("lt", expr, hi))


# Text.


@pytest.mark.parametrize(
    ("guard", "expected"),
    [
        (between(0, difference(2), "B"), "max(0, (((p - B) + 2) // 2)) <= r0 < min(A, ((p // 2) + 1))"),
        (between(0, difference(1), "B"), "max(0, ((p - B) + 1)) <= r0 < min(A, (p + 1))"),
        (between(0, difference(-1), "B"), "max(0, (-p)) <= r0 < min(A, (B - p))"),
        (op("not", op("lt", "r0", 2)), "2 <= r0 < A"),
        (op("not", op("le", "A", "r0")), "0 <= r0 < A"),
        (op("lt", "r0", op("sub", "A", 3)), "0 <= r0 < (A - 3)"),
        (op("lt", "r0", op("add", "A", 3)), "0 <= r0 < A"),
        (op("eq", op("mul", 3, "r0"), "p"), "max(0, ((p + 2) // 3)) <= r0 < min(A, ((p // 3) + 1))"),
    ],
)
def test_affine_guards_become_bounds(guard, expected):
    fold = reduction_of(one_fold([span("r0", "A")], guard, at("x", "r0"), buffers=[x_of("A")]))
    assert header(fold) == f"fold s0 = sum[{expected}] x[r0]"


@pytest.mark.parametrize(
    "guard",
    [
        op("lt", op("mul", "N", "r0"), "p"),  # the coefficient is a size
        op("lt", op("mul", "r0", "r0"), "p"),  # not affine
        op("lt", "r0", at("k", "p", dtype="int64")),  # a loaded bound
        op("lt", "r0", op("floordiv", "p", "N")),  # divides by a size, which may be zero
        op("ne", "r0", "p"),
        op("lt", at("x", "r0"), 0.0),  # not of integers
        op("lt", "p", "N"),  # holds no reduced axis, and the loops do not imply it
    ],
)
def test_other_guards_stay(guard):
    program = one_fold([span("r0", "A")], guard, at("x", "r0"), buffers=[x_of("A")])
    assert tighten(program) == program


def test_a_guard_that_the_loops_imply_goes():
    guard = conjunction([between(0, "p", "P"), op("lt", "r0", op("add", "r0", 1)), op("le", 0, op("add", "p", "N"))])
    fold = reduction_of(one_fold([span("r0", "A")], guard, at("x", "r0"), buffers=[x_of("A")]))
    assert header(fold) == "fold s0 = sum[0 <= r0 < A] x[r0]"


def test_conditions_of_a_select_move_or_go_back():
    value = op("select", op("and", op("lt", "r0", "p"), op("lt", 0.0, at("x", "r0"))), at("x", "r0"), 0.0)
    fold = reduction_of(one_fold([span("r0", "A")], None, value, buffers=[x_of("A")]))
    assert header(fold) == "fold s0 = sum[0 <= r0 < min(A, p)] select((0.0 < x[r0]), x[r0], 0.0)"


def test_a_select_of_something_else_than_the_identity_stays():
    value = op("select", op("lt", "r0", "p"), at("x", "r0"), 0.0)
    program = one_fold([span("r0", "A")], None, value, buffers=[x_of("A")], reducer="max")
    assert tighten(program) == program


def test_one_term_of_a_loaded_position():
    picked = reduction_of(
        one_fold([span("r0", "A")], op("eq", "r0", at("k", "p", dtype="int64")), at("x", "r0"), buffers=[x_of("A")])
    )
    assert isinstance(picked, Let)
    assert header(picked) == "let s0 = select(((0 <= k[p]) and (k[p] < A)), x[k[p]], 0.0)"


def test_a_substituted_load_in_the_guard_is_read_only_in_range():
    guard = op("and", op("eq", "r0", op("sub", "p", 1)), op("lt", 0.0, at("x", "r0")))
    picked = reduction_of(one_fold([span("r0", "A")], guard, at("x", "r0"), buffers=[x_of("A")]))
    assert header(picked) == (
        "let s0 = select(select(((0 <= (p - 1)) and ((p - 1) < A)), (0.0 < x[(p - 1)]), False), x[(p - 1)], 0.0)"
    )


def test_an_equation_that_would_change_the_order_stays():
    """r0 == t[r1] sorts the terms by t, not by r1."""
    guard = op("eq", "r0", at("t", "r1", dtype="int64"))
    t = Buffer("t", "int64", (e("B"),), "input", (0,))
    program = one_fold([span("r0", "A"), span("r1", "B")], guard, at("x", "r0"), buffers=[x_of("A"), t])
    assert tighten(program) == program


def test_two_axes_in_one_equation():
    guard = op("eq", op("add", "r0", "r1"), "p")
    value = at("x", "r0", "r1")
    fold = reduction_of(one_fold([span("r0", "A"), span("r1", "B")], guard, value, buffers=[x_of("A", "B")]))
    assert header(fold) == "fold s0 = sum[max(0, ((p - B) + 1)) <= r0 < min(A, (p + 1))] x[r0, (p - r0)]"


# Values: the guarded fold is the oracle.


def agree(program, **sizes):
    arrays, results = {}, []
    for b in program.buffers[:-1]:
        shape = [sizes[extent.name] for extent in b.shape]
        arrays[b.name] = RNG.integers(-4, 5, shape) if b.dtype == "int64" else RNG.standard_normal(shape).astype("f4")
    for candidate in (program, tighten(program)):
        y = poison(sizes["P"])
        run(candidate, {**arrays, "y": y}, **sizes)
        results.append(y)
    np.testing.assert_array_equal(*results)


SIZES = [dict(zip("ABP", s, strict=True)) | {"N": 1} for s in product([0, 1, 3, 4], [0, 1, 2, 5], [7])]


@pytest.mark.parametrize(("stride", "shift"), list(product([-3, -2, -1, 1, 2, 3], [-1, 0, 2])))
def test_strided_window_against_its_guard(stride, shift):
    expr = op("add", difference(stride), shift)
    program = one_fold([span("r0", "A")], between(0, expr, "B"), at("x", "r0"), buffers=[x_of("A")])
    assert reduction_of(program).guard is None
    for sizes in SIZES:
        agree(program, **sizes)


@pytest.mark.parametrize(("stride", "dilation"), list(product([1, 2, 3], [1, 2, 3])))
def test_strided_and_dilated_equation_against_its_guard(stride, dilation):
    """The adjoint of a correlation before any solving: stride*r0 + dilation*r1 == p."""
    guard = op("eq", op("add", op("mul", stride, "r0"), op("mul", dilation, "r1")), "p")
    ranges = [span("r0", "A"), span("r1", "B")]
    program = one_fold(ranges, guard, at("x", "r0", "r1"), buffers=[x_of("A", "B")])
    assert reduction_of(program).guard is None
    for sizes in SIZES:
        agree(program, **sizes)


@pytest.mark.parametrize("reducer", ["sum", "max", "prod"])
def test_picks_against_their_guard(reducer):
    k = Buffer("k", "int64", (e("P"),), "input", (0,))
    guard = op("eq", op("sub", at("k", "p", dtype="int64"), "r0"), 1)
    program = one_fold([span("r0", "A")], guard, at("x", "r0"), buffers=[x_of("A"), k], reducer=reducer)
    assert isinstance(reduction_of(program), Let)
    for sizes in SIZES:
        agree(program, **sizes)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_correlation_adjoint_against_numpy(stride):
    """dx[p] = sum over o of g[o]*w[p - stride*o], where p - stride*o is in the window."""
    offset = difference(stride)
    w = Buffer("w", "float32", (e("B"),), "input", (0,))
    value = op("mul", at("x", "r0"), at("w", offset))
    program = tighten(one_fold([span("r0", "A")], between(0, offset, "B"), value, buffers=[x_of("A"), w]))
    g, kernel = RNG.standard_normal(4).astype("f4"), RNG.standard_normal(3).astype("f4")
    extent = stride * 3 + 3
    dx, expected = poison(extent), np.zeros(extent)
    for o in range(4):
        expected[stride * o : stride * o + 3] += g[o].astype(float) * kernel
    run(program, {"x": g, "w": kernel, "y": dx}, A=4, B=3, N=0, P=extent)
    np.testing.assert_allclose(dx, expected, rtol=1e-5, atol=1e-6)


def test_the_oracle_sees_a_wrong_bound():
    """A range that is too wide by one reads outside the window: the check above can fail."""
    offset = difference(2)
    w = Buffer("w", "float32", (e("B"),), "input", (0,))
    program = one_fold([span("r0", "A")], None, at("w", offset), buffers=[w])
    with pytest.raises(CompileError, match=r"w\[\(p - 2\*r0\)\]: the index \(-2,\) is outside the extents \(3,\)"):
        run(program, {"w": poison(3), "y": poison(1)}, A=2, B=3, N=0, P=1)


# Forms.


def test_affine_collects_and_prints_positive_terms_first():
    expr = op("sub", op("mul", 3, op("add", "p", 1)), op("add", op("mul", 2, "r0"), "p"))
    form = affine(expr)
    assert text(form.expr()) == "((2*p - 2*r0) + 3)"
    assert text(form.negated().expr()) == "((2*r0 - 2*p) - 3)"
    coefficient, rest = split(form, "r0")
    assert coefficient == -2
    assert text(rest.expr()) == "(2*p + 3)"
    assert affine(op("sub", "p", "p")).terms == ()
    assert split(affine(op("mul", "N", "p")), "p") is None


@pytest.mark.parametrize(
    ("expr", "known"),
    [
        (op("sub", op("add", "p", 1), "P"), True),
        (op("sub", "p", "P"), True),
        (op("sub", op("add", "p", 2), "P"), False),
        (op("sub", "q", "p"), True),
        (op("sub", "p", "q"), False),
        (op("neg", "N"), True),
        (e("N"), False),
    ],
)
def test_never_positive(expr, known):
    ranges = {"p": span("p", "P"), "q": Range("q", e(0), op("add", "p", 1))}
    assert never_positive(affine(expr), ranges) is known
