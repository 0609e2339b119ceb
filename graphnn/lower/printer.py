"""The loop IR as text: what a person reads, golden files hold and hashes are made of.

    program layer(N)
      input x: float32[N, 4]
      output h: float32[N, 8] layout (1, 0)
      for i0 in 0 .. N parallel:
        for i1 in 0 .. 8 vector:
          fold s0 = sum[0 <= r0 < 4] fma(x[i0, r0], W[r0, i1], s0)
          h[i0, i1] = tanh(s0)

A fold shows what it adds per term: fma(a, b, s0) where the multiply-add is fused, the bare value where it is not.
A transform shows its two matrices, row by row.
Layouts are shown unless row-major, kinds of loops unless serial, lanes unless one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graphnn.lower.ir import (
    Accumulate,
    Buffer,
    Contract,
    Fold,
    For,
    If,
    Let,
    Program,
    Stmt,
    Store,
    Transform,
    Way,
    fused_factors,
)
from graphnn.simplify.expr import COMBINE, SCALARS, Expr, Range, text

INDENT = "  "


def print_program(program: Program) -> str:
    """The whole program, a line per buffer and statement. Equal programs give equal text."""
    lines = [f"program {program.name}({', '.join(program.sizes)})"]
    lines += [INDENT + _buffer(b) for b in program.buffers]
    lines += [INDENT + line for line in _lines(program.body)]
    return "\n".join(lines) + "\n"


def header(stmt: Stmt) -> str:
    """The line of one statement, without those nested in it."""
    match stmt:
        case For(axis=axis, lo=lo, hi=hi, kind=kind):
            return f"for {axis} in {text(lo)} .. {text(hi)}{'' if kind == 'serial' else ' ' + kind}:"
        case If(condition=condition):
            return f"if {text(condition)}:"
        case Let(name=name, value=value):
            return f"let {name} = {text(value)}"
        case Fold(name=name, reducer=reducer, ranges=ranges, guard=guard, lanes=lanes):
            test = "" if guard is None else f" if {text(guard)}"
            test += "" if lanes == 1 else f" in {lanes} lanes"
            return f"fold {name} = {reducer}[{_ranges(ranges)}{test}] {_term(stmt)}"
        case Contract(name=name, m=m, n=n, k=k, a=a, b=b, lanes=lanes):
            along = "" if lanes == 1 else f" in {lanes} lanes"
            bounds = f"m: {_ranges((m,))}; n: {_ranges((n,))}; k: {_ranges(k)}{along}"
            return f"contract {name} = sum[{bounds}] fma({text(a)}, {text(b)}, {name}):"
        case Transform(name=name, rows=rows, columns=columns, value=value):
            bounds = f"{_ranges((rows.outs, columns.outs))}; {_ranges((rows.terms, columns.terms))}"
            return f"transform {name} = sum[{bounds}] {_matrix(rows)}*{_matrix(columns)}*{text(value)}:"
        case Store(buffer=buffer, index=index, value=value):
            return f"{_element(buffer, index)} = {text(value)}"
        case Accumulate(buffer=buffer, index=index, reducer=reducer, value=value):
            element = _element(buffer, index)
            return f"{element} = " + SCALARS[COMBINE[reducer]].text.format(element, text(value))


def _lines(body: Iterable[Stmt]) -> Iterator[str]:
    for stmt in body:
        yield header(stmt)
        if isinstance(stmt, For | If | Contract | Transform):
            yield from (INDENT + line for line in _lines(stmt.body))


def _buffer(buffer: Buffer) -> str:
    shape = ", ".join(map(text, buffer.shape))
    row_major = buffer.layout == tuple(range(len(buffer.shape)))
    layout = "" if row_major else f" layout ({', '.join(map(str, buffer.layout))})"
    also = f", also {', '.join(buffer.also)}" if buffer.also else ""
    memory = " in bytes" if buffer.narrow else " past the caches" if buffer.streamed else ""
    memory += f" on the stack in {buffer.local_to}" if buffer.local_to else ""
    return f"{buffer.role} {buffer.name}: {buffer.dtype}[{shape}]{memory}{layout}{also}"


def _ranges(ranges: tuple[Range, ...]) -> str:
    return ", ".join(f"{text(r.lo)} <= {r.axis} < {text(r.hi)}" for r in ranges)


def _matrix(way: Way) -> str:
    """(1.0 0.0, 0.5 0.5)[p, i]"""
    return f"({', '.join(' '.join(map(str, row)) for row in way.matrix)})[{way.out}, {way.axis}]"


def _term(fold: Fold) -> str:
    factors = fused_factors(fold)
    return text(fold.value) if factors is None else f"fma({text(factors[0])}, {text(factors[1])}, {fold.name})"


def _element(buffer: str, index: tuple[Expr, ...]) -> str:
    return f"{buffer}[{', '.join(map(text, index))}]"
