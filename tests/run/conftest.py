"""A cache of compiled programs of a test's own."""

import pytest

from graphnn import stages


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHNN_CACHE", "1")
    monkeypatch.setenv("GRAPHNN_CACHE_DIR", str(tmp_path / "programs"))
    return tmp_path / "programs"


@pytest.fixture
def compiles(monkeypatch):
    """How often the compiler was run, as a list that grows."""
    runs = []
    simplify = stages.simplify
    monkeypatch.setattr(stages, "simplify", lambda *a, **k: (runs.append(1), simplify(*a, **k))[1])
    return runs
