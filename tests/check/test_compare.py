import json
import math

import numpy as np
import pytest

import graphnn as gn
from graphnn.check import compare as module
from graphnn.check import point
from graphnn.errors import GraphError
from graphnn.ops.elementwise import multiply


def line_fit(dtype="float32"):
    """loss = 1/(2n) |x w - y|^2, so that d loss / d w = x^T (x w - y) / n."""
    net = gn.Network("line")
    x, y = net.input("x", ("N", 3), dtype=dtype), net.input("y", ("N", 1), dtype=dtype)
    w = net.parameter("w", (3, 1), dtype=dtype)
    return net, gn.quadratic(gn.matmul(x, w), y, name="loss")


def line_data(rows=5, seed=1):
    generator = np.random.default_rng(seed)
    return {"x": generator.standard_normal((rows, 3)), "y": generator.standard_normal((rows, 1))}


def classifier():
    net = gn.Network("classifier")
    x, y = net.input("x", ("N", 4)), net.input("y", ("N",), dtype="int64")
    hidden = gn.dense(x, 3, activation=gn.sigmoid, name="hidden")
    return net, gn.softmax_cross_entropy(gn.dense(hidden, 3, name="out"), y, name="loss")


DATA = {"x": np.linspace(-1, 1, 8).reshape(2, 4), "y": np.array([2, 0])}


def weight_loss(function, at, x=1.0):
    """function(w x) of one weight; and the report."""
    net = gn.Network()
    w = net.parameter("w", (1,), init=at, dtype="float64")
    return gn.sum(function(w * net.input("x", (1,), dtype="float64"))), {"x": np.array([x])}


@pytest.mark.parametrize(
    ("function", "at", "expected"),
    [
        (gn.square, 3.0, 6.0),
        (gn.exp, 0.5, math.exp(0.5)),
        (gn.log, 4.0, 0.25),
        (gn.sigmoid, 0.0, 0.25),
        (gn.tanh, 1.0, 1 / math.cosh(1.0) ** 2),
    ],
    ids=["square", "exp", "log", "sigmoid", "tanh"],
)
def test_the_four_columns_are_the_derivative_known_by_hand(function, at, expected):
    (found,) = gn.compare(*weight_loss(function, at)).comparisons
    assert found.agrees
    assert found.worst.index == (0,)
    assert found.worst.native == pytest.approx(expected, rel=4e-15)
    assert found.worst.exact == pytest.approx(expected, rel=1e-15)
    assert found.worst.difference == pytest.approx(expected, rel=1e-8)
    assert found.worst.complex_step == pytest.approx(expected, rel=1e-15)
    assert found.obstacle == ""


def test_a_matrix_against_the_gradient_in_closed_form():
    net, loss = line_fit()
    net.state["w"] = np.array([[0.5], [-1.0], [2.0]])
    data = line_data()
    report = gn.compare(loss, data)
    by_hand = data["x"].T @ (data["x"] @ net.state["w"] - data["y"]) / 5
    (found,) = report.comparisons
    assert (found.name, found.shape, report.sizes) == ("w", (3, 1), {"N": 5})
    for value in (found.worst.native, found.worst.exact, found.worst.difference, found.worst.complex_step):
        assert value == pytest.approx(by_hand[found.worst.index], rel=1e-9)
    assert report.max_relative_error < 1e-13
    assert found.complex_error < 1e-13
    assert found.difference_error < 1e-9
    assert report.agrees


def test_the_error_curve_is_that_of_curvature_and_rounding():
    _, loss = classifier()
    for found in gn.compare(loss, DATA).comparisons:
        curve = dict(found.curve)
        steps = sorted(curve)
        assert curve[0.1] / curve[0.01] == pytest.approx(100, rel=0.1)  # h^2
        assert curve[steps[0]] > 1e3 * curve[found.step]  # eps / h
        assert curve[found.step] == min(curve.values())


def test_a_wrong_derivation_is_caught_by_the_numeric_columns(monkeypatch):
    derive = module.gradients
    monkeypatch.setattr(module, "gradients", lambda *args: [multiply(g, 1.001) for g in derive(*args)])
    report = gn.compare(classifier()[1], DATA)
    assert report.max_relative_error < 1e-9  # the compiler is right about a wrong formula
    assert not any(c.agrees for c in report.comparisons)
    assert all(c.complex_error == pytest.approx(1e-3, rel=0.01) for c in report.comparisons)
    assert "DIFFERS" in report.table()


def test_a_wrong_native_element_is_found(monkeypatch):
    run = point.Point.run_native

    def broken(self, accuracy):
        native = run(self, accuracy)
        native[0][2, 1] *= 1 + 1e-6
        return native

    monkeypatch.setattr(point.Point, "run_native", broken)
    report = gn.compare(classifier()[1], DATA, sample=1)
    first, *rest = report.comparisons
    assert (first.worst.index, first.agrees) == ((2, 1), False)
    assert report.max_relative_error == first.native_error == pytest.approx(1e-6, rel=1e-3)
    assert all(c.agrees for c in rest)


@pytest.mark.parametrize("function", [gn.relu, gn.abs, gn.leaky_relu], ids=["relu", "abs", "leaky_relu"])
def test_a_kink_accepts_the_declared_derivative(function):
    report = gn.compare(*weight_loss(function, 0.0, x=3.0))
    (found,) = report.comparisons
    assert report.agrees
    assert found.kinks == 1
    assert found.complex_error is None
    assert found.worst.complex_step is None
    assert "1 kinked" in report.table()
    assert "not analytic" in report.table()


def test_a_kink_refuses_what_is_no_one_sided_derivative(monkeypatch):
    derive = module.gradients
    monkeypatch.setattr(module, "gradients", lambda *args: [g + 1.5 for g in derive(*args)])
    assert not gn.compare(*weight_loss(gn.relu, 0.0)).agrees  # 1.5 is not in [0, 1]


def test_away_from_its_kink_relu_is_judged_as_any_other():
    (found,) = gn.compare(*weight_loss(gn.relu, 2.0, x=3.0)).comparisons
    assert (found.kinks, found.agrees) == (0, True)
    assert found.worst.difference == pytest.approx(3.0, rel=1e-9)


@pytest.mark.parametrize("ties", ["first", "split"])
def test_ties_of_a_maximum(ties):
    net = gn.Network()
    w = net.parameter("w", (3,), init=2.0, dtype="float64")
    report = gn.compare(gn.max(w), {}, ties=ties)
    assert report.agrees
    assert report.comparisons[0].kinks == 3


def test_float32_is_judged_at_the_rounded_values():
    net, loss = line_fit()
    net.state["w"] = np.full((3, 1), 0.1, np.float32)
    report = gn.compare(loss, line_data(), dtype="float32", accuracy="fast")
    assert report.agrees
    assert 0 < report.max_relative_error < 1e-4
    assert report.comparisons[0].complex_error < 1e-13


@pytest.mark.parametrize("declared", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_state_stays_as_it_is(declared, dtype):
    net, loss = line_fit(declared)
    net.state["w"] = np.array([[0.1], [1 / 3], [-2.0]], declared)
    before = net.state["w"].copy()
    gn.compare(loss, line_data(), dtype=dtype)
    assert net.state["w"].dtype == before.dtype
    assert net.state["w"].tobytes() == before.tobytes()


def test_by_inputs():
    net, loss = line_fit()
    report = gn.compare(loss, line_data(), wrt=[net["y"], net["x"]])
    assert [c.name for c in report.comparisons] == ["y", "x"]
    assert report.agrees
    plain = gn.Network()
    assert [c.name for c in gn.compare(gn.exp(plain.input("t", (2,))), {"t": np.ones(2)}).comparisons] == ["t"]


def test_parameters_that_are_not_trained_are_left_out():
    net = gn.Network()
    fixed, free = (net.parameter(n, (2,), init=1.0, trainable=n == "free") for n in ("fixed", "free"))
    assert [c.name for c in gn.compare(gn.sum(fixed * free), {}).comparisons] == ["free"]


def test_a_long_batch_is_cut_to_its_first_rows(monkeypatch):
    monkeypatch.setattr(point, "GRID_BUDGET", 100)
    _, loss = line_fit()
    data = line_data(rows=64)
    report = gn.compare(loss, data)
    rows = report.sizes["N"]
    assert 1 <= rows < 64
    by_hand = data["x"][:rows].T @ -data["y"][:rows] / rows
    assert report.comparisons[0].worst.exact == pytest.approx(by_hand[report.comparisons[0].worst.index])
    assert report.agrees


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("alone", [True, False])
def test_a_gradient_that_cancels_to_zero_is_no_difference(dtype, alone):
    net = gn.Network()
    z, y = net.parameter("z", (4, 3), init=gn.Normal(1.0)), net.input("y", (4,), dtype="int64")
    shift = net.parameter("shift", (), init=0.3)
    loss = gn.softmax_cross_entropy(z + shift, y)  # adding one number to all logits changes nothing
    report = gn.compare(loss, {"y": np.array([0, 1, 2, 1])}, wrt=[shift] if alone else [shift, z], dtype=dtype)
    assert abs(report.comparisons[0].worst.exact) < 1e-40
    assert report.agrees
    assert report.max_relative_error < 1e-3


def test_a_tiny_gradient_is_judged_relative_to_itself():
    loss, values = weight_loss(gn.sigmoid, -88.0)
    (found,) = gn.compare(loss, values).comparisons
    assert found.worst.exact == pytest.approx(6.054601895401186e-39, rel=1e-14)  # e^-88
    assert found.native_error < 1e-14
    assert found.worst.complex_step == pytest.approx(found.worst.exact, rel=1e-12)


def test_what_is_not_finite_is_judged_in_high_precision_alone():
    loss, values = weight_loss(gn.log, 0.0)
    (found,) = gn.compare(loss, values).comparisons  # d log(w)/dw at 0
    assert (found.worst, found.agrees, found.native_error) == (None, True, 0.0)


def test_errors():
    net, loss = line_fit()
    data = line_data()
    with pytest.raises(gn.GraphError, match="'w' is not an input"):
        gn.compare(loss, {**data, "w": np.ones((3, 1))})
    with pytest.raises(gn.GraphError, match="'y'"):
        gn.compare(loss, {"x": data["x"]})
    with pytest.raises(gn.GraphError, match="'loss' is computed"):
        gn.compare(loss, data, wrt=[loss])
    with pytest.raises(gn.GraphError, match="sample=0"):
        gn.compare(loss, data, sample=0)
    labels = net.input("labels", ("N",), dtype="int64")
    with pytest.raises(gn.GraphError, match="no trainable parameter"):
        gn.compare(gn.one_hot(labels, 3), {"labels": np.zeros(2, np.int64)})


def test_the_same_seed_gives_the_same_report():
    first, second = (gn.compare(classifier()[1], DATA, sample=4, seed=3).to_dict() for _ in range(2))
    assert first == second


def test_report_as_text_picture_and_data(tmp_path):
    net = gn.Network()
    w = net.parameter("[red]w\x1b[0m$", (2,), init=1.0)
    report = gn.compare(gn.sum(gn.exp(w), name="_[bold]loss"), {})
    text = report.table()
    assert str(report) == text
    assert r"[red]w\x" in text.replace("\n", "")
    assert "_[bold]loss" in text
    assert "2.7183e+00" in text
    assert "\x1b" not in text
    report.plot(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["agrees"] is True
    assert data["max_relative_error"] == report.max_relative_error
    assert data["comparisons"][0]["worst"]["exact"] == math.e


def test_nan_is_no_point_to_compare_at():
    _, loss = line_fit()
    with pytest.raises(GraphError, match="input 'x' holds NaN"):
        gn.compare(loss, {**line_data(), "x": np.full((5, 3), np.nan)})


def test_steps_grow_with_the_element():
    loss, values = weight_loss(gn.square, 1e20)
    report = gn.compare(loss, values)
    assert report.agrees
    assert math.isclose(report.comparisons[0].worst.difference, 2e20, rel_tol=1e-6)


def test_other_arguments_than_a_tensor_and_a_mapping_are_refused():
    net = gn.Network("refused")
    loss = gn.sum(net.input("x", (3,)))
    for arguments in ((loss, np.ones(3)), (gn.sigmoid, {})):
        with pytest.raises(gn.GraphError, match="takes a Tensor and a mapping"):
            gn.compare(*arguments)
