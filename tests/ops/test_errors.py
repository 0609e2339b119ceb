"""What ops refuse: the type of the error, its evidence, and a network left as it was."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphnn.ops  # noqa: F401  fills the registry
from graphnn.declare.network import Network
from graphnn.declare.registry import OPS
from graphnn.errors import DTypeError, GraphError, ShapeError
from tests.ops.test_formulas import declare

Build = Callable[[Network], Any]
CASES: list[tuple[Build, type[Exception], str]] = [
    (lambda n: n["x"] + n["z"], ShapeError, r"do not broadcast: extents 4 and 5"),
    (lambda n: n["x"] + n.input("d", (4,), dtype="float64"), DTypeError, r"'a' is float32 and operand 'b' is float64"),
    (lambda n: OPS["where"](n["x"], 0, n["x"]), DTypeError, r"'condition' \('x'\) must be bool, not float32"),
    (lambda n: OPS["relu"](np.zeros(3)), GraphError, r"needs Tensors of one network"),
    (lambda n: OPS["clip"](n["x"], 0), GraphError, r"operand 'high' is missing"),
    (lambda n: n["x"] @ n["z"], ShapeError, r"axis 'k' has extent 4 .* but N in"),
    (lambda n: n["v"] @ n["v"] @ n["v"], ShapeError, r"at least one dimension, got shapes \(\) and \(4,\)"),
    (lambda n: OPS["matmul"](n["x"], 2.0), GraphError, r"operand 1 is a Tensor of a network, not float"),
    (lambda n: OPS["sum"](n["x"], axis=3), ShapeError, r"axis 3 is out of range for 3 dimensions"),
    (lambda n: OPS["sum"](n["x"], axis=(1, -2)), ShapeError, r"given twice"),
    (lambda n: OPS["sum"](n["x"], axis=True), GraphError, r"axis is an int, not True"),
    (lambda n: OPS["sum"](n["x"], axis=[np.zeros(2, int)]), GraphError, r"axis is an int, not array\(\[0, 0\]\)"),
    (lambda n: OPS["mean"](n.input("e", (0, 3)), axis=0), ShapeError, r"axis 0 of 'e' has extent 0"),
    (lambda n: OPS["argmax"](n.input("e", (0, 3))), ShapeError, r"axis 0 of 'e' has extent 0"),
    (lambda n: OPS["argmax"](n["x"], keepdims=True), ShapeError, r"needs an axis"),
    (lambda n: OPS["softmax"](n["v"], axis=1), ShapeError, r"axis 1 is out of range for 1 dimensions \(shape \(4,\)\)"),
    (lambda n: OPS["transpose"](n["x"], (0, 0, 1)), ShapeError, r"each axis of 'x'"),
    (lambda n: OPS["reshape"](n["x"], ("N", 13)), ShapeError, r"has 12\*N elements, .* \(N, 13\) with its 13\*N"),
    (lambda n: OPS["reshape"](n["x"], (-1, 7)), ShapeError, r"12\*N is no multiple of 7"),
    (lambda n: OPS["reshape"](n["x"], (-1, -1)), GraphError, r"only one extent"),
    (lambda n: OPS["reshape"](n["x"], ("__import__('os')", 1)), GraphError, r"not an identifier"),
    (lambda n: n["v"][4], ShapeError, r"runs from 4 to 4 in dimension 0, whose extent is 4"),
    (lambda n: n["v"][-5], ShapeError, r"runs from -1 to -1"),
    (lambda n: n["z"][:5], ShapeError, r"whose extent is N"),
    (lambda n: n["v"][0, 0], ShapeError, r"2 indices for 'v', which has shape \(4,\)"),
    (lambda n: n["x"][..., ...], GraphError, r"at most one"),
    (lambda n: n["v"][::0], GraphError, r"not 0"),
    (lambda n: n["v"][[0, 1]], GraphError, r"not list; see gn.gather"),
    (lambda n: n["v"][n["label"]], GraphError, r"not Tensor; see gn.gather"),
    (lambda n: n["v"][True], GraphError, r"an index is an int, not True"),
    (lambda n: OPS["gather"](n["m"], n["v"]), DTypeError, r"operand 'indices' must be int64, not float32"),
    (lambda n: OPS["one_hot"](n["v"], 3), DTypeError, r"must be int64, not float32"),
    (lambda n: OPS["one_hot"](n["label"], -3), ShapeError, r"depth is nonnegative"),
    (lambda n: OPS["one_hot"](n["label"], 3, dtype="int8"), DTypeError, r"'int8' is not one of"),
    (lambda n: OPS["concatenate"]([n["z"], n["x"]]), ShapeError, r"operand given has shape \(N, 3, 4\)"),
    (lambda n: OPS["concatenate"]([n["m"], n["m"].T], axis=1), ShapeError, r"extent 4 .* but 6 in dimension 0 of 'x1'"),
    (lambda n: OPS["concatenate"]([]), GraphError, r"nonempty sequence"),
    (lambda n: OPS["stack"]([n["z"], n["m"]]), ShapeError, r"extent N .* but 4"),
    (lambda n: OPS["quadratic"](n["z"], n["x"]), ShapeError, r"\('N', 5\), operand 1 \('x'\) \('N', 3, 4\)"),
    (lambda n: OPS["l1"](n["z"], n["w"], reduction="average"), GraphError, r"not 'average'"),
    (lambda n: OPS["l1"](n.input("e", (0,)), n["e"]), ShapeError, r"a mean over no examples"),
    (lambda n: OPS["softmax_cross_entropy"](n["z"], n["v"]), ShapeError, r"operand 1 \('v'\) \(4,\)"),
    (lambda n: OPS["cross_entropy"](n["z"], n["z"][:, 0]), DTypeError, r"operand 'y' must be int64, not float32"),
]


@pytest.mark.parametrize(("build", "error", "evidence"), CASES, ids=[evidence for *_, evidence in CASES])
def test_refused(build: Build, error: type[Exception], evidence: str) -> None:
    with pytest.raises(error, match=evidence):
        build(declare())


def test_a_refused_composition_leaves_the_network_as_it_was() -> None:
    network = declare()
    before = list(network.graph)
    with pytest.raises(ShapeError):
        OPS["softmax_cross_entropy"](network["z"], network["x"])
    with pytest.raises(GraphError, match="already has a node named 'z'"):
        OPS["log_softmax"](network["x"], name="z")
    assert list(network.graph) == before


def test_a_size_may_be_named_like_an_axis() -> None:
    network = Network()
    x = network.input("x", ("k", "b0", "j"))
    assert OPS["add"](x, x).shape == ("k", "b0", "j")
    assert OPS["sum"](x, axis=1).shape == ("k", "j")
    assert OPS["reshape"](x, ("k", -1)).shape == ("k", "b0*j")
    assert (x @ OPS["transpose"](x, (0, 2, 1))).shape == ("k", "b0", "b0")
