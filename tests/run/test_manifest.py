"""A manifest survives JSON, refuses other forms, and refuses parts that contradict each other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from graphnn.errors import BoundaryError
from graphnn.run.manifest import BufferSpec, Manifest, Outputs, Preparation
from graphnn.schedule.memory import Lifetime, MemoryPlan
from graphnn.simplify.expr import Op, Size, index_constant
from tests.run.make import changed, gather

MANIFEST = gather(debug=True).manifest


def test_through_json_and_back() -> None:
    text = json.dumps(MANIFEST.to_json())
    again = Manifest.from_json(json.loads(text))
    assert again == MANIFEST
    assert json.dumps(again.to_json()) == text
    assert again.checks
    assert again.versions.keys() == {"graphnn", "llvmlite"}


def test_extents_are_expressions_of_sizes() -> None:
    extent = Op("add", (Op("floordiv", (Size("N"), index_constant(2)), "int64"), index_constant(1)), "int64")
    spec = BufferSpec("u", "float64", (extent, index_constant(3)), "temp", (1, 0), ("v",))
    manifest = changed(MANIFEST, buffers=(*MANIFEST.buffers, spec))
    data = manifest.to_json()
    assert data["buffers"][-1] == ["u", "float64", [["add", ["floordiv", "N", 2], 1], 3], "temp", [1, 0], ["v"]]
    assert Manifest.from_json(data) == manifest


DATA = json.dumps(MANIFEST.to_json())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 3),
        ("sizes", "N"),
        ("sizes", [1]),
        ("buffers", [["x", "float16", ["N"], "input", [0]]]),
        ("buffers", [["x", "float32", ["N"], "owner", [0]]]),
        ("buffers", [["x", "float32", [["system", "N", 1]], "input", [0]]]),
        ("buffers", [["x", "float32", [1.5], "input", [0]]]),
        ("buffers", [["x", "float32", ["N"], "input", [True]]]),
        ("buffers", [["x", "float32", ["N"], "input"]]),
        ("buffers", {"x": 1}),
        ("outputs", ["tuple", ["h"], []]),
        ("outputs", [["list"], ["h"], []]),
        ("outputs", None),
        ("index_bounds", [["y"]]),
        ("index_bounds", [["y", None]]),
        ("distributions", [None]),
        ("updates", {}),
        ("memory", [["t", 4, ["N"], 0]]),
        ("memory", {}),
        ("entry", None),
        ("prepare", None),
        ("passing", ["t", 1]),
        ("preparations", [["W"], ["p"]]),
        ("preparations", [[["W"], ["p"], []]]),
        ("target", {"triple": "x"}),
        ("target", {**json.loads(DATA)["target"], "more": 1}),
        ("checks", [["1", "text"]]),
        ("checks", [[1, 2]]),
        ("stages", {"lower": 1}),
        ("stages", []),
        ("kernels", [1]),
        ("versions", "0.1"),
    ],
)
def test_a_field_of_another_form(field: str, value: object) -> None:
    data: dict[str, Any] = json.loads(DATA)
    data[field] = value
    with pytest.raises(BoundaryError, match=f"manifest field '{field}' is malformed"):
        Manifest.from_json(data)


@pytest.mark.parametrize("data", [None, [], "text", {}, {**json.loads(DATA), "more": 1}])
def test_what_is_no_manifest(data: object) -> None:
    with pytest.raises(BoundaryError, match="not a manifest: its fields must be name, sizes, buffers"):
        Manifest.from_json(data)


def spec(name: str, role: Any, *shape: int | str, dtype: Any = "float32", layout: Any = None) -> BufferSpec:
    extents = tuple(Size(d) if isinstance(d, str) else index_constant(d) for d in shape)
    return BufferSpec(name, dtype, extents, role, tuple(range(len(shape))) if layout is None else layout)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"buffers": (*MANIFEST.buffers, spec("h", "temp"))}, "two buffers or sizes share a name"),
        ({"buffers": (*MANIFEST.buffers, spec("N", "temp"))}, "two buffers or sizes share a name"),
        ({"buffers": (*MANIFEST.buffers, spec("b", "input", 2, 3, layout=(1, 0)))}, "input b .* must be row-major"),
        ({"buffers": (*MANIFEST.buffers, spec("b", "temp", 2, 3, layout=(1, 1)))}, r"b: layout \(1, 1\)"),
        ({"buffers": (*MANIFEST.buffers, spec("out", "input"))}, "cannot be called 'out'"),
        ({"buffers": (*MANIFEST.buffers, spec("b", "temp", "M"))}, "no input has the size M as an extent"),
        ({"sizes": ("N", "M")}, "no input has the size M as an extent"),
        ({"buffers": (*MANIFEST.buffers, spec("b", "state", "N"))}, r"state b has an extent .*: b: float32\[N\]"),
        ({"buffers": (*MANIFEST.buffers, spec("b", "prepared", "N"))}, "prepared b has an extent"),
        ({"buffers": (*MANIFEST.buffers, spec("b", "prepared", 3))}, "prepare '': what fills the prepared arrays"),
        ({"passing": ("t",)}, r"passing \('t',\): not all are prepared"),
        ({"preparations": (Preparation((), ("t",)),)}, r"preparations of \['t'\]: not each prepared buffer once"),
        ({"preparations": (Preparation(("x",), ()),)}, r"preparations from \{'x'\}: not all are states"),
        ({"prepare": "graphnn_prepare"}, "prepare 'graphnn_prepare': what fills the prepared arrays"),
        ({"index_bounds": (("x", index_constant(3)),)}, "index bound of x: not an int64 input"),
        ({"index_bounds": (("z", index_constant(3)),)}, "index bound of z"),
        ({"distributions": ("y",)}, "distribution y: not an input of floats"),
        ({"memory": MemoryPlan((Lifetime("h", 4, (), 0, 1),))}, r"memory plan of \['h'\]: not all are temps"),
        ({"updates": ("x",)}, r"updates \('x',\): not all are states"),
        ({"outputs": Outputs("list", ("h",))}, "not the output buffers"),
        ({"outputs": Outputs("single", ("h", "total"))}, "keys and buffers do not fit"),
        ({"outputs": Outputs("dict", ("h", "total"), ("a", "a"))}, "keys and buffers do not fit"),
    ],
)
def test_parts_that_contradict_each_other(change: dict[str, Any], match: str) -> None:
    with pytest.raises(BoundaryError, match=match):
        changed(MANIFEST, **change)
