"""pad: against numpy.pad at amounts that leave one row or none to spare, and what it refuses."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphnn as gn

Array = np.ndarray[Any, Any]
NUMPY = {"zero": "constant", "replicate": "edge"}


def compiled(x: Array, build: Callable[[gn.Tensor], gn.Tensor], shape: tuple[Any, ...] | None = None) -> Array:
    net = gn.Network()
    result: Array = gn.compile(build(net.input("x", shape or x.shape, dtype="float64")))(x=x)
    return result


@pytest.mark.parametrize("mode", ["zero", "constant", "reflect", "symmetric", "replicate", "edge"])
@pytest.mark.parametrize("amounts", [((0, 0), (3, 3)), ((2, 1), (3, 0)), ((0, 2), (0, 0)), 0, (1, 3)])
def test_modes_are_those_of_numpy(mode: str, amounts: Any) -> None:
    x = np.random.default_rng(0).standard_normal((3, 4))
    pairs = amounts if isinstance(amounts, int) or isinstance(amounts[0], tuple) else [(a, a) for a in amounts]
    np.testing.assert_array_equal(
        compiled(x, lambda t: gn.pad(t, amounts, mode)),
        np.pad(x, pairs, mode=NUMPY.get(mode, mode)),  # type: ignore[call-overload]
    )


def test_a_constant_may_be_any_number_and_extents_symbolic() -> None:
    x = np.arange(6.0).reshape(2, 3)
    result = compiled(x, lambda t: gn.pad(t, ((1, 2), (0, 1)), "constant", value=-0.1), ("N", "M"))
    np.testing.assert_array_equal(result, np.pad(x, ((1, 2), (0, 1)), constant_values=-0.1))


def test_one_element_can_be_mirrored_at_its_edge() -> None:
    x = np.array([[7.0]])
    np.testing.assert_array_equal(compiled(x, lambda t: gn.pad(t, 1, "symmetric")), np.full((3, 3), 7.0))
    np.testing.assert_array_equal(compiled(x, lambda t: gn.pad(t, 4, "replicate")), np.full((9, 9), 7.0))


def test_integers_and_empty_batches_are_padded() -> None:
    net = gn.Network()
    padded = gn.pad(net.input("x", ("N", 2), dtype="int64"), ((0, 0), (1, 2)), "replicate")
    run = gn.compile(padded)
    assert run(x=np.array([[3, 4]])).tolist() == [[3, 3, 4, 4, 4]]
    assert run(x=np.empty((0, 2), np.int64)).shape == (0, 5)


def test_a_reflected_element_gets_the_gradient_of_all_its_images() -> None:
    net = gn.Network()
    x = net.input("x", (3,))
    weighted = gn.pad(x, 2, "reflect") * net.input("g", (7,))
    (gradient,) = gn.gradients(gn.sum(weighted), [x])
    g = np.array([1, 2, 4, 8, 16, 32, 64], np.float32)  # of x2 x1 x0 x1 x2 x1 x0
    assert gn.compile(gradient)(g=g).tolist() == [4 + 64, 2 + 8 + 32, 1 + 16]


REFUSED: list[tuple[Callable[[gn.Tensor], Any], type[Exception], str]] = [
    (lambda x: gn.pad(x, ((0, 0), (3, 0)), "reflect"), gn.ShapeError, r"at least 4 elements of axis 1, but 'x' has 3"),
    (
        lambda x: gn.pad(x, ((0, 0), (0, 4)), "symmetric"),
        gn.ShapeError,
        r"at least 4 elements of axis 1, but 'x' has 3",
    ),
    (lambda x: gn.pad(x[:, 0:0], ((0, 0), (1, 0)), "edge"), gn.ShapeError, r"at least 1 elements of axis 1"),
    (lambda x: gn.pad(x, 1, "reflect"), gn.ShapeError, r"2 elements of axis 0 or more, but the extent N of 'x'"),
    (lambda x: gn.pad(x, 1, "mirror"), gn.GraphError, r"mode 'mirror' is not one of zero, constant, reflect"),
    (lambda x: gn.pad(x, 1, None), gn.GraphError, r"mode None is not one of"),
    (lambda x: gn.pad(x, -1), gn.GraphError, r"padding is nonnegative, not -1"),
    (lambda x: gn.pad(x, (1, 2, 3)), gn.GraphError, r"padding=\(1, 2, 3\) has 3 entries for 2 axes"),
    (lambda x: gn.pad(x, ((1, 2, 3), 0)), gn.GraphError, r"an int or \(before, after\), not \(1, 2, 3\)"),
    (lambda x: gn.pad(x, 1.5), gn.GraphError, r"padding is an int, not 1.5"),
    (lambda x: gn.pad(x, "1"), gn.GraphError, r"padding is an int, not '1'"),
    (lambda x: gn.pad(x, True), gn.GraphError, r"padding is an int, not True"),
    (lambda x: gn.pad(x, 1, "edge", value=2), gn.GraphError, r"value=2 goes with mode='zero' only"),
    (lambda x: gn.pad(x, 1, value=float("nan")), gn.GraphError, r"value is nan"),
    (lambda x: gn.pad(x, 1, value=10**400), gn.GraphError, r"value is 1000"),
    (lambda x: gn.pad(x, 1, value="a"), gn.GraphError, r"value is a number, not 'a'"),
    (lambda x: gn.pad(x, 1, value=None), gn.GraphError, r"value is a number, not None"),
    (lambda x: gn.pad([[1.0]], 1), gn.GraphError, r"operand 0 is a Tensor of a network, not list"),
]


@pytest.mark.parametrize(("build", "error", "evidence"), REFUSED, ids=[evidence for *_, evidence in REFUSED])
def test_refused(build: Callable[[gn.Tensor], Any], error: type[Exception], evidence: str) -> None:
    net = gn.Network()
    x = net.input("x", ("N", 3))
    with pytest.raises(error, match=evidence):
        build(x)


def test_an_error_in_the_second_axis_leaves_the_network_as_it_was() -> None:
    net = gn.Network()
    x = net.input("x", (3, 3))
    with pytest.raises(gn.ShapeError):
        gn.pad(x, ((1, 1), (3, 3)), "reflect")
    with pytest.raises(gn.GraphError, match="already has a node named 'x'"):
        gn.pad(x, 1, "reflect", name="x")
    assert list(net.graph) == ["x"]
