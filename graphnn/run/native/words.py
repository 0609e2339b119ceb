"""The words of a frame, which every process that calls a program has; `records` has those of the native entry."""

from __future__ import annotations

from enum import IntEnum, auto

WORD = 8  # bytes


class Words(IntEnum):
    """Places in a record of 64-bit words: 0, 1, 2, ..."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[int]) -> int:
        return count


class FrameWord(Words):
    """The head of a frame; the output objects of its call, the table of pointers and that of sizes follow."""

    NEXT = auto()
    ARENA = auto()
    CAPACITY = auto()
    PLAN = auto()  # the serial of the plan that its temps and sizes are set for
    STATES = auto()
    MADE = auto()  # how many output objects the running call has made
    LOCKED = auto()
    SCALAR = auto()  # an output that is returned as a float
