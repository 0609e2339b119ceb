"""select, built by hand: what is read where it is not taken, what needs no branch, and other instruction sets."""

from __future__ import annotations

import numpy as np
import pytest

from graphnn.emit.module import emit
from graphnn.emit.target import Target, host
from graphnn.lower.ir import Buffer, Fold, Store
from graphnn.simplify.expr import Axis, Local, Op, Range, Size
from tests.emit.native import both_ways, buffer, f32, integer, load, op, program, run, serial, vector

I, J = Axis("i"), Axis("j")
N = Size("N")
RNG = np.random.default_rng(3)


def padded(x: Buffer) -> Op:
    """x[i - 2] inside of x, else 0: the load is out of range where it is not taken."""
    at = op("sub", I, integer(2))
    inside = op("and", op("le", integer(0), at), op("lt", at, x.shape[0]))
    return Op("select", (inside, load(x, at), f32(0.0)), "float32")


def test_select_does_not_read_the_branch_it_does_not_take() -> None:
    x, y = buffer("x", ("N",)), buffer("y", (50,), role="output")
    p = program((vector("i", integer(50), Store("y", (I,), padded(x))),), x, y, sizes=("N",))
    data = RNG.normal(size=31).astype("float32")
    expected = np.zeros(50, "float32")
    expected[2:33] = data
    np.testing.assert_array_equal(both_ways(p, {"x": data}, N=31)["y"], expected)
    assert emit(p, host()).text.count("masked.load.v16f32") >= 2


def test_a_uniform_load_under_a_mask_is_guarded() -> None:
    """select(i < 0, x[10**12], 1): no lane takes it; reading it would crash."""
    x, y = buffer("x", (1,)), buffer("y", (20,), role="output")
    value = Op("select", (op("lt", I, integer(0)), load(x, integer(10**12)), f32(1.0)), "float32")
    got = both_ways(program((vector("i", integer(20), Store("y", (I,), value)),), x, y), {"x": np.ones(1, "float32")})
    assert (got["y"] == 1).all()


def test_an_operand_that_is_known_needs_no_branch() -> None:
    """relu: select(x > 0, x, 0) has read x for its condition, so it is one select even in scalar code."""
    x, y = buffer("x", ("N",)), buffer("y", ("N",), role="output")
    value = Op("select", (op("lt", f32(0.0), load(x, I)), load(x, I), f32(0.0)), "float32")
    p = program((serial("i", N, Store("y", (I,), value)),), x, y, sizes=("N",))
    assert " phi float" not in emit(p, host()).text
    data = RNG.normal(size=9).astype("float32")
    np.testing.assert_array_equal(both_ways(p, {"x": data}, N=9)["y"], np.maximum(data, 0))


@pytest.mark.parametrize("chosen", [True, False])
def test_what_both_branches_load_needs_no_branch(chosen: bool) -> None:
    """w[i] = select(c[], w[i] - 0.5*w[i], w[i]): an update that a condition may hold back."""
    w, c = buffer("w", ("N",), role="state"), buffer("c", (), "bool")
    update = op("sub", load(w, I), op("mul", f32(0.5), load(w, I)))
    value = Op("select", (load(c), update, load(w, I)), "float32")
    p = program((vector("i", N, Store("w", (I,), value)),), w, c, sizes=("N",))
    assert "either" not in emit(p, host()).text
    arrays = {"w": RNG.normal(size=21).astype("float32"), "c": np.array(chosen)}
    expected = arrays["w"] / 2 if chosen else arrays["w"]
    np.testing.assert_array_equal(both_ways(p, arrays, N=21)["w"], expected)


@pytest.mark.skipif(not host().triple.startswith("x86_64"), reason="names x86 processors")
@pytest.mark.parametrize(("cpu", "vector_bytes"), [("haswell", 32), ("x86-64", 16)])
def test_other_instruction_sets_give_the_same_bits(cpu: str, vector_bytes: int) -> None:
    """Narrower vectors, gathers and masks that LLVM takes apart, an fma that libm computes."""
    if vector_bytes > host().vector_bytes:
        pytest.skip("this machine does not run it")
    x, t, y = buffer("x", ("N",)), buffer("t", ("N",), "int64"), buffer("y", (50,), role="output")
    fold = Fold("s", "sum", (Range("j", integer(0), integer(3)),), None, op("mul", padded(x), load(x, J)))
    value = op("add", op("tanh", Local("s", "float32")), load(x, load(t, op("mod", I, N))))
    p = program((vector("i", integer(50), fold, Store("y", (I,), value)),), x, t, y, sizes=("N",))
    arrays = {"x": RNG.normal(size=29).astype("float32"), "t": RNG.permutation(29)}
    target = Target(host().triple, cpu, "", vector_bytes, 16)
    wide, narrow = (run(p, arrays, {"N": 29}, t)["y"] for t in (host(), target))
    assert wide.tobytes() == narrow.tobytes()
