"""Batches of arrays that memory does not hold, converted, augmented, and drawn by a thread."""

import os
import signal
import struct
import threading
import time
import tracemalloc
from contextlib import closing

import numpy as np
import pytest

from graphnn.declare.network import Network
from graphnn.errors import BoundaryError, GraphError
from graphnn.nn.data import Augmentation, Converted, read_idx, write_idx
from graphnn.nn.layers.dense import dense
from graphnn.nn.optimizers.rules import SGD
from graphnn.nn.training.batches import Batches, is_mapped
from graphnn.nn.training.metrics import accuracy
from graphnn.nn.training.trainer import Trainer
from graphnn.ops.layout import reshape
from graphnn.ops.losses import softmax_cross_entropy

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(53, 1, 8, 8)).astype(np.float32)
Y = RNG.integers(0, 3, 53)


def classifier(side=8):
    net = Network("images")
    x, y = net.input("x", ("N", 1, side, side)), net.input("y", ("N",), dtype="int64")
    logits = dense(reshape(x, ("N", side * side)), 3, name="logits")
    net.initialize(0)
    return net, softmax_cross_entropy(logits, y), accuracy(logits, y)


def weights(data, side=8, **arguments):
    """What two epochs make of the weights."""
    net, loss, _ = classifier(side)
    Trainer(loss, SGD(0.1), batch_size=8, seed=1).fit(data, epochs=2, progress=False, **arguments)
    return np.array(net.state["logits.W"])


def drawn_threads():
    return [t.name for t in threading.enumerate() if t.name.startswith("batches")]


def peak(call):
    """The most that Python and NumPy had allocated during the call, in bytes."""
    tracemalloc.start()
    call()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("size", [1, 8, 53, 100])
def test_the_thread_changes_no_batch(background, size):
    augment = {"x": Augmentation(reflect=0.5, translate=1)}
    batches = Batches({"x": X, "y": Y, "rate": np.array(2.0)}, ["x", "y"], 53, size, augment, background)
    order = np.random.default_rng(1).permutation(53)
    seen = 0
    for number, (batch, count) in enumerate(batches.over(order, epoch=4)):
        rows = order[seen : seen + size]
        time.sleep(0.002)  # the thread has time to get ahead, and must not write into this batch
        np.testing.assert_array_equal(batch["x"], augment["x"](X[rows], 4, number))
        np.testing.assert_array_equal(batch["y"], Y[rows])
        assert batch["rate"] == 2
        assert count == len(rows)
        seen += count
    assert seen == 53
    assert drawn_threads() == []


def test_an_epoch_goes_on_in_its_middle():
    batches = Batches({"x": X, "y": Y}, ["x", "y"], 53, 8, {"x": Augmentation(rotate=30)})
    order = np.random.default_rng(1).permutation(53)
    whole = [batch["x"].copy() for batch, _ in batches.over(order, 2)]
    rest = [batch["x"].copy() for batch, _ in batches.over(order, 2, first=5)]
    assert len(rest) == 2
    for one, other in zip(whole[5:], rest, strict=True):
        np.testing.assert_array_equal(one, other)


def test_strided_rows_are_gathered_without_a_copy_of_the_whole():
    wide = np.zeros((2000, 1000), np.float32)
    strided, order = wide[:, ::2], np.arange(2000)
    wide[:, 0] = order
    batches = Batches({"x": strided}, ["x"], 2000, 10)
    assert [batch["x"][0, 0] for batch, _ in batches.over(order)] == [*range(0, 2000, 10)]
    assert peak(lambda: [None for _ in batches.over(order)]) < 200_000  # 4 MB with the whole


def test_a_map_of_a_file_larger_than_memory(tmp_path):
    path = tmp_path / "images"
    with path.open("wb") as file:  # 64 GB of holes, and a mark in the last row
        file.write(b"\0\0\x08\x03" + struct.pack(">3I", 65536, 1024, 1024))
        file.truncate(16 + 65536 * 2**20)
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")

    def draw():
        images = read_idx(path, memory_map=True)
        assert is_mapped(images[:, None])
        batches = Batches({"x": Converted(images, scale=1 / 255)}, ["x"], 65536, 2)
        with closing(batches.over(np.arange(65536)[::-1])) as drawn:
            batch, _ = next(drawn)
            assert batch["x"].dtype == np.float32
            assert (batch["x"].sum(), batch["x"][0, -1, -1]) == (1, 1)

    assert peak(draw) < 100e6  # 65536 row numbers, and four batches of 8 MB and their bytes


@pytest.mark.parametrize("evaluation", [None, 100])
def test_fit_reads_a_map_batch_by_batch(tmp_path, evaluation):
    images = RNG.integers(0, 256, (3000, 64, 64), dtype=np.uint8)  # 12 MB, as floats 48 MB
    labels = RNG.integers(0, 3, 3000, dtype=np.uint8)
    write_idx(tmp_path / "x", images)
    write_idx(tmp_path / "y", labels)
    mapped = read_idx(tmp_path / "x", memory_map=True)[:, None]
    data = {"x": Converted(mapped, scale=1 / 255), "y": Converted(read_idx(tmp_path / "y", memory_map=True), "int64")}
    found, whole = [], []
    _, loss, right = classifier(64)
    trainer = Trainer(loss, SGD(0.1), batch_size=50, seed=1)
    few = {"x": data["x"][:50], "y": data["y"][:50]}
    trainer.fit(few, validation=few, metrics={"right": right}, progress=False)  # compiles
    arguments = {"metrics": {"right": right}, "validation": data, "evaluation_batch_size": evaluation}
    most = peak(lambda: found.append(trainer.fit(data, progress=False, **arguments)))
    assert (most < images.nbytes) == (evaluation is not None)
    assert drawn_threads() == []

    _, loss, right = classifier(64)
    trainer = Trainer(loss, SGD(0.1), batch_size=50, seed=1)
    trainer.fit(few, progress=False)
    floats = {"x": images[:, None] * np.float32(1 / 255), "y": labels.astype(np.int64)}
    whole.append(trainer.fit(floats, metrics={"right": right}, validation=floats, progress=False))
    assert found[0].loss == whole[0].loss
    assert found[0].val_loss == pytest.approx(whole[0].val_loss, rel=1e-5)
    assert found[0].metrics["right"] == pytest.approx(whole[0].metrics["right"], rel=1e-5)


def test_fit_augments_the_images_by_epoch_and_batch():
    augment = Augmentation(reflect=0.5, translate=2, seed=5)
    expected, called = weights({"x": X, "y": Y}, augment=augment), []

    def spy(images, epoch, batch):
        called.append((epoch, batch, len(images)))
        return augment(images, epoch, batch)

    np.testing.assert_array_equal(weights({"x": X, "y": Y}, augment=spy), expected)
    assert called == [(epoch, batch, 8 if batch < 6 else 5) for epoch in range(2) for batch in range(7)]
    np.testing.assert_array_equal(weights({"x": X, "y": Y}, augment={"x": augment}), expected)
    assert (weights({"x": X, "y": Y}) != expected).any()
    assert (weights({"x": X, "y": Y}, augment=Augmentation(reflect=0.5, translate=2, seed=6)) != expected).any()


@pytest.mark.parametrize(
    ("error", "message", "augment"),
    [
        (ZeroDivisionError, "division", lambda images, epoch, batch: images / (3 - batch > 0 or 1 // 0)),
        (
            BoundaryError,
            r"'x' was float32 \(8, 1, 8, 8\) and became float64 \(8, 1, 8, 8\)",
            lambda x, e, b: x + np.ones(1),
        ),
        (BoundaryError, "and became a NoneType; keep dtype and shape", lambda x, e, b: None),
        (BoundaryError, r"became float32 \(7, 1, 8, 8\)", lambda x, e, b: x[1:]),
        (GraphError, "'z' is no input with rows; there are x, y", {"z": Augmentation()}),
        (GraphError, "'x' takes a function .* not 3", {"x": 3}),
        (GraphError, "'x' takes a function .* not 'flip'", "flip"),
    ],
)
def test_errors_of_an_augmentation_are_those_of_fit(error, message, augment):
    with pytest.raises(error, match=message):
        weights({"x": X, "y": Y}, augment=augment)
    assert drawn_threads() == []


def test_an_augmentation_by_itself_needs_one_input_of_images():
    net = Network()
    x, y = net.input("x", ("N", 4)), net.input("y", ("N",), dtype="int64")
    trainer = Trainer(softmax_cross_entropy(dense(x, 3, name="d"), y))
    with pytest.raises(GraphError, match=r"inputs of images \(N, C, H, W\) are \[\]; name one"):
        trainer.fit({"x": X[:, 0, 0, :4].copy(), "y": Y}, augment=Augmentation())


def test_an_interrupt_leaves_no_thread_behind():
    def interrupting(images, epoch, batch):
        if (epoch, batch) == (1, 2):
            os.kill(os.getpid(), signal.SIGINT)
        return images

    with pytest.raises(KeyboardInterrupt):
        weights({"x": X, "y": Y}, augment=interrupting)
    assert drawn_threads() == []


def test_other_dtypes_are_refused_with_the_way_out():
    with pytest.raises(BoundaryError, match=r"'x' is uint8, not float32; .* or gn.data.Converted\(\.\.\., 'float32'\)"):
        weights({"x": X.astype(np.uint8), "y": Y})
    with pytest.raises(BoundaryError, match="'x' is float64, not float32"):
        weights({"x": Converted(X, "float64"), "y": Y})
    with pytest.raises(GraphError, match="evaluation_batch_size is an int of at least 1"):
        weights({"x": X, "y": Y}, evaluation_batch_size=0)


@pytest.mark.parametrize("dtype", ["int32", "int8", "uint16", ">i4", ">i8", "memory map"])
def test_labels_may_be_any_integers_that_int64_holds(tmp_path, dtype):
    expected = weights({"x": X, "y": Y}, validation={"x": X, "y": Y})
    if dtype == "memory map":
        labels = np.memmap(tmp_path / "labels", np.int16, "w+", shape=Y.shape)
        labels[:] = Y
    else:
        labels = Y.astype(dtype)
    given = {"x": X, "y": labels}
    np.testing.assert_array_equal(weights(given, validation=given), expected)
    _, loss, _ = classifier()
    trainer = Trainer(loss, SGD(0.0))
    assert trainer.step(**given) == trainer.step(x=X, y=Y)


@pytest.mark.parametrize("dtype", ["uint64", "bool", "float32"])
def test_labels_that_int64_may_not_hold_are_refused(dtype):
    with pytest.raises(BoundaryError, match=f"'y' is {dtype}, not int64"):
        weights({"x": X, "y": Y.astype(dtype)})


def test_a_step_takes_converted_arrays():
    _, loss, _ = classifier()
    trainer = Trainer(loss, SGD(0.0))
    assert trainer.step(x=Converted(X), y=Y) == trainer.step(x=X, y=Y)
