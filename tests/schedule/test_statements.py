from graphnn.lower.ir import Buffer, For, Let, Program, Store, Transform, Way
from graphnn.lower.verify import verify
from graphnn.schedule.affine import coefficient, independent, is_affine, position_in, stride
from graphnn.schedule.reorder import Effects, Order
from graphnn.schedule.statements import prune, rename
from graphnn.simplify.expr import Axis, Load, Local, Range, index_constant
from tests.schedule.samples import N, integer, load, op

ONE_TO_N = (index_constant(0), N)


def loop(axis, *body):
    return For(axis, *ONE_TO_N, body)


def test_prune_docstring_example():
    """t is never loaded: its store goes, and then its buffer"""
    dead = Store("t", (Axis("i0"),), op("exp", load("x", "i0")))
    live = Store("y", (Axis("i0"),), load("x", "i0"))
    buffers = tuple(Buffer(n, "float32", (N,), r, (0,)) for n, r in (("x", "input"), ("t", "temp"), ("y", "output")))
    after = prune(Program("p", ("N",), buffers, (loop("i0", dead, live),)))
    verify(after)
    assert after.body == (loop("i0", live),)
    assert [b.name for b in after.buffers] == ["x", "y"]


def test_rename_reaches_binders_and_uses():
    body = (loop("i0", Store("y", (Axis("i0"),), load("x", "i0"))),)
    assert rename(body, {"i0": "j"}) == (loop("j", Store("y", (Axis("j"),), load("x", "j"))),)


def transform(p, i, v, *more):
    ways = Way(p, i, ((1.0, -1.0),)), Way("q", "j", ((1.0,),))
    place, value = (Axis(p), Axis("q")), Local(v, "float32")
    return Transform(v, *ways, load("x", i, "j"), (Store("y", place, value), *more))


def test_rename_reaches_transforms():
    assert rename((transform("p", "i", "v"),), {"p": "a", "i": "b", "v": "c"}) == (transform("a", "b", "c"),)


def test_prune_looks_into_transforms():
    names = (("x", "input"), ("t", "temp"), ("y", "output"))
    buffers = tuple(Buffer(name, "float32", (N, N), role, (0, 1)) for name, role in names)
    unread = Store("t", (Axis("p"), Axis("q")), Local("v", "float32"))
    pruned = prune(Program("p", ("N",), buffers, (transform("p", "i", "v", unread),)))
    assert pruned.body == (transform("p", "i", "v"),)


def test_indices():
    twice = integer("sub", integer("mul", 2, "i"), "r")
    assert (coefficient(twice, "i"), coefficient(twice, "r"), coefficient(twice, "q")) == (2, -1, 0)
    assert is_affine((twice, integer("mul", "i", N)))
    assert not is_affine((integer("floordiv", "i", 2),))
    assert not is_affine((integer("mul", "i", "r"),))
    assert not is_affine((Load("token", (Axis("i"),), "int64"),))
    assert stride((Axis("i"), Axis("j")), "j", (0, 1)) == 1
    assert stride((Axis("i"), Axis("j")), "i", (0, 1)) is None
    assert stride((Axis("i"), Axis("j")), "i", (1, 0)) == 1
    assert stride((Axis("i"), twice), "q", (0, 1)) == 0
    assert position_in(Range("p", index_constant(-2), N)) == integer("add", "p", 2)


def test_independent_iterations():
    def writes(index):
        return (Store("y", (index,), load("x", "i")),)

    i, few = Range("i", *ONE_TO_N), Range("i", index_constant(0), index_constant(4))
    assert independent(i, writes(Axis("i")), {})
    assert independent(i, writes(integer("mul", 2, "i")), {})
    assert not independent(i, writes(integer("add", "i", "j")), {"j": None})  # y[0 + 1] is also y[1 + 0]
    assert not independent(i, writes(integer("floordiv", "i", 2)), {})
    neighbour = Store("y", (Axis("i"),), load("y", integer("sub", "i", 1)))
    assert not independent(i, (neighbour,), {})
    # The digits of a number: i is the lower one of 4 values, or the higher one.
    assert independent(few, writes(integer("add", integer("mul", 4, "j"), "i")), {"j": None})
    assert not independent(few, writes(integer("add", integer("mul", 3, "j"), "i")), {"j": None})
    assert independent(i, writes(integer("add", integer("mul", 4, "i"), "j")), {"j": 4})
    assert not independent(i, writes(integer("add", integer("mul", 4, "i"), "j")), {"j": 5})


def test_what_a_statement_may_not_pass():
    reads_x = loop("i", Store("y", (Axis("i"),), load("x", "i")))
    other = loop("i", Store("z", (Axis("i"),), load("x", "i")))
    writes_x = loop("i", Store("x", (Axis("i"),), load("w", "i")))
    binds, uses = Let("v", load("w", "k")), Store("u", (), Local("v", "float32"))
    order = Order.of([reads_x, other, writes_x, binds, uses])

    def rivals(stmt):
        return {id(p.effects.stmt) for p in order.rivals(Effects.of(stmt))} - {id(stmt)}

    assert rivals(reads_x) == rivals(other) == {id(writes_x)}
    assert rivals(writes_x) == {id(reads_x), id(other)}
    assert rivals(binds) == {id(uses)}
    assert rivals(uses) == {id(binds)}


def test_an_order_that_changes():
    a, b, c, d = (loop("i", Store(name, (Axis("i"),), load("x", "i"))) for name in "abcd")
    order = Order()
    first, second = order.append(a), order.append(b)
    order.insert(first.place, c)
    order.insert(first.place, d)  # directly behind a, so before c
    assert order.body() == (a, d, c, b)
    order.remove(first)
    assert [p.effects.stmt for p in order.reading(("x",))] == [d, c, b]
    order.replace(second, a)
    assert order.body() == (d, c, a)
    assert not order.writing(("b",))
    assert [p.effects.stmt for p in order.touching(("a", "x", "d"))] == [d, c, a]
