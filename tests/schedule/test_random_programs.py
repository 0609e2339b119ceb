"""Random chains of formulas: whatever the passes do to them, they mean the same."""

from __future__ import annotations

import numpy as np
import pytest

from graphnn.schedule.passes import schedule
from tests.schedule.samples import array, assert_same_meaning, load, op, program, total

SHAPES = {"matrix": ("N", 12), "rows": ("N",), "columns": (12,), "square": (12, 12)}
AXES = ("i", "j")


def random_program(seed: int):
    """Ten formulas, each of one earlier array or two, some of them outputs, with two state updates."""
    rng = np.random.default_rng(seed)
    known = {kind: [f"{kind}0"] for kind in SHAPES}
    arrays = [array(f"{kind}0", "state", *shape) for kind, shape in SHAPES.items()]

    def pick(kind):
        return known[kind][rng.integers(len(known[kind]))]

    def element(kind, *index):
        return load(pick(kind), *index)

    def body(kind):
        match kind, rng.integers(4):
            case "matrix", 0:
                return total(op("mul", element("matrix", "i", "r"), element("square", "r", "j")), r=12)
            case "matrix", 1:
                return total(op("mul", element("matrix", "i", "r"), element("square", "j", "r")), r=12)
            case "matrix", 2:
                return op("sub", element("matrix", "i", "j"), element("rows", "i"))
            case "matrix", _:
                return op("max", element("matrix", "i", "j"), element("columns", "j"))
            case "rows", (0 | 1) as choice:
                return total(element("matrix", "i", "r"), ("sum", "max")[choice], r=12)
            case "rows", _:
                return op("tanh", element("rows", "i"))
            case "columns", 0:
                return op("mul", element("columns", "i"), element("columns", "i"))
            case "columns", _:
                return total(op("tanh", element("matrix", "r", "i")), r="N")
            case "square", 0:
                return op("tanh", element("square", "j", "i"))
            case _:
                return op("tanh", total(op("mul", element("matrix", "r", "i"), element("matrix", "r", "j")), r="N"))

    formulas = []
    for step in range(1, 11):
        kind = list(SHAPES)[rng.integers(len(SHAPES))]
        axes = dict(zip(AXES, SHAPES[kind], strict=False))
        name = f"{kind}{step}"
        formulas.append((name, axes, body(kind)))
        known[kind].append(name)
        arrays.append(array(name, "output" if rng.random() < 0.2 else "temp", *SHAPES[kind]))
    updates = [(names[0], names[-1]) for names in known.values() if len(names) > 1]
    return program(arrays, formulas, updates)


@pytest.mark.parametrize("seed", range(40))
def test_random_programs_keep_their_meaning(seed):
    before = random_program(seed)
    after = schedule(before)
    for n in (1, 5):
        assert_same_meaning(before, after, {"N": n}, tolerance=1e-3)
