"""Contractions in native code, against NumPy in float64 and against a model of the multiply-add chains."""

from __future__ import annotations

import ctypes
import mmap
from dataclasses import replace

import numpy as np
import pytest

from graphnn.emit.access import slope
from graphnn.emit.module import emit
from graphnn.emit.target import Target, host
from graphnn.emit.tile import extent_of
from graphnn.errors import CompileError
from graphnn.lower.interpreter import interpret
from graphnn.lower.ir import Contract, For, Program, Range, Stmt, Store
from graphnn.run.jit import compile_object
from graphnn.run.link import load_object
from graphnn.simplify.expr import Axis, Const, DType, Expr, Load, Local, Op, Size
from tests.emit.native import buffer, integer, load, op, program, run, run_module

M, N, K = Axis("m"), Axis("n"), Axis("k")
EXTENTS = (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100)
RNG_SEED = 7


def extent(value: int | str) -> Expr:
    return Size(value) if isinstance(value, str) else integer(value)


def product_program(
    m: int | str,
    n: int | str,
    k: int | str,
    dtype: DType = "float32",
    layout: tuple[int, int] = (0, 1),
    body: tuple[Stmt, ...] | None = None,
) -> Program:
    """C[m, n] = sum over k of A[m, k]*B[k, n]; `layout` is A's."""
    a, b = buffer("A", (m, k), dtype, layout=layout), buffer("B", (k, n), dtype)
    c = buffer("C", (m, n), dtype, "output")
    contract = Contract(
        "acc",
        Range("m", integer(0), extent(m)),
        Range("n", integer(0), extent(n)),
        (Range("k", integer(0), extent(k)),),
        load(a, M, K),
        load(b, K, N),
        body or (Store("C", (M, N), Local("acc", dtype)),),
    )
    return program((contract,), a, b, c, sizes=tuple(e for e in (m, n, k) if isinstance(e, str)))


def factors(m: int, n: int, k: int, dtype: DType = "float32") -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([RNG_SEED, m, n, k])
    return rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)


def assert_is_product(c: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """Within k roundings of the sum of magnitudes, as any order of summation is."""
    wide, size = np.longdouble, np.abs(a).astype(float) @ np.abs(b).astype(float)
    error = np.abs(c.astype(wide) - a.astype(wide) @ b.astype(wide))
    assert np.all(error <= (a.shape[1] + 1) * np.finfo(c.dtype).eps * size)


def chain_model(a: np.ndarray, b: np.ndarray, chain: int = 512) -> np.ndarray:
    """float32 chains in float64: a product of two float32 is exact there, so only the sum is rounded twice."""
    total_sum = np.zeros((a.shape[0], b.shape[1]), np.float32)
    for first in range(0, a.shape[1], chain):
        acc = np.zeros_like(total_sum)
        for t in range(first, min(first + chain, a.shape[1])):
            term = a[:, t, None].astype(np.float64) * b[None, t, :].astype(np.float64)
            acc = (term + acc.astype(np.float64)).astype(np.float32)
        total_sum = acc if first == 0 else total_sum + acc
    return total_sum


class Compiled:
    """A program that is compiled once and run on arrays of many sizes; outputs are filled with -7 before."""

    def __init__(self, p: Program, target: Target | None = None) -> None:
        self.program, machine = p, target or host()
        emitted = emit(p, machine)
        self.function = load_object(compile_object(emitted.text, machine), emitted.entry)

    def __call__(self, arrays: dict[str, np.ndarray], sizes: dict[str, int]) -> dict[str, np.ndarray]:
        stored = []
        for b in self.program.buffers:
            shape = tuple(sizes[d.name] if isinstance(d, Size) else int(d.value) for d in b.shape)  # type: ignore[union-attr]
            array = arrays.get(b.name, np.full(shape, -7, b.dtype))
            stored.append(np.array(array.transpose(b.layout), order="C"))
        pointers = (ctypes.c_void_p * len(stored))(*(a.ctypes.data for a in stored))
        numbers = (ctypes.c_int64 * 3)(*(sizes[s] for s in self.program.sizes))
        assert self.function(ctypes.addressof(pointers), ctypes.addressof(numbers)) == 0
        return {b.name: a.transpose(np.argsort(b.layout)) for b, a in zip(self.program.buffers, stored, strict=True)}


def targets() -> list[Target]:
    """The host with vectors of 16, 32 and 64 bytes, as far as it has them."""
    here, registers = host(), {16: 16, 32: 16, 64: 32}
    return [
        replace(here, vector_bytes=size, vector_registers=min(count, here.vector_registers))
        for size, count in registers.items()
        if size <= here.vector_bytes
    ]


@pytest.mark.parametrize("m", EXTENTS)
def test_all_extents_at_run_time(m: int) -> None:
    """One program for all extents, of A as it stands and transposed."""
    for layout in ((0, 1), (1, 0)):
        native = Compiled(product_program("m", "n", "k", layout=layout))
        for n in EXTENTS:
            for k in EXTENTS:
                a, b = factors(m, n, k)
                assert_is_product(native({"A": a, "B": b}, {"m": m, "n": n, "k": k})["C"], a, b)


@pytest.mark.parametrize("target", targets(), ids=lambda t: f"{8 * t.vector_bytes}bit")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("m", "n", "k"), [(0, 3, 3), (3, 0, 3), (3, 3, 0), (1, 100, 9), (33, 17, 31), (15, 64, 7)])
def test_constant_extents_on_every_vector_width(target: Target, dtype: DType, m: int, n: int, k: int) -> None:
    a, b = factors(m, n, k, dtype)
    for layout in ((0, 1), (1, 0)):
        arrays = run(product_program(m, n, k, dtype, layout), {"A": a, "B": b}, target=target)
        assert_is_product(arrays["C"], a, b)


@pytest.mark.parametrize("k", [512, 513, 1024, 1300])
@pytest.mark.parametrize("known", [True, False])
def test_chains_of_512_terms(k: int, known: bool) -> None:
    m, n = 15, 33
    a, b = factors(m, n, k)
    sizes = {} if known else {"m": m, "n": n, "k": k}
    p = product_program(m, n, k) if known else product_program("m", "n", "k")
    c = run(p, {"A": a, "B": b}, sizes)["C"]
    assert_same_bits(c, chain_model(a, b))
    assert k == 512 or np.mean(chain_model(a, b, chain=k) != c) > 0.01, "the model tells one chain from several"


def assert_same_bits(c: np.ndarray, expected: np.ndarray) -> None:
    """Equal but for the rare double rounding of the model."""
    assert np.mean(c != expected) < 1e-3
    np.testing.assert_array_max_ulp(c, expected, maxulp=64)


def test_zeros_keep_the_sign_of_a_chain_that_starts_at_zero() -> None:
    a, b = np.full((2, 3), -1e-30, np.float32), np.full((3, 20), 1e-30, np.float32)
    b[:, 5] = 0
    c = run(product_program(2, 20, 3), {"A": a, "B": b})["C"]
    assert np.array_equal(np.signbit(c), np.arange(20)[None, :].repeat(2, 0) != 5)


@pytest.mark.parametrize("known", [True, False])
def test_an_element_does_not_depend_on_the_tiles(known: bool) -> None:
    """Rows of 64 and of 33, columns of 100 and of 17: other heights, widths and masks, the same bits."""
    k = 600
    a, b = factors(64, 100, k)
    whole = run(product_program(64, 100, k), {"A": a, "B": b})["C"]
    for m, n in ((33, 100), (64, 17), (1, 1), (13, 50), (7, 99)):
        sizes = {} if known else {"m": m, "n": n, "k": k}
        p = product_program(m, n, k) if known else product_program("m", "n", "k")
        part = run(p, {"A": a[:m], "B": np.ascontiguousarray(b[:, :n])}, sizes)["C"]
        assert np.array_equal(part, whole[:m, :n])


@pytest.mark.parametrize("n", [10, 32, "n"])
def test_epilogue_reads_a_bias_and_stores_twice(n: int | str) -> None:
    m, k, columns = 33, 20, 37 if n == "n" else int(n)
    a, b = factors(m, columns, k)
    bias = np.linspace(-3, 3, columns, dtype=np.float32)
    z = op("add", Local("acc", "float32"), Load("bias", (N,), "float32"))
    body = (
        Store("C", (M, N), z),
        Store("H", (N, M), op("max", z, Const(0.0, "float32"))),
    )
    p = product_program(m, n, k, body=body)
    p = replace(p, buffers=(*p.buffers, buffer("bias", (n,)), buffer("H", (n, m), role="output")))
    arrays = run(p, {"A": a, "B": b, "bias": bias}, {"n": columns} if n == "n" else {})
    assert np.array_equal(arrays["C"], chain_exact(a, b) + bias)
    assert np.array_equal(arrays["H"], np.maximum(arrays["C"], 0).T)


def chain_exact(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return run(product_program(a.shape[0], b.shape[1], a.shape[1]), {"A": a, "B": b})["C"]


def test_epilogue_knows_its_row_and_its_column() -> None:
    """C[m, n] = acc + 100*m + n, with no term to the sum."""
    position = op("add", op("mul", M, integer(100)), N)
    body = (Store("C", (M, N), op("add", Local("acc", "float32"), Op("cast", (position,), "float32"))),)
    c = run(product_program(33, 37, 0, body=body), {"A": np.empty((33, 0), "f4"), "B": np.empty((0, 37), "f4")})["C"]
    assert np.array_equal(c, 100 * np.arange(33)[:, None] + np.arange(37))


def test_epilogue_updates_weights_in_place() -> None:
    """Momentum: v = 0.5*v + g; w = w - 0.25*v, each element once, after its own sum."""
    m, n, k = 20, 21, 5
    a, b = factors(m, n, k)
    rng = np.random.default_rng(RNG_SEED)
    w0, v0 = rng.standard_normal((2, m, n)).astype(np.float32)
    half, rate = Const(0.5, "float32"), Const(-0.25, "float32")
    v, w = Load("V", (M, N), "float32"), Load("W", (M, N), "float32")
    body = (
        Store("V", (M, N), op("add", op("mul", half, v), Local("acc", "float32"))),
        Store("W", (M, N), op("add", w, op("mul", rate, v))),
    )
    p = product_program(m, n, k, body=body)
    p = replace(p, buffers=(*p.buffers[:2], buffer("V", (m, n), role="state"), buffer("W", (m, n), role="state")))
    arrays = run(p, {"A": a, "B": b, "V": v0, "W": w0})
    v1 = np.float32(0.5) * v0 + chain_exact(a, b)
    assert np.array_equal(arrays["V"], v1)
    assert np.array_equal(arrays["W"], w0 + np.float32(-0.25) * v1)


def correlation(channels: int | str, kernel: int, width: int) -> Program:
    """Y[o, x] = sum over c, i, j of F[o, c, i, j]*X[c, i, x + j]: three reduced axes that do not run on in X."""
    c, i, j = Axis("c"), Axis("i"), Axis("j")
    filters = buffer("F", (9, channels, kernel, kernel))
    image = buffer("X", (channels, kernel, width + kernel - 1))
    contract = Contract(
        "acc",
        Range("m", integer(0), integer(9)),
        Range("n", integer(0), integer(width)),
        (Range("c", integer(0), extent(channels)), *(Range(r, integer(0), integer(kernel)) for r in "ij")),
        load(filters, M, c, i, j),
        load(image, c, i, op("add", N, j)),
        (Store("Y", (M, N), Local("acc", "float32")),),
    )
    sizes = (channels,) if isinstance(channels, str) else ()
    return program((contract,), filters, image, buffer("Y", (9, width), role="output"), sizes=sizes)


@pytest.mark.parametrize("channels", [0, 1, 2, 60, "c"])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_several_reduced_axes_form_one_chain(channels: int | str, kernel: int) -> None:
    """Up to 1500 terms: the chains of 512 end in the middle of a row of the kernel."""
    depth, width = 60 if channels == "c" else int(channels), 21
    rng = np.random.default_rng(RNG_SEED)
    f = rng.standard_normal((9, depth, kernel, kernel)).astype(np.float32)
    x = rng.standard_normal((depth, kernel, width + kernel - 1)).astype(np.float32)
    y = run(correlation(channels, kernel, width), {"F": f, "X": x}, {"c": depth} if channels == "c" else {})["Y"]
    windows = np.lib.stride_tricks.sliding_window_view(x, width, axis=2)  # c, i, j, x
    assert_same_bits(y, chain_model(f.reshape(9, -1), windows.reshape(-1, width)))


@pytest.mark.parametrize(("channels", "kernel"), [(2, 3), (23, 5)])
def test_same_bits_as_the_interpreter(channels: int, kernel: int) -> None:
    p, rng = correlation(channels, kernel, 5), np.random.default_rng(RNG_SEED)
    f = rng.standard_normal((9, channels, kernel, kernel)).astype(np.float32)
    x = rng.standard_normal((channels, kernel, kernel + 4)).astype(np.float32)
    interpreted = {"F": f, "X": x, "Y": np.zeros((9, 5), np.float32)}
    interpret(p, interpreted, {})
    assert np.array_equal(run(p, {"F": f, "X": x})["Y"], interpreted["Y"])


def test_axes_that_run_on_are_merged() -> None:
    """Channels of a 1x1 kernel are one level; with 3x3, c and i run on in F and in X, j does not."""
    for kernel, levels in ((1, 1), (3, 2)):
        names = {
            line.split("(")[0] for line in emit(correlation(4, kernel, 8), host()).text.split("@") if "tile." in line
        }
        assert {name.rsplit(".", 1)[1] for name in names} == {f"k{levels}"}


def test_a_block_of_a_larger_matrix() -> None:
    """Ranges that begin past zero, an outer loop, a reversed and strided a; what is outside stays as it was."""
    g = Axis("g")
    a, b = buffer("A", ("g", 30, 40)), buffer("B", (30, 50))
    contract = Contract(
        "acc",
        Range("m", integer(3), integer(20)),
        Range("n", integer(5), integer(43)),
        (Range("k", g, op("add", g, integer(9))),),
        load(a, g, op("sub", integer(29), M), op("mul", integer(2), K)),
        load(b, K, N),
        (Store("C", (g, M, N), Local("acc", "float32")),),
    )
    p = program(
        (For("g", integer(0), Size("g"), (contract,)),), a, b, buffer("C", ("g", 30, 50), role="output"), sizes=("g",)
    )
    rng = np.random.default_rng(RNG_SEED)
    left, right = (rng.integers(-9, 9, shape).astype(np.float32) for shape in ((4, 30, 40), (30, 50)))
    expected = np.full((4, 30, 50), -7, np.float32)
    for i in range(4):
        rows = left[i, ::-1][3:20, 2 * i : 2 * (i + 9) : 2]
        expected[i, 3:20, 5:43] = rows @ right[i : i + 9, 5:43]
    assert np.array_equal(run(p, {"A": left, "B": right}, {"g": 4})["C"], expected)


def test_debug_checks_the_operands() -> None:
    """B is addressed one row too far; nothing is where an extent is zero."""
    for m, code in ((4, True), (0, False)):
        p = product_program(m, 8, "k")
        short = replace(p, buffers=(p.buffers[0], buffer("B", (5, 8)), p.buffers[2]))
        arrays = [np.zeros((m, 6), "f4"), np.zeros((5, 8), "f4"), np.zeros((m, 8), "f4")]
        emitted = emit(short, host(), debug=True)
        returned = run_module(emitted, host(), arrays, [6])
        assert bool(returned) == code
        assert not code or emitted.checks[returned].buffer == "B"
        assert run_module(emitted, host(), arrays, [5]) == 0


def at_the_end_of_memory(shape: tuple[int, ...]) -> np.ndarray:
    """An array of ones behind which no address may be touched: a fault there ends the test run."""
    size = 4 * int(np.prod(shape))
    block = mmap.mmap(-1, (-(-size // mmap.PAGESIZE) + 1) * mmap.PAGESIZE)
    end = len(block) - mmap.PAGESIZE
    guard = ctypes.addressof(ctypes.c_char.from_buffer(block, end))
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(guard), mmap.PAGESIZE, 0) == 0
    array = np.frombuffer(block, np.float32, size // 4, end - size).reshape(shape)
    array[...] = 1
    return array


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mprotect"), reason="needs page protection")
@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 1), (3, 10, 5), (15, 33, 7), (9, 17, 1)])
@pytest.mark.parametrize("known", [True, False])
def test_touches_nothing_behind_its_operands(m: int, n: int, k: int, known: bool) -> None:
    p = product_program(m, n, k) if known else product_program("m", "n", "k")
    a, b, c = (at_the_end_of_memory(shape) for shape in ((m, k), (k, n), (m, n)))
    assert run_module(emit(p, host()), host(), [a, b, c], [m, n, k]) == 0
    assert np.all(c == k)


def changed(p: Program, **fields: object) -> Program:
    (contract,) = p.body
    assert isinstance(contract, Contract)
    return replace(p, body=(replace(contract, **fields),))  # type: ignore[arg-type]


A_MK, B_KN = Load("A", (M, K), "float32"), Load("B", (K, N), "float32")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"b": Load("B", (N, K), "float32")}, "unit stride along n"),
        ({"b": op("add", B_KN, B_KN)}, "not a Load"),
        ({"a": Load("A", (M, op("mul", K, K)), "float32")}, "not affine in k"),
        ({"a": Load("A", (M, N), "float32")}, "depends on n"),
        ({"body": (Store("A", (M, N), Local("acc", "float32")),)}, "stores to A"),
    ],
)
def test_refuses_what_must_be_packed_first(fields: dict[str, object], message: str) -> None:
    with pytest.raises(CompileError, match=message):
        emit(changed(product_program(8, 8, 8), **fields), host())


def test_slope() -> None:
    i, size = Axis("i0"), Size("N")
    stride = op("mul", size, integer(64))
    assert slope(op("add", op("mul", i, stride), Axis("r0")), "i0") == stride
    assert slope(op("sub", integer(5), op("mul", integer(3), i)), "i0") == integer(-3)
    assert slope(op("mul", i, i), "i0") is None
    assert slope(Load("token", (i,), "int64"), "i0") is None


def test_extent() -> None:
    size, block = Size("N"), op("mul", integer(64), Axis("g"))
    assert extent_of(Range("i0", block, op("add", block, integer(64)))) == integer(64)
    assert extent_of(Range("i0", integer(0), size)) == size
    assert extent_of(Range("i0", integer(2), size)) == op("max", op("sub", size, integer(2)), integer(0))
    assert extent_of(Range("i0", integer(9), integer(5))) == integer(0)


def test_ranges_that_end_before_they_begin_are_empty() -> None:
    """No row where hi < lo; two negative extents are no terms, not a positive number of them."""
    ranges = tuple(Range(axis, Size("lo"), integer(0)) for axis in "ij")
    i, j = Axis("i"), Axis("j")
    a, b = buffer("A", (4, 3, 3)), buffer("B", (3, 3, 20))
    body = (Store("C", (M, N), Local("acc", "float32")),)
    arrays = {"A": np.ones((4, 3, 3), "f4"), "B": np.ones((3, 3, 20), "f4")}
    for last, expected in ((Size("lo"), 0), (integer(4), 0), (integer(-1), -7)):
        rows, columns = Range("m", integer(0), last), Range("n", integer(0), integer(20))
        contract = Contract("acc", rows, columns, ranges, load(a, M, i, j), load(b, i, j, N), body)
        p = program((contract,), a, b, buffer("C", (4, 20), role="output"), sizes=("lo",))
        c = run(p, arrays, {"lo": 2})["C"]
        assert np.all(c[: 2 if last == Size("lo") else 4] == expected)
