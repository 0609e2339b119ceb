"""compile(tune=True): every variant computes the same, and the choice is kept and shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphnn as gn
from graphnn import pipeline, stages
from graphnn.emit.variants import VARIANTS, Variant
from graphnn.errors import CompileError
from graphnn.run.tuning import Tuning

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.normal(size=(16, 3, 12, 12)).astype(np.float32), RNG.integers(0, 10, 16)
NAMES = [variant.name for variant in VARIANTS]


def training_step(**options: Any) -> tuple[gn.Network, gn.Executable]:
    """A step of a network with a 3 x 3 convolution, pooling and a dense layer, for a batch of one vector."""
    net = gn.Network("images")
    x, y = net.input("x", (16, 3, 12, 12)), net.input("y", (16,), dtype="int64")
    h = gn.max_pool(gn.conv2d(x, 8, 3, activation=gn.tanh, name="conv"), 2)
    loss = gn.softmax_cross_entropy(gn.dense(gn.reshape(h, (16, 200)), 10, name="out"), y)
    net.initialize(seed=0)
    parameters = list(net.parameters.values())
    news = {p.name: p - 0.1 * g for p, g in zip(parameters, gn.gradients(loss, parameters), strict=True)}
    return net, gn.compile(loss, updates=news, **options)


class Chooser:
    """Stands for `fastest`: keeps the programs that would be timed, and chooses one by name."""

    def __init__(self, name: str = NAMES[0]) -> None:
        self.name, self.offered = name, list[list[str]]()

    def __call__(self, programs: Mapping[str, Any], source: Any, threads: Any) -> Tuning:
        self.offered.append(list(programs))
        name = self.name if self.name in programs else NAMES[0]
        return Tuning(name, {n: 1.0 + k for k, n in enumerate(programs)})


@pytest.fixture(scope="module")
def plain() -> tuple[gn.Executable, np.ndarray, dict[str, np.ndarray]]:
    """The step by cost: the program, its loss, and the parameters after it."""
    net, program = training_step(cache=False)
    loss = program(x=IMAGES, y=LABELS)
    return program, loss, {name: np.array(net.state[name]) for name in net.parameters}


@pytest.mark.parametrize("variant", VARIANTS[1:], ids=lambda variant: variant.name.replace(" ", "_"))
def test_each_variant_computes_the_same(
    variant: Variant,
    plain: tuple[gn.Executable, np.ndarray, dict[str, np.ndarray]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program, loss, parameters = plain
    monkeypatch.setattr(stages, "VARIANTS", (VARIANTS[0], variant))
    monkeypatch.setattr(pipeline, "fastest", Chooser(variant.name))
    net, tuned = training_step(tune=True, cache=False)
    np.testing.assert_allclose(tuned(x=IMAGES, y=LABELS), loss, rtol=1e-5)
    for name, expected in parameters.items():
        np.testing.assert_allclose(net.state[name], expected, rtol=1e-3, atol=1e-5)
    assert tuned.tuning is not None
    assert (tuned.llvm == program.llvm) == (tuned.tuning.chosen == NAMES[0])
    if tuned.stage("schedule") == program.stage("schedule"):
        assert variant.vector_registers or tuned.tuning.chosen == NAMES[0]


def test_what_gives_the_same_code_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    chooser = Chooser()
    monkeypatch.setattr(pipeline, "fastest", chooser)
    h = gn.Network("rows").input("x", (64, 40))
    gn.compile(gn.exp(h) + 1.0, tune=True, cache=False)
    training_step(tune=True, cache=False)
    assert not {"images row by row", "tiles of 24 registers", "direct convolutions"} & set(chooser.offered[0])
    assert {"by cost", "tiles of 24 registers"} <= set(chooser.offered[1])


def test_it_is_timed_and_the_state_stays_as_it_was() -> None:
    net, tuned = training_step(tune=True, cache=False)
    other, untuned = training_step(cache=False)
    assert all((net.state[name] == other.state[name]).all() for name in net.parameters)
    assert untuned.tuning is None
    assert tuned.tuning is not None
    assert tuned.tuning.seconds[tuned.tuning.chosen] <= tuned.tuning.seconds[NAMES[0]]
    assert all(seconds > 0 for seconds in tuned.tuning.seconds.values())


def test_the_choice_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHNN_CACHE", "1")
    monkeypatch.setenv("GRAPHNN_CACHE_DIR", str(tmp_path / "programs"))
    chooser = Chooser("tiles of 24 registers")
    monkeypatch.setattr(pipeline, "fastest", chooser)
    monkeypatch.setattr(stages, "VARIANTS", [v for v in VARIANTS if v.name in (NAMES[0], chooser.name)])
    _, first = training_step(tune=True)
    _, again = training_step(tune=True)
    assert len(chooser.offered) == 1
    assert again.tuning == first.tuning == Tuning(chooser.name, dict(first.tuning.seconds))  # type: ignore[union-attr]
    assert again.llvm == first.llvm
    assert again.stage("schedule") == first.stage("schedule")
    assert training_step()[1].tuning is None
    training_step(tune=True, threads=2)  # another number of threads may want another schedule
    assert len(chooser.offered) == 2
    first.save(tmp_path / "program.gnn")
    assert gn.load(tmp_path / "program.gnn").tuning == first.tuning


@pytest.mark.parametrize(("options", "message"), [
    ({}, 'N would be known at the call only: compile with sizes={"N": ...}'),
    ({"sizes": {"N": 4}, "debug": True}, "compile without debug= and until="),
    ({"sizes": {"N": 4}, "until": "emit"}, "compile without debug= and until="),
    ({"sizes": {"N": 4}, "tune": 1}, "tune=1: True or False"),
])  # fmt: skip
def test_what_cannot_be_timed_says_so(options: dict[str, Any], message: str) -> None:
    x = gn.Network("rows").input("x", ("N", 4))
    with pytest.raises(CompileError) as error:
        gn.compile(gn.exp(x), **{"tune": True, **options})
    assert message in str(error.value)


def test_a_trainer_tunes_the_step_of_its_batch_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "fastest", Chooser())
    monkeypatch.setattr(stages, "VARIANTS", VARIANTS[:1])
    net = gn.Network("rows")
    x, y = net.input("x", ("N", 4)), net.input("y", ("N", 1))
    trainer = gn.Trainer(gn.mean_squared_error(gn.dense(x, 1), y), batch_size=8, tune=True)
    assert trainer.executable().tuning is not None
    assert trainer.executable(3).tuning is None  # for any number of rows
    with pytest.raises(gn.GraphError, match="tune is True or False, not 'yes'"):
        gn.Trainer(gn.mean_squared_error(gn.dense(x, 1), y), tune="yes")  # type: ignore[arg-type]
