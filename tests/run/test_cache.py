"""Programs that were compiled before: what is found, and what is not."""

import os
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import sympy

import graphnn as gn
from graphnn import pipeline
from graphnn.derive import reverse
from graphnn.emit.target import host
from graphnn.errors import CompileError
from tests.docs.pages import ROOT
from tests.run.cached import X, files, network


def test_a_hit_is_the_program_that_a_compile_gives(folder, compiles):
    net = network()
    first, hit, fresh = gn.compile(net), gn.compile(network()), gn.compile(network(), cache=False)
    assert len(compiles) == 2
    assert len(files(folder)) == 1
    for program in (first, hit):
        for stage in (*gn.STAGES[:-1], "run"):
            assert program.stage(stage) == fresh.stage(stage)
        assert (program.origins, program.kernels, program.memory) == (fresh.origins, fresh.kernels, fresh.memory)
        assert program.manifest.to_json() == fresh.manifest.to_json()
        np.testing.assert_array_equal(program(x=X), fresh(x=X))


def test_a_hit_works_on_the_state_of_its_network(folder):
    gn.compile(network())
    y = network()
    program = gn.compile(y)
    y.network.state["W"] = np.zeros((4, 3))
    assert (program(x=X) == 0.5).all()
    program.save(folder.parent / "a.gnn")
    assert (gn.load(folder.parent / "a.gnn")(x=X) == 0.5).all()


def test_a_trainer_learns_the_same_from_a_hit(folder, compiles):
    def train():
        net = gn.Network()
        x, y = net.input("x", ("N", 4)), net.input("y", ("N",), "int64")
        h = gn.dropout(gn.batch_norm(gn.dense(x, 8, name="a"), name="b"), 0.5, name="d")
        trainer = gn.Trainer(gn.softmax_cross_entropy(gn.dense(h, 3, name="c"), y), optimizer=gn.Adam(), batch_size=5)
        losses = [trainer.step(x=X, y=np.arange(5) % 3) for _ in range(20)]  # the native entry comes at the tenth
        return losses, {name: np.array(value) for name, value in net.state.items()}

    (losses, state), (again, other) = train(), train()
    assert len(compiles) == 1
    assert losses == again
    for name, value in state.items():
        np.testing.assert_array_equal(value, other[name])


MIXED = """
    import os, pathlib, sys
    import graphnn as gn

    def edit():
        source = pathlib.Path(gn.__file__).with_name("stages.py")
        source.write_text(source.read_text() + "# edited\\n")

    net = gn.Network("net")
    y = gn.sigmoid(net.input("x", (3,)))
    {early}
    gn.compile
    {late}
    gn.compile(y)
"""


@pytest.mark.parametrize(("early", "late"), [("pass", "pass"), ("edit()", "pass"), ("pass", "edit()")])
def test_what_edited_sources_made_is_not_kept(folder, tmp_path, early, late):
    shutil.copytree(ROOT / "graphnn", tmp_path / "graphnn")
    script = textwrap.dedent(MIXED).format(early=early, late=late)
    found = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert len(files(folder)) == (early == late)
    assert ("source files of graphnn changed" in found.stderr) == (early != late)


def compiled(change):
    """Compile the small network with one thing changed."""
    changes = {
        "nothing": lambda: gn.compile(network()),
        "name": lambda: gn.compile(network(name="other")),
        "formula": lambda: gn.compile(network(factor=3)),
        "shape": lambda: gn.compile(network(shape=(5, 4))),
        "dtype": lambda: gn.compile(network(dtype="float64")),
        "list": lambda: gn.compile([network()]),
        "dict": lambda: gn.compile({"y": network()}),
        "key": lambda: gn.compile({"z": network()}),
        "sizes": lambda: gn.compile(network(), sizes={"N": 5}),
        "other sizes": lambda: gn.compile(network(), sizes={"N": 6}),
        "option dtype": lambda: gn.compile(network(), dtype="float64"),
        "accuracy": lambda: gn.compile(network(), accuracy="tight"),
        "training": lambda: gn.compile(network(), training=True),
        "disable": lambda: gn.compile(network(), disable=["fuse"]),
    }
    return changes[change]()


CHANGES = (
    "name", "formula", "shape", "dtype", "list", "dict", "key", "sizes", "other sizes", "option dtype", "accuracy",
    "training", "disable",
)  # fmt: skip


def test_whatever_a_program_depends_on_gives_it_another_key(folder, compiles):
    for change in ("nothing", *CHANGES):
        compiled(change)
    assert len(compiles) == len(files(folder)) == 1 + len(CHANGES)
    for change in ("nothing", *CHANGES):
        compiled(change)
    assert len(compiles) == 1 + len(CHANGES)


def test_updates_are_part_of_the_key(folder, compiles):
    def step(rate):
        y = network()
        W = y.network.parameters["W"]
        (g,) = gn.gradients(gn.sum(y), [W])
        return gn.compile(gn.sum(y), updates={"W": W - rate * g})

    for rate in (0.5, 0.5, 0.25):
        step(rate)
    gn.compile(gn.sum(network()))
    assert len(compiles) == 3


def asked(change):
    """Compile gradients and updates with one thing about the question changed."""
    net = gn.Network("net")
    x = net.input("x", ("N", 4))
    ratio = {"another formula of that name": 3}.get(change, 2)
    h = gn.elementwise("bend", lambda t: t / (ratio + sympy.exp(-t)))(gn.dense(x, 3, name="a"))
    if change == "a name in the way":
        net.input("a.W.next", (3,))
    loss, other = gn.sum(gn.max(h, axis=1), name="loss"), gn.mean(h)
    wrt = [net["a.W"], net["a.b"]][:: -1 if change == "the order" else 1]
    gradients = gn.gradients(other if change == "another loss" else loss, wrt, "split" if change == "ties" else "first")
    if change == "gradients alone":
        return gn.compile(gradients)
    optimizer = {
        "nothing": gn.SGD(0.1),
        "an attribute": gn.SGD(0.2),
        "clipping": gn.SGD(0.1, clip_norm=1.0),
        "a schedule": gn.SGD(gn.exponential_decay(0.1, 0.5)),
        "an adjustable rate": gn.SGD(gn.adjustable(0.1)),
        "another rule of that name": gn.optimizer(
            "sgd", lambda w, g, lr: {"w": w - lr * g**3}, attributes={"lr": 0.1}
        )(),
    }.get(change, gn.SGD(0.1))
    updates = optimizer.updates(wrt, gradients)
    if change == "one update":
        updates.popitem()
    return gn.compile(loss, updates=updates)


QUESTIONS = (
    "nothing", "another formula of that name", "a name in the way", "another loss", "the order", "ties",
    "gradients alone", "an attribute", "clipping", "a schedule", "an adjustable rate", "another rule of that name",
    "one update",
)  # fmt: skip


def test_whatever_is_asked_is_part_of_the_key_and_a_hit_derives_nothing(folder, compiles, monkeypatch):
    first = [asked(question) for question in QUESTIONS]
    assert len(compiles) == len(files(folder)) == len(QUESTIONS)
    monkeypatch.setattr(reverse, "derive_adjoint", None)
    for question, program in zip(QUESTIONS, first, strict=True):
        hit = asked(question)
        assert hit.manifest.to_json() == program.manifest.to_json()
        np.testing.assert_equal(hit(x=X), program(x=X))
    assert len(compiles) == len(QUESTIONS)


@pytest.mark.parametrize("look", [True, False])
def test_looking_at_what_was_asked_changes_no_key(folder, compiles, look):
    gn.compile(network())
    for _ in range(2):
        y = network()
        gradients = gn.gradients(gn.sum(y, name="loss"), [y.network["W"]])
        if look:
            assert "dloss/dW" in y.network.graph
        gn.compile(gradients)
    assert len(compiles) == 2


def test_a_derivation_after_a_hit_is_the_one_without(folder, compiles):
    def train():
        y = network()
        loss = gn.sum(y, name="loss")
        trainer = gn.Trainer(loss, gn.Adam())
        stages = [trainer.executable().stage(stage) for stage in gn.STAGES]
        return stages, gn.derivation(loss, y.network["W"]).markdown(), list(loss.network.graph)

    assert train() == train()


def test_attributes_are_part_of_the_key(folder, compiles):
    for distribution in (False, True, True):
        net = gn.Network()
        z, y = net.input("z", (2, 3)), net.input("y", (2, 3))
        program = gn.compile(gn.softmax_cross_entropy(z, y, distribution=distribution))
        assert bool(program.manifest.distributions) is distribution
    assert len(compiles) == 2


@pytest.mark.parametrize("part", ["processor", "cpu", "features", "llvmlite", "sympy", "graphnn"])
def test_another_machine_or_version_has_another_key(folder, compiles, monkeypatch, part):
    here = host()
    if part in ("cpu", "features"):  # where the system tells nothing of the processor, LLVM does
        monkeypatch.setattr(pipeline, "processor", str)
    gn.compile(network())
    if part == "processor":
        monkeypatch.setattr(pipeline, "processor", lambda: "other")
    elif part in ("cpu", "features"):
        other = type(here)(**{**pipeline.asdict(here), part: f"{getattr(here, part)},-nothing"})
        monkeypatch.setattr(pipeline, "host", lambda: other)
    elif part == "graphnn":
        monkeypatch.setattr(pipeline, "source_state", lambda: "other")
    elif part == "sympy":
        monkeypatch.setattr(pipeline, "sympy_version", lambda: "0.0")
    else:
        monkeypatch.setattr(getattr(pipeline, part), "__version__", "0.0")
    gn.compile(network())
    assert len(compiles) == len(files(folder)) == 2


def test_what_never_comes_from_the_cache(folder, compiles, monkeypatch):
    gn.compile(network(), cache=False)
    gn.compile(network(), debug=True)
    gn.compile(network(), until="schedule")
    monkeypatch.setenv("GRAPHNN_CACHE", "0")
    gn.compile(network())
    assert len(compiles) == 4
    assert not folder.exists()
    with pytest.raises(CompileError, match="cache='yes': True or False"):
        gn.compile(network(), cache="yes")


def test_processes_at_once_and_other_hash_seeds_share_entries(folder):
    script = """
        import hashlib, sys, numpy as np, graphnn as gn
        from graphnn import stages
        runs, simplify = [], stages.simplify
        stages.simplify = lambda *a: (runs.append(1), simplify(*a))[1]
        for factor in (2, 3, 4, 2, 3, 4):
            x = gn.Network("shared").input("x", (7,))
            assert np.allclose(gn.compile(gn.tanh(factor * x))(x=np.ones(7, "f")), np.tanh(factor))
        print(len(runs))
    """

    def start(seed):
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        command = [sys.executable, "-c", textwrap.dedent(script)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    found = [process.communicate(timeout=120)[0] for process in [start(1), start(2)]]
    assert all(0 <= int(runs) <= 3 for runs in found)
    assert len(files(folder)) == 3
    assert len(list(folder.iterdir())) == 3 + 1  # and what they declared
    assert int(start(3).communicate(timeout=120)[0]) == 0


def test_another_process_takes_a_step_without_deriving_or_compiling(folder):
    script = """
        import hashlib, sys
        import numpy as np
        import graphnn as gn

        net = gn.Network("digits")
        x, y = net.input("x", ("N", 1, 28, 28)), net.input("y", ("N",), dtype="int64")
        h = gn.conv2d(gn.models.lenet5(x, name="lenet")[:, :, None, None], 4, 1, name="more")
        loss = gn.softmax_cross_entropy(gn.reshape(h, ("N", 4)), y)
        trainer = gn.Trainer(loss, gn.Adam(gn.exponential_decay(0.1, 0.9), clip_norm=1.0), batch_size=4)
        data = np.random.default_rng(0)
        losses = [trainer.step(x=data.normal(size=(4, 1, 28, 28)).astype("f"), y=data.integers(0, 4, 4)) for _ in "12"]
        state = {name: hashlib.sha256(value).hexdigest() for name, value in net.state.items()}
        print([loss.hex() for loss in losses], state)
        compiler = ("derive.reverse", "derive.adjoint", "simplify.passes", "lower", "schedule.passes", "emit.module")
        print([part for part in (*(f"graphnn.{c}" for c in compiler), "llvmlite.binding") if part in sys.modules])
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    (first, made), (second, found) = (
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines() for _ in range(2)
    )
    assert first == second
    assert made != found == "[]"
