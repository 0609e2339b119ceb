"""Checks of the native entry: arrays are what a plan describes, their values fit, and they are apart from states."""

from __future__ import annotations

from graphnn.emit.writer import Module, Value, constant
from graphnn.run.native.api import AXES, DATA, DTYPE, EXTENTS, FLAGS, TYPE
from graphnn.run.native.records import Described, Plan
from graphnn.run.native.writer import ONE, ZERO, Code, define, following_record

_LANES = 8


def emit_matches(module: Module) -> None:
    """Whether `count` objects are the arrays that the descriptions say: exact type, dtype, axes, extents, flags."""
    w = Code(module)
    with w.loop(ZERO, Value("i64", "%count"), carry=[Value("ptr", "%described")]) as each:
        described = each.carried[0]
        array = w.get(Value("ptr", "%arrays"), each.index, "ptr")
        w.require(w.same(w.field(array, TYPE), Value("ptr", "%ndarray")), "differs")
        w.require(w.same(w.field(array, DTYPE), w.get(described, Described.DTYPE, "ptr")), "differs")
        axes = w.get(described, Described.AXES)
        w.require(w.same(w.convert("zext", w.field(array, AXES, "i32"), "i64"), axes), "differs")
        flags = w.binary("and", w.field(array, FLAGS, "i32"), Value("i32", "%flags"))
        w.require(w.same(flags, Value("i32", "%flags")), "differs")
        extents = w.field(array, EXTENTS)
        expected = w.gep("i64", described, constant("i64", len(Described)))
        with w.loop(ZERO, axes) as axis:
            w.require(w.same(w.get(extents, axis.index), w.get(expected, axis.index)), "differs")
        each.next = [w.gep("i64", expected, axes)]
    w.do("ret i1 true")
    w.start("differs")
    w.do("ret i1 false")
    define(module, "internal i1 @matches(ptr %described, ptr %arrays, i64 %count, i32 %flags, ptr %ndarray)", w)


def emit_values_fit(module: Module) -> None:
    """Whether integers with a bound lie in [0, bound) and rows of distributions surely sum to 1.

    As unsigned numbers the negative ones are the largest, so one maximum finds both kinds of error. Sums of float32
    are taken in double: where the magnitudes sum to at most 2, half the tolerance is far more than can be rounded
    away, and what is not that close is left to the check in Python.
    """
    w = Code(module)
    with w.loop(ZERO, Value("i64", "%count"), carry=[Value("ptr", "%described")]) as each:
        described = each.carried[0]
        data = w.field(w.get(Value("ptr", "%arrays"), each.index, "ptr"), DATA)
        count, bound = w.get(described, Described.COUNT), w.get(described, Described.BOUND)
        bounded = w.binary("and", w.compare("icmp sge", bound, ZERO), w.compare("icmp sgt", count, ZERO))
        with w.when(bounded):
            w.require(w.compare("icmp ult", _largest(w, data, count), bound), "wrong")
        columns = w.get(described, Described.COLUMNS)
        deviation = w.get(described, Described.DEVIATION, "double")
        with w.loop(ZERO, w.get(described, Described.ROWS)) as row:
            start = w.gep("float", data, w.binary("mul", row.index, columns))
            nothing = constant("double", 0.0)
            with w.loop(ZERO, columns, carry=[nothing, nothing]) as column:
                term = w.ins("float", f"load float, {w.gep('float', start, column.index)}")
                term = w.convert("fpext", term, "double")
                sums = [term, w.intrinsic("fabs.f64", "double", term)]
                column.next = [w.binary("fadd", old, new) for old, new in zip(column.carried, sums, strict=True)]
            total, magnitude = column.results
            off = w.intrinsic("fabs.f64", "double", w.binary("fsub", total, constant("double", 1.0)))
            w.require(w.compare("fcmp ole", off, deviation), "wrong")
            w.require(w.compare("fcmp ole", magnitude, constant("double", 2.0)), "wrong")
        each.next = [following_record(w, described)]
    w.do("ret i1 true")
    w.start("wrong")
    w.do("ret i1 false")
    define(module, "internal i1 @values_fit(ptr %described, ptr %arrays, i64 %count)", w)


def _largest(w: Code, data: Value, count: Value) -> Value:
    """The largest of `count` unsigned integers."""
    vector = f"<{_LANES} x i64>"
    whole = w.binary("and", count, constant("i64", -_LANES))
    with w.loop(ZERO, whole, _LANES, carry=[constant(vector, 0)]) as block:
        loaded = w.ins(vector, f"load {vector}, {w.gep('i64', data, block.index)}, align 8")
        block.next = [w.intrinsic(f"umax.v{_LANES}i64", vector, block.carried[0], loaded)]
    most = w.intrinsic(f"vector.reduce.umax.v{_LANES}i64", "i64", block.results[0])
    with w.loop(whole, count, carry=[most]) as rest:
        rest.next = [w.intrinsic("umax.i64", "i64", rest.carried[0], w.get(data, rest.index))]
    return rest.results[0]


def emit_apart(module: Module) -> None:
    """Whether no array that is not empty shares memory with one of the spans."""
    w = Code(module)
    with w.loop(ZERO, Value("i64", "%count"), carry=[Value("ptr", "%described")]) as each:
        described = each.carried[0]
        data, end = span_of(w, described, w.get(Value("ptr", "%arrays"), each.index, "ptr"))
        with w.when(w.compare("icmp ult", data, end)), w.loop(ZERO, Value("i64", "%known")) as other:
            span = w.gep("i64", Value("ptr", "%spans"), w.binary("shl", other.index, ONE))
            behind = w.compare("icmp ule", end, w.get(span, 0))
            before = w.compare("icmp uge", data, w.get(span, 1))
            w.require(w.binary("or", behind, before), "shared")
        each.next = [following_record(w, described)]
    w.do("ret i1 true")
    w.start("shared")
    w.do("ret i1 false")
    define(module, "internal i1 @apart(ptr %spans, i64 %known, ptr %described, ptr %arrays, i64 %count)", w)


def span_of(w: Code, described: Value, array: Value) -> tuple[Value, Value]:
    """The addresses where an array starts and ends."""
    data = w.field(array, DATA, "i64")
    return data, w.binary("add", data, w.get(described, Described.BYTES))


def emit_outputs_apart(module: Module, most: int) -> None:
    """Whether the outputs of `out=` share memory with no input and with none of each other.

    `arrays` are the inputs, then the outputs. An empty array within another is left to the check in Python.
    """
    w = Code(module)
    plan, arrays, inputs = Value("ptr", "%plan"), Value("ptr", "%arrays"), Value("i64", "%inputs")
    spans = w.alloca("i64", 2 * most, 8)
    for first, count, word in ((ZERO, inputs, Plan.INPUTS), (inputs, Value("i64", "%outputs"), Plan.OUTPUTS)):
        with w.loop(ZERO, count, carry=[w.get(plan, word, "ptr")]) as each:
            described, position = each.carried[0], w.binary("add", first, each.index)
            place = w.gep("i64", arrays, position)
            if word is Plan.OUTPUTS:
                alone = w.ins("i1", f"call i1 @apart({spans}, {position}, {described}, {place}, i64 1)")
                w.require(alone, "shared")
            span = w.gep("i64", spans, w.binary("shl", position, ONE))
            for value, at in zip(span_of(w, described, w.get(place, 0, "ptr")), (ZERO, ONE), strict=True):
                w.put(span, at, value)
            each.next = [following_record(w, described)]
    w.do("ret i1 true")
    w.start("shared")
    w.do("ret i1 false")
    define(module, "internal i1 @outputs_apart(ptr %plan, ptr %arrays, i64 %inputs, i64 %outputs)", w)
