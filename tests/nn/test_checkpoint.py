"""Checkpoints: resumed bit for bit from every place, written whole or not at all, and never believed when damaged."""

import functools
import io
import json
import os
import signal
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.numpy

from graphnn.declare.network import Network
from graphnn.errors import BoundaryError, GraphError, NumericError
from graphnn.nn.data.augmentation import Augmentation
from graphnn.nn.layers.batch_norm import batch_norm
from graphnn.nn.layers.dense import dense
from graphnn.nn.layers.dropout import dropout
from graphnn.nn.optimizers.rules import SGD, Adam
from graphnn.nn.optimizers.schedules import exponential_decay
from graphnn.nn.training.callbacks import Callback, Checkpoint, EarlyStopping
from graphnn.nn.training.checkpoint import FORMAT, Saved, read_checkpoint, write_checkpoint
from graphnn.nn.training.trainer import Trainer
from graphnn.ops.elementwise import tanh
from graphnn.ops.layout import reshape
from graphnn.ops.losses import mean_squared_error, softmax_cross_entropy
from tests.nn.resumed_run import BATCH, final, kill_and_resume, make_data, make_trainer, run


class Copies(Callback):
    """A checkpoint after each step, each in a file of its own."""

    def __init__(self, folder):
        self.folder = folder

    def step(self, trainer, loss):
        trainer.save(self.folder / f"{len(trainer.history.steps)}")


class Stop(Callback):
    """Stands for whatever ends a process: an error after a step."""

    def __init__(self, at):
        self.at = at

    def step(self, trainer, loss):
        if len(trainer.history.steps) == self.at:
            raise InterruptedError


def bits(trainer):
    state = trainer.network.state
    values = {name: (state[name].dtype, state[name].tobytes()) for name in trainer.variables}
    return values, trainer.history.to_dict(), trainer.generator.bit_generator.state


def fit(trainer, right, *callbacks, **options):
    stop = EarlyStopping(patience=9, monitor="accuracy", mode="max")  # never stops; restores the best at the end
    options = {"epochs": 3, "validation": 0.2, "metrics": {"accuracy": right}, **options}
    trainer.fit(make_data(), callbacks=[stop, *callbacks], progress=False, **options)


@pytest.mark.parametrize("dtype", [None, "float64"])
def test_a_fit_is_resumed_bit_for_bit_from_every_step(tmp_path, dtype):
    def trainer():
        made, right = make_trainer(dtype=dtype)
        data = make_data() if dtype is None else {k: v.astype(dtype) if k == "x" else v for k, v in make_data().items()}
        return made, right, data

    def go(made, right, data, callbacks=(), **options):
        stop = EarlyStopping(patience=9, monitor="accuracy", mode="max")
        made.fit(data, epochs=3, validation=0.2, metrics={"accuracy": right}, callbacks=[stop, *callbacks],
                 progress=False, **options)  # fmt: skip

    whole, right, data = trainer()
    go(whole, right, data, [Copies(tmp_path)])
    expected = bits(whole)
    steps = len(whole.history.steps)
    assert steps == 3 * 5
    resumed, right, data = trainer()
    for step in range(1, steps + 1, 1 if dtype is None else 4):
        resumed.restore(tmp_path / f"{step}")
        assert len(resumed.history.steps) == step
        go(resumed, right, data, resume=True)
        assert bits(resumed) == expected, step


def test_a_fit_that_was_interrupted_in_memory_goes_on():
    whole, right = make_trainer()
    fit(whole, right)
    stopped, right = make_trainer()
    for number in (2, 5, 9):
        with pytest.raises(InterruptedError):
            fit(stopped, right, Stop(number), resume=number > 2)
    fit(stopped, right, resume=True)
    assert bits(stopped) == bits(whole)


def test_a_longer_fit_goes_on_with_a_shorter_one():
    whole, right = make_trainer()
    fit(whole, right, epochs=4)
    longer, right = make_trainer()
    longer.fit(make_data(), steps=7, validation=0.2, metrics={"accuracy": right}, progress=False)
    longer.fit(make_data(), epochs=4, validation=0.2, metrics={"accuracy": right}, progress=False, resume=True)
    assert longer.history == whole.history


@pytest.mark.parametrize(("step", "while_saving"), [(7, False), (8, True)])
def test_a_killed_process_is_resumed(tmp_path, step, while_saving):
    """More of them: python -m tests.nn.resumed_run check 20."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    run(tmp_path / "whole")
    assert kill_and_resume(tmp_path / "killed", step, while_saving) == final(tmp_path / "whole")


def test_a_fit_that_a_callback_stopped_is_over(tmp_path):
    path = tmp_path / "c"
    trainer, _ = make_trainer()
    trainer.fit(make_data(), epochs=5, callbacks=[Checkpoint(path), lambda _, h: h.epochs == 2], progress=False)
    again, _ = make_trainer()
    again.restore(path)
    assert again.fit(make_data(), epochs=5, progress=False, resume=True).epochs == 2


def test_checkpoints_come_when_they_are_asked_for(tmp_path):
    written = []

    class Recorded(Checkpoint):
        pass

    trainer, _ = make_trainer()
    save = trainer.save
    trainer.save = lambda path: (written.append((Path(path).name, len(trainer.history.steps))), save(path))
    callbacks = [Recorded(tmp_path / "steps", every_steps=4), Checkpoint(tmp_path / "epochs", every_epochs=2)]
    trainer.fit(make_data(), epochs=3, callbacks=callbacks, progress=False)  # six steps to an epoch
    assert written == [("steps", 4), ("steps", 8), ("steps", 12), ("epochs", 12), ("steps", 16)]


@functools.cache
def trained(epochs):
    trainer, right = make_trainer()
    fit(trainer, right, epochs=epochs)
    return trainer


@functools.cache
def untrained():
    return make_trainer()[0]


def saved(tmp_path):
    path = tmp_path / "checkpoint"
    trained(1).save(path)
    return path


def test_the_file_is_safetensors_with_json(tmp_path):
    path = saved(tmp_path)
    arrays = safetensors.numpy.load_file(path)
    trainer, _ = make_trainer()
    trainer.restore(path)
    np.testing.assert_array_equal(arrays["state/h.W"], trainer.network.state["h.W"])
    with safetensors.safe_open(path, "np") as file:
        content = json.loads(file.metadata()["graphnn"])
    assert content["format"] == FORMAT
    assert content["position"]["generator"]["bit_generator"] == "PCG64"


def refuse(path, match):
    """The file is refused, and nothing changes."""
    trainer = untrained()
    before = bits(trainer)
    with pytest.raises(BoundaryError, match=match):
        trainer.restore(path)
    assert bits(trainer) == before
    assert trainer.position.rows == 0


def test_every_flipped_bit_and_every_cut_is_found(tmp_path):
    path = saved(tmp_path)
    whole = path.read_bytes()
    generator = np.random.default_rng(0)
    places = {*range(400), *generator.integers(0, len(whole), 400).tolist(), len(whole) - 1}
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(BoundaryError, match="cannot restore"):
            read_checkpoint(path)
    for length in {0, 4, 8, 100, len(whole) // 2, len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(BoundaryError, match="cannot restore"):
            read_checkpoint(path)
    refuse(path, "SHA-256|cut off|restore")
    path.write_bytes(whole + b"\0")
    refuse(path, "cannot restore")
    path.write_bytes(whole)
    read_checkpoint(path)


@pytest.mark.parametrize("data", [b"", b"{}", b"\x02" + bytes(7) + b"{}", b"\xff" * 64, b"\x80\x04" * 40])
def test_what_is_no_checkpoint_is_refused(tmp_path, data):
    (tmp_path / "c").write_bytes(data)
    refuse(tmp_path / "c", "cannot restore")
    safetensors.numpy.save_file({"a": np.ones(3)}, tmp_path / "plain")
    refuse(tmp_path / "plain", "no graphnn checkpoint")
    for use in (untrained().restore, untrained().save):
        with pytest.raises(BoundaryError, match="name of a file"):
            use(5)
    with pytest.raises(FileNotFoundError):
        untrained().restore(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c, a: c.update(format=FORMAT + 1), f"format is {FORMAT + 1}, this version reads format {FORMAT}"),
        (lambda c, a: c["position"].update(batch=-0.5), "the position's batch"),
        (lambda c, a: c["position"]["generator"].update(state="x"), "malformed"),
        (lambda c, a: c.pop("history"), "malformed"),
        (lambda c, a: a.pop("history/steps"), "malformed"),
        (lambda c, a: c["history"].update(loss=[1.0, 2.0]), "epochs"),
        (lambda c, a: a.pop("state/h.W"), "does not hold 'h.W'"),
        (lambda c, a: a.update({"state/q": np.ones(2)}), "holds 'q', which this network does not have"),
        (lambda c, a: a.update({"state/h.b": np.ones(2, np.float32)}), r"'h.b' has shape \(2,\) in it, \(4,\)"),
        (lambda c, a: a.update({"state/h.b": np.ones(4, np.int64)}), "'h.b' is int64 in it, float32"),
    ],
)  # fmt: skip
def test_well_written_files_with_other_content_are_refused(tmp_path, change, message):
    """The digest is right; what it covers is not."""
    path = saved(tmp_path)
    found = read_checkpoint(path)
    change(found.content, found.arrays)
    content = {**{"format": FORMAT}, **found.content}
    write_checkpoint(path, Saved(content, found.arrays))
    refuse(path, message)


def other(units=4, rate=0.1, optimizer=SGD, dtype=None, slope=1.0):
    net = Network()
    x, y = net.input("x", ("N", 3)), net.input("y", ("N", 1))
    loss = mean_squared_error(dense(dense(x, units, name="h"), 1, name="z") * slope, y)
    return Trainer(loss, optimizer(rate), batch_size=BATCH, dtype=dtype)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"units": 5}, r"'h.W' has shape \(3, 4\) in it, \(3, 5\) in this network"),
        ({"rate": 0.2}, r"optimizer is 'sgd\(lr=0.1\)', this Trainer's is 'sgd\(lr=0.2\)'"),
        ({"optimizer": Adam}, "does not hold"),
        ({"dtype": "float64"}, "dtype is None, this Trainer's is 'float64'"),
        ({"slope": 2.0}, "formulas of its network or loss are others"),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(tmp_path, change, message):
    other().save(tmp_path / "c")
    trainer = other(**change)
    before = bits(trainer)
    with pytest.raises(BoundaryError, match=message):
        trainer.restore(tmp_path / "c")
    assert bits(trainer) == before
    second = Trainer(trainer.loss, trainer.optimizer, batch_size=BATCH, dtype=trainer.dtype)
    assert second.fingerprint == trainer.fingerprint  # names of nodes do not count
    second.save(tmp_path / "d")
    trainer.restore(tmp_path / "d")


class Full:
    """A disk on which the operation of a number fails; a write that fails has written one half."""

    def __init__(self, monkeypatch, at):
        self.at, self.count = at, 0
        for name in ("fsync", "replace", "open"):
            monkeypatch.setattr(os, name, self.failing(getattr(os, name)))
        monkeypatch.setattr(Path, "open", lambda path, mode: self.opened(path, mode))  # noqa: PLW0108 - a method

    def tick(self):
        self.count += 1
        if self.count == self.at:
            raise OSError(28, "No space left on device")

    def failing(self, function):
        def call(*arguments, **named):
            self.tick()
            return function(*arguments, **named)

        return call

    @contextmanager
    def opened(self, path, mode):
        self.tick()
        with io.open(path, mode, buffering=0) as file:  # noqa: UP020
            write = file.write

            def half(data):
                try:
                    self.tick()
                except OSError:
                    write(bytes(data)[: len(data) // 2])
                    raise
                return write(data)

            yield SimpleNamespace(write=half, flush=file.flush, fileno=file.fileno)


@pytest.mark.parametrize("at", range(1, 8))
def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch, at):
    path = saved(tmp_path)
    old = path.read_bytes()
    trainer = trained(2)
    with monkeypatch.context() as patch:
        disk = Full(patch, at)
        try:
            trainer.save(path)
            failed = False
        except OSError:
            failed = True
    if failed and path.read_bytes() == old:
        assert [p.name for p in tmp_path.iterdir()] == [path.name]  # nothing is left lying about
    assert failed == (disk.count >= at)
    read_checkpoint(path)  # the old one or the new one, whole
    assert failed or path.read_bytes() != old


def test_resuming_is_refused_where_it_cannot_be_the_same(tmp_path):
    trainer, right = make_trainer()
    with pytest.raises(GraphError, match="no fit to resume"):
        fit(trainer, right, resume=True)
    with pytest.raises(InterruptedError):
        fit(trainer, right, Stop(2))
    with pytest.raises(GraphError, match="middle of an epoch over 17 rows"):
        fit(trainer, right, validation=0.4, resume=True)
    trainer.save(tmp_path / "c")
    trainer.restore(tmp_path / "c")
    options = {"epochs": 3, "validation": 0.2, "metrics": {"accuracy": right}, "progress": False}
    with pytest.raises(GraphError, match="has the callback EarlyStopping"):
        trainer.fit(make_data(), resume=True, **options)
    fit(trainer, right, resume=True)
    with pytest.raises(GraphError, match="has recorded loss, val_loss, accuracy; this one records loss"):
        trainer.fit(make_data(), epochs=9, resume=True, progress=False)


def test_an_interrupt_by_the_keyboard_is_resumed(tmp_path):
    whole, right = make_trainer()
    fit(whole, right)

    class Press(Callback):
        def step(self, trainer, loss):
            if len(trainer.history.steps) == 6:
                os.kill(os.getpid(), signal.SIGINT)

    trainer, right = make_trainer()
    with pytest.raises(KeyboardInterrupt):
        fit(trainer, right, Press())
    fit(trainer, right, resume=True)
    assert bits(trainer) == bits(whole)


def stochastic():
    """Dropout, running statistics, a learning-rate schedule, and images that are changed at random."""
    net = Network()
    x, y = net.input("x", ("N", 1, 4, 4)), net.input("y", ("N",), dtype="int64")
    h = batch_norm(dense(reshape(x, ("N", 16)), 6, name="h"), name="norm")
    z = dense(dropout(tanh(h), 0.4, name="drop"), 3, name="z")
    return Trainer(softmax_cross_entropy(z, y), Adam(exponential_decay(0.05, 0.9, 4)), batch_size=8, seed=1)


def test_dropout_statistics_schedules_and_augmentation_are_resumed_bit_for_bit(tmp_path):
    generator = np.random.default_rng(0)
    data = {"x": generator.random((20, 1, 4, 4), np.float32), "y": generator.integers(0, 3, 20)}
    options = {"epochs": 3, "augment": Augmentation(translate=1, contrast=0.3, seed=2), "progress": False}
    whole, plain = stochastic(), stochastic()
    whole.fit(data, callbacks=[Copies(tmp_path)], **options)
    assert {"norm.mean", "norm.var"} < {*whole.variables} & {*whole.weights}
    plain.fit(data, epochs=3, progress=False)
    assert plain.history.steps != whole.history.steps
    resumed = stochastic()
    for step in (1, 3, 5, 9):
        resumed.restore(tmp_path / f"{step}")
        resumed.fit(data, resume=True, **options)
        assert bits(resumed) == bits(whole), step


def test_a_bad_step_moves_no_statistic_and_no_counter_of_random_numbers():
    trainer = stochastic()
    data = {"x": np.random.default_rng(0).random((8, 1, 4, 4), np.float32), "y": np.arange(8) % 3}
    trainer.step(**data)
    before = bits(trainer)
    data["x"][3, 0, 1, 1] = np.nan
    with pytest.raises(NumericError, match=r"the input 'x' .*row 3 by itself"):
        trainer.step(**data)
    assert bits(trainer) == before
