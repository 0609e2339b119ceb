"""A small training with everything that a checkpoint has to hold, as a program that can be killed.

python -m tests.nn.resumed_run FOLDER [kill-at-step]    trains, saves at each step, resumes where a file is there
python -m tests.nn.resumed_run check [repetitions]      kills it at random steps; compares the final weights' bits
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from graphnn.declare.network import Network
from graphnn.nn.layers.dense import dense
from graphnn.nn.optimizers.rules import Adam
from graphnn.nn.training.callbacks import Callback, Checkpoint, EarlyStopping
from graphnn.nn.training.metrics import accuracy
from graphnn.nn.training.trainer import Trainer
from graphnn.ops.elementwise import tanh
from graphnn.ops.losses import softmax_cross_entropy

ROWS, BATCH, EPOCHS = 21, 4, 4  # six steps to an epoch, the last one ragged
STEPS = EPOCHS * 6


class KillAt(Callback):
    """kill -9 after a step, before or after the checkpoint of it was written."""

    def __init__(self, step):
        self.at = step

    def step(self, trainer, loss):
        if len(trainer.history.steps) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


class KillWhileSaving(Checkpoint):
    """kill -9 when a part of the file is written."""

    def step(self, trainer, loss):
        if len(trainer.history.steps) == self.at:
            os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
        super().step(trainer, loss)


def make_trainer(**options):
    net = Network("resumed")
    x, y = net.input("x", ("N", 3)), net.input("y", ("N",), dtype="int64")
    z = dense(dense(x, 4, tanh, name="h"), 2, name="z")
    return Trainer(softmax_cross_entropy(z, y), Adam(0.03), batch_size=BATCH, seed=5, **options), accuracy(z, y)


def make_data():
    generator = np.random.default_rng(3)
    x = generator.normal(size=(ROWS, 3)).astype(np.float32)
    return {"x": x, "y": (x.sum(axis=1) + generator.normal(size=ROWS) > 0).astype(np.int64)}


def run(folder, kill=None, while_saving=False):
    """Train, or go on with what `folder` has; final state and history are saved there."""
    trainer, right = make_trainer()
    path = Path(folder) / "checkpoint.safetensors"
    resume = path.exists()
    if resume:
        trainer.restore(path)
    checkpoint = KillWhileSaving(path, every_steps=1) if while_saving else Checkpoint(path, every_steps=1)
    checkpoint.at = kill
    callbacks = [EarlyStopping(patience=3, monitor="accuracy", mode="max"), checkpoint]
    if kill and not while_saving:
        callbacks.append(KillAt(kill))
    history = trainer.fit(
        make_data(), epochs=EPOCHS, validation=0.2, metrics={"accuracy": right}, callbacks=callbacks, resume=resume,
        progress=False,
    )  # fmt: skip
    state = trainer.network.state
    np.savez(Path(folder) / "final.npz", **{name: state[name] for name in trainer.variables}, losses=history.loss,
             val=history.val_loss, steps=history.steps)  # fmt: skip


def final(folder):
    with np.load(Path(folder) / "final.npz") as saved:
        return {name: (saved[name].dtype, saved[name].tobytes()) for name in saved}


def start(folder, *arguments):
    command = [sys.executable, "-m", "tests.nn.resumed_run", str(folder), *map(str, arguments)]
    return subprocess.run(command, check=False).returncode


def kill_and_resume(folder, step, while_saving):
    """What the killed and then resumed program ends with."""
    killed = start(folder, step, *(["saving"] if while_saving else []))
    assert killed == -signal.SIGKILL
    assert not (Path(folder) / "final.npz").exists()
    assert start(folder) == 0
    return final(folder)


def check(repetitions):
    with tempfile.TemporaryDirectory() as whole:
        run(whole)
        expected = final(whole)
    steps = len(np.frombuffer(expected["steps"][1]))
    equal = 0
    for number in range(repetitions):
        step, while_saving = random.randint(1, steps), number % 2 == 1
        with tempfile.TemporaryDirectory() as folder:
            same = kill_and_resume(folder, step, while_saving) == expected
        equal += same
        print(f"killed {'while saving after' if while_saving else 'after'} step {step} of {steps}: {same}")
    print(f"{equal} of {repetitions} bit-equal")
    return equal == repetitions


if __name__ == "__main__":
    if sys.argv[1] == "check":
        sys.exit(not check(int(sys.argv[2]) if len(sys.argv) > 2 else 20))
    run(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None, "saving" in sys.argv)
