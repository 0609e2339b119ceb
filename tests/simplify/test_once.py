"""What is kept on a node is found once, and is no part of it."""

import copy
from dataclasses import dataclass, replace

from graphnn.simplify.expr import Axis, Load, Op, axes_of
from graphnn.simplify.once import hashed_once, once


class Slots:
    __slots__ = ("_hash", "_size")


@hashed_once
@dataclass(frozen=True, slots=True)
class Leaf(Slots):
    name: str


def test_a_function_runs_once_for_each_node():
    runs = []

    @once("_size")
    def size(leaf):
        runs.append(leaf.name)
        return len(leaf.name)

    one, other = Leaf("abc"), Leaf("abc")
    assert [size(one), size(one), size(other)] == [3, 3, 3]
    assert runs == ["abc", "abc"]
    assert size(replace(one, name="ab")) == 2


def test_what_is_kept_is_neither_compared_nor_copied():
    one, other = Leaf("abc"), Leaf("abc")
    assert hash(one) == hash(other)
    assert one == other
    assert repr(one) == "Leaf(name='abc')"
    assert not hasattr(copy.copy(one), "_hash")
    assert hash(replace(one, name="x")) == hash(Leaf("x"))


def test_an_expression_that_is_rebuilt_is_asked_anew():
    load = Load("x", (Axis("i0"),), "float32")
    assert axes_of(load) == {"i0"}
    moved = replace(load, index=(Axis("i1"),))
    assert axes_of(moved) == {"i1"}
    assert hash(moved) != hash(load)
    assert axes_of(Op("add", (load, moved), "float32")) == {"i0", "i1"}
