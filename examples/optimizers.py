"""The optimizers on one landscape

Update rules go down the same valley from the same place, 150 steps each. A rule is one formula; one native step is
compiled from it and the derived gradient. Plain gradient descent crawls along the floor of the valley; momentum rolls
through and comes back; the adaptive rules scale each coordinate by the size of its own gradients.

$ python examples/optimizers.py
"""

import numpy as np
from matplotlib.colors import LogNorm
from style import BLUE, GREEN, INK, ORANGE, PURPLE, RED, SKY, YELLOW, Example, panels, run

import graphnn as gn

START, LOWEST, STEPS = (-2.6, 0.9), (1.0, float(np.tanh(1.0))), 150
RULES = {
    "SGD": (gn.SGD(0.1), INK),
    "momentum": (gn.Momentum(0.05, 0.9), BLUE),
    "Nesterov": (gn.Nesterov(0.05, 0.9), SKY),
    "Adagrad": (gn.Adagrad(0.5), ORANGE),
    "RMSProp": (gn.RMSProp(0.06), PURPLE),
    "Adadelta": (gn.Adadelta(20.0), GREEN),
    "AdamW": (gn.AdamW(0.2), YELLOW),
    "Adam": (gn.Adam(0.2), RED),
}


def height(u: gn.Tensor, v: gn.Tensor, name: str) -> gn.Tensor:
    """A bent valley with steep walls: lowest, and 0, at (1, tanh 1)."""
    floor = gn.tanh(u, name="floor")
    return gn.add(gn.multiply(0.1, gn.square(u - 1.0)), gn.multiply(2.0, gn.square(v - floor)), name=name)


def descend(rule: gn.Optimizer) -> tuple[np.ndarray, np.ndarray]:
    """Where a rule leads: (steps + 1, 2), and the height before each step."""
    net = gn.Network("valley")
    u = net.parameter("u", (), init=START[0], dtype="float64")
    v = net.parameter("v", (), init=START[1], dtype="float64")
    trainer = gn.Trainer(height(u, v, "f"), rule, batch_size=None)
    path, heights = [START], []
    for _ in range(STEPS):
        heights.append(trainer.step())
        path.append((float(net.state["u"]), float(net.state["v"])))
    return np.array(path), np.array(heights)


def main(quick: bool = False) -> Example:
    figure, ((left, right),) = panels(1, 2, (11, 4.4), width_ratios=(1.25, 1))
    net = gn.Network("valley")
    u, v = (net.input(name, ("N",), dtype="float64") for name in "uv")
    f = height(u, v, "f")
    across, up = np.linspace(-3.2, 2.6, 181), np.linspace(-2.7, 1.7, 141)
    plane = np.meshgrid(across, up)
    heights = gn.compile(f)(u=plane[0].ravel(), v=plane[1].ravel()).reshape(plane[0].shape)
    left.contourf(
        *plane, heights, levels=np.geomspace(0.01, 40, 19), norm=LogNorm(0.01, 3000), cmap="Greys", extend="both"
    )
    figures = {}
    for name, (rule, color) in RULES.items():
        path, losses = descend(rule)
        left.plot(*path.T, ".-", color=color, linewidth=1.4, markersize=3, label=name)
        right.plot(losses, color=color, label=name, linewidth=1.6)
        figures[f"distance left, {name}"] = float(np.hypot(*(path[-1] - LOWEST)))
    left.plot(*START, "o", color="white", markeredgecolor=INK, markersize=8, zorder=5)
    left.plot(*LOWEST, "*", color="white", markeredgecolor=INK, markersize=14, zorder=5)
    left.set(title="from the circle towards the star", xlabel="u", ylabel="v", xlim=(-3.2, 2.6), ylim=(-2.7, 1.7))
    left.grid(False)
    right.set(title="height after each step", xlabel="step", yscale="log", ylim=(1e-11, 20))
    right.legend(ncols=2, loc="lower left", fontsize=9)
    momentum = gn.latex(gn.Momentum())
    return Example(
        figure,
        (
            gn.latex(f, down_to=[net["floor"]]),
            gn.latex(net["floor"]),
            momentum,
            gn.latex(gn.RMSProp()),
            gn.latex(gn.Adam()),
        ),
        figures,
    )


if __name__ == "__main__":
    run(main)
