"""JSON there and back, and every way in which a file can be wrong."""

import json

import networkx
import numpy as np
import pytest
import sympy

from graphnn.declare.definition import formula_text
from graphnn.declare.initializer import Glorot, Normal
from graphnn.declare.network import Network
from graphnn.declare.notation import Sum, indices, operands
from graphnn.declare.op import elementwise, op
from graphnn.declare.reference import evaluate
from graphnn.declare.scalars import expm1, log1p
from graphnn.declare.trees import DEPTH_LIMIT, decode, encode
from graphnn.derive.sweep import gradients
from graphnn.errors import DTypeError, GraphError, GraphnnError, ShapeError
from tests.declare import samples
from tests.declare.samples import network_of

i, j = indices("i j")
X = operands("X")


def rich_network():
    network, x, e, t = network_of(x=("N", 8), e=(5, 2), t=(("M",), "int64"))
    w = network.parameter("w", (8, 3), init=Glorot(), dtype="float64")
    network.parameter("v", (3,), init=Normal(0.1), dtype="float64", role="bias", trainable=False)
    network.variable("count", (), init=2, dtype="int64")
    samples.softmax(samples.matmul(x, w), name="p")
    samples.gather(e, t)
    line = op("line", out=(i,), body=Sum(X[i, j], j))(x)
    samples.pool(line)
    samples.padded(line, network.input("k", (3,), "float64"))
    samples.leaky(x, slope=0.3, name="leak")
    elementwise("many", lambda u: log1p(u**2) + expm1(u) * sympy.sqrt(sympy.Abs(u) + 1.5) + sympy.Mod(u, 2))(x)
    elementwise("clip", lambda u: sympy.Max(-1, sympy.Min(u, 1)) * sympy.sign(u) + sympy.pi)(x)
    elementwise("positive", lambda u: sympy.And(u > 0, sympy.Or(u < 1, sympy.Ne(u, 2))))(x)
    return network


def test_a_network_survives():
    network = rich_network()
    text = network.to_json()
    again = Network.from_json(text)
    assert again.to_json() == text
    assert list(again.graph) == list(network.graph)
    for name, data in network.graph.nodes(data=True):
        read = again.graph.nodes[name]
        assert {k: read[k] for k in data} == data
        assert again.operands(again[name]) == tuple(again[o.name] for o in network.operands(network[name]))
    assert again.initializers == network.initializers
    np.testing.assert_array_equal(again.state["w"], network.state["w"])


def test_what_is_read_computes_the_same():
    network = rich_network()
    again = Network.from_json(network.to_json())
    x = np.random.default_rng(0).normal(size=(4, 8))
    got, want = (evaluate([n["p"]], {"x": x})[0] for n in (again, network))
    np.testing.assert_array_equal(got, want)


def test_what_was_derived_is_known_to_be_when_it_is_read():
    """Summaries and the text of the stage `declare` leave gradients out."""
    network, x = network_of(x=("N", 3))
    w = network.parameter("w", (3, 2), dtype=x.dtype)
    loss = op("total", out=(), body=Sum(X[i, j], i, j))(samples.swish(samples.matmul(x, w)))
    before = network.summary()
    gradients(loss, [w])
    again = Network.from_json(network.to_json())
    assert again.summary() == network.summary() == before
    text = network.to_json().replace('"derived": true', '"derived": 1', 1)
    with pytest.raises(GraphError, match="'derived' is missing or no bool"):
        Network.from_json(text)


def test_equal_definitions_are_stored_once_and_state_is_not():
    network, x = network_of(x=(3,))
    network.parameter("w", (3,), init=1, dtype="float64")
    network.state["w"] = np.array([1234.5, 0, 0])
    samples.swish(samples.swish(x))
    text = network.to_json()
    assert len(json.loads(text)["definitions"]) == 1
    assert "1234.5" not in text
    assert Network.from_json(text).state["w"].tolist() == [1.0] * 3


def test_an_initialiser_of_the_user_is_not_stored():
    network = Network()
    network.parameter("w", (2,), init=lambda shape, generator: np.ones(shape))
    assert Network.from_json(network.to_json()).state["w"].tolist() == [0.0, 0.0]


EVIL = [
    "__import__('pathlib').Path('PROOF').touch()",
    "a\nb\x00\t\"'\\",
    "</script><script>alert(1)</script>",
    "%s{0}{x!r}$(touch PROOF)",
    "t0",
    "名前 ∂",
    "x" * 10_000,
]


@pytest.mark.parametrize("name", EVIL)
def test_a_name_is_an_inert_label(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = Network(name)
    x = network.input(name, (2,), "float64")
    double = elementwise(name, lambda u: 2 * u)(x, name=f"{name}.out")
    again = Network.from_json(network.to_json())
    assert list(again.graph) == [name, f"{name}.out"]
    assert again.name == name
    assert again[f"{name}.out"].definition == double.definition
    assert evaluate([again[f"{name}.out"]], {name: np.ones(2)})[0].tolist() == [2.0, 2.0]
    assert formula_text(double.definition, (name,)) == f"out[i0] = 2*{name}[i0]"
    assert not list(tmp_path.iterdir())


def test_code_in_place_of_a_formula_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "__import__('pathlib').Path('PROOF').touch()"
    for kind in ("int", "rational", "float", "symbol", "size", "eval", code):
        with pytest.raises(GraphError):
            decode([kind, code], {}, "here")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def content():
    network, a, b = network_of(a=("N", 3), b=(3, 2))
    samples.matmul(a, b, name="c")
    samples.swish(network["c"], name="d")
    return json.loads(network.to_json())


def read(content):
    return Network.from_json(json.dumps(content))


def definition(content):
    return content["definitions"][0]


def put(path, value):
    """A change of the file: `value` at `path`, the keys from the top."""

    def change(content):
        *above, last = path
        for key in above:
            content = content[key]
        content[last] = value

    return change


BODY, INDEX, NODE = ("definitions", 0, "body"), ("definitions", 0, "accesses", 0, "index"), ("nodes", 2)
T0, I0, N1 = ["symbol", "t0"], ["symbol", "i0"], ["int", "1"]
BROKEN = [
    (put(("format",), "onnx"), GraphError, "its format is not 'graphnn network'"),
    (put(("version",), 99), GraphError, "format version is 99"),
    (put(("name",), 3), GraphError, "the network: 'name' is missing or no str"),
    (put(("nodes",), {}), GraphError, "the network: 'nodes' is missing or no list"),
    (put(("nodes", 0), 5), GraphError, "node 0 is not an object"),
    (put((*NODE, "name"), "a"), GraphError, "already has a node named 'a'"),
    (put((*NODE, "kind"), "loss"), GraphError, "node 'c': unknown kind 'loss'"),
    (put((*NODE, "operands"), ["a", "d"]), GraphError, "node 'c': operand 1 is 'd', which is no node before it.*cycle"),
    (put((*NODE, "operands"), ["a", "c"]), GraphError, "node 'c': operand 1 is 'c'"),
    (put((*NODE, "operands"), ["a", "zz"]), GraphError, "node 'c': operand 1 is 'zz'"),
    (put((*NODE, "operands"), ["a"]), GraphError, "node 'c': 1 operands for a definition of 2"),
    (put((*NODE, "operands"), ["b", "a"]), ShapeError, "node 'c': operand 0, 'b', has shape"),
    (put((*NODE, "shape"), [["int", "7"], ["int", "2"]]), ShapeError, "node 'c': its shape .* is not that of its"),
    (put((*NODE, "dtype"), "float32"), DTypeError, "node 'c': it is 'float32', its definition gives float64"),
    (put((*NODE, "definition"), 7), GraphError, "node 'c': there is no definition 7"),
    (put((*NODE, "definition"), True), GraphError, "node 'c': 'definition' is missing or no int"),
    (put(("nodes", 0, "shape"), [["int", "-1"], ["int", "3"]]), ShapeError, "node 'a': shape: -1 is not an extent"),
    (put(("nodes", 0, "shape"), [["rational", "1/2"]]), ShapeError, "node 'a': shape: 1/2 is not an extent"),
    (put(("nodes", 0, "dtype"), "complex64"), DTypeError, "dtype 'complex64' is not one of"),
    (put(BODY, ["sin2", T0]), GraphError, "definition 0: body: unknown head 'sin2'"),
    (put(BODY, ["pow", T0]), GraphError, "definition 0: body: 'pow' takes 2 arguments, got 1"),
    (put(BODY, ["exp", T0, T0]), GraphError, "'exp' takes 1 arguments, got 2"),
    (put(BODY, ["add", T0]), GraphError, "'add' takes 2 or more arguments, got 1"),
    (put(BODY, ["symbol", "t7"]), GraphError, "definition 0: body: unknown symbol 't7'; there are i0, i1, r0, t0, t1"),
    (put(BODY, ["size", "i0"]), GraphError, "symbolic size 'i0' is reserved"),
    (put(BODY, ["add", T0, ["lt", T0, N1]]), GraphError, "'add' takes numbers"),
    (put(BODY, ["not", T0]), GraphError, "'not' takes conditions"),
    (put(BODY, ["lt", T0, N1]), DTypeError, "a condition gives bool, not float64"),
    (put(BODY, ["piecewise", [T0, N1]]), GraphError, "a branch of a piecewise is a number and a condition"),
    (put(BODY, ["piecewise", [T0]]), GraphError, r"is not a \[value, condition\] of a piecewise"),
    (put(BODY, ["piecewise"]), GraphError, "a piecewise has no branches"),
    (put(BODY, "t0*t1"), GraphError, "definition 0: 'body' is missing or no list"),
    (put(BODY, ["mul", "t0", "t1"]), GraphError, "'t0' is not a formula"),
    (put(BODY, ["int", "9" * 5000]), GraphError, "is not an integer of up to 400 digits"),
    (put(BODY, ["int", 5]), GraphError, "'int' takes one string"),
    (put(BODY, ["rational", "1/0"]), GraphError, "'1/0' is not a ratio"),
    (put(BODY, ["float", "inf"]), GraphError, "'inf' is not a hexadecimal double"),
    (put(BODY, ["pow", ["int", "0"], ["int", "-1"]]), GraphError, "a formula's constants are finite"),
    (put(BODY, ["pow", ["int", "9"], ["int", "9" * 12]]), GraphError, "too large to compute"),
    (put(BODY, ["exp", ["mul", ["int", "9" * 12], ["log", ["int", "2"]]]]), GraphError, "too large to compute"),
    (put(BODY, ["floor", ["exp", ["exp", ["exp", ["int", "9"]]]]]), GraphError, "too large to compute"),
    (put(INDEX, [I0]), ShapeError, "definition 0: access t0: 1 indices for an operand of shape"),
    (put(INDEX, [["add", I0, N1], ["symbol", "r0"]]), ShapeError, r"access t0: the index i0 \+ 1 runs from 1 to N"),
    (put(INDEX, [["pow", I0, ["int", "2"]], ["symbol", "r0"]]), GraphError, "access t0: .* is not quasi-affine"),
    (put(INDEX, [["symbol", "t1"], ["symbol", "r0"]]), GraphError, "access t0: unknown symbol 't1'"),
    (put((*INDEX, 0), ["pow", ["add", ["size", "N"], N1], ["int", "999"]]), GraphError, "t0: .* is not an index"),
    (put(("definitions", 0, "accesses", 1, "index", 0), T0), DTypeError, "access t1: 't0' is used as an index"),
    (put(("definitions", 0, "accesses", 0, "operand"), 5), GraphError, "access t0: there is no operand 5"),
    (put(("definitions", 0, "operands", 0, "dtype"), "float32"), DTypeError, "operands are float32 and float64"),
    (put(("definitions", 0, "axes", 0), ["size", "a b"]), GraphError, "the extent of i0: .*is not an identifier"),
    (put(("definitions", 0, "axes", 0), ["pow", ["size", "N"], ["rational", "1/2"]]), ShapeError, "is not an extent"),
    (put(("definitions", 0, "reducer"), "median"), GraphError, "definition 0: unknown reducer 'median'"),
    (put(("definitions", 0, "reducer"), None), GraphError, "a reducer and the axes that it reduces belong together"),
    (put(("definitions", 0, "reduced"), []), GraphError, "unknown symbol 'r0'"),
    (put(("definitions", 0, "guard"), T0), GraphError, "a guard is a condition on the terms of a reducer"),
    (put(("definitions", 1, "guard"), ["lt", T0, N1]), GraphError, "a guard is a condition on the terms of a reducer"),
    (put(("definitions", 0), []), GraphError, "definition 0 is not an object"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_what_is_malformed_is_named(content, number):
    change, error, message = BROKEN[number]
    read(content)
    change(content)
    with pytest.raises(error, match=message):
        read(content)


@pytest.mark.parametrize(
    "initialiser",
    [
        {"kind": "evil"},
        {"kind": ["normal"]},
        {"kind": "normal", "x": 1},
        {"kind": "normal", "stddev": [1, 2]},
        5,
        {"kind": "he", "a": "b"},
        {"kind": "given", "values": [1, "2"]},
        {"kind": "given", "values": [[1], [2, 3]]},
    ],
)
def test_a_malformed_initialiser(initialiser):
    network = Network()
    network.parameter("w", (2,))
    content = json.loads(network.to_json())
    content["nodes"][0]["init"] = initialiser
    with pytest.raises(GraphError, match="initializer"):
        read(content)


def test_truncated_text_is_refused_everywhere():
    text = rich_network().to_json()
    for end in range(0, len(text) - 2, 97):
        with pytest.raises(GraphError, match="this is not the JSON of a network"):
            Network.from_json(text[:end])


def test_any_value_anywhere_gives_a_graphnn_error_or_a_network(content):
    """Replace each part of the file by each of several wrong values: nothing but our own errors comes out."""

    def places(part, path=()):
        yield path
        items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
        for key, value in items:
            yield from places(value, (*path, key))

    text = json.dumps(content)
    for path in [p for p in places(content) if p]:
        for wrong in (None, -1, 1.5, "x", [], {}, [["int", "3"]], True):
            changed = json.loads(text)
            put(path, wrong)(changed)
            try:
                read(changed)
            except GraphnnError:
                continue


def nested(depth):
    return '["exp",' * depth + '["symbol","t0"]' + "]" * depth


@pytest.mark.parametrize("depth", [DEPTH_LIMIT + 1, 100_000])
def test_deep_nesting_is_refused(content, depth):
    definition(content)["body"] = "BODY"
    with pytest.raises(GraphError, match="nested"):
        Network.from_json(json.dumps(content).replace('"BODY"', nested(depth)))


def test_deep_nesting_of_attributes_is_refused(content):
    content["nodes"][2]["operands"] = ["a", "DEEP"]
    with pytest.raises(GraphError):
        Network.from_json(json.dumps(content).replace('"DEEP"', "[" * 900 + "]" * 900))


@pytest.mark.parametrize("text", ["", "[]", "null", "NaN", '{"format": NaN}', '{"a": 1, "a": 2}', "9" * 5000, "\x00"])
def test_what_is_no_network(text):
    with pytest.raises(GraphError, match="this is not the JSON of a network"):
        Network.from_json(text)


def test_what_no_tree_can_hold_is_refused_when_it_is_written():
    _, x = network_of(x=(3,))
    y = elementwise("strange", lambda u: sympy.gamma(2 * u))(x)
    with pytest.raises(GraphError, match="a formula holds gamma"):
        y.network.to_json()
    with pytest.raises(GraphError, match="is not a double"):
        encode(sympy.Float("0.1", 40), {})
    tower = sympy.Symbol("t0", real=True)
    for _ in range(DEPTH_LIMIT + 1):
        tower = sympy.tanh(tower)
    with pytest.raises(GraphError, match="nested more than"):
        encode(tower, {"t0": sympy.Symbol("t0", real=True)})


def test_the_graph_of_a_read_network_is_acyclic():
    assert networkx.is_directed_acyclic_graph(Network.from_json(rich_network().to_json()).graph)
