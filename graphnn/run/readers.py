"""Strict readers of parsed JSON: each returns its argument in the type that it promises, or raises TypeError."""

from __future__ import annotations

from math import isfinite
from typing import Any


def read_text(data: object) -> str:
    if not isinstance(data, str):
        raise TypeError(f"{data!r} is not a string")
    return data


def read_list(data: object) -> list[Any]:
    if not isinstance(data, list):
        raise TypeError(f"{data!r} is not a list")
    return data


def read_texts(data: object) -> tuple[str, ...]:
    return tuple(map(read_text, read_list(data)))


def read_table(data: object) -> dict[str, str]:
    if not isinstance(data, dict):
        raise TypeError(f"{data!r} is not an object")
    return {read_text(key): read_text(value) for key, value in data.items()}


def read_integer(data: object) -> int:
    if type(data) is not int:
        raise TypeError(f"{data!r} is not an integer")
    return data


def read_number(data: object) -> float:
    if type(data) not in (int, float) or not isfinite(data):  # type: ignore[arg-type]
        raise TypeError(f"{data!r} is not a finite number")
    return float(data)  # type: ignore[arg-type]


def read_pairs(data: object) -> list[tuple[Any, Any]]:
    """[["labels", 10], ...]"""
    return [(first, second) for first, second in map(read_list, read_list(data))]
