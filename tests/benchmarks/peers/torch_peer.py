"""PyTorch's side, images in channels_last: python -m tests.benchmarks.peers.torch_peer THREADS [compile]"""

from __future__ import annotations

import sys
from functools import partial

import torch
from torch import nn
from torch.optim.adam import adam

from tests.benchmarks.peers.server import Built, Cannot, compiling, serve
from tests.benchmarks.works import ADAM, Chain, Net, Work

THREADS, COMPILED = int(sys.argv[1]), "compile" in sys.argv[2:]


def build(work: Work) -> Built:
    torch._dynamo.reset() if COMPILED else None
    if isinstance(work, Chain):
        return build_chain(work)
    if work.kind == "epoch":
        raise Cannot("no loop of steps in one call")
    x, y = map(torch.from_numpy, work.data())
    model = declare(work)
    if x.ndim == 4:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    compiling.start()
    forward = torch.compile(model) if COMPILED else model
    if work.kind == "inference":
        model.eval()
        return torch.inference_mode()(partial(forward, x))
    optimizer = torch.optim.SGD(model.parameters(), lr=work.rate)
    cross_entropy = nn.CrossEntropyLoss()

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        z = forward(x)
        loss = (z - y).square().sum() / (2 * len(x)) if work.quadratic else cross_entropy(z, y)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def declare(work: Net) -> nn.Module:
    activation = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}[work.activation]
    modules: list[nn.Module] = []
    weights = iter(work.weights())
    for layer, before, _ in work.extents():
        if not layer.has_weights:
            pool = nn.MaxPool2d if layer.kind == "max" else nn.AvgPool2d
            modules.append(pool(layer.window, layer.stride))
            continue
        weight, bias = map(torch.from_numpy, next(weights))
        if layer.kind == "conv":
            module: nn.Module = nn.Conv2d(before[0], layer.units, layer.window, layer.stride, layer.padding)
        else:
            modules += [nn.Flatten()] if len(before) == 3 else []
            weight = weight.T
            module = nn.Linear(weight.shape[1], layer.units)
        with torch.no_grad():
            module.weight.copy_(weight)
            module.bias.copy_(bias)
        modules += [module, activation()]
    return nn.Sequential(*(modules if work.quadratic else modules[:-1]))


def build_chain(work: Chain) -> Built:
    x, *more = map(torch.from_numpy, work.data())
    if work.formula == "adam":
        g, m, v = more
        count = torch.tensor(0.0)
        rule = partial(compiled_adam, x, g, m, v, count) if COMPILED else partial(fused_adam, x, g, m, v, count)
        return torch.no_grad()(rule), lambda: x
    out = torch.empty_like(x)
    formulas = {"sigmoid": torch.sigmoid, "gelu": nn.functional.gelu, "softmax": partial(torch.softmax, dim=1)}
    formula = formulas[work.formula]
    written = {
        "sigmoid": partial(torch.sigmoid, x, out=out),
        "gelu": partial(torch.ops.aten.gelu.out, x, approximate="none", out=out),
        "softmax": partial(torch.softmax, x, 1, out=out),
    }[work.formula]
    return torch.no_grad()(
        partial(torch.compile(lambda t, out: out.copy_(formula(t))), x, out) if COMPILED else written
    )


def fused_adam(x: torch.Tensor, g: torch.Tensor, m: torch.Tensor, v: torch.Tensor, count: torch.Tensor) -> None:
    rates = {name: ADAM[name] for name in ("lr", "beta1", "beta2", "eps")}
    options = {"amsgrad": False, "maximize": False, "weight_decay": 0.0, "foreach": False, "fused": True}
    adam([x], [g], [m], [v], [], [count], **options, **rates)


@torch.compile
def compiled_adam(x: torch.Tensor, g: torch.Tensor, m: torch.Tensor, v: torch.Tensor, count: torch.Tensor) -> None:
    beta1, beta2 = ADAM["beta1"], ADAM["beta2"]
    count += 1
    m.mul_(beta1).add_(g, alpha=1 - beta1)
    v.mul_(beta2).add_(g * g, alpha=1 - beta2)
    x.sub_(ADAM["lr"] * (m / (1 - beta1**count)) / ((v / (1 - beta2**count)).sqrt() + ADAM["eps"]))


if __name__ == "__main__":
    torch.set_num_threads(THREADS)
    serve(build)
