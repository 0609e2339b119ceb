"""A roofline picture: GF/s of the works and their main kernels over flops per byte, below what the machine can do.

    python -m tests.benchmarks.roofline FILE.png

Measured on one core by `kernels`. S. Williams, A. Waterman, D. Patterson, "Roofline: An Insightful Visual Performance
Model for Multicore Architectures", CACM 52 (2009).
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.figure import Figure

from tests.benchmarks.kernels import Kernel, measure
from tests.benchmarks.peak import copy_bandwidth, peak
from tests.benchmarks.works import WORKS, Net

SECONDS = 0.005  # that a statement runs in a turn
MAIN = 0.02  # part of a work's time from which on a kernel is shown
COLOURS = ("#4477aa", "#66ccee", "#228833", "#7fbf6a", "#ccbb44", "#ee6677", "#aa3377", "#777777")


def draw(file: Path) -> dict[str, list[dict[str, float | str]]]:
    """Write the picture; the kernels of each work, the whole program first."""
    works = {name: work for name, work in WORKS.items() if isinstance(work, Net) and name not in ("tiny", "tiny epoch")}
    found = {name: measure(work, SECONDS) for name, work in works.items()}
    _plot(found, peak(), copy_bandwidth()).savefig(file, dpi=130)
    return {
        name: [{"label": k.label, "seconds": k.seconds, "flops": k.flops, "bytes": k.bytes} for k in kernels]
        for name, kernels in found.items()
    }


def _plot(found: dict[str, list[Kernel]], top: float, bandwidth: float) -> Figure:
    figure = Figure(figsize=(9.5, 5.6), layout="constrained")
    axes = figure.subplots()
    left, right = 0.7, 1000.0
    low = 0.6e-9 * min(whole.flops / whole.seconds for whole, *_ in found.values())
    ridge = top / bandwidth
    axes.plot([left, ridge, right], [left * bandwidth, top, top], color="black", lw=1.5)
    axes.text(right / 1.1, top * 1.1, f"multiply-add peak, {top:.0f} GF/s", ha="right", va="bottom")
    axes.text(ridge * 0.9, top * 1.1, f"copies, {bandwidth:.0f} GB/s", ha="right", va="bottom")
    for colour, (name, (whole, *kernels)) in zip(COLOURS, found.items(), strict=True):
        main = [k for k in kernels if k.flops and k.seconds > MAIN * whole.seconds]
        axes.scatter(*_points(main), s=18, color=colour, alpha=0.75, lw=0)
        axes.scatter(*_points([whole]), s=110, color=colour, edgecolor="black", lw=0.8, zorder=3, label=name)
    axes.set(xscale="log", yscale="log")
    axes.set_xlabel("flops per byte of the arrays that a kernel reads or writes")
    axes.set_ylabel("GF/s on one core")
    axes.set_yticks([10, 20, 50, 100, 200], ["10", "20", "50", "100", "200"])
    axes.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
    axes.minorticks_off()
    axes.set(xlim=(left, right), ylim=(low, top * 1.6))
    axes.grid(alpha=0.25)
    axes.legend(title="work (large), its kernels (small)", loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure


def _points(kernels: list[Kernel]) -> tuple[list[float], list[float]]:
    return [k.flops / k.bytes for k in kernels], [1e-9 * k.flops / k.seconds for k in kernels]


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
