"""A library's process: which ones there are, what to ask them, and what happens where one fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Timer
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[3]
# Each library's ways to run a work; all are timed, and the fastest counts.
VARIANTS: dict[str, tuple[str, ...]] = {
    "graphnn": ("",),
    "numpy": ("",),
    "torch": ("", "compile"),
    "jax": ("",),
    "tensorflow": ("", "xla"),
    "pytensor": ("",),
    "onnxruntime": ("",),
    "openvino": ("",),
}
PATIENCE = 300  # seconds until a process that doesn't answer is ended
OWN = ("graphnn", "numpy")  # run under the project's own Python


class PeerFailed(Exception):
    """A process that ended, or answered nothing; the text says where its messages are."""


class Peer:
    """One variant of one library at one number of threads. Its process starts with the first work."""

    def __init__(self, library: str, variant: str, python: str, threads: int, logs: Path) -> None:
        self.library, self.variant, self.python, self.threads = library, variant, python, threads
        self.name = f"{library} {variant}".strip()
        self.logs = logs
        self.log = logs / f"{self.name.replace(' ', '-')}-{threads}.log"
        self.version = ""  # known once the process runs
        self._process: subprocess.Popen[str] | None = None

    def ask(self, order: str) -> dict[str, Any]:
        """The answer to one line of `server`. Raises PeerFailed where the process ends instead."""
        process = self._process or self.start()
        assert process.stdin is not None
        assert process.stdout is not None
        watchdog = Timer(PATIENCE, process.kill)
        watchdog.start()
        try:
            process.stdin.write(order + "\n")
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(process.stdout.readline())
        except (OSError, ValueError) as error:
            self.close()
            raise PeerFailed(f"{self.name} failed at '{order}', see {self.log}") from error
        finally:
            watchdog.cancel()
        return answer

    def build(self, work: str) -> dict[str, Any]:
        """The answer to `build`, with the values to compare in place of their file."""
        answer = self.ask(f"build {work}")
        if "result" in answer:
            file = Path(answer["result"])
            answer["result"] = np.load(file)
            file.unlink()
        return answer

    def start(self, extra: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start the process, with more variables in its environment, and wait until its library is imported."""
        limits = {name: str(self.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        paths = {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
        self.log.parent.mkdir(parents=True, exist_ok=True)
        module = f"tests.benchmarks.peers.{self.library}_peer"
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [self.python, "-m", module, str(self.threads), *filter(None, [self.variant])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env={**keeping_bytecode(os.environ), **limits, **paths, **(extra or {})},
            )
        assert self._process.stdout is not None
        self.version = json.loads(self._process.stdout.readline() or "{}").get("version", "")
        if not self.version:
            self.close()
            raise PeerFailed(f"{self.name} does not start, see {self.log}")
        return self._process

    def again(self) -> Peer:
        """Another process of the same kind."""
        return Peer(self.library, self.variant, self.python, self.threads, self.logs)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def keeping_bytecode(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that keeps the bytecode of the sources it imports, as of installed packages.

    Without, each process of graphnn would compile all of its modules, while other libraries' came with theirs.
    """
    return {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}


def find_peers(pythons: Mapping[str, str], threads: int, logs: Path, names: list[str] | None = None) -> list[Peer]:
    """All variants of the libraries that have a Python, in the order of VARIANTS; only those named, where some are."""
    pythons = {**dict.fromkeys(OWN, sys.executable), **pythons}
    return [
        Peer(library, variant, pythons[library], threads, logs)
        for library, variants in VARIANTS.items()
        if library in pythons and (not names or library in {*names, "graphnn"})
        for variant in variants
    ]
