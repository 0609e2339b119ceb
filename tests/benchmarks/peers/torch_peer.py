"""PyTorch's side, images in channels_last: python torch_peer.py WORK THREADS [compile]"""

from __future__ import annotations

import sys

import torch
from server import serve
from torch import nn
from works import RATE, WORKS


def main(name: str, threads: int, compiled: bool) -> None:
    torch.set_num_threads(threads)
    work = WORKS[name]
    activation = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}[work.activation]
    modules: list[nn.Module] = []
    weights = iter(work.weights())
    flat = len(work.shape) == 1
    for layer in work.layers:
        if layer.kind in ("max", "avg"):
            modules.append(nn.MaxPool2d(2) if layer.kind == "max" else nn.AvgPool2d(2))
            continue
        weight, bias = map(torch.from_numpy, next(weights))
        if layer.kind == "conv":
            module: nn.Module = nn.Conv2d(weight.shape[1], layer.units, layer.window, padding=layer.padding)
        else:
            if not flat:
                modules.append(nn.Flatten())
                flat = True
            weight = weight.T
            module = nn.Linear(weight.shape[1], layer.units)
        with torch.no_grad():
            module.weight.copy_(weight)
            module.bias.copy_(bias)
        modules += [module, activation()]
    model = nn.Sequential(*modules[:-1])
    x, labels = map(torch.from_numpy, work.data())
    if x.ndim == 4:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    criterion = nn.CrossEntropyLoss()
    forward = torch.compile(model) if compiled else model

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(forward(x), labels)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    serve(step)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), "compile" in sys.argv[3:])
