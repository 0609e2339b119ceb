"""Programs to schedule, as formulas, and random data for them."""

from __future__ import annotations

import numpy as np

from graphnn.lower.builder import lower
from graphnn.lower.interpreter import interpret
from graphnn.lower.ir import Program
from graphnn.lower.verify import verify
from graphnn.schedule.memory import evaluate
from graphnn.simplify.expr import Axis, Const, Expr, Load, Op, Range, Reduce, Size, index_constant
from graphnn.simplify.formula import Array, Formula, FormulaProgram

N = Size("N")
DTYPES = {"float32": np.float32, "float64": np.float64, "int64": np.int64, "bool": np.bool_}


def size(extent):
    return Size(extent) if isinstance(extent, str) else index_constant(extent) if isinstance(extent, int) else extent


def ranges(**extents):
    return tuple(Range(axis, index_constant(0), size(extent)) for axis, extent in extents.items())


def load(buffer, *index, dtype="float32"):
    return Load(buffer, tuple(Axis(i) if isinstance(i, str) else size(i) for i in index), dtype)


def op(fn, *args, dtype="float32"):
    return Op(fn, tuple(Const(a, "float32") if isinstance(a, float) else a for a in args), dtype)


def total(body, reducer="sum", guard=None, **extents):
    return Reduce(reducer, ranges(**extents), guard, body)


def array(name, role, *shape, dtype="float32"):
    return Array(name, dtype, tuple(map(size, shape)), role)


def program(arrays, formulas, updates=(), sizes=("N",)):
    """`formulas` are (target, {axis: extent}, body)."""
    built = tuple(Formula(target, ranges(**axes), body) for target, axes, body in formulas)
    return lower(FormulaProgram("sample", tuple(sizes), tuple(arrays), built, tuple(updates)))


def run(scheduled: Program, sizes: dict[str, int], seed: int = 0) -> dict[str, np.ndarray]:
    """Outputs and states after one run on random data, of a verified program."""
    verify(scheduled)
    rng = np.random.default_rng(seed)
    arrays = {}
    for b in scheduled.buffers:
        if b.role != "temp":
            shape = tuple(evaluate(e, sizes) for e in b.shape)
            values = rng.integers(0, 3, shape) if b.dtype == "int64" else rng.normal(size=shape)
            arrays[b.name] = np.zeros(shape, DTYPES[b.dtype]) if b.role == "output" else values.astype(DTYPES[b.dtype])
    interpret(scheduled, arrays, sizes)
    return {b.name: arrays[b.name] for b in scheduled.buffers if b.role in ("output", "state")}


def assert_same_meaning(before: Program, after: Program, sizes: dict[str, int], tolerance: float = 2e-5) -> None:
    expected, found = run(before, sizes), run(after, sizes)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=tolerance, atol=tolerance, err_msg=name)


def layer(n: str | int = "N", k: int = 20, m: int = 24) -> Program:
    """a = sigmoid(x @ W + b)"""
    z = op("add", load("b", "j"), total(op("mul", load("x", "i", "r"), load("W", "r", "j")), r=k))
    arrays = [array("x", "input", n, k), array("W", "state", k, m), array("b", "state", m), array("a", "output", n, m)]
    return program(arrays, [("a", {"i": n, "j": m}, op("sigmoid", z))], sizes=[n] if isinstance(n, str) else [])


def mlp_step(n: str | int = "N", inputs: int = 20, hidden: int = 18, classes: int = 10) -> Program:
    """One SGD step of a two-layer sigmoid net with softmax cross-entropy; W2 is updated before its last reader."""
    mul = lambda a, b: op("mul", a, b)  # noqa: E731
    size_n: Expr = op("cast", size(n))
    rate = op("div", 0.1, size_n)
    arrays = [
        array("x", "input", n, inputs),
        array("y", "input", n, dtype="int64"),
        array("W1", "state", inputs, hidden),
        array("b1", "state", hidden),
        array("W2", "state", hidden, classes),
        array("b2", "state", classes),
        array("loss", "output"),
        array("h", "temp", n, hidden),
        array("z", "temp", n, classes),
        array("top", "temp", n),
        array("e", "temp", n, classes),
        array("s", "temp", n),
        array("rows", "temp", n),
        array("d2", "temp", n, classes),
        array("d1", "temp", n, hidden),
        *(array(f"g{p}", "temp", *shape) for p, shape in _shapes(inputs, hidden, classes)),
        *(array(f"{p}.next", "temp", *shape) for p, shape in _shapes(inputs, hidden, classes)),
    ]
    zeta = total(mul(load("h", "i", "r"), load("W2", "r", "j")), r=hidden)
    picked = Load("z", (Axis("i"), load("y", "i", dtype="int64")), "float32")
    hot = op("select", op("eq", load("y", "i", dtype="int64"), Axis("j"), dtype="bool"), 1.0, 0.0)
    back = total(mul(load("d2", "i", "r"), load("W2", "j", "r")), r=classes)
    slope = mul(load("h", "i", "j"), op("sub", 1.0, load("h", "i", "j")))
    formulas = [
        (
            "h",
            {"i": n, "j": hidden},
            op("sigmoid", op("add", load("b1", "j"), total(mul(load("x", "i", "r"), load("W1", "r", "j")), r=inputs))),
        ),
        ("z", {"i": n, "j": classes}, op("add", load("b2", "j"), zeta)),
        ("top", {"i": n}, total(load("z", "i", "r"), "max", r=classes)),
        ("e", {"i": n, "j": classes}, op("exp", op("sub", load("z", "i", "j"), load("top", "i")))),
        ("s", {"i": n}, total(load("e", "i", "r"), r=classes)),
        ("rows", {"i": n}, op("sub", op("add", load("top", "i"), op("log", load("s", "i"))), picked)),
        ("loss", {}, op("div", total(load("rows", "r"), r=n), size_n)),
        ("d2", {"i": n, "j": classes}, op("sub", op("div", load("e", "i", "j"), load("s", "i")), hot)),
        ("gW2", {"i": hidden, "j": classes}, total(mul(load("h", "r", "i"), load("d2", "r", "j")), r=n)),
        ("gb2", {"i": classes}, total(load("d2", "r", "i"), r=n)),
        ("W2.next", {"i": hidden, "j": classes}, op("sub", load("W2", "i", "j"), mul(rate, load("gW2", "i", "j")))),
        ("b2.next", {"i": classes}, op("sub", load("b2", "i"), mul(rate, load("gb2", "i")))),
        ("d1", {"i": n, "j": hidden}, mul(slope, back)),
        ("gW1", {"i": inputs, "j": hidden}, total(mul(load("x", "r", "i"), load("d1", "r", "j")), r=n)),
        ("gb1", {"i": hidden}, total(load("d1", "r", "i"), r=n)),
        ("W1.next", {"i": inputs, "j": hidden}, op("sub", load("W1", "i", "j"), mul(rate, load("gW1", "i", "j")))),
        ("b1.next", {"i": hidden}, op("sub", load("b1", "i"), mul(rate, load("gb1", "i")))),
    ]
    updates = [(p, f"{p}.next") for p, _ in _shapes(inputs, hidden, classes)]
    return program(arrays, formulas, updates, sizes=[n] if isinstance(n, str) else [])


def at(buffer, *index):
    """A float32 load at index expressions; a str is an axis, an int a constant."""
    return Load(buffer, tuple(map(whole, index)), "float32")


def whole(i):
    return Axis(i) if isinstance(i, str) else size(i)


def integer(fn, *args):
    return Op(fn, tuple(map(whole, args)), "int64")


def condition(fn, *args):
    return Op(fn, tuple(map(whole, args)), "bool")


CHANNELS, FILTERS, WIDTH, KERNEL = 2, 6, 8, 3
VALID = WIDTH - KERNEL + 1
IMAGE = ("N", CHANNELS, WIDTH, WIDTH)
RESULT = ("N", FILTERS, VALID, VALID)
WEIGHT = (FILTERS, CHANNELS, KERNEL, KERNEL)


def convolution() -> Program:
    """y[n, o, p, q] = max(0, b[o] + sum[c, u, v] x[n, c, p+u, q+v] * w[o, c, u, v])"""
    x = at("x", "n", "c", integer("add", "p", "u"), integer("add", "q", "v"))
    body = total(op("mul", x, at("w", "o", "c", "u", "v")), c=CHANNELS, u=KERNEL, v=KERNEL)
    arrays = [array("x", "input", *IMAGE), array("w", "input", *WEIGHT), array("b", "input", FILTERS)]
    axes = {"n": "N", "o": FILTERS, "p": VALID, "q": VALID}
    value = op("max", 0.0, op("add", load("b", "o"), body))
    return program([*arrays, array("y", "output", *RESULT)], [("y", axes, value)])


def convolution_weight_update() -> Program:
    """w[o, c, u, v] -= sum[n, p, q] x[n, c, p+u, q+v] * g[n, o, p, q]"""
    x = at("x", "n", "c", integer("add", "p", "u"), integer("add", "q", "v"))
    body = total(op("mul", x, at("g", "n", "o", "p", "q")), n="N", p=VALID, q=VALID)
    arrays = [array("x", "input", *IMAGE), array("g", "input", *RESULT), array("w", "state", *WEIGHT)]
    axes = {"o": FILTERS, "c": CHANNELS, "u": KERNEL, "v": KERNEL}
    value = op("sub", at("w", "o", "c", "u", "v"), body)
    return program([*arrays, array("w.next", "temp", *WEIGHT)], [("w.next", axes, value)], [("w", "w.next")])


def convolution_adjoint() -> Program:
    """dx[n, c, p, q] = sum[o, u, v] g[n, o, p-u, q-v] * w[o, c, u, v], where that is inside of g"""
    row, column = integer("sub", "p", "u"), integer("sub", "q", "v")
    guard = condition("le", 0, row)
    for other in (condition("lt", row, VALID), condition("le", 0, column), condition("lt", column, VALID)):
        guard = Op("and", (guard, other), "bool")
    product = op("mul", at("g", "n", "o", row, column), at("w", "o", "c", "u", "v"))
    body = total(product, guard=guard, o=FILTERS, u=KERNEL, v=KERNEL)
    arrays = [array("g", "input", *RESULT), array("w", "input", *WEIGHT), array("dx", "output", *IMAGE)]
    return program(arrays, [("dx", {"n": "N", "c": CHANNELS, "p": WIDTH, "q": WIDTH}, body)])


def _shapes(inputs, hidden, classes):
    return [("W1", (inputs, hidden)), ("b1", (hidden,)), ("W2", (hidden, classes)), ("b2", (classes,))]
