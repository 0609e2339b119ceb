"""TensorFlow's side, images as NHWC, a tf.function: python -m tests.benchmarks.peers.tensorflow_peer THREADS [xla]"""

from __future__ import annotations

import os
import sys
from functools import partial

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow as tf

from tests.benchmarks.peers.server import Built, compiling, serve
from tests.benchmarks.works import ADAM, Chain, Net, Work

THREADS, XLA = int(sys.argv[1]), "xla" in sys.argv[2:]
ACTIVATIONS = {"sigmoid": tf.nn.sigmoid, "tanh": tf.nn.tanh, "relu": tf.nn.relu}
function = partial(tf.function, jit_compile=XLA)


def forward(work: Net, weights, h):
    parts = iter(weights)
    for n, layer in enumerate(work.layers):
        if not layer.has_weights:
            h = tf.nn.pool(h, [layer.window] * 2, layer.kind.upper(), strides=[layer.stride] * 2)
            continue
        weight, bias = next(parts)
        if layer.kind == "conv":
            around = [[0, 0], *[[layer.padding] * 2] * 2, [0, 0]]
            h = tf.nn.bias_add(tf.nn.conv2d(h, weight, layer.stride, around), bias)
        else:
            if len(h.shape) > 2:
                h = tf.reshape(tf.transpose(h, (0, 3, 1, 2)), (work.batch, -1))
            h = tf.matmul(h, weight) + bias
        h = h if n == len(work.layers) - 1 and not work.quadratic else ACTIVATIONS[work.activation](h)
    return h


def update(work: Net, weights, x, y):
    with tf.GradientTape() as tape:
        z = forward(work, weights, x)
        if work.quadratic:
            loss = tf.reduce_sum((z - y) ** 2) / (2 * work.batch)
        else:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, z))
    flat = [variable for pair in weights for variable in pair]
    for variable, slope in zip(flat, tape.gradient(loss, flat), strict=True):
        variable.assign_sub(work.rate * slope)
    return loss


def build(work: Work) -> Built:
    if isinstance(work, Chain):
        return build_chain(work)
    x, y = work.data()
    x, y = tf.constant(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x), tf.constant(y)
    weights = [(tf.Variable(w.transpose(2, 3, 1, 0) if w.ndim == 4 else w), tf.Variable(b)) for w, b in work.weights()]
    compiling.start()
    if work.kind == "inference":
        return function(lambda: forward(work, weights, x))
    if work.kind == "step":
        step = function(lambda: update(work, weights, x, y))
        return lambda: float(step())

    def epoch():
        total = tf.constant(0.0)
        for row in tf.range(work.steps):
            total += update(work, weights, x[row : row + 1], y[row : row + 1])
        return total / work.steps

    steps = function(epoch)
    return lambda: float(steps())


def build_chain(work: Chain) -> Built:
    if work.formula == "adam":
        return build_adam(work)
    x = tf.constant(work.data()[0])
    formulas = {"sigmoid": tf.nn.sigmoid, "gelu": partial(tf.nn.gelu, approximate=False), "softmax": tf.nn.softmax}
    return partial(function(formulas[work.formula]), x)


def build_adam(work: Chain) -> Built:
    x, g, m, v = work.data()
    weight, first, second = tf.Variable(x), tf.Variable(m), tf.Variable(v)
    slope, count = tf.constant(g), tf.Variable(0.0)
    beta1, beta2 = ADAM["beta1"], ADAM["beta2"]

    def rule():
        powers = count.assign_add(1.0)
        if not XLA:  # the kernel that the library's own optimizer calls
            resources = (weight.handle, first.handle, second.handle)
            tf.raw_ops.ResourceApplyAdam(
                var=resources[0], m=resources[1], v=resources[2], beta1_power=beta1**powers, beta2_power=beta2**powers,
                lr=ADAM["lr"], beta1=beta1, beta2=beta2, epsilon=ADAM["eps"], grad=slope,
            )  # fmt: skip
            return
        mean = first.assign(beta1 * first + (1 - beta1) * slope) / (1 - beta1**powers)
        square = second.assign(beta2 * second + (1 - beta2) * slope * slope) / (1 - beta2**powers)
        weight.assign_sub(ADAM["lr"] * mean / (tf.sqrt(square) + ADAM["eps"]))

    return function(rule), weight.numpy


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    serve(build)
