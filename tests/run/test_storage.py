"""Saved programs: the same results again, whole files only, and damage or another machine is refused with advice."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import math
import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graphnn.emit.target import host
from graphnn.errors import BoundaryError
from graphnn.run import archive
from graphnn.run.executable import Executable
from graphnn.run.states import HeldState
from graphnn.run.storage import check_host, load
from graphnn.run.texts import PackedTexts, pack
from tests.run.make import W, build, changed, gather, gather_expected, gather_inputs, step_program


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "gather.gnn"
    gather(debug=True).save(path)
    return path


def test_a_loaded_program_is_the_saved_one(saved: Path) -> None:
    program, original = load(saved), gather(debug=True)
    inputs = gather_inputs(9)
    result = program(**inputs)
    np.testing.assert_array_equal(result["hidden"], gather_expected(inputs)[0])
    assert program.manifest == original.manifest
    assert (program.llvm, program.stage("lower")) == (original.llvm, "the loops")
    assert program.assembly == original.assembly


def test_state_is_saved_as_it_is_now(tmp_path: Path) -> None:
    step = build(step_program(), state=HeldState({"w": np.zeros(6, np.float32)}))
    g = np.ones(6, np.float32)
    step(g=g)
    step.save(tmp_path / "a.gnn")
    step(g=g)
    again = load(tmp_path / "a.gnn")
    assert again(g=g).tolist() == [1.0] * 6
    assert again(g=g).tolist() == [1.5] * 6
    again.save(tmp_path / "a.gnn")
    assert load(tmp_path / "a.gnn")(g=g).tolist() == [2.0] * 6


def test_loaded_states_start_at_cache_lines(saved: Path) -> None:
    for _ in range(3):
        states = archive.read(saved).states
        assert states
        assert all(state.ctypes.data % 64 == 0 for state in states.values())


def test_equal_programs_give_equal_bytes(saved: Path, tmp_path: Path) -> None:
    load(saved).save(tmp_path / "again.gnn")
    assert (tmp_path / "again.gnn").read_bytes() == saved.read_bytes()


def test_loading_imports_neither_sympy_nor_networkx_nor_the_compiler(saved: Path) -> None:
    others = ("sympy", "networkx", "mpmath", "graphnn.declare", "graphnn.ops", "graphnn.lower", "graphnn.emit.module",
              "graphnn.schedule.passes", "graphnn.run.steps", "graphnn.emit.writer", "llvmlite.binding")  # fmt: skip
    code = (
        "import sys, numpy, graphnn\n"
        "program = graphnn.load(sys.argv[1])\n"
        "x, p = numpy.zeros((1, 4), 'f4'), numpy.array([[1, 0, 0]], 'f4')\n"
        "print(program(x=x, y=numpy.array([1]), p=p)['hidden'].tolist())\n"
        f"print([m for m in {others} if m in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", code, saved], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [str([(2 * W[1]).tolist()]), "[]"]


def test_a_failed_save_leaves_the_old_file(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.gnn"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError("no space left")

    program = load(saved)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        program.save(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def expect_refusal(tmp_path: Path, data: bytes, match: str) -> None:
    path = tmp_path / "bad.gnn"
    path.write_bytes(data)
    with pytest.raises(BoundaryError, match=match) as caught:
        load(path)
    assert "bad.gnn" in str(caught.value)
    assert "compile and save the program again" in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.gnn")


def test_truncated_files(saved: Path, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    for length in [0, 1, 100, *range(1000, len(whole), 997), len(whole) - 1]:
        expect_refusal(tmp_path, whole[:length], "is damaged or no graphnn program")


def test_flipped_bits_are_found_or_harmless(saved: Path, tmp_path: Path) -> None:
    whole, path = saved.read_bytes(), tmp_path / "bad.gnn"
    good = archive.read(saved)
    refused = 0
    for position in [*range(0, len(whole), 61), *range(len(whole) - 400, len(whole))]:
        data = bytearray(whole)
        data[position] ^= 1 << position % 8
        path.write_bytes(data)
        try:
            found = archive.read(path)
        except BoundaryError:
            refused += 1
        else:  # a date or an attribute of the container
            assert (found.manifest, found.code) == (good.manifest, good.code)
            np.testing.assert_array_equal(found.states["W"], good.states["W"])
    assert refused > 100


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """The file with its members changed and the container itself sound."""
    with zipfile.ZipFile(path) as container:
        members = {name: container.read(name) for name in container.namelist()}
    change(members)
    if "manifest.json" in members:
        members["sha256"] = hashlib.sha256(members["manifest.json"]).hexdigest().encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as container:
        for name, data in members.items():
            container.writestr(name, data)
    return buffer.getvalue()


def with_head(**changes: object) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        members["manifest.json"] = json.dumps({**json.loads(members["manifest.json"]), **changes}).encode()

    return change


def with_array(array: np.ndarray, written: bytes = b"", instead: bytes = b"") -> Callable[[dict[str, bytes]], None]:
    """Another array in the first state's member, with the digest of it; some bytes of it replaced by others."""

    def change(members: dict[str, bytes]) -> None:
        buffer, head = io.BytesIO(), json.loads(members["manifest.json"])
        np.save(buffer, array)
        members["state/0.npy"] = buffer.getvalue().replace(written, instead)
        head["members"]["state/0.npy"] = hashlib.sha256(members["state/0.npy"]).hexdigest()
        with_head(**head)(members)

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (with_array(np.zeros((3, 2), order="F")), "not written in row-major order"),
        (with_array(np.zeros(3), b"(3,)", b"(9,)"), "reshape"),
        (with_array(np.zeros(3), b"NUMPY\1", b"NUMPY\2"), "another version of NumPy's format"),
        (with_array(np.zeros(3)), "state W: .* its owner gave float32 of"),
    ],
)
def test_arrays_that_do_not_fit(
    saved: Path, tmp_path: Path, change: Callable[[dict[str, bytes]], None], match: str
) -> None:
    path = tmp_path / "bad.gnn"
    path.write_bytes(rewritten(saved, change))
    with pytest.raises(BoundaryError, match=match):
        load(path)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3, 4)])
def test_arrays_are_read_as_numpy_writes_them(shape: tuple[int, ...]) -> None:
    for dtype in ("float32", "float64", "int64", "bool"):
        array = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
        buffer = io.BytesIO()
        np.save(buffer, array)
        found = archive._read_array(memoryview(buffer.getvalue()))
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        assert found.tobytes() == array.tobytes()
        assert found.flags.writeable
        assert found.ctypes.data % 64 == 0


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda m: m.update({"code.o": m["code.o"][:-1]}), "the SHA-256 of its member code.o"),
        (lambda m: m.update({"state/0.npy": m["state/0.npy"][:-1] + b"!"}), "SHA-256 of its member state/0.npy"),
        (lambda m: m.pop("texts.json.gz"), "its members .* are not those of its manifest"),
        (lambda m: m.update({"extra": b""}), "its members .* are not those of its manifest"),
        (lambda m: m.pop("manifest.json"), "is damaged or no graphnn program"),
        (lambda m: m.update({"manifest.json": b"[]"}), "its manifest has another form"),
        (lambda m: m.update({"manifest.json": b"{"}), "is damaged or no graphnn program"),
        (with_head(format=4), "its format is 4, this version reads format 6"),
        (with_head(program={}), "not a manifest"),
        (with_head(more=1), "its manifest has another form"),
    ],
)
def test_members_that_do_not_fit(
    saved: Path, tmp_path: Path, change: Callable[[dict[str, bytes]], None], match: str
) -> None:
    expect_refusal(tmp_path, rewritten(saved, change), match)


def test_a_manifest_that_was_changed(saved: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(saved) as container:
        members = {name: container.read(name) for name in container.namelist()}
    members["manifest.json"] = members["manifest.json"].replace(b"gather", b"father", 1)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as container:
        for name, data in members.items():
            container.writestr(name, data)
    expect_refusal(tmp_path, buffer.getvalue(), r"the SHA-256 of its manifest.json is not the one recorded")


def test_a_pickle_in_place_of_an_array_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([print], object), allow_pickle=True)
    program = gather()
    path = tmp_path / "p.gnn"
    good = archive.Archive(program.manifest, program._code, {"W": W})
    with monkeypatch.context() as patch:
        patch.setattr(np, "save", lambda file, array, allow_pickle: file.write(buffer.getvalue()))
        archive.write(path, good)
    with pytest.raises(BoundaryError, match="cannot create an OBJECT array"):
        load(path)


def saved_with(tmp_path: Path, program: Executable, **changes: object) -> Path:
    path = tmp_path / "p.gnn"
    manifest = changed(program.manifest, **changes)
    archive.write(path, archive.Archive(manifest, program._code, {"W": W}))
    return path


def test_another_version_or_machine(tmp_path: Path) -> None:
    program = gather()
    here = host()
    for changes, match in (
        ({"versions": {"graphnn": "0.0.1"}}, "compiled by graphnn 0.0.1, this is .*: compile 'gather' again"),
        ({"target": replace(here, triple="s390x-ibm-linux")}, "compiled for s390x-ibm-linux, this is .*: compile"),
        ({"target": replace(here, cpu="giant", features="+sse9,-avx,+amx9")}, r"\(giant\) with amx9, sse9, which"),
    ):
        with pytest.raises(BoundaryError, match=match):
            load(saved_with(tmp_path, program, **changes, processor="another"))
    lesser = replace(here, cpu="other", features=",".join(here.features.split(",")[:2]))
    check_host(changed(program.manifest, target=lesser), here)
    assert load(saved_with(tmp_path, program))(**gather_inputs(2))["hidden"].shape == (2, 4)


def test_texts_of_another_form_are_no_texts(tmp_path: Path) -> None:
    program = gather()
    for texts in (["lower"], {"lower": 1}):
        with pytest.raises(BoundaryError, match="texts of the program's stages are damaged"):
            list(PackedTexts(gzip.compress(json.dumps(texts).encode())))
    with pytest.raises(BoundaryError, match="texts of the program's stages are damaged"):
        PackedTexts(b"no gzip")["lower"]
    assert dict(PackedTexts(pack(program.manifest.stages))) == {"lower": "the loops", "emit": program.llvm}


def test_texts_are_unpacked_when_they_are_read(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(zlib, "decompress", None)
        program = load(saved)
        program(**gather_inputs(3))
    assert program.stage("lower") == "the loops"


def test_a_state_of_another_shape(tmp_path: Path) -> None:
    program = gather()
    path = tmp_path / "p.gnn"
    archive.write(path, archive.Archive(program.manifest, program._code, {"W": W[:2]}))
    with pytest.raises(BoundaryError, match=r"state W: float32\[5, 4\] must be .*; its owner gave float32 of \(2, 4\)"):
        load(path)
