"""The loop over the steps of a training, as LLVM text: one for all programs, which are data to it.

    graphnn_steps(steps)
      for k in 0 .. STEPS, until STOP:
        for each input:  pointer = rows ORDER[FIRST + k*SIZE], ... of its source
        program(table, sizes)
        LOSSES[k] = loss;  TOTAL += SIZE*loss;  DONE = k + 1

It returns 0 when it has run all steps or was stopped, REFUSED after a step that the watch did not make, and otherwise
what the program returned. It calls nothing of Python, so it runs without the GIL, on any thread.

A batch is read where it lies if its rows are neighbours, or if it is one row; else its rows are copied into a buffer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from graphnn.emit.writer import Loop, Module, Value, constant
from graphnn.run.native.records import REFUSED, STEPS_SYMBOL, RowsWord, StepsWord
from graphnn.run.native.writer import NULL, ONE, ZERO, Code, define, length_of

# Rows are fetched this many ahead, up to so many bytes of each: 64 rows of 3136 bytes in any order take 5 us, not 10.5.
AHEAD, FETCHED, LINE = 2, 4096, 64

Copy = Callable[[Code, Value, Value, Value], None]  # writes a copy: to, from, how many bytes

STEPS = Value("ptr", "%steps")
SIGNATURE = f"i64 @{STEPS_SYMBOL}({STEPS})"


def steps_text(triple: str) -> str:
    """The module of the loop."""
    module = Module(STEPS_SYMBOL, triple)
    module.head.append("attributes #0 = { nounwind }")
    w = Code(module)
    program, table, sizes = (w.get(STEPS, word, "ptr") for word in (StepsWord.ENTRY, StepsWord.TABLE, StepsWord.SIZES))
    with each_step(w, table, copy_bytes):
        code = w.ins("i64", f"call i64 {program.ref}({table}, {sizes})")
        w.require(w.same(code, ZERO), "failed")
    w.start("failed")
    w.do(f"ret {code}")
    define(module, SIGNATURE, w)
    return module.text()


@contextmanager
def each_step(w: Code, table: Value, copy: Copy, carry: Sequence[Value] = ()) -> Iterator[Loop]:
    """The loop around what is written inside: a program, which finds its rows by the table and leaves its loss at LOSS.

    `copy` writes what copies a row. Behind the loop the function has returned.
    """
    losses, size = w.get(STEPS, StepsWord.LOSSES, "ptr"), w.get(STEPS, StepsWord.SIZE)
    rows = w.convert("sitofp", size, "double")
    with w.loop(ZERO, w.get(STEPS, StepsWord.STEPS), carry=carry) as step:
        stop = w.ins("i64", f"load atomic i64, {_word(w, StepsWord.STOP)} monotonic, align 8")
        w.require(w.same(stop, ZERO), "ended")
        _draw(w, table, size, step.index, copy)
        yield step
        loss = _loss(w)
        w.put(losses, step.index, loss)
        _require_made(w, loss)
        total = w.binary("fadd", w.get(STEPS, StepsWord.TOTAL, "double"), w.binary("fmul", rows, loss))
        w.put(STEPS, StepsWord.TOTAL, total)
        done = w.binary("add", step.index, ONE)
        w.do(f"store atomic {done}, {_word(w, StepsWord.DONE)} monotonic, align 8")
    w.jump("ended")
    w.start("ended")
    w.do("ret i64 0")
    w.start("refused")
    w.do(f"ret i64 {REFUSED}")


def _word(w: Code, word: StepsWord) -> Value:
    return w.gep("i64", STEPS, constant("i64", int(word)))


def _draw(w: Code, table: Value, size: Value, step: Value, copy: Copy) -> None:
    """Point the table at the rows of a batch."""
    order = w.get(STEPS, StepsWord.ORDER, "ptr")
    first = w.binary("add", w.get(STEPS, StepsWord.FIRST), w.binary("mul", step, size))
    with w.loop(ZERO, w.get(STEPS, StepsWord.INPUTS), carry=[w.get(STEPS, StepsWord.ROWS, "ptr")]) as each:
        input_ = each.carried[0]
        source, buffer = w.get(input_, RowsWord.SOURCE, "ptr"), w.get(input_, RowsWord.BUFFER, "ptr")
        bytes_, found = w.get(input_, RowsWord.BYTES), w.alloca("ptr", 1, 8)
        w.do(f"store {w.gep('i8', source, w.binary('mul', first, bytes_))}, {found}")
        with w.when(w.differ(order, NULL)):
            numbers = w.gep("i64", order, first)
            row = w.gep("i8", source, w.binary("mul", w.get(numbers, ZERO), bytes_))
            w.do(f"store {row}, {found}")
            with w.when(w.differ(size, ONE)):
                w.do(f"store {buffer}, {found}")
                _gather(w, numbers, size, source, bytes_, buffer, copy)
        w.put(table, w.get(input_, RowsWord.POSITION), w.ins("ptr", f"load ptr, {found}"))
        each.next = [w.gep("i64", input_, length_of(RowsWord))]


def _gather(w: Code, numbers: Value, count: Value, source: Value, bytes_: Value, buffer: Value, copy: Copy) -> None:
    """Copy the rows of these numbers, one after the other, while those that follow are fetched."""
    w.module.declare("llvm.prefetch.p0", "void", ["ptr", "i32", "i32", "i32"])
    last, fetched = w.binary("sub", count, ONE), w.intrinsic("smin.i64", "i64", bytes_, constant("i64", FETCHED))
    with w.loop(ZERO, count) as row:
        ahead = w.intrinsic("smin.i64", "i64", w.binary("add", row.index, constant("i64", AHEAD)), last)
        following = w.gep("i8", source, w.binary("mul", w.get(numbers, ahead), bytes_))
        with w.loop(ZERO, fetched, LINE) as line:
            w.do(f"call void @llvm.prefetch.p0({w.gep('i8', following, line.index)}, i32 0, i32 3, i32 1)")
        target = w.gep("i8", buffer, w.binary("mul", row.index, bytes_))
        origin = w.gep("i8", source, w.binary("mul", w.get(numbers, row.index), bytes_))
        copy(w, target, origin, bytes_)


def copy_bytes(w: Code, target: Value, origin: Value, count: Value) -> None:
    """Copy so many bytes by a call, which is fast for many."""
    w.module.declare("llvm.memcpy.p0.p0.i64", "void", ["ptr", "ptr", "i64", "i1"])
    w.do(f"call void @llvm.memcpy.p0.p0.i64({target}, {origin}, {count}, i1 false)")


def copy_words(w: Code, target: Value, origin: Value, count: Value) -> None:
    """Copy so many bytes without a call, around which no vector register would keep its value."""
    whole = w.binary("and", count, constant("i64", -4))
    for type_, step, first, end in (("i32", 4, ZERO, whole), ("i8", 1, whole, count)):
        with w.loop(first, end, step) as at:
            value = w.ins(type_, f"load {type_}, {w.gep('i8', origin, at.index)}, align 1")
            w.do(f"store {value}, {w.gep('i8', target, at.index)}, align 1")


def _loss(w: Code) -> Value:
    """The loss of the step that was just run, as a double."""
    place = w.get(STEPS, StepsWord.LOSS, "ptr")
    double, loss = w.differ(w.get(STEPS, StepsWord.DOUBLE), ZERO), w.alloca("double", 1, 8)
    w.do(f"store {w.convert('fpext', w.get(place, ZERO, 'float'), 'double')}, {loss}")
    with w.when(double):
        w.do(f"store {w.get(place, ZERO, 'double')}, {loss}")
    return w.ins("double", f"load double, {loss}")


def _require_made(w: Code, loss: Value) -> None:
    """Go on where the watch let the step be made."""
    made = w.get(STEPS, StepsWord.FINITE, "ptr")
    with w.when(w.differ(made, NULL)):
        byte = w.ins("i8", f"load i8, {made}")
        w.require(w.differ(byte, constant("i8", 0)), "refused")
    with w.when(w.differ(w.get(STEPS, StepsWord.WATCH), ZERO)):
        w.require(w.compare("fcmp oeq", w.binary("fsub", loss, loss), constant("double", 0.0)), "refused")
