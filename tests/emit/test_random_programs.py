"""Random nests: lanes against scalars bit by bit, both against the interpreter."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from graphnn.lower.interpreter import interpret
from graphnn.lower.ir import Accumulate, Fold, For, If, Let, Stmt, Store
from graphnn.simplify.expr import Axis, Const, Expr, Local, Op, Range, Size
from tests.emit.native import buffer, integer, load, op, program, run, without_vectors

X, T, Y = buffer("x", ("N", 5)), buffer("t", ("N",), "int64"), buffer("y", ("N", 5), role="state", layout=(1, 0))
Z = buffer("z", (5, "N"), role="state")
N = Size("N")


class Draw:
    """Draws statements for axes i < N and j < 5, with a guard around every index that may leave its buffer."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.locals: list[str] = []
        self.count = 0

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def row(self, j: Expr) -> Expr:
        """An element of x, of y or of z, directly, by a gather, or shifted under a guard."""
        i = Axis("i")
        shifted = op("add", i, integer(self.random.randint(-3, 3)))
        inside = op("and", op("le", integer(0), shifted), op("lt", shifted, N))
        match self.random.randrange(6):
            case 0:
                return load(X, load(T, i), j)
            case 1:
                return Op("select", (inside, load(X, shifted, j), Const(0.5, "float32")), "float32")
            case 2:
                return Op("select", (inside, load(X, load(T, shifted), integer(2)), load(X, i, j)), "float32")
            case 3:
                return load(Y, i, j)
            case 4:
                return load(Z, j, i)
        return load(X, i, j)

    def condition(self, j: Expr) -> Expr:
        parity = op("eq", op("mod", op("add", Axis("i"), j), integer(2)), integer(0))
        return self.random.choice([parity, op("lt", self.row(j), Const(0.2, "float32")), op("lt", j, integer(3))])

    def value(self, j: Expr, depth: int) -> Expr:
        if depth == 0:
            known = [Local(name, "float32") for name in self.locals]
            return self.random.choice([self.row(j), self.row(j), Op("cast", (j,), "float32"), *known])
        a, b = self.value(j, depth - 1), self.value(j, depth - 1)
        if self.random.random() < 0.25:
            return Op("select", (self.condition(j), a, b), "float32")
        return op(self.random.choice(["add", "sub", "mul", "max", "min"]), a, b)

    def fold(self, j: Expr) -> Fold:
        axis = self.fresh("r")
        inner = self.value(Axis(axis), 1)
        guard = self.random.choice([None, self.condition(Axis(axis)), self.condition(j)])
        reducer = self.random.choice(["sum", "max", "min"])
        bounds = Range(axis, integer(0), self.random.choice([integer(5), integer(0)]))
        return Fold(self.fresh("f"), reducer, (bounds,), guard, op("mul", inner, self.value(j, 0)))

    def statements(self, j: Expr, depth: int) -> tuple[Stmt, ...]:
        outer, body = list(self.locals), list[Stmt]()
        for _ in range(self.random.randint(1, 3)):
            match self.random.randrange(6):
                case 0:
                    body.append(Let(name := self.fresh("l"), self.value(j, 2)))
                    self.locals.append(name)
                case 1:
                    body.append(fold := self.fold(j))
                    self.locals.append(fold.name)
                case 2 if depth:
                    body.append(If(self.condition(j), self.statements(j, depth - 1)))
                case 3 if depth:
                    axis = self.fresh("j")
                    body.append(For(axis, integer(0), integer(5), self.statements(Axis(axis), depth - 1)))
                case _:
                    element = (Axis("i"), j), (j, Axis("i"))
                    which = self.random.randrange(2)
                    body.append(Store(("y", "z")[which], element[which], self.value(j, 2)))
        body.append(Accumulate("y", (Axis("i"), j), "max", self.value(j, 1)))
        self.locals = outer
        return tuple(body)


@pytest.mark.parametrize("seed", range(24))
def test_lanes_scalars_and_the_interpreter_agree(seed: int) -> None:
    draw = Draw(seed)
    p = program((For("i", integer(0), N, draw.statements(integer(1), 2), "vector"),), X, T, Y, Z, sizes=("N",))
    n = draw.random.choice([1, 7, 16, 21])
    rng = np.random.default_rng(seed)
    arrays = {
        "x": rng.normal(size=(n, 5)).astype("float32"),
        "t": rng.integers(0, n, n),
        "y": rng.normal(size=(n, 5)).astype("float32"),
        "z": rng.normal(size=(5, n)).astype("float32"),
    }
    wide = run(p, arrays, {"N": n})
    narrow = run(replace(p, body=without_vectors(p.body)), arrays, {"N": n})
    meant = {name: array.copy() for name, array in arrays.items()}
    interpret(p, meant, {"N": n})
    for name, expected in meant.items():
        assert wide[name].tobytes() == narrow[name].tobytes(), name
        np.testing.assert_allclose(wide[name], expected, rtol=1e-5, atol=1e-5, err_msg=name)
