"""A Writer that knows records, array objects and early exits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from graphnn.emit.writer import Module, Value, Writer, constant
from graphnn.run.native.records import Context, Described

ZERO, ONE, NULL = constant("i64", 0), constant("i64", 1), Value("ptr", "null")
# How a call gives its outputs.
NEW_ARRAYS, SCALAR, BOUND, GIVEN = 0, 1, 2, 3


class Code(Writer):
    """A Writer that knows records, objects and early exits."""

    def get(self, base: Value, word: IntEnum | int | Value, type_: str = "i64") -> Value:
        """A word of a record."""
        at = word if isinstance(word, Value) else constant("i64", int(word))
        return self.ins(type_, f"load {type_}, {self.gep('i64', base, at)}")

    def put(self, base: Value, word: IntEnum | Value, value: Value) -> None:
        at = word if isinstance(word, Value) else constant("i64", int(word))
        self.do(f"store {value}, {self.gep('i64', base, at)}")

    def field(self, array: Value, offset: int, type_: str = "ptr") -> Value:
        """A field of an array object, by its offset in bytes."""
        return self.ins(type_, f"load {type_}, {self.gep('i8', array, constant('i64', offset))}")

    def invoke(self, context: Value, word: Context, result: str, *arguments: Value) -> Value:
        """Call a function whose address stands in the context."""
        function = self.get(context, word, "ptr")
        text = f"call {result} {function.ref}({', '.join(map(str, arguments))})"
        if result == "void":
            self.do(text)
            return NULL
        return self.ins(result, text)

    def same(self, a: Value, b: Value) -> Value:
        return self.compare("icmp eq", a, b)

    def differ(self, a: Value, b: Value) -> Value:
        return self.compare("icmp ne", a, b)

    def require(self, condition: Value, otherwise: str) -> None:
        """Go on where the condition holds, else jump."""
        label = self.fresh("holds")
        self.branch(condition, label, otherwise)
        self.start(label)

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        label = self.fresh("")
        self.branch(condition, f"then{label}", f"end{label}")
        self.start(f"then{label}")
        yield
        self.jump(f"end{label}")
        self.start(f"end{label}")


def following_record(w: Code, described: Value) -> Value:
    """The description behind this one."""
    length = w.binary("add", w.get(described, Described.AXES), constant("i64", len(Described)))
    return w.gep("i64", described, length)


def length_of(kind: type[IntEnum]) -> Value:
    """How many words a record of that kind has."""
    return constant("i64", len(kind))


def define(module: Module, signature: str, w: Writer) -> None:
    module.functions.append("\n".join([f"define {signature} #0 {{", "entry:", *w.lines, "}"]))
