"""The reference evaluator against NumPy and mpmath, written from the textbook."""

import mpmath
import numpy as np
import pytest
import sympy

from graphnn.declare import reference
from graphnn.declare.network import Network
from graphnn.declare.notation import Max, Min, Prod, Sum, indices, operands
from graphnn.declare.op import elementwise, op
from graphnn.declare.reference import evaluate, evaluate_definition
from graphnn.declare.scalars import expm1, log1p
from graphnn.errors import DTypeError, GraphError, ShapeError
from tests.declare import samples
from tests.declare.samples import network_of

RNG = np.random.default_rng(0)
i, j = indices("i j")
X = operands("X")


def value(function, *arrays, number="float64", **keywords):
    """`function` (an op) of arrays, each an input of its own shape."""
    network = Network()
    types = {"f": "float64", "c": "float64", "i": "int64", "b": "bool", "O": "float64"}
    tensors = [network.input(f"x{n}", a.shape, types[a.dtype.kind]) for n, a in enumerate(map(np.asarray, arrays))]
    given = {t.name: np.asarray(a) for t, a in zip(tensors, arrays, strict=True)}
    return evaluate([function(*tensors, **keywords)], given, number=number)[0]


def test_matmul():
    a, b = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2))
    np.testing.assert_allclose(value(samples.matmul, a, b), a @ b, rtol=1e-14)


def test_strided_and_dilated_correlation():
    x, w = RNG.normal(size=11), RNG.normal(size=3)
    want = [sum(x[2 * o + 2 * k] * w[k] for k in range(3)) for o in range(4)]
    np.testing.assert_allclose(value(samples.correlate, x, w), want, rtol=1e-13)


def test_a_guard_reads_zero_outside():
    x, w = np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 30.0])
    np.testing.assert_array_equal(value(samples.padded, x, w), [80.0, 140.0, 80.0])


def test_max_skips_what_the_guard_excludes():
    np.testing.assert_array_equal(value(samples.pool, np.array([-5.0, -7.0, -9.0, -1.0])), [-5.0, -5.0, -1.0, -1.0])


def test_a_where_guard_skips_terms():
    x = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    lower = op("lower", out=(i,), body=Sum(X[i, j], j, where=j <= i))
    np.testing.assert_array_equal(value(lower, x), [1.0, 9.0])
    lower = op("lower", out=(i,), body=Prod(X[i, j], j, where=j <= i))
    np.testing.assert_array_equal(value(lower, x), [1.0, 20.0])
    lower = op("lower", out=(i,), body=Min(X[i, j], j, where=j >= 1))
    np.testing.assert_array_equal(value(lower, x), [2.0, 5.0])


def test_nested_reducers_with_broadcast_dimensions():
    x = RNG.normal(size=(2, 3, 5))
    want = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    np.testing.assert_allclose(value(samples.softmax, x), want, rtol=1e-14)


@pytest.mark.parametrize(("left", "right"), [((2, 3), (3,)), ((2, 1), (1, 3)), ((), (4,)), ((0, 3), (1, 3))])
def test_broadcasting(left, right):
    a, b = RNG.normal(size=left), RNG.normal(size=right)
    got = value(samples.plus, a, b)
    np.testing.assert_array_equal(got, a + b)
    assert got.shape == (a + b).shape


def test_gather():
    e, t = RNG.normal(size=(5, 2)), np.array([4, 0, 4])
    np.testing.assert_array_equal(value(samples.gather, e, t), e[t])


def test_the_untaken_branch_does_not_leak():
    x = np.array([-1.0, 0.0, 2.0])
    np.testing.assert_array_equal(value(samples.safe_log, x), [0.0, 0.0, np.log(2.0)])
    assert value(samples.safe_log, x, number="mpmath")[0] == 0


def test_an_unguarded_access_outside_shows_as_nan():
    assert np.isnan(value(samples.gather, np.ones((2, 2)), np.array([0, 2]))[1]).all()


SCALARS = [  # our formula, NumPy's, mpmath's
    (sympy.exp, np.exp, mpmath.exp),
    (lambda t: sympy.log(sympy.Abs(t) + 1), lambda t: np.log(np.abs(t) + 1), lambda t: mpmath.log(abs(t) + 1)),
    (sympy.tanh, np.tanh, mpmath.tanh),
    (lambda t: sympy.sqrt(t**2 + 1), lambda t: np.sqrt(t**2 + 1), lambda t: mpmath.sqrt(t**2 + 1)),
    (lambda t: log1p(t**2), lambda t: np.log1p(t**2), lambda t: mpmath.log1p(t**2)),
    (expm1, np.expm1, mpmath.expm1),
    (lambda t: sympy.Max(t, 0) + sympy.Min(t, 1), lambda t: max(t, 0) + min(t, 1), lambda t: max(t, 0) + min(t, 1)),
    (sympy.sign, np.sign, mpmath.sign),
    (sympy.floor, np.floor, mpmath.floor),
    (lambda t: sympy.Mod(t, 2), lambda t: t - 2 * np.floor(t / 2), lambda t: t - 2 * mpmath.floor(t / 2)),
    (lambda t: (t**2 + 1) ** sympy.Rational(1, 3), lambda t: np.cbrt(t**2 + 1), lambda t: mpmath.cbrt(t**2 + 1)),
    (lambda t: 1 / (1 + t**2), lambda t: 1 / (1 + t**2), lambda t: 1 / (1 + t**2)),
    (lambda t: sympy.Piecewise((1, sympy.And(t > 0, t < 1)), (2, sympy.Or(t >= 1, t < -1)), (3, True)),
     lambda t: 1 if 0 < t < 1 else 2 if t >= 1 or t < -1 else 3,
     lambda t: 1 if 0 < t < 1 else 2 if t >= 1 or t < -1 else 3),
    (lambda t: sympy.pi * t + sympy.Rational(1, 3), lambda t: np.pi * t + 1 / 3,
     lambda t: mpmath.pi * t + mpmath.mpf(1) / 3),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(SCALARS)))
def test_scalar_functions_in_three_number_systems(case):
    formula, numpy_function, mpmath_function = SCALARS[case]
    pointwise = elementwise("pointwise", formula)
    points = np.array([-2.5, -1.0, -0.3, 0.0, 0.4, 1.7])
    want = [numpy_function(p) for p in points]
    np.testing.assert_allclose(value(pointwise, points), want, rtol=1e-13)
    np.testing.assert_allclose(value(pointwise, points, number="complex128"), want, rtol=1e-13)
    exact = value(pointwise, points, number="mpmath")
    with mpmath.workdps(50):
        for got, point in zip(exact, points, strict=True):
            assert abs(got - mpmath_function(mpmath.mpf(point))) < mpmath.mpf(10) ** -45


def test_complex_step_gives_the_derivative():
    points = np.array([-2.0, -0.5, 0.0, 0.7, 3.0])
    got = value(samples.swish, points + 1e-200j, number="complex128").imag / 1e-200
    s = 1 / (1 + np.exp(-points))
    np.testing.assert_allclose(got, s + points * s * (1 - s), rtol=1e-14)


@pytest.mark.parametrize(
    ("formula", "slope"),
    [
        (lambda t: sympy.Max(t, 0), np.array([0.0, 0.0, 1.0])),
        (sympy.Abs, np.array([-1.0, 0.0, 1.0])),
        (lambda t: sympy.Min(t, 0), np.array([1.0, 0.0, 0.0])),
    ],
)
def test_complex_step_chooses_by_the_real_part(formula, slope):
    points = np.array([-3.0, 0.0, 2.0]) + 1e-100j
    np.testing.assert_array_equal(value(elementwise("f", formula), points, number="complex128").imag / 1e-100, slope)


def test_complex_max_reducer_takes_the_first_of_equal_terms():
    x = np.array([[1.0 + 1e-9j, 1.0 + 2e-9j, 0.5 + 3e-9j]])
    assert value(samples.largest, x, number="complex128")[0].imag == 1e-9


def test_mpmath_sees_what_float64_cannot():
    difference = elementwise("difference", lambda t: sympy.exp(t) - sympy.exp(-t))
    got = value(difference, np.array([800.0, 1e-30]), number="mpmath")
    assert mpmath.isfinite(got[0])
    with mpmath.workdps(50):
        assert abs(got[1] / mpmath.mpf(2e-30) - 1) < 1e-15
    assert np.isinf(value(difference, np.array([800.0]))[0])


@pytest.mark.parametrize("number", ["float64", "complex128", "mpmath"])
def test_outside_of_the_real_domain_is_nan(number):
    for formula in (lambda t: sympy.log(2 * t), lambda t: sympy.sqrt(2 * t), lambda t: t ** sympy.Rational(1, 3)):
        got = value(elementwise("f", formula), np.array([-1.0]), number=number)[0]
        assert mpmath.isnan(got) if number == "mpmath" else np.isnan(got)
    inverse = value(elementwise("f", lambda t: 1 / t), np.array([0.0]), number=number)[0]
    assert not mpmath.isfinite(inverse) if number == "mpmath" else not np.isfinite(inverse)


@pytest.mark.parametrize("number", ["float64", "complex128", "mpmath"])
def test_nan_propagates_through_max(number):
    got = value(samples.largest, np.array([[1.0, np.nan, 2.0], [3.0, 1.0, 2.0]]), number=number)
    assert got[0] != got[0]
    assert got[1] == 3


def test_integers_stay_exact():
    whole = op("whole", out=(), body=Sum(operands("T", integer=["T"])[i], i))
    big = np.array([2**62, 1, -3])
    got = value(whole, big)
    assert got.dtype == np.int64
    assert int(got) == 2**62 - 2


def test_conditions_give_bool():
    positive = elementwise("positive", lambda t: t > 0)
    got = value(positive, np.array([-1.0, 2.0]))
    assert got.dtype == np.bool_
    assert got.tolist() == [False, True]


def test_reductions_over_nothing():
    assert value(op("s", out=(i,), body=Sum(X[i, j], j)), np.zeros((2, 0))).tolist() == [0.0, 0.0]
    assert value(samples.product, np.zeros((2, 0))).tolist() == [1.0, 1.0]
    assert value(samples.largest, np.zeros((0, 0))).shape == (0,)
    with pytest.raises(ShapeError, match="largest: max over no elements: the axis 'j' has extent 0"):
        value(samples.largest, np.zeros((2, 0)))
    network = Network("late")
    found = samples.largest(network.input("x", (2, "N"), "float64"))
    with pytest.raises(ShapeError, match=r"largest: max over nothing: r0 < 0 \(operand shapes \(2, 0\)\)"):
        evaluate([found], {"x": np.zeros((2, 0))})


@pytest.mark.parametrize("reducer", [Sum, Prod, Max, Min])
def test_a_grid_beyond_the_limit_is_split(monkeypatch, reducer):
    monkeypatch.setattr(reference, "GRID_LIMIT", 7)
    x = RNG.normal(size=(3, 11))
    by_row = value(op("by_row", out=(i,), body=reducer(X[i, j], j)), x)
    every = value(op("every", out=(), body=reducer(X[i, j], i, j)), x)
    numpy = {Sum: np.sum, Prod: np.prod, Max: np.max, Min: np.min}[reducer]
    np.testing.assert_allclose(by_row, numpy(x, axis=1), rtol=1e-14)
    np.testing.assert_allclose(every, numpy(x), rtol=1e-14)


def test_sizes_come_from_the_inputs_and_appear_in_formulas():
    mean = op("mean", out=(j,), body=Sum(X[i, j], i) / X.shape[0])
    _, x = network_of(x=("N", 3))
    data = RNG.normal(size=(5, 3))
    np.testing.assert_allclose(evaluate([mean(x)], {"x": data})[0], data.mean(0), rtol=1e-14)


def test_state_is_read_from_the_network_or_from_values():
    network, x = network_of(x=(2, 3))
    w = network.parameter("w", (3, 2), init=2.0, dtype="float64")
    y = samples.matmul(x, w)
    ones = np.ones((2, 3))
    assert evaluate([y], {"x": ones})[0][0, 0] == 6.0
    assert evaluate([y], {"x": ones, "w": np.full((3, 2), 5.0)})[0][0, 0] == 15.0
    assert network.state["w"][0, 0] == 2.0


def test_one_tensor_gives_its_value_and_a_list_a_list():
    _, x = network_of(x=(2,))
    given = {"x": np.array([0.0, 1.0])}
    (listed,) = evaluate([samples.plus(x, x)], given)
    np.testing.assert_array_equal(evaluate(samples.plus(x, x), given), [0.0, 2.0])
    np.testing.assert_array_equal(listed, [0.0, 2.0])


def test_what_is_given_wrongly_is_named():
    network, x, _ = network_of(x=("N", 3), y=("N",))
    label = network.input("label", ("N",), dtype="int64")
    z = samples.swish(x)
    with pytest.raises(GraphError, match="no value is given for the input 'x'"):
        evaluate([z], {})
    with pytest.raises(GraphError, match="'q' is neither an input nor a state variable"):
        evaluate([z], {"x": np.ones((2, 3)), "q": 1})
    with pytest.raises(ShapeError, match=r"input 'x' has shape \(N, 3\), the array given has 1 dimensions"):
        evaluate([z], {"x": np.ones(3)})
    with pytest.raises(ShapeError, match=r"'x' has extent 3 in dimension 1 .* the array given has extent 4"):
        evaluate([z], {"x": np.ones((2, 4))})
    with pytest.raises(ShapeError, match=r"'y' has extent N = 2, from dimension 0 of input 'x' .* extent 5"):
        evaluate([z], {"x": np.ones((2, 3)), "y": np.ones(5)})
    with pytest.raises(ShapeError, match="N = 7, from sizes="):
        evaluate([z], {"x": np.ones((2, 3))}, sizes={"N": 7})
    with pytest.raises(DTypeError, match="input 'label' is int64, the array given is float64"):
        evaluate([label], {"label": np.ones(2)})
    with pytest.raises(GraphError, match="computes in float64, complex128 or mpmath"):
        evaluate([z], {"x": np.ones((2, 3))}, number="float16")
    for wrong in ("z", [z, "z"], [samples.swish]):
        with pytest.raises(GraphError, match="evaluate takes a Tensor or a list of them, not "):
            evaluate(wrong, {"x": np.ones((2, 3))})
    with pytest.raises(GraphError, match=r"arrays by name: .* not a bare ndarray"):
        evaluate([z], np.ones((2, 3)))
    _, w = network_of(w=(2,))
    with pytest.raises(GraphError, match="different networks"):
        evaluate([z, w], {})


def test_one_definition_on_arrays():
    _, a, b = network_of(a=("N", 3), b=(3, 2))
    definition = samples.matmul(a, b).definition
    x, w = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 2))
    np.testing.assert_allclose(evaluate_definition(definition, [x, w]), x @ w, rtol=1e-14)
