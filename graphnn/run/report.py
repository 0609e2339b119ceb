"""The arena plan as a table that a person reads."""

from __future__ import annotations

from math import prod

from graphnn.run.manifest import Manifest
from graphnn.schedule.memory import Lifetime, evaluate
from graphnn.simplify.expr import text

WIDTH = 44  # characters of a name; gradients are named after what they are taken of and by


def memory_table(manifest: Manifest) -> str:
    """A row per temp buffer: its shape, bytes, first and last statement, and place; below it what lives there later.

    buffer  array            bytes  statements  offset
    t0      float32[64, 10]   2560      0 to 2       0
      then t3
    arena: 2560 bytes, 5120 without sharing, 2560 in use at the peak, in statement 1
    on the stack, the part of each iteration while it runs:
      softmax.terms: float32[N, 64]
    prepared once for each version of the state, 8192 bytes:
      W.packed: float32[64, 32], 8192 bytes

    Bytes and places are known before a call where no size is symbolic.
    """
    specs = {b.name: b for b in manifest.buffers}
    lifetimes = manifest.memory.lifetimes
    offsets, total = ({}, None) if manifest.sizes else manifest.memory.offsets({})
    rows = [("buffer", "array", "bytes", "statements", "offset")]
    for lifetime in lifetimes:
        spec = specs[lifetime.name]
        dtype = "int8" if spec.dtype == "int64" and lifetime.item_bytes == 1 else spec.dtype
        array = f"{dtype}[{', '.join(map(text, spec.shape))}]"
        size = "at the call" if total is None else str(_bytes(lifetime))
        offset = str(offsets.get(spec.name, "at the call"))
        rows.append((_short(spec.name), array, size, f"{lifetime.first} to {lifetime.last}", offset))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for n, row in enumerate(rows):
        cells = [cell.ljust(w) if k < 2 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
        if n:
            lines += [f"  then {_short(name)}" for name in specs[lifetimes[n - 1].name].also]
    return "\n".join([*lines, _summary(manifest, total), *_on_stack(manifest), *_prepared(manifest)]) + "\n"


def _on_stack(manifest: Manifest) -> list[str]:
    """The temps that the arena doesn't hold."""
    planned = {lifetime.name for lifetime in manifest.memory.lifetimes}
    lines = [
        f"  {_short(b.name)}: {b.dtype}[{', '.join(map(text, b.shape))}]"
        for b in manifest.of("temp")
        if b.name not in planned
    ]
    return ["on the stack, the part of each iteration while it runs:", *lines] if lines else []


def _prepared(manifest: Manifest) -> list[str]:
    """The arrays that are computed once for each version of the states, and the bytes of those that are kept."""
    sizes = {b.name: prod(evaluate(d, {}) for d in b.shape) * b.numpy_dtype.itemsize for b in manifest.prepared}
    lines = [
        f"  {_short(b.name)}: {b.dtype}[{', '.join(map(text, b.shape))}], {sizes[b.name]} bytes"
        f"{', then dropped' if b.name in manifest.passing else ''}"
        for b in manifest.prepared
    ]
    total = sum(size for name, size in sizes.items() if name not in manifest.passing)
    return [f"prepared once for each version of the state, {total} bytes:", *lines] if lines else []


def _summary(manifest: Manifest, total: int | None) -> str:
    lifetimes = manifest.memory.lifetimes
    if total is None:
        return "arena: known at the call"
    if not lifetimes:
        return "arena: 0 bytes"
    sharers = {b.name: 1 + len(b.also) for b in manifest.buffers}
    apart = sum(_bytes(x) * sharers[x.name] for x in lifetimes)
    use = [sum(_bytes(x) for x in lifetimes if x.first <= at <= x.last) for at in range(len(manifest.kernels))]
    peak = f"{max(use)} in use at the peak, in statement {use.index(max(use))}"
    return f"arena: {total} bytes, {apart} without sharing, {peak}"


def _bytes(lifetime: Lifetime) -> int:
    return prod(evaluate(d, {}) for d in lifetime.shape) * lifetime.item_bytes


def _short(name: str) -> str:
    """A long name without its middle."""
    half = (WIDTH - 3) // 2
    return name if len(name) <= WIDTH else f"{name[:half]}...{name[-half:]}"
