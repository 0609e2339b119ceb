"""Requests: known by shape and dtype, made when somebody looks, the same whoever looks first."""

import copy
import pickle
from threading import Barrier, Thread

import numpy as np
import pytest
import sympy

import graphnn as gn
from graphnn.declare.canonical import canonical_text
from graphnn.declare.definition import OperandType, formula_text
from graphnn.derive import reverse


def network():
    net = gn.Network("net")
    x, y = net.input("x", ("N", 4)), net.input("y", ("N",), "int64")
    hidden = gn.relu(gn.dense(x, 3, name="a"))
    return net, gn.softmax_cross_entropy(gn.dense(hidden, 2, name="b"), y, name="loss")


def ask(net, maker, what="the answer"):
    """One float that is `maker()`."""
    return net.requests.ask(what, [what], [], [OperandType((), "float32")], lambda: [maker()])[0]


def test_shape_and_dtype_are_known_before_anything_is_made():
    net, loss = network()
    declared = list(net.made)
    gradient, wide = gn.gradients(loss, [net["a.W"], gn.reshape(net["x"], (-1,))])
    assert (gradient.shape, gradient.dtype, gradient.ndim, gradient.kind) == ((4, 3), "float32", 2, "op")
    assert wide.shape == ("4*N",)
    assert [n for n in net.made if n not in declared] == ["reshape"]
    assert gradient.name == "dloss/da.W"
    assert gradient.definition is not None
    assert gradient == net["dloss/da.W"]


def test_the_graph_is_the_same_whoever_looks_first():
    def build(look):
        net, loss = network()
        optimizer = gn.Adam(gn.exponential_decay(0.1, 0.9), clip_value=2.0, clip_norm=1.0)
        for tensor in (loss, gn.sum(net["a"])):
            look(net)
            gn.Trainer(tensor, optimizer, parameters=["a.W"])
        names = [name for name, kind in net.graph.nodes(data="kind") if kind == "op"]
        formulas = [formula_text(net[n].definition, tuple(o.name for o in net.operands(net[n])), n) for n in names]
        return formulas, list(net.state)

    late, early = build(lambda net: None), build(lambda net: list(net.graph))
    assert late == early
    assert len(late[0]) > 30


def test_the_same_question_has_the_same_answer():
    net, loss = network()
    (first,), (again,) = gn.gradients(loss, [net["a.W"]]), gn.gradients(loss, [net["a.W"]])
    (other,) = gn.gradients(loss, [net["a.W"]], "split")
    assert len(net.requests) == 2
    assert first == again != other


def test_nothing_asked_is_nothing_made():
    net, loss = network()
    before = list(net.graph)
    assert gn.gradients(loss, []) == []
    assert net.requests.ask("nothing", [], [loss], [], list) == []
    assert list(net.graph) == before


def test_what_is_declared_later_makes_nothing():
    net, loss = network()
    (gradient,) = gn.gradients(loss, [net["a.W"]])
    before = len(net.made)
    net.input("more", (3,))
    gn.exp(loss, name="exp")
    assert net["exp"].shape == ()
    assert net.parameters.keys() == {"a.W", "a.b", "b.W", "b.b"}
    assert [layer.name for layer in net.summary().layers] == ["x", "y", "a", "relu", "b", "loss", "more", "exp"]
    assert len(net.made) == before + 2
    assert "nothing of that name" not in net
    assert len(net.made) > before + 2
    assert gradient.name in net.made


def test_a_summary_leaves_out_what_was_requested():
    net, loss = network()
    before = [layer.name for layer in net.summary().layers]
    gn.Trainer(loss, gn.SGD(0.1, clip_norm=1.0), watch="gradients")
    assert [layer.name for layer in net.summary().layers] == before
    assert "loss.finite" in net.graph
    assert [layer.name for layer in net.summary().layers] == before


def test_an_error_is_that_of_the_request_and_of_nothing_else():
    net, loss = network()

    def fail():
        gn.exp(loss, name="half made")
        raise gn.DeriveError("no answer")

    (good,) = gn.gradients(loss, [net["a.W"]])
    bad, late = ask(net, fail), ask(net, lambda: loss, "the last")
    for look in (lambda: net.graph, lambda: bad.name):
        with pytest.raises(gn.DeriveError, match="no answer") as caught:
            look()
        assert caught.value.__notes__ == ["the answer had been asked for, and were made when somebody looked at them"]
    assert late.name == "loss"
    assert good.name in net.graph
    assert "half made" not in net.graph


def test_an_interrupt_leaves_a_request_to_be_made():
    net, loss = network()
    interrupts = [KeyboardInterrupt()]

    def make():
        gn.exp(loss, name="exp")
        if interrupts:
            raise interrupts.pop()
        return net["exp"]

    tensor = ask(net, make)
    with pytest.raises(KeyboardInterrupt):
        list(net.graph)
    assert "exp" not in net.made
    assert tensor.name == "exp"


def test_threads_that_look_at_once_see_one_graph():
    net, loss = network()
    tensors = gn.gradients(loss, list(net.parameters.values()))
    start, seen = Barrier(4), []

    def look():
        start.wait()
        seen.append(([tensor.name for tensor in tensors], list(net.graph)))

    threads = [Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 4
    assert all(other == seen[0] for other in seen)


def test_an_error_takes_requests_back_and_leaves_earlier_ones():
    net, loss = network()
    (kept,) = gn.gradients(loss, [net["a.W"]])

    def fail():
        with net.composing("part"):
            gn.gradients(loss, [net["b.W"]])
            list(net.graph)
            gn.exp(loss, name="gone")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(net.requests) == 1
    assert kept.name in net.graph
    assert not {"gone", "dloss/db.W"} & set(net.graph)
    (again,) = gn.gradients(loss, [net["b.W"]])
    assert again.name == "dloss/db.W"


def test_a_text_is_the_same_before_and_after_and_derives_nothing(monkeypatch):
    net, loss = network()
    tensors = [loss, *gn.gradients(loss, list(net.parameters.values()))]
    with monkeypatch.context() as patch:
        patch.setattr(reverse, "derive_adjoint", None)
        before = canonical_text(net, tensors)
    list(net.graph)
    assert canonical_text(net, tensors) == before
    assert canonical_text(net, [net[tensor.name] for tensor in tensors]) == before


@pytest.mark.parametrize("own", [True, False])
def test_own_updates_are_found_without_deriving_unless_that_decides(own, monkeypatch):
    net = gn.Network("net")
    x, count = net.input("x", (3,)), net.variable("count", ())
    net.update(count, count + 1.0)
    loss = gn.sum(x * x + count) if own else gn.sum(x * x)
    (gradient,) = gn.gradients(loss, [x])
    if not own:
        monkeypatch.setattr(reverse, "derive_adjoint", None)
    assert net.updates_of([gradient]) == {}
    assert net.updates_of([loss]).keys() == ({"count"} if own else set())


def test_gradients_of_a_formula_that_is_constant_in_disguise():
    """No step is to be seen in it, so the error comes when it is derived, and says of which request."""
    net = gn.Network("net")
    x = net.input("x", (3,))
    one = gn.elementwise("one", lambda t: sympy.sin(t) ** 2 + sympy.cos(t) ** 2)
    (gradient,) = gn.gradients(gn.sum(one(x)), [x])
    with pytest.raises(gn.DeriveError) as caught:
        gn.compile(gradient)
    assert "the gradients of sum by x" in caught.value.__notes__[0]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"])
def test_a_copy_of_a_network_is_whole(copied):
    net, loss = network()
    gradients = gn.gradients(loss, [net["a.W"], net["b.b"]])
    other = copied(net)
    assert list(other.graph) == list(net.graph)
    again = gn.gradients(other["loss"], [other["a.W"], other["b.b"]])
    assert [tensor.name for tensor in again] == [tensor.name for tensor in gradients]
    assert len(other.graph) == len(net.graph)
    assert all(tensor.network is other for tensor in again)
    assert canonical_text(other, again) == canonical_text(net, gradients)
    gn.gradients(other["loss"], [other["b.W"]])
    assert len(other.graph) > len(net.graph)


def test_values_are_those_of_the_formula():
    net = gn.Network("net")
    x = net.input("x", (3,), "float64")
    (gradient,) = gn.gradients(gn.sum(x * x * x), [x])
    np.testing.assert_allclose(gn.compile(gradient)(x=np.arange(3.0)), [0, 3, 12])
