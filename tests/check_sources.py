"""The rules that no linter knows, as a program: `python -m tests.check_sources` lists every breach under graphnn/.

layering      {errors, collector, late} <- declare <- {ops, derive, simplify} <- lower <- schedule <- emit <- run
              <- stages <- pipeline <- {nn, check} <- {explain, exchange} <- demo <- {sklearn, cli},
              function-local imports too
no sympy      where loaded programs run
derivatives   none is written by hand: no fdiff, no vjp, no table of gradients
no code       nothing turns text or bytes into code: eval, exec, pickle, sympify of text, ...
no names      passes look at structure: no name of an op in derive, simplify, lower, schedule, emit
size          400 lines to a file
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from graphnn.simplify.expr import COMBINE, SCALARS

ROOT = Path(__file__).parent.parent / "graphnn"
LAYERS = (
    ("errors", "collector", "late"),
    ("declare",),
    ("ops", "derive", "simplify"),
    ("lower",),
    ("schedule",),
    ("emit",),
    ("run",),
    ("stages",),
    ("pipeline",),
    ("nn", "check"),
    ("explain", "exchange"),
    ("demo",),
    ("sklearn", "cli"),
)
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}
SIBLINGS = {("derive", "simplify")}  # the one import within a layer
NAMELESS = ("derive", "simplify", "lower", "schedule", "emit")  # never see an op's name, never import ops
ALLOWED_NAMES = {*SCALARS, *COMBINE}  # scalar functions and reducers; some ops are called like them
LINE_LIMIT = 400

Breach = tuple[int, str]  # line, message

_DERIVATIVE = re.compile(r"(.*_)?(fdiff|eval_derivative|eval_diff|vjp|jvp|pullback)")
_LOOKUPS = ("find_op", "get", "getattr", "pop", "startswith", "endswith")
_CODE_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
_CODE_BUILTINS = {"eval", "exec", "compile", "__import__"}
_CODE_FUNCTIONS = {"parse_expr", "lambdify", "srepr", "autowrap", "ufuncify", "import_module", "S"}


def check_source(path: str, text: str, op_names: frozenset[str] = frozenset()) -> list[str]:
    """The breaches in one file, as "path:line: message". `path` is relative to the package, as "lower/ir.py"."""
    part = path.split("/", maxsplit=1)[0].removesuffix(".py")
    if part != "__init__" and part not in RANK:
        return [f"{path}:1: '{part}' has no place in the layering"]
    tree = ast.parse(text)
    checks: list[Callable[[], Iterator[Breach]]] = [
        lambda: _check_layering(path, part, tree),
        lambda: _check_derivatives(part, tree, op_names),
        lambda: _check_code(part, tree),
        lambda: _check_names(part, tree, op_names),
        lambda: _check_size(text),
    ]
    breaches = sorted(breach for check in checks for breach in check())
    return [f"{path}:{line}: {message}" for line, message in breaches]


def check_package(op_names: frozenset[str], root: Path = ROOT) -> list[str]:
    files = sorted(root.rglob("*.py"))
    return [b for f in files for b in check_source(f.relative_to(root).as_posix(), f.read_text(), op_names)]


def imported_modules(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, dotted module) of every import anywhere in a file; "from graphnn import lower" gives graphnn.lower."""
    package = ["graphnn", *path.split("/")[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            if module == "graphnn":
                yield from ((node.lineno, f"graphnn.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, module


def _check_layering(path: str, part: str, tree: ast.Module) -> Iterator[Breach]:
    for line, module in imported_modules(path, tree):
        top, *rest = module.split(".")
        if part == "run" and (top == "sympy" or module.startswith("graphnn.late")):
            yield line, "run/ imports sympy: a loaded program must run without it"
        if top != "graphnn" or part == "__init__":
            continue
        target = rest[0] if rest else ""
        if target in ("__version__", "IMPORTED"):
            continue
        if target not in RANK:
            yield line, f"'{part}' imports {module}, the public table: import from the module that defines the name"
        elif target == "ops" and part in NAMELESS:
            yield line, f"'{part}' imports ops: passes look at structure, never at an op"
        elif target != part and RANK[target] >= RANK[part] and (part, target) not in SIBLINGS:
            yield line, f"'{part}' imports '{target}', which is not below it"


def _check_derivatives(part: str, tree: ast.Module, op_names: frozenset[str]) -> Iterator[Breach]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if _DERIVATIVE.fullmatch(node.name) and not _only_raises(node):
                yield node.lineno, f"'{node.name}' is a derivative written by hand"
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for name in (n for target in targets for n in _target_names(target)):
                if _DERIVATIVE.fullmatch(name):
                    yield node.lineno, f"'{name}' is a derivative written by hand"
        elif isinstance(node, ast.arg) and _DERIVATIVE.fullmatch(node.arg):
            yield node.lineno, f"the parameter '{node.arg}' takes a derivative written by hand"
        elif isinstance(node, ast.keyword) and node.arg and _DERIVATIVE.fullmatch(node.arg):
            yield node.value.lineno, f"the argument '{node.arg}' is a derivative written by hand"
        elif isinstance(node, ast.Dict) and part in ("derive", "simplify"):
            names = [_function_name(key, part, op_names) for key in node.keys]
            if any(isinstance(v, ast.Lambda) and name for v, name in zip(node.values, names, strict=True)):
                yield node.lineno, f"a table from {next(filter(None, names))} to formulas: derivatives are derived"


def _only_raises(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    body = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    return len(body) == 1 and isinstance(body[0], ast.Raise)


def _target_names(target: ast.expr) -> Iterator[str]:
    for node in ast.walk(target):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


def _function_name(key: ast.expr | None, part: str, op_names: frozenset[str]) -> str:
    """The function that a key of a table names: an op, and in derive/ a scalar function or one of sympy's, too."""
    if isinstance(key, ast.Constant) and isinstance(key.value, str):
        known = op_names | ALLOWED_NAMES if part == "derive" else op_names - ALLOWED_NAMES
        return key.value if key.value in known else ""
    if part == "derive" and isinstance(key, ast.Attribute) and isinstance(key.value, ast.Name):
        return key.attr if key.value.id in ("sympy", "sp") else ""
    return ""


def _check_code(part: str, tree: ast.Module) -> Iterator[Breach]:
    own = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    own |= {a.asname or a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            modules += [a.name for a in node.names if a.name in _CODE_FUNCTIONS | {"sympify"}]
            for module in modules:
                top = module.split(".")[0]
                lazy = part == "__init__" and top == "import_module"
                if top in _CODE_MODULES or (top in _CODE_FUNCTIONS and not lazy):
                    yield node.lineno, f"imports {module}, which turns data into code"
        elif isinstance(node, ast.Call):
            function = node.func
            name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
            keywords = {k.arg: k.value for k in node.keywords}
            if isinstance(function, ast.Name) and name in _CODE_BUILTINS - own:
                yield node.lineno, f"calls {name}()"
            elif name in _CODE_FUNCTIONS and not (part == "__init__" and name == "import_module"):
                yield node.lineno, f"calls {name}(), which runs text as code"
            elif name == "sympify" and not _is_true(keywords.get("strict")):
                yield node.lineno, "calls sympify() without strict=True, which runs text as code"
            elif _is_true(keywords.get("allow_pickle")):
                yield node.lineno, f"calls {name}(allow_pickle=True)"


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _check_names(part: str, tree: ast.Module, op_names: frozenset[str]) -> Iterator[Breach]:
    """A string that decides something and is an op's name; a label that is only printed or passed on is none."""
    if part not in NAMELESS:
        return
    decisive = [constant for node in ast.walk(tree) for constant in _decisive(node)]
    for node in decisive:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in op_names - ALLOWED_NAMES:
            yield node.lineno, f"decides by the op's name '{node.value}': passes look at structure"


def _decisive(node: ast.AST) -> list[ast.expr]:
    """Where a string is compared, looked up, or a member of a collection of nothing but strings."""
    match node:
        case ast.Compare():
            return [node.left, *node.comparators]
        case ast.MatchValue():
            return [node.value]
        case ast.Subscript():
            return [node.slice]
        case ast.Dict():
            return [key for key in node.keys if key is not None]
        case ast.Set() | ast.List() | ast.Tuple():
            strings = [e for e in node.elts if isinstance(e, ast.Constant) and isinstance(e.value, str)]
            return node.elts if len(strings) == len(node.elts) else []
        case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)) if name in _LOOKUPS:
            return node.args
    return []


def _check_size(text: str) -> Iterator[Breach]:
    if (count := text.count("\n")) > LINE_LIMIT:
        yield LINE_LIMIT, f"{count} lines: split the file, {LINE_LIMIT} is the end"


def registered_ops() -> frozenset[str]:
    import graphnn.ops  # noqa: F401 - importing it fills the registry
    from graphnn.declare.registry import OPS

    return frozenset(OPS)


if __name__ == "__main__":
    found = check_package(registered_ops())
    print("\n".join(found) or "sources: no breach")
    sys.exit(bool(found))
