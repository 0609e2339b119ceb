"""What a compiled program says of its kernels."""

from __future__ import annotations

import pytest

import graphnn as gn


@pytest.mark.parametrize(("transposed", "relaid"), [(False, []), (True, ["(re-lays W)"])])
def test_a_kernel_says_what_it_only_copies_to_another_layout(transposed: bool, relaid: list[str]) -> None:
    net = gn.Network()
    x = net.input("x", ("N", 300))
    W = net.parameter("W", (200, 300) if transposed else (300, 200))
    program = gn.compile(gn.matmul(x, gn.transpose(W) if transposed else W))
    assert [line[line.index("(re-lays") :] for line in program.kernels if "re-lays" in line] == relaid
