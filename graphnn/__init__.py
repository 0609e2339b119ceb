"""graphnn: a symbolic computation-graph compiler for neural nets.

The public names are in the table below and are imported when they are first used, so that `import graphnn` costs
milliseconds and loading a compiled program needs no sympy. Ops (`gn.sigmoid`, `gn.matmul`, ...) come from the registry.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

__version__ = "0.1.0"
IMPORTED = time.time()  # modules are imported when they are needed; the cache asks whether their files are older

# fmt: off
_HOME: dict[str, tuple[str, ...]] = {
    "graphnn.errors": ("GraphnnError", "GraphError", "ShapeError", "DTypeError", "DeriveError", "CompileError",
                       "BoundaryError", "NumericError"),
    "graphnn.declare.network": ("Network", "Tensor"),
    "graphnn.declare.notation": ("indices", "operands", "guard", "Sum", "Prod", "Max", "Min"),
    "graphnn.declare.op": ("op", "elementwise"),
    "graphnn.declare.registry": ("register",),
    "graphnn.declare.initializer": ("Initializer", "Constant", "Normal", "Glorot", "He"),
    "graphnn.declare.reference": ("evaluate",),
    "graphnn.ops.random": ("bernoulli", "random_uniform", "random_normal"),
    "graphnn.derive.sweep": ("gradients",),
    "graphnn.pipeline": ("compile", "STAGES"),
    "graphnn.run.storage": ("load",),
    "graphnn.nn.layers.dense": ("dense",),
    "graphnn.nn.layers.normalisation": ("layer_norm", "rms_norm", "local_response_norm"),
    "graphnn.nn.layers.recurrent": ("rnn", "lstm", "gru"),
    "graphnn.nn.layers.cells": ("rnn_cell", "lstm_cell", "gru_cell"),
    "graphnn.nn.layers.attention": ("attention", "multi_head_attention"),
    "graphnn.nn.layers.embedding": ("embedding",),
    "graphnn.nn.layers.dropout": ("dropout",),
    "graphnn.nn.layers.batch_norm": ("batch_norm",),
    "graphnn.nn.layers.convolution": ("conv1d", "conv2d", "conv3d"),
    "graphnn.nn.layers.transposed": ("conv2d_transpose", "correlate_transpose"),
    "graphnn.nn.optimizers.rule": ("optimizer", "Optimizer"),
    "graphnn.nn.optimizers.rules": ("SGD", "Momentum", "Nesterov", "Adagrad", "Adadelta", "RMSProp", "Adam", "AdamW",
                                    "Adamax", "NAdam", "Lion"),
    "graphnn.nn.optimizers.decay": ("decoupled_decay",),
    "graphnn.nn.optimizers.schedules": ("constant", "step_decay", "exponential_decay", "cosine_decay", "warm_up",
                                        "scheduled", "adjustable"),
    "graphnn.nn.optimizers.clipping": ("clip_by_value", "clip_by_norm"),
    "graphnn.nn.training.penalty": ("l2_penalty", "l1_penalty"),
    "graphnn.nn.training.callbacks": ("Callback", "Checkpoint", "EarlyStopping"),
    "graphnn.nn.training.trainer": ("Trainer",),
    "graphnn.nn.training.history": ("History",),
    "graphnn.nn.training.metrics": ("accuracy",),
    "graphnn.nn.data.split": ("row_weights", "split"),
    "graphnn.check.compare": ("compare",),
    "graphnn.explain.formula": ("formula", "latex"),
    "graphnn.explain.derivation": ("derivation", "Derivation"),
    "graphnn.explain.minimal_filtering": ("minimal_filtering",),
}
# fmt: on
# The classic networks; data sets; estimators.
_MODULES = {"models": "graphnn.nn.models", "data": "graphnn.nn.data", "sklearn": "graphnn.sklearn"}
_TABLE = {name: home for home, names in _HOME.items() for name in names}
_NO_OPS = frozenset(("graphnn.errors", "graphnn.run.storage"))  # these work without sympy
__all__ = sorted(_TABLE)  # noqa: PLE0605 (built from the table)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    home = _TABLE.get(name)
    if home not in _NO_OPS:
        import_module("graphnn.ops")  # fills the registry, in which Tensor operators look
        import_module("graphnn.declare.outlines").OUTLINES.read = _read_outlines
    if name in _MODULES:
        value: Any = import_module(_MODULES[name])
    elif home is not None:
        value = getattr(import_module(home), name)
    else:
        value = import_module("graphnn.declare.registry").OPS.get(name)
        if value is None:
            close = import_module("difflib").get_close_matches(name, (n for n in __dir__() if not n.startswith("_")))
            hint = f"; did you mean {', '.join(close)}?" if close else ""
            raise AttributeError(f"module 'graphnn' has no attribute {name!r}{hint}")
    globals()[name] = value
    return value


def _read_outlines() -> bytes | None:
    found: bytes | None = import_module("graphnn.run.outlines").read_outlines()
    return found


def __dir__() -> list[str]:
    import_module("graphnn.ops")
    return sorted({*globals(), *_TABLE, *_MODULES, *import_module("graphnn.declare.registry").OPS})
