"""What a program keeps from call to call follows from the states as they are, whoever changed them."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphnn as gn

FILTERS, CHANNELS, SIZE = 32, 16, 9


def network() -> tuple[gn.Network, gn.Tensor, gn.Tensor]:
    """(network, images, loss): a convolution of one image, whose kernel has to be packed."""
    net = gn.Network("one image")
    x, t = net.input("x", ("N", CHANNELS, SIZE, SIZE)), net.input("t", ("N", FILTERS, SIZE - 2, SIZE - 2))
    y = gn.conv2d(x, FILTERS, 3, name="c")
    return net, y, gn.quadratic(y, t)


def expected(x: np.ndarray, net: gn.Network) -> np.ndarray:
    """By loops over the places, in float64."""
    kernel, bias = (np.asarray(net.state[f"c.{n}"], np.float64) for n in "Wb")
    out = np.empty((len(x), FILTERS, SIZE - 2, SIZE - 2))
    for i, j in np.ndindex(out.shape[2:]):
        out[:, :, i, j] = np.einsum("nchw,ochw->no", x[:, :, i : i + 3, j : j + 3], kernel) + bias
    return out


def data(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "x": rng.normal(size=(1, CHANNELS, SIZE, SIZE)).astype(np.float32),
        "t": rng.normal(size=(1, FILTERS, SIZE - 2, SIZE - 2)).astype(np.float32),
    }


def compiled(y: gn.Tensor, **options: Any) -> gn.Executable:
    program = gn.compile(y, sizes={"N": 1}, **options)
    assert "c.W.packed" in program.memory.split("prepared once for each version of the state")[1]
    return program


def close(found: np.ndarray, x: np.ndarray, net: gn.Network) -> bool:
    return np.allclose(found, expected(x, net), rtol=1e-4, atol=1e-4)


WAYS: dict[str, Callable[[gn.Executable, np.ndarray], Callable[[], np.ndarray]]] = {
    "call": lambda program, x: lambda: program(x=x),
    "bound": lambda program, x: program.bind(x=x),
}


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("threads", [1, 2])
def test_every_change_of_the_state_is_seen(way: str, threads: int) -> None:
    """By assignment, by initialize, and by a Trainer that works in place; before and after the native entry is made."""
    net, y, loss = network()
    x, t = data().values()
    call = WAYS[way](compiled(y, threads=threads), x)
    trainer = gn.Trainer(loss, optimizer=gn.SGD(1e-4), batch_size=1, threads=threads)
    for _ in range(15):
        assert close(call(), x, net)
        net.state["c.W"] = net.state["c.W"] * np.float32(0.9)
        assert close(call(), x, net)
        trainer.step(x=x, t=t)
        assert close(call(), x, net)
    net.initialize(seed=5)
    assert close(call(), x, net)
    trainer.fit({"x": x, "t": t}, epochs=3, progress=False)
    assert close(call(), x, net)


def test_same_bits_with_and_without() -> None:
    _, y, _ = network()
    x = data()["x"]
    plain = gn.compile(y, sizes={"N": 1}, disable=["prepare"])
    assert "prepared" not in plain.memory
    for threads in (1, 2):
        assert compiled(y, threads=threads)(x=x).tobytes() == plain(x=x).tobytes()


def test_prepared_once_for_each_version() -> None:
    net, y, _ = network()
    program, x = compiled(y), data()["x"]
    program(x=x)
    first = program._call.states().prepared
    for _ in range(20):
        program(x=x)
    assert program._call.states().prepared is first
    net.state["c.b"] = np.ones(FILTERS)
    program(x=x)
    assert program._call.states().prepared is not first


def test_what_only_prepares_others_is_dropped() -> None:
    """The packed kernel that the filtered one was made of."""
    net = gn.Network()
    y = gn.conv2d(net.input("x", (1, 64, 10, 10)), 64, 3, name="c")
    program = gn.compile(y)
    packed, filtered = program.memory.split("prepared once for each version of the state, ")[1].splitlines()[1:3]
    assert "c.W.packed in F(" in filtered
    assert filtered.endswith(" bytes")
    assert packed.endswith(", then dropped")
    x = np.random.default_rng(0).normal(size=(1, 64, 10, 10)).astype(np.float32)
    first = program(x=x)
    (kept,) = program._call.states().prepared
    assert f"{kept.nbytes} bytes" in filtered
    assert np.allclose(first, gn.compile(y, disable=["prepare"])(x=x))


def test_a_value_cannot_be_changed_behind_the_version() -> None:
    net, _, _ = network()
    view = net.state["c.W"]
    with pytest.raises(ValueError, match="read-only"):
        view[...] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.flags.writeable = True
    before = net.state["c.W"].copy()
    net.state["c.W"] = before + 1
    assert np.array_equal(view, before + 1)  # it shows the value as it is now


def test_a_saved_program_prepares_for_itself(tmp_path: Path) -> None:
    net, y, _ = network()
    program, x = compiled(y), data()["x"]
    right = program(x=x)
    program.save(tmp_path / "p.gnn")
    net.state["c.W"] = np.zeros((FILTERS, CHANNELS, 3, 3))
    loaded = gn.load(tmp_path / "p.gnn", threads=2)
    assert loaded(x=x).tobytes() == right.tobytes()
    assert loaded.memory == program.memory


def test_states_of_another_dtype_are_prepared_as_the_program_reads_them() -> None:
    net, y, loss = network()
    x, t = data().values()
    program = compiled(y)
    trainer = gn.Trainer(loss, optimizer=gn.SGD(1e-4), batch_size=1, dtype="float64")
    for _ in range(3):
        trainer.step(x=x.astype(np.float64), t=t.astype(np.float64))
        assert net.state["c.W"].dtype == np.float64
        assert close(program(x=x), x, net)


def test_a_trainer_prepares_what_it_does_not_train() -> None:
    net, _, loss = network()
    x, t = data().values()
    trainer = gn.Trainer(loss, optimizer=gn.SGD(1e-4), batch_size=1, parameters=[net.parameters["c.b"]], threads=1)
    losses = []
    for turn in range(30):
        if turn % 10 == 5:
            net.state["c.W"] = net.state["c.W"] * np.float32(0.5)
        right = 0.5 * ((expected(x, net) - t) ** 2).sum()
        losses.append(np.isclose(trainer.step(x=x, t=t), right, rtol=1e-4))
    assert all(losses)


def test_threads_that_call_while_others_change_the_state() -> None:
    """Each result belongs to one of the values, and those after the last change to the last one."""
    net, y, _ = network()
    program, x = compiled(y), data()["x"]
    kernel = np.array(net.state["c.W"])
    net.state["c.b"] = np.zeros(FILTERS)
    right = program(x=x)

    def calls() -> bool:
        results = [program(x=x) for _ in range(60)]
        return all(min(abs(r - right).max(), abs(r + right).max()) < 1e-4 for r in results)

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(calls) for _ in range(3)]
        assert all(f.result() for f in running)
        net.state["c.W"] = -kernel
        running = [pool.submit(lambda: program(x=x)) for _ in range(9)]
        assert all(np.allclose(f.result(), -right, atol=1e-5) for f in running)


def test_debug_checks_what_prepares() -> None:
    _, y, _ = network()
    x = data()["x"]
    program = compiled(y, debug=True)
    assert np.allclose(program(x=x), compiled(y)(x=x), atol=1e-5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_has_its_own() -> None:
    net, y, _ = network()
    program, x = compiled(y, threads=2), data()["x"]
    before = program(x=x)

    def child() -> None:
        same = program(x=x).tobytes() == before.tobytes()
        net.state["c.W"] = net.state["c.W"] * np.float32(2)
        os._exit(0 if same and close(program(x=x), x, net) else 1)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert program(x=x).tobytes() == before.tobytes()


def two_layers() -> tuple[gn.Network, gn.Tensor, np.ndarray]:
    """Two convolutions of one image, each with a kernel to be packed."""
    net = gn.Network("two kernels")
    h = gn.conv2d(net.input("x", (1, CHANNELS, SIZE, SIZE)), FILTERS, 3, name="c")
    return net, gn.conv2d(h, FILTERS, 3, name="d"), data()["x"]


def arrays(program: gn.Executable) -> dict[str, list[np.ndarray]]:
    """What is prepared, by the variable that it follows from."""
    manifest = program.manifest
    kept = [b.name for b in manifest.prepared if b.name not in manifest.passing]
    found = dict(zip(kept, program._call.states().prepared, strict=True))
    return {name: [a for b, a in found.items() if b.startswith(name)] for name in ("c.W", "d.W")}


@pytest.mark.parametrize("options", [{"threads": 1}, {"threads": 2}, {"debug": True}], ids=["one", "two", "debug"])
def test_only_what_follows_from_a_changed_variable_is_prepared_again(options: dict[str, Any]) -> None:
    net, y, x = two_layers()
    program, plain = gn.compile(y, **options), gn.compile(y, disable=["prepare"])
    program(x=x)
    for changed in ("c.W", "d.W", "d.W", "c.b"):
        before = arrays(program)
        assert all(before.values())
        net.state[changed] = net.state[changed] + np.float32(0.25)
        assert np.allclose(program(x=x), plain(x=x), rtol=1e-4, atol=1e-4)
        for name, now in arrays(program).items():
            same = [a is b for a, b in zip(now, before[name], strict=True)]
            assert (not any(same)) if name == changed else all(same)


def test_what_a_trainer_leaves_alone_is_not_prepared_again() -> None:
    net, y, x = two_layers()
    program, plain = gn.compile(y), gn.compile(y, disable=["prepare"])
    trainer = gn.Trainer(gn.sum(gn.square(y)), optimizer=gn.SGD(1e-5), batch_size=1, parameters=[net["d.W"]])
    program(x=x)
    first = arrays(program)
    for _ in range(15):
        trainer.step(x=x)
        before = arrays(program)
        assert program(x=x).tobytes() == plain(x=x).tobytes()
        assert all(a is b for a, b in zip(arrays(program)["c.W"], first["c.W"], strict=True))
    assert not any(a is b for a, b in zip(before["d.W"], first["d.W"], strict=True))
