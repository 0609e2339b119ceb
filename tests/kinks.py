"""What every op means where calculus hesitates: at kinks, ties, signed zeros, NaN, infinities and in saturation.

A case gives operands, the value, and the gradient of the value's sum with respect to each operand. A gradient of None
is not declared (NaN input to a piecewise op, integer operands). Zeros compare by value: -0.0 equals 0.0. The neighbours
of a kink are one ulp of the requested dtype away, so the table is a function of the dtype; next to 0 they are
subnormal.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tests.oracle_rows.record import Attributes

INF, NAN = np.inf, np.nan


@dataclass(frozen=True, slots=True)
class KinkCase:
    """One declared meaning.

    op          the op's name in the graphnn namespace
    note        what is special about the point
    args        operands: numbers, or nested lists for arrays
    value       the expected value; NaN means NaN
    gradient    by operand, in the operand's shape; None where not declared; () for an op without a gradient
    attributes  keyword attributes of the op
    constants   positions of operands that the program holds constant
    ties        the tie policy under which the gradient holds
    """

    op: str
    note: str
    args: tuple[Any, ...]
    value: Any
    gradient: tuple[Any, ...] = ()
    attributes: Attributes = field(default_factory=dict)
    constants: tuple[int, ...] = ()
    ties: Literal["first", "split"] = "first"


def kink_cases(dtype: Any = np.float64) -> tuple[KinkCase, ...]:
    """All cases, with neighbours one ulp away in `dtype`."""
    return (*corners(dtype), *COMPARISONS, *TIES, *INFINITIES, *SATURATED)


def corners(dtype: Any) -> list[KinkCase]:
    """Each piecewise op at its corner, one ulp below and one ulp above it."""

    def below(x: float) -> Any:
        return np.nextafter(dtype(x), dtype(-INF))

    def above(x: float) -> Any:
        return np.nextafter(dtype(x), dtype(INF))

    tiny, ends, alpha = above(0.0), {"low": -1.0, "high": 1.0}, {"alpha": 0.25}
    # fmt: off
    return [
        #        op            note                    operands             value               gradient
        KinkCase("relu",       "at 0",                 (0.0,),              0.0,                (0.0,)),
        KinkCase("relu",       "at -0",                (-0.0,),             0.0,                (0.0,)),
        KinkCase("relu",       "below 0",              (-tiny,),            0.0,                (0.0,)),
        KinkCase("relu",       "above 0",              (tiny,),             tiny,               (1.0,)),
        KinkCase("abs",        "at 0",                 (0.0,),              0.0,                (0.0,)),
        KinkCase("abs",        "at -0",                (-0.0,),             0.0,                (0.0,)),
        KinkCase("abs",        "below 0",              (-tiny,),            tiny,               (-1.0,)),
        KinkCase("abs",        "above 0",              (tiny,),             tiny,               (1.0,)),
        KinkCase("leaky_relu", "at 0",                 (0.0,),              0.0,                (0.25,),     alpha),
        KinkCase("leaky_relu", "at -0",                (-0.0,),             0.0,                (0.25,),     alpha),
        KinkCase("leaky_relu", "below 0",              (-4 * tiny,),        -tiny,              (0.25,),     alpha),
        KinkCase("leaky_relu", "above 0",              (tiny,),             tiny,               (1.0,),      alpha),
        KinkCase("leaky_relu", "default alpha",        (0.0,),              0.0,                (0.01,)),
        KinkCase("step",       "at 0",                 (0.0,),              0.0),
        KinkCase("step",       "at -0",                (-0.0,),             0.0),
        KinkCase("step",       "below 0",              (-tiny,),            0.0),
        KinkCase("step",       "above 0",              (tiny,),             1.0),
        KinkCase("elu",        "at 0",                 (0.0,),              0.0,                (0.25,),     alpha),
        KinkCase("elu",        "at -0",                (-0.0,),             0.0,                (0.25,),     alpha),
        KinkCase("elu",        "below 0",              (-4 * tiny,),        -tiny,              (0.25,),     alpha),
        KinkCase("elu",        "above 0",              (tiny,),             tiny,               (1.0,),      alpha),
        KinkCase("selu",       "at 0",                 (0.0,),              0.0,                (1.7580993408473768,)),
        KinkCase("selu",       "above 0",              (above(1.0),),       1.0507009873554805, (1.0507009873554805,)),
        KinkCase("softsign",   "at 0",                 (0.0,),              0.0,                (1.0,)),
        KinkCase("relu6",      "at 0",                 (0.0,),              0.0,                (0.0,)),
        KinkCase("relu6",      "above 0",              (tiny,),             tiny,               (1.0,)),
        KinkCase("relu6",      "at 6",                 (6.0,),              6.0,                (0.0,)),
        KinkCase("relu6",      "below 6",              (below(6.0),),       below(6.0),         (1.0,)),
        KinkCase("hard_sigmoid", "at -3",              (-3.0,),             0.0,                (0.0,)),
        KinkCase("hard_sigmoid", "at 3",               (3.0,),              1.0,                (0.0,)),
        KinkCase("hard_sigmoid", "below 3",            (below(3.0),),       1.0,                (1 / 6,)),
        KinkCase("clip",       "at low",               (-1.0,),             -1.0,               (0.0,),      ends),
        KinkCase("clip",       "below low",            (below(-1.0),),      -1.0,               (0.0,),      ends),
        KinkCase("clip",       "above low",            (above(-1.0),),      above(-1.0),        (1.0,),      ends),
        KinkCase("clip",       "at high",              (1.0,),              1.0,                (0.0,),      ends),
        KinkCase("clip",       "below high",           (below(1.0),),       below(1.0),         (1.0,),      ends),
        KinkCase("clip",       "above high",           (above(1.0),),       1.0,                (0.0,),      ends),
        KinkCase("maximum",    "tie",                  (2.0, 2.0),          2.0,                (1.0, 0.0)),
        KinkCase("maximum",    "signed zeros tie",     (-0.0, 0.0),         0.0,                (1.0, 0.0)),
        KinkCase("maximum",    "second one ulp more",  (2.0, above(2.0)),   above(2.0),         (0.0, 1.0)),
        KinkCase("maximum",    "second one ulp less",  (2.0, below(2.0)),   2.0,                (1.0, 0.0)),
        KinkCase("maximum",    "tie with a constant",  (0.0, 0.0),          0.0,                (0.0, None), {}, (1,)),
        KinkCase("maximum",    "constant first, tie",  (0.0, 0.0),          0.0,                (None, 0.0), {}, (0,)),
        KinkCase("minimum",    "tie",                  (2.0, 2.0),          2.0,                (1.0, 0.0)),
        KinkCase("minimum",    "signed zeros tie",     (0.0, -0.0),         0.0,                (1.0, 0.0)),
        KinkCase("minimum",    "second one ulp more",  (2.0, above(2.0)),   2.0,                (1.0, 0.0)),
        KinkCase("minimum",    "second one ulp less",  (2.0, below(2.0)),   below(2.0),         (0.0, 1.0)),
        KinkCase("minimum",    "tie with a constant",  (0.0, 0.0),          0.0,                (0.0, None), {}, (1,)),
        KinkCase("l1",         "equal",                ([3.0], [3.0]),      0.0,                ([0.0], [0.0])),
        KinkCase("l1",         "first one ulp more",   ([above(1.0)], [1.0]), above(1.0) - 1,   ([1.0], [-1.0])),
        KinkCase("l1",         "first one ulp less",   ([below(1.0)], [1.0]), 1 - below(1.0),   ([-1.0], [1.0])),
        KinkCase("hinge",      "on the margin",        ([1.0], [1.0]),      0.0,                ([0.0], [0.0])),
        KinkCase("hinge",      "inside the margin",    ([below(1.0)], [1.0]), 1 - below(1.0), ([-1.0], [-below(1.0)])),
        KinkCase("hinge",      "beyond the margin",    ([above(1.0)], [1.0]), 0.0,              ([0.0], [0.0])),
        KinkCase("hinge",      "margin of the other class", ([-1.0], [-1.0]), 0.0,              ([0.0], [0.0])),
    ]
    # fmt: on


# fmt: off
COMPARISONS = (
    #        op               note              operands     value
    KinkCase("equal",         "signed zeros",   (0.0, -0.0), True),
    KinkCase("equal",         "NaN",            (NAN, NAN),  False),
    KinkCase("equal",         "infinities",     (INF, INF),  True),
    KinkCase("not_equal",     "NaN",            (NAN, NAN),  True),
    KinkCase("not_equal",     "signed zeros",   (0.0, -0.0), False),
    KinkCase("less",          "signed zeros",   (-0.0, 0.0), False),
    KinkCase("less",          "NaN",            (NAN, 1.0),  False),
    KinkCase("less_equal",    "signed zeros",   (0.0, -0.0), True),
    KinkCase("less_equal",    "NaN",            (NAN, NAN),  False),
    KinkCase("greater",       "infinities",     (INF, INF),  False),
    KinkCase("greater",       "NaN",            (1.0, NAN),  False),
    KinkCase("greater_equal", "signed zeros",   (-0.0, 0.0), True),
    KinkCase("greater_equal", "NaN",            (NAN, NAN),  False),
)

ROW = [[[1.0, 3.0, 3.0, 2.0]]]
GRID = [[1.0, 5.0, 2.0], [5.0, 0.0, 5.0]]
TIES = (
    #        op        note                       operands              value       gradient
    KinkCase("max",    "tie",                     ([1.0, 3.0, 3.0],),   3.0,        ([0, 1, 0],)),
    KinkCase("max",    "tie, split",              ([1.0, 3.0, 3.0],),   3.0,        ([0, 0.5, 0.5],), ties="split"),
    KinkCase("max",    "signed zeros tie",        ([-0.0, 0.0],),       0.0,        ([1, 0],)),
    KinkCase("max",    "all -inf",                ([-INF, -INF],),      -INF,       ([1, 0],)),
    KinkCase("max",    "NaN propagates",          ([1.0, NAN, 3.0],),   NAN,        (None,)),
    KinkCase("max",    "tie over two axes",       (GRID,),              5.0,        ([[0, 1, 0], [0, 0, 0]],)),
    KinkCase("max",    "tie over two axes, split", (GRID,),             5.0,
             ([[0, 1 / 3, 0], [1 / 3, 0, 1 / 3]],), ties="split"),
    KinkCase("max",    "ties by row",             (GRID,),              [5.0, 5.0],
             ([[0, 1, 0], [1, 0, 0]],), {"axis": 1}),
    KinkCase("max",    "ties by row, split",      (GRID,),              [5.0, 5.0],
             ([[0, 1, 0], [0.5, 0, 0.5]],), {"axis": 1}, ties="split"),
    KinkCase("min",    "tie",                     ([3.0, 1.0, 1.0],),   1.0,        ([0, 1, 0],)),
    KinkCase("min",    "tie, split",              ([3.0, 1.0, 1.0],),   1.0,        ([0, 0.5, 0.5],), ties="split"),
    KinkCase("min",    "NaN propagates",          ([1.0, NAN, 3.0],),   NAN,        (None,)),
    KinkCase("min",    "ties by column",          ([[2.0, 1.0], [2.0, 0.0]],), [2.0, 0.0],
             ([[1, 0], [0, 1]],), {"axis": 0}),
    KinkCase("argmax", "first of equals",         ([1.0, 3.0, 3.0],),   1,          (), {"axis": 0}),
    KinkCase("argmax", "first of equals by row",  (GRID,),              [1, 0],     (), {"axis": 1}),
    KinkCase("prod",   "one zero",                ([0.0, 2.0, 3.0],),   0.0,        ([6, 0, 0],)),
    KinkCase("prod",   "two zeros",               ([0.0, 0.0, 3.0],),   0.0,        ([0, 0, 0],)),
    KinkCase("max_pool", "overlapping ties",      (ROW,),               [[[3.0, 3.0, 3.0]]],
             ([[[0, 2, 1, 0]]],), {"size": 2, "stride": 1}),
    KinkCase("max_pool", "overlapping ties, split", (ROW,),             [[[3.0, 3.0, 3.0]]],
             ([[[0, 1.5, 1.5, 0]]],), {"size": 2, "stride": 1}, ties="split"),
    KinkCase("max_pool", "padding never wins",    ([[[-2.0, -INF]]],),  [[[-2.0, -INF]]],
             ([[[1, 1]]],), {"size": 2, "padding": 1}),
    KinkCase("max_pool", "NaN propagates",        ([[[NAN, 1.0, 2.0]]],), [[[NAN, 2.0]]],
             (None,), {"size": 2, "stride": 1}),
    KinkCase("global_max_pool", "tie over two axes", ([[GRID]],),       [[5.0]],    ([[[[0, 1, 0], [0, 0, 0]]]],)),
    KinkCase("where",  "NaN in the branch left",  (False, NAN, 2.0),    2.0,        (None, 0.0, 1.0)),
    KinkCase("where",  "NaN in the branch taken", (True, NAN, 2.0),     NAN,        (None, 1.0, 0.0)),
)

INFINITIES = (
    #        op            note       operands      value  gradient
    KinkCase("relu",       "inf",     (INF,),       INF,   (1.0,)),
    KinkCase("relu",       "-inf",    (-INF,),      0.0,   (0.0,)),
    KinkCase("relu",       "NaN",     (NAN,),       NAN,   (None,)),
    KinkCase("abs",        "inf",     (INF,),       INF,   (1.0,)),
    KinkCase("abs",        "-inf",    (-INF,),      INF,   (-1.0,)),
    KinkCase("abs",        "NaN",     (NAN,),       NAN,   (None,)),
    KinkCase("leaky_relu", "inf",     (INF,),       INF,   (1.0,)),
    KinkCase("leaky_relu", "-inf",    (-INF,),      -INF,  (0.25,), {"alpha": 0.25}),
    KinkCase("leaky_relu", "NaN",     (NAN,),       NAN,   (None,)),
    KinkCase("step",       "inf",     (INF,),       1.0),
    KinkCase("step",       "-inf",    (-INF,),      0.0),
    KinkCase("clip",       "inf",     (INF,),       1.0,   (0.0,), {"low": -1.0, "high": 1.0}),
    KinkCase("clip",       "-inf",    (-INF,),      -1.0,  (0.0,), {"low": -1.0, "high": 1.0}),
    KinkCase("clip",       "NaN",     (NAN,),       NAN,   (None,), {"low": -1.0, "high": 1.0}),
    KinkCase("maximum",    "inf",     (INF, 1.0),   INF,   (1.0, 0.0)),
    KinkCase("maximum",    "-inf",    (-INF, 1.0),  1.0,   (0.0, 1.0)),
    KinkCase("maximum",    "NaN, 1",  (NAN, 1.0),   NAN,   (None, None)),
    KinkCase("maximum",    "1, NaN",  (1.0, NAN),   NAN,   (None, None)),
    KinkCase("minimum",    "-inf",    (-INF, 1.0),  -INF,  (1.0, 0.0)),
    KinkCase("minimum",    "NaN, 1",  (NAN, 1.0),   NAN,   (None, None)),
    KinkCase("minimum",    "1, NaN",  (1.0, NAN),   NAN,   (None, None)),
    KinkCase("elu",        "inf",     (INF,),       INF,   (1.0,)),
    KinkCase("elu",        "1e30",    (1e30,),      1e30,  (1.0,)),
    KinkCase("elu",        "-inf",    (-INF,),      -1.0,  (0.0,)),
    KinkCase("elu",        "NaN",     (NAN,),       NAN,   (None,)),
    KinkCase("silu",       "inf",     (INF,),       INF,   (None,)),
    KinkCase("silu",       "1000",    (1e3,),       1e3,   (1.0,)),
    KinkCase("silu",       "-1000",   (-1e3,),      0.0,   (0.0,)),
    KinkCase("gelu",       "1000",    (1e3,),       1e3,   (1.0,)),
    KinkCase("gelu",       "-1000",   (-1e3,),      0.0,   (0.0,)),
    KinkCase("gelu",       "1000, tanh", (1e3,),    1e3,   (1.0,), {"approximate": True}),
    KinkCase("gelu",       "-1000, tanh", (-1e3,),  0.0,   (0.0,), {"approximate": True}),
    KinkCase("mish",       "1000",    (1e3,),       1e3,   (1.0,)),
    KinkCase("mish",       "-1000",   (-1e3,),      0.0,   (0.0,)),
    KinkCase("softsign",   "1e15",    (1e15,),      1.0,   (1e-30,)),
    KinkCase("relu6",      "inf",     (INF,),       6.0,   (0.0,)),
    KinkCase("relu6",      "-inf",    (-INF,),      0.0,   (0.0,)),
    KinkCase("relu6",      "NaN",     (NAN,),       NAN,   (None,)),
    KinkCase("hard_sigmoid", "inf",   (INF,),       1.0,   (0.0,)),
    KinkCase("hard_sigmoid", "-inf",  (-INF,),      0.0,   (0.0,)),
    KinkCase("hard_sigmoid", "NaN",   (NAN,),       NAN,   (None,)),
    KinkCase("erf",        "inf",     (INF,),       1.0,   (0.0,)),
    KinkCase("erf",        "-inf",    (-INF,),      -1.0,  (0.0,)),
    KinkCase("sin",        "inf",     (INF,),       NAN,   (NAN,)),
    KinkCase("cos",        "-inf",    (-INF,),      NAN,   (NAN,)),
    KinkCase("rsqrt",      "inf",     (INF,),       0.0,   (0.0,)),
    KinkCase("rsqrt",      "0",       (0.0,),       INF,   (-INF,)),
    KinkCase("sigmoid",    "inf",     (INF,),       1.0,   (0.0,)),
    KinkCase("sigmoid",    "-inf",    (-INF,),      0.0,   (0.0,)),
    KinkCase("sigmoid",    "NaN",     (NAN,),       NAN,   (NAN,)),
    KinkCase("tanh",       "inf",     (INF,),       1.0,   (0.0,)),
    KinkCase("tanh",       "-inf",    (-INF,),      -1.0,  (0.0,)),
    KinkCase("tanh",       "NaN",     (NAN,),       NAN,   (NAN,)),
    KinkCase("softplus",   "inf",     (INF,),       INF,   (1.0,)),
    KinkCase("softplus",   "-inf",    (-INF,),      0.0,   (0.0,)),
    KinkCase("softplus",   "NaN",     (NAN,),       NAN,   (NAN,)),
)

# Saturation, correctly rounded to float64 (what is below the smallest subnormal is 0). Derivatives of sigmoid and tanh
# are even functions.
SIGMOID = (
    # z      sigmoid(z)              sigmoid'(z)             softplus(z)
    (20.0,   0.9999999979388464,     2.061153613941849e-09,  20.000000002061153),
    (88.0,   1.0,                    6.054601895401186e-39,  88.0),
    (1000.0, 1.0,                    0.0,                    1000.0),
    (-20.0,  2.0611536181902037e-09, 2.061153613941849e-09,  2.061153620314381e-09),
    (-88.0,  6.054601895401186e-39,  6.054601895401186e-39,  6.054601895401186e-39),
    (-1000.0, 0.0,                   0.0,                    0.0),
)
TANH = (
    # z      tanh(z) tanh'(z)
    (20.0,   1.0,    1.6993417021166355e-17),
    (88.0,   1.0,    1.4663281644718252e-76),
    (1000.0, 1.0,    0.0),
    (-20.0,  -1.0,   1.6993417021166355e-17),
    (-88.0,  -1.0,   1.4663281644718252e-76),
    (-1000.0, -1.0,  0.0),
)
# fmt: on


def two_logits(note: str, z: float, label: int, value: float, slope: float) -> KinkCase:
    """One example with logits (z, 0), so that p = (sigmoid(z), sigmoid(-z)); the two slopes cancel."""
    return KinkCase("softmax_cross_entropy", note, ([[z, 0.0]], [label]), value, ([[slope, -slope]], None))


def saturated() -> list[KinkCase]:
    """Every saturating op at |z| = 20, 88, 1000; the losses in one example, against both classes."""
    sigma = {z: value for z, value, *_ in SIGMOID}
    softplus = {z: value for z, *_, value in SIGMOID}
    found = [KinkCase("tanh", f"z = {z:g}", (z,), value, (slope,)) for z, value, slope in TANH]
    for z, value, slope, _ in SIGMOID:
        note = f"z = {z:g}"
        found += [
            KinkCase("sigmoid", note, (z,), value, (slope,)),
            KinkCase("softplus", note, (z,), softplus[z], (value,)),
            # -log sigmoid(z) and -log(1 - sigmoid(z)); the gradients are sigmoid(z) - 1 = -sigmoid(-z) and sigmoid(z).
            KinkCase("sigmoid_cross_entropy", f"{note}, y = 1", ([z], [1.0]), softplus[-z], ([-sigma[-z]], [-z])),
            KinkCase("sigmoid_cross_entropy", f"{note}, y = 0", ([z], [0.0]), softplus[z], ([value], [-z])),
            two_logits(f"{note}, label 0", z, 0, softplus[-z], -sigma[-z]),
            two_logits(f"{note}, label 1", z, 1, softplus[z], value),
        ]
    return found


SATURATED = tuple(saturated())
