"""Metrics: scalar Tensors of a network that are reported, not trained on."""

from __future__ import annotations

from graphnn.declare.network import Tensor
from graphnn.errors import ShapeError
from graphnn.ops.arguments import check_tensors
from graphnn.ops.elementwise import equal
from graphnn.ops.reduction import argmax, mean


def accuracy(logits: Tensor, labels: Tensor, name: str | None = None) -> Tensor:
    """The fraction of rows whose largest logit is the label's; the first of equal logits counts. A scalar float.

    Shapes: logits (..., C), labels (...) of class numbers or (..., C) of rows with their largest weight at the class.
    Raises ShapeError where they do not fit.
    """
    check_tensors("accuracy", logits, labels)
    if labels.shape not in (logits.shape, logits.shape[:-1]) or not logits.ndim:
        raise ShapeError(
            f"accuracy: '{labels.name}' has shape {labels.shape}; for '{logits.name}' of shape {logits.shape} it must "
            f"be {logits.shape[:-1]} (class numbers) or {logits.shape} (rows)"
        )
    with logits.network.composing("accuracy", name) as final:
        predicted = argmax(logits, axis=-1)
        classes = argmax(labels, axis=-1) if labels.ndim == logits.ndim else labels
        return mean(equal(predicted, classes), name=final)
