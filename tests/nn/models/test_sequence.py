"""Recurrent nets and the transformer block against their figures and NumPy."""

import numpy as np
import pytest

from graphnn.declare.network import Network
from graphnn.declare.reference import evaluate
from graphnn.errors import GraphError, ShapeError
from graphnn.nn.models import recurrent, transformer_block

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("gru", 3), ("lstm", 4)])
def test_the_parameters_are_counted_once_however_many_steps(cell, gates):
    for steps in (1, 7):
        net = Network()
        y = recurrent(net.input("x", ("N", steps, 5)), 6, 2, cell)
        assert net.summary().trainable == gates * 6 * (5 + 6 + 1) + (6 + 1) * 2
        assert y.shape == ("N", 2)
    assert recurrent(net["x"], 6, 2, cell, sequences=True, name="all").shape == ("N", 7, 2)


def test_the_simple_recurrent_net_in_numpy():
    net = Network()
    x = net.input("x", ("N", 4, 3), dtype="float64")
    last, each = recurrent(x, 5, 2), recurrent(x, 5, 2, sequences=True, name="each")
    for name, parameter in net.parameters.items():
        net.state[name] = RNG.normal(size=parameter.shape)
    values = RNG.normal(size=(6, 4, 3))
    for tensor, name in ((last, "recurrent"), (each, "each")):
        W, U, b = (net.state[f"{name}.cells.{p}"] for p in "WUb")
        h, outputs = np.zeros((6, 5)), []
        for t in range(4):
            h = np.tanh(values[:, t] @ W + h @ U + b)
            outputs.append(h @ net.state[f"{name}.output.W"] + net.state[f"{name}.output.b"])
        expected = outputs[-1] if name == "recurrent" else np.stack(outputs, 1)
        np.testing.assert_allclose(evaluate([tensor], {"x": values})[0].astype(float), expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("width", "heads", "hidden", "count"),
    [
        (512, 8, 2048, 3_152_384),  # Vaswani et al. 2017, table 3, "base": torch.nn.TransformerEncoderLayer(512, 8)
        (768, 12, 3072, 7_087_872),  # Devlin et al. 2019, BERT-base: a layer of 12
    ],
)
def test_the_published_numbers_of_parameters(width, heads, hidden, count):
    net = Network()
    x = net.input("x", ("N", 10, width))
    y = transformer_block(x, heads, hidden)
    assert net.summary().trainable == count
    assert y.shape == x.shape


def norm(x, p, name):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * p[f"{name}.gamma"] + p[f"{name}.beta"]


def attend(x, p, heads, causal):
    q, k, v = (x @ p[f"attention.W{c}"] + p[f"attention.b{c}"] for c in "qkv")
    parts = []
    for columns in np.split(np.arange(x.shape[-1]), heads):
        scores = q[..., columns] @ k[..., columns].swapaxes(-1, -2) / np.sqrt(len(columns))
        if causal:
            scores[..., ~np.tri(x.shape[-2], dtype=bool)] = -np.inf
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        parts.append(weights / weights.sum(-1, keepdims=True) @ v[..., columns])
    return np.concatenate(parts, -1) @ p["attention.Wo"] + p["attention.bo"]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("first", ["add", "norm"])
def test_the_block_in_numpy(first, causal):
    net = Network()
    y = transformer_block(net.input("x", (2, 3, 4), dtype="float64"), 2, 5, first=first, causal=causal, drop=0.1)
    for name, parameter in net.parameters.items():
        net.state[name] = RNG.normal(size=parameter.shape)
    p = {name.removeprefix("block."): value for name, value in net.state.items()}
    h = values = RNG.normal(size=(2, 3, 4))

    def feed(x):
        return np.maximum(x @ p["ff1.W"] + p["ff1.b"], 0) @ p["ff2.W"] + p["ff2.b"]

    for name, part in (("norm1", lambda x: attend(x, p, 2, causal)), ("norm2", feed)):
        h = norm(h + part(h), p, name) if first == "add" else h + part(norm(h, p, name))
    np.testing.assert_allclose(evaluate([y], {"x": values})[0].astype(float), h, rtol=1e-9, atol=1e-12)


def test_what_is_no_sequence_is_refused():
    net = Network()
    x = net.input("x", ("N", 4, 6))
    with pytest.raises(GraphError, match="cell 'elman' is not one of rnn, lstm, gru"):
        recurrent(x, 3, 2, "elman")
    with pytest.raises(GraphError, match="is not one of"):
        recurrent(x, 3, 2, ["rnn"])
    with pytest.raises(ShapeError, match="rnn"):
        recurrent(net.input("long", ("N", "T", 6)), 3, 2)
    with pytest.raises(GraphError, match="first is 'add' or 'norm'"):
        transformer_block(x, 2, 8, first="pre")
    with pytest.raises(ShapeError, match="heads divide"):
        transformer_block(x, 4, 8)
    with pytest.raises(GraphError, match="dropout: p"):
        transformer_block(x, 2, 8, drop=1)
    with pytest.raises(GraphError, match="hidden is an int of at least 1"):
        transformer_block(x, 2, 0)
    assert list(net.graph) == ["x", "long"]
