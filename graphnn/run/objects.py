"""Objects of the runtime's own modules (the native entry, the pool, the loop over steps): once per machine, by LLVM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import llvmlite

from graphnn.emit.target import host, processor
from graphnn.run.cache import key_of, open_cache, source_state


def runtime_object(name: str, text: Callable[[str], str], opt: int = 2) -> bytes:
    """The object of a module with this LLVM text for a triple, taken from the cache or kept there.

    What is found needs neither the text nor LLVM. Raises CompileError where LLVM refuses the text.
    """
    folder = open_cache()
    target, versions = processor() or asdict(host()), [llvmlite.__version__, source_state()]
    key = key_of({"module": name, "opt": opt, "target": target, "versions": versions})
    if folder is not None and (found := folder.find_object(key)) is not None:
        return found
    from graphnn.run.jit import compile_object

    code = compile_object(text(host().triple), host(), opt)
    if folder is not None:
        folder.store_object(key, code)
    return code
