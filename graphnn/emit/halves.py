"""The lanes of several vectors combined, by halves, all at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphnn.emit.writer import Value, Writer, lanes_of


def halved(w: Writer, vectors: Sequence[Value], combine: Callable[[Value, Value], Value]) -> Value:
    """Each vector's lanes combined, l with l + lanes/2 and so on; the result of vector i is in lane i.

    There are no more vectors than lanes. Two vectors become one in which each has half as many lanes: 16 sums of 16
    lanes take 15 adds and 30 shuffles.
    """
    lanes = width = lanes_of(vectors[0].type)
    while width > 1:
        half, pairs = width // 2, list[Value]()
        for first in range(0, len(vectors), 2):
            pair = vectors[first : first + 2]
            starts = range(0, len(pair) * lanes, width)
            low = _picked(w, pair, [lane for s in starts for lane in range(s, s + half)])
            high = _picked(w, pair, [lane for s in starts for lane in range(s + half, s + width)])
            pairs.append(combine(low, high))
        vectors, width = pairs, half
    (total,) = vectors
    return total


def _picked(w: Writer, pair: Sequence[Value], lanes: Sequence[int]) -> Value:
    """The named lanes of one or two vectors, one after the other; what is left of the result may be anything."""
    type_, count = pair[0].type, lanes_of(pair[0].type)
    chosen = ", ".join(f"i32 {lane}" for lane in lanes) + ", i32 poison" * (count - len(lanes))
    second = pair[1].ref if len(pair) > 1 else "poison"
    return w.ins(type_, f"shufflevector {pair[0]}, {type_} {second}, <{count} x i32> <{chosen}>")
