"""NumPy's side, large temporaries reused: python -m tests.benchmarks.peers.numpy_peer THREADS"""

from __future__ import annotations

from functools import partial

import numpy as np

from tests.benchmarks.peers.server import Built, Cannot, serve
from tests.benchmarks.works import Array, Chain, Work


def build(work: Work) -> Built:
    if isinstance(work, Chain):
        (x, *_), function = work.data(), {"sigmoid": sigmoid, "softmax": softmax}.get(work.formula)
        if function is None:
            raise Cannot("there is no erf, and no update in one pass")
        return partial(function, x, np.empty_like(x))
    if work.kind != "step" or any(layer.kind != "dense" for layer in work.layers):
        raise Cannot("dense networks only")
    x, y = work.data()
    weights, biases = map(list, zip(*work.weights(), strict=True))
    gradients = [np.empty_like(w) for w in weights]
    rows, n, rate = np.arange(len(x)), np.float32(len(x)), np.float32(work.rate)
    layers = range(len(weights))

    def cross_entropy(z: Array) -> tuple[float, Array]:
        p = softmax(z, z)
        loss = -np.log(p[rows, y]).sum() / n
        p[rows, y] -= 1
        p /= n
        return loss, p

    def quadratic(a: Array) -> tuple[float, Array]:
        error = a - y
        loss = (error * error).sum() / (2 * n)
        error /= n
        return loss, error * a * (1 - a)

    def step() -> float:
        outputs = [x]
        for k in layers:
            z = outputs[-1] @ weights[k]
            z += biases[k]
            outputs.append(sigmoid(z, z) if k != layers[-1] or work.quadratic else z)
        loss, delta = (quadratic if work.quadratic else cross_entropy)(outputs[-1])
        for k in reversed(layers):
            before = outputs[k]
            np.matmul(before.T, delta, out=gradients[k])
            gradients[k] *= rate
            bias = delta.sum(axis=0)
            bias *= rate
            if k:
                delta = delta @ weights[k].T
                delta *= before
                delta *= 1 - before
            weights[k] -= gradients[k]
            biases[k] -= bias
        return float(loss)

    return step


def sigmoid(z: Array, out: Array) -> Array:
    np.negative(z, out=out)
    np.exp(out, out=out)
    out += 1
    return np.reciprocal(out, out=out)


def softmax(z: Array, out: Array) -> Array:
    np.subtract(z, z.max(axis=1, keepdims=True), out=out)
    np.exp(out, out=out)
    out /= out.sum(axis=1, keepdims=True)
    return out


if __name__ == "__main__":
    serve(build)
