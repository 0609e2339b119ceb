"""How inaccurate minimal filtering is: errors of compiled correlations in float32 over those of the direct sum.

    python -m tests.schedule.measure_filtering [2x2,3x3 4x4,3x3 ...]

For each algorithm and number of channels, the largest and the root mean square difference from a sum in float64, of
correlations with normal weights, over images that are normal (as gradients are) and over their positive parts (as after
relu): each as a ratio, filtered over direct. GROWTH of graphnn/schedule/algorithms.py is the square root of the worst
last column in two dimensions.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import graphnn as gn
from graphnn.lower.builder import lower
from graphnn.schedule.algorithms import algorithm
from graphnn.schedule.blocks import in_blocks
from graphnn.schedule.filtered_tiles import Plan
from graphnn.schedule.filtering import filter_correlations
from graphnn.schedule.machine import Machine
from graphnn.schedule.passes import PASSES
from graphnn.simplify.passes import simplify
from tests.schedule.native import run_program

EXAMPLES, PIXELS, FILTERS = 16, 12, 16
CHANNELS = (16, 32, 64, 128, 256)
SIZES = ["2x2,2x2", "3x3,2x2", "4x4,2x2", "2x2,3x3", "3x3,3x3", "2x4,3x3", "4x4,3x3", "2x2,4x4", "2x2,5x5", "4,3"]


def errors(m, r, channels, positive):
    """(largest, root mean square) error over the largest value: direct, filtered."""
    rng = np.random.default_rng(channels)
    space = [p + k - 1 for p, k in zip((PIXELS, PIXELS), r, strict=True)]
    x = rng.normal(size=(EXAMPLES, channels, *space)).astype(np.float32)
    x = np.maximum(x, 0) if positive else x
    w = (rng.normal(size=(FILTERS, channels, *r)) / np.sqrt(channels * np.prod(r))).astype(np.float32)
    windows = sliding_window_view(x.astype(np.float64), r, axis=(2, 3))
    exact = np.einsum("ncyxuv,ocuv->noyx", windows, w.astype(np.float64), optimize=True)

    net = gn.Network()
    y = gn.add(gn.correlate(net.input("x", x.shape), net.input("w", w.shape)), net.input("b", (FILTERS, 1, 1)))
    program = in_blocks(lower(simplify(net, [y]).program), Machine().lanes("float32"))
    found = []
    for filtered in (False, True):
        done = program
        for step in PASSES[1:]:
            if step.name != "filtering":
                done = step.run(done, Machine())
            elif filtered:
                done = filter_correlations(done, Machine(), lambda c, _: plan(c, m))
                assert any(" in F(" in b.name for b in done.buffers)
        result = run_program(done, {"x": x, "w": w, "b": np.zeros((FILTERS, 1, 1), np.float32)})[y.name]
        off = result - exact
        found.append(np.array([np.abs(off).max(), np.sqrt(np.square(off).mean())]))
    return found


def plan(c, m):
    ways = [w.size for w in (c.row, c.column) if w is not None]
    found = [algorithm(1, 1)] * (2 - len(ways)) + [algorithm(*pair) for pair in zip(m[-len(ways) :], ways, strict=True)]
    return Plan(*found, 1)


def main(sizes):
    print(f"{'F(m, r)':14}{'channels':>9}{'largest':>9}{'rms':>7}   (positive images: largest, rms)")
    for size in sizes:
        m, r = (tuple(map(int, part.split("x"))) for part in size.split(","))
        m, r = ((1, *m), (1, *r)) if len(m) == 1 else (m, r)
        for channels in CHANNELS:
            ratios = []
            for positive in (False, True):
                direct, filtered = errors(m, r, channels, positive)
                ratios += list(filtered / direct)
            print(
                f"F({size}){channels:>9}{ratios[0]:>9.2f}{ratios[1]:>7.2f}{ratios[2]:>12.2f}{ratios[3]:>7.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:] or SIZES)
