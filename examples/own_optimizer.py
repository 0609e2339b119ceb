"""An optimizer of your own

An optimizer is one function of symbols: the new weight and the new value of each slot, from the old ones and the
gradient. Here it is AdaBelief (Zhuang et al. 2020), which divides by how much the gradient differs from its running
mean. A schedule, clipping and decoupled decay fit it as they fit the rules that are built in, and everything is
compiled into one native step with the derived gradient. A loop in NumPy confirms the path.

$ python examples/own_optimizer.py
"""

import numpy as np
import sympy
from matplotlib.colors import LogNorm
from style import BLUE, GREEN, INK, RED, Example, panels, run

import graphnn as gn

MEAN = sympy.Interval.Ropen(0, 1)  # what a constant may be: other values are refused


def update(w, g, m, s, t, lr, beta1, beta2, eps):
    """The new values, in terms of the old ones."""
    new_t = t + 1
    new_m = beta1 * m + (1 - beta1) * g
    new_s = beta2 * s + (1 - beta2) * (g - new_m) ** 2 + eps
    step = new_m / (1 - beta1**new_t) / (sympy.sqrt(new_s / (1 - beta2**new_t)) + eps)
    return {"w": w - lr * step, "m": new_m, "s": new_s, "t": new_t}


AdaBelief = gn.optimizer(
    "adabelief",
    update,
    state={"m": 0, "s": 0, "t": 0},
    attributes={"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    scalars=("t",),  # one number for all weights
    domains={"beta1": MEAN, "beta2": MEAN},
)

# A schedule is a formula of t as well; so is clipping.
SLOWER = gn.scheduled(lambda t: 0.2 / (1 + t / 100))
RULES = {
    "AdaBelief": (AdaBelief(0.2), RED, "-"),
    "with a schedule": (AdaBelief(SLOWER), BLUE, "--"),
    "and the gradient's norm clipped": (AdaBelief(SLOWER, clip_norm=5.0), GREEN, "-."),
}
START, STEPS = (-1.5, 2.0), 400


def rosenbrock(x, y):
    """(1 - x)^2 + 10 (y - x^2)^2: a bent valley, lowest at (1, 1)."""
    return gn.square(1.0 - x) + 10.0 * gn.square(y - gn.square(x))


def descend(optimizer: gn.Optimizer, steps: int) -> np.ndarray:
    """The path, (steps + 1, 2)."""
    net = gn.Network("valley")
    x, y = (net.parameter(n, (), init=first, dtype="float64") for n, first in zip("xy", START, strict=True))
    trainer = gn.Trainer(rosenbrock(x, y), optimizer)
    path = [START]
    for _ in range(steps):
        trainer.step()
        path.append((float(net.state["x"]), float(net.state["y"])))
    return np.array(path)


def descend_in_numpy(steps: int, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> np.ndarray:
    """The path of the last rule, written as a loop, with the gradient by hand."""
    w, m, s, path = np.array(START), 0.0, 0.0, [START]
    for t in range(1, steps + 1):
        x, y = w
        g = np.array([-2 * (1 - x) - 40 * x * (y - x**2), 20 * (y - x**2)])
        g *= min(1, 5 / np.linalg.norm(g))
        m = beta1 * m + (1 - beta1) * g
        s = beta2 * s + (1 - beta2) * (g - m) ** 2 + eps
        lr = 0.2 / (1 + (t - 1) / 100)
        w = w - lr * (m / (1 - beta1**t)) / (np.sqrt(s / (1 - beta2**t)) + eps)
        path.append(tuple(w))
    return np.array(path)


def main(quick: bool = False) -> Example:
    figure, ((left, right),) = panels(1, 2, (11, 4.4), width_ratios=(1.25, 1))
    across, up = np.meshgrid(np.linspace(-2, 2, 161), np.linspace(-1, 3.5, 161))
    height = (1 - across) ** 2 + 10 * (up - across**2) ** 2
    left.contourf(across, up, height, levels=np.geomspace(0.05, 300, 17), norm=LogNorm(0.05, 9000), cmap="Greys")
    paths = {name: descend(optimizer, STEPS) for name, (optimizer, _, _) in RULES.items()}
    for name, (_, color, style) in RULES.items():
        x, y = paths[name].T
        left.plot(x, y, style, color=color, linewidth=1.4, label=name)
        right.plot((1 - x) ** 2 + 10 * (y - x**2) ** 2, style, color=color, linewidth=1.6, label=name)
    left.plot(*START, "o", color="white", markeredgecolor=INK, markersize=8, zorder=5)
    left.plot(1, 1, "*", color="white", markeredgecolor=INK, markersize=14, zorder=5)
    left.set(title="from the circle towards the star", xlabel="x", ylabel="y", xlim=(-2, 2), ylim=(-1, 3.5))
    left.grid(False)
    right.set(title="height after each step", xlabel="step", yscale="log")
    right.legend(loc="lower left", fontsize=9)

    # Is it right? Compiled formulas and the loop in NumPy go the same way.
    last = paths["and the gradient's norm clipped"]
    figures = {"largest difference from NumPy": float(np.abs(last - descend_in_numpy(STEPS)).max())}
    figures |= {f"distance left, {name}": float(np.hypot(*(path[-1] - 1))) for name, path in paths.items()}
    return Example(figure, (gn.latex(RULES["and the gradient's norm clipped"][0]),), figures)


if __name__ == "__main__":
    run(main)
