"""An op of your own

An op is one formula, in your file. Its gradient, the gradient of its gradient, its shape errors and its native code
come from that. Here are three: swish, a row-wise normalisation with nested sums, and a bilinear form. The compiled
gradients are compared with the derived formula at 50 digits, with central differences and with complex steps.

$ python examples/own_op.py
"""

import numpy as np
import sympy
from style import BLUE, FAINT, GREEN, RED, Example, panels, run

import graphnn as gn

# An elementwise op is a function of scalars.
swish = gn.elementwise("swish", lambda t: t / (1 + sympy.exp(-t)))

# Everything else is index notation: output axes, then a formula over element accesses. Reductions may be nested.
i, j, k, n = gn.indices("i j k n")
X = gn.operands("X")
mean = gn.Sum(X[i, k], k) / X.shape[1]
centred = X[i, j] - mean
variance = gn.Sum((X[i, n] - mean) ** 2, n) / X.shape[1]
standardise = gn.op("standardise", out=(i, j), body=centred / sympy.sqrt(variance + sympy.Rational(1, 1000)))

# A form that is linear in each of two rows, with a learned matrix between them.
A, M, B = gn.operands("A M B")
bilinear = gn.op("bilinear", out=(n,), body=gn.Sum(A[n, i] * M[i, j] * B[n, j], (i, j)))

net = gn.Network("own ops")
a = net.input("a", ("N", 5))
b = net.input("b", ("N", 4))
m = net.parameter("m", (5, 4), init=gn.Normal(0.5))
score = bilinear(standardise(a), m, swish(b), name="score")
loss = gn.mean(gn.square(score), name="loss")
dm, da = gn.gradients(loss, [m, a])

# A second derivative is the gradient of a gradient: the Hessian times a direction v.
v = net.input("v", (5, 4))
(hessian_v,) = gn.gradients(gn.sum(dm * v), [m])


def draw_swish(axes) -> None:
    """swish, and its derivatives up to the third, each derived from the one before."""
    curves = gn.Network("swish")
    t = curves.input("t", ("N",), dtype="float64")
    orders = [swish(t)]
    for _ in range(3):
        orders += gn.gradients(orders[-1], [t])
    at = np.linspace(-6, 6, 401)
    labels = ("swish(t) = t / (1 + exp(-t))", "first derivative", "second", "third")
    for values, label, color, style in zip(
        gn.compile(orders)(t=at), labels, (BLUE, RED, GREEN, FAINT), ("-", "--", "-.", ":"), strict=True
    ):
        axes.plot(at, values, color=color, linestyle=style, label=label)
    axes.set(title="an op of one line, and its derivatives", xlabel="t", ylim=(-0.8, 3.2))
    axes.legend(loc="upper left")


def main(quick: bool = False) -> Example:
    rng = np.random.default_rng(0)
    shapes = {"a": (6, 5), "b": (6, 4), "v": (5, 4)}
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    result = gn.compile({"loss": loss, "dm": dm, "da": da, "Hv": hessian_v})(**arrays)

    # Is it right? The loss is quadratic in m, so its value is half of m'Hm.
    values = {name: arrays[name] for name in ("a", "b")}
    by_m = gn.compile({"Hv": hessian_v})(**values, v=net.state["m"])["Hv"]
    half = float(np.sum(net.state["m"] * by_m) / 2)
    # And four ways: compiled, derived to 50 digits, central differences, complex steps.
    report = gn.compare(loss, values, wrt=[m, a, b])

    figure, ((left, right),) = panels(1, 2, (11, 4), width_ratios=(1.3, 1))
    draw_swish(left)
    limit = float(np.abs(result["dm"]).max())
    right.imshow(result["dm"], cmap="RdBu", vmin=-limit, vmax=limit)
    for (row, column), value in np.ndenumerate(result["dm"]):
        ink = "white" if abs(value) > limit / 2 else "black"
        right.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=9, color=ink)
    right.set(title="∂loss/∂m of the bilinear form", xticks=[], yticks=[])
    right.grid(False)
    slope = gn.derivation(swish)
    quotient = dict(slope.steps)["name a quotient"]
    formulas = (
        rf"\mathrm{{swish}}'(t) = {gn.latex(slope.result)}, \qquad {gn.latex(quotient)}",
        gn.latex(standardise),
        gn.latex(bilinear),
        gn.latex(dm),
    )
    figures = {
        "loss": float(result["loss"]),
        "m'Hm/2": half,
        "gradients agree": float(report.agrees),
        "largest relative error": report.max_relative_error,
    }
    return Example(figure, formulas, figures, str(report))


if __name__ == "__main__":
    run(main)
