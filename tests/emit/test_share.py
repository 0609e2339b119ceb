"""Shares of nests: together they are the whole, in whatever number they are cut."""

from dataclasses import replace

import numpy as np
import pytest

from graphnn.emit.module import emit, split_kernels
from graphnn.emit.share import FIRST, LAST, Division, divide, parts_of, share_of
from graphnn.emit.target import host
from graphnn.lower.interpreter import interpret
from graphnn.lower.ir import Accumulate, Contract, For
from graphnn.schedule.memory import evaluate
from graphnn.schedule.passes import schedule
from graphnn.simplify.expr import Const, index_constant
from tests.schedule.samples import array, at, load, op, program, total


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 8, 70])
@pytest.mark.parametrize(
    ("extents", "depth", "unit"),
    [((5,), 1, 1), ((37,), 1, 16), ((5, 6), 2, 1), ((3, 50), 2, 16), ((2, 3, 4), 3, 1), ((2, 3, 4), 2, 1),
     (("M", 4), 2, 1), ((4, "M"), 2, 1), (("M",), 1, 16), ((1, 1), 2, 1), (("N", 5), 2, 1), (("N", "N"), 2, 16)],
)  # fmt: skip
def test_shares_make_up_the_whole_once(extents, depth, unit, threads):
    """Each thread writes its number into the elements of its share; the numbers rise, and none is missing or double."""
    names = [f"i{k}" for k in range(len(extents))]
    arrays = [array("x", "input", "N", "M"), array("y", "output", *extents)]
    made = program(arrays, [("y", dict(zip(names, extents, strict=True)), Const(1.0, "float32"))], sizes=["N", "M"])
    (nest,) = map(parallel, made.body)
    sizes = {"N": 7, "M": 0}
    parts = evaluate(parts_of(nest, Division(depth, unit)), sizes)
    (shape,) = (tuple(evaluate(e, sizes) for e in b.shape) for b in made.buffers if b.name == "y")
    owner, times = np.zeros(shape), np.zeros(shape, int)
    for thread in range(threads):
        stretch = {FIRST.name: parts * thread // threads, LAST.name: parts * (thread + 1) // threads}
        share = replace(made, sizes=(*sizes, *stretch), body=(share_of(nest, Division(depth, unit)),))
        y = np.zeros(shape, np.float32)
        interpret(share, {"x": np.zeros((7, 0), np.float32), "y": y}, sizes | stretch)
        owner += thread * y
        times += y.astype(int)
    assert (times == 1).all()
    assert (np.diff(owner.ravel()) >= 0).all()


def parallel(stmt):
    return replace(stmt, kind="parallel", body=tuple(map(parallel, stmt.body))) if isinstance(stmt, For) else stmt


def work_of(formulas, arrays, sizes=()):
    scheduled = schedule(program(arrays, formulas, sizes=sizes))
    return divide(scheduled, split_kernels(scheduled.body), host()), scheduled


def pointwise(rows, columns, sizes=()):
    arrays = [array("x", "input", rows, columns), array("y", "output", rows, columns)]
    return work_of([("y", {"i": rows, "j": columns}, op("exp", load("x", "i", "j")))], arrays, sizes)[0]


def test_small_programs_are_not_divided():
    assert pointwise(8, 8) is None
    assert pointwise(1000, 1000).divisions == (Division(1),)


def test_few_rows_are_divided_further_inside():
    assert pointwise(2, 500_000).divisions == (Division(2, host().lanes("float32")),)


def test_a_size_of_the_call_decides_at_the_call():
    assert pointwise("N", 64, ["N"]).divisions == (Division(1),)
    assert 1 < pointwise("N", 64, ["N"]).least < pointwise("N", 4, ["N"]).least


def test_one_chain_is_not_divided():
    """Of a long sum, the levels that are maps to partial sums are; what is left at the end is one thread's."""
    arrays = [array("x", "input", 1_000_000), array("y", "output")]
    work, scheduled = work_of([("y", {}, total(load("x", "r"), r=1_000_000))], arrays)
    levels = [kernel for kernel in split_kernels(scheduled.body) if not isinstance(kernel[0], For)]
    assert levels
    assert any(work.divisions)
    for kernel, division in zip(split_kernels(scheduled.body), work.divisions, strict=True):
        assert division is None or kernel not in levels


def test_transposed_copies_stay_in_whole_blocks():
    arrays = [array("x", "input", 800, 800), array("y", "output", 800, 800)]
    work, _ = work_of([("y", {"i": 800, "j": 800}, at("x", "j", "i"))], arrays)
    assert work.divisions == (Division(1, host().lanes("float32")),)


def test_a_contraction_whose_epilogue_meets_itself_is_not_divided():
    body = total(op("mul", load("x", "i", "r"), load("w", "r", "j")), r=200)
    arrays = [array("x", "input", 200, 200), array("w", "input", 200, 200), array("y", "output", 200, 200)]
    work, scheduled = work_of([("y", {"i": 200, "j": 200}, body)], arrays)
    assert work.divisions == (Division(0),)
    (contract,) = scheduled.body
    assert isinstance(contract, Contract)
    (store,) = contract.body
    meeting = Accumulate("y", (index_constant(0), index_constant(0)), "sum", store.value)
    changed = replace(scheduled, body=(replace(contract, body=(meeting,)),))
    assert divide(changed, split_kernels(changed.body), host()) is None


def test_checked_code_runs_in_one_thread():
    arrays = [array("x", "input", 1000, 1000), array("y", "output", 1000, 1000)]
    scheduled = schedule(program(arrays, [("y", {"i": 1000, "j": 1000}, op("exp", load("x", "i", "j")))], sizes=[]))
    assert emit(scheduled, host()).parallel
    assert not emit(scheduled, host(), debug=True).parallel
