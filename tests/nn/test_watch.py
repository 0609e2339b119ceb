"""The NaN watch: what it names, what it leaves behind, and that it changes nothing else."""

import numpy as np
import pytest

from graphnn.declare.network import Network
from graphnn.errors import GraphError, GraphnnError, NumericError
from graphnn.nn.layers.dense import dense
from graphnn.nn.optimizers.rules import SGD, Adam
from graphnn.nn.training.trainer import Trainer
from graphnn.ops.contraction import matmul
from graphnn.ops.elementwise import exp, log, multiply, sqrt, square, tanh
from graphnn.ops.losses import mean_squared_error, softmax_cross_entropy
from graphnn.ops.reduction import mean
from graphnn.ops.reduction import sum as total


def exploding(**options):
    """exp of a large number in a part of the loss that is inlined into one formula."""
    net = Network("exploding")
    x, y = net.input("x", ("N", 3)), net.input("y", ("N", 1))
    grown = exp(multiply(dense(dense(x, 4, tanh, name="h"), 1, name="z"), 1.0), name="grown")
    return net, Trainer(mean(square(grown - y), name="loss"), Adam(0.01), batch_size=8, **options)


def rows(count=24, bad=None):
    x = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    if bad is not None:
        x[bad] = 1.0
    return {"x": x, "y": np.zeros((count, 1), np.float32)}


def snapshot(trainer):
    return {name: np.array(trainer.network.state[name]) for name in trainer.variables}


def assert_unchanged(trainer, before):
    for name, value in before.items():
        np.testing.assert_array_equal(trainer.network.state[name], value)


def overflow(net, row):
    """Weights with which exp(z) overflows in float32 for one row of ones, and for no other."""
    net.state["h.W"] = np.zeros((3, 4), np.float32)
    net.state["z.b"] = np.zeros(1, np.float32)
    net.state["h.b"] = np.full(4, -4.0, np.float32)
    net.state["h.W"] = np.full((3, 4), 6.0, np.float32)
    net.state["z.W"] = np.full((4, 1), 25.0, np.float32)
    data = {"x": np.full((24, 3), -1.0, np.float32), "y": np.zeros((24, 1), np.float32)}
    data["x"][row] = 1.0
    return data


def test_the_first_bad_node_its_formula_operands_and_rows_are_named():
    net, trainer = exploding()
    data = overflow(net, 13)
    with pytest.raises(NumericError) as caught:
        trainer.fit(data, epochs=2, progress=False)
    error = caught.value
    assert isinstance(error, GraphnnError)
    assert (error.node, error.rows) == ("grown", (13,))
    text = str(error)
    assert "'grown' (exp) is the first node that is not finite" in text
    assert "grown[i0, i1] = exp(" in text
    assert "multiply: from -100 to 100" in text
    assert "row 13 by itself" in text


@pytest.mark.parametrize("watch", [True, "gradients"])
def test_the_state_is_that_before_the_bad_step(watch):
    net, trainer = exploding(watch=watch)
    data = overflow(net, 13)
    with pytest.raises(NumericError, match="epoch 1, step 2"):
        trainer.fit(data, epochs=2, shuffle=False, progress=False)  # rows 8 to 15 are the second batch
    assert net.state["adam.t"] == 1
    assert len(trainer.history.steps) == 1
    before = snapshot(trainer)
    with pytest.raises(NumericError, match=r"^step: 'grown'"):
        trainer.step(**{name: array[8:16] for name, array in data.items()})
    assert_unchanged(trainer, before)
    trainer.step(**{name: array[:8] for name, array in data.items()})
    assert net.state["adam.t"] == 2


def test_bad_inputs_are_named_with_their_rows():
    _, trainer = exploding()
    data = rows()
    data["x"][[5, 20], 1] = np.nan, np.inf
    with pytest.raises(NumericError, match="the input 'x' has 1 of 24 elements that are not finite") as caught:
        trainer.fit(data, shuffle=False, progress=False)
    assert caught.value.rows == (5,)


def test_bad_parameters_are_named():
    net, trainer = exploding()
    net.state["h.b"] = np.array([0, np.nan, 0, 0], np.float32)
    with pytest.raises(NumericError, match=r"the parameter 'h.b' has 1 of 4 elements") as caught:
        trainer.step(**rows(8))
    assert caught.value.node == "h.b"


def test_a_stable_loss_is_not_blamed_for_what_it_looks_past():
    """exp(200) overflows float32 by itself, and the softmax of the program does not; the bad node is another one."""
    net = Network()
    x, y = net.input("x", ("N", 2)), net.input("y", ("N",), dtype="int64")
    z = dense(x, 3, name="z")
    weights = log(total(square(x), axis=1), name="logarithm")  # stands in the formula of the loss
    trainer = Trainer(softmax_cross_entropy(z, y, weights), SGD(0.1))
    net.state["z.b"] = np.array([200.0, 150.0, 100.0], np.float32)
    data = {"x": np.ones((4, 2), np.float32), "y": np.zeros(4, np.int64)}
    assert np.isfinite(trainer.step(**data))
    data["x"][2] = 0
    with pytest.raises(NumericError) as caught:
        trainer.step(**data)
    assert (caught.value.node, caught.value.rows) == ("logarithm", (2,))


def norms(watch):
    """The gradient of a norm at 0: the loss is finite, its gradient is not."""
    net = Network()
    x, w = net.input("x", ("N", 3)), net.parameter("w", (3,), init=1.0)
    return net, Trainer(mean(sqrt(total(square(x * w), axis=1), name="norm")), SGD(0.1), batch_size=4, watch=watch)


def test_gradients_are_watched_where_that_is_asked_for():
    data = {"x": np.ones((12, 3), np.float32)}
    data["x"][6] = 0
    net, trainer = norms("gradients")
    with pytest.raises(NumericError, match=r"epoch 1, step 2: '.*' .* is the first node") as caught:
        trainer.fit(data, shuffle=False, progress=False)
    assert caught.value.rows == (6,)
    assert np.isfinite(net.state["w"]).all()
    net, trainer = norms(True)
    with pytest.raises(NumericError, match=r"epoch 1, step 3: the parameter 'w' .*watch='gradients'"):
        trainer.fit(data, shuffle=False, progress=False)


def test_without_a_watch_nothing_is_checked():
    net, trainer = exploding(watch=False)
    history = trainer.fit(overflow(net, 13), epochs=1, progress=False)
    assert not np.isfinite(history.loss[0])


def test_the_watch_changes_no_bit_of_a_good_training():
    def trained(watch):
        net = Network()
        x, y = net.input("x", ("N", 3)), net.input("y", ("N", 1))
        W = net.parameter("W", (3, 1), init=0.5)
        trainer = Trainer(mean_squared_error(matmul(x, W), y), Adam(0.1), batch_size=5, watch=watch)
        trainer.fit(rows(), epochs=3, progress=False)
        return {name: value.tobytes() for name, value in snapshot(trainer).items()}

    assert trained(True) == trained(False) == trained("gradients")


def test_the_watch_is_true_false_or_gradients():
    for watch in ("all", 1, None):
        with pytest.raises(GraphError, match="watch is True, False or 'gradients'"):
            exploding(watch=watch)
