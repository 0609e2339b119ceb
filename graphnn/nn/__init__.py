"""Layers, optimizers and training: compositions of ops, and formulas that update state.

layers.py      dense
models.py      mlp
optimizers.py  optimizer(), and SGD to Adam: update rules as formulas
penalty.py     l2_penalty
metrics.py     accuracy
trainer.py     Trainer: one compiled step of gradient descent, and epochs of it
data.py        arrays checked against the inputs, and mini-batches of them
interrupt.py   Ctrl-C between two steps
progress.py    the progress bar of fit
callbacks.py   EarlyStopping
history.py     History: losses and metrics by epoch, and their plot

How parameters get their first values is declared with the state: Constant, Normal, Glorot and He are `declare/`'s.
"""

from graphnn.declare.initializer import Constant, Glorot, He, Initializer, Normal

__all__ = ["Constant", "Glorot", "He", "Initializer", "Normal"]
