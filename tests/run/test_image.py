"""Objects that are placed in memory without LLVM: the code that LLVM links, and what is left to LLVM."""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from graphnn.emit.target import host
from graphnn.errors import CompileError
from graphnn.run import image, link
from graphnn.run.executable import Executable
from graphnn.run.image import place
from graphnn.run.jit import compile_object, link_by_llvm
from graphnn.run.link import link_object
from graphnn.run.pool_code import pool_text
from graphnn.run.threads import RESET, RUN
from tests.run.make import gather, gather_expected, gather_inputs

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not host().triple.startswith("x86_64"), reason="objects of x86-64 Linux"
)

# Constants, zeros, data that is written to, a function of the C library, a call within the object, and one back.
TEXT = """
@table = internal constant [4 x double] [double 1.0, double 2.0, double 4.0, double 8.0], align 64
@count = dso_local global i64 40
@kept = internal global [4096 x i64] zeroinitializer, align 4096
declare ptr @memcpy(ptr, ptr, i64)
define internal i64 @step() noinline {
  %old = load i64, ptr @count
  %new = add i64 %old, 1
  store i64 %new, ptr @count
  ret i64 %new
}
define i64 @copied(ptr %to) {
  %p = call ptr @memcpy(ptr %to, ptr @table, i64 32)
  %n = call i64 @step()
  %at = getelementptr i64, ptr @kept, i64 4095
  %old = load i64, ptr %at
  store i64 %n, ptr %at
  ret i64 %old
}
define i64 @through(ptr %back) uwtable {
  %n = call i64 %back()
  %m = add i64 %n, 1
  ret i64 %m
}
"""
SYMBOLS = ("copied", "through", "count")


@pytest.fixture(scope="module")
def code() -> bytes:
    return compile_object(TEXT, host())


def placed(code: bytes) -> image.Image:
    found = place(code, SYMBOLS)
    assert found is not None
    return found


@pytest.mark.parametrize("way", [place, link_by_llvm])
def test_either_way_is_the_same_code(code, way):
    library, target = way(code, SYMBOLS), np.zeros(4)
    copied = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(library["copied"])
    assert [copied(target.ctypes.data) for _ in range(3)] == [0, 41, 42]
    assert target.tolist() == [1, 2, 4, 8]
    assert ctypes.c_int64.from_address(library["count"]).value == 43


def test_each_image_has_variables_of_its_own(code):
    one, two = placed(code), placed(code)
    ctypes.c_int64.from_address(one["count"]).value = 7
    assert ctypes.c_int64.from_address(two["count"]).value == 40


def mapped(address: int) -> str:
    """The permissions of the pages at an address; "" where there are none."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        first, last, permissions = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
        if int(first, 16) <= address < int(last, 16):
            return permissions
    return ""


def test_no_page_is_written_to_and_executed(code):
    library = placed(code)
    start = library["copied"] & -mmap.PAGESIZE
    found = [mapped(start + k * mmap.PAGESIZE)[:3] for k in range(3)]
    assert found == ["r-x", "r--", "rw-"]
    assert mapped(library["count"])[:3] == "rw-"


def test_the_memory_is_freed_with_the_image(code):
    library = placed(code)
    address = library["copied"]
    assert mapped(address)
    del library
    gc.collect()
    assert not mapped(address).startswith("r-x")


def test_calls_through_it_are_unwound(code):
    found = (ctypes.c_void_p * 64)()
    backtrace = ctypes.CDLL(None).backtrace

    @ctypes.CFUNCTYPE(ctypes.c_int64)
    def back() -> int:
        return backtrace(found, 64)

    library = placed(code)
    through = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(library["through"])
    depth = through(ctypes.cast(back, ctypes.c_void_p)) - 1
    inside = [k for k in range(depth) if library["through"] < found[k] < library["through"] + 64]
    assert len(inside) == 1
    assert inside[0] < depth - 3  # and further, up to the start of the interpreter


def test_a_program_runs_from_its_image(monkeypatch):
    made, inputs = gather(), gather_inputs(9)
    monkeypatch.delitem(sys.modules, "llvmlite.binding")
    program = Executable(made.manifest, made._code, made._call.source)
    assert isinstance(program._call.native.library, image.Image)
    np.testing.assert_array_equal(program(**inputs)["hidden"], gather_expected(inputs)[0])


def test_the_pool_calls_the_threads_of_the_system():
    assert place(compile_object(pool_text(host().triple), host()), (RUN, RESET)) is not None


@pytest.mark.parametrize(
    "text",
    [
        "@stdout = external global ptr\ndefine ptr @f() {\n %p = load ptr, ptr @stdout\n ret ptr %p\n}",
        "@t = thread_local global i64 0\ndefine i64 @f() {\n %p = load i64, ptr @t\n ret i64 %p\n}",
        "@p = global ptr @f\ndefine ptr @f() {\n %p = load ptr, ptr @p\n ret ptr %p\n}",
        "define void @f() {\n ret void\n}\n@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] "
        "[{ i32, ptr, ptr } { i32 1, ptr @f, ptr null }]",
    ],
)
def test_what_is_left_to_llvm(text):
    assert place(compile_object(text, host()), ("f",)) is None


def test_a_missing_symbol_or_function(code, monkeypatch):
    assert place(code, ("absent",)) is None
    calling = "declare void @graphnn_nowhere()\ndefine void @f() {\n call void @graphnn_nowhere()\n ret void\n}"
    assert place(compile_object(calling, host()), ("f",)) is None
    monkeypatch.delitem(sys.modules, "llvmlite.binding")
    with pytest.raises(CompileError, match="could not link 'absent'"):
        link_object(code, ("absent",))


def test_a_process_without_llvm_places_and_others_link(code, monkeypatch):
    assert not isinstance(link_object(code, SYMBOLS), image.Image)
    monkeypatch.delitem(sys.modules, "llvmlite.binding")
    assert isinstance(link_object(code, SYMBOLS), image.Image)
    monkeypatch.setattr(link, "place", lambda data, wanted: None)
    assert link_object(code, ("copied",))["copied"]


def test_a_system_that_grants_no_memory_to_execute(code, monkeypatch):
    monkeypatch.setattr(image, "_PROTECTIONS", (1 << 20, 1, 3))  # mprotect knows no such permission
    assert place(code, SYMBOLS) is None


def test_damaged_objects_are_refused(code):
    assert all(place(code[:length], SYMBOLS) is None for length in range(0, len(code), 7))
    for position in range(64):  # the header, of which some bytes mean nothing
        data = bytearray(code)
        data[position] ^= 0xFF
        place(bytes(data), SYMBOLS)
    assert place(b"\x7fELF" + bytes(100), SYMBOLS) is None


def test_other_machines(code, monkeypatch):
    uname = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*uname[:4], "aarch64")))
    assert place(code, SYMBOLS) is None
