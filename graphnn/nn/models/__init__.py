"""gn.models: the classic networks, each a function that declares it."""

from graphnn.nn.models.mlp import mlp

__all__ = ["mlp"]
