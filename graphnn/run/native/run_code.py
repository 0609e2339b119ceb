"""The heart of the native entry: a frame, outputs, states, the program, the result."""

from __future__ import annotations

from graphnn.emit.writer import Module, Value, constant
from graphnn.run.native.api import DATA
from graphnn.run.native.records import Context, Described, Plan
from graphnn.run.native.state_code import enter_states, leave_states
from graphnn.run.native.words import FrameWord
from graphnn.run.native.writer import BOUND, GIVEN, NEW_ARRAYS, NULL, ONE, SCALAR, ZERO, Code, define, following_record


def emit_run(module: Module) -> None:
    """Run the program on arrays that match the plan. The result, null with an error set, or the context: otherwise."""
    w = Code(module)
    context, plan, arrays, mode = Value("ptr", "%context"), Value("ptr", "%plan"), Value("ptr", "%arrays"), "%mode"
    frame = w.get(context, Context.FREE, "ptr")
    w.require(w.differ(frame, NULL), "elsewhere")
    w.require(w.compare("icmp sle", w.get(plan, Plan.ARENA), w.get(frame, FrameWord.CAPACITY)), "elsewhere")
    w.put(context, Context.FREE, w.get(frame, FrameWord.NEXT, "ptr"))
    w.put(context, Context.RUNNING, w.binary("add", w.get(context, Context.RUNNING), ONE))
    w.put(frame, FrameWord.MADE, ZERO)
    w.put(frame, FrameWord.LOCKED, ZERO)
    table = w.gep("i64", frame, w.get(context, Context.TABLE))
    sizes = w.gep("i64", frame, w.get(context, Context.SIZES))
    _point(w, plan, frame, table, sizes)
    objects = w.gep("i64", frame, constant("i64", len(FrameWord)))
    _make_outputs(w, context, plan, frame, table, objects)
    version = w.alloca("i64", 1, 8)
    with w.when(w.differ(w.get(context, Context.SOURCE), ZERO)):
        enter_states(w, context, plan, frame, table, arrays, version)
    with w.loop(ZERO, w.get(context, Context.INPUTS), carry=[w.get(plan, Plan.INPUTS, "ptr")]) as each:
        data = w.field(w.get(arrays, each.index, "ptr"), DATA)
        w.put(table, w.get(each.carried[0], Described.POSITION), data)
        each.next = [following_record(w, each.carried[0])]

    program, releases = w.get(context, Context.ENTRY, "ptr"), w.differ(w.get(plan, Plan.RELEASES), ZERO)
    code = w.alloca("i64", 1, 8)
    w.branch(releases, "free", "held")
    w.start("free")
    thread = w.invoke(context, Context.PyEval_SaveThread, "ptr")
    w.do(f"store {w.ins('i64', f'call i64 {program.ref}({table}, {sizes})')}, {code}")
    w.invoke(context, Context.PyEval_RestoreThread, "void", thread)
    w.jump("ran")
    w.start("held")
    w.do(f"store {w.ins('i64', f'call i64 {program.ref}({table}, {sizes})')}, {code}")
    w.jump("ran")
    w.start("ran")
    with w.when(w.differ(w.get(context, Context.UPDATES), ZERO)):
        leave_states(w, context, frame, version)
    found = w.ins("i64", f"load i64, {code}")
    w.require(w.same(found, ZERO), "stopped")
    _gather(w, context, frame, objects, table)

    w.start("stopped")
    number = w.invoke(context, Context.PyLong_FromLongLong, "ptr", found)
    w.require(w.differ(number, NULL), "failed")
    argument = w.alloca("ptr", 1, 8)
    w.do(f"store {number}, {argument}")
    failed = w.get(context, Context.FAILED, "ptr")
    w.invoke(context, Context.PyObject_Vectorcall, "ptr", failed, argument, ONE, NULL)
    w.invoke(context, Context.Py_DecRef, "void", number)
    w.jump("failed")
    for label, answer in (("failed", NULL), ("changed", context)):
        w.start(label)
        w.do(f"call void @unwind({context}, {frame}, {objects})")
        w.do(f"ret {answer}")
    w.start("elsewhere")
    w.do(f"ret {context}")
    define(module, f"internal ptr @run(ptr %context, ptr %plan, ptr %arrays, i64 {mode}, ptr %result)", w)
    _emit_unwind(module)


def _point(w: Code, plan: Value, frame: Value, table: Value, sizes: Value) -> None:
    """Set the frame's temps and sizes, unless its last call had the same plan."""
    serial = w.get(plan, Plan.SERIAL)
    with w.when(w.differ(serial, w.get(frame, FrameWord.PLAN))):
        arena, places = w.get(frame, FrameWord.ARENA, "ptr"), w.get(plan, Plan.TEMP_PLACES, "ptr")
        with w.loop(ZERO, w.get(plan, Plan.TEMPS)) as temp:
            pair = w.gep("i64", places, w.binary("shl", temp.index, ONE))
            w.put(table, w.get(pair, 0), w.gep("i8", arena, w.get(pair, 1)))
        values = w.get(plan, Plan.SIZE_VALUES, "ptr")
        with w.loop(ZERO, w.get(plan, Plan.SIZES)) as size:
            w.put(sizes, size.index, w.get(values, size.index))
        w.put(frame, FrameWord.PLAN, serial)


def _make_outputs(w: Code, context: Value, plan: Value, frame: Value, table: Value, objects: Value) -> None:
    """Point the table at the outputs: new arrays, the frame's own scalar, or what was bound or given."""
    mode, described = Value("i64", "%mode"), w.get(plan, Plan.OUTPUTS, "ptr")
    with w.when(w.same(mode, constant("i64", SCALAR))):
        scalar = w.gep("i64", frame, constant("i64", int(FrameWord.SCALAR)))
        w.put(table, w.get(described, Described.POSITION), scalar)
    fresh = w.select(w.same(mode, constant("i64", NEW_ARRAYS)), w.get(context, Context.OUTPUTS), ZERO)
    with w.loop(ZERO, fresh, carry=[described]) as each:
        output = each.carried[0]
        allocate, made = w.get(output, Described.ALLOCATE, "ptr"), w.alloca("ptr", 1, 8)
        w.branch(w.same(allocate, NULL), "small", "large")
        w.start("small")
        dtype, axes = w.get(output, Described.DTYPE, "ptr"), w.get(output, Described.AXES)
        w.invoke(context, Context.Py_IncRef, "void", dtype)  # NewFromDescr takes a reference, even where it fails
        extents = w.gep("i64", output, constant("i64", len(Described)))
        arguments = (w.get(context, Context.NDARRAY, "ptr"), dtype, w.convert("trunc", axes, "i32"), extents)
        rest = (NULL, NULL, constant("i32", 0), NULL)
        w.do(f"store {w.invoke(context, Context.PyArray_NewFromDescr, 'ptr', *arguments, *rest)}, {made}")
        w.jump("made")
        w.start("large")
        w.do(f"store {w.invoke(context, Context.PyObject_CallNoArgs, 'ptr', allocate)}, {made}")
        w.jump("made")
        w.start("made")
        array = w.ins("ptr", f"load ptr, {made}")
        w.require(w.differ(array, NULL), "failed")
        w.put(objects, each.index, array)
        w.put(frame, FrameWord.MADE, w.binary("add", each.index, ONE))
        w.put(table, w.get(output, Described.POSITION), w.field(array, DATA))
        each.next = [following_record(w, output)]
    there = w.compare("icmp sge", mode, constant("i64", BOUND))
    given = w.gep("i64", Value("ptr", "%arrays"), w.get(context, Context.INPUTS))
    with w.loop(ZERO, w.select(there, w.get(context, Context.OUTPUTS), ZERO), carry=[described]) as each:
        array = w.get(given, each.index, "ptr")
        with w.when(w.same(mode, constant("i64", GIVEN))):
            w.invoke(context, Context.Py_IncRef, "void", array)
            w.put(objects, each.index, array)
            w.put(frame, FrameWord.MADE, w.binary("add", each.index, ONE))
        w.put(table, w.get(each.carried[0], Described.POSITION), w.field(array, DATA))
        each.next = [following_record(w, each.carried[0])]


def _gather(w: Code, context: Value, frame: Value, objects: Value, table: Value) -> None:
    """Return the outputs in their structure, with one reference, and the frame to the pool."""
    mode = Value("i64", "%mode")
    back = f"call void @unwind({context}, {frame}, {objects})"
    known = w.binary("or", w.same(mode, constant("i64", SCALAR)), w.same(mode, constant("i64", BOUND)))
    w.branch(known, "keep", "make")
    w.start("keep")
    w.branch(w.same(mode, constant("i64", SCALAR)), "as.float", "as.bound")
    w.start("as.bound")
    result = Value("ptr", "%result")
    w.invoke(context, Context.Py_IncRef, "void", result)
    w.do(back)
    w.do(f"ret {result}")
    w.start("as.float")
    double = w.differ(w.get(context, Context.DOUBLE), ZERO)
    single = w.convert("fpext", w.get(frame, FrameWord.SCALAR, "float"), "double")
    value = w.select(double, w.get(frame, FrameWord.SCALAR, "double"), single)
    result = w.invoke(context, Context.PyFloat_FromDouble, "ptr", value)
    w.do(back)
    w.do(f"ret {result}")

    w.start("make")
    places, structure = w.get(context, Context.PLACES, "ptr"), w.get(context, Context.STRUCTURE)
    w.branch(w.same(structure, ZERO), "single", "several")
    w.start("single")
    result = w.get(objects, w.get(places, 0), "ptr")
    w.put(frame, FrameWord.MADE, ZERO)  # its reference is the caller's
    w.do(back)
    w.do(f"ret {result}")
    w.start("several")
    count = w.get(context, Context.RESULTS)
    w.branch(w.same(structure, ONE), "list", "dict")
    for kind in ("list", "dict"):
        w.start(kind)
        new = (Context.PyList_New, "ptr", count) if kind == "list" else (Context.PyDict_New, "ptr")
        result = w.invoke(context, *new)
        w.require(w.differ(result, NULL), "failed")
        with w.loop(ZERO, count) as each:
            pair = w.gep("i64", places, w.binary("shl", each.index, ONE))
            array = w.get(objects, w.get(pair, 0), "ptr")
            if kind == "list":
                w.invoke(context, Context.Py_IncRef, "void", array)  # SetItem takes one
                item = (Context.PyList_SetItem, "i32", result, each.index, array)
            else:
                item = (Context.PyDict_SetItem, "i32", result, w.get(pair, 1, "ptr"), array)
            w.require(w.same(w.invoke(context, *item), constant("i32", 0)), f"lost.{kind}")
        w.do(back)
        w.do(f"ret {result}")
        w.start(f"lost.{kind}")
        w.invoke(context, Context.Py_DecRef, "void", result)
        w.jump("failed")


def _emit_unwind(module: Module) -> None:
    """Give up the references to the outputs that were made, the lock and the frame."""
    w = Code(module)
    context, frame = Value("ptr", "%context"), Value("ptr", "%frame")
    with w.loop(ZERO, w.get(frame, FrameWord.MADE)) as each:
        w.invoke(context, Context.Py_DecRef, "void", w.get(Value("ptr", "%objects"), each.index, "ptr"))
    locked = w.differ(w.get(frame, FrameWord.LOCKED), ZERO)
    w.put(context, Context.RUNNING, w.binary("sub", w.get(context, Context.RUNNING), ONE))
    w.put(frame, FrameWord.NEXT, w.get(context, Context.FREE, "ptr"))
    w.put(context, Context.FREE, frame)
    with w.when(locked):
        freed = w.invoke(context, Context.PyObject_CallNoArgs, "ptr", w.get(context, Context.RELEASE, "ptr"))
        with w.when(w.differ(freed, NULL)):
            w.invoke(context, Context.Py_DecRef, "void", freed)
    w.do("ret void")
    define(module, "internal void @unwind(ptr %context, ptr %frame, ptr %objects)", w)
