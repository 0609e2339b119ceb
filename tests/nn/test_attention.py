"""Attention and embedding against loops written from Vaswani et al. 2017."""

import numpy as np
import pytest

import graphnn as gn

RNG = np.random.default_rng(0)


def attend(q, k, v, allowed):
    """Section 3.2.1, query by query: softmax(q k^T/sqrt(d)) v over the keys that a query may look at."""
    out = np.zeros((*q.shape[:-1], v.shape[-1]))
    for where in np.ndindex(q.shape[:-1]):
        *batch, i = where
        keys = [j for j in range(k.shape[-2]) if allowed[(*batch, i, j)]]
        scores = np.array([q[where] @ k[(*batch, j)] / np.sqrt(q.shape[-1]) for j in keys])
        weights = np.exp(scores - scores.max(initial=0))
        for weight, j in zip(weights / weights.sum(), keys, strict=True):
            out[where] += weight * v[(*batch, j)]
    return out


def operands(*shapes, dtype="float64"):
    net = gn.Network()
    return net, [net.input(name, shape, dtype) for name, shape in zip("qkv", shapes, strict=True)]


@pytest.mark.parametrize(
    ("shapes", "mask"),
    [
        (((3, 4), (5, 4), (5, 2)), None),
        (((2, 3, 4), (2, 5, 4), (2, 5, 2)), None),
        (((2, 3, 4), (2, 3, 4), (2, 3, 2)), "causal"),
        (((2, 3, 4), (2, 5, 4), (2, 5, 2)), (3, 5)),
        (((2, 3, 4), (2, 5, 4), (2, 5, 2)), (2, 3, 5)),
    ],
)
def test_attention_is_the_loop(shapes, mask):
    net, (q, k, v) = operands(*shapes)
    values = {name: RNG.normal(size=shape) for name, shape in zip("qkv", shapes, strict=True)}
    allowed = np.ones((*shapes[0][:-1], shapes[1][-2]), bool)
    given = mask
    if mask == "causal":
        allowed &= np.tri(shapes[0][-2], dtype=bool)
    elif mask is not None:
        given = net.input("mask", mask, "bool")
        values["mask"] = RNG.random(mask) < 0.5
        values["mask"][..., 1, :] = False  # a query that may look nowhere
        allowed &= values["mask"]
    y = gn.attention(q, k, v, given, name="look")
    found, weights = gn.compile([y, net["look.weights"]])(**values)
    np.testing.assert_allclose(found, attend(values["q"], values["k"], values["v"], allowed), rtol=1e-12, atol=1e-14)
    assert not weights[~allowed].any()
    np.testing.assert_allclose(weights.sum(axis=-1), allowed.any(axis=-1), rtol=1e-14)


@pytest.mark.parametrize("mask", [None, "causal", "given"])
def test_scores_of_thousands_do_no_harm_masked_or_not(mask):
    net = gn.Network()
    q, k, v = (net.parameter(name, (3, 2), init=gn.Normal(1.0), dtype="float64") for name in "qkv")
    given = net.input("mask", (3, 3), "bool") if mask == "given" else mask
    # Scores of +-2000 to 4000: to the third query the keys are much alike, the first should not see what suits it best.
    net.state["q"] = np.array([[90.0, 1], [-95, 5], [24, -90.1]])
    net.state["k"] = np.array([[30.0, -20], [30.01, -20], [60, -12]])
    loss = gn.sum(gn.square(gn.attention(q, k, v, given)))
    allowed = np.tri(3, dtype=bool) if mask else np.ones((3, 3), bool)
    feed = {"mask": allowed} if mask == "given" else {}
    outputs = [loss, *gn.gradients(loss, [q, k, v])]
    exact = gn.evaluate(outputs, feed, number="mpmath", precision=1200)
    for found, right in zip(gn.compile(outputs, debug=True)(**feed), exact, strict=True):
        expected = np.asarray(right).astype(np.float64)
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("mask", ["causal", "given"])
def test_gradients_through_a_mask(mask):
    net = gn.Network()
    x = net.input("x", ("N", "T", 4), "float64")
    given = net.input("mask", ("T", "T"), "bool") if mask == "given" else None
    y = gn.multi_head_attention(x, 2, causal=mask == "causal", mask=given, name="heads")
    feed = {"x": RNG.normal(size=(2, 3, 4))}
    if given is not None:
        feed["mask"] = np.array([[True, False, True], [False, False, False], [True, True, True]])
    report = gn.compare(gn.sum(gn.square(y)), feed, sample=3)
    assert report.agrees, report.table()
    # The largest error is of heads.bk: keys that all move alike change nothing, and its gradient is rounding alone.
    errors = {c.name: c.native_error for c in report.comparisons}
    assert max(error for name, error in errors.items() if name != "heads.bk") < 1e-11


@pytest.mark.parametrize("bias", [True, False])
def test_heads_attend_to_columns_of_their_own(bias):
    net = gn.Network()
    y = gn.multi_head_attention(net.input("x", (2, 3, 6), "float64"), 2, causal=True, bias=bias, name="m")
    values = RNG.normal(size=(2, 3, 6))
    p = {name: RNG.normal(size=t.shape) for name, t in net.parameters.items()}
    assert list(p) == [f"m.{kind}{part}" for part in "qkvo" for kind in ("Wb" if bias else "W")]
    for name, value in p.items():
        net.state[name] = value
    q, k, v = (values @ p[f"m.W{part}"] + p.get(f"m.b{part}", 0.0) for part in "qkv")
    allowed = np.broadcast_to(np.tri(3, dtype=bool), (2, 3, 3))
    heads = [attend(q[..., c], k[..., c], v[..., c], allowed) for c in (slice(0, 3), slice(3, 6))]
    expected = np.concatenate(heads, axis=-1) @ p["m.Wo"] + p.get("m.bo", 0.0)
    np.testing.assert_allclose(gn.compile(y)(x=values), expected, rtol=1e-12, atol=1e-13)
    assert (y.name, y.shape, net["m.heads.weights"].shape) == ("m", (2, 3, 6), (2, 2, 3, 3))


def test_a_network_with_a_mask_can_be_stored():
    net, (q, k, v) = operands((3, 4), (3, 4), (3, 2))
    y = gn.attention(q, k, v, "causal")
    again = gn.Network.from_json(net.to_json())
    values = {name: RNG.normal(size=t.shape) for name, t in net.inputs.items()}
    np.testing.assert_array_equal(gn.compile(again[y.name])(**values), gn.compile(y)(**values))


def test_an_embedding_is_a_row_for_each_token():
    net = gn.Network()
    tokens = net.input("tokens", ("N", 3), "int64")
    y = gn.embedding(tokens, 5, 2, name="words")
    (gradient,) = gn.gradients(gn.sum(y), [net.parameters["words.W"]])
    values = np.array([[0, 4, 4], [1, 4, 0]])
    found, slope = gn.compile([y, gradient])(tokens=values)
    np.testing.assert_array_equal(found, net.state["words.W"][values])
    np.testing.assert_array_equal(slope, np.repeat([[2.0], [1.0], [0.0], [0.0], [3.0]], 2, axis=1))
    with pytest.raises(gn.BoundaryError, match="tokens"):
        gn.compile(y)(tokens=values + 1)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda x, n, m: gn.multi_head_attention(x, 3), gn.ShapeError, "3 heads"),
        (lambda x, n, m: gn.multi_head_attention(x, 0), gn.GraphError, "heads is an int of at least 1"),
        (lambda x, n, m: gn.multi_head_attention(x, 2, causal=True, mask=m), gn.GraphError, "not both"),
        (lambda x, n, m: gn.multi_head_attention(x, 2, mask=x), gn.DTypeError, "must be bool"),
        (lambda x, n, m: gn.multi_head_attention(x, 2, init="he"), gn.GraphError, "init="),
        (lambda x, n, m: gn.multi_head_attention(n, 2), gn.DTypeError, "int64"),
        (lambda x, n, m: gn.multi_head_attention(x[:, 0, 0], 2), gn.ShapeError, "axes of positions and features"),
        (lambda x, n, m: gn.multi_head_attention(gn.transpose(x, (2, 1, 0)), 2), gn.ShapeError, "must be an int"),
        (lambda x, n, m: gn.attention(x, x, x, "future"), gn.GraphError, "'future'"),
        (lambda x, n, m: gn.attention(x, x, x, n), gn.DTypeError, "must be bool"),
        (lambda x, n, m: gn.attention(x, x[:, :2], x[:, :2], "causal"), gn.ShapeError, "3 and 2"),
        (lambda x, n, m: gn.attention(x, x[:, :2], x), gn.ShapeError, "as many keys as values"),
        (lambda x, n, m: gn.attention(x, x[..., :2], x), gn.ShapeError, "last extents"),
        (lambda x, n, m: gn.attention(x[:, 0, 0], x, x), gn.ShapeError, "operand 'q'"),
        (lambda x, n, m: gn.attention(x, x, n), gn.DTypeError, "operand 'v'"),
        (lambda x, n, m: gn.attention(x, x, "v"), gn.GraphError, "is a Tensor"),
        (lambda x, n, m: gn.embedding(n, 0, 2), gn.GraphError, "vocabulary is an int"),
        (lambda x, n, m: gn.embedding(n, 2, -1), gn.GraphError, "width is an int"),
        (lambda x, n, m: gn.embedding(x, 2, 2), gn.DTypeError, "must be int64"),
        (lambda x, n, m: gn.embedding(n, 2, 2, dtype="int64"), gn.DTypeError, "float32 or float64"),
    ],
)
def test_a_refused_layer_leaves_nothing_behind(make, error, text):
    net = gn.Network()
    x, n, m = net.input("x", ("N", 3, 4)), net.input("n", ("N", 3, 4), "int64"), net.input("m", (3, 3), "bool")
    with pytest.raises(error, match=text):
        make(x, n, m)
    assert [name for name in net.graph if not name.startswith(("slice", "transpose"))] == ["x", "n", "m"]
    assert not net.initializers
