"""LLVM text -> object code, and what else needs LLVM: processes that only run what was compiled do without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import llvmlite.binding as llvm

from graphnn.emit.target import Target, host
from graphnn.errors import CompileError
from graphnn.run.link import Library

LIBRARY = "graphnn"  # llvmlite passes names on unescaped: never a user's


def compile_object(text: str, target: Target, opt: int = 2) -> bytes:
    """The relocatable object of a module. Raises CompileError where LLVM refuses the text."""
    return bytes(target_machine(target, opt).emit_object(parse(text)))


def assembly(text: str, target: Target) -> str:
    """The assembly of what `compile_object` compiles, with a `.loc` line where the origin changes."""
    return str(target_machine(target).emit_assembly(parse(text)))


def parse(text: str, context: Any = None) -> Any:
    """The verified LLVM module of a text, in LLVM's global context if no other is given.

    No pass runs on it before code generation.
    The text is vectorised, has its common subexpressions and invariants computed once, and code generation does
    the rest (strength reduction, scheduling). Measured on maps, folds in lanes, padded convolutions, pooling and
    matrix products: LLVM's -O1 and -O2 pipelines gave the same speed within 5% (and a running maximum 1.6 times
    slower) at 1.6 to 2.3 times the compile time; unrolling made the padded convolution 1.25 times slower.
    """
    try:
        module = llvm.parse_assembly(text, context)
        module.verify()
    except RuntimeError as error:
        raise CompileError(f"LLVM refused the emitted module: {error}") from error
    return module


def link_by_llvm(data: bytes, symbols: Sequence[str]) -> Library:
    """Link an object into this process, where debuggers see it.

    Raises CompileError where the object needs a symbol that the process does not have.
    """
    host()
    try:
        engine = llvm.create_lljit_compiler()
        builder = llvm.JITLibraryBuilder().add_object_img(data).add_current_process()
        for symbol in symbols:
            builder.export_symbol(symbol)
        library: Library = builder.link(engine, LIBRARY)
        return library
    except RuntimeError as error:
        raise CompileError(f"LLVM could not link {', '.join(map(repr, symbols))}: {error}") from error


def target_machine(target: Target, opt: int = 2) -> Any:
    """`pic` and `small` give shorter addressing than llvmlite's `jitdefault`, and the object can go into a library."""
    host()
    chosen = llvm.Target.from_triple(target.triple)
    return chosen.create_target_machine(
        cpu=target.cpu, features=target.features, opt=opt, reloc="pic", codemodel="small"
    )
