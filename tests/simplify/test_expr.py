"""What is asked of expressions: their free axes, locals and loads, and axes replaced by name."""

from graphnn.simplify.expr import (
    Axis,
    Load,
    Local,
    Op,
    Range,
    Reduce,
    axes_of,
    index_constant,
    loads_of,
    locals_of,
    place_axes,
    text,
    walk,
)

i, r, ONE = Axis("i"), Axis("r"), index_constant(1)
ROW = Load("token", (i,), "int64")
ENTRY = Load("x", (ROW, Op("add", (r, ONE), "int64")), "float32")
TERM = Op("mul", (ENTRY, Op("add", (Local("s", "float32"), Load("b", (), "float32")), "float32")), "float32")


def test_names_and_loads_of_an_expression():
    assert axes_of(TERM) == {"i", "r"}
    assert locals_of(TERM) == {"s"}
    assert axes_of(Reduce("sum", (Range("r", ONE, i),), None, TERM)) == {"i"}


def test_loads_come_children_first():
    assert [load.buffer for load in loads_of(TERM)] == ["token", "x", "b"]
    assert list(loads_of(TERM)) == [e for e in walk(TERM) if isinstance(e, Load)]


def test_axes_trade_places_in_one_go():
    assert text(place_axes(ENTRY, {"i": r, "r": i})) == "x[token[r], (i + 1)]"


def test_what_holds_none_of_the_axes_stays_the_same_object():
    placed = place_axes(TERM, {"r": ONE})
    assert placed.args[0].index[0] is ROW
    assert placed.args[1] is TERM.args[1]
    assert place_axes(TERM, {"j": ONE}) is TERM
