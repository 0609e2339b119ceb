"""Sizes, shapes and offsets that follow from the shapes of one call's inputs.

inputs x: float32[N, 64], y: int64[N] given as (33, 64) and (33,)  ->  N = 33, output shapes, arena offsets
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import prod

from graphnn.errors import BoundaryError, CompileError
from graphnn.run.arrays import Array, allocator
from graphnn.run.manifest import BufferSpec, Manifest
from graphnn.schedule.memory import evaluate
from graphnn.simplify.expr import INT64_MAX, Expr, Size, text, walk

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Resolved:
    """What all calls with the same input shapes share.

    `sizes` are in the entry's order, `temps` are (position in the entry's table of buffers, offset in the arena),
    `allocators` make an array for each output buffer; `serial` tells resolutions apart.
    """

    sizes: tuple[int, ...]
    outputs: dict[str, Shape]
    allocators: tuple[tuple[str, Callable[[], Array]], ...]
    temps: tuple[tuple[int, int], ...]
    arena_bytes: int
    bounds: dict[str, int]
    serial: int = field(default_factory=count(1).__next__)


def resolve(manifest: Manifest, shapes: Sequence[Shape]) -> Resolved:
    """Bind the sizes by their first occurrence in the inputs' shapes, in order, and compute what depends on them.

    Raises BoundaryError for a number of axes or an extent that does not fit, with both operands named, and for a
    buffer of more than 2**63 - 1 bytes. Nothing is allocated.
    """
    sizes = _bind_sizes(manifest, shapes)
    concrete = {b.name: concrete_shape(b, sizes) for b in manifest.buffers}
    for name, terms, results in manifest.extremes:
        if evaluate(terms, sizes) == 0 and evaluate(results, sizes) > 0:
            raise BoundaryError(f"{name}: a max or min over no elements ({text(terms)} is 0) has no value")
    try:
        offsets, length = manifest.memory.offsets(sizes)
    except CompileError as error:
        raise BoundaryError(str(error)) from error
    produced = manifest.of("output")
    positions = {b.name: k for k, b in enumerate(manifest.buffers)}
    return Resolved(
        sizes=tuple(sizes[name] for name in manifest.sizes),
        outputs={b.name: concrete[b.name] for b in produced},
        allocators=tuple((b.name, allocator(concrete[b.name], b.numpy_dtype)) for b in produced),
        temps=tuple((positions[name], offset) for name, offset in offsets.items()),
        arena_bytes=length,
        bounds={name: max(_value(extent, sizes, f"the bound of {name}"), 0) for name, extent in manifest.index_bounds},
    )


def _bind_sizes(manifest: Manifest, shapes: Sequence[Shape]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    origin: dict[str, str] = {}
    given = list(zip(manifest.inputs, shapes, strict=True))
    for spec, shape in given:
        if len(shape) != len(spec.shape):
            raise BoundaryError(f"input {spec} has {len(spec.shape)} axes; the array given has shape {shape}")
        for axis, (extent, found) in enumerate(zip(spec.shape, shape, strict=True)):
            if isinstance(extent, Size) and extent.name not in sizes:
                sizes[extent.name] = found
                origin[extent.name] = f"axis {axis} of input {spec} with shape {shape}"
    for spec, shape in given:
        for axis, (extent, found) in enumerate(zip(spec.shape, shape, strict=True)):
            expected = _value(extent, sizes, f"axis {axis} of input {spec}")
            if found != expected:
                names = dict.fromkeys(part.name for part in walk(extent) if isinstance(part, Size))
                because = "".join(f"; {name} = {sizes[name]} comes from {origin[name]}" for name in names)
                raise BoundaryError(
                    f"input {spec}: axis {axis} must have extent {expected}, "
                    f"the array given has shape {shape}, extent {found}{because}"
                )
    return sizes


def concrete_shape(spec: BufferSpec, sizes: dict[str, int]) -> Shape:
    """The shape for given sizes. Raises BoundaryError where it is negative or needs more than 2**63 - 1 bytes."""
    shape = tuple(_value(extent, sizes, f"axis {axis} of {spec}") for axis, extent in enumerate(spec.shape))
    if any(extent < 0 for extent in shape):
        raise BoundaryError(f"{spec.role} {spec} would have shape {shape} for the sizes {sizes}")
    length = prod(shape) * spec.numpy_dtype.itemsize
    if length > INT64_MAX:
        raise BoundaryError(f"{spec.role} {spec} of shape {shape} would need {length} bytes, more than 2**63 - 1")
    return shape


def _value(extent: Expr, sizes: dict[str, int], what: str) -> int:
    try:
        return evaluate(extent, sizes)
    except ZeroDivisionError as error:
        raise BoundaryError(f"{what}, {text(extent)}, has no value for the sizes {sizes}") from error
