"""JAX's side, images as NHWC, one jitted step with donated weights: python jax_peer.py WORK THREADS"""

from __future__ import annotations

import os
import sys

THREADS = int(sys.argv[2])
if THREADS == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from server import serve  # noqa: E402
from works import RATE, WORKS  # noqa: E402


def main(name: str) -> None:
    work = WORKS[name]
    activation = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu}[work.activation]
    last = len(work.layers) - 1

    def forward(weights, h):
        parts = iter(weights)
        for n, layer in enumerate(work.layers):
            if layer.kind == "max":
                h = jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
                continue
            if layer.kind == "avg":
                h = jax.lax.reduce_window(h, 0.0, jax.lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4
                continue
            weight, bias = next(parts)
            if layer.kind == "conv":
                around = [(layer.padding, layer.padding)] * 2
                form = ("NHWC", "HWIO", "NHWC")
                h = jax.lax.conv_general_dilated(h, weight, (1, 1), around, dimension_numbers=form) + bias
            else:
                if h.ndim > 2:
                    h = h.transpose(0, 3, 1, 2).reshape(len(h), -1)
                h = h @ weight + bias
            h = h if n == last else activation(h)
        return h

    def objective(weights, x, y):
        z = forward(weights, x)
        return jnp.mean(jax.nn.logsumexp(z, axis=1) - jnp.take_along_axis(z, y[:, None], axis=1)[:, 0])

    def update(weights, x, y):
        loss, slopes = jax.value_and_grad(objective)(weights, x, y)
        return loss, jax.tree.map(lambda w, g: w - RATE * g, weights, slopes)

    x, y = work.data()
    x = jnp.asarray(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x)
    y = jnp.asarray(y)
    weights = [(jnp.asarray(w.transpose(2, 3, 1, 0) if w.ndim == 4 else w), jnp.asarray(b)) for w, b in work.weights()]
    jitted = jax.jit(update, donate_argnums=0)

    def step() -> float:
        nonlocal weights
        loss, weights = jitted(weights, x, y)
        return float(jax.block_until_ready((loss, weights))[0])

    serve(step)


if __name__ == "__main__":
    main(sys.argv[1])
