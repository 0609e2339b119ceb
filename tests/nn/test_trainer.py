"""Training end to end: the course's worked network, mini-batches, reproducibility, interrupts, errors."""

import os
import signal

import numpy as np
import pytest

from graphnn.declare.network import Network
from graphnn.errors import BoundaryError, DeriveError, DTypeError, GraphError, ShapeError
from graphnn.nn import Constant
from graphnn.nn.layers.dense import dense
from graphnn.nn.models import mlp
from graphnn.nn.optimizers.rules import SGD, Adam, Momentum
from graphnn.nn.training.batches import Batches
from graphnn.nn.training.callbacks import Callback, EarlyStopping
from graphnn.nn.training.metrics import accuracy
from graphnn.nn.training.trainer import Trainer
from graphnn.ops.elementwise import equal, sigmoid, step, tanh
from graphnn.ops.losses import mean_squared_error, quadratic, softmax_cross_entropy
from graphnn.ops.reduction import mean
from graphnn.pipeline import compile
from tests import course


def worked_network():
    """The 2-2-2 network of the course, declared in float32; our weights are the course's, transposed."""
    net = Network("worked")
    x, t = net.input("x", ("N", 2)), net.input("t", ("N", 2))
    loss = quadratic(dense(dense(x, 2, sigmoid, name="hidden"), 2, sigmoid, name="output"), t)
    trainer = Trainer(loss, SGD(course.RATE), batch_size=1, parameters=["hidden.W", "output.W"], dtype="float64")
    for name in net.state_variables:
        net.state.buffer(name, "float64")
    net.state["hidden.W"], net.state["output.W"] = course.START.hidden.T, course.START.output.T
    net.state["hidden.b"], net.state["output.b"] = np.full(2, 0.35), np.full(2, 0.60)
    return net, trainer


SAMPLE = {"x": course.INPUT[None], "t": course.TARGET[None]}


def test_the_worked_network_after_one_update():
    net, trainer = worked_network()
    assert trainer.step(**SAMPLE) == pytest.approx(course.forward(course.START)["E"], rel=1e-14)
    expected = course.update(course.START)
    np.testing.assert_allclose(net.state["hidden.W"].T, expected.hidden, rtol=1e-14)
    np.testing.assert_allclose(net.state["output.W"].T, expected.output, rtol=1e-14)
    assert [f"{w:.3f}" for w in net.state["output.W"].T.flat] == ["0.359", "0.409", "0.511", "0.561"]
    np.testing.assert_array_equal(net.state["hidden.b"], 0.35)  # not among the parameters


def test_the_worked_network_after_ten_thousand_updates():
    net, trainer = worked_network()
    losses = [trainer.step(**SAMPLE) for _ in range(10001)]  # each is the loss before its update
    assert f"{losses[0]:.3f}" == "0.298"
    assert f"{losses[1]:.3f}" == "0.291"
    assert f"{losses[9999]:.5e}" == "3.51085e-05"
    assert f"{losses[10000]:.4e}" == "3.5102e-05"
    assert net.state["hidden.W"].dtype == np.float64


def separable(rows=60, seed=1):
    """Three classes of points around the corners of a triangle."""
    generator = np.random.default_rng(seed)
    labels = np.arange(rows) % 3
    centres = np.array([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])
    points = centres[labels] + 0.3 * generator.normal(size=(rows, 2))
    return {"x": points.astype(np.float32), "y": labels.astype(np.int64)}


def classifier(seed=0):
    net = Network("classifier")
    x, y = net.input("x", ("N", 2)), net.input("y", ("N",), dtype="int64")
    logits = mlp(x, hidden=(8,), outputs=3, activation=tanh)
    net.initialize(seed)
    return net, softmax_cross_entropy(logits, y), accuracy(logits, y)


def test_fit_separates_what_is_separable():
    net, loss, right = classifier()
    trainer = Trainer(loss, Adam(0.05), batch_size=16)
    history = trainer.fit(
        separable(), epochs=15, validation=separable(seed=2), metrics={"accuracy": right}, progress=False
    )
    assert history is trainer.history
    assert history.epochs == len(history.val_loss) == 15
    assert history.metrics["accuracy"][-1] == 1.0
    assert history.loss[-1] < 0.1 * history.loss[0]
    assert net.state["adam.t"] == 15 * 4  # 60 rows are three batches of 16 and one of 12
    fresh = compile(loss)(**separable(seed=2))
    assert history.val_loss[-1] == pytest.approx(float(fresh), rel=1e-6)


def test_every_row_counts_once_in_the_loss_of_an_epoch():
    """With a rate of 0 the weights stay, so the mean over ragged batches is the loss of the whole."""
    _, loss, _ = classifier()
    data = separable(50)
    whole = float(compile(loss)(**data))
    history = Trainer(loss, SGD(0.0), batch_size=16).fit(data, epochs=2, progress=False)
    assert history.loss == pytest.approx([whole, whole], rel=1e-6)


def test_a_seed_gives_the_same_run():
    def weights(seed, shuffle=True):
        net, loss, _ = classifier()
        Trainer(loss, SGD(0.1), batch_size=8, seed=seed).fit(separable(), epochs=2, shuffle=shuffle, progress=False)
        return np.array(net.state["mlp.1.W"])

    np.testing.assert_array_equal(weights(0), weights(0))
    assert (weights(0) != weights(1)).any()
    np.testing.assert_array_equal(weights(0, shuffle=False), weights(1, shuffle=False))


def test_batches_cover_every_row_once():
    data = separable(50)
    batches = Batches(data, ["x", "y"], 50, 16)
    order = np.random.default_rng(0).permutation(50)
    seen = [(batch["x"].copy(), batch["y"].copy(), count) for batch, count in batches.over(order)]
    assert [count for *_, count in seen] == [16, 16, 16, 2]
    assert len(batches) == 4
    np.testing.assert_array_equal(np.concatenate([x for x, *_ in seen]), data["x"][order])
    np.testing.assert_array_equal(np.concatenate([y for _, y, _ in seen]), data["y"][order])


def test_a_batch_size_of_none_takes_all_rows():
    net, loss, _ = classifier()
    trainer = Trainer(loss, Adam(), batch_size=None)
    trainer.fit(separable(50), epochs=3, progress=False)
    assert net.state["adam.t"] == 3
    assert np.isfinite(trainer.step(**separable(7)))


def test_inputs_of_fixed_extents_are_one_batch():
    net = Network()
    x, y = net.input("x", (4, 2)), net.input("y", (4, 1))
    trainer = Trainer(mean_squared_error(dense(x, 1, name="d"), y), SGD(0.1))
    data = {"x": np.ones((4, 2), np.float32), "y": np.ones((4, 1), np.float32)}
    history = trainer.fit(data, epochs=30, progress=False)
    assert history.loss[-1] < 1e-6
    with pytest.raises(BoundaryError):
        trainer.step(x=data["x"][:3], y=data["y"])


def test_weight_decay_pulls_at_weights_alone():
    net = Network()
    x, y = net.input("x", ("N", 2), dtype="float64"), net.input("y", ("N", 1), dtype="float64")
    out = dense(x, 1, init=Constant(2.0), name="d")
    trainer = Trainer(mean_squared_error(out, y), SGD(0.5), weight_decay=0.1)
    net.state["d.b"] = np.array([3.0])
    fits = {"x": np.zeros((4, 2)), "y": np.full((4, 1), 3.0)}  # the data gives no gradient
    assert trainer.step(**fits) == pytest.approx(0.05 * 8)
    np.testing.assert_allclose(net.state["d.W"], 2 * (1 - 0.5 * 0.1), rtol=1e-14)
    assert net.state["d.b"] == 3.0


def test_training_goes_on_after_json():
    """The slots are part of the network: its file holds them, and a new Trainer goes on with them."""

    def train(through_json):
        net, loss, _ = classifier()
        name = loss.name
        Trainer(loss, Momentum(0.1)).step(**separable())
        if through_json:
            values = {n: np.array(v) for n, v in net.state.items()}
            net = Network.from_json(net.to_json())
            for n, value in values.items():
                net.state[n] = value
        Trainer(net[name], Momentum(0.1)).step(**separable())
        return np.array(net.state["mlp.1.W"])

    np.testing.assert_array_equal(train(True), train(False))


def test_only_the_given_parameters_move():
    net, loss, _ = classifier()
    before = {name: np.array(value) for name, value in net.state.items()}
    Trainer(loss, SGD(0.1), parameters=[net.parameters["mlp.logits.b"]]).step(**separable())
    moved = [name for name, value in before.items() if (net.state[name] != value).any()]
    assert moved == ["mlp.logits.b"]


def test_parameters_that_are_not_trainable_stay():
    net = Network()
    x, y = net.input("x", ("N", 2)), net.input("y", ("N", 2))
    scale = net.parameter("scale", (2,), init=2.0, trainable=False)
    trainer = Trainer(mean_squared_error(dense(x, 2, name="d") * scale, y))
    assert [p.name for p in trainer.parameters] == ["d.W", "d.b"]


def test_metrics_may_be_functions_and_are_of_the_training_data_without_validation():
    _, loss, right = classifier()
    trainer = Trainer(loss, SGD(0.1))
    rows = []
    metrics = {"accuracy": right, "rows": lambda arrays: rows.append(len(arrays["x"])) or 7}
    history = trainer.fit(separable(40), epochs=2, metrics=metrics, progress=False)
    assert rows == [40, 40]
    assert history.metrics["rows"] == [7.0, 7.0]
    assert len(history.metrics["accuracy"]) == 2
    assert history.val_loss == []


def test_callbacks_run_each_epoch_and_may_stop():
    _, loss, _ = classifier()
    trainer, called = Trainer(loss), []

    def stop_at_three(given, history):
        called.append((given is trainer, history.epochs))
        return history.epochs == 3

    history = trainer.fit(separable(), epochs=10, callbacks=[stop_at_three], progress=False)
    assert called == [(True, 1), (True, 2), (True, 3)]
    assert history.epochs == 3


def test_early_stopping_restores_the_best_epoch():
    net, loss, _ = classifier()
    scores = iter([3.0, 1.0, 2.0, 2.5, 0.0])
    seen = []

    def score(arrays):
        seen.append(np.array(net.state["mlp.1.W"]))
        return next(scores)

    stop = EarlyStopping(patience=2, monitor="score")
    trainer = Trainer(loss, SGD(0.1))
    history = trainer.fit(separable(), epochs=9, metrics={"score": score}, callbacks=[stop], progress=False)
    assert history.metrics["score"] == [3.0, 1.0, 2.0, 2.5]
    np.testing.assert_array_equal(net.state["mlp.1.W"], seen[1])
    assert (seen[1] != seen[3]).any()
    with pytest.raises(GraphError, match="nothing is recorded as 'val_loss'"):
        trainer.fit(separable(), callbacks=[EarlyStopping()], progress=False)


def test_progress_shows_the_last_epochs_numbers(capsys):
    _, loss, right = classifier()
    Trainer(loss).fit(separable(), epochs=2, metrics={"accuracy": right})
    printed = capsys.readouterr().out
    assert "epoch 2/2" in printed
    assert "accuracy" in printed


def test_an_interrupted_fit_leaves_a_whole_number_of_steps():
    class Interrupting(Callback):
        def step(self, trainer, loss):
            if len(trainer.history.steps) == 8:  # the second step of the second epoch
                os.kill(os.getpid(), signal.SIGINT)

    net, loss, _ = classifier()
    trainer = Trainer(loss, Adam(0.01), batch_size=10)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(separable(60), epochs=5, callbacks=[Interrupting()], progress=False)
    assert net.state["adam.t"] == len(trainer.history.steps) == 8
    assert trainer.history.epochs == 1


def fit(data, **options):
    _, loss, _ = classifier()
    return Trainer(loss, batch_size=16).fit(data, progress=False, **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((60, 2))}, r"'x' is float64, not float32; use .astype\('float32'\)"),
        ({"y": np.full(60, np.nan)}, "'y' is float64, not int64"),
        ({"y": np.zeros(59, np.int64)}, "different lengths: 'x' 60, 'y' 59"),
        ({"y": np.full(60, 3)}, "y"),
        ({"y": np.full(60, -1)}, "y"),
        ({"x": np.zeros((60, 3), np.float32)}, "x"),
        ({"x": np.zeros(60, np.float32)}, "'x' has shape"),
        ({"z": np.zeros(60, np.float32)}, "no input 'z'"),
        ({"x": np.zeros((0, 2), np.float32), "y": np.zeros(0, np.int64)}, "no rows"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, message):
    with pytest.raises(BoundaryError, match=message):
        fit({**separable(), **change})
    with pytest.raises(BoundaryError, match=message):
        fit(separable(), validation={**separable(), **change})
    _, loss, _ = classifier()
    with pytest.raises(BoundaryError, match=message):
        Trainer(loss).step(**{**separable(), **change})


def test_a_fixed_extent_that_does_not_fit_is_refused_before_any_step():
    _, loss, _ = classifier()
    trainer = Trainer(loss, batch_size=16)
    history = trainer.fit(separable(), progress=False)
    wide = {**separable(), "x": np.zeros((60, 3), np.float32)}
    for data, options in ((wide, {}), (separable(), {"validation": wide})):
        with pytest.raises(BoundaryError, match=r"'x' has shape \(60, 3\), extent 3 in axis 1; .* must be 2"):
            trainer.fit(data, progress=False, **options)
    assert trainer.history is history
    assert len(history.steps) == 4


def test_a_missing_array_is_named():
    with pytest.raises(BoundaryError, match="no array is given for the input 'y'"):
        fit({"x": separable()["x"]})


@pytest.mark.parametrize("data", [np.zeros((60, 2)), [1, 2], 5, None])
def test_arrays_without_names_are_refused(data):
    with pytest.raises(
        BoundaryError, match=r"^fit: give the arrays by name: \{'x': \.\.\., 'y': \.\.\.\}, not a bare "
    ):
        fit(data)
    with pytest.raises(BoundaryError, match=r"^fit: give the arrays by name"):
        fit(data, epochs=np.zeros(60))  # fit(X, Y)
    if data is not None:
        with pytest.raises(BoundaryError, match=r"^validation: give the arrays by name"):
            fit(separable(), validation=data)


def test_a_step_takes_its_inputs_by_keyword():
    _, loss, _ = classifier()
    for positional in ([separable()], separable().values()):
        with pytest.raises(BoundaryError, match=r"^step: give inputs by keyword: x=\.\.\., y=\.\.\.$"):
            Trainer(loss).step(*positional)


@pytest.mark.parametrize("epochs", [-1, 1.5, True, "3", np.ones(3), np.ones((3, 1), np.int64)])
def test_epochs_are_counted(epochs):
    with pytest.raises(GraphError, match="epochs"):
        fit(separable(), epochs=epochs)


def test_zero_epochs_change_nothing():
    assert fit(separable(), epochs=0).to_dict() == {"loss": [], "val_loss": [], "metrics": {}, "steps": []}


def test_metrics_are_checked():
    net, _, _ = classifier()
    other = Network().input("s", ())
    for metric in (other, net["mlp.logits"], 3):
        with pytest.raises(GraphError, match="metric 'm'"):
            fit(separable(), metrics={"m": metric})
    net, loss, _ = classifier()
    extra = mean(equal(net.input("extra", ("N",)), 0.0))
    with pytest.raises(GraphError, match="'extra'"):
        Trainer(loss).fit(separable(), metrics={"m": extra}, progress=False)


def test_losses_that_cannot_be_trained_are_refused():
    net = Network()
    x, y = net.input("x", ("N", 2)), net.input("y", ("M", 2))
    out = dense(x, 2, name="d")
    loss = mean(out)
    with pytest.raises(ShapeError, match="a scalar"):
        Trainer(out)
    with pytest.raises(DTypeError, match="bool"):
        Trainer(mean(x) > 0)
    with pytest.raises(GraphError, match="depends on no parameter"):
        Trainer(mean(x))
    net.parameter("unused", (2,))
    with pytest.raises(GraphError, match="does not depend on the parameter 'unused'"):
        Trainer(loss, parameters=["unused"])
    with pytest.raises(GraphError, match="'x' is no parameter"):
        Trainer(loss, parameters=["x"])
    with pytest.raises(GraphError, match="batch_size"):
        Trainer(loss, batch_size=0)
    with pytest.raises(GraphError, match=r"'momentum' is an update rule, .* call it: gn.SGD\(0.1\)$"):
        Trainer(loss, optimizer=Momentum)
    with pytest.raises(GraphError, match="takes an Optimizer"):
        Trainer(loss, optimizer="momentum")
    with pytest.raises(GraphError, match="the Tensor to minimise, not a Network"):
        Trainer(net)
    with pytest.raises(DTypeError, match="dtype"):
        Trainer(loss, dtype="float16")
    with pytest.raises(DeriveError):
        Trainer(mean(step(out)))
    with pytest.raises(GraphError, match="several"):
        Trainer(mean(out) + mean(y))
    Trainer(mean(out) + mean(y), batch_size=None)
