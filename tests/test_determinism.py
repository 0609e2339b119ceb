"""The same graph gives the same text of every stage under any hash seed."""

import os
import subprocess
import sys

import pytest

DECLARE = """
from graphnn.declare.definition import formula_text
from tests.declare.test_serialize import rich_network
network = rich_network()
for tensor in network.ancestors([network[name] for name in network.graph]):
    if tensor.definition is not None:
        names = tuple(o.name for o in network.operands(tensor))
        print(formula_text(tensor.definition, names, tensor.name))
print(network.to_json())
"""

STAGES = {"declare": DECLARE}  # a script for each stage; it prints the stage's text


def run(script: str, seed: int) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("stage", STAGES)
def test_the_text_does_not_depend_on_the_hash_seed(stage):
    first, second = run(STAGES[stage], 0), run(STAGES[stage], 1)
    assert first.count("\n") > 10
    assert first == second


def test_a_text_that_does_depend_on_it_would_be_seen():
    script = "print('\\n'.join({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}))"
    assert len({run(script, seed) for seed in range(4)}) > 1
