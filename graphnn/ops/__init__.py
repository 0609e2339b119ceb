"""Definitions only: every op is one formula in index notation, or a composition of such.

elementwise.py   sigmoid to where: pointwise formulas, with broadcasting
contraction.py   matmul
reduction.py     sum to argmax, and the softmax family
layout.py        reshape, transpose
indexing.py      slice, gather, one_hot, concatenate, stack
losses.py        quadratic to hinge
arguments.py     what the functions above share: checks, names of axes

Importing this package fills the registry of `declare/`. Nothing here is a derivative and nothing runs.
"""

from graphnn.ops import contraction, elementwise, indexing, layout, losses, reduction

__all__ = ["contraction", "elementwise", "indexing", "layout", "losses", "reduction"]
