"""Every declared meaning at a kink, a tie, a NaN, an infinity or in saturation, natively."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.kinks import KinkCase, kink_cases
from tests.oracle.apply import applied
from tests.three_way.runner import reference

DTYPES = ("float64", "float32")
CASES = [(case, dtype) for dtype in DTYPES for case in kink_cases(np.dtype(dtype).type)]
INTEGER_OPERANDS = {"softmax_cross_entropy": (1,)}
BOOL_OPERANDS = {"where": (0,)}
BARS = {"float64": 1e-12, "float32": 32 * float(np.finfo(np.float32).eps)}


def operand(case: KinkCase, place: int, dtype: str) -> np.ndarray:
    if place in INTEGER_OPERANDS.get(case.op, ()):
        return np.asarray(case.args[place], np.int64)
    if place in BOOL_OPERANDS.get(case.op, ()):
        return np.asarray(case.args[place], np.bool_)
    return np.asarray(case.args[place], dtype)


def agree(result: Any, expected: Any, dtype: str, terms: float = 0) -> bool:
    """NaN is NaN, infinities are exact, zeros of both signs are equal; below the normal numbers nothing is promised.

    `terms` is what the result's terms amount to at least.
    """
    result, expected = np.asarray(result, np.float64), np.asarray(expected, dtype).astype(np.float64)
    if result.shape != expected.shape:
        return False
    bar = BARS[dtype] * np.maximum(np.abs(expected), terms) + float(np.finfo(dtype).smallest_normal) * (
        np.abs(expected) != 0
    )
    with np.errstate(invalid="ignore"):
        close = (result == expected) | (np.abs(result - expected) <= bar)
    subnormal = float(np.finfo(dtype).smallest_subnormal)
    exact = (np.abs(expected) < 10 * subnormal) & (terms == 0)  # a neighbour of 0 is itself
    return bool((np.isnan(expected) & np.isnan(result) | np.where(exact, result == expected, close)).all())


@pytest.mark.parametrize(("case", "dtype"), CASES, ids=[f"{c.op}: {c.note} ({d})" for c, d in CASES])
def test_kink(case: KinkCase, dtype: str) -> None:
    args = [operand(case, n, dtype) for n in range(len(case.args))]
    kinds = tuple((str(a.dtype), a.shape) for a in args)
    constants = {n: float(args[n]) for n in case.constants}
    program = applied(case.op, kinds, case.attributes, "tight", case.ties, constants, bool(case.gradient))
    adjoint = np.ones(np.shape(case.value))
    value, gradients = program(args, adjoint)
    # A gradient a - y, and a sum of exponentials that holds exp(0), have terms of 1.
    terms = 1.0 if case.op.endswith("cross_entropy") else 0.0
    assert agree(value, case.value, dtype, terms), f"value {value}, expected {case.value}"
    for place, gradient in gradients.items():
        if case.gradient and case.gradient[place] is not None:
            expected = case.gradient[place]
            assert agree(gradient, expected, dtype, terms), f"gradient by {place}: {gradient}, expected {expected}"
    if dtype == "float64" and "z =" not in case.note:  # in saturation the smooth definition overflows
        inputs = program.chain.network.inputs
        values = {f"x{n}": a for n, a in enumerate(args)} | {"adjoint": adjoint}
        meaning, *_ = reference(program.chain.tensors, {n: values[n] for n in inputs})
        assert agree(meaning, case.value, dtype, terms) or case.note in ("inf", "-inf"), f"reference {meaning}"
