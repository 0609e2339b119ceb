"""What native code needs of this Python and this NumPy: functions of the C API, and where fields of an array lie.

The fields are part of NumPy's binary interface and the functions of CPython's, but nothing is taken on trust:
`native_api` tries them on arrays whose properties are known, and is None where anything differs, on builds without the
GIL or with other object heads, and on other Pythons. Calls then go through Python, with the same results.
"""

from __future__ import annotations

import ctypes
import sys
import sysconfig
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from graphnn.run.arrays import Array, documented_address
from graphnn.run.native.records import API, Context

# Bytes from the start of an array object to `ob_type`, and to data, nd, dimensions, descr and flags.
TYPE, DATA, AXES, EXTENTS, DTYPE, FLAGS = 8, 16, 24, 32, 56, 64
WRITEABLE = 0x400  # NPY_ARRAY_WRITEABLE

_NEW_FROM_DESCR = 94  # the place of PyArray_NewFromDescr in NumPy's table of functions
_NDARRAY = 2  # and of PyArray_Type
_METH_FASTCALL_KEYWORDS = 0x82


class MethodDefinition(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("documentation", ctypes.c_char_p),
    )


@cache
def native_api() -> Mapping[Context, int] | None:
    """The words of a context that are the same for all programs; None where native code must not touch objects."""
    if sys.implementation.name != "cpython" or object.__basicsize__ != DATA or hasattr(sys, "gettotalrefcount"):
        return None
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return None
    try:
        table = _numpy_functions()
        functions = {Context[name]: _address(name) for name in API}
    except (AttributeError, ValueError, TypeError):
        return None
    if table[_NDARRAY] != id(np.ndarray) or not _fields_agree() or not _makes_arrays(table[_NEW_FROM_DESCR]):
        return None
    return {
        **functions,
        Context.PyArray_NewFromDescr: table[_NEW_FROM_DESCR],
        Context.NDARRAY: id(np.ndarray),
        Context.LIST: id(list),
        Context.VERSION_NAME: id(_VERSION),
        Context.OUT_NAME: id(_OUT),
    }


_VERSION, _OUT = sys.intern("version"), sys.intern("out")


def function_object(definition: MethodDefinition, carried: object) -> Callable[..., Any]:
    """A function object that hands `carried` to native code as its first argument, and keeps it alive."""
    make = ctypes.pythonapi.PyCFunction_NewEx
    made = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)(_entry_of(make))
    found: Callable[..., Any] = made(ctypes.addressof(definition), carried, None)
    return found


def method_definition(name: str, function: int, documentation: str) -> MethodDefinition:
    """What CPython knows of a native function; it must outlive every function object made of it."""
    return MethodDefinition(name.encode(), function, _METH_FASTCALL_KEYWORDS, documentation.encode())


def pool_functions(take: int, give: int) -> tuple[Callable[[int], int | None], Callable[[int, int], None]]:
    """Two native functions as Python calls them, without releasing the GIL: (context) -> frame, (context, frame)."""
    taking = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(take)
    return taking, ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(give)


def _entry_of(function: Any) -> int:
    found = ctypes.cast(function, ctypes.c_void_p).value
    if not found:
        raise ValueError("a function without an address")
    return found


def _address(name: str) -> int:
    return _entry_of(getattr(ctypes.pythonapi, name))


def _numpy_functions() -> Any:
    """NumPy's table of C functions and types."""
    capsule = np._core._multiarray_umath._ARRAY_API  # type: ignore[attr-defined]
    opened = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(_address("PyCapsule_GetPointer"))
    return ctypes.cast(opened(capsule, None), ctypes.POINTER(ctypes.c_size_t))


def _fields_agree() -> bool:
    """Whether the fields of array objects of every kind lie where they are looked for."""
    base = np.zeros((3, 4), np.float32)
    frozen = np.zeros((2, 1, 5), np.int64)
    frozen.flags.writeable = False
    swapped = np.zeros(6, ">f8")
    odd = np.zeros(17, np.uint8)[1:].view(np.float64)
    arrays: list[Array] = [
        base,
        base[1:],
        base.T,
        base[:, ::2],
        np.zeros(()),
        np.zeros((0, 7), bool),
        frozen,
        swapped,
        odd,
    ]
    return all(_described_truly(array) for array in arrays)


def _described_truly(array: Array) -> bool:
    def word(offset: int) -> int:
        return ctypes.c_size_t.from_address(id(array) + offset).value

    def half(offset: int) -> int:
        return ctypes.c_int32.from_address(id(array) + offset).value

    if word(TYPE) != id(np.ndarray) or word(DATA) != documented_address(array) or half(AXES) != array.ndim:
        return False
    if word(DTYPE) != id(array.dtype) or half(FLAGS) != array.flags.num:
        return False
    if bool(half(FLAGS) & WRITEABLE) != array.flags.writeable:
        return False
    extents = word(EXTENTS)
    if not extents:
        return array.ndim == 0
    return all(ctypes.c_ssize_t.from_address(extents + 8 * k).value == n for k, n in enumerate(array.shape))


def _makes_arrays(function: int) -> bool:
    """Whether the function makes an array of a shape and dtype, as it is called from native code."""
    kinds = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, *[ctypes.c_void_p] * 3, ctypes.c_int, ctypes.c_void_p]
    make = ctypes.PYFUNCTYPE(ctypes.py_object, *kinds)(function)
    dtype, extents = np.dtype(np.float32), (ctypes.c_ssize_t * 2)(3, 5)
    ctypes.PYFUNCTYPE(None, ctypes.py_object)(_address("Py_IncRef"))(dtype)
    made = make(id(np.ndarray), id(dtype), 2, ctypes.addressof(extents), None, None, 0, None)
    return type(made) is np.ndarray and (made.shape, made.dtype) == ((3, 5), dtype) and made.flags.carray
