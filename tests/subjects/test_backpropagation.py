"""BP1 to BP4 of a deep net with several activations: printed layer by layer, and equal to NumPy's."""

from __future__ import annotations

import numpy as np

import graphnn as gn
from tests import course

SIZES = (3, 5, 4, 2)
ACTIVATIONS = (gn.tanh, gn.relu, gn.sigmoid)


SLOPES = (lambda a: 1 - a**2, lambda a: 1.0 * (a > 0), lambda a: a * (1 - a))  # in terms of the outputs


def declare(activations=ACTIVATIONS):
    net = gn.Network("deep")
    a, y = net.input("x", ("N", SIZES[0]), dtype="float64"), net.input("y", ("N", SIZES[-1]), dtype="float64")
    for layer, activation in enumerate(activations, 1):
        a = gn.dense(a, SIZES[layer], activation, init=gn.Normal(1.0), name=f"a{layer}")
    return net, gn.quadratic(a, y, name="C")


def test_the_four_equations_hold_in_every_layer() -> None:
    net, loss = declare()
    wanted = [net[f"a{layer}.{part}"] for layer in (1, 2, 3) for part in ("z", "W", "b")]
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(6, SIZES[0])), rng.uniform(size=(6, SIZES[-1]))
    found = gn.compile([*gn.gradients(loss, wanted), *(net[f"a{layer}"] for layer in (1, 2, 3))])(x=x, y=y)
    outputs = [x, *found[9:]]
    back = (outputs[3] - y) / len(x)  # the gradient of C by a^L
    for layer in (3, 2, 1):
        delta = back * SLOPES[layer - 1](outputs[layer])  # BP1 in the last layer, BP2 in the others
        by_z, by_w, by_b = found[3 * layer - 3 : 3 * layer]
        np.testing.assert_allclose(by_z, delta, rtol=1e-11, atol=1e-15)
        np.testing.assert_allclose(by_w, outputs[layer - 1].T @ delta, rtol=1e-11, atol=1e-15)  # BP3
        np.testing.assert_allclose(by_b, delta.sum(axis=0), rtol=1e-11, atol=1e-15)  # BP4
        back = delta @ net.state[f"a{layer}.W"].T


def test_the_four_equations_are_printed_layer_by_layer() -> None:
    net, loss = declare((gn.sigmoid,) * 3)
    errors = gn.gradients(loss, [net[f"a{layer}.z"] for layer in (1, 2, 3)])
    stops = [*net.ancestors([loss]), *errors]

    def shown(tensor):
        return str(gn.formula(tensor, down_to=stops))

    assert shown(errors[2]) == "(1 - a3[i0, i1])*(a3[i0, i1] - y[i0, i1])*a3[i0, i1]/N"  # BP1
    for layer in (2, 1):  # BP2
        after = f"sum[r0](a{layer + 1}.W[i1, r0]*dC/da{layer + 1}.z[i0, r0])"
        assert shown(errors[layer - 1]) == f"(1 - a{layer}[i0, i1])*a{layer}[i0, i1]*{after}"
    for layer in (3, 2, 1):
        by_w, by_b = gn.gradients(loss, [net[f"a{layer}.W"], net[f"a{layer}.b"]])
        before = "x" if layer == 1 else f"a{layer - 1}"
        factors = {f"{before}[r0, i0]", f"dC/da{layer}.z[r0, i1]"}
        text = shown(by_w)  # BP3
        assert text.startswith("sum[r0](")
        assert set(text.removeprefix("sum[r0](").removesuffix(")").split("*")) == factors
        assert shown(by_b) == f"sum[r0](dC/da{layer}.z[r0, i0])"  # BP4


def worked():
    """(the worked 2-2-2 network, its error E for one row of inputs); column j holds the weights into unit j."""
    net = gn.Network("worked")
    x, t = (net.input(name, ("N", 2), dtype="float64") for name in "xt")
    out = gn.dense(gn.dense(x, 2, gn.sigmoid, name="h"), 2, gn.sigmoid, name="o")
    start = course.START
    net.state["h.W"], net.state["o.W"] = start.hidden.T, start.output.T
    net.state["h.b"], net.state["o.b"] = np.full(2, start.hidden_bias), np.full(2, start.output_bias)
    return net, gn.sum(0.5 * gn.square(t - out), name="E")


def test_every_figure_of_the_worked_network() -> None:
    net, E = worked()
    data = {"x": course.INPUT[None], "t": course.TARGET[None]}
    by_out, by_o, by_h = gn.gradients(E, [net["o"], net["o.W"], net["h.W"]])
    (slope,) = gn.gradients(net["o"], net["o.z"])
    wanted = {"net_h": net["h.z"], "out_h": net["h"], "net_o": net["o.z"], "out_o": net["o"], "E": E}
    wanted |= {"by_out": by_out, "slope": slope, "by_o": by_o, "by_h": by_h}
    wanted["errors"] = 0.5 * gn.square(net["t"] - net["o"])
    at = {name: np.ravel(value) for name, value in gn.compile(wanted)(**data).items()}
    found = {
        "net_h1": at["net_h"][0], "out_h1": at["out_h"][0], "out_h2": at["out_h"][1],
        "net_o1": at["net_o"][0], "out_o1": at["out_o"][0], "out_o2": at["out_o"][1],
        "E_o1": at["errors"][0], "E_o2": at["errors"][1], "E": at["E"][0],
        "dE/dout_o1": at["by_out"][0], "dout_o1/dnet_o1": at["slope"][0],
        "dE/dw5": at["by_o"][0], "dE/dw1": at["by_h"][0],
    }  # fmt: skip
    trainer = gn.Trainer(E, gn.SGD(course.RATE), batch_size=None, parameters=["h.W", "o.W"])
    trainer.step(**data)
    weights = (*net.state["h.W"].T.flat, *net.state["o.W"].T.flat)
    found |= {f"w{n} after 1": w for n, w in enumerate(weights, 1)}
    losses = [trainer.step(**data) for _ in range(10_000)]  # each before its update
    found |= {"E after 1": losses[0], "E after 9999": losses[9998], "E after 10000": losses[9999]}
    printed = [f for f in course.FIGURES if f.name != "g(-6)"]  # that is another neuron's
    assert {f.name: format(found[f.name], f.spec) for f in printed} == {f.name: f.text for f in printed}
    np.testing.assert_array_equal(net.state["h.b"], 0.35)
    np.testing.assert_array_equal(net.state["o.b"], 0.60)
