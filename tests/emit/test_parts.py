"""A module in parts: each is a module of its own, and linked together they are the program."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import numpy as np
import pytest

from graphnn.emit import parts
from graphnn.emit.module import EmittedModule, emit
from graphnn.emit.target import host
from graphnn.lower.ir import Contract, For, Program, Store
from graphnn.run.codegen import generate
from graphnn.run.jit import parse
from graphnn.run.link import load_object
from graphnn.simplify.expr import Axis, Local, Range
from tests.emit.native import buffer, integer, load, op, program

A, B = buffer("a", (9, 20)), buffer("b", (20, 40))
C, D, E = (buffer(name, (9, 40), role="output") for name in "cde")


def layers() -> Program:
    """c = a b (a tile that is a function of its own), d = exp(c), e = sin(d) (a table of constants)."""
    m, n, k = (Range(axis, integer(0), integer(extent)) for axis, extent in (("m", 9), ("n", 40), ("k", 20)))
    i, j = Axis("m"), Axis("n")
    total = Store(C.name, (i, j), Local("s", "float32"))
    product = Contract("s", m, n, (k,), load(A, i, Axis("k")), load(B, Axis("k"), j), (total,))

    def mapped(fn: str, source: str, target: str) -> For:
        store = Store(target, (i, j), op(fn, load(replace(C, name=source), i, j)))
        return For("m", integer(0), integer(9), (For("n", integer(0), integer(40), (store,), "vector"),))

    return program((product, mapped("exp", "c", "d"), mapped("sin", "d", "e")), A, B, C, D, E)


def in_parts(length: int, monkeypatch: pytest.MonkeyPatch) -> tuple[EmittedModule, list[str]]:
    monkeypatch.setattr(parts, "LENGTH", length)
    taken: list[str] = []
    return emit(layers(), host(), take=taken.append), taken


def test_a_short_module_is_its_only_part(monkeypatch: pytest.MonkeyPatch) -> None:
    emitted, taken = in_parts(100_000, monkeypatch)
    assert taken == [emitted.text]


def test_each_part_is_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    emitted, taken = in_parts(1, monkeypatch)
    assert len(taken) == 4  # a kernel each, and the entry
    for text in taken:
        parse(text)
    defined = [line for text in taken for line in text.splitlines() if line.startswith("define")]
    assert defined == [line for line in emitted.text.splitlines() if line.startswith("define")]
    assert in_parts(1, monkeypatch)[1] == taken


@pytest.mark.parametrize("length", [1, 200, 100_000])
def test_the_parts_are_the_program(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    emitted, taken = in_parts(length, monkeypatch)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(9, 20)).astype("f"), rng.normal(size=(20, 40)).astype("f")
    c, d, e = (np.zeros((9, 40), "f") for _ in range(3))
    function = load_object(generate(taken, host()), emitted.entry)
    pointers = (ctypes.c_void_p * 5)(*(x.ctypes.data for x in (a, b, c, d, e)))
    assert function(ctypes.addressof(pointers), 0) == 0
    np.testing.assert_allclose(c, a @ b, rtol=2e-5, atol=1e-5)
    np.testing.assert_allclose(d, np.exp(c), rtol=1e-6)
    np.testing.assert_allclose(e, np.sin(d.astype("d")), rtol=1e-5, atol=1e-6)


def test_targets_whose_objects_are_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "LENGTH", 1)
    taken: list[str] = []
    emitted = emit(layers(), replace(host(), triple="arm64-apple-darwin"), take=taken.append)
    assert taken == [emitted.text]
