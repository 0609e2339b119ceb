"""Threefry-2x32 with 20 rounds in LLVM instructions: additions, rotations and exclusive ors of 32-bit lanes.

    threefry(key, counter)  ->  about 90 instructions for all lanes; no memory, no branch

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). Each lane's number follows from
its own key and counter, so it depends neither on the number of lanes nor on who computes it.
"""

from __future__ import annotations

from graphnn.emit.writer import Value, Writer, constant, lanes_of, mangle, vector_type

_ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
_PARITY = 0x1BD11BDA
_ROUNDS, _BETWEEN_KEYS = 20, 4


def emit_threefry(w: Writer, key: Value, counter: Value) -> Value:
    """Append threefry(key, counter) of two i64 values, or vectors of equally many; words are (low, high) halves."""
    keys = [*_halves(w, key)]
    parity = constant(keys[0].type, _PARITY)
    keys.append(w.binary("xor", w.binary("xor", keys[0], keys[1]), parity))
    low, high = (w.binary("add", x, k) for x, k in zip(_halves(w, counter), keys, strict=False))
    for done in range(1, _ROUNDS + 1):
        low = w.binary("add", low, high)
        high = w.binary("xor", _rotate(w, high, _ROTATIONS[(done - 1) % len(_ROTATIONS)]), low)
        number, left = divmod(done, _BETWEEN_KEYS)
        if left == 0:
            low = w.binary("add", low, keys[number % 3])
            high = w.binary("add", high, keys[(number + 1) % 3])
            high = w.binary("add", high, constant(high.type, number))
    shift = constant(key.type, 32)
    return w.binary("or", w.binary("shl", w.convert("zext", high, key.type), shift), w.convert("zext", low, key.type))


def _halves(w: Writer, value: Value) -> tuple[Value, Value]:
    """The low and the high 32 bits."""
    half = vector_type("i32", lanes_of(value.type))
    above = w.binary("lshr", value, constant(value.type, 32))
    return w.convert("trunc", value, half), w.convert("trunc", above, half)


def _rotate(w: Writer, value: Value, count: int) -> Value:
    return w.intrinsic(f"fshl.{mangle(value.type)}", value.type, value, value, constant(value.type, count))
