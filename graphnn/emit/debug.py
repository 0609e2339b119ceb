"""Origins as DWARF lines, and bounds checks as return codes.

Every distinct origin is one line of an imaginary file; an instruction's `.loc` is its origin's line. Line 0 is
code that no formula asked for (loop counters, the entry).
"""

from __future__ import annotations

from dataclasses import dataclass

from graphnn.emit.writer import Module
from graphnn.simplify.expr import Origin


@dataclass(frozen=True, slots=True)
class Check:
    """A bounds check: `buffer` was addressed outside its extent along `dimension` by `statement`."""

    buffer: str
    dimension: int
    statement: str


class Checks:
    """Numbers the bounds checks of a module from 1; `statement` is the text of the one that is being emitted."""

    def __init__(self) -> None:
        self.table: dict[int, Check] = {}
        self.statement = ""

    def add(self, buffer: str, dimension: int) -> int:
        code = len(self.table) + 1
        self.table[code] = Check(buffer, dimension, self.statement)
        return code


class Locations:
    """Writes debug metadata: a compile unit, a subprogram per function, a location per origin and function."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.count = 0
        self.lines: dict[Origin, int] = {}
        self.scope = ""
        self.here: dict[int, str] = {}  # line -> its DILocation in the present subprogram
        file = self.node('!DIFile(filename: "graphnn.formula", directory: "")')
        self.unit = self.node(
            f'distinct !DICompileUnit(language: DW_LANG_C, file: {file}, producer: "graphnn", isOptimized: true, '
            "runtimeVersion: 0, emissionKind: LineTablesOnly)"
        )
        self.file, self.signature = file, self.node("!DISubroutineType(types: !{})")
        version = self.node('!{i32 2, !"Debug Info Version", i32 3}')
        module.metadata += [f"!llvm.dbg.cu = !{{{self.unit}}}", f"!llvm.module.flags = !{{{version}}}"]

    def node(self, body: str) -> str:
        reference = f"!{self.count}"
        self.count += 1
        self.module.metadata.append(f"{reference} = {body}")
        return reference

    def enter(self, function: str) -> str:
        """The subprogram of a function: attach it to the `define`. Locations belong to it until the next `enter`."""
        self.scope = self.node(
            f'distinct !DISubprogram(name: "{function}", file: {self.file}, line: 0, type: {self.signature}, '
            f"unit: {self.unit}, spFlags: DISPFlagDefinition | DISPFlagOptimized)"
        )
        self.here = {}
        return self.scope

    def of(self, origin: Origin | None) -> str:
        """The location of an origin, for `Writer.location`."""
        line = 0 if origin is None else self.lines.setdefault(origin, len(self.lines) + 1)
        if line not in self.here:
            self.here[line] = self.node(f"!DILocation(line: {line}, column: 0, scope: {self.scope})")
        return self.here[line]
