"""JAX's side, images as NHWC, jitted with donated weights: python -m tests.benchmarks.peers.jax_peer THREADS"""

from __future__ import annotations

import os
import sys
from functools import partial

if int(sys.argv[1]) == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp

from tests.benchmarks.peers.server import Built, compiling, serve
from tests.benchmarks.works import ADAM, Chain, Net, Work

ACTIVATIONS = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu}


def forward(work: Net, weights, h):
    parts = iter(weights)
    for n, layer in enumerate(work.layers):
        window, strides = (1, layer.window, layer.window, 1), (1, layer.stride, layer.stride, 1)
        if layer.kind == "max":
            h = jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, window, strides, "VALID")
            continue
        if layer.kind == "avg":
            h = jax.lax.reduce_window(h, 0.0, jax.lax.add, window, strides, "VALID") / layer.window**2
            continue
        weight, bias = next(parts)
        if layer.kind == "conv":
            around = [(layer.padding, layer.padding)] * 2
            form = ("NHWC", "HWIO", "NHWC")
            h = jax.lax.conv_general_dilated(h, weight, strides[1:3], around, dimension_numbers=form) + bias
        else:
            if h.ndim > 2:
                h = h.transpose(0, 3, 1, 2).reshape(len(h), -1)
            h = h @ weight + bias
        h = h if n == len(work.layers) - 1 and not work.quadratic else ACTIVATIONS[work.activation](h)
    return h


def update(work: Net, weights, x, y):
    def objective(weights):
        z = forward(work, weights, x)
        if work.quadratic:
            return jnp.sum((z - y) ** 2) / (2 * len(x))
        return jnp.mean(jax.nn.logsumexp(z, axis=1) - jnp.take_along_axis(z, y[:, None], axis=1)[:, 0])

    loss, slopes = jax.value_and_grad(objective)(weights)
    return loss, jax.tree.map(lambda w, g: w - work.rate * g, weights, slopes)


def epoch(work: Net, weights, x, y):
    def one(step, carried):
        total, weights = carried
        rows = (jax.lax.dynamic_slice_in_dim(a, step * work.batch, work.batch) for a in (x, y))
        loss, weights = update(work, weights, *rows)
        return total + loss, weights

    total, weights = jax.lax.fori_loop(0, work.steps, one, (jnp.float32(0), weights))
    return total / work.steps, weights


def build(work: Work) -> Built:
    if isinstance(work, Chain):
        return build_chain(work)
    x, y = work.data()
    x, y = jnp.asarray(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x), jnp.asarray(y)
    weights = [(jnp.array(w.transpose(2, 3, 1, 0) if w.ndim == 4 else w), jnp.array(b)) for w, b in work.weights()]
    jax.block_until_ready((x, y, weights))
    compiling.start()
    if work.kind == "inference":
        infer = jax.jit(lambda weights, x: forward(work, weights, x))
        return lambda: infer(weights, x).block_until_ready()
    training = epoch if work.kind == "epoch" else update
    jitted = jax.jit(lambda weights, x, y: training(work, weights, x, y), donate_argnums=0)

    def step() -> float:
        nonlocal weights
        loss, weights = jitted(weights, x, y)
        return float(jax.block_until_ready((loss, weights))[0])

    return step


def build_chain(work: Chain) -> Built:
    if work.formula == "adam":
        return build_adam(work)
    x = jnp.asarray(work.data()[0])
    exact = partial(jax.nn.gelu, approximate=False)
    formula = {"sigmoid": jax.nn.sigmoid, "gelu": exact, "softmax": jax.nn.softmax}[work.formula]
    # The result goes where the one before was: new pages would cost more than the formula.
    jitted = jax.jit(lambda x, old: formula(x), donate_argnums=1, keep_unused=True)
    result = jnp.zeros_like(x)

    def run() -> jax.Array:
        nonlocal result
        result = jitted(x, result).block_until_ready()
        return result

    return run


def build_adam(work: Chain) -> Built:
    x, g, m, v = map(jnp.array, work.data())
    beta1, beta2 = ADAM["beta1"], ADAM["beta2"]

    def rule(state, g):
        x, m, v, count = state
        count = count + 1
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        mean, square = m / (1 - beta1**count), v / (1 - beta2**count)
        return x - ADAM["lr"] * mean / (jnp.sqrt(square) + ADAM["eps"]), m, v, count

    jitted = jax.jit(rule, donate_argnums=0)
    state = (x, m, v, jnp.float32(0))

    def run() -> None:
        nonlocal state
        state = jax.block_until_ready(jitted(state, g))

    return run, lambda: state[0]


if __name__ == "__main__":
    serve(build)
