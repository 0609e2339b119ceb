import os
import subprocess
import sys

import pytest

from graphnn.errors import CompileError
from graphnn.schedule.machine import Machine
from graphnn.schedule.passes import PASSES, schedule
from tests.schedule.samples import (
    assert_same_meaning,
    convolution,
    convolution_adjoint,
    convolution_weight_update,
    layer,
    mlp_step,
)

SAMPLES = [layer, mlp_step, convolution, convolution_weight_update, convolution_adjoint]


@pytest.mark.parametrize("make", SAMPLES)
@pytest.mark.parametrize("n", [1, 7, 16, 17])
def test_all_passes_together(make, n):
    n = min(n, 2) if make in SAMPLES[2:] else n
    assert_same_meaning(make(), schedule(make()), {"N": n})


@pytest.mark.parametrize("make", SAMPLES)
@pytest.mark.parametrize("name", [p.name for p in PASSES])
def test_each_pass_alone_and_all_but_each(make, name):
    before = make()
    others = [p.name for p in PASSES if p.name != name]
    for disabled in ([name], others):
        assert_same_meaning(before, schedule(before, disable=disabled), {"N": 2})


@pytest.mark.parametrize("machine", [Machine(16, 16), Machine(32, 16)])
def test_other_machines(machine):
    assert_same_meaning(mlp_step(), schedule(mlp_step(), machine), {"N": 5})


def test_an_unknown_pass_is_refused():
    with pytest.raises(CompileError, match="fuze"):
        schedule(layer(), disable=("fuze",))


def test_every_pass_documents_before_and_after():
    for step in PASSES:
        assert "->" in (step.run.__doc__ or ""), step.name


def test_same_text_under_two_hash_seeds():
    code = (
        "from tests.schedule.samples import mlp_step; from graphnn.schedule.passes import schedule;"
        "from graphnn.lower.printer import print_program; print(print_program(schedule(mlp_step())))"
    )
    texts = [
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert texts[0] == texts[1]
    assert b"contract" in texts[0]
