"""correlate and convolve: filters as one writes them on paper, exact gradients, real sizes, and what is refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

import graphnn as gn

Array = np.ndarray[Any, Any]


def run(op: str, x: Array, W: Array, shape: tuple[Any, ...] | None = None, **attributes: Any) -> Array:
    net = gn.Network()
    tensor = net.input("x", shape or x.shape, dtype=str(x.dtype))
    result: Array = gn.compile(getattr(gn, op)(tensor, net.input("W", W.shape, dtype=str(W.dtype)), **attributes))(
        x=x, W=W
    )
    return result


def im2col(x: Array, W: Array, stride: int, padding: int, groups: int) -> Array:
    """The correlation of (N, C, H, W) as a product of patches and kernels, group by group."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    patches = np.lib.stride_tricks.sliding_window_view(x, W.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    parts = zip(np.split(patches, groups, axis=1), np.split(W, groups, axis=0), strict=True)
    return np.concatenate([np.einsum("ncyxuv,ocuv->noyx", p, w, optimize=True) for p, w in parts], axis=1)


def test_a_box_filter_is_a_moving_average() -> None:
    signal, box = np.array([0.0, 3, 6, 3, 0, 0]), np.ones(3) / 3
    np.testing.assert_allclose(run("correlate", signal, box, ("T",)), [3, 4, 3, 1], rtol=1e-15)
    np.testing.assert_allclose(run("correlate", signal, box, padding=1), [1, 3, 4, 3, 1, 0], rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize(
    "edge", [[[-1, -1, -1], [1, 1, 1], [0, 0, 0]], [[-1, 1, 0], [-1, 1, 0], [-1, 1, 0]]], ids=["horizontal", "vertical"]
)
@pytest.mark.parametrize(
    "mode", [("zero", "constant"), ("symmetric", "reflect"), ("reflect", "mirror"), ("replicate", "nearest")]
)
def test_edge_filters_on_an_image_and_on_each_channel_of_one(edge: Any, mode: tuple[str, str]) -> None:
    image, kernel = np.random.default_rng(1).standard_normal((3, 6, 7)), np.array(edge, float)
    ours, scipys = mode
    expected = np.stack([ndimage.correlate(channel, kernel, mode=scipys) for channel in image])
    for picture, right in ((image[0], expected[0]), (image, expected)):
        result = run("correlate", picture, kernel, padding=1, padding_mode=ours)
        np.testing.assert_allclose(result, right, rtol=0, atol=1e-14)


def test_a_convolution_answers_an_impulse_with_its_kernel_and_a_correlation_with_the_flipped_one() -> None:
    impulse, kernel = np.zeros((5, 5)), np.arange(9.0).reshape(3, 3)
    impulse[2, 2] = 1
    np.testing.assert_array_equal(run("convolve", impulse, kernel, padding=1)[1:4, 1:4], kernel)
    np.testing.assert_array_equal(run("correlate", impulse, kernel, padding=1)[1:4, 1:4], kernel[::-1, ::-1])


def test_full_padding_is_numpy_convolve() -> None:
    rng = np.random.default_rng(2)
    signal, kernel = rng.standard_normal(7), rng.standard_normal(4)
    np.testing.assert_allclose(run("convolve", signal, kernel, padding=3), np.convolve(signal, kernel), atol=1e-14)


@pytest.mark.parametrize(
    ("extent", "size", "stride", "dilation"), [*itertools.product((5, 6, 7), (2, 3, 4), (1, 2, 3), (1, 2))]
)
def test_same_padding_has_as_many_places_as_strides_fit(extent: int, size: int, stride: int, dilation: int) -> None:
    x, W = gn.Network().input("x", (extent,)), np.ones(size)
    places = gn.correlate(x, x.network.input("W", W.shape), stride, "same", dilation=dilation)
    assert places.shape == (-(-extent // stride),)


def test_same_padding_puts_the_odd_element_at_the_end() -> None:
    x = np.array([1.0, 2, 4, 8])
    np.testing.assert_array_equal(run("correlate", x, np.array([1.0, 10]), padding="same"), [21, 42, 84, 8])
    net = gn.Network()  # with stride 1 it is known for every extent
    assert gn.correlate(net.input("x", ("T",)), net.input("W", (4,)), padding="same").shape == ("T",)


@pytest.mark.parametrize(("stride", "dilation"), [*itertools.product((1, 2, 3), (1, 2, 3, 4))])
@pytest.mark.parametrize("op", ["correlate", "convolve"])
def test_gradients_are_exact_for_any_stride_and_dilation(op: str, stride: int, dilation: int) -> None:
    """Small integers, so that every sum is exact; each product is scattered to where its factors came from."""
    rng = np.random.default_rng(stride * 10 + dilation)
    x, W = (rng.integers(-3, 4, shape).astype(float) for shape in ((2, 2, 14), (3, 2, 3)))
    padding = (2, 3)
    places = (14 + sum(padding) - 2 * dilation - 1) // stride + 1
    g = rng.integers(-3, 4, (2, 3, places)).astype(float)
    net = gn.Network()
    tensors = net.input("x", ("N", 2, 14), dtype="float64"), net.input("W", W.shape, dtype="float64")
    y = getattr(gn, op)(*tensors, stride=stride, padding=(padding,), dilation=dilation)
    found = gn.gradients(gn.sum(y * net.input("g", ("N", 3, places), dtype="float64")), tensors)
    value, dx, dW = gn.compile([y, *found])(x=x, W=W, g=g)
    expected, ex, eW = np.zeros_like(g), np.zeros_like(x), np.zeros_like(W)
    for n, o, c, place, u in itertools.product(range(2), range(3), range(2), range(places), range(3)):
        t = stride * place + dilation * (u if op == "correlate" else 2 - u) - padding[0]
        if 0 <= t < 14:
            expected[n, o, place] += W[o, c, u] * x[n, c, t]
            ex[n, c, t] += g[n, o, place] * W[o, c, u]
            eW[o, c, u] += g[n, o, place] * x[n, c, t]
    np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(dx, ex)
    np.testing.assert_array_equal(dW, eW)


def test_zero_padding_is_the_guard_of_one_formula() -> None:
    net = gn.Network()
    y = gn.correlate(net.input("x", ("N", 2, 8, 8)), net.input("W", (4, 2, 3, 3)), padding=1, name="y")
    assert list(net.graph) == ["x", "W", "y"]
    assert y.definition is not None
    assert [e.size for e in y.definition.reduced] == [2, 3, 3]


def test_spatial_extents_may_be_symbolic() -> None:
    rng = np.random.default_rng(3)
    W = rng.standard_normal((2, 3, 3, 3))
    net = gn.Network()
    x = net.input("x", ("N", 3, "H", "W"), dtype="float64")
    y = gn.correlate(x, net.input("kernel", W.shape, dtype="float64"), stride=2, padding=1)
    (gradient,) = gn.gradients(gn.sum(y * y), [x])
    program = gn.compile([y, gradient])
    for extents in ((7, 4), (3, 9), (1, 2)):
        values = {"x": rng.standard_normal((2, 3, *extents)), "kernel": W}
        value, dx = program(**values)
        np.testing.assert_allclose(value, im2col(values["x"], W, 2, 1, 1), atol=1e-13)
        np.testing.assert_allclose(dx, gn.evaluate([gradient], values)[0], atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding", "groups"),
    [
        ((1, 3, 224, 224), (96, 3, 11, 11), 4, 2, 1),
        ((1, 96, 27, 27), (256, 48, 5, 5), 1, 2, 2),
        ((1, 256, 13, 13), (384, 256, 3, 3), 1, 1, 1),
    ],
    ids=["11x11 stride 4", "5x5 groups 2", "3x3"],
)
def test_sizes_of_alexnet(
    shape: tuple[int, ...], kernel: tuple[int, ...], stride: int, padding: int, groups: int
) -> None:
    rng = np.random.default_rng(4)
    x, W = rng.standard_normal(shape), rng.standard_normal(kernel) / np.sqrt(np.prod(kernel[1:]))
    narrow = x.astype(np.float32), W.astype(np.float32)
    result = run("correlate", *narrow, ("N", *shape[1:]), stride=stride, padding=padding, groups=groups)
    np.testing.assert_allclose(result, im2col(x, W, stride, padding, groups), rtol=0, atol=1e-5)


def test_a_window_of_one_is_a_matrix_product() -> None:
    rng = np.random.default_rng(5)
    x, W = rng.standard_normal((2, 5, 3, 4)), rng.standard_normal((6, 5, 1, 1))
    expected = np.einsum("oc,nchw->nohw", W[:, :, 0, 0], x)
    np.testing.assert_allclose(run("correlate", x, W), expected, atol=1e-14)


def test_one_channel_to_a_group_reads_that_channel_only() -> None:
    x = np.random.default_rng(6).standard_normal((1, 3, 4, 4))
    W = np.random.default_rng(7).standard_normal((3, 1, 2, 2))
    result = run("correlate", x, W, groups=3)
    for c in range(3):
        np.testing.assert_allclose(result[0, c], run("correlate", x[0, c], W[c, 0]), atol=1e-15)


REFUSED: list[tuple[Callable[[gn.Tensor, gn.Tensor], Any], type[Exception], str]] = [
    (
        lambda x, W: gn.correlate(x[:, :, :2], W),
        gn.ShapeError,
        r"covers 3 elements of axis 2 .* has 2 and 0 \+ 0 of padding",
    ),
    (lambda x, W: gn.correlate(x, W, dilation=4), gn.ShapeError, r"covers 9 elements of 3 elements dilated by 4"),
    (
        lambda x, W: gn.correlate(x, W, dilation=(1, 5), padding=1),
        gn.ShapeError,
        r"covers 11 .* axis 3 .* has 8 and 1 \+ 1",
    ),
    (
        lambda x, W: gn.correlate(x, W, padding=8, padding_mode="reflect"),
        gn.ShapeError,
        r"at least 9 elements of axis 2",
    ),
    (
        lambda x, W: gn.correlate(x, W, padding=9, padding_mode="symmetric"),
        gn.ShapeError,
        r"at least 9 elements of axis 2",
    ),
    (
        lambda x, W: gn.correlate(x, W, groups=3),
        gn.ShapeError,
        r"groups=3 does not divide the 4 input channels \('x' has",
    ),
    (
        lambda x, W: gn.correlate(x, W[:3, :2], groups=2),
        gn.ShapeError,
        r"groups=2 does not divide the 3 output channels",
    ),
    (
        lambda x, W: gn.correlate(x, W, groups=2),
        gn.ShapeError,
        r"x has 4 channels in axis 1, but W reads 8: 2 groups of 4",
    ),
    (lambda x, W: gn.correlate(x[:, :3], W), gn.ShapeError, r"x has 3 channels .* W reads 4: 1 group of 4"),
    (lambda x, W: gn.correlate(x, W, groups=0), gn.GraphError, r"groups is at least 1, not 0"),
    (lambda x, W: gn.correlate(x, W, groups="2"), gn.GraphError, r"groups is an int, not '2'"),
    (lambda x, W: gn.correlate(x, W, stride=0), gn.GraphError, r"stride is at least 1, not 0"),
    (lambda x, W: gn.correlate(x, W, stride=(1, -2)), gn.GraphError, r"stride is at least 1, not -2"),
    (lambda x, W: gn.correlate(x, W, stride=b"12"), gn.GraphError, r"stride is an int, not b'12'"),
    (lambda x, W: gn.correlate(x, W, stride=1.5), gn.GraphError, r"stride is an int, not 1.5"),
    (lambda x, W: gn.correlate(x, W, stride=(1, 1, 1)), gn.GraphError, r"3 entries, but there are 2 spatial axes"),
    (lambda x, W: gn.correlate(x, W, dilation=0), gn.GraphError, r"dilation is at least 1, not 0"),
    (lambda x, W: gn.correlate(x, W, dilation=-1), gn.GraphError, r"dilation is at least 1, not -1"),
    (lambda x, W: gn.correlate(x, W, padding=-1), gn.GraphError, r"padding is nonnegative, not -1"),
    (lambda x, W: gn.correlate(x, W, padding=((1, 1), (0, -1))), gn.GraphError, r"padding is nonnegative"),
    (lambda x, W: gn.correlate(x, W, padding="full"), gn.GraphError, r"'same' or 'valid', not 'full'"),
    (lambda x, W: gn.correlate(x, W, padding=None), gn.GraphError, r"padding is an int, not None"),
    (lambda x, W: gn.correlate(x, W, padding_mode="circular"), gn.GraphError, r"mode 'circular' is not one of"),
    (
        lambda x, W: gn.correlate(x[:, 0, 0], W),
        gn.ShapeError,
        r"a kernel is \(out, in/groups, \*window\) .* has shape \('N', 8\)",
    ),
    (lambda x, W: gn.correlate(x[:, 0, 0, 0], W[0, 0]), gn.ShapeError, r"filter \(K,\) or \(KH, KW\)"),
    (lambda x, W: gn.correlate(x, gn.sum(W)), gn.ShapeError, r"'sum' \(\)"),
    (lambda x, W: gn.correlate(x, W[0, 0], groups=4), gn.GraphError, r"groups=4 needs a kernel \(out, in/groups"),
    (lambda x, W: gn.correlate(x, W[:, :, :0]), gn.ShapeError, r"a window has at least one element"),
    (
        lambda x, W: gn.convolve(x, np.ones((3, 3))),
        gn.GraphError,
        r"convolve: operand 1 is a Tensor of a network, not ndarray",
    ),
    (
        lambda x, W: gn.correlate(x, x.network.input("d", W.shape, dtype="float64")),
        gn.DTypeError,
        r"declare both with one",
    ),
]


@pytest.mark.parametrize(("build", "error", "evidence"), REFUSED, ids=[evidence for *_, evidence in REFUSED])
def test_refused(build: Callable[[gn.Tensor, gn.Tensor], Any], error: type[Exception], evidence: str) -> None:
    net = gn.Network()
    x, W = net.input("x", ("N", 4, 8, 8)), net.input("W", (6, 4, 3, 3))
    with pytest.raises(error, match=evidence):
        build(x, W)


def test_an_error_leaves_the_network_as_it_was() -> None:
    net = gn.Network()
    x, W = net.input("x", ("N", 4, 8, 8)), net.input("W", (6, 2, 3, 3), dtype="float64")
    with pytest.raises(gn.DTypeError):
        gn.correlate(x, W, padding=1, padding_mode="reflect", groups=2)
    assert list(net.graph) == ["x", "W"]
