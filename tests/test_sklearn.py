"""The estimators: scikit-learn's own checks, and what those do not ask."""

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_classification
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from graphnn.errors import GraphError
from graphnn.nn.optimizers.rules import Momentum
from graphnn.sklearn import MLPClassifier, MLPRegressor


@parametrize_with_checks([
    MLPClassifier((8,), learning_rate=0.02, max_iter=60, batch_size=32, random_state=0),
    MLPRegressor((8,), learning_rate=0.02, max_iter=60, batch_size=32, random_state=0),
])  # fmt: skip
def test_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_digits_are_learnt_in_a_pipeline_with_cross_validation():
    x, y = load_digits(return_X_y=True)
    model = MLPClassifier((32,), learning_rate=0.01, batch_size=50, max_iter=15, random_state=0)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(make_pipeline(StandardScaler(), model), x[:900].astype(np.float32), y[:900], cv=folds)
    assert scores.mean() > 0.93


def test_a_grid_search_clones_and_sets_parameters():
    x, y = make_classification(120, random_state=0)
    grid = {"alpha": [0.0, 1.0], "activation": ["tanh", "relu"]}
    search = GridSearchCV(MLPClassifier((4,), max_iter=3, random_state=0), grid, cv=2).fit(x, y)
    assert search.best_params_.keys() == grid.keys()


def test_a_fitted_estimator_holds_its_weights_and_no_native_code():
    """The formula of the layers, in NumPy, from coefs_ and intercepts_."""
    x, y = make_classification(90, n_classes=3, n_informative=6, random_state=0)
    fitted = MLPClassifier((5, 4), activation="tanh", max_iter=4, random_state=0).fit(x, y)
    a = x
    for W, b in zip(fitted.coefs_[:-1], fitted.intercepts_[:-1], strict=True):
        a = np.tanh(a @ W + b)
    scores = np.exp(a @ fitted.coefs_[-1] + fitted.intercepts_[-1])
    expected = scores / scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.predict_proba(x), expected, rtol=1e-10)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(x), fitted.predict_proba(x))
    assert (fitted.n_layers_, fitted.n_iter_, len(fitted.loss_curve_)) == (4, 4, 4)


def test_two_estimators_of_one_design_do_not_share_weights():
    x, y = make_classification(60, random_state=0)
    first = MLPClassifier((3,), max_iter=2, random_state=0).fit(x, y)
    before = first.predict_proba(x)
    second = MLPClassifier((3,), max_iter=2, random_state=1).fit(x, y)
    np.testing.assert_array_equal(first.predict_proba(x), before)
    assert (second.predict_proba(x) != before).any()
    again = MLPClassifier((3,), max_iter=2, random_state=0).fit(x, y)  # a network that was used before
    np.testing.assert_array_equal(again.predict_proba(x), before)


def test_several_outputs_dtypes_and_early_stopping():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype(np.float32)
    y = np.stack([x.sum(axis=1), x[:, 0] - x[:, 1]], axis=1)
    options = {"early_stopping": True, "n_iter_no_change": 5, "max_iter": 150, "random_state": 0}
    fitted = MLPRegressor((8,), optimizer=Momentum(0.05), batch_size=20, alpha=0.0, **options).fit(x, y)
    assert fitted.predict(x).shape == (200, 2)
    assert fitted.predict(x).dtype == np.float32
    assert fitted.score(x, y) > 0.9
    assert len(fitted.val_loss_curve_) == fitted.n_iter_


def test_class_weights_move_the_boundary():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, (190, 1)), rng.normal(1, 1, (10, 1))])
    y = np.repeat(["common", "rare"], [190, 10])
    options = {"learning_rate": 0.02, "max_iter": 40, "random_state": 0}
    found = [np.mean(MLPClassifier((4,), class_weight=w, **options).fit(x, y).predict(x) == "rare")
             for w in (None, "balanced", {"rare": 1e4})]  # fmt: skip
    assert found[0] < 0.1 < found[1] < found[2]
    assert found[2] > 0.9


@pytest.mark.parametrize(
    "parameters",
    [{"activation": "sigmiod"}, {"activation": 3}, {"optimizer": "adm"}, {"hidden_layer_sizes": (0,)},
     {"hidden_layer_sizes": "8"}, {"learning_rate": 0.0}, {"learning_rate": "0.1"}, {"alpha": -1}, {"batch_size": 0},
     {"max_iter": 0}, {"max_iter": 1.5}, {"tol": -1.0}, {"class_weight": "equal"}, {"class_weight": {0: "a"}}],
)  # fmt: skip
def test_bad_parameters_are_refused(parameters):
    x, y = make_classification(20, random_state=0)
    with pytest.raises(GraphError):
        MLPClassifier(**{"max_iter": 1, "hidden_layer_sizes": (2,), **parameters}).fit(x, y)
