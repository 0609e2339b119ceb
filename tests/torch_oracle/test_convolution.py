"""Convolution, transposed convolution, pooling and upsampling against torch, with gradients, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphnn as gn

torch = pytest.importorskip("torch", reason="torch is an optional second oracle, and not installed")
functional = torch.nn.functional

Build = Callable[..., Any]


def agree(ours: Build, theirs: Build, *shapes: tuple[int, ...]) -> None:
    """Value and all gradients of sum(weights * value), of a function of arrays of these shapes."""
    rng = np.random.default_rng(sum(map(sum, shapes)))
    arrays = [rng.standard_normal(shape) for shape in shapes]
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    right = theirs(*tensors)
    weights = rng.standard_normal(tuple(right.shape))
    (right * torch.tensor(weights)).sum().backward()
    net = gn.Network()
    inputs = [net.input(f"x{n}", a.shape, dtype="float64") for n, a in enumerate(arrays)]
    y = ours(*inputs)
    assert y.shape == tuple(right.shape)
    loss = gn.sum(y * net.input("weights", y.shape, dtype="float64"))
    program = gn.compile([y, *gn.gradients(loss, inputs)])
    value, *gradients = program(weights=weights, **{f"x{n}": a for n, a in enumerate(arrays)})
    np.testing.assert_allclose(value, right.detach().numpy(), rtol=0, atol=1e-12)
    for found, tensor in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(found, tensor.grad.numpy(), rtol=0, atol=1e-12)


CONVOLUTIONS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 3, 9), (4, 3, 3), {}),
    ((2, 4, 11), (6, 2, 3), {"stride": 2, "padding": 2, "dilation": 2, "groups": 2}),
    ((2, 3, 7, 8), (4, 3, 3, 2), {"padding": (1, 0)}),
    ((2, 4, 9, 8), (4, 1, 3, 3), {"stride": (2, 3), "padding": (2, 1), "dilation": (2, 1), "groups": 4}),
    ((1, 3, 23, 27), (8, 3, 11, 11), {"stride": 4, "padding": 2}),
    ((1, 2, 5, 6, 4), (2, 2, 3, 2, 2), {"stride": (1, 2, 2), "padding": 1}),
]


@pytest.mark.parametrize(("x", "W", "attributes"), CONVOLUTIONS)
def test_correlate(x: tuple[int, ...], W: tuple[int, ...], attributes: dict[str, Any]) -> None:
    convolve = getattr(functional, f"conv{len(x) - 2}d")
    agree(
        lambda x, W: gn.correlate(x, W, **attributes),
        lambda x, W: convolve(x, W, **attributes),
        x,
        W,
    )


TRANSPOSED: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 4, 5), (4, 3, 3), {}),
    ((2, 4, 5, 4), (4, 3, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    ((2, 4, 5, 4), (4, 2, 3, 2), {"stride": (3, 2), "padding": (1, 0), "output_padding": (2, 1), "groups": 2}),
    ((1, 2, 4, 5), (2, 3, 3, 3), {"stride": 2, "dilation": 2, "padding": 2}),
    ((1, 2, 3, 2, 3), (2, 2, 2, 3, 2), {"stride": 2}),
]


@pytest.mark.parametrize(("x", "W", "attributes"), TRANSPOSED)
def test_correlate_transpose(x: tuple[int, ...], W: tuple[int, ...], attributes: dict[str, Any]) -> None:
    transpose = getattr(functional, f"conv_transpose{len(x) - 2}d")
    agree(
        lambda x, W: gn.correlate_transpose(x, W, **attributes),
        lambda x, W: transpose(x, W, **attributes),
        x,
        W,
    )


@pytest.mark.parametrize(
    ("x", "size", "stride", "padding"),
    [((2, 3, 9), 3, 2, 1), ((2, 3, 8, 8), 2, 2, 0), ((1, 2, 9, 7), (3, 2), (2, 1), (1, 1)), ((1, 2, 4, 5, 6), 2, 1, 1)],
)
def test_pooling(x: tuple[int, ...], size: Any, stride: Any, padding: Any) -> None:
    count = len(x) - 2
    largest, mean = (getattr(functional, f"{name}_pool{count}d") for name in ("max", "avg"))
    agree(lambda x: gn.max_pool(x, size, stride, padding), lambda x: largest(x, size, stride, padding), x)
    for included in (False, True):
        agree(
            lambda x, included=included: gn.avg_pool(x, size, stride, padding, include_padding=included),
            lambda x, included=included: mean(x, size, stride, padding, count_include_pad=included),
            x,
        )


@pytest.mark.parametrize(("mode", "theirs"), [("reflect", "reflect"), ("replicate", "replicate"), ("zero", "constant")])
def test_padding(mode: str, theirs: str) -> None:
    agree(
        lambda x: gn.pad(x, ((0, 0), (0, 0), (2, 1), (0, 3)), mode),
        lambda x: functional.pad(x, (0, 3, 2, 1), mode=theirs),  # torch begins with the last axis
        (1, 2, 3, 5),
    )


@pytest.mark.parametrize("factor", [2, 3, (4, 1), (1, 5)])
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_upsampling(mode: str, factor: Any) -> None:
    options = {"align_corners": False} if mode == "bilinear" else {}
    agree(
        lambda x: gn.upsample(x, factor, mode),
        lambda x: functional.interpolate(x, scale_factor=factor, mode=mode, **options),
        (2, 2, 4, 3),
    )


def test_ties_of_overlapping_windows_go_to_the_first_as_in_torch() -> None:
    x = np.random.default_rng(0).integers(0, 3, (2, 2, 7, 7)).astype(np.float64)
    tensor = torch.tensor(x, requires_grad=True)
    functional.max_pool2d(tensor, 3, 2, 1).sum().backward()
    net = gn.Network()
    y = gn.max_pool(net.input("x", x.shape, dtype="float64"), 3, 2, 1)
    (gradient,) = gn.gradients(y, [net["x"]], ties="first")
    np.testing.assert_array_equal(gn.compile(gradient)(x=x), tensor.grad.numpy())
