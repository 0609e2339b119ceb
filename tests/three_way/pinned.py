"""Graphs that once failed, as the codes that decode to them; what was wrong stands beside each."""

PINNED: tuple[tuple[int, ...], ...] = (
    (0,) * 12,
)
