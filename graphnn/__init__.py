"""graphnn: a symbolic computation-graph compiler for neural nets.

The public names are in the table below and are imported when they are first used, so that `import graphnn` costs
milliseconds and loading a compiled program needs no sympy. Ops (`gn.sigmoid`, `gn.matmul`, ...) come from the registry.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# fmt: off
_HOME: dict[str, tuple[str, ...]] = {
    "graphnn.errors": ("GraphnnError", "GraphError", "ShapeError", "DTypeError", "DeriveError", "CompileError",
                       "BoundaryError"),
    "graphnn.declare.network": ("Network", "Tensor"),
    "graphnn.declare.notation": ("indices", "operands", "guard", "Sum", "Prod", "Max", "Min"),
    "graphnn.declare.op": ("op", "elementwise"),
    "graphnn.declare.registry": ("register",),
    "graphnn.declare.initializer": ("Initializer", "Constant", "Normal", "Glorot", "He"),
    "graphnn.declare.reference": ("evaluate",),
    "graphnn.derive.sweep": ("gradients",),
    "graphnn.pipeline": ("compile", "STAGES"),
    "graphnn.run.storage": ("load",),
    "graphnn.nn.layers.dense": ("dense",),
    "graphnn.nn.optimizers.rule": ("optimizer", "Optimizer"),
    "graphnn.nn.optimizers.rules": ("SGD", "Momentum", "Nesterov", "Adagrad", "Adadelta", "RMSProp", "Adam"),
    "graphnn.nn.training.callbacks": ("EarlyStopping",),
    "graphnn.nn.training.trainer": ("Trainer",),
    "graphnn.nn.training.history": ("History",),
    "graphnn.nn.training.metrics": ("accuracy",),
    "graphnn.check.compare": ("compare",),
    "graphnn.explain.formula": ("formula", "latex"),
    "graphnn.explain.derivation": ("derivation", "Derivation"),
}
# fmt: on
_MODULES = {"models": "graphnn.nn.models"}  # the classic networks
_TABLE = {name: home for home, names in _HOME.items() for name in names}
_NO_OPS = frozenset(("graphnn.errors", "graphnn.run.storage"))  # these work without sympy
__all__ = sorted(_TABLE)  # noqa: PLE0605 (built from the table)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    home = _TABLE.get(name)
    if home not in _NO_OPS:
        import_module("graphnn.ops")  # fills the registry, in which Tensor operators look
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


def __dir__() -> list[str]:
    import_module("graphnn.ops")
    return sorted({*globals(), *_TABLE, *_MODULES, *import_module("graphnn.declare.registry").OPS})
