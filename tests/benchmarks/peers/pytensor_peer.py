"""PyTensor's side, its Numba linker: python -m tests.benchmarks.peers.pytensor_peer THREADS"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("NUMBA_NUM_THREADS", sys.argv[1])

import numpy as np
import pytensor
import pytensor.tensor as pt

from tests.benchmarks.peers.server import Built, Cannot, compiling, serve
from tests.benchmarks.works import ADAM, Chain, Work

pytensor.config.floatX = "float32"


def build(work: Work) -> Built:
    if isinstance(work, Chain):
        return build_chain(work)
    if work.kind == "epoch":
        raise Cannot("no loop of updates in one call")
    if any(layer.kind != "dense" for layer in work.layers):
        raise Cannot("no convolution in its compiled mode")
    x, y = (pytensor.shared(a, borrow=True) for a in work.data())
    weights = [(pytensor.shared(w), pytensor.shared(b)) for w, b in work.weights()]
    compiling.start()
    h = x
    for n, (weight, bias) in enumerate(weights):
        h = h @ weight + bias
        h = h if n == len(weights) - 1 and not work.quadratic else pt.sigmoid(h)
    if work.quadratic:
        loss = ((h - y) ** 2).sum() / np.float32(2 * work.batch)
    else:
        loss = -pt.special.log_softmax(h, axis=1)[pt.arange(work.batch), y].mean()
    flat = [variable for pair in weights for variable in pair]
    slopes = pytensor.grad(loss, flat)
    updates = [(w, w - np.float32(work.rate) * g) for w, g in zip(flat, slopes, strict=True)]
    step = pytensor.function([], loss, updates=updates, mode="NUMBA")
    step.trust_input = True
    return lambda: float(step())


def build_chain(work: Chain) -> Built:
    x, *more = (pytensor.shared(a) for a in work.data())
    if work.formula != "adam":
        formulas = {
            "sigmoid": pt.sigmoid,
            "gelu": lambda t: t * (1 + pt.erf(t / np.float32(np.sqrt(2)))) / 2,
            "softmax": lambda t: pt.special.softmax(t, axis=1),
        }
        result = pytensor.Out(formulas[work.formula](x), borrow=True)
        return pytensor.function([], result, mode="NUMBA")
    g, m, v = more
    count = pytensor.shared(np.float32(0))
    beta1, beta2, rate, eps = (np.float32(ADAM[name]) for name in ("beta1", "beta2", "lr", "eps"))
    new = count + np.float32(1)
    new_m, new_v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
    step = rate * (new_m / (1 - beta1**new)) / (pt.sqrt(new_v / (1 - beta2**new)) + eps)
    updates = [(count, new), (m, new_m), (v, new_v), (x, x - step)]
    return pytensor.function([], [], updates=updates, mode="NUMBA"), lambda: x.get_value(borrow=True)


if __name__ == "__main__":
    serve(build)
