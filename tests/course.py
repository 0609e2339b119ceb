"""The printed figures of the course, and plain NumPy float64 code that reaches them without graphnn."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def logistic(z: Array | float) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.asarray(z, dtype=float))))


# ---------------------------------------------------------------- single neurons

NAND_WEIGHTS, NAND_BIAS = (-2.0, -2.0), 3.0
NAND_TABLE = (((0.0, 0.0), 1.0), ((0.0, 1.0), 1.0), ((1.0, 0.0), 1.0), ((1.0, 1.0), 0.0))

# y = g(1 + 3 x1 - 2 x2) at x = (-1, 2): the weighted sum is -6.
NEURON_WEIGHTS, NEURON_BIAS, NEURON_INPUT, NEURON_SUM = (3.0, -2.0), 1.0, (-1.0, 2.0), -6.0


def perceptron(x: Array, w: Array, b: float) -> Array:
    """1 where w.x + b > 0, else 0; x (n, d), w (d,) -> (n,)."""
    return np.where(x @ w + b > 0, 1.0, 0.0)


def quadratic_neuron_gradient(x: Array, y: Array, w: Array, b: float) -> tuple[Array, float]:
    """d/dw and d/db of 1/(2n) sum (s(z) - y)^2: the mean of (s - y) s'(z) x. x (n, d), y (n,), w (d,)."""
    a = logistic(x @ w + b)
    delta = (a - y) * a * (1 - a)
    return x.T @ delta / len(x), float(delta.mean())


def cross_entropy_neuron_gradient(x: Array, y: Array, w: Array, b: float) -> tuple[Array, float]:
    """d/dw and d/db of the binary cross-entropy: the mean of (s - y) x. The factor s' has cancelled."""
    delta = logistic(x @ w + b) - y
    return x.T @ delta / len(x), float(delta.mean())


# ---------------------------------------------------------------- the worked 2-2-2 network


@dataclass(frozen=True, slots=True)
class Network222:
    """Logistic units throughout; row j of a matrix holds the weights into unit j. Biases stay as they are.

    hidden  [[w1, w2], [w3, w4]]
    output  [[w5, w6], [w7, w8]]
    """

    hidden: Array
    output: Array
    hidden_bias: float
    output_bias: float


INPUT = np.array([0.05, 0.10])
TARGET = np.array([0.01, 0.99])
RATE = 0.5
START = Network222(np.array([[0.15, 0.20], [0.25, 0.30]]), np.array([[0.40, 0.45], [0.50, 0.55]]), 0.35, 0.60)


def forward(net: Network222) -> dict[str, Array]:
    """Weighted sums and outputs of both layers, the error of each output unit and their sum E = sum (t - o)^2 / 2."""
    net_h = net.hidden @ INPUT + net.hidden_bias
    out_h = logistic(net_h)
    net_o = net.output @ out_h + net.output_bias
    out_o = logistic(net_o)
    errors = (TARGET - out_o) ** 2 / 2
    return {"net_h": net_h, "out_h": out_h, "net_o": net_o, "out_o": out_o, "errors": errors, "E": errors.sum()}


def gradients(net: Network222) -> tuple[Array, Array]:
    """dE/d(hidden) and dE/d(output) by the four equations of backpropagation."""
    at = forward(net)
    delta_o = (at["out_o"] - TARGET) * at["out_o"] * (1 - at["out_o"])  # BP1
    delta_h = (net.output.T @ delta_o) * at["out_h"] * (1 - at["out_h"])  # BP2
    return np.outer(delta_h, INPUT), np.outer(delta_o, at["out_h"])  # BP3


def update(net: Network222) -> Network222:
    """One step of gradient descent at RATE on both weight matrices at once."""
    d_hidden, d_output = gradients(net)
    return replace(net, hidden=net.hidden - RATE * d_hidden, output=net.output - RATE * d_output)


def train(rounds: int) -> Network222:
    """The network after that many updates from START."""
    net = START
    for _ in range(rounds):
        net = update(net)
    return net


@dataclass(frozen=True, slots=True)
class Figure:
    """A number as it should print: `format(value, spec) == text`.

    printed  another form that the course prints, with digits cut off instead of rounded
    """

    name: str
    text: str
    spec: str
    printed: str | None = None


# fmt: off
FIGURES = (
    Figure("g(-6)",          "0.00247",    ".5f", "0.002"),
    Figure("net_h1",         "0.3775",     ".4f"),
    Figure("out_h1",         "0.593",      ".3f"),
    Figure("out_h2",         "0.597",      ".3f"),
    Figure("net_o1",         "1.106",      ".3f"),
    Figure("out_o1",         "0.751",      ".3f"),
    Figure("out_o2",         "0.773",      ".3f"),
    Figure("E_o1",           "0.275",      ".3f"),
    Figure("E_o2",           "0.024",      ".3f"),
    Figure("E",              "0.298",      ".3f"),
    Figure("dE/dout_o1",     "0.741",      ".3f"),
    Figure("dout_o1/dnet_o1", "0.187",     ".3f"),
    Figure("dE/dw5",         "0.082",      ".3f"),
    Figure("dE/dw1",         "0.00044",    ".5f"),
    Figure("w1 after 1",     "0.1498",     ".4f", "0.1497"),
    Figure("w2 after 1",     "0.1996",     ".4f"),
    Figure("w3 after 1",     "0.2498",     ".4f", "0.2497"),
    Figure("w4 after 1",     "0.2995",     ".4f"),
    Figure("w5 after 1",     "0.359",      ".3f"),
    Figure("w6 after 1",     "0.409",      ".3f"),
    Figure("w7 after 1",     "0.511",      ".3f"),
    Figure("w8 after 1",     "0.561",      ".3f"),
    Figure("E after 1",      "0.291",      ".3f"),
    Figure("E after 9999",   "3.51085e-05", ".5e", "0.0000351085"),
    Figure("E after 10000",  "3.5102e-05", ".4e"),
)
# fmt: on


def computed_figures() -> dict[str, float]:
    """Every figure's value in float64, by this module's own code; takes about half a second."""
    at, (d_hidden, d_output), after = forward(START), gradients(START), update(START)
    out_o1 = at["out_o"][0]
    late = train(9999)
    found = {
        "g(-6)": logistic(np.dot(NEURON_WEIGHTS, NEURON_INPUT) + NEURON_BIAS),
        "net_h1": at["net_h"][0],
        "out_h1": at["out_h"][0],
        "out_h2": at["out_h"][1],
        "net_o1": at["net_o"][0],
        "out_o1": out_o1,
        "out_o2": at["out_o"][1],
        "E_o1": at["errors"][0],
        "E_o2": at["errors"][1],
        "E": at["E"],
        "dE/dout_o1": out_o1 - TARGET[0],
        "dout_o1/dnet_o1": out_o1 * (1 - out_o1),
        "dE/dw5": d_output[0, 0],
        "dE/dw1": d_hidden[0, 0],
        "E after 1": forward(after)["E"],
        "E after 9999": forward(late)["E"],
        "E after 10000": forward(update(late))["E"],
    }
    weights = (*after.hidden.flat, *after.output.flat)
    found |= {f"w{i} after 1": w for i, w in enumerate(weights, start=1)}
    return {name: float(value) for name, value in found.items()}
