"""Several objects as one: what LLVM and `place` see, and what no object of a program may do."""

from __future__ import annotations

import ctypes

import pytest

from graphnn.emit.target import host
from graphnn.errors import CompileError
from graphnn.run.image import place
from graphnn.run.jit import compile_object, link_by_llvm
from graphnn.run.join import join

# Each has constants of its own, under labels of one name, one the variable; they call each other.
FIRST = """
@count = hidden global i64 40
declare hidden double @second(double)
define double @first(double %x) nounwind uwtable {
  %y = fmul double %x, 1.25
  %z = call double @second(double %y)
  %s = fadd double %z, 0.75
  ret double %s
}
define hidden i64 @step() nounwind uwtable {
  %old = load i64, ptr @count
  %new = add i64 %old, 1
  store i64 %new, ptr @count
  ret i64 %new
}
"""
SECOND = """
@table = private unnamed_addr constant [3 x double] [double 3.0, double 5.0, double 7.0]
declare hidden i64 @step()
define hidden double @second(double %x) nounwind uwtable {
  %n = call i64 @step()
  %at = srem i64 %n, 3
  %address = getelementptr double, ptr @table, i64 %at
  %number = load double, ptr %address
  %scaled = fmul double %x, 0.375
  %sum = fadd double %scaled, %number
  ret double %sum
}
"""


def objects() -> list[bytes]:
    return [compile_object(text, host()) for text in (FIRST, SECOND)]


def expected(x: float, count: int) -> float:
    return x * 1.25 * 0.375 + (3.0, 5.0, 7.0)[count % 3] + 0.75


@pytest.mark.parametrize("linker", [link_by_llvm, place])
@pytest.mark.parametrize("order", [1, -1])
def test_calls_constants_and_variables(linker: object, order: int) -> None:
    library = linker(join(objects()[::order]), ("first",))  # type: ignore[operator]
    if library is None:
        pytest.skip("objects of another system")
    first = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(library["first"])
    assert [first(2.0), first(-3.0)] == [expected(2.0, 41), expected(-3.0, 42)]


def test_an_object_alone_is_itself_and_equal_ones_give_equal_bytes() -> None:
    one, two = objects()
    assert join([one]) == one
    assert join([one, two]) == join(objects())


def test_a_joined_object_can_be_joined() -> None:
    other = "define double @other(double %x) { ret double %x }"
    library = link_by_llvm(join([join(objects()), compile_object(other, host())]), ("first", "other"))
    assert ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(library["first"])(2.0) == expected(2.0, 41)


def test_a_symbol_that_two_define() -> None:
    with pytest.raises(CompileError, match="two parts of a program define first"):
        join([objects()[0], objects()[0]])


def test_another_format() -> None:
    with pytest.raises(CompileError, match="another kind than ELF"):
        join([bytes(64), bytes(64)])
