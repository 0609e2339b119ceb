"""Hand-built loop programs, compiled to Executables. What they compute is one line of NumPy each, next to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from graphnn.emit.module import emit
from graphnn.emit.target import host
from graphnn.lower.ir import Buffer, Fold, For, Program, Stmt, Store
from graphnn.lower.verify import verify
from graphnn.run.describe import manifest_of
from graphnn.run.executable import Executable
from graphnn.run.jit import compile_object
from graphnn.run.manifest import Manifest, Outputs
from graphnn.run.native.own_steps import add_steps
from graphnn.run.states import HeldState, StateSource
from graphnn.schedule.memory import plan
from graphnn.simplify.expr import Axis, Const, DType, Expr, Load, Local, Op, Range, Role, Size, index_constant

Extent = int | str | Expr


def extent(value: Extent) -> Expr:
    return Size(value) if isinstance(value, str) else index_constant(value) if isinstance(value, int) else value


def buffer(name: str, shape: Sequence[Extent], role: Role, dtype: DType = "float32") -> Buffer:
    return Buffer(name, dtype, tuple(map(extent, shape)), role, tuple(range(len(shape))))


def loops(shape: Sequence[Extent], *body: Stmt) -> Stmt:
    """body for every i0, i1, ... of a shape."""
    for k, bound in reversed(list(enumerate(shape))):
        body = (For(f"i{k}", index_constant(0), extent(bound), body),)
    return body[0]


def axes(count: int) -> tuple[Axis, ...]:
    return tuple(Axis(f"i{k}") for k in range(count))


def times(a: Expr, b: Expr) -> Op:
    return Op("mul", (a, b), a.dtype)


def plus(a: Expr, b: Expr) -> Op:
    return Op("add", (a, b), a.dtype)


def build(
    program: Program,
    *,
    outputs: Outputs | None = None,
    state: StateSource | None = None,
    debug: bool = False,
    **kw: Any,
) -> Executable:
    """Compile a loop program; by default it returns a list of its output buffers."""
    verify(program)
    emitted = emit(program, host(), debug, add_steps)
    names = tuple(b.name for b in program.buffers if b.role == "output")
    structure = outputs or Outputs("single" if len(names) == 1 else "list", names)
    stages = {**kw.pop("stages", {}), "emit": emitted.text}
    manifest = manifest_of(program, plan(program), emitted, host(), outputs=structure, stages=stages, **kw)
    return Executable(manifest, compile_object(emitted.text, host()), state or HeldState({}))


def gather_program() -> Program:
    """h[n, i] = 2*(x[n, i] + W[y[n], i]), through a temp; total[] = sum of p*h[:, :3], by hand below."""
    i0, i1 = axes(2)
    gathered = Load("W", (Load("y", (i0,), "int64"), i1), "float32")
    temp, element = Load("t", (i0, i1), "float32"), Load("x", (i0, i1), "float32")
    ranges = (Range("r0", index_constant(0), Size("N")), Range("r1", index_constant(0), index_constant(3)))
    r = (Axis("r0"), Axis("r1"))
    body = (
        loops(("N", 4), Store("t", (i0, i1), plus(element, gathered))),
        loops(("N", 4), Store("h", (i0, i1), times(Const(2.0, "float32"), temp))),
        Fold("s0", "sum", ranges, None, times(Load("p", r, "float32"), Load("h", r, "float32"))),
        Store("total", (), Local("s0", "float32")),
    )
    buffers = (
        buffer("x", ("N", 4), "input"),
        buffer("t", ("N", 4), "temp"),
        buffer("y", ("N",), "input", "int64"),
        buffer("W", (5, 4), "state"),
        buffer("total", (), "output"),
        buffer("p", ("N", 3), "input"),
        buffer("h", ("N", 4), "output"),
    )
    return Program("gather", ("N",), buffers, body)


W = np.arange(20, dtype=np.float32).reshape(5, 4) / 8


def gather(state: StateSource | None = None, **kw: Any) -> Executable:
    """Returns {"hidden": h, "total": total}; y must be below 5, the rows of p are distributions."""
    structure = Outputs("dict", ("h", "total"), ("hidden", "total"))
    bounds = (("y", index_constant(5)),)
    held = state or HeldState({"W": W.copy()})
    return build(
        gather_program(), outputs=structure, state=held, index_bounds=bounds, distributions=("p",),
        stages={"lower": "the loops"}, **kw,
    )  # fmt: skip


def gather_inputs(n: int) -> dict[str, np.ndarray]:
    p = np.tile(np.array([0.5, 0.25, 0.25], np.float32), (n, 1))
    return {"x": np.arange(4 * n, dtype=np.float32).reshape(n, 4), "y": np.arange(n) * 3 % 5, "p": p}


def gather_expected(inputs: dict[str, np.ndarray], weights: np.ndarray = W) -> tuple[np.ndarray, float]:
    h = 2 * (inputs["x"] + weights[inputs["y"]])
    return h, float((inputs["p"] * h[:, :3]).sum())


def step_program(dtype: DType = "float32") -> Program:
    """w[i] = w[i] + 0.5*g[i]; y[i] = new w[i]"""
    (i0,) = axes(1)
    w = Load("w", (i0,), dtype)
    new = plus(w, times(Const(0.5, dtype), Load("g", (i0,), dtype)))
    body = (loops((6,), Store("w", (i0,), new)), loops((6,), Store("y", (i0,), w)))
    roles: tuple[tuple[str, Role], ...] = (("g", "input"), ("w", "state"), ("y", "output"))
    return Program("step", (), tuple(buffer(name, (6,), role, dtype) for name, role in roles), body)


def scale_program(dtype: DType = "float32", rows: Extent = "N") -> Program:
    """y[n] = w[]*x[n]"""
    (i0,) = axes(1)
    body = (loops((rows,), Store("y", (i0,), times(Load("w", (), dtype), Load("x", (i0,), dtype)))),)
    buffers = (buffer("x", (rows,), "input", dtype), buffer("w", (), "state", dtype))
    sizes = (rows,) if isinstance(rows, str) else ()
    return Program("scale", sizes, (*buffers, buffer("y", (rows,), "output", dtype)), body)


def copy_program(dtype: DType, *shape: int) -> Program:
    """y = x"""
    element = Store("y", axes(len(shape)), Load("x", axes(len(shape)), dtype))
    body = (loops(shape, element) if shape else element,)
    return Program("copy", (), (buffer("x", shape, "input", dtype), buffer("y", shape, "output", dtype)), body)


def changed(manifest: Manifest, **values: Any) -> Manifest:
    return replace(manifest, **values)
