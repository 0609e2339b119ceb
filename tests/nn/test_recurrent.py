"""Recurrent layers against loops over time written from the papers, and two tasks that need a memory."""

import numpy as np
import pytest

import graphnn as gn

RNG = np.random.default_rng(0)
N, T, D, H = 2, 3, 2, 3


def sigma(z):
    return 1 / (1 + np.exp(-z))


def elman(x, p, h):
    """Elman 1990."""
    states = []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ p["W"] + h @ p["U"] + p["b"])
        states.append(h)
    return states


def lstm(x, p, h, c):
    """Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000: gate by gate."""
    W, U, b = (np.split(p[name], 4, axis=-1) for name in ("W", "U", "b"))
    states = []
    for t in range(x.shape[1]):
        net = [x[:, t] @ W[k] + h @ U[k] + b[k] for k in range(4)]
        i, f, g, o = sigma(net[0]), sigma(net[1]), np.tanh(net[2]), sigma(net[3])
        c = f * c + i * g
        h = o * np.tanh(c)
        states.append(h)
    return states


def gru(x, p, h):
    """Cho et al. 2014, equations 5 to 8."""
    Wz, Wr, W = np.split(p["W"], 3, axis=-1)
    Uz, Ur, U = np.split(p["U"], 3, axis=-1)
    bz, br, b = np.split(p["b"], 3)
    states = []
    for t in range(x.shape[1]):
        z = sigma(x[:, t] @ Wz + h @ Uz + bz)
        r = sigma(x[:, t] @ Wr + h @ Ur + br)
        fresh = np.tanh(x[:, t] @ W + (r * h) @ U + b)
        h = z * h + (1 - z) * fresh
        states.append(h)
    return states


LAYERS = {"rnn": (gn.rnn, elman, 1, 1), "lstm": (gn.lstm, lstm, 4, 2), "gru": (gn.gru, gru, 3, 1)}
CELLS = {"rnn": gn.rnn_cell, "lstm": gn.lstm_cell, "gru": gn.gru_cell}


def parameters(gates):
    shapes = {"W": (D, gates * H), "U": (H, gates * H), "b": (gates * H,)}
    return {name: RNG.normal(size=shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("initial", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_states_are_those_of_the_paper(kind, initial, sequences):
    layer, expected, gates, count = LAYERS[kind]
    net = gn.Network()
    x = net.input("x", ("N", T, D), "float64")
    first = [net.input(f"s{n}", ("N", H), "float64") for n in range(count)] if initial else None
    given = first if first is None or count > 1 else first[0]
    y = layer(x, H, initial=given, sequences=sequences, name="r")
    p = parameters(gates)
    assert {n: t.shape for n, t in net.parameters.items()} == {f"r.{n}": v.shape for n, v in p.items()}
    for name, value in p.items():
        net.state[f"r.{name}"] = value
    values = RNG.normal(size=(N, T, D))
    states = [RNG.normal(size=(N, H)) * initial for _ in range(count)]
    fed = {"x": values} | {f"s{n}": s for n, s in enumerate(states) if initial}
    right = expected(values, p, *states)
    assert (y.name, y.shape) == ("r", ("N", T, H) if sequences else ("N", H))
    np.testing.assert_allclose(
        gn.compile(y)(**fed), np.stack(right, axis=1) if sequences else right[-1], rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("kind", LAYERS)
def test_a_cell_is_one_step(kind):
    _, expected, gates, count = LAYERS[kind]
    p = parameters(gates)
    net = gn.Network()
    x = net.input("x", (N, D), "float64")
    states = [net.input(f"s{n}", (N, H), "float64") for n in range(count)]
    W, U, b = (net.parameter(n, v.shape, dtype="float64") for n, v in p.items())
    for name, value in p.items():
        net.state[name] = value
    result = CELLS[kind](x, *states, W, U, b, name="cell")
    values, before = RNG.normal(size=(N, D)), [RNG.normal(size=(N, H)) for _ in range(count)]
    found = gn.compile(list(result) if count > 1 else [result])(x=values, **{f"s{n}": s for n, s in enumerate(before)})
    np.testing.assert_allclose(found[0], expected(values[:, None], p, *before)[0], rtol=1e-12)
    if count > 1:  # h = o tanh(c)
        o = sigma((values @ p["W"] + before[0] @ p["U"] + p["b"])[:, 3 * H :])
        np.testing.assert_allclose(found[0], o * np.tanh(found[1]), rtol=1e-12)
    with pytest.raises(gn.ShapeError, match=f"W is .D, {gates}H"):
        CELLS[kind](x, *states, U, W, b)


@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_add_up_over_time(kind):
    layer, _, gates, _ = LAYERS[kind]
    net = gn.Network()
    y = layer(net.input("x", (N, T, D), "float64"), 2, sequences=True, init=gn.Normal(0.7), name="r")
    net.state["r.b"] = RNG.normal(size=2 * gates)
    report = gn.compare(gn.sum(gn.square(y + 0.3)), {"x": RNG.normal(size=(N, T, D))}, sample=4)
    assert {c.name for c in report.comparisons} == {"r.W", "r.U", "r.b"}
    assert report.agrees, report.table()
    assert report.max_relative_error < 1e-12


def test_gates_are_nodes_with_names():
    net = gn.Network()
    gn.lstm(net.input("x", ("N", T, D), "float64"), H, name="r")
    values = RNG.normal(size=(N, T, D))
    gates = gn.compile({gate: net[f"r.0.{gate}"] for gate in "igo"})(x=values)
    z = np.split(values[:, 0] @ net.state["r.W"] + net.state["r.b"], 4, axis=1)
    for gate, expected in (("i", sigma(z[0])), ("g", np.tanh(z[2])), ("o", sigma(z[3]))):
        np.testing.assert_allclose(gates[gate], expected, rtol=1e-12)
    before = gn.compile(net["r.0.h"])(x=values)
    forget = sigma(
        np.split(values[:, 1] @ net.state["r.W"] + before @ net.state["r.U"] + net.state["r.b"], 4, axis=1)[1]
    )
    np.testing.assert_allclose(gn.compile(net["r.1.f"])(x=values), forget, rtol=1e-12)


def test_one_step_does_not_need_the_recurrent_weights():
    net = gn.Network()
    y = gn.rnn(net.input("x", (N, 1, D)), H, name="r")
    (gradient,) = gn.gradients(gn.sum(y), [net.parameters["r.U"]])
    assert not gn.compile(gradient)().any()


def test_first_values():
    net = gn.Network()
    gn.lstm(net.input("x", ("N", T, 5)), H, name="r")
    assert net.state["r.b"].tolist() == [0.0] * H + [1.0] * H + [0.0] * 2 * H
    limit = np.sqrt(6 / (5 + 4 * H))
    assert 0 < np.abs(net.state["r.W"]).max() <= limit
    roles = [net.graph.nodes[n]["attributes"]["role"] for n in net.parameters]
    assert roles == ["weight", "weight", "bias"]
    again = gn.Network.from_json(net.to_json())
    assert again.state["r.b"].tolist() == net.state["r.b"].tolist()


def test_any_activation():
    net = gn.Network()
    y = gn.rnn(net.input("x", (1, 2, 1), "float64"), 1, activation=gn.relu, init=1.0, name="r")
    assert gn.compile(y)(x=np.array([[[-3.0], [2.0]]])).item() == 2.0  # relu(2 + relu(-3))


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda x, s: gn.rnn(x, 0), gn.GraphError, "units is an int of at least 1"),
        (lambda x, s: gn.lstm(x, "many"), gn.GraphError, "units"),
        (lambda x, s: gn.gru(s, 2), gn.ShapeError, "examples, steps, features"),
        (lambda x, s: gn.lstm(x, 3, initial=s), gn.GraphError, "2 Tensor"),
        (lambda x, s: gn.lstm(x, 3, initial=(s, 1)), gn.GraphError, "2 Tensor"),
        (lambda x, s: gn.gru(x, 4, initial=s), gn.ShapeError, r"must be \('N', 4\)"),
        (lambda x, s: gn.rnn(x, 3, initial=gn.where(s > 0, 1, 0)), gn.DTypeError, "initial h"),
        (lambda x, s: gn.rnn(x, 3, activation="tanh"), gn.GraphError, "activation"),
        (lambda x, s: gn.rnn("x", 3), gn.GraphError, "is a Tensor"),
        (lambda x, s: gn.gru(x, 3, init="glorot"), gn.GraphError, "init="),
        (lambda x, s: gn.gru(x, 3, name="s"), gn.GraphError, "'s'"),
    ],
)
def test_a_refused_layer_leaves_nothing_behind(make, error, text):
    net = gn.Network()
    x, s = net.input("x", ("N", T, D)), net.input("s", ("N", H))
    with pytest.raises(error, match=text):
        make(x, s)
    assert [n for n in net.graph if not n.startswith(("where", "greater"))] == ["x", "s"]
    assert not net.initializers


@pytest.mark.parametrize("shape", [("N", "T", 2), ("N", 3, "D"), ("N", 0, 2), (4, 3), (1, 2, 3, 4)])
def test_steps_and_features_are_numbers(shape):
    net = gn.Network()
    with pytest.raises(gn.ShapeError, match="one cell per step"):
        gn.gru(net.input("x", shape), 2)
    with pytest.raises(gn.DTypeError, match="int64"):
        gn.gru(net.input("n", shape, "int64"), 2)


def first_token(rng, count):
    """Which of two tokens came first; what follows is noise."""
    tokens = rng.integers(0, 2, (count, 6))
    return tokens, tokens[:, 0]


def parity(rng, count):
    """Whether the number of ones is odd."""
    tokens = rng.integers(0, 2, (count, 5))
    return tokens, tokens.sum(axis=1) % 2


@pytest.mark.parametrize(("layer", "task", "steps"), [(gn.lstm, first_token, 300), (gn.gru, parity, 900)])
def test_a_recurrent_layer_learns_what_needs_a_memory(layer, task, steps):
    rng = np.random.default_rng(0)
    tokens, labels = task(rng, 256)
    net = gn.Network()
    x, y = net.input("x", (64, tokens.shape[1], 2)), net.input("y", (64,), "int64")
    logits = gn.dense(layer(x, 8, name="memory"), 2, name="logits")
    net.initialize(seed=0)
    trainer = gn.Trainer(gn.softmax_cross_entropy(logits, y), optimizer=gn.Adam(2e-2), batch_size=64)
    X = np.eye(2, dtype=np.float32)[tokens]
    for step in range(steps):
        rows = slice(step * 64 % 256, step * 64 % 256 + 64)
        trainer.step(x=X[rows], y=labels[rows])
    tokens, labels = task(rng, 64)  # others than the ones it learned on
    found = gn.compile(logits)(x=np.eye(2, dtype=np.float32)[tokens]).argmax(axis=1)
    assert (found == labels).mean() > 0.95
