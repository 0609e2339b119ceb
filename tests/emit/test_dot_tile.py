"""Contractions with terms in the lanes, against a model of their chains, the interpreter and NumPy in long doubles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graphnn.emit.module import emit
from graphnn.emit.target import Target, host
from graphnn.errors import CompileError
from graphnn.lower.interpreter import interpret
from graphnn.lower.ir import Contract, Program, Range, Stmt, Store
from graphnn.lower.verify import verify
from graphnn.simplify.expr import Axis, DType, Load, Local
from tests.emit.native import buffer, integer, load, op, program, run
from tests.emit.test_tile import Compiled, extent, targets

M, N, K = Axis("m"), Axis("n"), Axis("k")
EXTENTS = (0, 1, 2, 3, 5, 6, 7, 16, 33, 64)


def dot_program(
    m: int | str, n: int | str, k: int, lanes: int = 16, dtype: DType = "float32", body: tuple[Stmt, ...] | None = None
) -> Program:
    """C[m, n] = sum over k of A[m, k]*B[n, k], both read along k."""
    a, b, c = buffer("A", (m, k), dtype), buffer("B", (n, k), dtype), buffer("C", (m, n), dtype, "output")
    contract = Contract(
        "acc",
        Range("m", integer(0), extent(m)),
        Range("n", integer(0), extent(n)),
        (Range("k", integer(0), integer(k)),),
        load(a, M, K),
        load(b, N, K),
        body or (Store("C", (M, N), Local("acc", dtype)),),
        lanes=lanes,
    )
    return program((contract,), a, b, c, sizes=tuple(e for e in (m, n) if isinstance(e, str)))


def factors(m: int, n: int, k: int, dtype: DType = "float32") -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([5, m, n, k])
    return rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((n, k)).astype(dtype)


def lane_model(a: np.ndarray, b: np.ndarray, lanes: int = 16, chain: int = 512) -> np.ndarray:
    """Lane l has the terms l, l + lanes ...; float32 chains in float64, where a product of two float32 is exact."""
    total = np.zeros((len(a), len(b)), np.float32)
    for first in range(0, a.shape[1], lanes * chain):
        acc = np.zeros((len(a), len(b), lanes), np.float32)
        for t in range(first, min(first + lanes * chain, a.shape[1]), lanes):
            term = a[:, None, t : t + lanes].astype(np.float64) * b[None, :, t : t + lanes].astype(np.float64)
            acc = (term + acc.astype(np.float64)).astype(np.float32)
        while acc.shape[2] > 1:
            low, high = np.split(acc, 2, axis=2)
            acc = low + high
        total = acc[:, :, 0] if first == 0 else total + acc[:, :, 0]
    return total


def assert_same_bits(c: np.ndarray, expected: np.ndarray) -> None:
    """Equal but for the rare double rounding of the model."""
    assert c.shape == expected.shape
    assert np.count_nonzero(c != expected) <= c.size / 500
    if c.size:
        np.testing.assert_array_max_ulp(c, expected, maxulp=64)


def assert_is_product(c: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """Within k roundings of the sum of magnitudes, as any order of summation is."""
    wide, size = np.longdouble, np.abs(a).astype(float) @ np.abs(b).astype(float).T
    error = np.abs(c.astype(wide) - a.astype(wide) @ b.astype(wide).T)
    assert np.all(error <= (a.shape[1] + 1) * np.finfo(c.dtype).eps * size)


def test_all_extents_at_run_time() -> None:
    """One program for all extents of m and n, over no term, one vector and three."""
    for k in (0, 16, 48):
        native = Compiled(dot_program("m", "n", k))
        for m in EXTENTS:
            for n in EXTENTS:
                a, b = factors(m, n, k)
                c = native({"A": a, "B": b}, {"m": m, "n": n})["C"]
                assert_same_bits(c, lane_model(a, b))


@pytest.mark.parametrize("target", targets(), ids=lambda t: f"{8 * t.vector_bytes}bit")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("m", "n", "k"), [(0, 3, 16), (3, 0, 16), (3, 3, 0), (6, 5, 160), (33, 17, 32), (1, 20, 48)])
def test_constant_extents_on_every_vector_width(target: Target, dtype: DType, m: int, n: int, k: int) -> None:
    a, b = factors(m, n, k, dtype)
    for lanes in {target.lanes(dtype), 16}:  # 16 also where a vector has fewer: two or more registers each
        p = dot_program(m, n, k, lanes, dtype)
        verify(p)
        c = run(p, {"A": a, "B": b}, target=target)["C"]
        assert_is_product(c, a, b)
        if dtype == "float32":
            assert_same_bits(c, lane_model(a, b, lanes))


@pytest.mark.parametrize("steps", [1, 511, 512, 513, 1024, 1300])
def test_chains_of_512_terms_in_each_lane(steps: int) -> None:
    a, b = factors(7, 6, 4 * steps)
    c = run(dot_program(7, 6, 4 * steps, lanes=4), {"A": a, "B": b})["C"]
    assert_same_bits(c, lane_model(a, b, 4))
    assert steps <= 512 or np.mean(lane_model(a, b, 4, chain=steps) != c) > 0.01, "the model tells one chain from two"


@pytest.mark.parametrize("known", [True, False])
def test_an_element_does_not_depend_on_the_tiles(known: bool) -> None:
    a, b = factors(64, 40, 16 * 40)
    whole = run(dot_program(64, 40, 640), {"A": a, "B": b})["C"]
    for m, n in ((1, 1), (6, 5), (33, 40), (64, 3), (7, 39)):
        p = dot_program(m, n, 640) if known else dot_program("m", "n", 640)
        part = run(p, {"A": a[:m], "B": b[:n]}, {} if known else {"m": m, "n": n})["C"]
        assert np.array_equal(part, whole[:m, :n])


def weight_gradient(images: int, filters: int, height: int, width: int, kernel: int, lanes: int = 8) -> Program:
    """W[o, v] = sum over b, y, j of G[b, o, y, j]*X[b, y + 1, j + 8*v]: three reduced axes, overlapping columns."""
    i, y, j = Axis("b"), Axis("y"), Axis("j")
    g = buffer("G", (images, filters, height, width))
    x = buffer("X", (images, height + 2, width + 8 * kernel))
    contract = Contract(
        "acc",
        Range("m", integer(0), integer(filters)),
        Range("n", integer(0), integer(kernel)),
        tuple(Range(r, integer(0), integer(e)) for r, e in (("b", images), ("y", height), ("j", width))),
        load(g, i, M, y, j),
        load(x, i, op("add", y, integer(1)), op("add", j, op("mul", integer(8), N))),
        (Store("W", (M, N), Local("acc", "float32")),),
        lanes=lanes,
    )
    p = program((contract,), g, x, buffer("W", (filters, kernel), role="output"))
    verify(p)
    return p


@pytest.mark.parametrize(
    ("images", "height", "width"), [(0, 3, 8), (2, 0, 8), (1, 1, 8), (2, 3, 40), (2, 14, 168), (3, 175, 8)]
)
def test_a_weight_gradient_has_the_bits_of_the_interpreter(images: int, height: int, width: int) -> None:
    """Up to 588 terms in each lane: a chain ends in the middle of a row. A row of one vector is a level by itself."""
    p, rng = weight_gradient(images, 6, height, width, 5), np.random.default_rng(7)
    g = rng.standard_normal((images, 6, height, width)).astype(np.float32)
    x = rng.standard_normal((images, height + 2, width + 40)).astype(np.float32)
    interpreted = {"G": g, "X": x, "W": np.zeros((6, 5), np.float32)}
    interpret(p, interpreted, {})
    assert np.array_equal(run(p, {"G": g, "X": x})["W"], interpreted["W"])


def test_zeros_keep_the_sign_of_a_chain_that_starts_at_zero() -> None:
    a, b = np.full((2, 16), -1e-30, np.float32), np.full((3, 16), 1e-30, np.float32)
    b[1] = 0
    c = run(dot_program(2, 3, 16), {"A": a, "B": b})["C"]
    assert np.array_equal(np.signbit(c), [[True, False, True]] * 2)


def test_epilogue_updates_weights_in_place() -> None:
    a, b = factors(9, 21, 32)
    w0 = np.random.default_rng(3).standard_normal((9, 21)).astype(np.float32)
    body = (Store("W", (M, N), op("sub", Load("W", (M, N), "float32"), Local("acc", "float32"))),)
    p = dot_program(9, 21, 32, body=body)
    p = replace(p, buffers=(*p.buffers[:2], buffer("W", (9, 21), role="state")))
    exact = run(dot_program(9, 21, 32), {"A": a, "B": b})["C"]
    assert np.array_equal(run(p, {"A": a, "B": b, "W": w0})["W"], w0 - exact)


@pytest.mark.parametrize("buffer_name", ["A", "B"])
def test_refuses_a_factor_without_unit_stride_along_the_terms(buffer_name: str) -> None:
    p = dot_program(8, 8, 16)
    turned = [replace(b, layout=(1, 0)) if b.name == buffer_name else b for b in p.buffers]
    with pytest.raises(CompileError, match=rf"{buffer_name}\[., k\] does not have unit stride along k"):
        emit(replace(p, buffers=tuple(turned)), host())


def test_dots_of_a_module_share_their_tiles() -> None:
    p = dot_program(8, 8, 32)
    text = emit(replace(p, body=p.body * 2), host()).text
    names = [line.split("(")[0] for line in text.splitlines() if line.startswith("define internal void @dot.")]
    assert len(names) == len(set(names)) <= 4
