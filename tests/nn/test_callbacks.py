"""The course of a fit: callbacks, early stopping, steps in place of epochs, validation by a fraction or by batches."""

import numpy as np
import pytest

from graphnn.declare.network import Network
from graphnn.errors import BoundaryError, CompileError, GraphError, GraphnnError
from graphnn.nn.layers.dense import dense
from graphnn.nn.optimizers.rules import SGD, Adam
from graphnn.nn.training.callbacks import Callback, Checkpoint, EarlyStopping
from graphnn.nn.training.metrics import accuracy
from graphnn.nn.training.trainer import Trainer
from graphnn.ops.elementwise import step
from graphnn.ops.losses import mean_squared_error, softmax_cross_entropy
from graphnn.ops.reduction import max as largest
from graphnn.ops.reduction import mean
from graphnn.pipeline import compile


def make(batch_size=8, **options):
    net = Network()
    x, y = net.input("x", ("N", 2)), net.input("y", ("N",), dtype="int64")
    z = dense(x, 2, name="z")
    return Trainer(softmax_cross_entropy(z, y), SGD(0.1), batch_size=batch_size, **options), accuracy(z, y)


def data(rows=20, seed=0):
    x = np.random.default_rng(seed).normal(size=(rows, 2)).astype(np.float32)
    return {"x": x, "y": (x[:, 0] > 0).astype(np.int64)}


class Recorder(Callback):
    def __init__(self):
        self.calls = []

    def begin(self, trainer, recorded):
        self.calls.append(("begin", tuple(recorded)))

    def step(self, trainer, loss):
        assert loss == trainer.history.steps[-1]
        self.calls.append("step")

    def epoch(self, trainer, history):
        assert history is trainer.history
        self.calls.append(("epoch", history.epochs))

    def end(self, trainer, history):
        self.calls.append("end")


def test_callbacks_are_called_in_order():
    trainer, right = make()
    recorder = Recorder()
    trainer.fit(data(), epochs=2, validation=data(9), metrics={"accuracy": right}, callbacks=[recorder], progress=False)
    epoch = ["step"] * 3
    begin = ("begin", ("loss", "val_loss", "accuracy"))
    assert recorder.calls == [begin, *epoch, ("epoch", 1), *epoch, ("epoch", 2), "end"]


def test_a_step_may_end_the_fit():
    class Stop(Callback):
        def step(self, trainer, loss):
            return len(trainer.history.steps) == 4

    trainer, _ = make()
    history = trainer.fit(data(), epochs=5, callbacks=[Stop()], progress=False)
    assert (len(history.steps), history.epochs) == (4, 1)


def test_steps_in_place_of_epochs():
    trainer, _ = make()
    history = trainer.fit(data(), steps=7, progress=False)  # three to an epoch
    assert (len(history.steps), history.epochs) == (7, 2)
    assert make()[0].fit(data(), steps=6, progress=False).epochs == 2
    assert make()[0].fit(data(), steps=0, progress=False).steps == []
    epochs = make()[0].fit(data(), epochs=3, progress=False)
    assert epochs.steps[:7] == history.steps
    sizes = [8, 8, 4]
    assert epochs.loss[0] == pytest.approx(np.average(epochs.steps[:3], weights=sizes), rel=1e-12)


class Scores:
    """A metric with given values, and the weights at each."""

    def __init__(self, trainer, values):
        self.trainer, self.values, self.seen = trainer, list(values), []

    def __call__(self, arrays):
        self.seen.append(np.array(self.trainer.network.state["z.W"]))
        return self.values[len(self.seen) - 1]


@pytest.mark.parametrize(
    ("values", "options", "epochs", "best"),
    [
        ([3, 1, 2, 2.5, 0], {"patience": 2}, 4, 1),
        ([3, 1, 2, 2.5, 2], {"patience": 9}, 5, 1),  # patience never ran out: the best weights come back all the same
        ([3, 2.9, 2.8, 2.7, 0], {"patience": 2, "min_delta": 0.5}, 3, 0),
        ([1, 3, 2, 1, 0], {"patience": 2, "mode": "max"}, 4, 1),
        ([5, 4, 3, 2, 1], {"patience": 1}, 5, 4),
        ([np.nan, 2, np.nan, np.nan, 1], {"patience": 2}, 4, 1),
    ],
)
def test_early_stopping(values, options, epochs, best):
    trainer, _ = make()
    scores = Scores(trainer, values)
    stop = EarlyStopping(monitor="score", **options)
    for _ in range(2):  # an object may serve one fit after another
        scores.seen = []
        history = trainer.fit(data(), epochs=5, metrics={"score": scores}, callbacks=[stop], progress=False)
        assert history.epochs == epochs
        np.testing.assert_array_equal(trainer.network.state["z.W"], scores.seen[best])


def test_early_stopping_says_that_it_stopped_and_why(capsys):
    trainer, _ = make()
    stop = EarlyStopping(2, "score", "max")
    assert (stop.best, stop.best_epoch, stop.stopped, stop.verdict()) == (-np.inf, 0, None, "")
    trainer.fit(data(), epochs=9, metrics={"score": Scores(trainer, [1, 3, 2, 2.5])}, callbacks=[stop])
    assert (stop.best, stop.best_epoch, stop.stopped) == (3.0, 2, 4)
    shown = " ".join(capsys.readouterr().out.split())
    assert "stopped after epoch 4: score was best in epoch 2, 3; the weights are those of that epoch" in shown
    trainer.fit(data(), epochs=2, metrics={"score": Scores(trainer, [1, 0])}, callbacks=[stop])
    assert (stop.best_epoch, stop.stopped) == (1, None)
    assert "stopped" not in capsys.readouterr().out
    trainer.fit(data(), epochs=3, metrics={"score": Scores(trainer, [np.nan] * 3)}, callbacks=[stop])
    assert "stopped after epoch 2: score was never a number" in " ".join(capsys.readouterr().out.split())


def test_a_longer_fit_goes_on_with_the_weights_that_early_stopping_put_back():
    trainer, _ = make()
    stop, seen = EarlyStopping(9, "score"), []

    class First(Callback):
        def step(self, trainer, loss):
            seen.append(loss)
            return True

    scores = Scores(trainer, [1, 2, 3])
    trainer.fit(data(), epochs=2, metrics={"score": scores}, callbacks=[stop], progress=False, shuffle=False)
    best = scores.seen[0]
    np.testing.assert_array_equal(trainer.network.state["z.W"], best)
    expected, _ = make()
    for name, value in trainer.network.state.items():
        expected.network.state[name] = value
    trainer.fit(
        data(),
        epochs=3,
        metrics={"score": scores},
        callbacks=[stop, First()],
        progress=False,
        shuffle=False,
        resume=True,
    )
    rows = {name: array[:8] for name, array in data().items()}
    assert seen == [expected.step(**rows)]


def test_early_stopping_brings_statistics_back_and_leaves_slots():
    net = Network()
    x, y = net.input("x", ("N", 2)), net.input("y", ("N", 2))
    centre = net.variable("centre", (2,))
    net.update(centre, mean(x, axis=0) * 0.5 + centre * 0.5)
    trainer = Trainer(mean_squared_error(dense(x - centre, 2, name="z"), y), Adam(0.1), batch_size=5)
    assert trainer.weights == ["centre", "z.W", "z.b"]
    seen = []

    def score(arrays):
        seen.append(np.array(net.state["centre"]))
        return len(seen)

    arrays = {"x": data()["x"], "y": data()["x"]}
    trainer.fit(arrays, epochs=3, metrics={"score": score}, callbacks=[EarlyStopping(9, "score")], progress=False)
    np.testing.assert_array_equal(net.state["centre"], seen[0])
    assert (seen[0] != seen[2]).any()
    assert net.state["adam.t"] == 12


class Broken(Callback):
    """Is interrupted once, in the call of that number."""

    def __init__(self, number):
        self.left = number

    def _count(self):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def step(self, trainer, loss):
        self._count()

    def epoch(self, trainer, history):
        self._count()


@pytest.mark.parametrize("number", [2, 4, 8, 12])  # steps 2 and 6, epochs 1 and 3
def test_each_callback_hears_of_each_step_and_epoch_though_one_is_interrupted(number):
    def run(interrupted, path=None):
        trainer, _ = make()
        recorder, stopping = Recorder(), EarlyStopping(2, mode="max")
        callbacks = [Broken(number if interrupted else 0), recorder, stopping]
        fit = {"epochs": 3, "validation": data(9), "callbacks": callbacks, "progress": False}
        if interrupted:
            with pytest.raises(KeyboardInterrupt):
                trainer.fit(data(), **fit)
        trainer.fit(data(), **fit, resume=interrupted)
        assert trainer.position.waiting == 0
        return [c for c in recorder.calls if c[0] != "begin"], np.array(trainer.network.state["z.W"])

    calls, weights = run(False)
    again, resumed = run(True)
    assert again == calls
    np.testing.assert_array_equal(resumed, weights)


def test_what_callbacks_remember_outlives_a_resume_without_one_of_them():
    class Counter(Callback):
        count = 0

        def epoch(self, trainer, history):
            self.count += 1

        def memory(self):
            return {"count": self.count}

        def recall(self, memory):
            self.count = int(memory["count"])

    trainer, _ = make()
    stopping, counter = EarlyStopping(5, "loss"), Counter()
    trainer.fit(data(), 2, callbacks=[counter, stopping], progress=False)
    remembered = stopping.memory()
    with pytest.raises(GraphError, match="has the callback Counter"):
        trainer.fit(data(), 3, callbacks=[stopping], progress=False, resume=True)
    assert stopping.memory()["best"] == remembered["best"] < np.inf


def test_early_stopping_refuses_at_once_what_is_not_recorded():
    trainer, right = make()
    for monitor, listed in (("val_loss", "give fit validation data"), ("acuracy", "there are loss, accuracy")):
        with pytest.raises(GraphError, match=listed):
            trainer.fit(data(), metrics={"accuracy": right}, callbacks=[EarlyStopping(monitor=monitor)], progress=False)
    assert trainer.history.steps == []


def test_a_fraction_of_the_rows_is_set_aside():
    trainer, right = make(seed=4)
    given, seen = data(40), []

    def metric(arrays):
        seen.append(np.array(arrays["x"]))
        return 0.0

    class Rows(Callback):
        def step(self, trainer, loss):
            assert trainer.position.rows == 30

    history = trainer.fit(
        given, 2, validation=0.25, metrics={"m": metric, "accuracy": right}, callbacks=[Rows()], progress=False
    )
    held = {tuple(row) for row in seen[0]}
    assert len(held) == 10
    assert held < {tuple(row) for row in given["x"]}
    assert held != {tuple(row) for row in given["x"][-10:]}
    np.testing.assert_array_equal(seen[0], seen[1])
    assert len(history.val_loss) == 2
    for fraction in (0.0, 1.0, -0.5, 0.001, 0.999, float("nan")):
        with pytest.raises(GraphError, match="to train on and one to validate on"):
            trainer.fit(given, validation=fraction, progress=False)


def test_evaluation_by_batches_is_the_mean_over_rows():
    trainer, right = make()
    trainer.optimizer = None
    validation = data(37, seed=1)
    by_one = trainer.fit(data(), 2, validation, {"accuracy": right}, progress=False)
    trainer.network.initialize(0)
    again, right = make()
    by_ten = again.fit(data(), 2, validation, {"accuracy": right}, progress=False, evaluation_batch_size=10)
    assert by_ten.val_loss == pytest.approx(by_one.val_loss, rel=1e-6)
    assert by_ten.metrics["accuracy"] == pytest.approx(by_one.metrics["accuracy"], rel=1e-6)


def test_an_empty_validation_set_is_refused():
    trainer, _ = make()
    with pytest.raises(BoundaryError, match=r"validation: 'x' has shape .*: there are no rows"):
        trainer.fit(data(), validation={"x": np.zeros((0, 2), np.float32), "y": np.zeros(0, np.int64)}, progress=False)


@pytest.mark.parametrize(
    "options",
    [{"callbacks": 5}, {"callbacks": [5]}, {"callbacks": "stop"}, {"callbacks": EarlyStopping()}, {"epochs": 1.5},
     {"callbacks": [EarlyStopping]}, {"epochs": "3"}, {"steps": 1.5}, {"steps": -1}, {"epochs": 2, "steps": 2},
     {"metrics": 5}, {"metrics": ["accuracy"]}, {"metrics": {5: len}}, {"evaluation_batch_size": 0},
     {"evaluation_batch_size": "8"}, {"shuffle": "yes"}, {"resume": 1}, {"progress": None}],
)  # fmt: skip
def test_arguments_of_fit_are_checked(options):
    trainer, _ = make()
    with pytest.raises(GraphError):
        trainer.fit(data(), **{"progress": False, **options})
    assert trainer.history.steps == []


@pytest.mark.parametrize(
    "options",
    [{"seed": "a"}, {"seed": -1}, {"seed": 1.5}, {"threads": -1}, {"threads": 0}, {"threads": "2"},
     {"batch_size": "8"}, {"weight_decay": "a"}, {"weight_decay": -1.0}, {"weight_decay": float("nan")},
     {"parameters": 5}, {"parameters": "z.W"}, {"parameters": [5]}, {"parameters": []}],
)  # fmt: skip
def test_arguments_of_a_trainer_are_checked(options):
    net = Network()
    x = net.input("x", ("N", 2))
    loss = mean(dense(x, 2, name="z"))
    before = list(net.graph), dict(net.adjoints), len(net.requests)
    with pytest.raises(GraphError):
        Trainer(loss, **options)
    assert (list(net.graph), dict(net.adjoints), len(net.requests)) == before


def test_a_trainer_that_fails_leaves_the_network_as_it_was():
    net = Network()
    x = net.input("x", ("N", 2))
    hidden = dense(x, 2, name="z")
    bad, good = mean(step(hidden)), mean(hidden)
    net.input("z.W.adam.m", ("N",))  # in the way of a slot
    before = list(net.graph), dict(net.adjoints), len(net.requests), list(net.initializers)
    for loss, optimizer in ((bad, SGD()), (good, Adam())):
        with pytest.raises(GraphnnError, match=r"step|way"):
            Trainer(loss, optimizer)
        assert (list(net.graph), dict(net.adjoints), len(net.requests), list(net.initializers)) == before
    Trainer(good, SGD(0.1)).step(x=np.ones((3, 2), np.float32))


@pytest.mark.parametrize(
    "options", [{"sizes": 5}, {"sizes": {5: 5}}, {"sizes": "N"}, {"updates": 5}, {"disable": 5}, {"threads": "a"},
                {"dtype": 5}, {"accuracy": []}, {"until": 5}],
)  # fmt: skip
def test_options_of_compile_are_checked(options):
    net = Network()
    x = net.input("x", ("N", 2))
    with pytest.raises(CompileError):
        compile(largest(x), **options)


@pytest.mark.parametrize(
    "build",
    [lambda: EarlyStopping(patience="5"), lambda: EarlyStopping(patience=1.5), lambda: EarlyStopping(min_delta=-1),
     lambda: EarlyStopping(min_delta="a"), lambda: EarlyStopping(mode=3), lambda: Checkpoint(5),
     lambda: Checkpoint("a", every_epochs=0), lambda: Checkpoint("a", every_steps="2"),
     lambda: Checkpoint("a", every_epochs=1, every_steps=1)],
)  # fmt: skip
def test_arguments_of_callbacks_are_checked(build):
    with pytest.raises(GraphError):
        build()
