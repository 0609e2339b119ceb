"""Buffers that are local to a loop: what is refused, by name."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from graphnn.errors import CompileError
from graphnn.lower.ir import Buffer, For, Program, Store
from graphnn.lower.printer import print_program
from graphnn.lower.verify import verify
from tests.lower.make import at, e

T = Buffer("t", "float32", (e("N"), e("N"), e(4)), "temp", (0, 1, 2), local_to="i1")
U = Buffer("u", "float32", (e("N"),), "output", (0,))


def store(*index):
    return Store("t", tuple(map(e, index)), e(1.0))


def loops(*body, inner="parallel", outer="parallel"):
    """for i0: for i1: body"""
    return For("i0", e(0), e("N"), (For("i1", e(0), e("N"), body, inner),), outer)


def program(*body, buffer=T):
    return Program("p", ("N",), (buffer, U), body)


BOTH = store("i0", "i1", 0)


def test_parts_of_one_loop():
    valid = program(loops(BOTH, Store("t", (e("i0"), e("i1"), e(3)), at("t", "i0", "i1", 0)), inner="vector"))
    verify(valid)
    assert "temp t: float32[N, N, 4] on the stack in i1\n" in print_program(valid)


INVALID = {
    "another loop": (program(loops(BOTH), loops(BOTH)), "is local to i1; this is another part"),
    "outside of the loop": (program(store(0, 0, 0)), "is local to i1; this is another part"),
    "all iterations": (program(loops(store("i0", 0, 0))), "is local to i1; this is another part"),
    "exchanged axes": (program(loops(BOTH, store("i1", "i0", 0))), "is local to i1; this is another part"),
    "apart in memory": (program(loops(BOTH), buffer=replace(T, layout=(0, 2, 1))), "its parts lie apart in (0, 2, 1)"),
    "lanes around": (program(loops(BOTH, outer="vector")), "is local to a loop inside of a vector loop"),
    "parts of unknown length": (
        program(loops(BOTH), buffer=replace(T, shape=(e("N"), e("N"), e("N")))),
        "the extents of its parts are no numbers",
    ),
    "an output": (program(loops(BOTH), buffer=replace(T, role="output")), "buffer t: no output is local to a loop"),
}


@pytest.mark.parametrize("name", INVALID)
def test_refused(name):
    given, message = INVALID[name]
    with pytest.raises(CompileError, match=re.escape(message)):
        verify(given)
