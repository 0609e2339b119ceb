"""Layers, optimizers and training: compositions of ops, and formulas that update state.

layers/      dense and others: each declares its own parameters
optimizers/  optimizer(), and SGD to Adam: update rules as formulas
training/    Trainer, its batches, callbacks and history; metrics and penalties
data/        data sets, splits and augmentation
models/      the classic networks
arguments.py the checks that these share

How parameters get their first values is declared with the state: Constant, Normal, Glorot and He are `declare/`'s.
"""

from graphnn.declare.initializer import Constant, Glorot, He, Initializer, Normal

__all__ = ["Constant", "Glorot", "He", "Initializer", "Normal"]
