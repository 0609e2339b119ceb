import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphnn.errors import CompileError
from graphnn.schedule.memory import Lifetime, MemoryPlan, plan
from graphnn.schedule.passes import schedule
from graphnn.simplify.expr import Op, Size, index_constant
from tests.schedule.samples import mlp_step

lifetimes = st.lists(
    st.tuples(st.sampled_from([1, 4, 8]), st.integers(0, 300), st.integers(0, 12), st.integers(0, 6)), max_size=12
)


def build(entries):
    return MemoryPlan(
        tuple(
            Lifetime(f"t{i}", item, (Size("N"), index_constant(extent)), first, first + length)
            for i, (item, extent, first, length) in enumerate(entries)
        )
    )


@given(lifetimes, st.integers(0, 40))
def test_buffers_that_live_together_never_overlap(entries, n):
    found = build(entries)
    offsets, total = found.offsets({"N": n})
    spans = [(offsets[x.name], offsets[x.name] + x.item_bytes * n * x.shape[1].value, x) for x in found.lifetimes]
    assert all(start % 64 == 0 and end <= total for start, end, _ in spans)
    for i, (start, end, x) in enumerate(spans):
        for other_start, other_end, y in spans[:i]:
            alive = set(range(x.first, x.last + 1)) & set(range(y.first, y.last + 1))
            if alive and start < end and other_start < other_end:
                assert end <= other_start or other_end <= start
    assert found.offsets({"N": n}) == (offsets, total)


@given(lifetimes)
def test_json_round_trip(entries):
    found = build(entries)
    assert MemoryPlan.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_space_is_used_again():
    found = build([(4, 16, 0, 1), (4, 16, 1, 1), (4, 16, 2, 1), (4, 16, 3, 1)])
    assert found.offsets({"N": 1}) == ({"t0": 0, "t1": 64, "t2": 0, "t3": 64}, 128)


def test_plan_of_a_training_step():
    program = schedule(mlp_step())
    found = plan(program)
    in_arena = (b.name for b in program.buffers if b.role == "temp" and not b.local_to)  # others are on the stack
    assert {x.name for x in found.lifetimes} == set(in_arena)
    offsets, total = found.offsets({"N": 100})
    assert total < sum(-(-_bytes(x, 100) // 64) * 64 for x in found.lifetimes)
    assert MemoryPlan.from_json(found.to_json()).offsets({"N": 100}) == (offsets, total)


def _bytes(lifetime, n):
    one = MemoryPlan((lifetime,))
    return one.offsets({"N": n})[1]


@pytest.mark.parametrize(("sizes", "message"), [({"N": 2**60}, "bytes"), ({}, "N"), ({"N": -1}, "-1")])
def test_bad_sizes_are_refused(sizes, message):
    with pytest.raises(CompileError, match=message):
        build([(8, 300, 0, 1)]).offsets(sizes)


def test_a_sum_past_the_limit_is_refused():
    with pytest.raises(CompileError, match="together"):
        build([(8, 1, 0, 1), (8, 1, 0, 1)]).offsets({"N": 2**59 + 2**58})


@pytest.mark.parametrize("data", [[["t", 4, [True], 0, 1]], [["t", 4, [["pow", 2, "N"]], 0, 1]], [["t"]], [3]])
def test_malformed_json_is_refused(data):
    with pytest.raises(CompileError):
        MemoryPlan.from_json(data)


def test_size_expressions_survive():
    blocks = Op("floordiv", (Op("add", (Size("N"), index_constant(63)), "int64"), index_constant(64)), "int64")
    found = MemoryPlan((Lifetime("t", 4, (Op("max", (blocks, Op("neg", (Size("N"),), "int64")), "int64"),), 0, 0),))
    again = MemoryPlan.from_json(json.loads(json.dumps(found.to_json())))
    assert again.offsets({"N": 65 * 64}) == ({"t": 0}, 320)
