"""The machine that code is emitted for: its vector width, its registers, its LLVM names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from itertools import takewhile
from pathlib import Path

from graphnn.schedule.machine import BYTES
from graphnn.simplify.expr import DType

_CPUINFO = Path("/proc/cpuinfo")
# What Linux tells of an x86 processor and what of it may be used: LLVM's name and features follow from these.
_TELLING = ("vendor_id", "cpu family", "model", "stepping", "flags")
TEAM = "graphnn_team"  # two words of a module: the address of the pool's `run`, 0 for one thread, and how many threads


@dataclass(frozen=True, slots=True)
class Target:
    """`vector_bytes` is the widest vector the code uses, `vector_registers` how many of them there are."""

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    vector_registers: int

    def lanes(self, dtype: DType) -> int:
        """How many elements of a dtype one vector holds (16 float32 with AVX-512)."""
        return self.vector_bytes // BYTES[dtype]

    @property
    def register_tables(self) -> bool:
        """Whether one instruction picks a number for each lane out of 32 in two registers (AVX-512: vpermi2ps)."""
        return self.vector_bytes == 64


@cache
def host() -> Target:
    """This machine. 512-bit vectors are used where they exist, against LLVM's own preference for 256 bits."""
    import llvmlite.binding as llvm  # 50 ms: `processor` is for who only has to know whether two hosts are the same

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    if features.get("avx512f") and features.get("avx512vl") and features.get("avx512dq"):
        width, registers = 64, 32
    elif features.get("avx2"):
        width, registers = 32, 16
    else:
        width, registers = 16, 32 if features.get("neon") else 16
    features["prefer-256-bit"] = False
    return Target(llvm.get_default_triple(), llvm.get_host_cpu_name(), features.flatten(), width, registers)


@cache
def processor() -> str:
    """A digest of what `host` goes by, found without LLVM: where two are equal, so are the hosts.

    "" where the system does not tell. Another version of LLVM may describe the same processor in another way.
    """
    try:
        with _CPUINFO.open(encoding="utf-8") as file:
            lines = [line.partition(":") for line in takewhile(str.strip, file)]  # of the first core
        first = {name.strip(): value.strip() for name, _, value in lines}
        told = [first[name] for name in _TELLING]
    except (OSError, ValueError, KeyError):
        return ""
    return hashlib.sha256("\n".join([EXTENSION_SUFFIXES[0], *told]).encode()).hexdigest()
