"""Index arithmetic that is known when code is written: what LLVM would compute, and nothing written for it."""

from __future__ import annotations

import ctypes

import pytest

from graphnn.emit.folding import fold, fold_comparison, fold_logic
from graphnn.emit.target import host
from graphnn.emit.writer import Module, Value, Writer, constant
from graphnn.run.jit import compile_object
from graphnn.run.link import load_object

EDGES = (0, 1, -1, 2, 7, -7, 2**63 - 1, -(2**63))
OPCODES = ("add", "add nsw", "sub", "mul", "and", "udiv")


def by_llvm(instruction: str) -> int:
    text = f"define i64 @f(ptr %a, ptr %b) {{\n{instruction}\n  ret i64 %r\n}}\n"
    return load_object(compile_object(text, host()), "f")(0, 0)


@pytest.mark.parametrize("opcode", OPCODES)
def test_constants(opcode: str) -> None:
    pairs = [(x, y) for x in EDGES for y in EDGES if fold(opcode, str(x), str(y)) is not None]
    assert len(pairs) >= 16
    folded = [fold(opcode, str(x), str(y)) for x, y in pairs]
    plain = opcode.removesuffix(" nsw")
    lines = ["  %r0 = add i64 0, 0"]
    for n, ((x, y), result) in enumerate(zip(pairs, folded, strict=True)):
        lines += [f"  %v{n} = {plain} i64 {x}, {y}", f"  %d{n} = icmp ne i64 %v{n}, {result}"]
        lines += [f"  %e{n} = zext i1 %d{n} to i64", f"  %r{n + 1} = add i64 %r{n}, %e{n}"]
    assert by_llvm("\n".join([*lines, f"  %r = add i64 %r{len(pairs)}, 0"])) == 0


@pytest.mark.parametrize(
    ("opcode", "a", "b", "expected"),
    [
        ("add", "%x", "0", "%x"),
        ("add", "0", "%x", "%x"),
        ("sub", "%x", "0", "%x"),
        ("sub", "0", "%x", None),
        ("mul", "1", "%x", "%x"),
        ("mul", "%x", "0", "0"),
        ("udiv", "%x", "1", "%x"),
        ("udiv", "1", "%x", None),
        ("udiv", "1", "0", None),  # LLVM would trap, or not
        ("udiv", "-1", "2", None),
        ("smin", "-3", "2", "-3"),
        ("umax", "1", "5", "5"),
        ("umin", "-1", "5", None),
        ("and", "%x", "0", None),
        ("shl", "1", "2", None),
    ],
)
def test_what_one_operand_decides(opcode: str, a: str, b: str, expected: str | None) -> None:
    assert fold(opcode, a, b) == expected


@pytest.mark.parametrize(
    ("opcode", "a", "b", "expected"),
    [
        ("and", "1", "%x", "%x"),
        ("and", "%x", "0", "0"),
        ("or", "%x", "0", "%x"),
        ("or", "1", "%x", "1"),
        ("or", "%x", "%y", None),
        ("xor", "%x", "1", None),
    ],
)
def test_conditions(opcode: str, a: str, b: str, expected: str | None) -> None:
    assert fold_logic(opcode, a, b) == expected


def test_comparisons() -> None:
    assert [fold_comparison("icmp slt", str(x), "0") for x in (-1, 0, 1)] == ["1", "0", "0"]
    assert [fold_comparison("icmp sge", str(x), "0") for x in (-1, 0, 1)] == ["0", "1", "1"]
    assert fold_comparison("icmp eq", "%x", "0") is None
    assert fold_comparison("icmp ult", "1", "2") is None


def test_what_runs_once_has_no_loop_and_what_never_runs_has_no_effect() -> None:
    w = Writer(Module("test", host().triple))
    total = constant("i64", 5)
    for lo, hi, step in ((3, 4, 1), (0, 16, 16), (10, 20, 100)):
        with w.loop(constant("i64", lo), constant("i64", hi), step, [total]) as loop:
            loop.next = [w.binary("add", loop.carried[0], loop.index)]
        total = loop.results[0]
    assert (total, w.lines) == (constant("i64", 5 + 3 + 0 + 10), [])
    with w.loop(constant("i64", 4), constant("i64", 4), carry=[total]) as empty:
        empty.next = [w.binary("add", empty.carried[0], constant("i64", 1))]
    with w.when(w.compare("icmp eq", constant("i64", 1), constant("i64", 1))):
        w.do(f"store {empty.results[0]}, ptr %a")
    w.do("%r = load i64, ptr %a")
    w.do("ret i64 %r")
    w.module.functions.append("\n".join(["define i64 @f(ptr %a, ptr %b) {", "entry:", *w.lines, "}"]))
    cell = ctypes.c_int64()
    function = load_object(compile_object(w.module.text(), host()), "f")
    assert function(ctypes.addressof(cell), 0) == 18


def test_addresses_and_choices() -> None:
    w = Writer(Module("test", host().triple))
    base, a, b = Value("ptr", "%p"), Value("float", "%a"), Value("float", "%b")
    assert w.gep("float", base, constant("i64", 0)) == base
    assert [w.select(constant("i1", known), a, b) for known in (1, 0)] == [a, b]
    assert w.lines == []
