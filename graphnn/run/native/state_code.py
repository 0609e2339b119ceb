"""What the native entry does about state: find it where it was bound, keep other updates out, count this one."""

from __future__ import annotations

from graphnn.emit.writer import Value, constant
from graphnn.run.native.records import Context, Plan, States
from graphnn.run.native.words import FrameWord
from graphnn.run.native.writer import BOUND, NULL, ONE, ZERO, Code, length_of
from graphnn.simplify.expr import INT64_MAX


def enter_states(
    w: Code, context: Value, plan: Value, frame: Value, table: Value, arrays: Value, version: Value
) -> None:
    """Point at the states where they are those that were bound, and keep other updates out."""
    updates, releases = w.get(context, Context.UPDATES), w.get(plan, Plan.RELEASES)
    with w.when(w.differ(w.binary("and", updates, releases), ZERO)):
        taken = w.invoke(context, Context.PyObject_CallNoArgs, "ptr", w.get(context, Context.ACQUIRE, "ptr"))
        w.require(w.differ(taken, NULL), "failed")
        w.invoke(context, Context.Py_DecRef, "void", taken)
        w.put(frame, FrameWord.LOCKED, ONE)
    with w.when(w.differ(updates, ZERO)):
        w.require(w.same(w.get(context, Context.UPDATING), ZERO), "changed")
    current = _read_version(w, context)
    w.require(w.compare("icmp sge", current, ZERO), "changed")
    w.require(w.same(current, w.get(context, Context.VERSION)), "changed")
    w.require(w.compare("icmp slt", current, constant("i64", INT64_MAX)), "changed")  # or it could not be counted up
    w.do(f"store {current}, {version}")
    states = w.get(context, Context.STATES, "ptr")
    w.require(w.differ(states, NULL), "changed")
    serial = w.get(states, States.SERIAL)
    with w.when(w.differ(serial, w.get(frame, FrameWord.STATES))):
        with w.loop(ZERO, w.get(states, States.COUNT)) as each:
            pair = w.gep("i64", states, w.binary("add", w.binary("shl", each.index, ONE), length_of(States)))
            w.put(table, w.get(pair, 0), w.get(pair, 1, "ptr"))
        w.put(frame, FrameWord.STATES, serial)
    inputs = w.get(context, Context.INPUTS)
    pairs = w.binary("add", length_of(States), w.binary("shl", w.get(states, States.COUNT), ONE))
    spans = w.gep("i64", states, pairs)
    with w.when(w.differ(updates, ZERO)):
        described, updated = w.get(plan, Plan.INPUTS, "ptr"), w.get(states, States.UPDATED)
        apart = w.ins("i1", f"call i1 @apart({spans}, {updated}, {described}, {arrays}, {inputs})")
        w.require(apart, "changed")
    with w.when(w.compare("icmp sge", Value("i64", "%mode"), constant("i64", BOUND))):
        described, count = w.get(plan, Plan.OUTPUTS, "ptr"), w.get(context, Context.OUTPUTS)
        all_spans = w.gep("i64", spans, w.binary("shl", w.get(states, States.UPDATED), ONE))
        held, given = w.get(states, States.HELD), w.gep("i64", arrays, inputs)
        apart = w.ins("i1", f"call i1 @apart({all_spans}, {held}, {described}, {given}, {count})")
        w.require(apart, "changed")
    with w.when(w.differ(updates, ZERO)):
        w.put(context, Context.UPDATING, w.get(frame, FrameWord.LOCKED))


def _read_version(w: Code, context: Value) -> Value:
    """The owner's version; a negative number, and no error set, for what is no such integer."""
    source, name = w.get(context, Context.SOURCE, "ptr"), w.get(context, Context.VERSION_NAME, "ptr")
    version = w.alloca("i64", 1, 8)
    w.do(f"store i64 -1, {version}")
    found = w.invoke(context, Context.PyObject_GetAttr, "ptr", source, name)
    with w.when(w.differ(found, NULL)):
        w.do(f"store {w.invoke(context, Context.PyLong_AsLongLong, 'i64', found)}, {version}")
        w.invoke(context, Context.Py_DecRef, "void", found)
    read = w.ins("i64", f"load i64, {version}")
    with w.when(w.compare("icmp slt", read, ZERO)):
        w.invoke(context, Context.PyErr_Clear, "void")
    return read


def leave_states(w: Code, context: Value, frame: Value, version: Value) -> None:
    """Count the update. Where nobody else changed the version meanwhile, the states are still those bound."""
    before = w.ins("i64", f"load i64, {version}")
    with w.when(w.differ(w.get(frame, FrameWord.LOCKED), ZERO)):  # without the GIL, others may have counted
        w.put(context, Context.UPDATING, ZERO)
        read = _read_version(w, context)
        w.do(f"store {w.select(w.compare('icmp slt', read, ZERO), before, read)}, {version}")
    current = w.ins("i64", f"load i64, {version}")
    following = w.binary("add", current, ONE)
    number = w.invoke(context, Context.PyLong_FromLongLong, "ptr", following)
    w.require(w.differ(number, NULL), "failed")
    source, name = w.get(context, Context.SOURCE, "ptr"), w.get(context, Context.VERSION_NAME, "ptr")
    status = w.invoke(context, Context.PyObject_SetAttr, "i32", source, name, number)
    w.invoke(context, Context.Py_DecRef, "void", number)
    w.require(w.same(status, constant("i32", 0)), "failed")
    with w.when(w.same(before, current)):
        w.put(context, Context.VERSION, following)
