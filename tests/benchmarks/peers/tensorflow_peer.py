"""TensorFlow's side, images as NHWC, one tf.function: python tensorflow_peer.py WORK THREADS [xla]"""

from __future__ import annotations

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow as tf
from server import serve
from works import RATE, WORKS


def main(name: str, threads: int, xla: bool) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    work = WORKS[name]
    activation = {"sigmoid": tf.nn.sigmoid, "tanh": tf.nn.tanh, "relu": tf.nn.relu}[work.activation]
    last = len(work.layers) - 1
    variables = [
        (tf.Variable(w.transpose(2, 3, 1, 0) if w.ndim == 4 else w), tf.Variable(b)) for w, b in work.weights()
    ]
    flat = [variable for pair in variables for variable in pair]
    x, y = work.data()
    images, labels = tf.constant(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x), tf.constant(y)

    def forward(h):
        parts = iter(variables)
        for n, layer in enumerate(work.layers):
            if layer.kind in ("max", "avg"):
                h = tf.nn.pool(h, (2, 2), layer.kind.upper(), strides=(2, 2))
                continue
            weight, bias = next(parts)
            if layer.kind == "conv":
                p = layer.padding
                h = tf.nn.bias_add(tf.nn.conv2d(h, weight, 1, [[0, 0], [p, p], [p, p], [0, 0]]), bias)
            else:
                if len(h.shape) > 2:
                    h = tf.reshape(tf.transpose(h, (0, 3, 1, 2)), (work.batch, -1))
                h = tf.matmul(h, weight) + bias
            h = h if n == last else activation(h)
        return h

    @tf.function(jit_compile=xla)
    def update():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, forward(images)))
        for variable, slope in zip(flat, tape.gradient(loss, flat), strict=True):
            variable.assign_sub(RATE * slope)
        return loss

    serve(lambda: float(update()))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), "xla" in sys.argv[3:])
