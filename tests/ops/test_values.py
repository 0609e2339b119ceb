"""Every registered op against its oracle row, by the reference evaluator, shape and dtype included."""

from typing import Any

import numpy as np
import pytest

import graphnn.ops  # noqa: F401  fills the registry
from graphnn.declare.network import Network, Tensor
from graphnn.declare.reference import evaluate
from graphnn.declare.registry import OPS
from tests.oracles import ORACLES

SEQUENCES = ("concatenate", "stack")


def apply(name: str, arrays: tuple[np.ndarray, ...], attributes: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
    """The op on inputs of the arrays' shapes and dtypes, and the values to give them."""
    network = Network()
    values = {f"a{n}": np.asarray(array) for n, array in enumerate(arrays)}
    tensors = [network.input(k, v.shape, dtype=str(v.dtype)) for k, v in values.items()]
    operands = [tensors] if name in SEQUENCES else tensors
    return OPS[name](*operands, **attributes), values


def test_every_op_has_an_oracle_row() -> None:
    assert sorted(set(OPS) - set(ORACLES)) == []


@pytest.mark.parametrize("name", sorted(ORACLES))
def test_value_is_that_of_the_oracle(name: str) -> None:
    if name not in OPS:
        pytest.skip("belongs to another module than those of graphnn.ops")
    row = ORACLES[name]
    for arrays, attributes in row.sample(np.random.default_rng(7)):
        tensor, values = apply(name, arrays, attributes)
        (found,) = evaluate([tensor], values)
        expected = np.asarray(row.forward(*arrays, **attributes))
        assert tensor.shape == expected.shape
        assert np.shape(found) == expected.shape
        assert (tensor.dtype in ("float32", "float64")) == (expected.dtype.kind == "f")
        assert (tensor.dtype == "bool") == (expected.dtype.kind == "b")
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-12, atol=1e-12)


def test_symbolic_sizes_give_the_same_values() -> None:
    network = Network()
    x = network.input("x", ("N", "T", 6), dtype="float64")
    sequence = OPS["reshape"](x, ("N*T", 2, -1))
    cases = {
        "mean": (OPS["mean"](x, axis=(0, 1)), lambda a: a.mean(axis=(0, 1))),
        "reshape": (sequence, lambda a: a.reshape(-1, 2, 3)),
        "back": (OPS["reshape"](sequence, x.shape), lambda a: a),
        "mixed": (OPS["reshape"](x, (3, "N", -1)), lambda a: a.reshape(3, a.shape[0], -1)),
        "tail": (x[1:, ::-1, 1:-1:2], lambda a: a[1:, ::-1, 1:-1:2]),
        "concatenate": (OPS["concatenate"]([x, x[:, 1:], x], axis=1), lambda a: np.concatenate([a, a[:, 1:], a], 1)),
        "softmax": (OPS["softmax"](x, axis=1), lambda a: np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)),
        "argmax": (OPS["argmax"](x, axis=0), lambda a: a.argmax(axis=0)),
        "flat argmax": (OPS["argmax"](x), lambda a: a.argmax()),
    }
    array = np.random.default_rng(3).standard_normal((2, 5, 6))
    found = evaluate([tensor for tensor, _ in cases.values()], {"x": array})
    for (label, (_, oracle)), value in zip(cases.items(), found, strict=True):
        np.testing.assert_allclose(np.asarray(value), oracle(array), rtol=1e-12, err_msg=label)


@pytest.mark.parametrize(
    ("source", "target"),
    [((2, 3, 4), (3, 8)), ((2, 3, 4), (4, 6)), ((6, 4), (4, 3, 2)), ((1, 6, 1), (2, 1, 3)), ((12,), (1, 12)),
     ((5, 2, 3), (5, 3, 2)), ((), (1, 1)), ((1,), ()), ((0, 3), (3, 0)), ((2, 0), (-1, 2)), ((4, 6), (-1, 8))],
)  # fmt: skip
def test_reshape_is_row_major(source: tuple[int, ...], target: tuple[int, ...]) -> None:
    array = np.arange(float(np.prod(source))).reshape(source)
    tensor, values = apply("reshape", (array,), {"shape": target})
    (found,) = evaluate([tensor], values)
    np.testing.assert_array_equal(np.asarray(found, dtype=float), array.reshape(target))


INDEXES = [np.s_[2], np.s_[-1, ..., None], np.s_[None, 1:3, 0], np.s_[::-2], np.s_[4:0:-1, :, 1], np.s_[9:], np.s_[3:1],
           np.s_[..., 0], np.s_[:, ::3, ...], np.s_[-100:100, -1:, :-1], np.s_[np.int64(1)], np.s_[()]]  # fmt: skip


@pytest.mark.parametrize("index", INDEXES, ids=str)
def test_slice_is_basic_indexing(index: Any) -> None:
    array = np.arange(40.0).reshape(5, 4, 2)
    tensor, values = apply("slice", (array,), {"index": index})
    (found,) = evaluate([tensor], values)
    np.testing.assert_array_equal(np.asarray(found, dtype=float), array[index])


def test_argmax_of_a_row_with_nan_is_a_valid_index() -> None:
    tensor, values = apply("argmax", (np.array([[1.0, np.nan, 3.0], [2.0, 5.0, 5.0]]),), {"axis": 1})
    (found,) = evaluate([tensor], values)
    assert 0 <= int(found[0]) < 3
    assert int(found[1]) == 1


def test_empty_reductions() -> None:
    network = Network()
    x = network.input("x", (0, 3), dtype="float64")
    found = evaluate([OPS["sum"](x, axis=0), OPS["prod"](x, axis=0), OPS["max"](x, axis=1)], {"x": np.zeros((0, 3))})
    assert [np.asarray(value).tolist() for value in found] == [[0, 0, 0], [1, 1, 1], []]
