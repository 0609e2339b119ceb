"""The package keeps the rules of `check_sources`, and each rule is shown to fail on a breach of it."""

import pytest

from tests.check_sources import LAYERS, check_package, check_source, registered_ops

OPS = frozenset({"relu", "softmax", "matmul", "exp", "add", "max"})


def test_the_package_has_no_breach():
    assert check_package(registered_ops()) == []


BREACHES = [
    # layering
    ("declare/op.py", "import graphnn.derive", "'declare' imports 'derive', which is not below it"),
    ("declare/op.py", "from graphnn.ops import elementwise", "'declare' imports 'ops'"),
    ("errors.py", "from graphnn.declare import op", "'errors' imports 'declare'"),
    ("simplify/rules.py", "from graphnn.derive.adjoint import adjoint", "'simplify' imports 'derive'"),
    ("ops/loss.py", "from graphnn.simplify import expr", "'ops' imports 'simplify'"),
    ("schedule/fuse.py", "def f():\n    from graphnn.emit import writer", "2: 'schedule' imports 'emit'"),
    ("lower/ir.py", "if TYPE_CHECKING:\n    from graphnn.run.executable import Executable", "2: 'lower' imports 'run'"),
    ("lower/ir.py", "from ..emit import writer", "'lower' imports 'emit'"),
    ("lower/ir.py", "from .. import emit", "'lower' imports 'emit'"),
    ("nn/train.py", "from graphnn.check import compare", "'nn' imports 'check'"),
    ("cli.py", "from graphnn.sklearn import Classifier", "'cli' imports 'sklearn'"),
    ("lower/ir.py", "import graphnn", "imports graphnn, the public table"),
    ("lower/ir.py", "from graphnn import relu", "imports graphnn.relu, the public table"),
    ("derive/adjoint.py", "from graphnn.ops import relu", "'derive' imports ops"),
    ("emit/writer.py", "from graphnn.ops import relu", "'emit' imports ops"),
    ("helpers/misc.py", "", "'helpers' has no place in the layering"),
    ("run/load.py", "import sympy", "run/ imports sympy"),
    ("run/load.py", "from graphnn.late import sympy", "run/ imports sympy"),
    ("run/load.py", "def f():\n    from sympy import Symbol", "2: run/ imports sympy"),
    # derivatives
    ("ops/e.py", "class f(Function):\n    def fdiff(self, n=1):\n        return cos(0)", "2: 'fdiff' is"),
    ("ops/e.py", "def _eval_derivative(self, s):\n    return 0", "'_eval_derivative' is a derivative"),
    ("ops/e.py", "sigmoid.fdiff = lambda self: 1", "'fdiff' is a derivative"),
    ("ops/e.py", "relu_vjp = lambda g, x: g * (x > 0)", "'relu_vjp' is a derivative"),
    ("ops/e.py", "def op(name, body, vjp=None): pass", "the parameter 'vjp' takes a derivative"),
    ("ops/e.py", "op('relu', vjp=f)", "the argument 'vjp' is a derivative"),
    ("derive/table.py", "T = {'relu': lambda g, x: g}", "a table from relu to formulas"),
    ("derive/table.py", "T = {'exp': lambda x: x}", "a table from exp to formulas"),
    ("derive/table.py", "T = {sympy.exp: lambda x: sympy.exp(x)}", "a table from exp to formulas"),
    ("simplify/table.py", "T = {'softmax': lambda g, x: g}", "a table from softmax to formulas"),
    # code
    ("nn/a.py", "eval('1')", "calls eval()"),
    ("nn/a.py", "def f():\n    exec(text)", "2: calls exec()"),
    ("nn/a.py", "compile(text, 'a', 'exec')", "calls compile()"),
    ("nn/a.py", "__import__('os')", "calls __import__()"),
    ("nn/a.py", "import pickle", "imports pickle"),
    ("nn/a.py", "from marshal import loads", "imports marshal"),
    ("declare/a.py", "sympy.sympify(text)", "calls sympify() without strict=True"),
    ("declare/a.py", "sympy.S(text)", "calls S()"),
    ("declare/a.py", "from sympy.parsing.sympy_parser import parse_expr", "imports parse_expr"),
    ("declare/a.py", "sympy.lambdify(x, y)", "calls lambdify()"),
    ("declare/a.py", "sympy.srepr(x)", "calls srepr()"),
    ("declare/a.py", "np.load(path, allow_pickle=True)", "calls load(allow_pickle=True)"),
    ("lower/a.py", "importlib.import_module('graphnn.ops')", "calls import_module()"),
    # names
    ("lower/a.py", "x = 1 if node.op == 'relu' else 2", "decides by the op's name 'relu'"),
    ("schedule/a.py", "FUSED = {'softmax', 'log'}", "decides by the op's name 'softmax'"),
    ("emit/a.py", "x = name in ('matmul', 'dot')", "decides by the op's name 'matmul'"),
    ("derive/a.py", "RULES = {'matmul': matmul_rule}", "decides by the op's name 'matmul'"),
    ("derive/a.py", "rule = RULES['matmul']", "decides by the op's name 'matmul'"),
    ("derive/a.py", "find_op('matmul')", "decides by the op's name 'matmul'"),
    ("simplify/a.py", "match op:\n    case 'softmax':\n        pass", "2: decides by the op's name 'softmax'"),
    # size
    ("lower/a.py", "\n" * 401, "401 lines"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "source", "message"), BREACHES)
def test_a_breach_is_found(path, source, message):
    found = check_source(path, source, OPS)
    assert any(message in line for line in found), found


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("derive/adjoint.py", "from graphnn.simplify.expr import Expr"),
        ("ops/loss.py", "from graphnn.declare.op import op"),
        ("pipeline.py", "from graphnn import run, ops"),
        ("lower/ir.py", "from .builder import build\nfrom ..simplify import expr"),
        ("cli.py", "from graphnn.pipeline import compile\ncompile(net)"),
        ("pipeline.py", "def compile(net): pass\ncompile(net)"),
        ("__init__.py", "import importlib\nimportlib.import_module('graphnn.pipeline')"),
        ("declare/n.py", "class E:\n    def _eval_derivative(self, s):\n        '''why'''\n        raise TypeError"),
        ("declare/n.py", "re.compile('a')\nsympy.sympify(x, strict=True)\nsympy.S.Zero"),
        ("derive/a.py", "'''relu is softmax'''\nraise Error(f'relu{x}', 'relu')"),
        ("simplify/a.py", "x = fn == 'exp' or fn in ('add', 'max')\nFOLD = {'add': lambda a, b: a + b}"),
        ("ops/a.py", "register('relu', {'relu': lambda x: x})"),
        ("lower/a.py", "\n" * 400),
    ],
)
def test_what_is_allowed_is_no_breach(path, source):
    assert check_source(path, source, OPS) == []


def test_every_layer_may_import_those_below_it_only():
    for rank, layer in enumerate(LAYERS):
        for part in layer:
            for other_rank, other in enumerate(LAYERS):
                for target in other:
                    breaches = check_source(f"{part}/a.py", f"import graphnn.{target}.b")
                    allowed = other_rank < rank or target == part or (part, target) == ("derive", "simplify")
                    forbidden = target == "ops" and part in ("derive", "simplify", "lower", "schedule", "emit")
                    forbidden |= (part, target) == ("run", "late")
                    assert (not breaches) == (allowed and not forbidden), (part, target)
