"""The table of layers: its numbers counted by hand, its text as a terminal shows it."""

import numpy as np
import pytest

import graphnn as gn


def language_model():
    net = gn.Network("lm")
    tokens, y = net.input("tokens", ("N", 8), "int64"), net.input("y", ("N",), "int64")
    words = gn.embedding(tokens, 100, 16, name="words")
    look = gn.multi_head_attention(words, 4, causal=True, name="block.look")
    h = gn.layer_norm(gn.add(words, look, name="block.sum"), name="block.norm")
    logits = gn.dense(gn.lstm(h, 32, name="memory"), 10, name="logits")
    return net, gn.softmax_cross_entropy(logits, y, name="loss")


def test_layers_are_counted_by_the_names_of_parameters():
    summary = language_model()[0].summary()
    assert [(row.name, row.shape, row.trainable) for row in summary.layers] == [
        ("tokens", ("N", 8), 0),
        ("y", ("N",), 0),
        ("words", ("N", 8, 16), 100 * 16),
        ("block.look", ("N", 8, 16), 4 * (16 * 16 + 16)),
        ("block.sum", ("N", 8, 16), 0),
        ("block.norm", ("N", 8, 16), 16 + 16),
        ("memory", ("N", 32), 4 * 32 * (16 + 32 + 1)),
        ("logits", ("N", 10), 33 * 10),
        ("loss", (), 0),
    ]
    assert summary.trainable == summary.parameters == 1600 + 1088 + 32 + 6272 + 330
    assert summary.layers[-2].parameters == (("W", (32, 10)), ("b", (10,)))


def test_gradients_add_no_layers():
    net, loss = language_model()
    before = net.summary()
    gn.gradients(loss, [*net.parameters.values()])
    assert net.summary() == before


def test_slots_of_an_optimizer_are_state_of_their_layer():
    net = gn.Network()
    logits = gn.dense(net.input("x", ("N", 3)), 2, name="logits")
    loss = gn.softmax_cross_entropy(logits, net.input("y", ("N",), "int64"), name="loss")
    before = net.summary()
    trainer = gn.Trainer(loss, optimizer=gn.Momentum(0.1), batch_size=2)
    trainer.step(x=np.zeros((2, 3), np.float32), y=np.zeros(2, np.int64))
    after = net.summary()
    assert [row.name for row in after.layers][: len(before.layers)] == [row.name for row in before.layers]
    assert after.parameters == before.parameters == 8
    assert next(row for row in after.layers if row.name == "logits").state == 8


def test_a_shared_parameter_counts_once():
    net = gn.Network()
    h = gn.dense(net.input("x", ("N", 4)), 4, name="first")
    gn.matmul(h, net.parameters["first.W"], name="again")
    summary = net.summary()
    assert [(row.name, row.trainable) for row in summary.layers] == [("x", 0), ("first", 20), ("again", 0)]
    assert summary.parameters == 20


def test_a_layer_may_stand_in_another():
    net = gn.Network()
    for name in ("block.gain", "block.inner.W", "block.inner.b"):
        net.parameter(name, (2,))
    assert [(row.name, row.trainable) for row in net.summary().layers] == [("block", 2), ("block.inner", 4)]


def test_what_is_not_trained_is_told_apart():
    net = gn.Network()
    net.parameter("a.W", (2, 3))
    net.parameter("a.frozen", (5,), trainable=False)
    net.variable("a.mean", (7,))
    net.parameter("alone", (2,))
    summary = net.summary()
    first, second = summary.layers
    assert (first.trainable, first.fixed, first.state) == (6, 5, 7)
    assert (second.name, second.shape, second.trainable) == ("alone", (2,), 2)
    assert (summary.trainable, summary.parameters, summary.state) == (8, 13, 7)


def test_the_table_fits_a_terminal():
    net = gn.Network("digits")
    h = gn.dense(net.input("x", ("N", 64)), 30, activation=gn.relu, name="hidden")
    gn.dense(h, 10, name="logits")
    assert str(net.summary()).split("\n") == [
        "network digits",
        "layer   output   parameters                                                count",
        "-" * 80,
        "x       (N, 64)",
        "hidden  (N, 30)  W (64, 30), b (30,)                                       1,950",
        "logits  (N, 10)  W (30, 10), b (10,)                                         310",
        "-" * 80,
        "parameters 2,260: 2,260 trainable, 0 fixed; state 0",
    ]
    assert repr(net.summary()) == str(net.summary())


@pytest.mark.parametrize("name", ["a" * 200, "odd\x1b[2J", "tab\tnewline\n"])
def test_any_name_fits_and_is_inert(name):
    net = gn.Network(name)
    x = net.input("x" * 60, ("N", 1, 2, 3, 4, 5, 6, 7, 8, 9))
    gn.dense(gn.layer_norm(x, axis=tuple(range(1, 10)), name=name), 3, name=f"{name}.inner.layer")
    lines = str(net.summary()).split("\n")
    assert max(map(len, lines[1:])) <= 80
    assert all(line.isprintable() for line in lines)


def test_an_empty_network_has_an_empty_table():
    summary = gn.Network("none").summary()
    assert summary.layers == ()
    assert "parameters 0: 0 trainable, 0 fixed; state 0" in str(summary)
