"""The native entry as LLVM text: functions with CPython's calling convention over the records.

    graphnn_call(self, args, nargs, kwnames)     a call with keywords: METH_FASTCALL | METH_KEYWORDS
    graphnn_bound(self, args, nargs, kwnames)    a call on bound arrays
    graphnn_take(context), graphnn_give(context, frame)    the pool of frames, for calls that go through Python

One text for all programs, since everything that differs is data: it is compiled once per process. Nothing is refused
here. Whatever is not exactly as a plan describes it goes to the door's `OTHERWISE`, the checks written in Python.

Everything but the program itself runs with the GIL, so no two threads are ever between two lines of this file; only the
allocation of outputs and of the result, and the lock, may let another thread run. Versions are compared after the
first, and the result is made after the program.
"""

from __future__ import annotations

from graphnn.emit.writer import Module, Value, constant
from graphnn.run.arrays import PLAIN
from graphnn.run.native.api import DATA, TYPE, WRITEABLE
from graphnn.run.native.checks import emit_apart, emit_matches, emit_outputs_apart, emit_values_fit
from graphnn.run.native.records import MOST_INPUTS, MOST_OUTPUTS, Context, Door, Plan
from graphnn.run.native.run_code import emit_run
from graphnn.run.native.words import FrameWord
from graphnn.run.native.writer import BOUND, GIVEN, NULL, ONE, ZERO, Code, define


def entry_text(triple: str) -> str:
    """The module of the native entry."""
    module = Module("graphnn_entry", triple)
    module.head.append("attributes #0 = { nounwind }")
    emit_matches(module)
    emit_values_fit(module)
    emit_apart(module)
    emit_outputs_apart(module, MOST_INPUTS + MOST_OUTPUTS)
    emit_spread(module)
    emit_run(module)
    emit_call(module)
    emit_bound(module)
    emit_pool(module)
    return module.text()


_SIGNATURE = "(ptr %self, ptr %args, i64 %nargs, ptr %kwnames)"
_ARGUMENTS = (Value("ptr", "%args"), Value("i64", "%nargs"), Value("ptr", "%kwnames"))


def _open_door(w: Code) -> tuple[Value, Value]:
    door = w.field(Value("ptr", "%self"), DATA)
    return door, w.get(door, Door.CONTEXT, "ptr")


def _keywords(w: Code, context: Value) -> Value:
    """How many keywords a call has. Positional arguments go elsewhere."""
    w.require(w.same(Value("i64", "%nargs"), ZERO), "elsewhere")
    names, count = Value("ptr", "%kwnames"), w.alloca("i64", 1, 8)
    w.do(f"store {ZERO}, {count}")
    with w.when(w.differ(names, NULL)):
        w.do(f"store {w.invoke(context, Context.PyTuple_Size, 'i64', names)}, {count}")
    return w.ins("i64", f"load i64, {count}")


def _finish(w: Code, door: Value, context: Value, result: Value) -> None:
    """Return the result, or call what takes all other calls."""
    w.require(w.same(result, context), "done")
    w.jump("elsewhere")
    w.start("done")
    w.do(f"ret {result}")
    w.start("elsewhere")
    otherwise = w.get(door, Door.OTHERWISE, "ptr")
    w.do(f"ret {w.invoke(context, Context.PyObject_Vectorcall, 'ptr', otherwise, *_ARGUMENTS)}")


def emit_call(module: Module) -> None:
    """Keywords are found by identity, since names in a call are interned; those that a dict brought, by their text."""
    w = Code(module)
    door, context = _open_door(w)
    inputs, outputs = w.get(context, Context.INPUTS), w.get(context, Context.OUTPUTS)
    keywords, scalar = _keywords(w, context), w.get(door, Door.SCALAR)
    out = w.alloca("ptr", 1, 8)
    w.do(f"store {NULL}, {out}")
    arrays = w.alloca("ptr", MOST_INPUTS + MOST_OUTPUTS, 8)
    with w.when(w.differ(keywords, inputs)):
        w.require(w.same(keywords, w.binary("add", inputs, ONE)), "elsewhere")
        w.require(w.same(scalar, ZERO), "elsewhere")
        position = _find(w, keywords, w.get(context, Context.OUT_NAME, "ptr"), context)
        w.require(w.compare("icmp sge", position, ZERO), "elsewhere")
        given = w.get(Value("ptr", "%args"), position, "ptr")
        w.do(f"store {given}, {out}")
        w.require(w.ins("i1", f"call i1 @spread({context}, {given}, {w.gep('i64', arrays, inputs)})"), "elsewhere")
    names = w.get(context, Context.NAMES, "ptr")
    with w.loop(ZERO, inputs) as each:
        name = w.get(names, each.index, "ptr")
        found = w.alloca("i64", 1, 8)
        position = _find(w, keywords, name, context)
        w.do(f"store {position}, {found}")
        with w.when(w.compare("icmp slt", position, ZERO)), w.loop(ZERO, keywords) as keyword:
            given = w.invoke(context, Context.PyTuple_GetItem, "ptr", Value("ptr", "%kwnames"), keyword.index)
            order = w.invoke(context, Context.PyUnicode_Compare, "i32", given, name)
            with w.when(w.same(order, constant("i32", 0))):
                w.do(f"store {keyword.index}, {found}")
        position = w.ins("i64", f"load i64, {found}")
        w.require(w.compare("icmp sge", position, ZERO), "elsewhere")
        w.put(arrays, each.index, w.get(Value("ptr", "%args"), position, "ptr"))
    plan = w.alloca("ptr", 1, 8)
    w.do(f"store {w.get(context, Context.PLANS, 'ptr')}, {plan}")
    w.jump("search")
    w.start("search")
    candidate = w.ins("ptr", f"load ptr, {plan}")
    w.require(w.differ(candidate, NULL), "elsewhere")
    w.do(f"store {w.get(candidate, Plan.NEXT, 'ptr')}, {plan}")
    matches = _matches(w, context, w.get(candidate, Plan.INPUTS, "ptr"), arrays, inputs, PLAIN)
    w.require(matches, "search")
    _require_values(w, candidate, arrays, inputs)
    has_out = w.differ(w.ins("ptr", f"load ptr, {out}"), NULL)
    with w.when(has_out):
        given, described = w.gep("i64", arrays, inputs), w.get(candidate, Plan.OUTPUTS, "ptr")
        w.require(_matches(w, context, described, given, outputs, PLAIN | WRITEABLE), "elsewhere")
        apart = w.ins("i1", f"call i1 @outputs_apart({candidate}, {arrays}, {inputs}, {outputs})")
        w.require(apart, "elsewhere")
    mode = w.select(has_out, constant("i64", GIVEN), scalar)
    result = w.ins("ptr", f"call ptr @run({context}, {candidate}, {arrays}, {mode}, ptr null)")
    unusual = w.get(door, Door.UNUSUAL, "ptr")
    made = w.binary("and", w.differ(result, NULL), w.differ(result, context))
    with w.when(w.binary("and", made, w.differ(unusual, NULL))):
        value = w.invoke(context, Context.PyFloat_AsDouble, "double", result)
        finite = w.compare("fcmp oeq", w.binary("fsub", value, value), constant("double", 0.0))
        with w.when(w.binary("xor", finite, Value("i1", "true"))):
            w.invoke(context, Context.Py_DecRef, "void", result)
            w.do(f"ret {w.invoke(context, Context.PyObject_Vectorcall, 'ptr', unusual, *_ARGUMENTS)}")
            w.start("passed")
    _finish(w, door, context, result)
    define(module, f"ptr @graphnn_call{_SIGNATURE}", w)


def _find(w: Code, keywords: Value, name: Value, context: Value) -> Value:
    """Which keyword is that very string; -1 for none."""
    with w.loop(ZERO, keywords, carry=[constant("i64", -1)]) as keyword:
        given = w.invoke(context, Context.PyTuple_GetItem, "ptr", Value("ptr", "%kwnames"), keyword.index)
        keyword.next = [w.select(w.same(given, name), keyword.index, keyword.carried[0])]
    return keyword.results[0]


def emit_spread(module: Module) -> None:
    """Put the arrays of `out=` in the order of the output buffers: one array, or a list with one for each.

    A dict is left to Python: to look a key up may run any code, which could drop the arrays found so far.
    """
    w = Code(module)
    context, out, given = Value("ptr", "%context"), Value("ptr", "%out"), Value("ptr", "%given")
    structure, count = w.get(context, Context.STRUCTURE), w.get(context, Context.RESULTS)
    w.require(w.compare("icmp sle", count, constant("i64", MOST_OUTPUTS)), "other")
    w.branch(w.same(structure, ZERO), "single", "several")
    w.start("single")
    w.put(given, ZERO, out)
    w.do("ret i1 true")
    w.start("several")
    w.require(w.same(w.field(out, TYPE), w.get(context, Context.LIST, "ptr")), "other")
    w.require(w.same(structure, ONE), "other")
    w.require(w.same(count, w.get(context, Context.OUTPUTS)), "other")
    w.require(w.same(count, w.invoke(context, Context.PyList_Size, "i64", out)), "other")
    places = w.get(context, Context.PLACES, "ptr")
    with w.loop(ZERO, count) as each:
        position = w.get(places, w.binary("shl", each.index, ONE))
        w.put(given, position, w.invoke(context, Context.PyList_GetItem, "ptr", out, each.index))
    w.do("ret i1 true")
    w.start("other")
    w.do("ret i1 false")
    define(module, "internal i1 @spread(ptr %context, ptr %out, ptr %given)", w)


def _matches(w: Code, context: Value, described: Value, arrays: Value, count: Value, flags: int) -> Value:
    ndarray = w.get(context, Context.NDARRAY, "ptr")
    return w.ins("i1", f"call i1 @matches({described}, {arrays}, {count}, i32 {flags}, {ndarray})")


def _require_values(w: Code, plan: Value, arrays: Value, inputs: Value) -> None:
    with w.when(w.differ(w.get(plan, Plan.CHECKED), ZERO)):
        described = w.get(plan, Plan.INPUTS, "ptr")
        w.require(w.ins("i1", f"call i1 @values_fit({described}, {arrays}, {inputs})"), "elsewhere")


def emit_bound(module: Module) -> None:
    """The arrays are looked at again, which takes less time than to doubt them: memory can be pulled from under one."""
    w = Code(module)
    door, context = _open_door(w)
    w.require(w.same(_keywords(w, context), ZERO), "elsewhere")
    plan, inputs = w.get(door, Door.PLAN, "ptr"), w.get(context, Context.INPUTS)
    outputs, arrays = w.get(context, Context.OUTPUTS), w.get(door, Door.ARRAYS, "ptr")
    w.require(_matches(w, context, w.get(plan, Plan.INPUTS, "ptr"), arrays, inputs, PLAIN), "elsewhere")
    given = w.gep("i64", arrays, inputs)
    described = w.get(plan, Plan.OUTPUTS, "ptr")
    w.require(_matches(w, context, described, given, outputs, PLAIN | WRITEABLE), "elsewhere")
    addresses = w.get(door, Door.ADDRESSES, "ptr")
    with w.loop(ZERO, w.binary("add", inputs, outputs)) as each:
        data = w.field(w.get(arrays, each.index, "ptr"), DATA)
        w.require(w.same(data, w.get(addresses, each.index, "ptr")), "elsewhere")
    _require_values(w, plan, arrays, inputs)
    answer = w.get(door, Door.RESULT, "ptr")
    result = w.ins("ptr", f"call ptr @run({context}, {plan}, {arrays}, i64 {BOUND}, {answer})")
    _finish(w, door, context, result)
    define(module, f"ptr @graphnn_bound{_SIGNATURE}", w)


def emit_pool(module: Module) -> None:
    w = Code(module)
    context, frame = Value("ptr", "%context"), Value("ptr", "%frame")
    free = w.get(context, Context.FREE, "ptr")
    with w.when(w.differ(free, NULL)):
        w.put(context, Context.FREE, w.get(free, FrameWord.NEXT, "ptr"))
    w.do(f"ret {free}")
    define(module, "ptr @graphnn_take(ptr %context)", w)
    w = Code(module)
    w.put(frame, FrameWord.NEXT, w.get(context, Context.FREE, "ptr"))
    w.put(context, Context.FREE, frame)
    w.do("ret void")
    define(module, "void @graphnn_give(ptr %context, ptr %frame)", w)
