"""Code generated in threads: the bytes do not depend on how many there are, and none outlives its block."""

from __future__ import annotations

import ctypes
import threading

import pytest

from graphnn.emit.target import host
from graphnn.errors import CompileError
from graphnn.run import codegen
from graphnn.run.codegen import Codegen, generate
from graphnn.run.link import link_object

COUNT = 12


def text(number: int) -> str:
    return f"define hidden i64 @f{number}(i64 %x) {{\n  %y = mul i64 %x, {number}\n  ret i64 %y\n}}\n"


def entry() -> str:
    calls = [f"  %v{n} = call i64 @f{n}(i64 %x)\n" for n in range(COUNT)]
    sums = [f"  %s{n + 1} = add i64 %s{n}, %v{n}\n" for n in range(COUNT)]
    declared = [f"declare hidden i64 @f{n}(i64)\n" for n in range(COUNT)]
    head = "define i64 @all(i64 %x) {\n  %s0 = add i64 0, 0\n"
    return "".join([*declared, head, *calls, *sums, f"  ret i64 %s{COUNT}\n}}\n"])


def modules() -> list[str]:
    return [*map(text, range(COUNT)), entry()]


def test_the_modules_are_one_library() -> None:
    library = link_object(generate(modules(), host()), ("all",))
    assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library["all"])(10) == 10 * sum(range(COUNT))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_same_bytes_from_any_number_of_threads(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = generate(modules(), host())
    monkeypatch.setattr(codegen, "processors", lambda: threads)
    before = threading.active_count()
    with Codegen(host()) as generator:
        for module in modules():
            generator.add(module)
        assert threading.active_count() <= before + threads - 1
        assert generator.finish() == expected
    assert threading.active_count() == before


def test_a_refused_text_ends_the_threads() -> None:
    before = threading.active_count()
    with pytest.raises(CompileError, match="LLVM refused the emitted module"):
        generate([*modules(), "define i64 @f() { ret float 0.0 }"], host())
    assert threading.active_count() == before


def test_an_unfinished_block_ends_the_threads() -> None:
    before = threading.active_count()
    with Codegen(host()) as generator:
        generator.add(text(1))
    assert threading.active_count() == before
