"""Sums weighted by a softmax that hold its logarithm too stay finite, as the entropy of a policy does."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

import graphnn as gn

LOGITS = np.array([[200, 0, -200, 199, 3], [-1e3, -1e3, -1001, -2e3, -999], [1, 2, 3, 4, 5]])


@pytest.mark.parametrize("logs_first", [False, True])
@pytest.mark.parametrize("accuracy", ["fast", "tight"])
def test_the_entropy_of_large_logits_is_finite(accuracy: Literal["fast", "tight"], logs_first: bool) -> None:
    net = gn.Network("policy")
    z = net.input("z", ("N", 5))
    first, second = (gn.log_softmax(z), gn.softmax(z)) if logs_first else (gn.softmax(z), gn.log_softmax(z))
    total = gn.sum(first * second, axis=-1)
    values = LOGITS.astype("f4")
    found = gn.compile(total, accuracy=accuracy)(z=values)
    beside, slope = gn.compile([total, *gn.gradients(gn.sum(total), [z])], accuracy=accuracy)(z=values)
    shifted = LOGITS - LOGITS.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    right = (np.exp(logs) * logs).sum(1)
    np.testing.assert_allclose([found, beside], [right, right], rtol=1e-5)
    np.testing.assert_allclose(slope, np.exp(logs) * (logs - right[:, None]), rtol=1e-4, atol=1e-6)
