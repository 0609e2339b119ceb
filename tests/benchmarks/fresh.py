"""What is measured in fresh processes: the memory of training, the time of a compile, starts.

memory    `resident` of peers/server.py: the largest resident set of five runs, in a process that finds its compiled
          programs on disk where the library keeps them, so that it is the step that is measured and not the compiler
compile   from the formulas to the first result, less a later run; all is imported, and the library has data and first
          weights as its own arrays: for graphnn, which takes weights after formulas, the watch stops meanwhile
cached    the same in a process that finds what one before it kept on disk
imports   the first `import` of a process, measured inside
starts    a process that loads a saved program and runs it once, from its start to its end, measured outside

Python keeps the bytecode of all sources in these processes, as it does for installed packages, whatever the caller's
environment says; the first turn, which compiles it, is left out.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import graphnn as gn
from tests.benchmarks.peers.graphnn_peer import declare
from tests.benchmarks.peers.process import ROOT, Peer, PeerFailed, keeping_bytecode
from tests.benchmarks.timing import seconds
from tests.benchmarks.works import WORKS, Net

Figures = dict[str, dict[str, float | str]]  # by work and peer; a text says why there is no figure
UNCACHED = {"GRAPHNN_CACHE": "0", "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}
SAMPLES = 3
ONNX = ("onnxruntime", "openvino")
SAVED = "lenet64 inference"  # the work of `starts`
# What a process does that loads and runs a saved program, once its library is imported.
STARTS = {
    "python": "",
    "numpy": "import numpy; x = numpy.load(data)",
    "graphnn": "import numpy, graphnn; x = numpy.load(data); graphnn.load(file)(x=x)",
    "onnxruntime": "import numpy, onnxruntime; x = numpy.load(data); "
    "onnxruntime.InferenceSession(file, providers=['CPUExecutionProvider']).run(None, {'x': x})",
    "openvino": "import numpy, openvino; x = numpy.load(data); "
    "openvino.Core().compile_model(file, 'CPU').create_infer_request().infer({0: x})",
}


def memory(peers: Iterable[Peer], works: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Megabytes `before`, `peak` and `process` by work and peer. Two processes run at a time: no time is measured."""

    def one(peer: Peer, work: str) -> dict[str, float] | str:
        with tempfile.TemporaryDirectory() as folder:
            if _keeps_programs(peer):
                _in_fresh(peer, _kept(folder), lambda: peer.build(work))
            return _in_fresh(peer, _kept(folder), lambda: _built(peer, work) or peer.ask("memory"))

    pairs = [(peer, work) for work in works for peer in peers]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda pair: one(pair[0].again(), pair[1]), pairs))
    figures = dict(zip(((work, peer.name) for peer, work in pairs), found, strict=True))
    return {work: {peer.name: figures[work, peer.name] for peer in peers} for work in works}


def compile_times(peers: Iterable[Peer], works: Iterable[str], cached: bool) -> Figures:
    """Median seconds of a compile by work and peer, one process after the other; of three for graphnn and JAX."""
    peers = [p for p in peers if p.name != "torch"]  # it runs without
    return {work: {peer.name: _compile_time(peer, work, cached) for peer in peers} for work in works}


def _compile_time(peer: Peer, work: str, cached: bool) -> float | str:
    if cached and not _keeps_programs(peer):
        return "keeps nothing on disk"
    found = []
    with tempfile.TemporaryDirectory() as folder:
        environment = _kept(folder) if cached else UNCACHED
        samples = SAMPLES if peer.library in ("graphnn", "jax") else 1
        for turn in range(samples + cached):
            answer = _in_fresh(peer, environment, lambda: peer.build(work))
            if isinstance(answer, str) or "cannot" in answer:
                return answer if isinstance(answer, str) else str(answer["cannot"])
            if turn or not cached:
                found.append(float(answer["first"]))
    return statistics.median(found)


def _keeps_programs(peer: Peer) -> bool:
    return peer.library in ("graphnn", "jax") or peer.variant == "compile"


def _kept(folder: str) -> dict[str, str]:
    """What makes libraries keep their compiled programs in a folder."""
    return {
        "GRAPHNN_CACHE_DIR": f"{folder}/graphnn",
        "JAX_COMPILATION_CACHE_DIR": f"{folder}/jax",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "TORCHINDUCTOR_CACHE_DIR": f"{folder}/torch",
    }


def _built(peer: Peer, work: str) -> str | None:
    """Why it is not."""
    return peer.build(work).get("cannot")


def _in_fresh(peer: Peer, environment: Mapping[str, str], ask: Callable[[], Any]) -> Any:
    """The answer, or as a text why there is none."""
    try:
        peer.start(environment)
        return ask()
    except PeerFailed as error:
        return str(error)
    finally:
        peer.close()


def imports(pythons: Mapping[str, str]) -> dict[str, float]:
    """Median seconds of the first `import` of each library; in turns, after one turn that fills the file cache."""
    code = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    return _in_turns({n: lambda n=n, p=p: float(_python(p, "-c", code.format(n))) for n, p in pythons.items()})


def starts(pythons: Mapping[str, str]) -> dict[str, float]:
    """Median seconds of a process that loads a saved program and runs it; "python" and "numpy" are the floor."""
    work = WORKS[SAVED]
    assert isinstance(work, Net)
    pythons = {"python": sys.executable, "numpy": sys.executable, **pythons}
    with tempfile.TemporaryDirectory() as folder:
        data, saved = f"{folder}/x.npy", f"{folder}/work.gnn"
        np.save(data, work.data()[0])
        gn.compile(declare(work, work.weights())[0], sizes={"N": work.batch}).save(saved)

        def run(name: str) -> float:
            file = f"{folder}/{name}.onnx" if name in ONNX else saved
            if name in ONNX and not Path(file).exists():
                _python(pythons[name], "-m", "tests.benchmarks.peers.onnx_graph", SAVED, file)
            code = f"data, file = {data!r}, {file!r}; {STARTS[name]}"
            return seconds(lambda: _python(pythons[name], "-c", code))

        return _in_turns({name: lambda n=name: run(n) for name in STARTS if name in pythons})


def _in_turns(runs: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """Medians; a library that fails is left out."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(SAMPLES + 1):
        for name in list(found):
            try:
                found[name].append(runs[name]())
            except subprocess.CalledProcessError as error:
                print(f"{name} is left out: {error}")
                del found[name]
    return {name: statistics.median(times[1:]) for name, times in found.items()}


def _python(python: str, *arguments: str) -> str:
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
    environment = {**keeping_bytecode(os.environ), "PYTHONPATH": str(ROOT), **quiet}
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    return subprocess.run([python, *arguments], check=True, cwd=ROOT, env=environment, **streams).stdout
