"""Objects of the runtime's own modules: compiled once, then found; what is damaged is compiled again."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from graphnn.emit.target import host
from graphnn.run import objects as subject
from graphnn.run.cache import Cache
from graphnn.run.jit import compile_object
from graphnn.run.objects import runtime_object

TEXT = "define i64 @answer() {\n ret i64 42\n}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRAPHNN_CACHE", "1")
    monkeypatch.setenv("GRAPHNN_CACHE_DIR", str(tmp_path / "programs"))
    return tmp_path / "programs"


def made(name: str = "test", opt: int = 2) -> tuple[bytes, bool]:
    """The object, and whether its text was asked for."""
    asked: list[str] = []
    code = runtime_object(name, lambda triple: (asked.append(triple), TEXT)[1], opt)
    assert code == compile_object(TEXT, host(), opt)
    return code, bool(asked)


def test_an_object_is_compiled_once(folder):
    assert [made()[1], made()[1], made("other")[1], made(opt=0)[1], made()[1]] == [True, False, True, True, False]
    assert len(list(folder.glob("*.o"))) == 3
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())


@pytest.mark.parametrize("change", ["processor", "sources", "llvmlite"])
def test_another_processor_or_version_has_another(folder, monkeypatch, change):
    made()
    if change == "processor":
        monkeypatch.setattr(subject, "processor", lambda: "other")
    elif change == "sources":
        monkeypatch.setattr(subject, "source_state", lambda: "other")
    else:
        monkeypatch.setattr(subject.llvmlite, "__version__", "0.0")
    assert made()[1]


def test_where_the_system_does_not_tell_the_processor(folder, monkeypatch):
    monkeypatch.setattr(subject, "processor", str)
    assert [made()[1], made()[1]] == [True, False]


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:32] + b"x" + data[33:]]
)
def test_damage_is_found_and_mended(folder, damage):
    made()
    (path,) = folder.glob("*.o")
    path.write_bytes(damage(path.read_bytes()))
    assert [made()[1], made()[1]] == [True, False]


def test_the_object_of_another_key_is_none(folder):
    made()
    (path,) = folder.glob("*.o")
    path.rename(folder / f"{'0' * 64}.o")
    assert Cache(folder).find_object("0" * 64) is None


def test_what_others_may_write_is_not_run(folder):
    made()
    (path,) = folder.glob("*.o")
    path.chmod(0o666)
    assert made()[1]


def test_without_a_cache(folder, monkeypatch):
    monkeypatch.setenv("GRAPHNN_CACHE", "0")
    assert [made()[1], made()[1]] == [True, True]
    assert not folder.exists()


def test_objects_are_entries_of_the_cache(folder):
    made()
    (path,) = folder.glob("*.o")
    assert [entry.path for entry in Cache(folder).entries()] == [path]
    os.utime(path, (0, 0))
    made()
    assert path.stat().st_mtime > 0
    Cache(folder, limit=0).evict()
    assert not path.exists()


def test_another_process_needs_no_llvm_for_threads_and_the_entry(folder):
    script = """
        import sys
        import numpy as np
        import graphnn as gn

        net = gn.Network("wide")
        x = net.input("x", (512, 512))
        program = gn.compile(gn.sigmoid(x @ net.parameter("W", (512, 512), init=gn.Normal(0.1))), threads=2)
        data = np.random.default_rng(0).normal(size=(512, 512)).astype("f")
        before = program(x=data)
        entry = program._call.ready()  # as after ten short calls
        print(program.manifest.parallel, entry is not None, (program(x=data) == before).all())
        print("llvmlite.binding" in sys.modules)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    first, second = (subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(2))
    assert first.splitlines() == ["True True True", "True"]
    assert second.splitlines() == ["True True True", "False"]
