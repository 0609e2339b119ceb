"""The arena plan as a person reads it."""

import re

import numpy as np

import graphnn as gn


def chain(n):
    """A column of x, twice through a sum of its neighbours: arrays that cannot stay in registers."""
    net = gn.Network("chain")
    x = net.input("x", (n, 40))
    h = gn.exp(x)
    centred = h - gn.mean(h * h, axis=1, keepdims=True)
    return gn.compile(centred / gn.sum(centred * centred, axis=1, keepdims=True), cache=False)


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


def test_a_program_without_temps_has_an_empty_arena():
    net = gn.Network()
    assert gn.compile(gn.exp(net.input("x", (4,))), cache=False).memory.splitlines()[1:] == ["arena: 0 bytes"]
