"""Largest errors of `emit/vector_math.py`, in units in the last place.

    python -m tests.emit.measure_ulp --stride 1        # all 2^32 float32 inputs
    python -m tests.emit.measure_ulp                   # every 97th bit pattern

float32 is judged by NumPy in float64, float64 by mpmath at random bit patterns.
"""

from __future__ import annotations

import argparse
import ctypes
from collections.abc import Callable

import llvmlite.binding as llvm
import mpmath
import numpy as np

from graphnn.emit.target import host
from graphnn.emit.vector_math import FUNCTIONS, emit_function
from graphnn.emit.writer import Module, Value, Writer, constant, vector_type

Array = np.ndarray
ELEMENT = {"float32": "float", "float64": "double"}
SMALLEST_EXPONENT = {"float32": -149, "float64": -1074}
CHUNK = 1 << 16


def write_loop(name: str, dtype: str, lanes: int) -> str:
    """LLVM text of run(x, y, n): y[i] = name(x[i]) for n elements, n a multiple of `lanes`."""
    element = ELEMENT[dtype]
    type_ = vector_type(element, lanes)
    module = Module("measure_ulp", host().triple)
    w = Writer(module)
    with w.loop(constant("i64", 0), Value("i64", "%n"), step=lanes) as loop:
        size = np.dtype(dtype).itemsize
        x = w.ins(type_, f"load {type_}, {w.gep(element, Value('ptr', '%x'), loop.index)}, align {size}")
        y = emit_function(w, name, x)
        w.do(f"store {y}, {w.gep(element, Value('ptr', '%y'), loop.index)}, align {size}")
    body = "\n".join(w.lines)
    module.functions.append(
        f"define void @run(ptr noalias %x, ptr noalias %y, i64 %n) {{\nentry:\n{body}\n  ret void\n}}"
    )
    return module.text()


def compile_loop(name: str, dtype: str, lanes: int) -> Callable[[Array], Array]:
    """The native elementwise function on a one-dimensional array whose length is a multiple of `lanes`."""
    module = llvm.parse_assembly(write_loop(name, dtype, lanes))
    module.verify()
    target = llvm.Target.from_triple(host().triple)
    engine = llvm.create_mcjit_compiler(module, target.create_target_machine(host().cpu, host().features, opt=3))
    engine.finalize_object()
    signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    native = signature(engine.get_function_address("run"))

    def call(x: Array) -> Array:
        assert engine is not None  # keeps the code alive as long as this function
        assert x.dtype == dtype
        assert x.size % lanes == 0
        y = np.empty_like(x)
        native(x.ctypes.data, y.ctypes.data, x.size)
        return y

    return call


def sigmoid64(x: Array) -> Array:
    t = np.exp(-np.abs(x))
    return np.where(x < 0, t, 1.0) / (1 + t)


def reference64(name: str, x: Array) -> Array:
    """The function of float32 inputs, in float64."""
    with np.errstate(all="ignore"):
        return (sigmoid64 if name == "sigmoid" else getattr(np, name))(x.astype(np.float64))


def reference_exact(name: str, x: float) -> mpmath.mpf:
    """The function of one finite number inside its domain, to 40 digits."""
    with mpmath.workdps(40):
        value = mpmath.mpf(x)
        return 1 / (1 + mpmath.exp(-value)) if name == "sigmoid" else getattr(mpmath, name)(value)


def ulp_errors(got: Array, want: Array, dtype: str) -> Array:
    """|got - want| in units in the last place of the float64 `want`; 0 where both are NaN or the same infinity."""
    with np.errstate(all="ignore"):
        spacing = np.ldexp(1.0, np.maximum(np.frexp(want)[1] - np.finfo(dtype).nmant - 1, SMALLEST_EXPONENT[dtype]))
        errors = np.abs(got.astype(np.float64) - want) / spacing
        same = (got == want.astype(dtype)) & ~np.isfinite(got) | np.isnan(got) & np.isnan(want)
        return np.where(same, 0.0, np.where(np.isnan(errors), np.inf, errors))


def exact_error(name: str, x: float, got: float) -> float:
    """|got - name(x)| in units in the last place of a float64."""
    with mpmath.workdps(40):
        want = reference_exact(name, x)
        if float(want) == got and np.isinf(got):
            return 0.0
        exponent = max(mpmath.frexp(want)[1] - 53, SMALLEST_EXPONENT["float64"])
        return float(abs(mpmath.mpf(got) - want) / mpmath.mpf(2) ** exponent)


def in_domain(name: str, x: Array) -> Array:
    return np.isfinite(x) & (x > {"log": 0.0, "log1p": -1.0}.get(name, -np.inf))


def measure_float32(name: str, stride: int) -> tuple[float, float]:
    """The largest error over every stride-th bit pattern, and where it is."""
    run = compile_loop(name, "float32", 16)
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
    x = random.choice([-1.0, 1.0], count) * np.exp2(random.uniform(-60, 10, count))
    x = x[in_domain(name, x) & (np.abs(x) < 745)]
    x = x[: x.size // 8 * 8]
    errors = [
        exact_error(name, float(a), float(b)) for a, b in zip(x, compile_loop(name, "float64", 8)(x), strict=True)
    ]
    at = int(np.argmax(errors))
    return errors[at], float(x[at])


def main() -> None:
    parser = argparse.ArgumentParser(description="Largest errors of the emitted functions, in ulp.")
    parser.add_argument("--stride", type=int, default=97, help="float32: test every so many bit patterns")
    parser.add_argument("--count", type=int, default=20000, help="float64: how many random inputs")
    parser.add_argument("names", nargs="*", default=list(FUNCTIONS), help="functions (all)")
    options = parser.parse_args()
    print(f"| function | float32, stride {options.stride} | at x = | float64, {options.count} inputs | at x = |")
    print("|---|---|---|---|---|")
    for name in options.names:
        single, double = measure_float32(name, options.stride), measure_float64(name, options.count)
        cells = f"{single[0]:.3f} | {single[1]:.9g} | {double[0]:.3f} | {double[1]:.17g}"
        print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
