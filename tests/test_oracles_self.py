"""The tables that judge graphnn, judged themselves: against differences, mpmath and the printed figures."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from mpmath import mp

from tests import course
from tests.kinks import SIGMOID, TANH, KinkCase, kink_cases
from tests.oracle_rows.record import Array, Attributes, Formula, Oracle
from tests.oracles import ORACLES

DIFFERENTIABLE = [row for row in ORACLES.values() if row.pullback is not None]
SCALAR = [row for row in ORACLES.values() if row.mp_gradient is not None]


def named(row: Oracle) -> str:
    return row.name


def central_difference(
    row: Oracle, args: tuple[Array, ...], attributes: Attributes, adjoint: Array, slot: int
) -> Array:
    """Gradient of sum(adjoint * forward) by fourth-order central differences, element by element."""
    step, found = 2e-4, np.empty(args[slot].shape)
    for place in np.ndindex(found.shape):

        def total(offset: float, place: tuple[int, ...] = place) -> float:
            moved = [arg.copy() for arg in args]
            moved[slot][place] += offset * step
            return float(np.sum(adjoint * row.forward(*moved, **attributes)))

        found[place] = (8 * (total(1) - total(-1)) - (total(2) - total(-2))) / (12 * step)
    return found


@pytest.mark.parametrize("row", DIFFERENTIABLE, ids=named)
def test_gradient_agrees_with_central_differences(row: Oracle) -> None:
    rng = np.random.default_rng(7)
    for args, attributes in row.sample(rng):
        adjoint = np.asarray(rng.standard_normal(np.shape(row.forward(*args, **attributes))))
        gradients = row.gradient(args, attributes, adjoint)
        assert len(gradients) == len(args)
        for slot, (arg, gradient) in enumerate(zip(args, gradients, strict=True)):
            if arg.dtype.kind in "iub":
                assert gradient is None
                continue
            assert gradient is not None
            assert gradient.shape == arg.shape
            expected = central_difference(row, args, attributes, adjoint, slot)
            np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-8, err_msg=f"{attributes}, slot {slot}")


@pytest.mark.parametrize("row", [row for row in ORACLES.values() if row.kinks is not None], ids=named)
def test_samples_stay_away_from_kinks(row: Oracle) -> None:
    assert row.kinks is not None
    for args, attributes in row.sample(np.random.default_rng(3)):
        assert np.min(row.kinks(*args, **attributes)) > 0.01


def scalars(row: Oracle) -> list[tuple[tuple[Any, ...], Attributes]]:
    """The elements of the row's samples, one by one (a loss of one element is its term, whatever the reduction)."""
    found: list[tuple[tuple[Any, ...], Attributes]] = []
    for args, attributes in row.sample(np.random.default_rng(11)):
        if "reduction" not in attributes:
            elements = zip(*(a.ravel() for a in np.broadcast_arrays(*args)), strict=True)
            found += [(one, attributes) for one in elements]
    return found


def along(formula: Formula, point: list[Any], slot: int, attributes: Attributes) -> Formula:
    """The formula as a function of one operand, the others held."""
    return lambda t: formula(*point[:slot], t, *point[slot + 1 :], **attributes)


@pytest.mark.parametrize("row", SCALAR, ids=named)
def test_mpmath_gradient_is_the_derivative_of_the_mpmath_value(row: Oracle) -> None:
    assert row.mp_forward is not None
    assert row.mp_gradient is not None
    with mp.workdps(50):
        for elements, attributes in scalars(row)[:12]:
            point = [e.item() if e.dtype == bool else mp.mpf(float(e)) for e in elements]
            for slot, partial in enumerate(row.mp_gradient[: len(point)]):
                if isinstance(point[slot], bool):
                    continue

                numeric = mp.diff(along(row.mp_forward, point, slot, attributes), point[slot])
                assert mp.almosteq(partial(*point, **attributes), numeric, 1e-20, 1e-20)


@pytest.mark.parametrize("row", SCALAR, ids=named)
def test_numpy_agrees_with_mpmath(row: Oracle) -> None:
    """Value and partials within a few eps of the 50-digit ones, as far as the point's condition allows."""
    assert row.mp_forward is not None
    assert row.mp_gradient is not None
    eps = np.finfo(float).eps
    with mp.workdps(50):
        for elements, attributes in scalars(row):
            arrays = tuple(np.asarray(e) for e in elements)
            point = [e.item() if e.dtype == bool else mp.mpf(float(e)) for e in elements]
            value = row.mp_forward(*point, **attributes)
            assert abs(float(row.forward(*arrays, **attributes)) - value) <= 8 * eps * (abs(value) + 1e-3)
            for partial, found in zip(row.mp_gradient, row.gradient(arrays, attributes, np.asarray(1.0)), strict=False):
                if found is not None:
                    exact = partial(*point, **attributes)
                    assert abs(float(found) - exact) <= 16 * eps * (abs(exact) + 0.1)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_rows_agree_with_mpmath(name: str) -> None:
    x = 5 * np.random.default_rng(2).standard_normal((4, 6))
    with mp.workdps(50):
        exact = [[float(v) for v in ORACLES[name].mp_forward([mp.mpf(v) for v in row])] for row in x.tolist()]  # type: ignore[misc]
    np.testing.assert_allclose(ORACLES[name].forward(x), exact, rtol=1e-13, atol=1e-15)


def test_softmax_cross_entropy_agrees_with_mpmath() -> None:
    rng = np.random.default_rng(4)
    z, labels, weights = rng.standard_normal((3, 4)), rng.integers(0, 4, 3), rng.uniform(0, 1, (3, 4))
    row = ORACLES["softmax_cross_entropy"]
    assert row.mp_forward is not None
    with mp.workdps(50):
        logits = [[mp.mpf(v) for v in one] for one in z.tolist()]
        for y in (labels, weights):
            exact = [float(row.mp_forward(one, target)) for one, target in zip(logits, y.tolist(), strict=True)]
            np.testing.assert_allclose(row.forward(z, y, reduction="none"), exact, rtol=1e-14)


def test_an_op_without_gradient_says_so() -> None:
    with pytest.raises(ValueError, match="step has no gradient"):
        ORACLES["step"].gradient((np.ones(2),), {}, np.ones(2))


def test_condition_of_log_near_one_is_large() -> None:
    with mp.workdps(50):
        assert ORACLES["log"].condition(mp.mpf("1.000001")) > 1e5
        assert abs(ORACLES["exp"].condition(mp.mpf(-3)) - 3) < 1e-40


# ---------------------------------------------------------------- kinks


def meaning(case: KinkCase) -> str:
    return f"{case.op}: {case.note}"


def operands(case: KinkCase) -> tuple[Array, ...]:
    return tuple(np.asarray(arg) for arg in case.args)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kink_cases_have_distinct_names_and_known_ops(dtype: type) -> None:
    table = kink_cases(dtype)
    assert len({meaning(case) for case in table}) == len(table)
    assert {case.op for case in table} <= set(ORACLES)
    assert {row.name for row in ORACLES.values() if row.kinks is not None} <= {case.op for case in table}


@pytest.mark.parametrize("case", kink_cases(), ids=meaning)
def test_oracle_row_agrees_with_kink_case(case: KinkCase) -> None:
    row = ORACLES[case.op]
    args = operands(case)
    with np.errstate(all="ignore"):  # infinities and NaN are what some cases are about
        value = np.asarray(row.forward(*args, **case.attributes))
    np.testing.assert_allclose(value, case.value, rtol=1e-15, atol=0)
    if not case.gradient:
        assert row.pullback is None
        return
    if case.constants or case.ties == "split":  # policies of a program, which a row does not know
        return
    with np.errstate(all="ignore"):
        slopes = row.gradient(args, case.attributes, np.ones(value.shape))
    for found, expected in zip(slopes, case.gradient, strict=True):
        if expected is not None:  # a few operations of the row, each half an eps off
            np.testing.assert_allclose(np.asarray(found, dtype=float), expected, rtol=4e-15, atol=0)


@pytest.mark.parametrize("case", [c for c in kink_cases() if c.ties == "split" and hasattr(np, c.op)], ids=meaning)
def test_split_ties_share_one_adjoint_equally(case: KinkCase) -> None:
    """Among the tied extremes of each output, and nowhere else."""
    (x,), (gradient,) = operands(case), (np.asarray(part) for part in case.gradient)
    axis = case.attributes.get("axis")
    extreme = x == getattr(np, case.op)(x, axis=axis, keepdims=True)
    np.testing.assert_allclose(gradient, extreme / extreme.sum(axis=axis, keepdims=True))


def test_saturation_is_correctly_rounded() -> None:
    """The literals against the definitions at 60 digits; at +-1000 a cosh is still finite in mpmath."""
    with mp.workdps(60):
        for number, *printed in SIGMOID:
            z = mp.mpf(number)
            exact = [1 / (1 + mp.exp(-z)), 1 / (2 * mp.cosh(z / 2)) ** 2, z + mp.log1p(mp.exp(-z))]
            if z < 0:
                exact[2] = mp.log1p(mp.exp(z))  # z + log1p(e^-z) would cancel
            assert printed == [float(e) for e in exact]
        for number, *printed in TANH:
            z = mp.mpf(number)
            assert printed == [float(mp.sinh(z) / mp.cosh(z)), float(1 / mp.cosh(z) ** 2)]


@pytest.mark.parametrize("z", [20.0, 88.0, 1000.0, -20.0, -88.0, -1000.0])
@pytest.mark.parametrize("label", [0, 1])
def test_saturated_cross_entropies_against_mpmath(z: float, label: int) -> None:
    """Loss and gradient of one example from the definition -log p[label], by numeric differentiation at 900 digits."""
    table = {(case.op, case.note): case for case in kink_cases()}
    with mp.workdps(900):

        def negative_log(t: Any) -> Any:
            return mp.log(mp.exp(t) + 1) - (t if label == 0 else 0)

        exact, slope = negative_log(mp.mpf(z)), mp.diff(negative_log, mp.mpf(z))
        rounded = float(exact), float(slope)
    softmax = table["softmax_cross_entropy", f"z = {z:g}, label {label}"]
    sigmoid = table["sigmoid_cross_entropy", f"z = {z:g}, y = {1 - label}"]
    assert (softmax.value, softmax.gradient[0][0][0]) == rounded
    assert softmax.gradient[0][0][1] == -rounded[1]
    assert (sigmoid.value, sigmoid.gradient[0][0]) == rounded


def test_neighbours_of_a_kink_are_one_ulp_away_in_the_asked_dtype() -> None:
    above = {meaning(case): case.args[0] for case in kink_cases(np.float32)}
    assert above["relu: above 0"] == np.float32(1.4e-45)
    assert above["clip: above high"] - np.float32(1) == np.finfo(np.float32).eps
    assert above["clip: above high"].dtype == np.float32


# ---------------------------------------------------------------- the course


def test_course_figures_are_reproduced_as_printed() -> None:
    values = course.computed_figures()
    assert set(values) == {figure.name for figure in course.FIGURES}
    for figure in course.FIGURES:
        assert format(values[figure.name], figure.spec) == figure.text, figure.name
        if figure.printed is not None:
            unit = 10.0 ** -len(figure.printed.partition(".")[2])
            assert abs(values[figure.name] - float(figure.printed)) < unit, figure.name


@pytest.mark.parametrize("layer", ["hidden", "output"])
def test_course_network_gradients_against_central_differences(layer: str) -> None:
    index = ["hidden", "output"].index(layer)
    gradient, weights, step = course.gradients(course.START)[index], getattr(course.START, layer), 1e-5
    for place in np.ndindex(weights.shape):
        nudge = np.zeros_like(weights)
        nudge[place] = step
        up, down = (
            course.forward(replace(course.START, **{layer: moved}))["E"] for moved in (weights + nudge, weights - nudge)
        )
        assert abs((up - down) / (2 * step) - gradient[place]) < 1e-10


def test_nand_perceptron() -> None:
    inputs = np.array([x for x, _ in course.NAND_TABLE])
    outputs = course.perceptron(inputs, np.array(course.NAND_WEIGHTS), course.NAND_BIAS)
    np.testing.assert_array_equal(outputs, [y for _, y in course.NAND_TABLE])


@pytest.mark.parametrize(
    ("gradient", "loss"),
    [
        (course.quadratic_neuron_gradient, "quadratic"),
        (course.cross_entropy_neuron_gradient, "binary_cross_entropy"),
    ],
)
def test_sigmoid_neuron_gradients_against_central_differences(gradient: Formula, loss: str) -> None:
    rng = np.random.default_rng(5)
    x, y, w, b, step = rng.standard_normal((6, 2)), rng.integers(0, 2, 6) * 1.0, rng.standard_normal(2), 0.3, 1e-5

    def cost(w: Array, b: float) -> float:
        return float(ORACLES[loss].forward(course.logistic(x @ w + b), y))

    dw, db = gradient(x, y, w, b)
    assert abs((cost(w, b + step) - cost(w, b - step)) / (2 * step) - db) < 1e-9
    for j, nudge in enumerate(step * np.eye(2)):
        assert abs((cost(w + nudge, b) - cost(w - nudge, b)) / (2 * step) - dw[j]) < 1e-9
