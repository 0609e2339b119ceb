import pytest

from graphnn.lower.ir import Store
from graphnn.schedule.kept_terms import keep_terms
from graphnn.schedule.machine import Machine
from graphnn.schedule.passes import schedule
from graphnn.schedule.statements import own_expressions, statements
from graphnn.simplify.expr import Op, walk
from tests.schedule.samples import array, assert_same_meaning, load, op, program, total

ROW = {"i": "N", "j": 8}
EXP = op("exp", load("x", "i", "j"))


def rows(term=None, last=None, between=(), arrays=(), columns=8, domain=None, given="input"):
    """t = the row sums of a term, exp(x) by default, then y = last, exp(x)/t."""
    shape = ("N", columns)
    names = [array("x", given, *shape), array("t", "temp", "N"), array("y", "output", *shape)]
    sums = total(op("exp", load("x", "i", "r")) if term is None else term, r=columns)
    final = op("div", EXP, load("t", "i")) if last is None else last
    formulas = [("t", {"i": "N"}, sums), *between, ("y", domain or {"i": "N", "j": columns}, final)]
    return program([*names, *arrays], formulas)


def count(p, fn):
    """How many times a program says fn."""
    roots = (e for s in statements(p.body) for e in own_expressions(s))
    return sum(isinstance(e, Op) and e.fn == fn for root in roots for e in walk(root))


def test_docstring_example():
    before = rows()
    after = keep_terms(before, Machine())
    assert count(before, "exp") == 2
    assert count(after, "exp") == 1
    assert [s.buffer for s in statements(after.body) if isinstance(s, Store)] == ["y.terms", "t", "y"]
    for n in (0, 1, 5):
        assert_same_meaning(before, after, {"N": n}, tolerance=0)


def test_one_nest_computes_a_term_once():
    """All passes together: no loop over the rows but one, and no array between."""
    after = schedule(rows())
    assert len(after.body) == 1
    assert count(after, "exp") == 1
    assert [b.name for b in after.buffers if not b.local_to] == ["x", "y"]


def test_terms_are_where_the_quotient_is_when_no_iteration_keeps_them():
    """Rows that the stack does not take."""
    (y,) = (b for b in schedule(rows(columns=10_000)).buffers if b.name == "y")
    assert y.also == ("y.terms",)


def test_part_of_a_term_is_kept():
    """The sum is of 3 exp(x)."""
    before = rows(term=op("mul", op("exp", load("x", "i", "r")), 3.0))
    after = keep_terms(before, Machine())
    assert count(after, "exp") == 1
    assert count(after, "mul") == 1
    assert_same_meaning(before, after, {"N": 5}, tolerance=0)


def test_all_of_a_vector():
    arrays = [array("x", "input", 50), array("t", "temp"), array("y", "output", 50)]
    sums, last = total(op("exp", load("x", "r")), r=50), op("div", op("exp", load("x", "j")), load("t"))
    before = program(arrays, [("t", {}, sums), ("y", {"j": 50}, last)], sizes=())
    after = keep_terms(before, Machine())
    assert count(after, "exp") == 1
    assert_same_meaning(before, after, {}, tolerance=0)


def quotient(*index, factor=1.0):
    """exp(factor x)/t"""
    return op("div", op("exp", op("mul", load("x", *index), factor)), load("t", "i"))


DOUBLED = op("mul", load("x", "i", "r"), 2.0)
NOTHING_KEPT = {
    "cheap terms": rows(term=DOUBLED, last=op("add", op("mul", load("x", "i", "j"), 2.0), load("t", "i"))),
    "transposed": rows(term=op("exp", DOUBLED), last=quotient("j", "i", factor=2.0), columns="N"),
    "another term": rows(last=quotient("i", "j", factor=2.0)),
    "rows that leave the cache": rows(columns=2**18),
    "a term that stands still": rows(term=op("exp", load("x", "i", 0))),
    "part of the rows": rows(domain={"i": "N", "j": 4}),
}


@pytest.mark.parametrize("name", NOTHING_KEPT)
def test_nothing_is_kept(name):
    assert keep_terms(NOTHING_KEPT[name], Machine()) == NOTHING_KEPT[name]


def test_an_array_that_is_used_between_keeps_its_value():
    """z reads y of an earlier formula, which the terms must not overwrite."""
    arrays = [array("z", "output", "N", 8)]
    early = ("y", ROW, op("mul", load("x", "i", "j"), 2.0))
    reader = ("z", ROW, op("add", load("y", "i", "j"), load("t", "i")))
    before = rows(between=[early, reader], arrays=arrays)
    after = keep_terms(before, Machine())
    assert count(after, "exp") == 1
    assert_same_meaning(before, after, {"N": 5}, tolerance=0)


def test_terms_of_what_changes_between_are_not_kept():
    """x is a state that is updated between the sum and the quotient."""
    changed = ("x", ROW, op("mul", load("x", "i", "j"), 2.0))
    before = rows(between=[changed], given="state")
    assert keep_terms(before, Machine()) == before
