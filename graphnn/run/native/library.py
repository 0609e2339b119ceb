"""The native entry in this process: its functions, compiled and linked once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from graphnn.errors import CompileError
from graphnn.run.link import link_object
from graphnn.run.native.api import MethodDefinition, method_definition, native_api, pool_functions
from graphnn.run.native.records import Context

SYMBOLS = ("graphnn_call", "graphnn_bound", "graphnn_take", "graphnn_give")


@dataclass(frozen=True, slots=True)
class NativeEntry:
    """The functions of `run/native/code.py`, loaded once. `library` keeps their code."""

    api: Mapping[Context, int]
    library: Any
    call: MethodDefinition
    bound: MethodDefinition
    take: Callable[[int], int | None]
    give: Callable[[int, int], None]


@cache
def native_entry() -> NativeEntry | None:
    """The native entry of this process, made when it is first asked for; None where there can be none."""
    from graphnn.run.objects import runtime_object  # most processes make few calls and need no entry

    api = native_api()
    if api is None:
        return None
    try:
        # Optimised code would save 40 ns a call, and takes eight times as long to make.
        library = link_object(runtime_object("entry", _text, opt=0), SYMBOLS)
    except CompileError:
        return None
    call, bound, take, give = (library[symbol] for symbol in SYMBOLS)
    return NativeEntry(
        api,
        library,
        method_definition("call", call, "Run on one array per input, by name."),
        method_definition("bound", bound, "Run on the bound arrays."),
        *pool_functions(take, give),
    )


def _text(triple: str) -> str:
    from graphnn.run.native.code import entry_text

    return entry_text(triple)
