"""gn.sklearn: multi-layer perceptrons as scikit-learn estimators.

    from sklearn.model_selection import cross_val_score
    cross_val_score(gn.sklearn.MLPClassifier((64,), random_state=0), X, y)

They are made of the same parts as anything else: `gn.models.mlp`, a loss, a Trainer. An estimator holds its weights as
arrays and no native code, so it can be cloned, pickled and sent to other processes; compiled networks are kept for the
next fit with the same sizes and options.
"""

from graphnn.sklearn.mlp import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
