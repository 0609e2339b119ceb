"""graphnn's side: python graphnn_peer.py WORK THREADS"""

from __future__ import annotations

import sys

from server import serve
from works import RATE, WORKS

import graphnn as gn


def main(name: str, threads: int) -> None:
    work = WORKS[name]
    activation = getattr(gn, work.activation)
    net = gn.Network(name)
    h = net.input("x", ("N", *work.shape))
    y = net.input("y", ("N",), dtype="int64")
    weighted = [n for n, layer in enumerate(work.layers) if layer.kind in ("dense", "conv")]
    for n, layer in enumerate(work.layers):
        active = activation if n != weighted[-1] else None
        if layer.kind == "conv":
            h = gn.conv2d(h, layer.units, layer.window, padding=layer.padding, activation=active, name=f"layer{n}")
        elif layer.kind == "dense":
            if h.ndim > 2:
                h = gn.reshape(h, ("N", -1))
            h = gn.dense(h, layer.units, activation=active, name=f"layer{n}")
        else:
            h = (gn.max_pool if layer.kind == "max" else gn.avg_pool)(h, 2)
    for n, (weight, bias) in zip(weighted, work.weights(), strict=True):
        net.state[f"layer{n}.W"], net.state[f"layer{n}.b"] = weight, bias
    loss = gn.softmax_cross_entropy(h, y)
    trainer = gn.Trainer(loss, optimizer=gn.SGD(RATE), batch_size=work.batch, threads=threads)
    x, labels = work.data()
    serve(lambda: trainer.step(x=x, y=labels))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
