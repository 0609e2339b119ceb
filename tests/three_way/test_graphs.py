"""Random graphs: reference evaluator = loop interpreter, before and after scheduling = native code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.three_way.graphs import decode
from tests.three_way.pinned import PINNED
from tests.three_way.runner import Chain, reference

TOLERANCE = {"float64": 1e-10, "float32": 2e-4}  # of the largest value of any node that a result depends on


def compare(codes: Sequence[int]) -> None:
    """Raise AssertionError where a result of the graph of `codes` differs between two of its meanings."""
    case = decode(codes)
    nodes = [t for t in case.outputs[0].network.ancestors(case.outputs) if t.dtype == case.dtype]
    expected = reference(case.outputs, case.values)
    scale = max((float(np.abs(v).max(initial=0)) for v in reference(nodes, case.values)), default=0)
    chain = Chain(case.outputs, case.accuracy, case.sizes, case.debug)
    ways = {
        "interpreted": chain.interpreted(case.values),
        "scheduled": chain.interpreted(case.values, scheduled=True),
        "native": chain.native(case.values),
    }
    for way, results in ways.items():
        for tensor, result, right in zip(case.outputs, results, expected, strict=True):
            assert result.shape == right.shape, (way, tensor.name)
            error = float(np.abs(result - right).max(initial=0))
            assert error <= TOLERANCE[case.dtype] * max(1, scale), f"{way}: {tensor.name} is off by {error:g}"


def test_random_graphs(graphs: int) -> None:
    @settings(
        max_examples=graphs,
        deadline=None,
        derandomize=graphs == 100,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(st.integers(0, 255), min_size=12, max_size=60))
    def check(codes: list[int]) -> None:
        compare(codes)

    check()


@pytest.mark.parametrize("codes", PINNED)
def test_pinned_graphs(codes: tuple[int, ...]) -> None:
    compare(codes)
