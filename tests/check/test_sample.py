import numpy as np
import pytest

import graphnn as gn
from graphnn.check.sample import draw_inputs


def test_labels_lie_in_the_extent_that_they_number():
    net = gn.Network()
    z, y = net.input("z", ("N", 3)), net.input("y", ("N",), dtype="int64")
    net.input("unused", ("M",))
    drawn = draw_inputs(gn.softmax_cross_entropy(z, y), {"N": 200})
    assert sorted(drawn) == ["y", "z"]
    assert (drawn["z"].shape, drawn["z"].dtype) == ((200, 3), np.float32)
    assert drawn["y"].dtype == np.int64
    assert set(drawn["y"].tolist()) == {0, 1, 2}


def test_rows_of_a_distribution_sum_to_one():
    net = gn.Network()
    z, y = net.input("z", ("N", 4)), net.input("y", ("N", 4))
    drawn = draw_inputs(gn.softmax_cross_entropy(z, y, distribution=True), {"N": 5})
    assert drawn["y"].sum(1) == pytest.approx(np.ones(5), rel=1e-6)
    assert (drawn["y"] > 0).all()


def test_bools_and_seeds():
    net = gn.Network()
    x = net.input("x", (50,))
    chosen = gn.where(net.input("c", (50,), dtype="bool"), x, 0.0)
    first, again, other = (draw_inputs(chosen, {}, seed) for seed in (1, 1, 2))
    assert first["c"].dtype == np.bool_
    assert set(first["c"].tolist()) == {True, False}
    assert (first["x"] == again["x"]).all()
    assert (first["x"] != other["x"]).any()


def test_an_open_size_is_named():
    net = gn.Network()
    with pytest.raises(gn.ShapeError, match="symbolic sizes N"):
        draw_inputs(gn.exp(net.input("x", ("N",))), {})
