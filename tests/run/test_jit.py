"""Text to object to function; what LLVM refuses is a CompileError."""

from __future__ import annotations

import ctypes
import gc

import numpy as np
import pytest

from graphnn.emit.target import host
from graphnn.errors import CompileError
from graphnn.run.jit import assembly, compile_object
from graphnn.run.link import load_object

TEXT = """
define i64 @graphnn_entry(ptr %buffers, ptr %sizes) {
  %x = load ptr, ptr %buffers
  %n = load i64, ptr %sizes
  %old = load i64, ptr %x
  %new = add i64 %old, %n
  store i64 %new, ptr %x
  ret i64 %old
}
"""


def test_a_function_outlives_everything_but_itself() -> None:
    functions = [load_object(compile_object(TEXT, host()), "graphnn_entry") for _ in range(3)]
    gc.collect()
    cell, size = np.array([40]), np.array([2])
    pointers = (ctypes.c_void_p * 1)(cell.ctypes.data)
    results = [f(ctypes.addressof(pointers), size.ctypes.data) for f in functions]
    assert (results, cell.tolist()) == ([40, 42, 44], [46])
    assert len({f.address for f in functions}) == 3


def test_the_same_text_gives_the_same_object() -> None:
    assert compile_object(TEXT, host()) == compile_object(TEXT, host())


def test_assembly_names_the_entry() -> None:
    assert "graphnn_entry:" in assembly(TEXT, host())


def test_text_that_llvm_refuses() -> None:
    with pytest.raises(CompileError, match="refused the emitted module"):
        compile_object("define i64 @f() { ret float 0.0 }", host())


def test_an_unknown_symbol() -> None:
    with pytest.raises(CompileError, match="could not link 'absent'"):
        load_object(compile_object(TEXT, host()), "absent")


def test_a_product_and_a_sum_are_not_contracted() -> None:
    text = """
define double @f(double %a, double %b, double %c) {
  %p = fmul double %a, %b
  %s = fadd double %p, %c
  ret double %s
}
"""
    assert "fma" not in assembly(text, host())
