"""`graphnn.load`: a saved program back into this process, if this machine and this version can run it."""

from __future__ import annotations

import os
from os import PathLike

from graphnn import __version__
from graphnn.emit.target import Target, host, processor
from graphnn.errors import BoundaryError
from graphnn.run.archive import read
from graphnn.run.executable import Executable
from graphnn.run.manifest import Manifest
from graphnn.run.states import HeldState, bind_states


def load(path: str | PathLike[str], threads: int | None = None) -> Executable:
    """The program that `Executable.save` wrote, with the state it had then. Needs neither sympy nor networkx.

    `threads` as in `compile`: it belongs to the machine that runs a program, and is not saved with it.

    Raises BoundaryError, saying what to do, for a file that is damaged or was made by another version of graphnn or
    for a processor that this one cannot stand in for. A file holds machine code: load only what you would run.
    """
    archive = read(path)
    if archive.key:
        raise BoundaryError(f"{os.fspath(path)!r} is an entry of the compile cache, without state: use Executable.save")
    check_version(archive.manifest)
    if not processor() or archive.manifest.processor != processor():
        check_host(archive.manifest, host())
    state = HeldState(archive.states)
    bind_states(archive.manifest, state)  # so that what does not fit is refused here, not at the first call
    return Executable(archive.manifest, archive.code, state, threads)


def check_version(manifest: Manifest) -> None:
    """Raise BoundaryError unless this version of graphnn made the program."""
    made_by = manifest.versions.get("graphnn")
    if made_by != __version__:
        advice = f"compile {manifest.name!r} again"
        raise BoundaryError(f"the program was compiled by graphnn {made_by}, this is {__version__}: {advice}")


def check_host(manifest: Manifest, here: Target) -> None:
    """Raise BoundaryError unless code for the manifest's target runs `here`."""
    advice = f"compile {manifest.name!r} again on this machine"
    if manifest.target.triple != here.triple:
        raise BoundaryError(f"the program was compiled for {manifest.target.triple}, this is {here.triple}: {advice}")
    missing = sorted(_features(manifest.target) - _features(here))
    if missing:
        raise BoundaryError(
            f"the program was compiled for a processor ({manifest.target.cpu}) with {', '.join(missing)}, "
            f"which this one ({here.cpu}) has not: {advice}"
        )


def _features(target: Target) -> frozenset[str]:
    """The instruction sets that code for a target may use: "+avx2,-sse4a" -> {"avx2"}"""
    return frozenset(f[1:] for f in target.features.split(",") if f.startswith("+"))
