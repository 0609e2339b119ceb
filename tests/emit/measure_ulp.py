"""Largest errors of `emit/vector_math.py`, in units in the last place.

    python -m tests.emit.measure_ulp --stride 1        # all 2^32 float32 inputs
    python -m tests.emit.measure_ulp                   # every 97th bit pattern

float32 is judged in float64 by NumPy and the C library, float64 by mpmath at random numbers. pow, a function of two
numbers, is judged by mpmath in both, at random pairs whose power is a finite number.
"""

from __future__ import annotations

import argparse
import ctypes
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import llvmlite.binding as llvm
import mpmath
import numpy as np

from graphnn.emit.scalar import emit_scalar
from graphnn.emit.target import Target, host
from graphnn.emit.vector_math import FUNCTIONS
from graphnn.emit.writer import Module, Value, Writer, constant, vector_type

Array = np.ndarray
ELEMENT = {"float32": "float", "float64": "double"}
SMALLEST_EXPONENT = {"float32": -149, "float64": -1074}
CHUNK = 1 << 16
ARITY = {"pow": 2}


def write_loop(name: str, dtype: str, lanes: int, target: Target) -> str:
    """LLVM text of run(x, y, n): y[i] = name(x[i]) for n elements, n a multiple of `lanes`; of pow run(x, y, z, n)."""
    element, size = ELEMENT[dtype], np.dtype(dtype).itemsize
    type_ = vector_type(element, lanes)
    module = Module("measure_ulp", target.triple, target.register_tables)
    w = Writer(module)
    operands = ("%x", "%z")[: ARITY.get(name, 1)]
    with w.loop(constant("i64", 0), Value("i64", "%n"), step=lanes) as loop:

        def place(array: str) -> str:
            return f"{w.gep(element, Value('ptr', array), loop.index)}, align {size}"

        values = tuple(w.ins(type_, f"load {type_}, {place(array)}") for array in operands)
        y = emit_scalar(w, name, values)
        w.do(f"store {y}, {place('%y')}")
    body = "\n".join(w.lines)
    arrays = ", ".join(f"ptr noalias {array}" for array in (*operands, "%y"))
    module.functions.append(f"define void @run({arrays}, i64 %n) {{\nentry:\n{body}\n  ret void\n}}")
    return module.text()


def compile_loop(name: str, dtype: str, lanes: int, vector_bytes: int | None = None) -> Callable[..., Array]:
    """The native elementwise function on one-dimensional arrays whose length is a multiple of `lanes`.

    `vector_bytes` has the code of a machine with such vectors, where it is another one.
    """
    like = host() if vector_bytes is None else replace(host(), vector_bytes=vector_bytes)
    return load_loop(write_loop(name, dtype, lanes, like), ARITY.get(name, 1), lanes, dtype)


def load_loop(text: str, arity: int, lanes: int, dtype: str) -> Callable[..., Array]:
    """The function `run` of LLVM text, on `arity` arrays whose length is a multiple of `lanes`."""
    module = llvm.parse_assembly(text)
    module.verify()
    target = llvm.Target.from_triple(host().triple)
    engine = llvm.create_mcjit_compiler(module, target.create_target_machine(host().cpu, host().features, opt=3))
    engine.finalize_object()
    pointers = [ctypes.c_void_p] * (arity + 1)
    native = ctypes.CFUNCTYPE(None, *pointers, ctypes.c_int64)(engine.get_function_address("run"))

    def call(*operands: Array) -> Array:
        assert engine is not None  # keeps the code alive as long as this function
        x = operands[0]
        assert all(a.dtype == dtype and a.shape == x.shape for a in operands)
        assert x.size % lanes == 0
        y = np.empty_like(x)
        native(*(a.ctypes.data for a in (*operands, y)), x.size)
        return y

    return call


def sigmoid64(x: Array) -> Array:
    t = np.exp(-np.abs(x))
    return np.where(x < 0, t, 1.0) / (1 + t)


@cache
def c_library(name: str) -> Callable[..., Array]:
    """A function of doubles of the C library, elementwise: `math`'s, in a loop without Python."""
    module, element = Module("c_library", host().triple), "double"
    w = Writer(module)
    module.declare(name, element, [element])
    with w.loop(constant("i64", 0), Value("i64", "%n")) as loop:
        x = w.ins(element, f"load {element}, {w.gep(element, Value('ptr', '%x'), loop.index)}")
        y = w.ins(element, f"call {element} @{name}({x})")
        w.do(f"store {y}, {w.gep(element, Value('ptr', '%y'), loop.index)}")
    body = "\n".join(w.lines)
    module.functions.append(f"define void @run(ptr %x, ptr %y, i64 %n) {{\nentry:\n{body}\n  ret void\n}}")
    return load_loop(module.text(), 1, 1, "float64")


def reference64(name: str, x: Array) -> Array:
    """The function of float32 inputs, in float64."""
    with np.errstate(all="ignore"):
        if name in ("erf", "erfc"):
            return c_library(name)(x.astype(np.float64))
        return (sigmoid64 if name == "sigmoid" else getattr(np, name))(x.astype(np.float64))


def reference_exact(name: str, *x: float) -> mpmath.mpf:
    """The function of finite numbers inside its domain, to 40 digits."""
    with mpmath.workdps(40):
        values = [mpmath.mpf(a) for a in x]
        if name == "sigmoid":
            return 1 / (1 + mpmath.exp(-values[0]))
        if name == "erfc" and values[0] > 200:  # mpmath would write out e^(-10^300)
            return mpmath.mpf(0)
        return getattr(mpmath, {"pow": "power"}.get(name, name))(*values)


def ulp_errors(got: Array, want: Array, dtype: str) -> Array:
    """|got - want| in units in the last place of the float64 `want`; 0 where both are NaN or the same infinity."""
    with np.errstate(all="ignore"):
        spacing = np.ldexp(1.0, np.maximum(np.frexp(want)[1] - np.finfo(dtype).nmant - 1, SMALLEST_EXPONENT[dtype]))
        errors = np.abs(got.astype(np.float64) - want) / spacing
        same = (got == want.astype(dtype)) & ~np.isfinite(got) | np.isnan(got) & np.isnan(want)
        return np.where(same, 0.0, np.where(np.isnan(errors), np.inf, errors))


def exact_error(name: str, x: tuple[float, ...], got: float, dtype: str = "float64") -> float:
    """|got - name(x)| in units in the last place."""
    with mpmath.workdps(40):
        want = reference_exact(name, *x)
        if np.isinf(got) and abs(want) >= mpmath.mpf(float(np.finfo(dtype).max)):
            return 0.0
        exponent = max(mpmath.frexp(want)[1] - np.finfo(dtype).nmant - 1, SMALLEST_EXPONENT[dtype])
        return float(abs(mpmath.mpf(got) - want) / mpmath.mpf(2) ** int(exponent))


def exact_errors(name: str, dtype: str, run: Callable[..., Array], *operands: Array) -> list[float]:
    points = zip(*(a.tolist() for a in operands), strict=True)
    return [exact_error(name, x, y, dtype) for x, y in zip(points, run(*operands).tolist(), strict=True)]


def in_domain(name: str, x: Array) -> Array:
    return np.isfinite(x) & (x > {"log": 0.0, "log1p": -1.0}.get(name, -np.inf))


def power_pairs(dtype: str, count: int, seed: int = 0) -> tuple[Array, Array]:
    """Bases near 1 and of all exponents, with exponents that use the whole range of results."""
    random, top = np.random.default_rng(seed), float(np.finfo(dtype).maxexp)
    third = count // 48 * 16
    near = 1 + random.choice([-1.0, 1.0], third) * np.exp2(random.uniform(-np.finfo(dtype).nmant, -1, third))
    x = np.concatenate([np.exp2(random.uniform(-top, top, third)), random.uniform(0.1, 10, third), near]).astype(dtype)
    with np.errstate(divide="ignore", over="ignore"):
        y = (random.uniform(-1.05, 1.05, x.size) * top / np.log2(x.astype("f8"))).astype(dtype)
    return x, np.where(np.isfinite(y), y, 1).astype(dtype)


def measure_float32(name: str, stride: int, vector_bytes: int | None) -> tuple[float, float]:
    """The largest error over every stride-th bit pattern, and where it is."""
    run = compile_loop(name, "float32", 16, vector_bytes)
    worst, where = 0.0, 0.0
    for start in range(0, 1 << 32, CHUNK * stride):
        bits = np.arange(start, min(start + CHUNK * stride, 1 << 32), stride, dtype=np.uint64).astype(np.uint32)
        x = np.resize(bits, -(-bits.size // 16) * 16).view(np.float32)
        errors = ulp_errors(run(x), reference64(name, x), "float32")
        at = int(np.argmax(errors))
        if errors[at] > worst:
            worst, where = float(errors[at]), float(x[at])
    return worst, where


def measure_float64(name: str, count: int) -> tuple[float, float]:
    """The largest error over `count` random numbers of all exponents that matter, and where it is."""
    random = np.random.default_rng(0)
    periodic = name in ("sin", "cos")
    x = random.choice([-1.0, 1.0], count) * np.exp2(random.uniform(-60, 1024 if periodic else 10, count))
    x = x[in_domain(name, x) & ((np.abs(x) < 745) | periodic)]
    x = x[: x.size // 8 * 8]
    errors = exact_errors(name, "float64", compile_loop(name, "float64", 8), x)
    at = int(np.argmax(errors))
    return errors[at], float(x[at])


def measure_power(dtype: str, count: int) -> tuple[float, float]:
    """The largest error over `count` random pairs, and at which base."""
    x, y = power_pairs(dtype, count)
    errors = exact_errors("pow", dtype, compile_loop("pow", dtype, 8), x, y)
    at = int(np.argmax(errors))
    return errors[at], float(x[at])


def main() -> None:
    parser = argparse.ArgumentParser(description="Largest errors of the emitted functions, in ulp.")
    parser.add_argument("--stride", type=int, default=97, help="float32: test every so many bit patterns")
    parser.add_argument("--count", type=int, default=20000, help="float64: how many random inputs")
    parser.add_argument("--vector-bytes", type=int, help="float32: as on a machine with such vectors (this machine)")
    parser.add_argument("names", nargs="*", default=[*FUNCTIONS, "pow"], help="functions (all)")
    options = parser.parse_args()
    print(f"| function | float32, stride {options.stride} | at x = | float64, {options.count} inputs | at x = |")
    print("|---|---|---|---|---|")
    for name in options.names:
        if name == "pow":
            single, double = measure_power("float32", options.count), measure_power("float64", options.count)
        else:
            single, double = (
                measure_float32(name, options.stride, options.vector_bytes),
                measure_float64(name, options.count),
            )
        cells = f"{single[0]:.3f} | {single[1]:.9g} | {double[0]:.3f} | {double[1]:.17g}"
        print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
