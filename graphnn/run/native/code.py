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
from graphnn.run.native.api import DATA, WRITEABLE
from graphnn.run.native.checks import emit_apart, emit_matches, emit_values_fit
from graphnn.run.native.records import Context, Door, FrameWord, Plan
from graphnn.run.native.run_code import emit_run
from graphnn.run.native.writer import BOUND, NULL, ZERO, Code, define

MOST_INPUTS = 32
SYMBOLS = ("graphnn_call", "graphnn_bound", "graphnn_take", "graphnn_give")


def entry_text(triple: str) -> str:
    """The module of the native entry."""
    module = Module("graphnn_entry", triple)
    module.head.append("attributes #0 = { nounwind }")
    emit_matches(module)
    emit_values_fit(module)
    emit_apart(module)
    emit_run(module)
    emit_call(module)
    emit_bound(module)
    emit_pool(module)
    return module.text()


_SIGNATURE = "(ptr %self, ptr %args, i64 %nargs, ptr %kwnames)"


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
    arguments = (Value("ptr", "%args"), Value("i64", "%nargs"), Value("ptr", "%kwnames"))
    w.do(f"ret {w.invoke(context, Context.PyObject_Vectorcall, 'ptr', otherwise, *arguments)}")


def emit_call(module: Module) -> None:
    """Keywords are found by identity, since names in a call are interned; those that a dict brought, by their text."""
    w = Code(module)
    door, context = _open_door(w)
    inputs = w.get(context, Context.INPUTS)
    w.require(w.same(_keywords(w, context), inputs), "elsewhere")
    arrays = w.alloca("ptr", MOST_INPUTS, 8)
    names = w.get(context, Context.NAMES, "ptr")
    with w.loop(ZERO, inputs) as each:
        name = w.get(names, each.index, "ptr")
        with w.loop(ZERO, inputs, carry=[constant("i64", -1)]) as keyword:
            given = w.invoke(context, Context.PyTuple_GetItem, "ptr", Value("ptr", "%kwnames"), keyword.index)
            keyword.next = [w.select(w.same(given, name), keyword.index, keyword.carried[0])]
        found = w.alloca("i64", 1, 8)
        w.do(f"store {keyword.results[0]}, {found}")
        with w.when(w.compare("icmp slt", keyword.results[0], ZERO)), w.loop(ZERO, inputs) as keyword:
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
    mode = w.get(door, Door.SCALAR)
    result = w.ins("ptr", f"call ptr @run({context}, {candidate}, {arrays}, {mode}, ptr null)")
    _finish(w, door, context, result)
    define(module, f"ptr @graphnn_call{_SIGNATURE}", w)


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
