"""Every work in graphnn and its peers in one run: tables in Markdown, JSON, and a roofline picture.

    make bench                                   everything, with environments for the peers
    python -m tests.benchmarks [--peers FOLDER] [--peer torch jax] [--only mlp64 vgg64] [--threads 1] [--rounds 3]
                               [--parts times memory] [--json FILE] [--docs]

A peer that cannot be installed, or cannot do a work, is named and left out. `--docs` puts the tables into
docs/performance.md; parts that are not run keep what FILE says of them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks import fresh, roofline, scaling
from tests.benchmarks.compare import Times, compare
from tests.benchmarks.environments import PACKAGES, build
from tests.benchmarks.peak import copy_bandwidth, peak
from tests.benchmarks.peers.process import ROOT, Peer, find_peers
from tests.benchmarks.tables import PAGE, report, rewrite, sections
from tests.benchmarks.targets import COMPILED, Results, duration
from tests.benchmarks.works import STEPS, WORKS

PARTS = ("times", "memory", "compile", "starts", "roofline", "scaling")
TRAINERS = ("graphnn", "torch", "jax", "tensorflow")  # what is measured in fresh processes, too
FOLDER = ROOT / ".benchmarks"
PICTURES = PAGE.parent / "performance"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", type=Path, default=ROOT / ".peers", help="the folder of the peers' environments")
    parser.add_argument("--python", action="append", default=[], metavar="LIBRARY=PATH", help="one that exists already")
    parser.add_argument("--peer", nargs="+", choices=["numpy", *PACKAGES], help="these and graphnn only")
    parser.add_argument("--only", nargs="+", choices=list(WORKS), metavar="WORK", help="of " + ", ".join(WORKS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS[:-1], help="all but scaling unless given")
    parser.add_argument("--json", type=Path, default=FOLDER / "results.json")
    parser.add_argument("--docs", action="store_true", help="rewrite the tables and pictures of docs/performance.md")
    options = parser.parse_args()
    given = dict(entry.split("=", 1) for entry in options.python)
    wanted = [name for name in PACKAGES if name not in given and (not options.peer or name in options.peer)]
    pythons = {name: path for name, path in given.items() if not options.peer or name in options.peer}
    built = build(options.peers, wanted)
    pythons |= built
    results = read(options.json)
    results["missing"] = [name for name in wanted if name not in built]
    results |= {"date": f"{datetime.datetime.now():%Y-%m-%d}"}
    results["machine"] = describe_machine(options.threads, results["machine"])
    for part in options.parts:
        start = time.perf_counter()
        try:
            measure(part, results, options, pythons)
        finally:
            write(options.json, results)
        print(f"{part}: {time.perf_counter() - start:.0f} s", flush=True)
    print("\n" + report(results))
    if options.docs:
        PAGE.write_text(rewrite(PAGE.read_text(), sections(results)))


def measure(part: str, results: Results, options: argparse.Namespace, pythons: dict[str, str]) -> None:
    """Put what one part measures into the results."""
    works = options.only or list(WORKS)
    peers = {n: find_peers(pythons, n, FOLDER / "logs", options.peer) for n in options.threads}
    pictures = PICTURES if options.docs else FOLDER
    steps = [work for work in works if work in STEPS]
    one, most = ([p for p in peers[n] if p.library in TRAINERS] for n in (min(peers), max(peers)))
    if part == "times":
        for threads, found in peers.items():
            measure_times(found, works, options.rounds, results["times"].setdefault(str(threads), {}))
            results["versions"] |= {p.library: p.version for p in found if p.version}
    elif part == "memory":
        results["memory"] |= fresh.memory(one, [work for work in steps if work != "tiny"])
    elif part == "compile":
        compiled = [work for work in COMPILED if work in works]
        results["compile"] |= fresh.compile_times(most, compiled, cached=False)
        results["cached"] |= fresh.compile_times(most, compiled, cached=True)
    elif part == "starts":
        everyone = {"graphnn": sys.executable, **pythons}
        results["imports"] |= fresh.imports(everyone)
        results["starts"] |= fresh.starts(everyone)
    elif part == "roofline":
        results["kernels"] = roofline.draw(pictures / "roofline.png")
    else:
        results["scaling"] = scaling.measure_series(list(scaling.SERIES))
        scaling.draw(results["scaling"], pictures / "scaling.png")


def measure_times(peers: list[Peer], works: list[str], rounds: int, found: dict[str, Times]) -> None:
    """Put each work's times into `found`."""
    try:
        for work in works:
            found[work] = compare(peers, work, rounds)
            shown = (f"{name} {duration(t) if isinstance(t, float) else t}" for name, t in found[work].items())
            print(f"{work} on {peers[0].threads}: " + ", ".join(shown), flush=True)
    finally:
        for peer in peers:
            peer.close()


def describe_machine(threads: list[int], known: dict[str, Any]) -> dict[str, Any]:
    """The processor, and its limits at each number of threads: the highest of this run and of what is `known`.

    A run in a slow minute must not make what others measured look nearer to the limit.
    """
    names = (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name"))
    found: dict[str, Any] = {"processor": next(names, platform.processor()), "cores": os.cpu_count()}
    same = all(known.get(name) == value for name, value in found.items())
    for name, measured in (("peak", peak), ("copy", copy_bandwidth)):
        before: dict[str, float] = known.get(name, {}) if same else {}
        found[name] = before | {str(n): max(measured(n), before.get(str(n), 0.0)) for n in threads}
    return found


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def read(file: Path) -> Results:
    names = ("machine", "times", "versions", "memory", "compile", "cached", "imports", "starts", "kernels", "scaling")
    empty: Results = {name: {} for name in names}
    return empty | (json.loads(file.read_text()) if file.exists() else {})


def write(file: Path, results: Results) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
