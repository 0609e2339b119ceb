"""MLPClassifier and MLPRegressor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from graphnn.declare.network import Tensor
from graphnn.declare.registry import OPS
from graphnn.errors import GraphError
from graphnn.nn.arguments import NONNEGATIVE, POSITIVE, check_count, check_number
from graphnn.nn.data.optional import needs
from graphnn.nn.data.split import row_weights
from graphnn.nn.optimizers.rule import Optimizer
from graphnn.nn.training.callbacks import EarlyStopping
from graphnn.simplify.expr import DType
from graphnn.sklearn.compiled import OPTIMIZERS, POOL, Design

with needs("gn.sklearn"):
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.model_selection import train_test_split
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

Array = npt.NDArray[Any]


class _MLP(BaseEstimator):  # type: ignore[misc]
    """What both estimators share. The parameters:

    hidden_layer_sizes   units of each hidden layer
    activation           the name of an op, or a function from a Tensor to a Tensor
    optimizer            "adam", "sgd", "momentum", ... with `learning_rate`, or a gn.Optimizer, which has its own
    alpha                alpha/2 sum w^2 over the weights, not the biases, is added to the loss
    batch_size           rows per step
    max_iter             the most epochs
    tol, n_iter_no_change
                         stops when the loss of the epoch (of the validation rows with `early_stopping`) has not
                         improved by more than `tol` for so many epochs; the best epoch's weights are kept
    early_stopping       sets `validation_fraction` of the rows aside
    random_state         of first values, orders of rows, and validation rows

    Fitted attributes are named as in scikit-learn: coefs_, intercepts_ (a layer each), loss_curve_, val_loss_curve_,
    n_iter_, n_layers_, n_outputs_, n_features_in_. They compute in float64, or in float32 where X is. Bad parameters
    are GraphErrors from `fit`.
    """

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (100,),
        activation: str | Callable[[Tensor], Tensor] = "relu",
        *,
        optimizer: str | Optimizer = "adam",
        learning_rate: float = 0.001,
        alpha: float = 0.0001,
        batch_size: int = 200,
        max_iter: int = 200,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        random_state: Any = None,
    ) -> None:
        self.hidden_layer_sizes, self.activation, self.optimizer = hidden_layer_sizes, activation, optimizer
        self.learning_rate, self.alpha, self.batch_size, self.max_iter = learning_rate, alpha, batch_size, max_iter
        self.tol, self.n_iter_no_change, self.early_stopping = tol, n_iter_no_change, early_stopping
        self.validation_fraction, self.random_state = validation_fraction, random_state

    def _design(self, features: int, outputs: int, dtype: DType, weighted: bool) -> Design:
        """The parameters, checked."""
        sizes = self.hidden_layer_sizes
        hidden = tuple(sizes) if isinstance(sizes, Sequence | np.ndarray) and not isinstance(sizes, str) else (sizes,)
        if not (callable(self.activation) or (isinstance(self.activation, str) and self.activation in OPS)):
            raise GraphError(f"activation is the name of an op or a function, not {self.activation!r:.40}")
        if not isinstance(self.optimizer, Optimizer) and self.optimizer not in OPTIMIZERS:
            raise GraphError(
                f"optimizer is one of {', '.join(OPTIMIZERS)} or a gn.Optimizer, not {self.optimizer!r:.40}"
            )
        return Design(
            features=features,
            outputs=outputs,
            hidden=tuple(check_count("hidden_layer_sizes", units, 1) for units in hidden),
            activation=self.activation,
            optimizer=self.optimizer,
            learning_rate=check_number("learning_rate", self.learning_rate, POSITIVE),
            alpha=check_number("alpha", self.alpha, NONNEGATIVE),
            batch_size=check_count("batch_size", self.batch_size, 1),
            dtype=dtype,
            classifier=isinstance(self, ClassifierMixin),
            weighted=weighted,
        )

    def _train(self, design: Design, data: Mapping[str, Array], stratify: Array | None) -> None:
        """Fit on arrays by input name and keep the weights."""
        seed = int(check_random_state(self.random_state).randint(2**31))
        train, held = dict(data), None
        if self.early_stopping:
            rows = np.arange(len(data["x"]))
            parts = train_test_split(rows, test_size=self.validation_fraction, random_state=seed, stratify=stratify)
            train, held = ({name: array[chosen] for name, array in data.items()} for chosen in parts)
        watched = "val_loss" if self.early_stopping else "loss"
        stop = EarlyStopping(self.n_iter_no_change, watched, min_delta=self.tol)
        with POOL.borrow(design) as model:
            model.start(seed)
            epochs = check_count("max_iter", self.max_iter, 1)
            history = model.trainer.fit(train, epochs, held, callbacks=[stop], progress=False)
            values = {p.name: np.array(model.network.state[p.name]) for p in model.trainer.parameters}
        self._fitted = design
        self.coefs_ = [value for name, value in values.items() if name.endswith(".W")]
        self.intercepts_ = [value for name, value in values.items() if name.endswith(".b")]
        self.loss_curve_, self.val_loss_curve_ = list(history.loss), list(history.val_loss)
        self.n_iter_, self.n_layers_, self.n_outputs_ = history.epochs, len(self.coefs_) + 1, design.outputs

    def _predicted(self, X: Any) -> Array:
        check_is_fitted(self)
        design: Design = self._fitted
        x = validate_data(self, X, dtype=design.dtype, order="C", reset=False)
        with POOL.borrow(design) as model:
            pairs = zip(self.coefs_, self.intercepts_, strict=True)
            names = [p.name for p in model.trainer.parameters]
            for name, value in zip(names, (v for pair in pairs for v in pair), strict=True):
                model.network.state[name] = value
            found: Array = model.predict(x=x)
        return found


class MLPClassifier(ClassifierMixin, _MLP):  # type: ignore[misc]
    """A multi-layer perceptron with softmax and cross-entropy; see `_MLP` for the parameters it shares.

    `class_weight` is None, "balanced" or weights by class: the terms of the loss have them as factors.
    """

    __doc__ += "\n\n" + (_MLP.__doc__ or "")

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (100,),
        activation: str | Callable[[Tensor], Tensor] = "relu",
        *,
        optimizer: str | Optimizer = "adam",
        learning_rate: float = 0.001,
        alpha: float = 0.0001,
        batch_size: int = 200,
        max_iter: int = 200,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        random_state: Any = None,
        class_weight: str | Mapping[Any, float] | None = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            activation,
            optimizer=optimizer,
            learning_rate=learning_rate,
            alpha=alpha,
            batch_size=batch_size,
            max_iter=max_iter,
            tol=tol,
            n_iter_no_change=n_iter_no_change,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            random_state=random_state,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any) -> MLPClassifier:
        """Train on rows X and their classes y. ValueError for data that are none, as scikit-learn raises it."""
        x, y = validate_data(self, X, y, dtype=(np.float64, np.float32), order="C")
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        weight = self.class_weight
        if isinstance(weight, Mapping):
            weight = {n: weight[c] for n, c in enumerate(self.classes_.tolist()) if c in weight}
        design = self._design(x.shape[1], len(self.classes_), str(x.dtype), weight is not None)  # type: ignore[arg-type]
        data = {"x": x, "y": labels.astype(np.int64)}
        if weight is not None:
            data["weights"] = row_weights(labels, weight, str(x.dtype))
        self._train(design, data, labels)
        return self

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, (rows, classes), in the order of `classes_`."""
        return self._predicted(X)

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            found: Array = np.log(self._predicted(X))
        return found

    def predict(self, X: Any) -> Array:
        """The most probable class of each row."""
        chosen = np.argmax(self._predicted(X), axis=1)
        found: Array = self.classes_[chosen]
        return found


class MLPRegressor(RegressorMixin, _MLP):  # type: ignore[misc]
    """A multi-layer perceptron with a linear output and half the squared error; see `_MLP` for the parameters."""

    __doc__ += "\n\n" + (_MLP.__doc__ or "")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any) -> MLPRegressor:
        """Train on rows X and their targets y, (rows,) or (rows, outputs). ValueError as scikit-learn raises it."""
        x, y = validate_data(self, X, y, dtype=(np.float64, np.float32), order="C", multi_output=True, y_numeric=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._flat = y.ndim == 1
        targets = np.ascontiguousarray(y.reshape(len(y), -1), x.dtype)
        self._train(self._design(x.shape[1], targets.shape[1], str(x.dtype), False), {"x": x, "y": targets}, None)  # type: ignore[arg-type]
        return self

    def predict(self, X: Any) -> Array:
        """The targets of each row, in the form in which `fit` had them."""
        found = self._predicted(X)
        return found[:, 0] if self._flat else found
