"""Batch norm against NumPy, in both modes; its running statistics; its gradients."""

import numpy as np
import pytest

import graphnn as gn

RNG = np.random.default_rng(2)


def network(shape, axis=1, dtype="float64", **options):
    net = gn.Network()
    x = net.input("x", shape, dtype=dtype)
    y = gn.batch_norm(x, axis, name="bn", **options)
    for name, tensor in net.parameters.items():
        net.state[name] = RNG.normal(1, 0.3, tensor.shape)
    return net, x, y


def standardised(x, axis, mean, variance, eps, gamma=1.0, beta=0.0):
    """The textbook's formula, channels last for NumPy's broadcasting."""
    moved = np.moveaxis(x, axis, -1)
    return np.moveaxis((moved - mean) / np.sqrt(variance + eps) * gamma + beta, -1, axis)


def statistics(x, axis):
    columns = np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis])
    return columns.mean(0), columns.var(0)


@pytest.mark.parametrize(
    ("shape", "axis"), [((9, 4), 1), ((9, 4), -1), ((3, 4, 5), 1), ((5, 3, 4, 2), 1), ((5, 3, 4, 2), 3), ((4, 6), 0)]
)
def test_training_uses_the_batch_and_inference_what_was_seen(shape, axis):
    x = RNG.normal(3, 2, shape)
    net, _, y = network(shape, axis, eps=1e-3)
    gamma, beta = (np.array(net.state[f"bn.{p}"]) for p in ("gamma", "beta"))
    net.state["bn.mean"], net.state["bn.var"] = RNG.normal(size=gamma.shape), RNG.uniform(1, 2, gamma.shape)
    seen = [np.array(net.state[f"bn.{s}"]) for s in ("mean", "var")]
    inference = standardised(x, axis, *seen, 1e-3, gamma, beta)
    np.testing.assert_allclose(gn.compile(y)(x=x), inference, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(gn.evaluate(y, {"x": x}), inference, rtol=1e-12, atol=1e-13)
    training = standardised(x, axis, *statistics(x, axis), 1e-3, gamma, beta)
    np.testing.assert_allclose(gn.evaluate(y, {"x": x}, training=True), training, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(gn.compile(y, training=True)(x=x), training, rtol=1e-11, atol=1e-12)


def test_running_statistics_are_decaying_means():
    net, _, y = network(("N", 4), momentum=0.8)
    train, predict = gn.compile(y, training=True), gn.compile(y)
    mean, variance = np.zeros(4), np.ones(4)
    for rows in (5, 2, 8, 8):
        x = RNG.normal(1, 3, (rows, 4))
        train(x=x)
        predict(x=x)  # changes nothing
        mean, variance = 0.8 * mean + 0.2 * x.mean(0), 0.8 * variance + 0.2 * x.var(0)
        np.testing.assert_allclose(net.state["bn.mean"], mean, rtol=1e-13)
        np.testing.assert_allclose(net.state["bn.var"], variance, rtol=1e-13)


def test_a_trainer_moves_the_statistics_and_evaluates_by_them():
    net, _, y = network(("N", 4), dtype="float32", momentum=0.5)
    t = net.input("t", ("N", 1))
    loss = gn.mean_squared_error(gn.dense(y, 1), t)
    X = RNG.normal(2, 3, (64, 4)).astype(np.float32)
    trainer = gn.Trainer(loss, gn.SGD(0.01), batch_size=None)
    data = {"x": X, "t": X[:, :1]}
    history = trainer.fit(data, epochs=30, validation=data, progress=False)
    np.testing.assert_allclose(net.state["bn.mean"], X.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(net.state["bn.var"], X.var(0), rtol=1e-4)
    right = gn.evaluate(loss, data)  # with the running statistics
    np.testing.assert_allclose(history.val_loss[-1], right, rtol=1e-4)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("scale", "shift"), [(True, True), (False, False)])
def test_gradients_agree_four_ways(training, scale, shift):
    net, x, y = network((3, 2, 3), scale=scale, shift=shift)
    net.state["bn.mean"] = np.array([0.3, -0.2])
    before = {name: np.array(value) for name, value in net.state.items()}
    loss = gn.sum(gn.tanh(y) * gn.square(x))
    by = [x, *net.parameters.values()]
    assert len(by) == 1 + scale + shift
    assert gn.compare(loss, {"x": RNG.normal(1, 2, (3, 2, 3))}, wrt=by, training=training).agrees
    for name, value in before.items():
        np.testing.assert_array_equal(net.state[name], value)


def test_the_gradient_is_that_of_the_paper():
    """Ioffe and Szegedy 2015, section 3, written as it stands there."""
    shape = (7, 3)
    x, g = RNG.normal(size=shape), RNG.normal(size=shape)
    net, tensor, y = network(shape)
    adjoint = net.input("g", shape, dtype="float64")
    found = gn.gradients(gn.sum(y * adjoint), [tensor, net["bn.gamma"], net["bn.beta"]])
    dx, dgamma, dbeta = gn.compile(found, training=True)(x=x, g=g)
    gamma, m = net.state["bn.gamma"], len(x)
    mu, root = x.mean(0), np.sqrt(x.var(0) + 1e-5)
    dhat = g * gamma
    dvar = (dhat * (x - mu) * -0.5 / root**3).sum(0)
    dmu = -(dhat / root).sum(0) + dvar * (-2 * (x - mu)).mean(0)
    np.testing.assert_allclose(dx, dhat / root + dvar * 2 * (x - mu) / m + dmu / m, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(dgamma, (g * (x - mu) / root).sum(0), rtol=1e-10)
    np.testing.assert_allclose(dbeta, g.sum(0), rtol=1e-12)


def test_parameters_and_state_are_named_and_no_penalty_touches_them():
    net, _, y = network(("N", 4))
    assert (y.name, y.shape, y.dtype) == ("bn", ("N", 4), "float64")
    assert list(net.parameters) == ["bn.gamma", "bn.beta"]
    assert [n for n in net.state_variables if n not in net.parameters] == ["bn.mean", "bn.var"]
    assert {net.graph.nodes[n]["attributes"]["role"] for n in net.parameters} == {"bias"}
    net.initialize()
    assert [net.state[n].tolist() for n in net.state] == [[0] * 4, [1] * 4, [1] * 4, [0] * 4]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"axis": 2}, gn.ShapeError, "axis 2 is out of range"),
        ({"axis": 0}, gn.ShapeError, r"shape \('N', 4\); axis 0 numbers the channels"),
        ({"axis": "1"}, gn.GraphError, "axis is an int"),
        ({"momentum": 1}, gn.GraphError, r"momentum is 1; it lies in \[0, 1\)"),
        ({"momentum": "0.9"}, gn.GraphError, "momentum is a number"),
        ({"eps": -1e-5}, gn.GraphError, "eps is -1e-05"),
        ({"name": "x"}, gn.GraphError, "already has a node named 'x'"),
    ],
)
def test_wrong_arguments_are_refused(options, error, text):
    net = gn.Network()
    x = net.input("x", ("N", 4))
    with pytest.raises(error, match=text):
        gn.batch_norm(x, **options)
    assert list(net.graph) == ["x"]
    assert net.updates == {}


def test_wrong_operands_are_refused():
    net = gn.Network()
    with pytest.raises(gn.DTypeError, match="it must be float32 or float64"):
        gn.batch_norm(net.input("k", (3, 2), dtype="int64"))
    with pytest.raises(gn.ShapeError, match="of which there must be one"):
        gn.batch_norm(net.input("v", (3,)), axis=0)
    with pytest.raises(gn.GraphError, match="operand 0 is a Tensor"):
        gn.batch_norm(np.ones((2, 2)))
