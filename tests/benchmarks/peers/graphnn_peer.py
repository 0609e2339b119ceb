"""graphnn's side: python -m tests.benchmarks.peers.graphnn_peer THREADS"""

from __future__ import annotations

import importlib
import os
import sys

import graphnn as gn
from tests.benchmarks.peers.server import Built, compiling, serve
from tests.benchmarks.works import ADAM, Array, Chain, Net, Work

CACHED = os.environ.get("GRAPHNN_CACHE") != "0"
# What `import graphnn` puts off until it is used.
PUT_OFF = (
    "graphnn.ops",
    "graphnn.nn.layers",
    "graphnn.nn.optimizers",
    "graphnn.nn.training.trainer",
    "graphnn.pipeline",
)
COMPILER = ("sympy", "graphnn.derive.reverse", "graphnn.stages")


def declare(work: Net, weights: list[tuple[Array, Array]]) -> tuple[gn.Tensor, gn.Tensor]:
    """(outputs, loss) of a new network with the inputs x and y and these weights."""
    activation = getattr(gn, work.activation)
    net = gn.Network()
    h = net.input("x", ("N", *work.shape))
    y = net.input("y", ("N", work.classes)) if work.quadratic else net.input("y", ("N",), dtype="int64")
    weighted = [n for n, layer in enumerate(work.layers) if layer.has_weights]
    for n, layer in enumerate(work.layers):
        active = activation if n != weighted[-1] or work.quadratic else None
        if layer.kind == "conv":
            sizes = {"stride": layer.stride, "padding": layer.padding}
            h = gn.conv2d(h, layer.units, layer.window, **sizes, activation=active, name=f"layer{n}")
        elif layer.kind == "dense":
            if h.ndim > 2:
                h = gn.reshape(h, ("N", -1))
            h = gn.dense(h, layer.units, activation=active, name=f"layer{n}")
        else:
            h = (gn.max_pool if layer.kind == "max" else gn.avg_pool)(h, layer.window, stride=layer.stride)
    with compiling.paused():
        for n, (weight, bias) in zip(weighted, weights, strict=True):
            net.state[f"layer{n}.W"], net.state[f"layer{n}.b"] = weight, bias
    return h, gn.quadratic(h, y) if work.quadratic else gn.softmax_cross_entropy(h, y)


def trainer(loss: gn.Tensor, work: Net, threads: int = 1) -> gn.Trainer:
    return gn.Trainer(loss, optimizer=gn.SGD(work.rate), batch_size=work.batch, threads=threads)


def build(work: Work, threads: int) -> Built:
    if isinstance(work, Chain):
        return build_chain(work, threads)
    x, y = work.data()
    weights = work.weights()
    compiling.start()
    outputs, loss = declare(work, weights)
    if work.kind == "inference":
        return gn.compile(outputs, sizes={"N": work.batch}, threads=threads).bind(x=x)
    trained = trainer(loss, work, threads)
    if work.kind == "step":
        return lambda: trained.step(x=x, y=y)
    return lambda: trained.fit({"x": x, "y": y}, shuffle=False, progress=False).loss[0]


def build_chain(work: Chain, threads: int) -> Built:
    x, *more = work.data()
    net = gn.Network()
    if work.formula != "adam":
        function = {"sigmoid": gn.sigmoid, "gelu": gn.gelu, "softmax": gn.softmax}[work.formula]
        return gn.compile(function(net.input("x", x.shape)), threads=threads).bind(x=x)
    g, m, v = more
    weight, slope = net.parameter("w", x.shape), net.input("g", x.shape)
    net.state["w"] = x
    updates = gn.Adam(*ADAM.values()).updates([weight], [slope])
    for name, value in (("m", m), ("v", v)):
        (slot,) = (key for key in updates if key.endswith(name))
        net.state[slot] = value
    (count,) = (updates[key] for key in updates if key.endswith("t"))
    return gn.compile(count, updates=updates, threads=threads).bind(g=g), lambda: net.state["w"]


if __name__ == "__main__":
    # A program from the cache is to show by itself that it needs neither sympy nor the compiler.
    for module in PUT_OFF if CACHED else (*PUT_OFF, *COMPILER):
        importlib.import_module(module)
    serve(lambda work: build(work, int(sys.argv[1])))
