"""What a person writes, and what it refuses."""

import math

import numpy as np
import pytest
import sympy

from graphnn.declare.definition import formula_text
from graphnn.declare.entries import as_formula
from graphnn.declare.notation import Max, Sum, guard, indices, operands, size_symbol
from graphnn.declare.op import elementwise, op
from graphnn.errors import DTypeError, GraphError, ShapeError
from tests.declare import samples
from tests.declare.samples import A, B, E, X, i, j, k, network_of


def text(tensor):
    return formula_text(tensor.definition, tuple(o.name for o in tensor.network.operands(tensor)))


def test_matmul_definition():
    _, a, b = network_of(a=("N", 3), b=(3, 2))
    c = samples.matmul(a, b)
    assert text(c) == "out[i0, i1] = sum[r0 < 3](a[i0, r0]*b[r0, i1])"
    assert c.shape == ("N", 2)
    assert c.dtype == "float64"


def test_equal_formulas_are_equal_definitions_whatever_the_names():
    p, q, r = indices("p0 i1 t0")
    P, Q = operands("P Q")
    other = op("other", out=(p, q), body=Sum(P[p, r] * Q[r, q], r))
    _, a, b = network_of(a=("N", 3), b=(3, 2))
    assert samples.matmul(a, b).definition == other(a, b).definition


def test_nested_reducers_become_definitions_of_one_each():
    network, x = network_of(x=("N", 4))
    y = samples.softmax(x, name="y")
    made = [network[name] for name in network.graph if network[name].kind == "op"]
    assert [t.definition.reducer for t in made] == ["sum", None]
    assert text(made[0]) == "out[i0] = sum[r0 < 4](exp(x[i0, r0]))"
    assert made[-1] == y


def test_a_reducer_inside_a_reducer():
    nested = op("nested", out=(), body=Max(Sum(X[i, j], j) ** 2, i))
    network, x = network_of(x=("N", 4))
    nested(x)
    reducers = [d.reducer for _, d in network.graph.nodes(data="definition") if d is not None]
    assert reducers == ["sum", "max"]


def test_guards_become_branches_or_conditions():
    _, x, w = network_of(x=(5,), w=(3,))
    assert samples.padded(x, w).definition.body.has(sympy.Piecewise)
    pool = samples.pool(x).definition
    assert pool.guard != sympy.true
    assert not pool.body.has(sympy.Piecewise)


def test_broadcasting_reads_a_stretched_dimension_at_zero():
    _, a, b = network_of(a=("N", 1), b=(4,))
    assert text(samples.plus(a, b)) == "out[i0, i1] = a[i0, 0] + b[i1]"


def test_a_size_named_like_an_axis_is_another_thing():
    mean = op("mean", out=(j,), body=Sum(X[i, j], i) / X.shape[0])
    network, x = network_of(x=("i", "j"))
    m = mean(x)
    assert m.shape == ("j",)
    assert text(m) == f"out[i0] = {network.operands(m)[0].name}[i0]/i"


def test_attributes_are_exact_numbers():
    _, x = network_of(x=(3,))
    body = samples.leaky(x, slope=0.1).definition.body
    assert sympy.Rational(1, 10) in body.atoms(sympy.Rational)
    assert body == samples.leaky(x).definition.body
    with pytest.raises(GraphError, match="leaky: slope is inf; a formula's constants are finite"):
        samples.leaky(x, slope=float("inf"))


SHAPE_ERRORS = [
    (samples.matmul, ((2, 3), (4, 5)), r"axis 'k' has extent 3 in dimension 1 of 'A' .* but 4 in dimension 0 of 'B'"),
    (samples.matmul, ((2, 3, 1), (3, 5)), r"matmul: operand 'A' is indexed as A\[i, k\] with 2 indices"),
    (samples.plus, ((2, 3), (4,)), r"'a' and 'b' do not broadcast: extents 3 and 4 in dimension -1 \(shapes "),
    (samples.softmax, ((),), "softmax: operand 'X' .* has too few dimensions"),
]  # fmt: skip


@pytest.mark.parametrize(("function", "shapes", "message"), SHAPE_ERRORS)
def test_shape_errors_name_both_extents_and_operands(function, shapes, message):
    _, *tensors = network_of(**{f"x{n}": shape for n, shape in enumerate(shapes)})
    with pytest.raises(ShapeError, match=message):
        function(*tensors)


@pytest.mark.parametrize(
    ("index", "reach"),
    [(i + 1, "runs from 1 to 4"), (i - 1, "runs from -1 to 2"), (2 * i, "runs from 0 to 6"), (7, "runs from 7 to 7")],
)
def test_an_access_that_leaves_its_operand_is_refused(index, reach):
    shifted = op("shifted", out=(i,), body=X[index] + 0 * i, extents={i: X.shape[0]})
    _, x = network_of(x=(4,))
    with pytest.raises(ShapeError, match=rf"shifted: .* of operand 'X' {reach} in dimension 0, whose extent is 4"):
        shifted(x)


def test_an_access_that_leaves_a_symbolic_operand_is_refused():
    shifted = op("shifted", out=(i,), body=X[i + 1], extents={i: X.shape[0]})
    _, x = network_of(x=("N",))
    with pytest.raises(ShapeError, match="runs from 1 to N in dimension 0, whose extent is N"):
        shifted(x)


def test_a_size_that_begins_like_an_access_is_no_access():
    shifted = op("shifted", out=(i,), body=X[i + X.shape[0]], extents={i: X.shape[0]})
    _, x = network_of(x=("time",))
    with pytest.raises(ShapeError, match="whose extent is time"):
        shifted(x)


def test_an_index_that_is_not_quasi_affine_is_refused():
    _, x = network_of(x=(9,))
    for index in (i**2, i * j, i / 2, sympy.exp(i)):
        with pytest.raises(GraphError, match="is not quasi-affine"):
            op("bad", out=(i, j), body=X[index], extents={i: 3, j: 3})(x)


def test_an_axis_without_an_extent_is_named():
    _, x = network_of(x=(9,))
    with pytest.raises(GraphError, match=r"bad: the output axis 'j' is unbound"):
        op("bad", out=(i, j), body=X[i])(x)
    with pytest.raises(GraphError, match=r"bad: the axis 'k' has no extent.*extents=\{k: \.\.\.\}"):
        op("bad", out=(i,), body=Sum(X[i] * k, k))(x)


def test_a_stray_symbol_is_named():
    _, x = network_of(x=(9,))
    with pytest.raises(GraphError, match="bad: 'j' is neither an axis of the output or of a reducer nor an attribute"):
        op("bad", out=(i,), body=X[i] * j)(x)


def test_dtypes():
    _, e, t, f, u = network_of(e=(4, 2), t=((3,), "int64"), f=((4, 2), "float32"), u=(3,))
    assert samples.gather(e, t).shape == (3, 2)
    with pytest.raises(DTypeError, match="'token' must be int64, not float64"):
        samples.gather(e, u)
    with pytest.raises(DTypeError, match="operand 'a' is float64 and operand 'b' is float32"):
        samples.plus(e, f)


def test_calls_are_checked():
    _, a, b = network_of(a=(2, 3), b=(3, 2))
    with pytest.raises(GraphError, match="matmul: operand 'B' is missing"):
        samples.matmul(a)
    with pytest.raises(GraphError, match="matmul takes 2 operands"):
        samples.matmul(a, b, b)
    with pytest.raises(GraphError, match="matmul: operand 'A' is given twice"):
        samples.matmul(a, A=a)
    with pytest.raises(GraphError, match="matmul has no operand or attribute 'axis'"):
        samples.matmul(a, b, axis=0)
    with pytest.raises(GraphError, match="matmul needs Tensors of one network as operands, got A: Tensor, B: Tensor"):
        samples.matmul(a, network_of(b=(3, 2))[1])
    assert samples.matmul(B=b, A=a).definition == samples.matmul(a, b).definition
    assert text(samples.plus(a, 2)) == "out[i0, i1] = a[i0, i1] + 2"


def test_what_is_no_notation_is_refused():
    with pytest.raises(GraphError, match="'a-b' is not an identifier"):
        indices("a-b")
    with pytest.raises(GraphError, match="symbolic size 'i0' is reserved"):
        size_symbol("i0")
    with pytest.raises(GraphError, match="an index is an int, an axis or an expression of axes, not str"):
        X["i"]
    with pytest.raises(GraphError, match="sum needs the axes"):
        Sum(X[i])
    with pytest.raises(GraphError, match="stands in front of the output axes"):
        op("bad", out=(i, ...), body=X[i])
    with pytest.raises(GraphError, match="access by access"):
        A[i, j].diff(i)


@pytest.mark.parametrize(
    "function",
    [
        lambda t: np.exp(-t) + 1,
        lambda t: math.exp(-t) + 1,
        lambda t: np.maximum(t, 0),
        lambda t: t if t > 0 else 0,
        lambda t, name=1, function=2: np.sqrt(name * t + function),
    ],
)
def test_a_formula_in_functions_of_numbers_is_refused(function):
    with pytest.raises(GraphError, match=r"^f: .* sympy\.exp, sympy\.Max, sympy\.Piecewise instead of np\.exp"):
        elementwise("f", function)


@pytest.mark.parametrize(
    "build", [as_formula, lambda t: Sum(t, i), lambda t: guard(E[i], t), lambda t: op("f", (i,), t)]
)
def test_text_is_never_run_as_a_formula(build, tmp_path):
    proof = tmp_path / "proof"
    with pytest.raises(GraphError, match="a formula is made of sympy expressions and numbers, not str"):
        build(f"__import__('pathlib').Path({str(proof)!r}).touch()")
    assert not proof.exists()


def test_an_operand_used_twice_is_one_operand():
    square = elementwise("square", lambda t: t * t)
    _, x = network_of(x=(3,))
    assert len(square(x).definition.operands) == len(square(x).definition.accesses) == 1
    both = op("both", out=(i,), body=A[i] * B[i])
    assert len(both(x, x).definition.operands) == 2
