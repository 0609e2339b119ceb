"""What declarations found out is kept beside the programs, and found by the next process."""

import os
import subprocess
import sys
import textwrap

import pytest

import graphnn as gn
from graphnn.declare.outlines import Outlines
from graphnn.run import outlines as subject
from tests.docs.pages import ROOT

SCRIPT = """
    import sys
    import numpy as np
    import graphnn as gn

    net = gn.Network("net")
    x, y = net.input("x", ("N", 1, 6, 6)), net.input("y", ("N",), "int64")
    h = gn.max_pool(gn.conv2d(x, 2, 3, padding=1, activation=gn.relu), 2)
    h = gn.dropout(gn.batch_norm(gn.dense(gn.reshape(h, ("N", -1)), 4, activation=gn.tanh), axis=1), 0.2)
    loss = gn.softmax_cross_entropy(gn.dense(h, 3), y)
    trainer = gn.Trainer(loss, optimizer=gn.AdamW(0.1), batch_size=2, weight_decay=0.1)
    for _ in range(20):
        loss = trainer.step(x=np.ones((2, 1, 6, 6), "f"), y=np.array([0, 2]))
    print("sympy" in sys.modules, float(loss).hex())
"""


def run(folder, **environment):
    """(whether a process that declares a network and takes steps imports sympy, its loss)."""
    cached = {"GRAPHNN_CACHE": "1", "GRAPHNN_CACHE_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    told = {**os.environ, **cached, **environment}
    script = [sys.executable, "-c", textwrap.dedent(SCRIPT)]
    done = subprocess.run(script, env=told, capture_output=True, text=True, check=True)
    imported, loss = done.stdout.split()
    return imported == "True", loss


def kept(folder):
    """The file of outlines: the one object that is JSON."""
    (path,) = (p for p in folder.glob("*.o") if p.read_bytes()[32:33] == b"{")
    return path


def test_the_next_process_needs_no_sympy_to_declare_and_train(tmp_path):
    imported, loss = run(tmp_path)
    assert imported
    assert run(tmp_path) == (False, loss)
    path = kept(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(path.read_bytes()[:-1])  # damaged: as if there were none
    assert run(tmp_path) == (True, loss)


def test_nothing_is_read_or_kept_without_a_cache(tmp_path):
    assert run(tmp_path, GRAPHNN_CACHE="0")[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", ["sympy_version", "source_state"])
def test_other_sources_and_another_sympy_have_others(folder, monkeypatch, change):
    made = Outlines()
    made.read = subject.read_outlines
    monkeypatch.setattr(subject, "OUTLINES", made)
    monkeypatch.setattr("graphnn.declare.op.OUTLINES", made)
    y = gn.exp(gn.Network("net").input("x", (3,)))
    gn.compile(y)
    assert subject.read_outlines() is not None
    assert not made.has_new
    monkeypatch.setattr(subject, change, lambda *_: "other")
    assert subject.read_outlines() is None


def test_what_other_processes_kept_stays(folder, monkeypatch):
    def declare(op):
        made = Outlines()
        monkeypatch.setattr(subject, "OUTLINES", made)
        monkeypatch.setattr("graphnn.declare.op.OUTLINES", made)
        gn.compile(op(gn.Network("net").input("x", (3,))))

    declare(gn.exp)
    size = len(subject.read_outlines())
    declare(gn.log)
    assert len(subject.read_outlines()) > 1.5 * size
