"""The folder of compiled programs: nothing in it does harm, whoever wrote it, and it does not grow for ever."""

import os
import random

import numpy as np
import pytest

import graphnn as gn
from graphnn.errors import BoundaryError
from graphnn.run import atomic
from graphnn.run import cache as cache_module
from graphnn.run.cache import Cache, check_owner, open_cache
from tests.run.cached import X, files, network


def test_damage_is_found_and_mended(folder, compiles):
    expected = gn.compile(network())(x=X)
    (path,) = files(folder)
    whole = path.read_bytes()
    random.seed(0)
    harmless = 0
    for _ in range(60):
        data = bytearray(whole)
        position = random.randrange(len(data))
        data[position] ^= 1 << random.randrange(8)
        path.write_bytes(data)
        before = len(compiles)
        np.testing.assert_array_equal(gn.compile(network())(x=X), expected)
        if len(compiles) == before:  # a date or an attribute of the container
            harmless += 1
        else:
            assert path.read_bytes() == whole
    assert harmless < 10


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a program" * 100])
def test_foreign_files_are_replaced(folder, compiles, content):
    gn.compile(network())
    (path,) = files(folder)
    whole = path.read_bytes()
    path.write_bytes(content)
    gn.compile(network())
    assert len(compiles) == 2
    assert path.read_bytes() == whole


def test_an_entry_under_another_key_is_none(folder, compiles):
    gn.compile(network())
    (one,) = files(folder)
    gn.compile(network(factor=3))
    (other,) = {*files(folder)} - {one}
    other.write_bytes(one.read_bytes())
    np.testing.assert_array_equal(gn.compile(network(factor=3))(x=X), gn.compile(network(factor=3), cache=False)(x=X))
    assert len(compiles) == 4
    with pytest.raises(BoundaryError, match="an entry of the compile cache"):
        gn.load(one)


def test_the_folder_is_this_users_alone(folder):
    gn.compile(network())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert files(folder)[0].stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o722])
def test_a_folder_that_others_may_write_to_is_refused(folder, compiles, mode):
    gn.compile(network())
    folder.chmod(mode)
    with pytest.raises(BoundaryError, match="may be written to by others"):
        check_owner(folder)
    cache_module._warn_once.cache_clear()
    with pytest.warns(RuntimeWarning, match="chmod go-w"):
        gn.compile(network())
    gn.compile(network())  # says it once
    assert len(compiles) == 3
    folder.chmod(0o755)
    gn.compile(network())
    assert len(compiles) == 3


def test_another_users_folder_and_files_are_refused(folder, compiles, monkeypatch):
    gn.compile(network())
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        with pytest.raises(BoundaryError, match=f"belongs to user {os.getuid()}"):
            check_owner(folder)
        assert Cache(folder).find(files(folder)[0].stem) is None
    files(folder)[0].chmod(0o666)
    gn.compile(network())
    assert len(compiles) == 2
    assert files(folder)[0].stat().st_mode & 0o777 == 0o600


def test_a_link_is_no_entry(folder, compiles, tmp_path):
    gn.compile(network())
    (path,) = files(folder)
    path.rename(tmp_path / "elsewhere.gnn")
    path.symlink_to(tmp_path / "elsewhere.gnn")
    gn.compile(network())
    assert len(compiles) == 2
    assert not path.is_symlink()


def test_a_folder_that_cannot_be_made_or_written_is_no_obstacle(folder, compiles, monkeypatch):
    folder.write_text("a file")
    assert (gn.compile(network())(x=X) > 0).all()
    folder.unlink()

    def refuse(path, mode=0o666):
        raise PermissionError(f"read-only: {path}")

    monkeypatch.setattr("graphnn.run.archive.replacing", refuse)
    assert (gn.compile(network())(x=X) > 0).all()
    assert len(compiles) == 2
    assert files(folder) == []


def test_a_full_disk_leaves_no_trace(folder, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    assert (gn.compile(network())(x=X) > 0).all()
    assert list(folder.iterdir()) == []


def test_an_entry_on_a_medium_that_is_only_read_is_found(folder, compiles, monkeypatch):
    gn.compile(network())

    def refuse(path):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(cache_module.os, "utime", refuse)
    gn.compile(network())
    assert len(compiles) == 1


def test_what_was_used_longest_ago_goes_first(folder, compiles):
    for factor in (2, 3, 4):
        gn.compile(network(factor=factor))
    paths = {path: n for n, path in enumerate(sorted(files(folder), key=lambda p: p.stat().st_mtime_ns))}
    for path, n in paths.items():
        os.utime(path, (n, n))
    gn.compile(network(factor=2))  # the oldest is used again
    oldest, *_, youngest = sorted(files(folder), key=lambda p: p.stat().st_mtime_ns)
    Cache(folder, limit=sum(p.stat().st_size for p in paths) - 1).evict()
    assert len(files(folder)) == 2
    assert oldest not in files(folder)
    assert youngest in files(folder)
    Cache(folder, limit=0).evict()
    assert files(folder) == []


def test_only_entries_and_what_writers_left_are_removed(folder):
    gn.compile(network())
    (path,) = files(folder)
    left, fresh = (path.with_name(f".{path.name}.{'0' * 15}{n}") for n in range(2))
    mine = folder / "notes.txt"
    for other in (left, fresh, mine):
        other.write_text("kept")
    os.utime(left, (0, 0))
    Cache(folder).evict()
    assert sorted(folder.iterdir()) == sorted([fresh, path, mine])
    assert Cache(folder).clear() == 1
    assert list(folder.iterdir()) == [mine]


def test_where_the_folder_lies(monkeypatch, tmp_path):
    monkeypatch.delenv("GRAPHNN_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_module.cache_directory() == tmp_path / "x" / "graphnn"
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_module.cache_directory() == tmp_path / ".cache" / "graphnn"
    monkeypatch.setenv("GRAPHNN_CACHE", "0")
    assert open_cache() is None
