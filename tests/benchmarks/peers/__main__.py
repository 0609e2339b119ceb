"""Medians of a training step in graphnn and in its peers, asked in turns, and the ratios to the best peer.

    python -m tests.benchmarks.peers --python torch=PATH --python jax=PATH --python tensorflow=PATH

Each library runs in a process of its own under the Python given for it (numba and others pin older llvmlite: peers need
environments of their own). Before anything is timed the first losses of all must agree.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.benchmarks.peak import peak
from tests.benchmarks.peers.works import WORKS

HERE = Path(__file__).parent
VARIANTS = {"torch": ((), ("compile",)), "tensorflow": ((), ("xla",)), "jax": ((),), "graphnn": ((),)}
AGREE = 2e-3  # relative, of the losses of the first steps


class Peer:
    """One library's process for one work."""

    def __init__(self, library: str, python: str, work: str, threads: int, variant: tuple[str, ...]) -> None:
        self.name = " ".join((library, *variant))
        limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        root = os.pathsep.join(filter(None, (str(HERE.parents[2]), os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [python, str(HERE / f"{library}_peer.py"), work, str(threads), *variant],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **limits, **({"PYTHONPATH": root} if library == "graphnn" else {})},
        )
        words = self._read().split()
        self.losses = [float(w) for w in words[1:]] if words[:1] == ["ready"] else []

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def slice(self) -> float:
        """Seconds per step over about a tenth of a second."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._read())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def measure(work: str, pythons: dict[str, str], threads: int, rounds: int) -> dict[str, float]:
    """The median milliseconds of a step of each library that runs here, by name."""
    started = [
        Peer(library, python, work, threads, variant)
        for library, python in pythons.items()
        for variant in VARIANTS[library]
    ]
    try:
        peers = [p for p in started if p.losses]
        for peer in peers:
            np.testing.assert_allclose(peer.losses, peers[0].losses, rtol=AGREE, err_msg=peer.name)
        times: dict[str, list[float]] = {p.name: [] for p in peers}
        for _ in range(rounds):
            for peer in peers:
                times[peer.name].append(peer.slice())
    finally:
        for peer in started:
            peer.close()
    return {name: 1e3 * statistics.median(samples) for name, samples in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", action="append", default=[], metavar="LIBRARY=PATH", help="where a peer lives")
    parser.add_argument("--works", nargs="+", default=list(WORKS), choices=list(WORKS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pythons = {"graphnn": sys.executable, **dict(entry.split("=", 1) for entry in options.python)}
    found = {}
    for work in options.works:
        times = found[work] = measure(work, pythons, options.threads, options.rounds)
        others = {name: t for name, t in times.items() if name != "graphnn"}
        best = min(others, key=lambda name: others[name], default="")
        ratio = f"   {others[best] / times['graphnn']:.2f} x {best}" if best else ""
        rate = 1e-6 * WORKS[work].flops / times["graphnn"]
        print(f"{work:8} " + "  ".join(f"{n} {t:.3f} ms" for n, t in times.items()) + f"{ratio}   {rate:.0f} GF/s")
    print(f"multiply-add peak of a core: {peak():.0f} GF/s")
    if options.json:
        options.json.write_text(json.dumps({"threads": options.threads, "milliseconds": found}, indent=2))


if __name__ == "__main__":
    main()
