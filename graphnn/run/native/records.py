"""The memory that Python fills and the native entry reads: records of 64-bit words, each word with a name.

A word is an integer, the address of a Python object or of another record, or a function of the C API. Whoever holds the
record keeps the objects alive. What `code` emits reads them, `entry` and `plan` fill them; frames (`words`) are
`run/frame.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import auto
from typing import TypeVar

import numpy as np

from graphnn.run.arrays import Array, address
from graphnn.run.native.words import Words

MOST_INPUTS, MOST_OUTPUTS = 32, 32  # of a call that the native entry takes
STEPS_SYMBOL = "graphnn_steps"  # the loop over steps
REFUSED = -1  # what it gives after a step that the watch did not make

_Kind = TypeVar("_Kind", bound=Words)


class Context(Words):
    """One per Executable. `FREE` and `PLANS` head linked lists; the rest from `ENTRY` on never changes."""

    FREE = auto()  # the first frame that no call is using
    PLANS = auto()  # the plans of the shapes seen last
    STATES = auto()  # the States record as of VERSION
    VERSION = auto()
    RUNNING = auto()  # calls that may be reading a plan
    UPDATING = auto()  # 1 while a call updates the state without the GIL
    ENTRY = auto()  # i64 (ptr buffers, ptr sizes)
    SOURCE = auto()  # the owner of the states, 0 without any
    UPDATES = auto()
    FAILED = auto()  # called with a code that is not 0, raises
    INPUTS = auto()  # how many
    OUTPUTS = auto()
    NAMES = auto()  # of the inputs: interned strings
    TABLE = auto()  # words from a frame's start to its table of pointers
    SIZES = auto()
    STRUCTURE = auto()  # 0 single, 1 list, 2 dict
    RESULTS = auto()  # how many places the result has
    PLACES = auto()  # for each of them: position among the outputs, key or 0
    DOUBLE = auto()  # whether the one output is float64
    VERSION_NAME = auto()
    ACQUIRE = auto()  # methods of the lock
    RELEASE = auto()
    OUT_NAME = auto()
    NDARRAY = auto()
    LIST = auto()
    Py_IncRef = auto()
    Py_DecRef = auto()
    PyErr_Clear = auto()
    PyTuple_Size = auto()
    PyTuple_GetItem = auto()
    PyUnicode_Compare = auto()
    PyObject_Vectorcall = auto()
    PyObject_CallNoArgs = auto()
    PyObject_GetAttr = auto()
    PyObject_SetAttr = auto()
    PyLong_AsLongLong = auto()
    PyLong_FromLongLong = auto()
    PyFloat_FromDouble = auto()
    PyFloat_AsDouble = auto()
    PyList_New = auto()
    PyList_SetItem = auto()
    PyList_Size = auto()
    PyList_GetItem = auto()
    PyDict_New = auto()
    PyDict_SetItem = auto()
    PyEval_SaveThread = auto()
    PyEval_RestoreThread = auto()
    PyArray_NewFromDescr = auto()


API = tuple(word.name for word in Context if word.name.startswith("Py") and word is not Context.PyArray_NewFromDescr)


class Plan(Words):
    """What a call does for input shapes that were resolved before."""

    NEXT = auto()
    SERIAL = auto()
    ARENA = auto()  # bytes
    RELEASES = auto()  # whether the native code is worth letting other threads run
    CHECKED = auto()  # whether values of an input are checked
    TEMPS = auto()  # how many
    TEMP_PLACES = auto()  # pairs: position in the table, offset in the arena
    SIZES = auto()  # how many
    SIZE_VALUES = auto()
    INPUTS = auto()  # Arrays one after the other, in the manifest's order
    OUTPUTS = auto()


class Described(Words):
    """What one array must be, or will be; its extents follow."""

    DTYPE = auto()
    AXES = auto()
    POSITION = auto()  # in the table of pointers
    BYTES = auto()
    COUNT = auto()  # of elements
    BOUND = auto()  # its integers lie below; -1 for no bound
    ROWS = auto()  # that sum to 1; -1 for none
    COLUMNS = auto()
    DEVIATION = auto()  # a double: sums of rows this close to 1 need no second look
    ALLOCATE = auto()  # what makes a large output, 0 for NumPy itself


class States(Words):
    """Where the states lie: pairs (position, address), then pairs (start, end) of those updated, then of all."""

    SERIAL = auto()
    COUNT = auto()
    UPDATED = auto()
    HELD = auto()


class Door(Words):
    """What a function object carries: one per way in to a context."""

    CONTEXT = auto()
    OTHERWISE = auto()  # takes every call that the native entry does not
    SCALAR = auto()  # whether the result is a Python float
    UNUSUAL = auto()  # takes calls whose result is no finite float, after they ran; 0 for none
    PLAN = auto()  # of a bound call, as the rest
    RESULT = auto()
    ARRAYS = auto()  # addresses of array objects: inputs, then outputs
    ADDRESSES = auto()  # of their data


class StepsWord(Words):
    """What the loop over steps reads and writes; one per `Steps`. Python may read DONE and write STOP meanwhile."""

    ENTRY = auto()  # i64 (ptr buffers, ptr sizes)
    TABLE = auto()
    SIZES = auto()
    STEPS = auto()  # how many to run
    SIZE = auto()  # rows of a batch
    FIRST = auto()  # where the first of them stands in ORDER
    ORDER = auto()  # row numbers; 0: the rows as they lie
    INPUTS = auto()  # how many inputs take rows
    ROWS = auto()  # a record of RowsWord for each of them, one after the other
    LOSS = auto()  # where the program leaves the loss
    DOUBLE = auto()  # whether that is a float64
    FINITE = auto()  # where it leaves whether the step was made; 0: nowhere
    WATCH = auto()  # whether a loss that is not finite ends the loop
    LOSSES = auto()  # a double for each step
    TOTAL = auto()  # a double: the sum of the losses of the steps made, each times SIZE
    DONE = auto()  # steps made
    STOP = auto()  # not 0: return before the next step


class RowsWord(Words):
    """Where batches of an input come from."""

    POSITION = auto()  # in the table of pointers
    SOURCE = auto()
    BYTES = auto()  # of a row
    BUFFER = auto()  # for rows that do not lie one after the other


def record(words: Iterable[int]) -> Array:
    return np.array([*words], np.int64)


def filled(kind: type[_Kind], values: Mapping[_Kind, int]) -> list[int]:
    """The words of a record in order; those not given are 0."""
    return [int(values.get(word, 0)) for word in kind]


def pointers(objects: Iterable[object]) -> Array:
    """The addresses of objects, which the caller keeps alive."""
    return record(map(id, objects))


def place(array: Array) -> int:
    """The address of a record, or of one of its words: place(a[3:])."""
    return address(array)
