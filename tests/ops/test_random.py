"""Random numbers: what they are, how they are distributed, and that nothing but seed, step, name and place counts."""

import hashlib
import math

import numpy as np
import pytest

import graphnn as gn
from tests.oracle_rows.random import threefry

COUNT = 40_000
SIGMAS = 4.5  # one seed, chosen before the draw; a right generator fails one such bound in 150,000


def blocks(net, name, count):
    """The numbers of a node by the definition, from the paper's listing and a digest of the name."""
    state = [np.asarray([int(net.state[f"random.{part}"])]) for part in ("seed", "step")]
    digest = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little", signed=True)
    stream = threefry(threefry(*state), np.array([digest]))
    return threefry(np.repeat(stream, count), np.arange(count))


def network(shape=("N", 5), dtype="float32", seed=0):
    net = gn.Network()
    x = net.input("x", shape, dtype=dtype)
    net.initialize(seed)
    return net, x


def three_ways(tensor, x):
    """Reference, compiled plainly, and compiled for a fixed size."""
    n = x.shape[0]
    compiled = gn.compile([tensor, gn.identity(tensor.network["x"])])
    fixed = gn.compile([tensor, gn.identity(tensor.network["x"])], sizes={"N": n}, debug=True)
    return gn.evaluate(tensor, {"x": x}), compiled(x=x)[0], fixed(x=x)[0]


def test_a_mask_is_that_of_the_definition_bit_for_bit():
    net, x = network()
    mask = gn.bernoulli(x, 0.3, name="mask")
    net.state["random.step"] = np.int64(2**40 + 7)
    for rows in (1, 7, 67):
        below = blocks(net, "mask", 5 * rows).astype(object) + 2**63 < 0.3 * 2**64
        for found in three_ways(mask, np.zeros((rows, 5), np.float32)):
            np.testing.assert_array_equal(found, below.reshape(rows, 5).astype(bool))


@pytest.mark.parametrize(("dtype", "bits"), [("float32", 24), ("float64", 53)])
def test_uniform_numbers_are_the_first_bits_of_the_blocks(dtype, bits):
    net, x = network(dtype=dtype)
    u = gn.random_uniform(x, name="u")
    expected = [int(b) + 2**63 >> 64 - bits for b in blocks(net, "u", 55)]
    for found in three_ways(u, np.zeros((11, 5), dtype)):
        assert found.dtype in (dtype, "float64")
        np.testing.assert_array_equal(found.ravel() * 2.0**bits, np.array(expected, float))


def test_normal_numbers_are_those_of_box_and_muller():
    net, x = network(dtype="float64")
    z = gn.random_normal(x, mean=2, stddev=0.5, name="z")
    words = blocks(net, "z", 55).view("<u4").reshape(-1, 2).astype(float)
    radius = np.sqrt(
        -2 * np.log((np.where(words[:, 1] < 2**31, words[:, 1] + 2**31, words[:, 1] - 2**31) + 0.5) / 2**32)
    )
    expected = 2 + 0.5 * radius * np.cos(2 * np.pi * words[:, 0] / 2**32)
    for found in three_ways(z, np.zeros((11, 5))):
        np.testing.assert_allclose(found.ravel(), expected, rtol=1e-12)


def test_a_mask_has_the_mean_of_its_probability():
    _, x = network((COUNT,))
    for p in (0.5, 0.1, 0.999):
        mask = gn.evaluate(gn.bernoulli(x, p, name=f"mask {p}"), {"x": np.zeros(COUNT)})
        assert abs(mask.sum() - COUNT * p) < SIGMAS * math.sqrt(COUNT * p * (1 - p))
        neighbours = np.sum(mask[1:] & mask[:-1])  # independent: both with probability p^2
        assert abs(neighbours - COUNT * p * p) < 2 * SIGMAS * math.sqrt(COUNT * p * p * (1 - p * p))


def test_uniform_numbers_fill_their_interval():
    _, x = network((COUNT,), "float64")
    u = gn.evaluate(gn.random_uniform(x, -1, 3), {"x": np.zeros(COUNT)})
    assert u.min() >= -1
    assert u.max() < 3
    assert np.abs(np.sort(u) - np.linspace(-1, 3, COUNT)).max() / 4 < 2.2 / math.sqrt(COUNT)  # Kolmogorov: 1 in 8000


def test_normal_numbers_have_moments_of_a_normal_distribution():
    _, x = network((COUNT,), "float64")
    z = gn.evaluate(gn.random_normal(x), {"x": np.zeros(COUNT)})
    for power, moment, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert abs(np.mean(z**power) - moment) < SIGMAS * math.sqrt(variance / COUNT)


def test_each_node_step_and_seed_has_numbers_of_its_own():
    net, x = network((64,))
    draw = [gn.bernoulli(x, name=n) for n in ("a", "b")]
    values = {"x": np.zeros(64)}
    masks = [*gn.evaluate(draw, values)]
    net.state["random.step"] = np.int64(1)
    masks += gn.evaluate(draw, values)
    net.initialize(1)
    assert net.state["random.step"] == 0
    masks += gn.evaluate(draw, values)
    for n, one in enumerate(masks):
        for other in masks[:n]:
            assert 8 < np.sum(one != other) < 56  # 32 expected, deviation 4
    net.initialize(0)
    np.testing.assert_array_equal(gn.evaluate(draw[0], values), masks[0])


def test_other_nodes_and_more_rows_change_nothing():
    _, x = network()
    mask = gn.bernoulli(x, name="mask")
    wide = gn.evaluate(mask, {"x": np.zeros((70, 5))})
    other, y = network()
    gn.random_uniform(y)
    gn.bernoulli(gn.dense(y, 3))
    other.initialize(0)
    np.testing.assert_array_equal(gn.evaluate(gn.bernoulli(y, name="mask"), {"x": np.zeros((33, 5))}), wide[:33])
    run = gn.compile([mask, gn.identity(x)])
    for rows in (1, 16, 33):
        np.testing.assert_array_equal(run(x=np.zeros((rows, 5), np.float32))[0], wide[:rows])


def test_a_mask_is_the_same_in_either_dtype():
    _, x = network()
    mask = gn.bernoulli(x, 0.37)
    zeros = np.zeros((9, 5))
    single = gn.compile([mask, gn.identity(x)])(x=zeros.astype(np.float32))[0]
    double = gn.compile([mask, gn.identity(x)], dtype="float64")(x=zeros)[0]
    np.testing.assert_array_equal(single, double)


def test_certain_and_impossible():
    _, x = network((COUNT,))
    assert gn.evaluate(gn.bernoulli(x, 1), {"x": np.zeros(COUNT)}).all()
    assert not gn.evaluate(gn.bernoulli(x, 0), {"x": np.zeros(COUNT)}).any()
    for p in (0, 1):
        assert gn.compile([gn.bernoulli(x, p), x])(x=np.zeros(COUNT, np.float32))[0].mean() == p


def test_a_draw_alone_needs_its_size():
    _, x = network()
    mask = gn.bernoulli(x)
    with pytest.raises(gn.CompileError, match=r'the extent N by itself.*compile with sizes=\{"N": ...\}'):
        gn.compile(mask)
    assert gn.compile(mask, sizes={"N": 4})().shape == (4, 5)


def test_training_goes_on_and_prediction_does_not():
    net, x = network((64,))
    u = gn.random_uniform(x)
    predict, train = gn.compile([u, x]), gn.compile([u, x], training=True)
    zeros = np.zeros(64, np.float32)
    first = predict(x=zeros)[0]
    np.testing.assert_array_equal(predict(x=zeros)[0], first)
    np.testing.assert_array_equal(train(x=zeros)[0], first)
    assert net.state["random.step"] == 1
    assert not np.array_equal(train(x=zeros)[0], first)


def test_a_saved_program_goes_on_from_its_step(tmp_path):
    _, x = network((64,))
    train = gn.compile([gn.random_uniform(x), x], training=True)
    zeros = np.zeros(64, np.float32)
    train(x=zeros)
    train.save(tmp_path / "draw.gnn")
    here = [train(x=zeros)[0] for _ in range(3)]
    again = gn.load(tmp_path / "draw.gnn")
    np.testing.assert_array_equal([again(x=zeros)[0] for _ in range(3)], here)


def test_json_keeps_the_numbers():
    net, x = network((64,))
    mask = gn.bernoulli(x)
    again = gn.Network.from_json(net.to_json())
    again.initialize(0)
    zeros = {"x": np.zeros(64)}
    np.testing.assert_array_equal(gn.evaluate(again["bernoulli"], zeros), gn.evaluate(mask, zeros))
    assert list(again.updates) == ["random.step"]


def test_there_is_no_gradient_through_a_draw_and_one_around_it():
    _, x = network((8,), "float64")
    u = gn.random_uniform(x)
    by_x = gn.gradients(gn.sum(u * x), x)[0]
    values = {"x": np.ones(8)}
    np.testing.assert_array_equal(*gn.evaluate([by_x, u], values))
    assert gn.compare(gn.sum(gn.tanh(u * x)), values).agrees


@pytest.mark.parametrize(
    ("function", "arguments", "text"),
    [
        ("bernoulli", {"p": 1.5}, r"p is a probability, of \[0, 1\], not 1.5"),
        ("bernoulli", {"p": -0.1}, "not -0.1"),
        ("bernoulli", {"p": "half"}, "p is a finite number, not 'half'"),
        ("bernoulli", {"p": float("nan")}, "p is a finite number"),
        ("bernoulli", {"p": True}, "p is a finite number, not True"),
        ("random_uniform", {"low": 1, "high": 1}, "low is less than high"),
        ("random_uniform", {"high": math.inf}, "high is a finite number"),
        ("random_uniform", {"high": 10**400}, "high is a finite number"),
        ("random_normal", {"stddev": -1}, "stddev is not negative"),
        ("random_normal", {"mean": None}, "mean is a finite number"),
    ],
)
def test_wrong_arguments_are_refused(function, arguments, text):
    net, x = network()
    with pytest.raises(gn.GraphError, match=text):
        getattr(gn, function)(x, **arguments)
    with pytest.raises(gn.GraphError, match="operand 0 is a Tensor"):
        getattr(gn, function)(3)
    assert list(net.graph) == ["x"]


def test_a_network_that_uses_the_names_is_told():
    net, x = network()
    net.variable("random.step", ())
    with pytest.raises(gn.GraphError, match=r"already has a node named 'random.step'"):
        gn.bernoulli(x)
    assert list(net.graph) == ["x", "random.step"]


def test_threefry_takes_whole_numbers():
    _, x = network()
    with pytest.raises(gn.DTypeError, match="must be int64, not float32"):
        gn.threefry(x, 1)
