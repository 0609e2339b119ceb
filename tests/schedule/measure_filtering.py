"""How inaccurate minimal filtering is: errors of compiled correlations in float32 over those of direct sums.

    python -m tests.schedule.measure_filtering [2x2,3x3 4x4,3x3 ...]

For each algorithm and number of channels, the largest and the root mean square difference from sums in float64, as
ratios, filtered over direct: of correlations with normal weights, over images that are normal (as gradients are) and
over their positive parts (as after relu), and of the latter's gradients by the kernel, of normal errors. GROWTH of
graphnn/schedule/algorithms.py is the square root of the worst root mean square of images with 16 to 64 channels.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import graphnn as gn
from graphnn.lower.builder import lower
from graphnn.schedule.machine import Machine
from graphnn.simplify.passes import simplify
from tests.schedule.filtered import algorithms, plan_of, schedule_filtered
from tests.schedule.native import run_program

EXAMPLES, PIXELS, FILTERS = 16, 12, 16
CHANNELS = (16, 32, 64, 128, 256)
SIZES = ["2x2,2x2", "3x3,2x2", "4x4,2x2", "2x2,3x3", "3x3,3x3", "2x4,3x3", "4x4,3x3", "2x2,4x4", "2x2,5x5", "1x4,1x3"]


def errors(m, r, channels, positive):
    """(largest, root mean square) error, filtered over direct, of the correlation and of its gradient by the kernel."""
    rng = np.random.default_rng(channels)
    space = [PIXELS + k - 1 for k in r]
    x = rng.normal(size=(EXAMPLES, channels, *space)).astype(np.float32)
    x = np.maximum(x, 0) if positive else x
    w = (rng.normal(size=(FILTERS, channels, *r)) / np.sqrt(channels * np.prod(r))).astype(np.float32)
    g = rng.normal(size=(EXAMPLES, FILTERS, PIXELS, PIXELS)).astype(np.float32)
    windows = sliding_window_view(x.astype(np.float64), r, axis=(2, 3))
    exact = [
        np.einsum("ncyxuv,ocuv->noyx", windows, w.astype(np.float64), optimize=True),
        np.einsum("ncyxuv,noyx->ocuv", windows, g.astype(np.float64), optimize=True),
    ]
    net = gn.Network()
    kernel, by = net.input("w", w.shape), net.input("g", g.shape)
    # Something after it, or before it, keeps what is measured, or made of g, inside of the program, in blocks.
    y = gn.correlate(net.input("x", x.shape), kernel) + net.input("b", (FILTERS, 1, 1))
    (slope,) = gn.gradients(gn.sum(y * by), [kernel])
    values = {"x": x, "w": w, "g": g, "b": np.zeros((FILTERS, 1, 1), np.float32)}
    program = lower(simplify(net, [y, slope]).program)
    found = []
    for choose in (None, lambda c, _: plan_of(c, m)):
        scheduled = schedule_filtered(program, Machine(), choose)
        assert choose is None or len(algorithms(scheduled)) == 2
        results = run_program(scheduled, values)
        off = [results[t.name] - right for t, right in zip((y, slope), exact, strict=True)]
        found.append(np.array([(np.abs(e).max(), np.sqrt(np.square(e).mean())) for e in off]))
    return found[1] / found[0]


def main(sizes):
    print(f"{'':16}{'channels':>9}{'normal':>16}{'positive':>16}{'by the kernel':>16}   largest, rms")
    for size in sizes:
        m, r = (tuple(map(int, part.split("x"))) for part in size.split(","))
        for channels in CHANNELS:
            normal, positive = (errors(m, r, channels, kind) for kind in (False, True))
            ratios = "".join(f"{largest:>9.2f}{mean:>7.2f}" for largest, mean in (normal[0], *positive))
            print(f"F({size})".ljust(16) + f"{channels:>9}" + ratios, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or SIZES)
