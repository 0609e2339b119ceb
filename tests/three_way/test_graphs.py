"""Random graphs: reference evaluator = loop interpreter, before and after scheduling = native code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import graphnn as gn
from tests.three_way.found import FOUND
from tests.three_way.graphs import decode
from tests.three_way.runner import Accuracy, compare_ways


def compare(codes: Sequence[int]) -> None:
    """Raise AssertionError where a result of the graph of `codes` differs between two of its meanings."""
    case = decode(codes)
    compare_ways(case.outputs, case.values, case.accuracy, case.sizes, case.debug, case.training)


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


@pytest.mark.parametrize("build", FOUND, ids=lambda build: build.__name__)
def test_found_before(build: Callable[[], tuple[list[gn.Tensor], dict[str, Any]]]) -> None:
    outputs, values = build()
    policies: tuple[Accuracy, ...] = ("fast", "tight")
    for accuracy in policies:
        compare_ways(outputs, values, accuracy, debug=True)
