"""The emitted functions against mpmath and float64; their coefficients against a fresh derivation."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import llvmlite.binding as llvm
import mpmath
import numpy as np
import pytest

from graphnn.emit import coefficients, minimax, remez, tables
from graphnn.emit.target import host
from graphnn.emit.vector_math import FUNCTIONS, emit_function
from graphnn.emit.writer import Module, Value, Writer
from graphnn.errors import CompileError
from tests.emit.measure_ulp import (
    Array,
    compile_loop,
    exact_errors,
    in_domain,
    power_pairs,
    reference64,
    reference_exact,
    ulp_errors,
    write_loop,
)

BOUND32 = {"exp": 1.0, "log": 1.0, "pow": 1.0}  # 2.0 for all others
BOUND64 = 2.0
INF, NAN = np.inf, np.nan

# fmt: off
SPECIAL = {
    "exp":     [(-INF, 0.0), (INF, INF), (0.0, 1.0), (-0.0, 1.0), (-1e4, 0.0), (1e4, INF), (NAN, NAN)],
    "log":     [(0.0, -INF), (-0.0, -INF), (-1.0, NAN), (-INF, NAN), (INF, INF), (1.0, 0.0), (NAN, NAN)],
    "log1p":   [(-1.0, -INF), (-2.0, NAN), (-INF, NAN), (INF, INF), (0.0, 0.0), (-0.0, -0.0), (NAN, NAN)],
    "expm1":   [(-INF, -1.0), (INF, INF), (-1e4, -1.0), (1e4, INF), (0.0, 0.0), (-0.0, -0.0), (NAN, NAN)],
    "tanh":    [(-INF, -1.0), (INF, 1.0), (-1e3, -1.0), (1e3, 1.0), (0.0, 0.0), (-0.0, -0.0), (NAN, NAN)],
    "sigmoid": [(-INF, 0.0), (INF, 1.0), (1e3, 1.0), (-1e3, 0.0), (0.0, 0.5), (-0.0, 0.5), (NAN, NAN)],
    "erf":     [(-INF, -1.0), (INF, 1.0), (-1e3, -1.0), (1e30, 1.0), (0.0, 0.0), (-0.0, -0.0), (NAN, NAN)],
    "erfc":    [(-INF, 2.0), (INF, 0.0), (-1e3, 2.0), (1e30, 0.0), (0.0, 1.0), (-0.0, 1.0), (NAN, NAN)],
    "sin":     [(-INF, NAN), (INF, NAN), (0.0, 0.0), (-0.0, -0.0), (NAN, NAN)],
    "cos":     [(-INF, NAN), (INF, NAN), (0.0, 1.0), (-0.0, 1.0), (NAN, NAN)],
}
# fmt: on


# As this machine has it, and the float32 functions that have tables in registers, or none, as others have them.
OTHERS = [(name, 32) for name in ("erf", "erfc")]
VARIANTS = [(name, None) for name in FUNCTIONS] + OTHERS


@cache
def compiled(name: str, dtype: str, lanes: int, vector_bytes: int | None = None):
    return compile_loop(name, dtype, lanes, vector_bytes)


def all_exponents(dtype: str, per_exponent: int) -> Array:
    """Random mantissas under every exponent, subnormals included, in both signs."""
    mantissa, unsigned = np.finfo(dtype).nmant, {"float32": "u4", "float64": "u8"}[dtype]
    exponents = np.arange(2 ** (np.dtype(dtype).itemsize * 8 - 1 - mantissa) - 1, dtype=unsigned)
    bits = np.repeat(exponents << mantissa, per_exponent)
    bits |= np.random.default_rng(1).integers(0, 1 << mantissa, bits.size).astype(unsigned)
    x = bits.view(dtype)
    return np.concatenate([x, -x])


def near_boundaries(name: str, dtype: str, reach: int) -> Array:
    """The neighbours of the points where a reduction changes, a result overflows, or turns subnormal."""
    info, ln2 = np.finfo(dtype), np.log(2.0)
    top, bottom = int(info.maxexp), int(info.minexp) - int(info.nmant)
    if name in ("log", "log1p"):
        centres = np.sqrt(0.5) * 2.0 ** np.arange(-4, 5) - (name == "log1p")
        centres = np.append(centres, [float(info.tiny), float(info.max), 1.0, -1 + 2.0**-20, 2.0**-info.nmant])
    elif name in ("sin", "cos"):
        centres = np.concatenate([np.arange(-9, 10), 2.0 ** np.arange(4, top - 2)]) * np.pi / 4
    elif name in ("erf", "erfc"):
        ends = np.sqrt(-ln2 * np.array([bottom - 1, bottom, info.minexp, -100, -24, -1]))
        ends = np.append(ends, np.outer([1, 2, 4, 8], 1 + np.arange(8) / 8) - 1)  # of the pieces
        centres = np.concatenate([[0.5, 0.75, 2.75], ends])
        centres = np.concatenate([centres, -centres])
    else:
        n = [bottom - 1, bottom, info.minexp, -100, -24, -2, -1, 0, 1, 2, 24, 100, top - 1, top]
        centres = (np.array(n) + 0.5) * ln2 / (2 if name == "tanh" else 1)
        centres = np.concatenate([centres, np.array(n) * ln2, [2.0 ** -(info.nmant + 2), 0.55]])
    unsigned = {"float32": "u4", "float64": "u8"}[dtype]
    bits = centres.astype(dtype).view(unsigned)[:, None] + np.arange(-reach, reach).astype(unsigned)
    return bits.ravel().view(dtype)


def pad(x: Array, lanes: int = 16) -> Array:
    return np.resize(x, -(-x.size // lanes) * lanes)


@pytest.mark.parametrize(("name", "vector_bytes"), VARIANTS)
def test_float32_error(name: str, vector_bytes: int | None) -> None:
    uniform = np.random.default_rng(2).uniform(-110, 110, 400_000).astype("f4")
    x = pad(
        np.concatenate([all_exponents("float32", 600), near_boundaries(name, "float32", 500), uniform, uniform / 64])
    )
    errors = ulp_errors(compiled(name, "float32", 16, vector_bytes)(x), reference64(name, x), "float32")
    assert errors.max() <= BOUND32.get(name, 2.0), f"{errors.max()} ulp at x = {x[errors.argmax()]!r}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float64_error(name: str) -> None:
    random = np.random.default_rng(3)
    ranges = [random.uniform(-a, a, 400) for a in (750.0, 40.0, 3.0, 0.5)]
    x = np.concatenate([all_exponents("float64", 1)[::5], near_boundaries(name, "float64", 8), *ranges])
    # Beyond +-1100 most functions are constant, and mpmath would write out e^(10^300).
    x = x[in_domain(name, x) & ((np.abs(x) < 1100) | (name in ("log", "log1p", "sin", "cos")))]
    x = pad(x, 8)
    errors = exact_errors(name, "float64", compiled(name, "float64", 8), x)
    assert max(errors) <= BOUND64, f"{max(errors)} ulp at x = {x[int(np.argmax(errors))]!r}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "vector_bytes"), VARIANTS)
def test_special_values(name: str, vector_bytes: int | None, dtype: str) -> None:
    arguments, want = np.array(SPECIAL[name], dtype).T
    y = compiled(name, dtype, 1, vector_bytes)(arguments.copy())
    np.testing.assert_array_equal(y, want)
    numbers = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(y[numbers]), np.signbit(want[numbers]))


@pytest.mark.parametrize(("dtype", "widths"), [("float32", (2, 8, 16, 64)), ("float64", (2, 8))])
@pytest.mark.parametrize(("name", "vector_bytes"), VARIANTS)
def test_scalar_and_vector_agree_in_every_bit(
    name: str, vector_bytes: int | None, dtype: str, widths: tuple[int, ...]
) -> None:
    special = np.array([x for x, _ in SPECIAL[name]], dtype)
    x = pad(np.concatenate([all_exponents(dtype, 2), near_boundaries(name, dtype, 4), special]), 64)
    scalar = compiled(name, dtype, 1, vector_bytes)(x)
    for lanes in widths:
        np.testing.assert_array_equal(compiled(name, dtype, lanes, vector_bytes)(x), scalar)


@pytest.mark.parametrize("name", ["tanh", "expm1", "log1p", "sin"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_smallest_numbers_are_their_own_results(name: str, dtype: str) -> None:
    x = np.spacing(np.zeros(1, dtype)) * np.array([1, -1, 2, 3, -7, 1000], dtype)
    np.testing.assert_array_equal(compiled(name, dtype, 1)(x), x)


def test_subnormal_results_of_exp_are_right() -> None:
    x = np.linspace(-744, -709, 64)
    assert max(exact_errors("exp", "float64", compiled("exp", "float64", 8), x)) <= 1.0
    assert float(reference_exact("exp", -744.0)) > 0.0  # the sample does reach below the normal range


def test_sigmoid_keeps_relative_accuracy_far_out() -> None:
    x = np.array([-80.0, -60.0, -40.0, -20.0], "f4")
    want = np.exp(x.astype("f8"))  # 1 + e^x is 1 to 9 digits
    np.testing.assert_allclose(compiled("sigmoid", "float32", 4)(x), want, rtol=3e-7)


@pytest.mark.parametrize(
    ("triple", "cpu", "lanes"),
    [
        ("x86_64-linux-gnu", "haswell", 8),
        ("x86_64-linux-gnu", "skylake-avx512", 16),
        ("aarch64-linux-gnu", "neoverse-n1", 4),
    ],
)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_machine_code_calls_nothing(name: str, triple: str, cpu: str, lanes: int) -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=2)
    for dtype, width in (("float32", lanes), ("float64", lanes // 2), ("float64", 1)):
        like = replace(host(), triple=triple, vector_bytes=4 * lanes)
        module = llvm.parse_assembly(write_loop(name, dtype, width, like))
        opcodes = {line.split()[0] for line in machine.emit_assembly(module).splitlines() if line.startswith("\t")}
        assert opcodes.isdisjoint({"call", "callq", "bl"})
        assert opcodes & {
            "fmla",
            "fmadd",
            "vfmadd213ps",
            "vfmadd213pd",
            "vfmadd213sd",
        }  # it did emit this target's code


@pytest.mark.parametrize(("name", "type_"), [("cosh", "float"), ("exp", "i64"), ("exp", "<4 x i32>")])
def test_refuses_what_it_has_no_code_for(name: str, type_: str) -> None:
    with pytest.raises(CompileError, match=name):
        emit_function(Writer(Module("refused", host().triple)), name, Value(type_, "%x"))


@pytest.mark.parametrize(("kernel", "element"), minimax.DEGREES)
def test_stored_coefficients_are_the_derived_ones(kernel: str, element: str) -> None:
    rounding = {"float": remez.to_float, "double": remez.to_double}[element]
    stored = getattr(coefficients, element.upper())
    derived = remez.fit(minimax.kernels()[kernel], minimax.DEGREES[kernel, element], rounding)
    last_digit = {"float": 2.0**-23, "double": 2.0**-52}[element]
    assert getattr(stored, kernel) == pytest.approx(derived, rel=last_digit)
    for constant, value in minimax.constants(rounding).items():
        assert getattr(stored, constant) == value
    assert stored.turn == tables.turn(element)


def test_stored_pieces_are_the_derived_ones() -> None:
    assert np.array(coefficients.ERFCX) == pytest.approx(np.array(tables.fit_erfcx()), rel=2.0**-23)


def test_pieces_are_close_to_their_function() -> None:
    with mpmath.workdps(30):
        for x in np.linspace(0, 10.2, 500):
            piece = next(k for k in range(31, -1, -1) if x >= 2.0 ** (k // 8) * (1 + k % 8 / 8) - 1)
            centre, *series = [table[(piece + 24) % 32] for table in coefficients.ERFCX]
            exact = mpmath.exp(mpmath.mpf(x) ** 2) * mpmath.erfc(x)
            assert abs(mpmath.polyval(series[::-1], mpmath.mpf(x) - centre) / exact - 1) < 2.0**-26.5


def scaled_erfc(x: mpmath.mpf) -> mpmath.mpf:
    return (1 + 2 * x) * mpmath.exp(x * x) * mpmath.erfc(x)


# fmt: off
# The function, its argument and the approximation, both for the u of P(u); the interval of u; digits beyond the format.
APPROXIMATIONS = {
    "exp":   (mpmath.expm1, lambda u: u, lambda u, p: u + u * u * p, (-0.3466, 0.3466), 1.5),
    "log":   (mpmath.log1p, lambda u: u, lambda u, p: u + u * u * p, (-0.2929, 0.4142), 1.5),
    "sin":   (mpmath.sin, mpmath.sqrt, lambda u, p: mpmath.sqrt(u) * (1 + u * p), (1e-6, 0.6168), 2.5),
    "cos":   (mpmath.cos, mpmath.sqrt, lambda u, p: 1 - u / 2 + u * u * p, (1e-6, 0.6168), 2.5),
    "erf":   (mpmath.erf, mpmath.sqrt, lambda u, p: mpmath.sqrt(u) * (1 + p), (1e-6, 0.5625), 2.5),
    "erfc":  (scaled_erfc, lambda u: 2.75 * (1 + u) / (1 - u), lambda u, p: 1.25 + p, (-1, 0.82), 1.5),
    "atanh": (mpmath.atanh, mpmath.sqrt, lambda u, p: mpmath.sqrt(u) * (1 + u / 3 + u * u * p), (1e-6, 0.02943), 15),
}
# fmt: on


@pytest.mark.parametrize(("kernel", "element"), minimax.DEGREES)
def test_polynomials_are_close_to_their_functions(kernel: str, element: str) -> None:
    function, argument, approximation, interval, spare = APPROXIMATIONS[kernel]
    digits = {"float": 24, "double": 53}[element]
    with mpmath.workdps(30):
        series = list(reversed(getattr(getattr(coefficients, element.upper()), kernel)))
        points = [mpmath.mpf(u) for u in np.linspace(*interval, 500)]
        error = max(abs(approximation(u, mpmath.polyval(series, u)) / function(argument(u)) - 1) for u in points)
    assert error < 2.0 ** -(digits + spare)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_angles_next_to_a_multiple_of_a_quarter_turn_keep_their_digits(dtype: str) -> None:
    """The numbers whose rest is smallest: 16367173 * 2^72 of all float32, 6381956970095103 * 2^797 of all doubles.

    Muller et al., Handbook of Floating-Point Arithmetic (2010), section 11.2.
    """
    hardest = {"float32": 16367173 * 2.0**72, "float64": 6381956970095103 * 2.0**797}[dtype]
    x = np.array([hardest, -hardest], dtype)
    assert abs(float(reference_exact("cos", hardest))) < {"float32": 1e-8, "float64": 1e-18}[dtype]
    for name in ("sin", "cos"):
        assert max(exact_errors(name, dtype, compiled(name, dtype, 1), x)) <= 2.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_power_error(dtype: str) -> None:
    x, y = power_pairs(dtype, 4800, seed=5)
    errors = exact_errors("pow", dtype, compiled("pow", dtype, 16), x, y)
    bound = BOUND32["pow"] if dtype == "float32" else BOUND64
    at = int(np.argmax(errors))
    assert errors[at] <= bound, f"{errors[at]} ulp at {x[at]!r}**{y[at]!r}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_powers_are_numpys(dtype: str) -> None:
    """All pairs of numbers at which C99 states a value."""
    tiny, large = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    positive = np.array([0.0, tiny, 0.5, 1.0, 2.0, 3.0, 2.5, large, INF, NAN], dtype)
    x, y = (a.ravel() for a in np.meshgrid(*[np.concatenate([positive, -positive])] * 2))
    with np.errstate(all="ignore"):
        want = np.power(x, y)
    got = compiled("pow", dtype, 1)(x, y)
    np.testing.assert_allclose(got, want, rtol=4 * np.finfo(dtype).eps)
    numbers = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[numbers]), np.signbit(want[numbers]))
    for lanes in (2, 8):
        np.testing.assert_array_equal(compiled("pow", dtype, lanes)(x, y), got)


def test_minimax_of_a_square_by_a_line_is_chebyshevs() -> None:
    """x^2 on [-1, 1] is approximated best by the constant 1/2: the error is that of T_2."""
    xs = [mpmath.mpf(k) / 50 for k in range(-50, 51)]
    line = remez.minimax(xs, [x**2 for x in xs], [mpmath.mpf(1)] * len(xs), 1)
    assert [float(c) for c in line] == pytest.approx([0.5, 0.0])
