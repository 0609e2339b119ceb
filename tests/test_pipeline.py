"""compile(): stages, options, outputs in every structure, origins down to the machine code."""

from __future__ import annotations

import gc
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphnn as gn
from graphnn import pipeline, stages
from graphnn.collector import collector_paused
from graphnn.run.cache import Cache

X = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)


def _layer() -> tuple[gn.Network, gn.Tensor]:
    net = gn.Network("layer")
    return net, gn.dense(net.input("x", ("N", 8)), 4, activation=gn.sigmoid, name="a")


def test_every_stage_has_a_text_and_until_stops_there() -> None:
    _, a = _layer()
    program = gn.compile(a)
    for number, stage in enumerate(gn.STAGES):
        assert program.stage(stage).strip()
        if stage != "run":
            stopped = gn.compile(a, until=stage)
            assert stopped.stage(stage) == program.stage(stage)
            for later in gn.STAGES[number + 1 :]:
                with pytest.raises(gn.CompileError, match="not among the stages"):
                    stopped.stage(later)


def test_outputs_come_back_in_the_structure_that_was_asked_for() -> None:
    net, a = _layer()
    z = net["a.z"]
    single, listed, named = gn.compile(a)(x=X), gn.compile([a, z])(x=X), gn.compile({"act": a, "pre": z})(x=X)
    assert isinstance(single, np.ndarray)
    assert [type(v) for v in listed] == [np.ndarray] * 2
    assert list(named) == ["act", "pre"]
    np.testing.assert_array_equal(single, named["act"])
    np.testing.assert_array_equal(listed[1], named["pre"])


def test_an_input_or_a_parameter_can_be_an_output() -> None:
    net, a = _layer()
    x, w, found = gn.compile([net["x"], net.parameters["a.W"], a])(x=X)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(w, net.state["a.W"])
    assert found.shape == (5, 4)


def test_a_row_does_not_depend_on_its_batch() -> None:
    net = gn.Network("rows")
    h = gn.dense(net.input("x", ("N", 8)), 33, activation=gn.tanh, name="h")
    predict = gn.compile(gn.softmax(gn.dense(h, 10, name="z")))
    rows = np.random.default_rng(1).normal(size=(64, 8)).astype(np.float32)
    everything = predict(x=rows)
    for count in (1, 2, 15, 16, 17, 33, 63):
        np.testing.assert_array_equal(predict(x=rows[:count]), everything[:count])


def test_bound_sizes_refuse_other_batches_and_give_the_same_numbers() -> None:
    _, a = _layer()
    bound = gn.compile(a, sizes={"N": 5})
    np.testing.assert_allclose(bound(x=X), gn.compile(a)(x=X), rtol=1e-6)
    with pytest.raises(gn.BoundaryError, match="must have extent 5"):
        bound(x=X[:3])


def test_float64_is_a_compile_option() -> None:
    net, a = _layer()
    found = gn.compile(a, dtype="float64")(x=X.astype(np.float64))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, gn.evaluate([a], {"x": X})[0], rtol=1e-14)
    assert net.state["a.W"].dtype == np.float32


@pytest.mark.parametrize(
    "passes", [("fuse",), ("contract",), ("vectorise",), ("split_reductions", "layout"), ("in_place",)]
)
def test_a_schedule_pass_can_be_left_out(passes: tuple[str, ...]) -> None:
    net, a = _layer()
    loss = gn.sum(gn.square(a))
    outputs = [loss, *gn.gradients(loss, list(net.parameters.values()))]
    for found, expected in zip(gn.compile(outputs, disable=passes)(x=X), gn.compile(outputs)(x=X), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_updates_are_stored_when_everything_has_been_computed() -> None:
    net = gn.Network("swap")
    a, b = net.parameter("a", (3,), init=1.0), net.parameter("b", (3,), init=2.0)
    total = gn.sum(a + b * 10.0)
    step = gn.compile(total, updates={"a": gn.identity(b), "b": gn.identity(a)})
    assert float(step()) == 63
    assert net.state["a"].tolist() == [2, 2, 2]
    assert net.state["b"].tolist() == [1, 1, 1]
    assert float(step()) == 36


def test_assigned_state_is_seen_by_the_next_call() -> None:
    net, a = _layer()
    program = gn.compile(a)
    before = program(x=X)
    net.state["a.b"] = np.full(4, 3.0, np.float32)
    after = program(x=X)
    assert (after > before).all()
    np.testing.assert_allclose(after, gn.evaluate([a], {"x": X})[0], rtol=1e-5)


def test_every_line_of_the_assembly_has_an_origin() -> None:
    _, a = _layer()
    program = gn.compile(a)
    lines = {int(n) for n in re.findall(r"\.loc\s+1 (\d+)", program.assembly)} - {0}
    assert lines
    assert lines <= set(program.origins)
    assert any(origin.startswith("a, by logistic") for origin in program.origins.values())


def test_a_saved_program_gives_the_same_bits(tmp_path: object) -> None:
    _, a = _layer()
    program = gn.compile(a)
    path = f"{tmp_path}/layer.gnn"
    program.save(path)
    np.testing.assert_array_equal(gn.load(path)(x=X), program(x=X))


def test_debug_mode_computes_the_same() -> None:
    net, a = _layer()
    loss = gn.mean(gn.square(a))
    outputs = [loss, *gn.gradients(loss, list(net.parameters.values()))]
    for found, expected in zip(gn.compile(outputs, debug=True)(x=X), gn.compile(outputs)(x=X), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_computed_indices_never_leave_their_array() -> None:
    net = gn.Network("indices")
    table, rows = net.input("table", (3, 2), "float64"), net.input("rows", ("N",), "int64")
    program = gn.compile(gn.gather(table, rows + 1), debug=True)
    found = program(table=np.arange(6.0).reshape(3, 2), rows=np.array([-2, -1, 1, 2, 2**40]))
    np.testing.assert_array_equal(found[1:3], [[0, 1], [4, 5]])
    assert np.isnan(found[[0, 3, 4]]).all()


def test_labels_of_a_scatter_are_checked_though_the_gather_is_not_compiled() -> None:
    net = gn.Network("scatter")
    table, rows = net.input("table", (6, 3)), net.input("rows", ("N",), "int64")
    program = gn.compile(gn.gradients(gn.sum(gn.gather(table, rows)), [table])[0])
    assert program(rows=np.array([1, 1, 5])).sum() == 9
    with pytest.raises(gn.BoundaryError, match=r"the value 6 at \[2\] is not in \[0, 6\)"):
        program(rows=np.array([1, 1, 6]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"until": "link"}, "the stages are declare"),
        ({"accuracy": "exact"}, "fast, tight"),
        ({"dtype": "float16"}, "float32 or float64"),
        ({"threads": 0}, "positive int"),
        ({"sizes": {"M": 3}}, "no symbolic size 'M'"),
        ({"sizes": {"N": -1}}, "nonnegative int"),
        ({"disable": ("tile",)}, "no schedule pass 'tile'"),
    ],
)
def test_unknown_options_are_refused(options: dict[str, object], message: str) -> None:
    _, a = _layer()
    with pytest.raises(gn.CompileError, match=message):
        gn.compile(a, **options)  # type: ignore[call-overload]


def test_updates_are_refused_where_they_do_not_fit() -> None:
    net, a = _layer()
    with pytest.raises(gn.CompileError, match="'x' is not a state variable"):
        gn.compile(a, updates={"x": a})
    with pytest.raises(gn.CompileError, match=r"'a.b' is .*its new value"):
        gn.compile(a, updates={"a.b": net.parameters["a.W"]})
    with pytest.raises(gn.CompileError, match="another network"):
        gn.compile([a, gn.Network("other").input("x", (3,))])


def test_a_max_over_no_elements_is_refused_at_the_call() -> None:
    net = gn.Network("empty")
    program = gn.compile(gn.max(net.input("x", (2, "N")), axis=1))
    assert program(x=np.array([[1, 5], [7, 2]], np.float32)).tolist() == [5, 7]
    with pytest.raises(gn.BoundaryError, match="max or min over no elements"):
        program(x=np.zeros((2, 0), np.float32))


def test_a_bound_size_does_not_cost_digits() -> None:
    net = gn.Network("digits")
    a, t = net.input("a", ("N", 3)), net.input("t", ("N", 3))
    program = gn.compile(gn.gradients(gn.mean_squared_error(a, t), [a])[0], sizes={"N": 100})
    x = np.full((100, 3), 1 + 2**-20, np.float32)
    np.testing.assert_allclose(program(a=x, t=np.ones_like(x)), np.full((100, 3), 2**-20 / 150), rtol=1e-6)


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_the_collector_of_cycles_is_off_during_a_compile_and_then_as_before(
    enabled: bool, fails: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[bool] = []
    simplify = stages.simplify

    def watched(*arguments: Any) -> Any:
        seen.append(gc.isenabled())
        if fails:
            raise ZeroDivisionError
        return simplify(*arguments)

    def key(*_: Any) -> str:
        seen.append(gc.isenabled())
        return "0" * 64

    monkeypatch.setattr(stages, "simplify", watched)
    monkeypatch.setattr(pipeline, "_key", key)
    monkeypatch.setattr(pipeline, "open_cache", lambda: Cache(tmp_path))
    x = gn.Network("net").input("x", ("N",))
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(ZeroDivisionError) if fails else nullcontext():
            gn.compile(gn.exp(x))
        assert seen == [False, False]
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_what_a_compile_leaves_is_not_walked_through_at_once() -> None:
    made: list[list[int]] = []
    before = gc.isenabled()
    gc.enable()
    try:
        with collector_paused():
            made += [[n] for n in range(10_000)]
        young = {id(known) for known in gc.get_objects(generation=0)}
        assert not any(id(one) in young for one in made)
        gc.freeze()
        with collector_paused():
            pass
        assert gc.get_freeze_count()  # what others have frozen stays so
    finally:
        gc.unfreeze()
        (gc.enable if before else gc.disable)()
