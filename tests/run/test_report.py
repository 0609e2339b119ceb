"""The arena plan as a person reads it."""

import re

import numpy as np

import graphnn as gn


def chain(n):
    """Products of matrices, each of the one before: arrays that two statements use."""
    net = gn.Network("chain")
    h, w = net.input("x", (n, 40)), net.input("w", (40, 40))
    for _ in range(3):
        h = gn.matmul(gn.exp(h), w)
    return gn.compile(h, cache=False)


def test_known_sizes_give_bytes_and_places():
    lines = chain(8).memory.splitlines()
    assert lines[0].split() == ["buffer", "array", "bytes", "statements", "offset"]
    rows = [re.split(r"  +", line) for line in lines[1:-1] if not line.startswith("  then")]
    for _, array, size, _, offset in rows:
        shape = [int(d) for d in re.findall(r"\d+", array.split("[")[1])]
        assert int(size) == 4 * int(np.prod(shape))
        assert int(offset) % 64 == 0
    total, apart, peak = map(int, re.findall(r"(\d+) (?:bytes|without|in use)", lines[-1]))
    assert peak <= total <= -(-apart // 64) * 64 + 64 * len(rows)
    assert max(map(len, lines)) <= 120


def test_sizes_of_the_call_are_known_at_the_call():
    text = chain("N").memory
    assert text.splitlines()[-1] == "arena: known at the call"
    assert "float32[N" in text


def test_what_is_on_the_stack_is_told_apart():
    """The exponentials of a softmax, which each row keeps for itself."""
    net = gn.Network()
    lines = gn.compile(gn.softmax(net.input("x", (40, 64))), cache=False).memory.splitlines()
    assert lines[1] == "arena: 0 bytes"
    assert lines[2].startswith("on the stack")
    assert [line.rsplit(": ", 1)[1] for line in lines[3:]] == ["float32[40, 64]"]


def test_a_program_without_temps_has_an_empty_arena():
    net = gn.Network()
    assert gn.compile(gn.exp(net.input("x", (4,))), cache=False).memory.splitlines()[1:] == ["arena: 0 bytes"]
