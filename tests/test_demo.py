import json

import numpy as np
import pytest

from graphnn import demo
from graphnn.nn.optimizers.rules import Adam
from graphnn.nn.training.trainer import Trainer


def test_the_step_in_numpy_is_the_native_one():
    train, _, _ = demo.load_data()
    model = demo.declare()
    by_hand = demo.numpy_step(model.network)
    trainer = Trainer(model.loss, Adam(demo.RATE), batch_size=demo.BATCH)
    for start in range(0, 10 * demo.BATCH, demo.BATCH):
        x, y = (a[start : start + demo.BATCH] for a in (train.pixels, train.labels))
        assert by_hand(x, y) == pytest.approx(trainer.step(x=x, y=y), rel=1e-4)


def test_the_split_keeps_the_share_of_each_digit():
    train, validation, test = demo.load_data()
    assert (len(train.labels), len(validation.labels), len(test.labels)) == (1144, 203, 450)
    assert (train.pixels.min(), train.pixels.max(), train.pixels.dtype) == (0.0, 1.0, np.float32)
    for other in (validation, test):
        shares = np.bincount(train.labels) / len(train.labels) - np.bincount(other.labels) / len(other.labels)
        assert np.abs(shares).max() < 0.005


def test_the_whole_demo(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "ROUNDS", 3)
    demo.run_demo(tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    keys = {"test_accuracy", "max_gradient_error", "compile_seconds", "native_step_us", "numpy_step_us"}
    assert set(report) == keys
    assert report["test_accuracy"] >= 0.97
    assert report["max_gradient_error"] < 1e-10
    assert report["native_step_us"] > 0
    for name in ("training", "digits", "step-size", "network"):
        assert (tmp_path / "out" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "y*(1 - y)" in printed
    assert printed.count("agrees") == 4
    assert "test accuracy" in printed
