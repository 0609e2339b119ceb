"""The arena plan as a table that a person reads."""

from __future__ import annotations

from graphnn.run.manifest import Manifest
from graphnn.simplify.expr import text


def memory_table(manifest: Manifest) -> str:
    """A row per temp buffer: its shape, its first and last statement, and its offset where no size is symbolic.

    buffer  array            statements  offset
    t0      float32[64, 10]  0 to 2      0
    arena: 2560 bytes
    """
    specs = {b.name: b for b in manifest.buffers}
    offsets, total = ({}, None) if manifest.sizes else manifest.memory.offsets({})
    rows = [("buffer", "array", "statements", "offset")]
    for lifetime in manifest.memory.lifetimes:
        spec = specs[lifetime.name]
        array = f"{spec.dtype}[{', '.join(map(text, spec.shape))}]"
        offset = str(offsets.get(spec.name, "at the call"))
        rows.append((spec.name, array, f"{lifetime.first} to {lifetime.last}", offset))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    known = "known at the call" if total is None else f"{total} bytes"
    return "\n".join([*lines, f"arena: {known}"]) + "\n"
