"""What is set apart to be computed once for each version of the states, and what is not."""

from dataclasses import replace

from graphnn.lower.ir import Let, Store
from graphnn.schedule.machine import Machine
from graphnn.schedule.passes import schedule
from graphnn.schedule.prepare import prepare, settled_buffers
from graphnn.schedule.statements import writes
from graphnn.simplify.expr import Local
from tests.schedule.samples import array, assert_same_meaning, load, op, program, total

SQUARE = {"i": 8, "j": 8}


def doubled(source, target, **axes):
    return target, axes or SQUARE, op("mul", load(source, *(axes or SQUARE)), 2.0)


def product(x="u", w="v"):
    """y = x @ w"""
    return "y", SQUARE, total(op("mul", load(x, "i", "r"), load(w, "r", "j")), r=8)


def squares(**roles):
    return [array(name, role, 8, 8) for name, role in roles.items()]


def roles(p):
    return {b.name: b.role for b in p.buffers}


def test_docstring_example():
    """u depends on the input, v on the state alone, although it comes second."""
    before = program(
        squares(x="input", w="state", u="temp", v="temp", y="output"),
        [doubled("x", "u"), doubled("w", "v"), product()],
        sizes=(),
    )
    after = prepare(before, Machine())
    assert roles(after) == roles(before) | {"v": "prepared"}
    assert [sorted(writes((s,))) for s in after.body] == [["v"], ["u"], ["y"]]
    assert_same_meaning(before, after, {})


def test_what_follows_from_prepared_arrays_is_prepared():
    before = program(
        squares(x="input", w="state", u="temp", v="temp", y="output"),
        [doubled("w", "u"), doubled("u", "v"), product("x")],
        sizes=(),
    )
    after = prepare(before, Machine())
    assert roles(after) == roles(before) | {"u": "prepared", "v": "prepared"}
    assert_same_meaning(before, after, {})


def test_what_follows_from_a_state_that_is_updated_is_not():
    arrays = squares(x="input", w="state", k="state", u="temp", v="temp", n="temp", y="output")
    formulas = [doubled("w", "u"), doubled("k", "v"), product(), doubled("x", "n")]
    before = program(arrays, formulas, [("w", "n")], sizes=())
    after = prepare(before, Machine())
    assert roles(after) == roles(before) | {"v": "prepared"}
    assert settled_buffers(before) == {"k", "v"}
    assert_same_meaning(before, after, {})


def test_what_has_the_size_of_a_call_is_not():
    """Rows of w times N, for each of N rows: of another shape, and of another value, from call to call."""
    arrays = [*squares(w="state", v="temp"), array("x", "input", "N", 8), array("u", "temp", "N", 8)]
    arrays.append(array("y", "output", "N", 8))
    many = op("mul", load("w", "i", "j"), op("cast", load("x", 0, 0)))
    formulas = [
        ("v", SQUARE, many),
        ("u", {"i": "N", "j": 8}, load("w", 0, "j")),
        ("y", {"i": "N", "j": 8}, op("add", load("u", "i", "j"), load("v", 0, "j"))),
    ]
    before = program(arrays, formulas)
    assert settled_buffers(before) == {"w"}
    assert prepare(before, Machine()) == before


def test_a_statement_that_shares_a_local_is_not():
    before = program(squares(w="state", x="input", v="temp", y="output"), [doubled("w", "v"), product("x")], sizes=())
    (store,) = (s for s in before.body if writes((s,)) == {"v"})
    value = load("w", 0, 0)
    shared = Store("v", load("v", 0, 0).index, Local("t", "float32"))
    assert settled_buffers(before) == {"w", "v"}
    local = type(before)(before.name, (), before.buffers, (Let("t", value), store, shared, *before.body[1:]))
    assert settled_buffers(local) == {"w"}


def test_a_cheap_loop_is_not_fused_with_what_prepares_a_dear_one():
    """exp(w) could be computed inside of the loop over x; prepared it costs nothing."""
    arrays = squares(x="input", w="state", v="temp", y="output")
    body = op("mul", load("x", "i", "j"), load("v", "i", "j"))
    before = program(arrays, [("v", SQUARE, op("exp", load("w", "i", "j"))), ("y", SQUARE, body)], sizes=())
    after = schedule(before)
    assert roles(after)["v"] == "prepared"
    assert_same_meaning(before, after, {})
    dear = program(arrays, [doubled("w", "v"), ("y", SQUARE, body)], sizes=())
    assert "v" not in roles(schedule(dear))


def test_a_temp_that_nothing_writes_is_not():
    """One without elements, whose loops are gone."""
    before = program(squares(x="input", w="state", v="temp", y="output"), [doubled("w", "v"), product("x")], sizes=())
    bare = replace(before, body=tuple(s for s in before.body if writes((s,)) != {"v"}))
    assert settled_buffers(bare) == {"w"}
    assert prepare(bare, Machine()) == bare
