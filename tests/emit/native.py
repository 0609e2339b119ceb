"""Emits hand-built loop programs and runs them on NumPy arrays."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import numpy as np

from graphnn.emit.module import EmittedModule, emit
from graphnn.emit.target import Target, host
from graphnn.lower.interpreter import interpret
from graphnn.lower.ir import Buffer, For, If, Program, Stmt
from graphnn.run.jit import compile_object
from graphnn.run.link import load_object
from graphnn.simplify.expr import Const, DType, Expr, Load, Op, Role, Size, index_constant


def buffer(
    name: str,
    shape: tuple[int | str, ...],
    dtype: DType = "float32",
    role: Role = "input",
    layout: tuple[int, ...] | None = None,
) -> Buffer:
    extents = tuple(Size(d) if isinstance(d, str) else index_constant(d) for d in shape)
    return Buffer(name, dtype, extents, role, tuple(range(len(shape))) if layout is None else layout)


def op(fn: str, *args: Expr) -> Op:
    result: DType = "bool" if fn in ("lt", "le", "eq", "ne") else args[-1].dtype
    return Op(fn, args, result)


def integer(value: int) -> Const:
    return index_constant(value)


def load(b: Buffer, *index: Expr) -> Load:
    return Load(b.name, index, b.dtype)


def program(body: tuple[Stmt, ...], *buffers: Buffer, sizes: tuple[str, ...] = ()) -> Program:
    return Program("test", sizes, buffers, body)


def f32(value: float) -> Const:
    return Const(value, "float32")


def vector(axis: str, hi: Expr, *body: Stmt) -> For:
    return For(axis, integer(0), hi, body, "vector")


def serial(axis: str, hi: Expr, *body: Stmt) -> For:
    return For(axis, integer(0), hi, body)


def without_vectors(body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
    """The same statements with every vector loop serial."""
    return tuple(
        replace(s, kind="serial", body=without_vectors(s.body))
        if isinstance(s, For)
        else replace(s, body=without_vectors(s.body))
        if isinstance(s, If)
        else s
        for s in body
    )


def run_module(emitted: EmittedModule, target: Target, arrays: list[np.ndarray], sizes: list[int]) -> int:
    code = compile_object(emitted.text, target)
    pointers = (ctypes.c_void_p * max(len(arrays), 1))(*(a.ctypes.data for a in arrays))
    numbers = (ctypes.c_int64 * max(len(sizes), 1))(*sizes)
    for entry in filter(None, (emitted.prepare, emitted.entry)):
        if stop := load_object(code, entry)(ctypes.addressof(pointers), ctypes.addressof(numbers)):
            return stop
    return 0


def run(
    p: Program, arrays: dict[str, np.ndarray], sizes: dict[str, int] | None = None, target: Target | None = None
) -> dict[str, np.ndarray]:
    """Run a program. Arrays are in logical axes; those not given are made, filled with -7. Returns all of them."""
    sizes, target = sizes or {}, target or host()
    stored: list[np.ndarray] = []
    for b in p.buffers:
        shape = tuple(sizes[d.name] if isinstance(d, Size) else int(d.value) for d in b.shape)  # type: ignore[union-attr]
        logical = arrays[b.name] if b.name in arrays else np.full(shape, -7, b.dtype)
        assert logical.shape == shape, b.name
        stored.append(np.array(logical.transpose(b.layout), dtype=b.dtype, order="C"))
    assert run_module(emit(p, target), target, stored, [sizes[s] for s in p.sizes]) == 0
    return {
        b.name: a.transpose(np.argsort(b.layout)) if b.layout else a for b, a in zip(p.buffers, stored, strict=True)
    }


def both_ways(p: Program, arrays: dict[str, np.ndarray], **sizes: int) -> dict[str, np.ndarray]:
    """Run with vectors and without; they must agree in every bit, and nearly so with the interpreter."""
    wide = run(p, arrays, sizes)
    narrow = run(replace(p, body=without_vectors(p.body)), arrays, sizes)
    meant = {b.name: arrays[b.name].copy() if b.name in arrays else np.full_like(wide[b.name], -7) for b in p.buffers}
    interpret(p, meant, sizes)
    for name, array in wide.items():
        assert array.tobytes() == narrow[name].tobytes(), name
        np.testing.assert_allclose(array, meant[name], rtol=1e-6, err_msg=name)
    return wide
