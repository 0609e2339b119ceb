"""Filters along one dimension: kernels, padding, stride

A box filter takes the mean of five neighbours. At the ends of the signal something has to stand beyond it: zeros, the
signal mirrored at its last sample (reflect) or behind it (symmetric), or the last sample again (replicate). With
padding on one side only, here four samples before, a mean reads no sample that is still to come. A stride of four keeps
every fourth window. A convolution flips its kernel and a correlation does not, as a response to a single 1 shows.

$ python examples/filters.py
"""

import numpy as np
from style import BLUE, FAINT, GREEN, INK, ORANGE, PURPLE, RED, Example, panels, run

import graphnn as gn

BOX = np.full(5, 0.2)
SLOPE = np.array([3.0, 2.0, 1.0, 0.0, 0.0]) / 3
MODES = {"zero": (RED, "-"), "reflect": (BLUE, "--"), "symmetric": (GREEN, "-."), "replicate": (PURPLE, ":")}


def apply(op, signal: np.ndarray, kernel: np.ndarray, **options) -> np.ndarray:
    """A filter as a compiled function."""
    net = gn.Network("filter")
    x = net.input("x", (len(signal),), dtype="float64")
    w = net.input("w", (len(kernel),), dtype="float64")
    return gn.compile(op(x, w, **options))(x=signal, w=kernel)


def main(quick: bool = False) -> Example:
    generator = np.random.default_rng(2)
    steps = np.repeat([2.2, 0.6, 1.6, 1.1], 12)
    places = np.arange(len(steps))
    signal = steps - 1.5 * np.exp(-places / 2.5) + generator.normal(0, 0.08, len(steps))
    figure, axes = panels(2, 2, (11, 6), width_ratios=(1.5, 1))
    (smooth, ends), (strided, flipped) = axes

    smooth.plot(places, signal, ".", color=FAINT, label="signal")
    mean = apply(gn.correlate, signal, BOX)
    smooth.plot(places[2:-2], mean, color=BLUE, label="mean of five, without padding")
    causal = apply(gn.correlate, signal, BOX, padding=((4, 0),), padding_mode="replicate")
    smooth.plot(places, causal, color=ORANGE, linestyle="--", label="mean of the last five, padding (4, 0)")
    smooth.set(title="box filter", ylim=(0, 3.1))
    smooth.legend()
    ends.plot(places[:10], signal[:10], ".", color=FAINT)
    for mode, (color, style) in MODES.items():
        padded = apply(gn.correlate, signal, BOX, padding=2, padding_mode=mode)
        ends.plot(places[:10], padded[:10], color=color, linestyle=style, label=mode)
    ends.set(title="padding: the first ten", ylim=(0.2, 2.6))
    ends.legend(loc="lower right")

    strided.plot(places[2:-2], mean, color=BLUE, linewidth=1, label="stride 1")
    every = apply(gn.correlate, signal, BOX, stride=4)
    strided.plot(2 + 4 * np.arange(len(every)), every, "o", color=ORANGE, label="stride 4")
    strided.set(title=f"stride: {len(signal)} samples, {len(mean)} windows, {len(every)} with stride 4", ylim=(0, 3.1))
    strided.legend(ncols=2)

    impulse = np.zeros(15)
    impulse[7] = 1.0
    convolved = apply(gn.convolve, impulse, SLOPE, padding=2)
    correlated = apply(gn.correlate, impulse, SLOPE, padding=2)
    flipped.stem(np.arange(15) - 0.12, convolved, linefmt=RED, markerfmt="o", basefmt=" ", label="convolution")
    flipped.stem(np.arange(15) + 0.12, correlated, linefmt=BLUE, markerfmt="s", basefmt=" ", label="correlation")
    flipped.axhline(0, color=INK, linewidth=0.8)
    flipped.set(title="kernel (3, 2, 1, 0, 0)/3 on a single 1", ylim=(-0.05, 1.45))
    flipped.legend(ncols=2)

    figures = {
        "convolution against numpy.convolve": float(np.abs(convolved - np.convolve(impulse, SLOPE, "same")).max()),
        "correlation against numpy.correlate": float(np.abs(correlated - np.correlate(impulse, SLOPE, "same")).max()),
        "stride 4 against every fourth": float(np.abs(every - mean[::4]).max()),
        "windows": float(len(mean)),
        "padding before only against numpy.pad": float(
            np.abs(causal - np.convolve(np.pad(signal, (4, 0), "edge"), BOX, "valid")).max()
        ),
    }
    for mode, in_numpy in {
        "zero": "constant",
        "reflect": "reflect",
        "symmetric": "symmetric",
        "replicate": "edge",
    }.items():
        expected = np.convolve(np.pad(signal, 2, in_numpy), BOX, "valid")
        padded = apply(gn.correlate, signal, BOX, padding=2, padding_mode=mode)
        figures[f"{mode} padding against numpy.pad"] = float(np.abs(padded - expected).max())
    net = gn.Network("formulas")
    x, w = net.input("x", ("T",)), net.input("w", (5,))
    formulas = (gn.latex(gn.correlate(x, w, name="correlation")), gn.latex(gn.convolve(x, w, name="convolution")))
    return Example(figure, formulas, figures)


if __name__ == "__main__":
    run(main)
