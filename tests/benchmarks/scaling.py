"""How the time of a training step and of its compile grow with depth, width, batch and image size, as a picture.

    python -m tests.benchmarks.scaling [--only depth] [--out FILE.png]

One core; cold compiles, without the imports; the better of two processes. Times are drawn over the size, beside a line
that grows like the arithmetic (a step) or like the number of layers (a compile).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.benchmarks.peers.process import ROOT
from tests.benchmarks.timing import seconds
from tests.benchmarks.works import Layer, Net, conv, dense

SECONDS = 0.3  # of steps for each size
Point = dict[str, float]  # size, flops of a step, seconds of a step and of a compile


@dataclass(frozen=True, slots=True)
class Series:
    """A family of networks by one size; `units` is what the compile's time is to follow at most."""

    title: str
    sizes: tuple[int, ...]
    make: Callable[[int], Net]
    units: Callable[[int], float]


def mlp(width: int, depth: int, batch: int) -> Net:
    return Net("step", batch, (width,), "tanh", dense(*[width] * (depth - 1), 10))


def images(side: int) -> Net:
    pool = Layer("max", 0, 2, 2)
    return Net("step", 16, (3, side, side), "relu", (conv(16, 3, 1), conv(32, 3, 1), pool, conv(32, 3, 1), *dense(10)))


def constant(size: int) -> float:
    return 1.0


SERIES = {
    "depth": Series("layers, 64 wide, batch 64", (2, 5, 10, 20, 50, 100, 200), lambda n: mlp(64, n, 64), float),
    "width": Series("width, 3 layers, batch 64", tuple(2**n for n in range(4, 12)), lambda n: mlp(n, 3, 64), constant),
    "batch": Series("batch, 3 layers, 256 wide", (1, 4, 16, 64, 256, 1024, 4096), lambda n: mlp(256, 3, n), constant),
    "image": Series("side of the images, 3 convolutions, batch 16", (8, 16, 32, 64, 128), images, constant),
}


def measure(name: str, size: int) -> Point:
    """Seconds of a compile and of a step, in this process: the compile is cold once."""
    import sympy  # noqa: F401 - not part of the compile's time

    import graphnn.pipeline  # noqa: F401
    from tests.benchmarks.peers.graphnn_peer import declare, trainer

    work = SERIES[name].make(size)
    (x, y), weights, made = work.data(), work.weights(), []

    def compile_step() -> None:
        made.append(trainer(declare(work, weights)[1], work))
        made[0].executable()

    compiling = seconds(compile_step)
    once = min(seconds(lambda: made[0].step(x=x, y=y)) for _ in range(3))
    times = [seconds(lambda: made[0].step(x=x, y=y)) for _ in range(max(5, min(1000, round(SECONDS / once))))]
    return {"size": size, "compile": compiling, "step": statistics.median(times), "flops": work.flops}


def measure_fresh(name: str, size: int) -> Point:
    child = [sys.executable, "-m", "tests.benchmarks.scaling", "--here", name, str(size)]
    environment = {**os.environ, "GRAPHNN_CACHE": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(child, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)
    found: Point = json.loads(done.stdout)
    return found


def exponent(first: Point, last: Point, x: str, y: str) -> float:
    """The power of x that y grows with between two points."""
    return math.log(last[y] / first[y]) / math.log(last[x] / first[x])


def draw(found: dict[str, list[Point]], file: Path) -> None:
    figure = Figure(figsize=(4.2 * len(found), 6.6), layout="constrained")
    rows = figure.subplots(2, len(found), squeeze=False)
    for k, (name, points) in enumerate(found.items()):
        sizes = [p["size"] for p in points]
        flops, units = [p["flops"] for p in points], [SERIES[name].units(int(s)) for s in sizes]
        reference = "constant" if len(set(units)) == 1 else "like the number of layers"
        _panel(rows[0][k], sizes, [1e3 * p["step"] for p in points], flops, "a step, ms", "like its arithmetic")
        _panel(rows[1][k], sizes, [p["compile"] for p in points], units, "a compile, s", reference)
        rows[0][k].set_title(name)
        rows[1][k].set_xlabel(SERIES[name].title)
    figure.savefig(file, dpi=110)


def _panel(axes: Axes, sizes: list[float], values: list[float], like: list[float], label: str, reference: str) -> None:
    middle = len(sizes) // 2
    axes.plot(sizes, [values[middle] * unit / like[middle] for unit in like], color="#999999", ls="--", label=reference)
    axes.plot(sizes, values, marker="o", color="#4477aa", label="measured")
    if len(set(like)) > 1:
        axes.set(xscale="log", yscale="log", ylabel=label)
        axes.margins(y=0.2)
    else:
        axes.set(xscale="log", ylabel=label, ylim=(0, 1.4 * max(values)))
    axes.set_xticks(sizes, [f"{s:g}" for s in sizes])
    axes.minorticks_off()
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="upper left")


def measure_series(names: list[str]) -> dict[str, list[Point]]:
    """The points of each series, printed as they come."""
    found: dict[str, list[Point]] = {}
    for name in names:
        print(f"{SERIES[name].title}\n{'size':>8} {'step, us':>10} {'GF/s':>7} {'compile, s':>11}")
        found[name] = []
        for size in SERIES[name].sizes:
            p, other = measure_fresh(name, size), measure_fresh(name, size)
            p = {key: min(p[key], other[key]) for key in p}
            found[name].append(p)
            rate = 1e-9 * p["flops"] / p["step"]
            print(f"{size:8} {1e6 * p['step']:10.1f} {rate:7.1f} {p['compile']:11.3f}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(SERIES), default=list(SERIES))
    parser.add_argument("--out", type=Path, default=ROOT / ".benchmarks" / "scaling.png")
    parser.add_argument("--here", nargs=2, metavar=("SERIES", "SIZE"), help="one point, in this process, as JSON")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.here[0], int(options.here[1]))))
    else:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        draw(measure_series(options.only), options.out)


if __name__ == "__main__":
    main()
