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
    import graphnn as gn
    from graphnn.declare import op

    bound = []
    bind = op.bind_formula
    op.bind_formula = lambda name, *rest: (bound.append(name), bind(name, *rest))[1]
    net = gn.Network("net")
    x, y = net.input("x", ("N", 5)), net.input("y", ("N",), "int64")
    loss = gn.softmax_cross_entropy(gn.dense(gn.dense(x, 4, activation=gn.tanh), 3), y)
    parameters = list(net.parameters.values())
    gn.AdamW(0.1).updates(parameters, gn.gradients(loss, parameters))
    declared = len(bound)
    gn.compile(gn.square(x))
    print(declared)
"""


def run(folder, **environment):
    """How many formulas a process binds that declares a training step."""
    cached = {"GRAPHNN_CACHE": "1", "GRAPHNN_CACHE_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    told = {**os.environ, **cached, **environment}
    script = [sys.executable, "-c", textwrap.dedent(SCRIPT)]
    return int(subprocess.run(script, env=told, capture_output=True, text=True, check=True).stdout)


def kept(folder):
    """The file of outlines: the one object that is JSON."""
    (path,) = (p for p in folder.glob("*.o") if p.read_bytes()[32:33] == b"{")
    return path


def test_the_next_process_binds_no_formula(tmp_path):
    first = run(tmp_path)
    assert first > 0
    assert run(tmp_path) == 0
    path = kept(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(path.read_bytes()[:-1])  # damaged: as if there were none
    assert run(tmp_path) == first


def test_nothing_is_read_or_kept_without_a_cache(tmp_path):
    assert run(tmp_path, GRAPHNN_CACHE="0") > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", ["version", "source_state"])
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
