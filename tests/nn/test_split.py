"""Parts of data, weights of rows, and losses that take them."""

import numpy as np
import pytest
from sklearn.model_selection import KFold

from graphnn.declare.network import Network
from graphnn.errors import BoundaryError, DTypeError, GraphError, ShapeError
from graphnn.nn.data.split import row_weights, split
from graphnn.nn.layers.dense import dense
from graphnn.nn.optimizers.rules import SGD
from graphnn.nn.training.trainer import Trainer
from graphnn.ops.losses import cross_entropy, mean_squared_error, softmax_cross_entropy
from graphnn.pipeline import compile


def table(rows=50):
    return {"x": np.arange(2.0 * rows).reshape(rows, 2), "y": np.arange(rows) % 5}


def test_the_parts_are_all_the_rows_once_and_rows_stay_together():
    data = table()
    parts = split(data, (0.8, 0.1, 0.1), seed=3)
    assert [len(p["x"]) for p in parts] == [40, 5, 5]
    seen = np.concatenate([p["x"][:, 0] for p in parts])
    assert sorted(seen) == sorted(data["x"][:, 0])
    assert (seen[:40] != data["x"][:40, 0]).any()
    for part in parts:
        np.testing.assert_array_equal(part["y"], (part["x"][:, 0] / 2) % 5)
    again, other = split(data, (0.8, 0.1, 0.1), seed=3), split(data, (0.8, 0.1, 0.1), seed=4)
    np.testing.assert_array_equal(again[1]["x"], parts[1]["x"])
    assert (other[1]["x"] != parts[1]["x"]).any()


def test_strata_keep_their_proportions():
    data = table(100)
    for stratify in ("y", data["y"]):
        for part in split(data, (0.5, 0.3, 0.2), stratify=stratify):
            counts = np.bincount(part["y"])
            assert counts.max() == counts.min() == len(part["y"]) // 5


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.zeros(4),), BoundaryError, "by name"),
        (({},), BoundaryError, "by name"),
        (({"x": np.zeros(4), "y": np.zeros(5)},), BoundaryError, "different lengths: 'x' 4, 'y' 5"),
        (({"x": 1.0},), BoundaryError, "scalar"),
        ((table(4), (0.9, 0.05, 0.05)), BoundaryError, "none is empty"),
        ((table(), (0.5, 0.4)), GraphError, "sum to 0.9"),
        ((table(), (1.2, -0.2)), GraphError, "a fraction"),
        ((table(), "half"), GraphError, "numbers that sum to 1"),
        ((table(), 0.5), GraphError, "numbers that sum to 1"),
        ((table(), (0.5, 0.5), "a"), GraphError, "seed"),
        ((table(), (0.5, 0.5), 0, "z"), GraphError, "'z' is not among"),
        ((table(), (0.5, 0.5), 0, np.zeros(3)), BoundaryError, "each of the 50 rows"),
        ((table(6), (0.5, 0.5), 0, "y"), GraphError, "part 0"),
    ],
)
def test_what_cannot_be_split_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        split(*arguments)


def test_balanced_weights_give_each_class_the_same_say():
    labels = np.repeat([0, 1, 2], [70, 20, 10])
    weights = row_weights(labels)
    assert weights.dtype == np.float32
    np.testing.assert_allclose([weights[labels == k].sum() for k in range(3)], 100 / 3, rtol=1e-6)
    np.testing.assert_array_equal(row_weights(labels, {1: 5.0}, "float64"), np.where(labels == 1, 5.0, 1.0))
    for wrong in ("equal", {9: 1.0}, {1: "a"}, 3):
        with pytest.raises(GraphError):
            row_weights(labels, wrong)
    with pytest.raises(BoundaryError):
        row_weights(np.zeros((3, 2)))
    for dtype in ("f9", 3, "int64"):
        with pytest.raises(DTypeError, match="dtype is float32 or float64, not"):
            row_weights(labels, dtype=dtype)


def test_a_weight_counts_a_row_so_many_times():
    """Whole weights and repeated rows: equal sums, and means that differ by the number of rows alone."""
    net = Network()
    z, y = net.input("z", ("N", 3), dtype="float64"), net.input("y", ("N",), dtype="int64")
    w = net.input("w", ("N",), dtype="float64")
    rng = np.random.default_rng(0)
    Z, Y, times = rng.normal(size=(6, 3)), rng.integers(0, 3, 6), np.array([1, 2, 3, 1, 1, 4])
    weighted = compile([softmax_cross_entropy(z, y, w, reduction=r) for r in ("sum", "mean", "none")])
    plain = compile(softmax_cross_entropy(z, y, reduction="sum"))
    total, mean, each = weighted(z=Z, y=Y, w=times.astype(float))
    repeated = plain(z=np.repeat(Z, times, axis=0), y=np.repeat(Y, times))
    assert total == pytest.approx(repeated, rel=1e-13)
    assert mean == pytest.approx(repeated / 6, rel=1e-13)
    assert each.sum() == pytest.approx(repeated, rel=1e-13)


def test_a_weighted_loss_is_as_stable_as_a_plain_one():
    net = Network()
    z, y, w = net.input("z", ("N", 2)), net.input("y", ("N",), dtype="int64"), net.input("w", ("N",))
    run = compile(softmax_cross_entropy(z, y, w))
    assert run(z=np.array([[1e4, 0]], np.float32), y=np.array([1]), w=np.ones(1, np.float32)) == 1e4


def test_weights_that_do_not_fit_are_refused():
    net = Network()
    p, y = net.input("p", ("N", 3)), net.input("y", ("N", 3))
    for shape in ((), ("N", 2), ("M",), (3,), ("N", 3, 1)):
        with pytest.raises(ShapeError, match="weights"):
            mean_squared_error(p, y, net.input(net.fresh_name("w"), shape))
    with pytest.raises(ShapeError, match="weights"):
        cross_entropy(p, y, net.input("elements", ("N", 3)))  # a row is an example
    with pytest.raises(DTypeError, match="weights"):
        mean_squared_error(p, y, net.input("doubles", ("N",), dtype="float64"))
    with pytest.raises(GraphError, match="weights"):
        mean_squared_error(p, y, 0.5)
    assert mean_squared_error(p, y, net.input("each", ("N", 3))).shape == ()


def test_cross_validation_is_that_of_scikit_learn():
    """The example of the module's docstring."""
    net = Network()
    x, y = net.input("x", ("N", 2), dtype="float64"), net.input("y", ("N", 1), dtype="float64")
    loss = mean_squared_error(dense(x, 1, name="d"), y)
    X = np.random.default_rng(0).normal(size=(60, 2))
    data = {"x": X, "y": X @ [[1.0], [2.0]]}
    trainer, scores = Trainer(loss, SGD(0.2)), []
    for train, test in KFold(5, shuffle=True, random_state=0).split(data["x"]):
        net.initialize(seed=0)
        parts = [{name: array[rows] for name, array in data.items()} for rows in (train, test)]
        scores.append(trainer.fit(parts[0], 20, parts[1], progress=False).val_loss[-1])
    assert len(scores) == 5
    assert max(scores) < 1e-3
