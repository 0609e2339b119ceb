"""Random convolutional networks: trained steps are right, however they are compiled, and the passes are reached."""

from __future__ import annotations

import numpy as np

from graphnn.lower.builder import lower
from graphnn.schedule.machine import Machine
from graphnn.schedule.passes import PASSES
from graphnn.simplify.passes import simplify
from tests.three_way.networks import Training, decode_training
from tests.three_way.trained import compare_training

REACHING = (512, 516, 517, 522, 650)
OUT_OF_REACH = {"panels", "streams", "past_cache"}  # of arrays that no cache holds


def network_of(seed: int) -> Training:
    return decode_training(np.random.default_rng(seed).integers(0, 256, 60).tolist())


def passes_that_change(case: Training) -> set[str]:
    program = lower(simplify(case.network, case.outputs, case.updates, case.sizes, training=case.training).program)
    found = set()
    for step in PASSES:
        before, program = program, step.run(program, Machine())
        if program != before:
            found.add(step.name)
    return found


def test_random_networks(graphs: int) -> None:
    for seed in (*REACHING, *range(graphs // 50)):
        try:
            compare_training(network_of(seed))
        except Exception as error:
            raise AssertionError(f"network {seed}: {error}") from error


def test_networks_reach_the_passes() -> None:
    reached = set.union(*(passes_that_change(network_of(seed)) for seed in REACHING))
    assert reached >= {step.name for step in PASSES} - OUT_OF_REACH
