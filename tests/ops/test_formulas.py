"""Each op's formula in index notation, its nodes' names, attributes and dtypes."""

from collections.abc import Callable

import pytest

import graphnn.ops  # noqa: F401  fills the registry
from graphnn.declare.definition import formula_text
from graphnn.declare.network import Network, Tensor
from graphnn.declare.registry import OPS


def declare() -> Network:
    network = Network()
    network.input("x", ("N", 3, 4))
    network.input("y", ("N", 3, 4))
    network.input("v", (4,))
    network.input("m", (4, 6))
    network.input("z", ("N", 5))
    network.input("w", ("N", 5))
    network.input("label", ("N",), dtype="int64")
    network.input("mask", ("N", 1, 4), dtype="bool")
    return network


def formulas(network: Network, tensor: Tensor) -> list[str]:
    """The formulas of the nodes that make up a tensor, as text."""
    made = [t for t in network.ancestors([tensor]) if t.definition is not None]
    return [formula_text(t.definition, tuple(o.name for o in network.operands(t)), t.name) for t in made]


AT = "i0, i1, i2"
# fmt: off
UNARY = {
    "identity": "x",             "negative": "-x",           "square": "x**2",             "abs": "Abs(x)",
    "sqrt": "sqrt(x)",           "exp": "exp(x)",            "expm1": "expm1(x)",          "log": "log(x)",
    "log1p": "log1p(x)",         "relu": "Max(0, x)",        "sigmoid": "1/(1 + exp(-x))",
    "softplus": "log(exp(x) + 1)",
    "tanh": "(exp(x) - exp(-x))/(exp(x) + exp(-x))",         "step": "Piecewise((1, x > 0), (0, True))",
    "leaky_relu": "Piecewise((x, x > 0), (x/100, True))",
}
BINARY = {
    "add": "x + y",    "subtract": "x - y",      "multiply": "x*y",      "divide": "x/y",        "power": "x**y",
    "less": "x < y",   "less_equal": "x <= y",   "greater": "x > y",     "greater_equal": "x >= y",
    "equal": "Eq(x, y)", "not_equal": "Ne(x, y)", "maximum": "Max(x, y)", "minimum": "Min(x, y)",
}
# fmt: on


def at(expression: str, *names: str) -> str:
    """The expression with each operand read at i0, i1, i2."""
    for name in names:
        expression = "".join(f"{name}[{AT}]" if part == name else part for part in split(expression))
    return expression


def split(expression: str) -> list[str]:
    """Words and single characters."""
    parts = [""]
    for letter in expression:
        if letter.isalnum() and parts[-1].isalnum():
            parts[-1] += letter
        else:
            parts.append(letter)
    return parts


@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str) -> None:
    network = declare()
    tensor = OPS[name](network["x"])
    assert formulas(network, tensor) == [f"{name}[{AT}] = {at(UNARY[name], 'x')}"]
    assert tensor.dtype == "float32"


@pytest.mark.parametrize("name", BINARY)
def test_binary(name: str) -> None:
    network = declare()
    tensor = OPS[name](network["x"], network["y"])
    assert formulas(network, tensor) == [f"{name}[{AT}] = {at(BINARY[name], 'x', 'y')}"]
    compares = any(sign in BINARY[name] for sign in ("<", ">", "Eq", "Ne"))
    assert tensor.dtype == ("bool" if compares else "float32")


Build = Callable[[Network], Tensor]
CASES: list[tuple[Build, list[str]]] = [
    (lambda n: OPS["clip"](n["v"], -1, high=0.5), ["clip[i0] = Min(1/2, Max(-1, v[i0]))"]),
    (lambda n: OPS["generalised_logistic"](n["v"], A=2, B=-3.0),
     ["generalised_logistic[i0] = 1/(1 + 2*exp(-3*v[i0]))"]),
    (lambda n: OPS["leaky_relu"](n["v"], alpha=0.25),
     ["leaky_relu[i0] = Piecewise((v[i0], v[i0] > 0), (v[i0]/4, True))"]),
    (lambda n: OPS["where"](n["mask"], n["x"], 0),
     ["where[i0, i1, i2] = Piecewise((x[i0, i1, i2], Ne(mask[i0, 0, i2], 0)), (0, True))"]),
    (lambda n: 1 - n["v"] ** 0.5, ["power[i0] = sqrt(v[i0])", "subtract[i0] = 1 - power[i0]"]),
    (lambda n: n["v"] * 0, ["multiply[i0] = 0"]),
    (lambda n: n["x"] @ n["m"], ["matmul[i0, i1, i2] = sum[r0 < 4](m[r0, i2]*x[i0, i1, r0])"]),
    (lambda n: n["v"] @ n["m"], ["matmul[i0] = sum[r0 < 4](m[r0, i0]*v[r0])"]),
    (lambda n: n["x"] @ n["v"], ["matmul[i0, i1] = sum[r0 < 4](v[r0]*x[i0, i1, r0])"]),
    (lambda n: n["v"] @ n["v"], ["matmul = sum[r0 < 4](v[r0]**2)"]),
    (lambda n: n["x"].T, ["transpose[i0, i1, i2] = x[i2, i1, i0]"]),
    (lambda n: OPS["transpose"](n["x"], (1, -1, 0)), ["transpose[i0, i1, i2] = x[i2, i0, i1]"]),
    (lambda n: OPS["reshape"](n["x"], ("N", -1)), ["reshape[i0, i1] = x[i0, floor(i1/4), Mod(i1, 4)]"]),
    (lambda n: OPS["reshape"](n["x"], (-1, 1, 4)), ["reshape[i0, i1, i2] = x[floor(i0/3), Mod(i0, 3), i2]"]),
    (lambda n: n["x"][1:, None, -1, ::-2], ["slice[i0, i1, i2] = x[i0 + 1, 2, 3 - 2*i2]"]),
    (lambda n: n["x"][::-1, ..., 0], ["slice[i0, i1] = x[N - i0 - 1, i1, 0]"]),
    (lambda n: OPS["gather"](n["m"], n["label"]), ["gather[i0, i1] = m[label[i0], i1]"]),
    (lambda n: OPS["one_hot"](n["label"], 7), ["one_hot[i0, i1] = Piecewise((1, Eq(i1, label[i0])), (0, True))"]),
    (lambda n: OPS["concatenate"]([n["z"], n["w"]], axis=-1),
     ["concatenate[i0, i1] = Piecewise((z[i0, i1], i1 < 5), (w[i0, i1 - 5], True))"]),
    (lambda n: OPS["stack"]([n["z"], n["w"]], axis=1),
     ["stack[i0, i1, i2] = Piecewise((z[i0, i2], Eq(i1, 0)), (w[i0, i2], True))"]),
    (lambda n: OPS["sum"](n["x"], axis=(0, -1)), ["sum[i0] = sum[r0 < N, r1 < 4](x[r0, i0, r1])"]),
    (lambda n: OPS["max"](n["x"], axis=1, keepdims=True), ["max[i0, i1, i2] = max[r0 < 3](x[i0, r0, i2])"]),
    (lambda n: OPS["min"](n["v"]), ["min = min[r0 < 4](v[r0])"]),
    (lambda n: OPS["prod"](n["v"]), ["prod = prod[r0 < 4](v[r0])"]),
    (lambda n: OPS["sum"](n["v"], axis=()), ["sum[i0] = v[i0]"]),
    (lambda n: OPS["mean"](n["z"], name="m_"), ["m_.1 = sum[r0 < N, r1 < 5](z[r0, r1])", "m_ = m_.1/(5*N)"]),
    (lambda n: OPS["argmax"](n["z"], axis=1),
     ["argmax.1[i0] = max[r0 < 5](z[i0, r0])",
      "argmax[i0] = min[r0 < 5](Piecewise((r0, Eq(argmax.1[i0], z[i0, r0])), (4, True)))"]),
    (lambda n: OPS["logsumexp"](n["z"], axis=1), ["logsumexp.1[i0] = sum[r0 < 5](exp(z[i0, r0]))",
                                                  "logsumexp[i0] = log(logsumexp.1[i0])"]),
    (lambda n: OPS["softmax"](n["z"], axis=0), ["softmax.1[i0] = sum[r0 < N](exp(z[r0, i0]))",
                                                "softmax[i0, i1] = exp(z[i0, i1])/softmax.1[i1]"]),
    (lambda n: OPS["log_softmax"](n["z"], name="l"), ["l.softmax.1[i0] = sum[r0 < 5](exp(z[i0, r0]))",
                                                      "l.softmax[i0, i1] = exp(z[i0, i1])/l.softmax.1[i0]",
                                                      "l[i0, i1] = log(l.softmax[i0, i1])"]),
    (lambda n: OPS["quadratic"](n["z"], n["w"]),
     ["quadratic.1 = sum[r0 < N, r1 < 5]((-w[r0, r1] + z[r0, r1])**2/2)", "quadratic = quadratic.1/N"]),
    (lambda n: OPS["sum_of_squares"](n["z"], n["w"]),
     ["sum_of_squares = sum[r0 < N, r1 < 5]((-w[r0, r1] + z[r0, r1])**2)"]),
    (lambda n: OPS["cross_entropy"](n["z"], n["label"], reduction="sum"),
     ["cross_entropy = sum[r0 < N](-log(z[r0, label[r0]]))"]),
    (lambda n: OPS["cross_entropy"](n["z"], n["w"], reduction="none"),
     ["cross_entropy[i0] = sum[r0 < 5](-w[i0, r0]*log(z[i0, r0]))"]),
    (lambda n: OPS["softmax_cross_entropy"](n["z"], n["label"], name="loss"),
     ["loss.softmax.1[i0] = sum[r0 < 5](exp(z[i0, r0]))",
      "loss.softmax[i0, i1] = exp(z[i0, i1])/loss.softmax.1[i0]",
      "loss.1 = sum[r0 < N](-log(loss.softmax[r0, label[r0]]))",
      "loss = loss.1/N"]),
    (lambda n: OPS["sigmoid_cross_entropy"](n["v"], n["v"], reduction="none", name="bce"),
     ["bce.sigmoid[i0] = 1/(1 + exp(-v[i0]))",
      "bce[i0] = -v[i0]*log(bce.sigmoid[i0]) - (1 - v[i0])*log(1 - bce.sigmoid[i0])"]),
    (lambda n: OPS["hinge"](n["z"], n["w"], reduction="none"), ["hinge[i0, i1] = Max(0, -w[i0, i1]*z[i0, i1] + 1)"]),
    (lambda n: OPS["l1"](n["z"], n["w"], reduction="sum"), ["l1 = sum[r0 < N, r1 < 5](Abs(w[r0, r1] - z[r0, r1]))"]),
]  # fmt: skip


@pytest.mark.parametrize(("build", "expected"), CASES, ids=[expected[-1] for _, expected in CASES])
def test_formula(build: Build, expected: list[str]) -> None:
    network = declare()
    assert formulas(network, build(network)) == expected


DTYPES: list[tuple[Build, str]] = [
    (lambda n: n["label"] + 1, "int64"),
    (lambda n: n["label"] * 2.0, "float32"),
    (lambda n: n["label"] / 2, "float32"),
    (lambda n: n["label"] > 0.5, "bool"),
    (lambda n: n["label"] * n["z"][:, 0], "float32"),
    (lambda n: OPS["exp"](n["label"]), "float32"),
    (lambda n: OPS["sum"](n["mask"]), "int64"),
    (lambda n: OPS["mean"](n["mask"]), "float32"),
    (lambda n: OPS["max"](n["mask"]), "bool"),
    (lambda n: n["mask"][1:], "bool"),
    (lambda n: OPS["where"](n["mask"], 1, 0), "int64"),
    (lambda n: OPS["where"](n["mask"], 1.0, 0), "float32"),
    (lambda n: OPS["where"](n["mask"], n["mask"], n["mask"]), "bool"),
    (lambda n: OPS["concatenate"]([n["mask"], n["mask"]], 1), "bool"),
    (lambda n: OPS["argmax"](n["z"], axis=0), "int64"),
    (lambda n: OPS["gather"](n["label"], n["label"]), "int64"),
    (lambda n: OPS["one_hot"](n["label"], 3), "float32"),
    (lambda n: OPS["one_hot"](n["label"], 3, dtype="bool"), "bool"),
    (lambda n: n.input("d", (2,), dtype="float64") * 2, "float64"),
]


@pytest.mark.parametrize(("build", "dtype"), DTYPES, ids=range(len(DTYPES)))
def test_dtype(build: Build, dtype: str) -> None:
    assert build(declare()).dtype == dtype


def test_the_promise_of_a_distribution_stands_on_the_node_that_reads_the_target() -> None:
    network = declare()
    loss = OPS["softmax_cross_entropy"](network["z"], network["w"], distribution=True, name="loss")
    (total,) = network.operands(loss)
    assert network.graph.nodes[total.name]["attributes"]["distribution"] is True
    assert network.operands(total)[1] == network["w"]
    labelled = OPS["softmax_cross_entropy"](network["z"], network["label"], distribution=True, reduction="sum")
    assert "distribution" not in network.graph.nodes[labelled.name]["attributes"]


def test_attributes_are_the_keywords_of_the_op() -> None:
    network = declare()
    nodes = network.graph.nodes
    assert nodes[OPS["sum"](network["x"], axis=-1).name]["attributes"] == {"axis": [2], "keepdims": False}
    assert nodes[OPS["reshape"](network["x"], ("N", 12)).name]["attributes"] == {"shape": ["N", 12]}
    assert nodes[OPS["clip"](network["x"], 0, 1).name]["attributes"] == {"low": 0, "high": 1}


def test_definitions_survive_json() -> None:
    network = declare()
    made = [build(network) for build, _ in CASES]
    back = Network.from_json(network.to_json())
    for tensor in network.ancestors(made):
        assert back[tensor.name].definition == tensor.definition
        assert back.graph.nodes[tensor.name]["attributes"] == network.graph.nodes[tensor.name]["attributes"]
