"""The functions of `scalars.py` for formulas that are made later: naming them imports no sympy."""

from __future__ import annotations

from typing import Any


def log1p(x: Any) -> Any:
    """log(1 + x), accurate near 0."""
    return _scalar("log1p")(x)


def expm1(x: Any) -> Any:
    """exp(x) - 1, accurate near 0."""
    return _scalar("expm1")(x)


def threefry(key: Any, counter: Any) -> Any:
    """The int64 block that Threefry-2x32 gives for an int64 key and counter."""
    return _scalar("threefry")(key, counter)


def _scalar(name: str) -> Any:
    from graphnn.declare import scalars  # where sympy is

    return getattr(scalars, name)
