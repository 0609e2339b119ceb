"""The pool of threads: the same bits from any number of them, and calls from many places at once."""

import ctypes
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import graphnn as gn
from graphnn.emit.target import host
from graphnn.errors import CompileError
from graphnn.run import threads as subject
from graphnn.run.executable import Executable
from graphnn.run.jit import compile_object, parse
from graphnn.run.link import link_object
from graphnn.run.pool_code import pool_text
from graphnn.run.states import HeldState

COUNTS = (1, 2, 3, 4, 8)
LINUX = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads in /proc")


def perceptron(batch):
    """A network, its loss and the updates of an SGD step, large enough for a region at 64 rows."""
    net = gn.Network("perceptron")
    x, y = net.input("x", (batch, 50)), net.input("y", (batch,), dtype="int64")
    h = gn.dense(x, 136, activation=gn.sigmoid, name="h")
    return net, gn.softmax_cross_entropy(gn.dense(h, 33, name="z"), y)


def images(batch):
    net = gn.Network("images")
    x, y = net.input("x", (batch, 3, 12, 12)), net.input("y", (batch,), dtype="int64")
    h = gn.conv2d(x, 20, 3, padding=1, activation=gn.relu, name="c1")
    h = gn.conv2d(gn.max_pool(h, 2), 10, 3, name="c2")
    h = gn.reshape(h, (batch, 160))
    return net, gn.softmax_cross_entropy(gn.dense(h, 7, name="z"), y)


def step_of(net, loss):
    parameters = net.parameters
    slopes = gn.gradients(loss, list(parameters.values()))
    return gn.compile(
        loss, updates={name: w - 0.1 * g for (name, w), g in zip(parameters.items(), slopes, strict=True)}
    )


def in_threads(program, count, state=None):
    """The same code with another number of threads."""
    return Executable(program.manifest, program._code, state or HeldState({}), count)


def data(net, batch, seed=0):
    rng = np.random.default_rng(seed)
    features = [d if isinstance(d, int) else batch for d in net.inputs["x"].shape]
    return {"x": rng.normal(size=(batch, *features[1:])).astype(np.float32), "y": rng.integers(0, 7, batch)}


@pytest.mark.parametrize(("make", "batch"), [(perceptron, 61), (images, 33)])
def test_steps_have_the_same_bits(make, batch):
    net, loss = make(batch)
    net.initialize(seed=0)
    start = {name: np.array(net.state[name]) for name in net.parameters}
    found, compiled = [], step_of(net, loss)
    assert compiled.manifest.parallel
    for count in COUNTS:
        step = in_threads(compiled, count, net.state)
        for name, value in start.items():
            net.state[name] = value
        losses = [float(step(**data(net, batch))) for _ in range(3)]
        found.append((losses, [np.array(net.state[name]).tobytes() for name in start]))
    assert found[0][0][2] < found[0][0][0]
    assert all(one == found[0] for one in found)


@pytest.fixture(scope="module")
def reductions():
    """Folds along every axis of a matrix, a transposed copy and a pointwise map, for any number of rows."""
    net = gn.Network("reductions")
    x = net.input("x", ("N", 70))
    outputs = [gn.sum(x, axis=0), gn.sum(x, axis=1), gn.max(x, axis=1), gn.sum(x), gn.softmax(x)]
    return gn.compile([*outputs, gn.exp(gn.transpose(x)) * 0.5, gn.matmul(gn.transpose(x), x)])


@pytest.mark.parametrize("rows", [0, 1, 7, 300])
def test_reductions_of_any_number_of_rows_have_the_same_bits(reductions, rows):
    assert reductions.manifest.parallel
    x = np.random.default_rng(1).normal(size=(rows, 70)).astype(np.float32)
    results = [[part.tobytes() for part in in_threads(reductions, count)(x=x)] for count in COUNTS]
    assert all(one == results[0] for one in results)
    np.testing.assert_allclose(reductions(x=x)[1], x.sum(axis=1), atol=1e-4)


def product(**options):
    net = gn.Network("product")
    x, w = net.input("x", ("N", 130)), net.input("w", (130, 90))
    return gn.compile(gn.tanh(gn.matmul(x, w)), **options)


def operands(rows, seed=0):
    rng = np.random.default_rng(seed)
    return {"x": rng.normal(size=(rows, 130)).astype(np.float32), "w": rng.normal(size=(130, 90)).astype(np.float32)}


@pytest.mark.parametrize("rows", [0, 1, 7, 400])
def test_symbolic_sizes(rows):
    given = operands(rows)
    found = [product(threads=count)(**given) for count in (1, 3)]
    assert found[0].tobytes() == found[1].tobytes()
    np.testing.assert_allclose(found[1], np.tanh(given["x"] @ given["w"]), atol=1e-5)


def test_calls_of_many_python_threads_at_once():
    """One of them has the pool, the others run alone; a thread that joins none of its own waits for nobody."""
    programs = [product(threads=2), product(threads=3)]
    given = [operands(100 + number, number) for number in range(4)]
    expected = [np.tanh(g["x"] @ g["w"]) for g in given]

    def work(number):
        return all(np.allclose(programs[call % 2](**given[number]), expected[number], atol=1e-5) for call in range(50))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


def test_calls_of_different_widths_take_turns():
    programs = [product(threads=count) for count in (4, 2, 1, 3)]
    given = operands(200)
    bits = {program(**given).tobytes() for _ in range(20) for program in programs}
    assert len(bits) == 1


def test_a_thousand_short_calls():
    program, given = product(threads=2), operands(70)
    first = program(**given)
    assert all(np.array_equal(program(**given), first) for _ in range(1000))


def tasks():
    return len(os.listdir("/proc/self/task"))


def run_alone(source):
    """What a fresh interpreter prints, as words."""
    head = """
        import os, numpy as np, graphnn as gn
        from tests.run.test_threads import operands, product, tasks
    """
    return run_bare(textwrap.dedent(head) + textwrap.dedent(source))


def run_bare(text):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", text], check=False, capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@LINUX
def test_threads_start_with_the_first_call_that_needs_them(tmp_path):
    path = tmp_path / "product.gnn"
    product(threads=1).save(path)
    source = f"""
        before = tasks()
        net = gn.Network()
        x = net.input("x", (10,))
        small = gn.compile(gn.exp(x), threads=3)
        for _ in range(1000):
            small(x=np.zeros(10, np.float32))
        assert not small.manifest.parallel
        one, three = gn.load({str(path)!r}, threads=1), gn.load({str(path)!r}, threads=3)
        one(**operands(400))
        three(**operands(1))
        print(tasks() - before)
        three(**operands(400))
        three(**operands(500))
        print(tasks() - before)
    """
    assert run_alone(source) == ["0", "2"]


@LINUX
def test_a_saved_program_runs_in_threads_without_sympy(tmp_path):
    path = tmp_path / "product.gnn"
    product(threads=1).save(path)
    source = f"""
        import os, sys, numpy as np
        from graphnn.run.storage import load
        rng, before = np.random.default_rng(0), len(os.listdir("/proc/self/task"))
        given = {{"x": rng.normal(size=(300, 130)).astype("f"), "w": rng.normal(size=(130, 90)).astype("f")}}
        y = load({str(path)!r}, threads=2)(**given)
        assert np.allclose(y, np.tanh(given["x"] @ given["w"]), atol=1e-5)
        print(len(os.listdir("/proc/self/task")) - before, "sympy" in sys.modules)
    """
    assert run_bare(textwrap.dedent(source)) == ["1", "False"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@LINUX
def test_forks_before_and_after_the_first_region():
    source = """
        import multiprocessing
        program, given = product(threads=2), operands(300)
        expected = np.tanh(given["x"] @ given["w"])

        def child():
            before = tasks()
            for _ in range(20):
                assert np.allclose(program(**given), expected, atol=1e-5)
            os._exit(0 if tasks() - before == 1 else 1)

        def forked():
            process = multiprocessing.get_context("fork").Process(target=child)
            process.start()
            process.join(20)
            if process.is_alive():
                process.kill()
            return process.exitcode

        codes = [forked()]
        program(**given)
        codes += [forked(), forked()]
        program(**given)
        print(*codes)
    """
    assert run_alone(source) == ["0", "0", "0"]


def test_the_process_ends_while_workers_spin():
    source = """
        program = product(threads=4)
        for _ in range(5):
            program(**operands(200))
        del program
        print("done")
    """
    assert run_alone(source) == ["done"]


def test_programs_are_unloaded_between_regions():
    given = operands(150)
    expected = np.tanh(given["x"] @ given["w"])
    for _ in range(3):
        program = product(threads=3)
        np.testing.assert_allclose(program(**given), expected, atol=1e-5)
        del program


def test_an_error_at_the_boundary_leaves_the_pool_free():
    program, given = product(threads=2), operands(200)
    for _ in range(3):
        with pytest.raises(gn.BoundaryError):
            program(x=given["x"], w=given["x"])
        assert program(**given).shape == (200, 90)


def test_debug_runs_in_one_thread():
    program = product(threads=2, debug=True)
    assert not program.manifest.parallel
    np.testing.assert_array_equal(program(**operands(200)), product(threads=2)(**operands(200)))


def test_how_many_threads(monkeypatch):
    monkeypatch.delenv(subject.VARIABLE, raising=False)
    assert subject.count_threads() == 1
    assert subject.count_threads(5) == 5
    monkeypatch.setenv(subject.VARIABLE, " 3 ")
    assert (subject.count_threads(), product().threads, product(threads=2).threads) == (3, 3, 2)
    for wrong in ("0", "-1", "two", "1.5"):
        monkeypatch.setenv(subject.VARIABLE, wrong)
        with pytest.raises(CompileError, match="GRAPHNN_NUM_THREADS"):
            subject.count_threads()
    for option in (0, -1, 1.5, "2", True):
        with pytest.raises(CompileError, match="positive int"):
            product(threads=option)


def test_one_text_for_every_number_of_threads():
    assert product(threads=1).llvm == product(threads=4).llvm


def test_without_posix_threads_a_program_runs_in_one(monkeypatch):
    monkeypatch.setattr(subject, "_pool", lambda: 0)
    given = operands(200)
    np.testing.assert_allclose(product(threads=4)(**given), np.tanh(given["x"] @ given["w"]), atol=1e-5)


MODES = """
target triple = "{triple}"
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
define void @read(ptr %mode) {{
  call void @llvm.x86.sse.stmxcsr(ptr %mode)
  ret void
}}
define void @set(ptr %mode) {{
  call void @llvm.x86.sse.ldmxcsr(ptr %mode)
  ret void
}}
"""


@pytest.mark.skipif(not host().triple.startswith("x86_64"), reason="sets a register of x86")
def test_workers_compute_in_the_callers_floating_point_mode():
    """A library may have told the caller's thread to flush denormals to zero, after workers started."""
    net = gn.Network()
    program = gn.compile(gn.exp(net.input("x", (200_000,))) * 1e-30 * 1e-9, threads=4)
    x = {"x": np.zeros(200_000, np.float32)}
    assert program(**x).all()
    library = link_object(compile_object(MODES.format(triple=host().triple), host()), ("read", "set"))
    read, change = (ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library[name]) for name in ("read", "set"))
    mode, old = ctypes.c_uint32(), ctypes.c_uint32()
    read(ctypes.addressof(old))
    mode.value = old.value | 0x8000
    change(ctypes.addressof(mode))
    try:
        flushed = program(**x)
    finally:
        change(ctypes.addressof(old))
    assert not flushed.any()
    assert program(**x).all()


@pytest.mark.parametrize("triple", ["x86_64-linux-gnu", "aarch64-linux-gnu", "riscv64-linux-gnu"])
def test_the_pool_is_valid_for_other_processors(triple):
    parse(pool_text(triple))
