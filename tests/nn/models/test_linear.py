"""Linear models: against least squares and scikit-learn, and the traditional pipeline of edges and a linear SVM."""

import numpy as np
import pytest
from scipy.ndimage import correlate
from sklearn.linear_model import LogisticRegression

from graphnn.declare.network import Network
from graphnn.errors import DTypeError, GraphError, ShapeError
from graphnn.nn.data import digits, iris
from graphnn.nn.models import edge_features, linear_regression, linear_svm, one_against_rest, softmax_regression
from graphnn.nn.models.linear import HORIZONTAL, VERTICAL
from graphnn.nn.optimizers.rules import SGD, Adam
from graphnn.nn.training.metrics import accuracy
from graphnn.nn.training.trainer import Trainer
from graphnn.ops.losses import hinge, mean_squared_error, softmax_cross_entropy
from graphnn.pipeline import compile


def test_linear_regression_finds_least_squares():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(50, 3))
    targets = points @ [[1.0], [-2.0], [0.5]] + 3 + 0.1 * rng.normal(size=(50, 1))
    net = Network()
    x, t = net.input("x", ("N", 3), dtype="float64"), net.input("t", ("N", 1), dtype="float64")
    y = linear_regression(x)
    assert net.summary().trainable == 4
    Trainer(mean_squared_error(y, t), SGD(0.2), batch_size=None).fit({"x": points, "t": targets}, 300, progress=False)
    expected = np.linalg.lstsq(np.hstack([points, np.ones((50, 1))]), targets)[0]
    found = np.vstack([net.state["linear.W"], net.state["linear.b"]])
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_softmax_regression_agrees_with_scikit_learn():
    data = iris()
    net = Network()
    x, y = net.input("x", ("N", 4)), net.input("y", ("N",), dtype="int64")
    logits = softmax_regression(x, 3)
    assert net.summary().trainable == 15
    trainer = Trainer(softmax_cross_entropy(logits, y), Adam(0.05), batch_size=None, weight_decay=1 / 150)
    trainer.fit(data, 1500, progress=False)
    theirs = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(data["x"], data["y"])  # sum of losses + |W|^2/2
    np.testing.assert_allclose(net.state["logits.W"], theirs.coef_.T, atol=2e-3)


def test_edge_features_are_those_of_the_two_filters():
    images = np.random.default_rng(0).uniform(size=(3, 2, 9, 8))
    net = Network()
    features = compile(edge_features(net.input("x", ("N", 2, 9, 8), dtype="float64"), 4))(x=images)
    responses = [
        correlate(i.mean(0), np.array(k, float), mode="constant") for i in images for k in (HORIZONTAL, VERTICAL)
    ]
    cells = np.abs(np.stack(responses)).reshape(3, 2, 9, 8)[:, :, :8].reshape(3, 2, 2, 4, 2, 4).mean((3, 5))
    np.testing.assert_allclose(features, cells.reshape(3, -1), rtol=1e-12)
    assert (net.summary().trainable, net.summary().parameters) == (0, 36)
    assert net.state["edges.filters"][:, 0].tolist() == (np.array([HORIZONTAL, VERTICAL]) / 2).tolist()


def test_edges_and_a_linear_svm_read_digits():
    data = digits()
    train, test = ({k: v[part] for k, v in data.items()} for part in (slice(1200), slice(1200, None)))
    net = Network()
    images, labels = net.input("x", ("N", 1, 8, 8)), net.input("y", ("N",), dtype="int64")
    scores = linear_svm(edge_features(images), 10)
    assert scores.shape == ("N", 10)
    assert net.summary().trainable == 33 * 10
    loss, right = hinge(scores, one_against_rest(labels, 10)), accuracy(scores, labels)
    trainer = Trainer(loss, Adam(0.01), weight_decay=1e-4)
    history = trainer.fit(train, 30, validation=test, metrics={"right": right}, progress=False)
    assert history.metrics["right"][-1] > 0.85
    signs = compile(one_against_rest(labels, 3, name="signs"))(y=np.array([2, 0]))
    assert signs.tolist() == [[-1, -1, 1], [1, -1, -1]]


def test_other_images_are_refused():
    net = Network()
    with pytest.raises(ShapeError, match="last two extents must be ints"):
        edge_features(net.input("a", ("N", 1, "H", 8)))
    with pytest.raises(ShapeError, match="edge_features"):
        edge_features(net.input("b", ("N", 8)))
    with pytest.raises(ShapeError, match="avg_pool"):
        edge_features(net.input("c", ("N", 1, 8, 8)), cell=9)
    with pytest.raises(DTypeError, match="edge_features"):
        edge_features(net.input("d", ("N", 1, 8, 8), dtype="int64"))
    with pytest.raises(GraphError, match="operand 0 is a Tensor"):
        one_against_rest("y", 3)
    with pytest.raises(GraphError, match="cell is an int of at least 1"):
        edge_features(net.input("e", ("N", 1, 8, 8)), cell=0)
    assert list(net.graph) == [*"abcde"]
