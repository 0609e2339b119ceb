"""What the runtime knows of a compiled program: plain data, kept beside the object code.

A manifest says which arrays a call takes and gives, which values they may hold, where temp buffers lie, and for
which machine the code was made. It is all that `boundary`, `executable` and `storage` read; none needs the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, get_args

import numpy as np

from graphnn import __version__
from graphnn.emit.target import Target, processor
from graphnn.errors import BoundaryError, CompileError
from graphnn.run.arrays import Array
from graphnn.run.readers import read_integer, read_list, read_pairs, read_table, read_text, read_texts
from graphnn.run.texts import PackedTexts
from graphnn.schedule.memory import MemoryPlan, decode_extent, encode_extent
from graphnn.simplify.expr import Const, DType, Expr, Role, Size, text, walk

if TYPE_CHECKING:
    from graphnn.run.tuning import Tuning

_NUMPY: dict[DType, np.dtype[Any]] = {name: np.dtype(name) for name in get_args(DType)}

Structure = Literal["single", "list", "dict"]


class BufferSpec(NamedTuple):
    """An array of the entry: extents are size expressions, `layout` its logical axes from slowest to fastest.

    `also` names the arrays of the program that live in it as well, each when the one before is no longer needed.
    """

    name: str
    dtype: DType
    shape: tuple[Expr, ...]
    role: Role
    layout: tuple[int, ...]
    also: tuple[str, ...] = ()

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        return _NUMPY[self.dtype]

    def __str__(self) -> str:
        """x: float32[N, 64]"""
        return f"{self.name}: {self.dtype}[{', '.join(map(text, self.shape))}]"


class Outputs(NamedTuple):
    """What a call returns: one array, a list or a dict of arrays, and the output buffer behind each."""

    structure: Structure
    buffers: tuple[str, ...]
    keys: tuple[str, ...] = ()  # of a dict

    def gather(self, arrays: Mapping[str, Array]) -> Any:
        """The arrays, by buffer name, in the structure of the outputs."""
        match self.structure:
            case "single":
                return arrays[self.buffers[0]]
            case "list":
                return [arrays[name] for name in self.buffers]
            case "dict":
                return {key: arrays[name] for key, name in zip(self.keys, self.buffers, strict=True)}


class Preparation(NamedTuple):
    """Prepared arrays that are computed together, as each follows from another or from the same states."""

    states: tuple[str, ...]
    arrays: tuple[str, ...]


def _versions() -> dict[str, str]:
    import llvmlite  # only a compile asks

    return {"graphnn": __version__, "llvmlite": llvmlite.__version__}


@dataclass(frozen=True, slots=True)
class Manifest:
    """The description of one compiled program. Raises BoundaryError where its parts contradict each other.

    `buffers` are in the order in which the entry takes pointers; `prepare`
    is the entry that fills the prepared ones. The values of an input in `index_bounds` lie in
    [0, extent); `extremes` are (node, terms, results) of each max and min: none is over no terms; the rows of one in
    `distributions` sum to 1. `updates` are the states that the code writes.
    `checks` gives the text of a debug check's code, `origins` that of a line of the debug information, `stages` that of
    a stage ("emit": LLVM's), `kernels` a line per statement, as `Executable.kernels` says. A `parallel` entry runs in
    several threads where it is given them. `steps` is a function of the code that makes many steps, "" for none.
    `passing` are the prepared buffers that nothing but what prepares others reads, `preparations` all, in groups that
    can be computed without each other: `prepare` leaves out what the table has no pointer to.
    `tuning` tells what was measured, if anything was. `processor` is the one for which the target was chosen.
    """

    name: str
    sizes: tuple[str, ...]
    buffers: tuple[BufferSpec, ...]
    outputs: Outputs
    index_bounds: tuple[tuple[str, Expr], ...]
    extremes: tuple[tuple[str, Expr, Expr], ...]
    distributions: tuple[str, ...]
    updates: tuple[str, ...]
    memory: MemoryPlan
    entry: str
    prepare: str
    target: Target
    checks: Mapping[int, str]
    origins: Mapping[int, str]
    stages: Mapping[str, str]
    kernels: tuple[str, ...]
    versions: Mapping[str, str] = field(default_factory=_versions)
    processor: str = field(default_factory=processor)
    parallel: bool = False
    steps: str = ""
    passing: tuple[str, ...] = ()
    preparations: tuple[Preparation, ...] = ()
    tuning: Tuning | None = None

    def __post_init__(self) -> None:
        names = [b.name for b in self.buffers]
        _require(len({*names, *self.sizes}) == len(names) + len(self.sizes), "two buffers or sizes share a name")
        for buffer in self.buffers:
            _require(
                buffer.role in ("temp", "prepared") or buffer.layout == tuple(range(len(buffer.shape))),
                f"{buffer.role} {buffer.name} belongs to the caller and must be row-major, not {buffer.layout}",
            )
            _require(sorted(buffer.layout) == list(range(len(buffer.shape))), f"{buffer.name}: layout {buffer.layout}")
        inputs = {b.name: b for b in self.inputs}
        _require("out" not in inputs, "an input cannot be called 'out': a call takes the output arrays by that name")
        bound = {extent.name for b in self.inputs for extent in b.shape if isinstance(extent, Size)}
        extents = {extent for b in self.buffers for extent in b.shape} | {extent for _, extent in self.index_bounds}
        used = {part.name for extent in extents for part in walk(extent) if isinstance(part, Size)}
        for size in sorted({*used, *self.sizes} - (bound & set(self.sizes))):
            _require(False, f"no input has the size {size} as an extent by itself, so a call cannot know it")
        for held in (*self.states, *self.prepared):
            fixed = all(isinstance(extent, Const) for extent in held.shape)
            _require(fixed, f"{held.role} {held.name} has an extent that is not a number: {held}")
        named = bool(self.prepare) == bool(self.prepared)
        _require(named, f"prepare {self.prepare!r}: what fills the prepared arrays has a name, where there are any")
        for name, _ in self.index_bounds:
            _require(name in inputs and inputs[name].dtype == "int64", f"index bound of {name}: not an int64 input")
        for name in self.distributions:
            ok = name in inputs and inputs[name].dtype in ("float32", "float64") and inputs[name].shape
            _require(bool(ok), f"distribution {name}: not an input of floats with at least one axis")
        _require(set(self.updates) <= {b.name for b in self.states}, f"updates {self.updates}: not all are states")
        _require(set(self.passing) <= {b.name for b in self.prepared}, f"passing {self.passing}: not all are prepared")
        made = sorted(name for p in self.preparations for name in p.arrays)
        whole = made == sorted(b.name for b in self.prepared)
        _require(whole, f"preparations of {made}: not each prepared buffer once")
        sources = {name for p in self.preparations for name in p.states}
        _require(sources <= {b.name for b in self.states}, f"preparations from {sources}: not all are states")
        planned = {lifetime.name for lifetime in self.memory.lifetimes}
        _require(planned <= {b.name for b in self.of("temp")}, f"memory plan of {sorted(planned)}: not all are temps")
        given = set(self.outputs.buffers)
        _require(
            given == {b.name for b in self.of("output")}, f"outputs {self.outputs.buffers}: not the output buffers"
        )
        lengths = {"single": 1, "list": len(self.outputs.buffers), "dict": len(set(self.outputs.keys))}
        matched = len(self.outputs.buffers) == lengths[self.outputs.structure]
        _require(matched, f"outputs {self.outputs}: keys and buffers do not fit together")

    def of(self, role: Role) -> tuple[BufferSpec, ...]:
        return tuple(b for b in self.buffers if b.role == role)

    @property
    def inputs(self) -> tuple[BufferSpec, ...]:
        return self.of("input")

    @property
    def states(self) -> tuple[BufferSpec, ...]:
        return self.of("state")

    @property
    def prepared(self) -> tuple[BufferSpec, ...]:
        return self.of("prepared")

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers; `json.dumps` takes them."""
        return {
            **{f.name: getattr(self, f.name) for f in fields(self)},
            "buffers": [
                [b.name, b.dtype, [encode_extent(e) for e in b.shape], b.role, list(b.layout), list(b.also)]
                for b in self.buffers
            ],
            "outputs": [self.outputs.structure, list(self.outputs.buffers), list(self.outputs.keys)],
            "index_bounds": [[name, encode_extent(extent)] for name, extent in self.index_bounds],
            "extremes": [[name, encode_extent(terms), encode_extent(out)] for name, terms, out in self.extremes],
            "memory": self.memory.to_json(),
            "target": asdict(self.target),
            "tuning": None if self.tuning is None else self.tuning.to_json(),
            **{name: [list(pair) for pair in sorted(getattr(self, name).items())] for name in ("checks", "origins")},
            **{name: list(getattr(self, name)) for name in ("sizes", "distributions", "updates", "kernels", "passing")},
            "preparations": [[list(p.states), list(p.arrays)] for p in self.preparations],
            **{name: dict(getattr(self, name)) for name in ("stages", "versions")},
        }

    @classmethod
    def from_json(cls, data: object) -> Self:
        """The inverse of `to_json`. Raises BoundaryError, naming the field, for data of another form."""
        names = [f.name for f in fields(cls)]
        if not isinstance(data, dict) or set(data) != set(names):
            raise BoundaryError(f"not a manifest: its fields must be {', '.join(names)}")
        values = {}
        for name in names:
            try:
                values[name] = _READERS[name](data[name])
            except (CompileError, TypeError, ValueError) as error:
                raise BoundaryError(f"manifest field {name!r} is malformed: {error}") from error
        return cls(**values)


def stopped(manifest: Manifest, code: int) -> None:
    """Raise the CompileError for a code that is not 0."""
    check = manifest.checks.get(code, "it gives no check of that number")
    raise CompileError(f"program {manifest.name!r} stopped with code {code}: {check}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise BoundaryError(f"inconsistent manifest: {message}")


def _read_choice(data: object, kind: Any) -> Any:
    """One of the strings of a Literal type."""
    if data not in get_args(kind):
        raise TypeError(f"{data!r} is none of {', '.join(get_args(kind))}")
    return data


def _read_buffer(data: object) -> BufferSpec:
    name, dtype, shape, role, layout, also = read_list(data)
    return BufferSpec(
        name=read_text(name),
        dtype=_read_choice(dtype, DType),
        shape=tuple(map(decode_extent, read_list(shape))),
        role=_read_choice(role, Role),
        layout=tuple(map(read_integer, read_list(layout))),
        also=read_texts(also),
    )


def _read_extreme(data: object) -> tuple[str, Expr, Expr]:
    match data:
        case [str(name), terms, results]:
            return name, decode_extent(terms), decode_extent(results)
    raise TypeError(f"{data!r} is not [name, terms, results]")


def _read_preparation(data: object) -> Preparation:
    states, arrays = read_list(data)
    return Preparation(read_texts(states), read_texts(arrays))


def _read_flag(data: object) -> bool:
    if not isinstance(data, bool):
        raise TypeError(f"{data!r} is not true or false")
    return data


def _read_outputs(data: object) -> Outputs:
    structure, buffers, keys = read_list(data)
    return Outputs(_read_choice(structure, Structure), read_texts(buffers), read_texts(keys))


def _read_target(data: object) -> Target:
    match data:
        case {
            "triple": str(triple),
            "cpu": str(cpu),
            "features": str(features),
            "vector_bytes": int(width),
            "vector_registers": int(registers),
            **rest,
        } if not rest:
            return Target(triple, cpu, features, width, registers)
    raise TypeError(f"{data!r} is not a target")


def _read_tuning(data: object) -> Tuning | None:
    if data is None:
        return None
    from graphnn.run.tuning import Tuning  # few programs are

    return Tuning.from_json(data)


_READERS: dict[str, Any] = {
    "name": read_text,
    "sizes": read_texts,
    "buffers": lambda data: tuple(map(_read_buffer, read_list(data))),
    "outputs": _read_outputs,
    "index_bounds": lambda data: tuple((read_text(name), decode_extent(e)) for name, e in read_pairs(data)),
    "extremes": lambda data: tuple(map(_read_extreme, read_list(data))),
    "distributions": read_texts,
    "updates": read_texts,
    "memory": lambda data: MemoryPlan.from_json(read_list(data)),
    "entry": read_text,
    "prepare": read_text,
    "target": _read_target,
    "checks": lambda data: {read_integer(code): read_text(check) for code, check in read_pairs(data)},
    "origins": lambda data: {read_integer(line): read_text(origin) for line, origin in read_pairs(data)},
    "stages": lambda data: data if isinstance(data, PackedTexts) else read_table(data),
    "kernels": read_texts,
    "versions": read_table,
    "processor": read_text,
    "parallel": _read_flag,
    "steps": read_text,
    "passing": read_texts,
    "preparations": lambda data: tuple(map(_read_preparation, read_list(data))),
    "tuning": _read_tuning,
}
