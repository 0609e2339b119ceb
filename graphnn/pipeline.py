"""compile(): a network's tensors become a native function, stage by stage.

    stage      in -> out                                                    code
    declare    a Network: definitions in index notation                     declare/, ops/
    derive     the same graph with gradient nodes                           derive/
    simplify   stable formulas over our own expression nodes                simplify/
    lower      loop nests, one per formula                                  lower/
    schedule   fused, tiled, vectorised loop nests; a memory plan           schedule/
    emit       LLVM text with debug locations                               emit/
    run        object code behind a checked call                            run/

`until=` stops after any of them. Every stage has a text (`stage(name)`), the same for the same graph.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, TypedDict, Unpack, get_args, overload

import llvmlite

from graphnn.collector import collector_paused
from graphnn.declare.canonical import canonical_text
from graphnn.declare.network import Network, Tensor
from graphnn.emit.target import host, processor
from graphnn.errors import CompileError
from graphnn.run.archive import Archive
from graphnn.run.cache import key_of, open_cache, source_state
from graphnn.run.executable import Executable
from graphnn.run.manifest import Structure
from graphnn.run.measure import fastest
from graphnn.run.outlines import keep_outlines, sympy_version
from graphnn.run.threads import count_threads
from graphnn.simplify.expr import DType
from graphnn.simplify.formula import Accuracy

if TYPE_CHECKING:
    from graphnn.stages import Compilation

STAGES = ("declare", "derive", "simplify", "lower", "schedule", "emit", "run")

Wanted = Tensor | Sequence[Tensor] | Mapping[str, Tensor]


class Options(TypedDict, total=False):
    """The options of `compile`, as its docstring explains them."""

    sizes: Mapping[str, int] | None
    threads: int | None
    dtype: DType | None
    accuracy: Accuracy
    training: bool
    debug: bool
    updates: Mapping[str, Tensor] | None
    disable: Collection[str]
    cache: bool
    tune: bool


@overload
def compile(outputs: Wanted, *, until: None = None, **options: Unpack[Options]) -> Executable: ...
@overload
def compile(outputs: Wanted, *, until: str, **options: Unpack[Options]) -> Executable | Compilation: ...
@collector_paused()
def compile(
    outputs: Wanted,
    sizes: Mapping[str, int] | None = None,
    threads: int | None = None,
    dtype: DType | None = None,
    accuracy: Accuracy = "fast",
    training: bool = False,
    debug: bool = False,
    until: str | None = None,
    updates: Mapping[str, Tensor] | None = None,
    disable: Collection[str] = (),
    cache: bool = True,
    tune: bool = False,
) -> Executable | Compilation:
    """Compile Tensors to a native function that takes the inputs by keyword and returns arrays alike.

    Parameters: `outputs` a Tensor, or a list or dict of them; `sizes` binds symbolic sizes (those left are taken from
    the arrays at each call); `dtype` "float32" or "float64" for every float of the program; `accuracy` "fast" (an
    absolute bar, saved outputs in gradients, minimal filtering) or "tight" (relative to each element); `debug` adds
    bounds checks to every load and store and checks each rewrite numerically; `until` stops after a stage and gives
    its texts; `updates` maps state variables to Tensors with their new values; `training` is the mode of the
    network, and with training=True each call also makes the network's own updates (`Network.update`: running
    statistics, the counter of the random numbers) of what the outputs depend on, but for variables that `updates`
    names; `disable` leaves schedule passes out; `cache` takes the program from the folder of compiled programs or
    keeps it there (`docs/design/cache.md`), but never with debug= or until=; `threads` is the number of threads
    that a call may use, by default what the environment variable GRAPHNN_NUM_THREADS says, else one. The results
    have the same bits for every number of threads. A call below some 10 us uses one, and so does `debug`. `tune`
    compiles some seven schedules, times them on random arrays and copies of the state for about two seconds, and takes
    the fastest; the cache remembers it, and `Executable.tuning` tells what was measured (`docs/design/tuning.md`).

    Raises CompileError for unknown options, for tune= where sizes are not bound and with debug= or until=, GraphError
    for tensors of different networks.
    """
    tensors, structure, keys = _flatten(outputs)
    for option, given in (("sizes", sizes), ("updates", updates)):
        if given is not None and not isinstance(given, Mapping):
            raise CompileError(f"{option}= maps names to values, as in {{'N': 64}}; it is given {given!r:.40}")
    if isinstance(disable, str) or not isinstance(disable, Collection):
        raise CompileError(f"disable= takes names of schedule passes, as in ['fuse'], not {disable!r:.40}")
    network = _network(tensors, updates or {})
    _check_options(threads, dtype, accuracy, until, network, sizes or {})
    for option, flag in (("training", training), ("cache", cache), ("tune", tune)):
        if not isinstance(flag, bool):
            raise CompileError(f"{option}={flag!r:.40}: True or False")
    if tune and (debug or until is not None):
        raise CompileError("tune=True times programs that run as they are: compile without debug= and until=")
    if training:
        updates = _with_own(network, tensors, updates or {})
    folder = open_cache() if cache and until is None and not debug else None
    key = ""
    if folder is not None:  # before anything that was requested is made
        options: Options = {"sizes": sizes, "dtype": dtype, "accuracy": accuracy}
        options |= {"training": training, "tune": tune, "threads": count_threads(threads) if tune else None}
        key = _key(network, tensors, (structure, keys), updates or {}, options, disable)
        archive = folder.find(key)
        keep_outlines(folder)
        if archive is not None:
            return Executable(archive.manifest, archive.code, network.state, threads)
    from graphnn.stages import Compilation, run_stages  # a program that is found needs no compiler

    tuner = partial(fastest, source=network.state, threads=threads) if tune else None
    made = run_stages(
        tensors, structure, keys, updates or {}, sizes, dtype, accuracy, training, debug, until, disable, tuner
    )
    if isinstance(made, Compilation):
        return made
    manifest, code = made
    if folder is not None:
        folder.store(key, Archive(manifest, code, {}, key))
    return Executable(manifest, code, network.state, threads)


def _key(
    network: Network,
    tensors: Sequence[Tensor],
    structure: tuple[Structure, tuple[str, ...]],
    updates: Mapping[str, Tensor],
    options: Options,
    disable: Collection[str],
) -> str:
    """The key of a program in the cache: all that `compile` goes by."""
    reference = network.requests.reference
    return key_of(
        {
            "graph": canonical_text(network, [*tensors, *updates.values()]),
            "outputs": [structure, [reference(tensor) for tensor in tensors]],
            "updates": [[name, reference(value)] for name, value in updates.items()],
            "options": {**options, "sizes": dict(options["sizes"] or {}), "disable": sorted(set(disable))},
            "target": processor() or asdict(host()),
            "versions": {"llvmlite": llvmlite.__version__, "sympy": sympy_version(), "graphnn": source_state()},
        }
    )


def _flatten(outputs: Wanted) -> tuple[list[Tensor], Structure, tuple[str, ...]]:
    """The tensors, the structure in which their arrays are returned, and the keys where that is a dict."""
    if isinstance(outputs, Tensor):
        return [outputs], "single", ()
    if not isinstance(outputs, Mapping | Sequence) or isinstance(outputs, str):
        raise CompileError(f"compile takes Tensors, or a list or dict of them, not {outputs!r:.60}")
    keys = tuple(map(str, outputs)) if isinstance(outputs, Mapping) else ()
    tensors = list(outputs.values()) if isinstance(outputs, Mapping) else list(outputs)
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise CompileError(f"compile takes Tensors, or a list or dict of them, not {type(tensor).__name__}")
    if not tensors:
        raise CompileError("compile needs at least one output")
    return tensors, "dict" if keys else "list", keys


def _network(tensors: Sequence[Tensor], updates: Mapping[str, Tensor]) -> Network:
    network = tensors[0].network
    for tensor in (*tensors, *updates.values()):
        if not isinstance(tensor, Tensor):
            raise CompileError(f"updates: a new value is a Tensor, not {tensor!r:.40}")
        if tensor.network is not network:
            raise CompileError(f"'{tensor.name}' belongs to another network than '{tensors[0].name}'")
    for name, value in updates.items():
        if name not in network.state_variables:
            raise CompileError(f"updates: '{name}' is not a state variable of network {network.name!r}")
        state = network[name]
        if (value.shape, value.dtype) != (state.shape, state.dtype):
            raise CompileError(f"updates: '{name}' is {state!r}, its new value {value!r}")
    return network


def _with_own(network: Network, tensors: Sequence[Tensor], updates: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The updates asked for, and the network's own of all that is reached and not among them."""
    if network.updates.keys() <= updates.keys():
        return dict(updates)
    return {**network.updates_of([*tensors, *updates.values()]), **updates}


def _check_options(
    threads: int | None, dtype: str | None, accuracy: str, until: str | None, network: Network, sizes: Mapping[str, int]
) -> None:
    if until is not None and until not in STAGES:
        raise CompileError(f"until={until!r}: the stages are {', '.join(STAGES)}")
    if accuracy not in get_args(Accuracy):
        raise CompileError(f"accuracy={accuracy!r}: choose one of {', '.join(get_args(Accuracy))}")
    if dtype not in (None, "float32", "float64"):
        raise CompileError(f"dtype={dtype!r}: choose float32 or float64")
    count_threads(threads)
    free = {str(d) for n in network.inputs.values() for d in n.shape if isinstance(d, str)}
    for name, value in sizes.items():
        if name not in free:
            raise CompileError(f"sizes: the network has no symbolic size {name!r}; it has {', '.join(sorted(free))}")
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise CompileError(f"sizes: {name} is a nonnegative int, not {value!r}")
