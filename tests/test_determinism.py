"""The same graph gives the same text of every stage under any hash seed, whatever was compiled before it."""

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

STEP = """
import graphnn as gn
def step():
    net = gn.Network("step")
    x, y = net.input("x", ("N", 12)), net.input("y", ("N",), "int64")
    hidden = gn.dense(x, 20, activation=gn.tanh, name="hidden")
    logits = gn.dense(gn.reshape(gn.softmax(gn.reshape(hidden, (-1, 4, 5))), (-1, 20)), 3, name="logits")
    loss = gn.softmax_cross_entropy(logits, y, name="loss")
    return gn.Trainer(loss, gn.Adam(0.01), batch_size=16).executable()
program = step()
for stage in gn.STAGES:
    print(program.stage(stage))
print(program.kernels, program.memory, program.origins)
"""

POOL = """
import graphnn as gn
net = gn.Network("pool")
i, k = gn.indices("i k")
X, W = gn.operands("X W")
correlate = gn.op("c", (i,), gn.Sum(X[2*i + 2*k] * W[k], k), extents={i: (X.shape[0] - 2*(W.shape[0] - 1) - 1)//2 + 1})
pool = gn.op("p", (i,), gn.Max(gn.guard(X[2*i + k - 1]), k), extents={i: X.shape[0]//2, k: 3})
x, w, t = net.input("x", (40,)), net.input("w", (5,)), net.input("t", (3,), "int64")
loss = gn.sum(gn.gather(gn.softplus(pool(correlate(x, w))), t)) + gn.prod(w)
program = gn.compile([loss, *gn.gradients(loss, [x, w])], accuracy="tight", debug=True)
for stage in gn.STAGES:
    print(program.stage(stage))
print(gn.derivation(loss, w))
"""

SCRIPTS = {"declare": DECLARE, "training step": STEP, "windows": POOL}


def run(script: str, seed: int) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_text_does_not_depend_on_the_hash_seed(name):
    first, second = run(SCRIPTS[name], 0), run(SCRIPTS[name], 1)
    assert first.count("\n") > 10
    assert first == second


def test_the_text_does_not_depend_on_what_was_compiled_before():
    alone, after = (
        run(STEP, 0),
        run(
            "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()):\n"
            + "".join(f"    {line}\n" for line in POOL.strip().splitlines())
            + STEP,
            0,
        ),
    )
    assert alone == after


def test_a_text_that_does_depend_on_it_would_be_seen():
    script = "print('\\n'.join({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}))"
    assert len({run(script, seed) for seed in range(4)}) > 1
