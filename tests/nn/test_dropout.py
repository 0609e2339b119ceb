"""Dropout: what is dropped, what is left, in which mode, and that training with it can be repeated."""

import numpy as np
import pytest

import graphnn as gn

X = np.random.default_rng(0).normal(size=(200, 64)).astype(np.float32)


def network(p=0.25, shape=("N", 64), **options):
    net = gn.Network()
    x = net.input("x", shape)
    return net, x, gn.dropout(x, p, name="drop", **options)


@pytest.mark.parametrize("rows", [1, 31, 200])
def test_training_drops_and_scales_and_inference_does_nothing(rows):
    net, _, y = network()
    train, predict = gn.compile(y, training=True), gn.compile(y)
    found = train(x=X[:rows])
    kept = found != 0
    np.testing.assert_allclose(found[kept], (X[:rows] / 0.75)[kept], rtol=2e-7)
    np.testing.assert_array_equal(predict(x=X[:rows]), X[:rows])
    assert "drop.kept" not in predict.stage("simplify")
    net.state["random.step"] = 0
    np.testing.assert_array_equal(gn.evaluate(y, {"x": X[:rows]}, training=True) != 0, kept)


def test_the_mean_is_kept():
    _, _, y = network(0.4)
    ones = np.ones_like(X)
    means = [gn.compile(y, training=True)(x=ones).mean() for _ in range(3)]
    deviation = np.sqrt(0.4 / 0.6 / ones.size)  # of the mean of independent 0 and 1/0.6
    assert np.abs(np.array(means) - 1).max() < 4.5 * deviation
    assert len(set(means)) == 3


def test_dropped_units_get_no_gradient_at_all():
    _, x, y = network(0.5)
    by_x = gn.gradients(gn.sum(gn.square(y) * 3), x)[0]
    value, gradient = gn.compile([y, by_x], training=True)(x=X)
    assert (gradient[value == 0] == 0).all()
    np.testing.assert_allclose(gradient[value != 0], 12 * value[value != 0], rtol=1e-6)  # 6 y dy/dx, dy/dx = 2
    assert 0.45 < np.mean(value == 0) < 0.55


def test_the_mask_is_made_once():
    _, x, y = network()
    text = gn.compile([y, gn.gradients(gn.sum(gn.tanh(y)), x)[0]], training=True).stage("schedule")
    assert text.count("threefry(drop.kept.stream") == 1


def test_layers_have_masks_of_their_own():
    net, x, first = network(0.5)
    second = gn.dropout(x, 0.5)
    a, b = gn.compile([first, second], training=True)(x=np.ones_like(X))
    assert 0.45 < np.mean(a != b) < 0.55
    assert net.state["random.step"] == 1  # one counter for the network


def test_elements_that_share_a_mask_are_dropped_together():
    _, _, y = network(0.5, shape=("N", 8, 4, 2), shared=(2, -1))
    found = gn.compile(y, training=True)(x=np.ones((25, 8, 4, 2), np.float32)).reshape(200, 8)
    assert (found == found[:, :1]).all()
    assert 60 < np.count_nonzero(found[:, 0]) < 140


def test_no_dropout_is_no_dropout():
    net, _, y = network(0)
    np.testing.assert_array_equal(gn.compile(y, training=True)(x=X), X)
    assert list(net.state_variables) == []


@pytest.mark.parametrize("training", [True, False])
def test_gradients_agree_four_ways_under_one_mask(training):
    net, _, y = network(0.5)
    h = gn.dropout(gn.dense(y, 5, activation=gn.tanh), 0.2)
    net.state["random.step"] = 12
    report = gn.compare(gn.mean(gn.square(h)), {"x": X[:4].astype(np.float64)}, training=training)
    assert report.agrees
    assert net.state["random.step"] == 12


def trained(rate, epochs=3, seed=3, batch_size=16):
    net = gn.Network()
    x, t = net.input("x", ("N", 64)), net.input("t", ("N",), dtype="int64")
    h = gn.dropout(gn.dense(x, 24, activation=gn.relu, name="h"), rate)
    loss = gn.softmax_cross_entropy(gn.dense(h, 3, name="o"), t)
    net.initialize(seed)
    trainer = gn.Trainer(loss, gn.SGD(0.1), batch_size=batch_size, seed=1)
    trainer.fit({"x": X, "t": np.arange(len(X)) % 3}, epochs=epochs, progress=False)
    return {name: np.array(value) for name, value in net.state.items()}


def test_training_can_be_repeated_and_depends_on_the_masks():
    first, again, other, without = trained(0.5), trained(0.5), trained(0.5, seed=4), trained(0.0)
    assert first["random.step"] == 3 * 13  # steps of an epoch: twelve batches of 16 and one of 8
    for name, value in first.items():
        np.testing.assert_array_equal(again[name], value)
    assert not np.array_equal(first["h.W"], other["h.W"])
    assert not np.array_equal(first["h.W"], without["h.W"])


@pytest.mark.parametrize("p", [1, 1.5, -0.1, "0.5", None, True, float("nan"), [0.5]])
def test_a_rate_is_a_number_below_1(p):
    net = gn.Network()
    x = net.input("x", (3,))
    with pytest.raises(gn.GraphError, match="dropout: p is"):
        gn.dropout(x, p)
    assert list(net.graph) == ["x"]


def test_wrong_operands_are_refused():
    net = gn.Network()
    x, k = net.input("x", (3,)), net.input("k", (3,), dtype="int64")
    with pytest.raises(gn.DTypeError, match="is int64; it must be float32 or float64"):
        gn.dropout(k)
    with pytest.raises(gn.ShapeError, match="axis 1 is out of range"):
        gn.dropout(x, shared=1)
    with pytest.raises(gn.GraphError, match="operand 0 is a Tensor"):
        gn.dropout(X)
    with pytest.raises(gn.GraphError, match="already has a node named 'k'"):
        gn.dropout(x, name="k")
    assert list(net.graph) == ["x", "k"]
    assert net.updates == {}
