"""Compiled programs on disk: a folder with one `.gnn` archive per key, found again by the next process.

Beside them lie `.o` files: the objects of the runtime's own modules (`run/objects.py`) and what declarations found out
(`run/outlines.py`), after the SHA-256 of key and content.

A key is the SHA-256 of all that a compile depends on, so an entry is never out of date; what another version, another
processor or another option made has another key. Nothing of an entry is evaluated, but its machine code runs: entries
are read only from a folder and files that belong to this user and that nobody else may write to, and only where every
digest inside agrees. What is damaged or foreign is no entry, and is replaced by the next compile.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from graphnn import IMPORTED
from graphnn.errors import BoundaryError
from graphnn.run.archive import Archive, parse, write
from graphnn.run.atomic import replacing

LIMIT = 2**30  # bytes of all entries together, beyond which those used longest ago are removed
STALE = 3600  # seconds, after which the file of a writer that never finished is removed
_ENTRY = re.compile(r"[0-9a-f]{64}\.(?:gnn|o)")
_UNFINISHED = re.compile(r"\.[0-9a-f]{64}\.(?:gnn|o)\.[0-9a-f]{16}")
_DIGEST = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class Entry:
    """A program or an object: `used` is the time of its last use in seconds since 1970."""

    path: Path
    size: int
    used: float

    @property
    def is_program(self) -> bool:
        return self.path.suffix == ".gnn"


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of programs. Processes may use one at the same time: an entry is seen whole or not at all."""

    directory: Path
    limit: int = LIMIT

    def find(self, key: str) -> Archive | None:
        """The program of a key, which counts as used now; None where there is none that can be trusted."""
        path = self.directory / f"{key}.gnn"
        try:
            archive = parse(_read_own(path), path)
        except (BoundaryError, OSError):
            return None
        if archive.key != key:
            return None
        _mark_used(path)
        return archive

    def find_object(self, key: str) -> bytes | None:
        """The object of a key, which counts as used now; None where there is none that can be trusted."""
        path = self.directory / f"{key}.o"
        try:
            data = _read_own(path)
        except (BoundaryError, OSError):
            return None
        code = data[_DIGEST:]
        if _digest(key, code) != data[:_DIGEST]:
            return None
        _mark_used(path)
        return code

    def store(self, key: str, archive: Archive) -> None:
        """Keep a program; where the folder cannot be written or the disk is full, nothing is kept."""
        if _sources_changed():
            return
        with suppress(OSError):
            write(self.directory / f"{key}.gnn", archive, mode=0o600)
            self.evict()

    def store_object(self, key: str, code: bytes) -> None:
        """Keep an object, if that is possible."""
        if _sources_changed():
            return
        with suppress(OSError), replacing(self.directory / f"{key}.o", 0o600) as file:
            file.write(_digest(key, code) + code)

    def entries(self) -> list[Entry]:
        """The programs and objects, the one used last first."""
        found = [Entry(path, status.st_size, status.st_mtime) for path, status in self._files(_ENTRY)]
        return sorted(found, key=lambda e: (-e.used, e.path.name))

    def evict(self) -> None:
        """Remove what was used longest ago until the rest fits the limit, and what unfinished writers left."""
        total = 0
        for entry in self.entries():
            total += entry.size
            if total > self.limit:
                entry.path.unlink(missing_ok=True)
        for path, status in self._files(_UNFINISHED):
            if status.st_mtime < time.time() - STALE:
                path.unlink(missing_ok=True)

    def clear(self) -> int:
        """Remove every program and object, and nothing else that lies in the folder. Returns how many programs."""
        entries = self.entries()
        for path in (*(e.path for e in entries), *(path for path, _ in self._files(_UNFINISHED))):
            path.unlink(missing_ok=True)
        return sum(entry.is_program for entry in entries)

    def _files(self, name: re.Pattern[str]) -> Iterator[tuple[Path, os.stat_result]]:
        try:
            paths = [path for path in self.directory.iterdir() if name.fullmatch(path.name)]
        except FileNotFoundError:
            return
        for path in paths:
            try:
                status = path.lstat()
            except FileNotFoundError:  # another process removed it
                continue
            if stat.S_ISREG(status.st_mode):
                yield path, status


def cache_directory() -> Path:
    """$GRAPHNN_CACHE_DIR, else `graphnn` in $XDG_CACHE_HOME, else in ~/.cache."""
    if own := os.environ.get("GRAPHNN_CACHE_DIR"):
        return Path(own).absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))  # by its specification, a relative path there is ignored
    return (shared if shared.is_absolute() else Path(os.path.expanduser("~")) / ".cache") / "graphnn"


def open_cache() -> Cache | None:
    """The cache of this user, its folder made where it is missing. None where it is switched off or cannot be used.

    GRAPHNN_CACHE=0 switches it off. A folder that others may write to is refused with a RuntimeWarning, once.
    """
    if os.environ.get("GRAPHNN_CACHE") == "0":
        return None
    directory = cache_directory()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_owner(directory)
    except BoundaryError as error:
        _warn_once(str(error))
        return None
    except OSError:
        return None
    return Cache(directory)


def check_owner(path: Path) -> None:
    """Raise BoundaryError unless a folder belongs to this user, and nobody else may write to it."""
    why = _distrust(path.stat())
    if why:
        raise BoundaryError(
            f"the cache folder {os.fspath(path)!r} {why}, and a program from it would run as yours: "
            f"chmod go-w it, or name another one by GRAPHNN_CACHE_DIR"
        )


def key_of(parts: dict[str, Any]) -> str:
    """The SHA-256 of all that a program depends on: plain data, of which equal means equal JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def source_state() -> str:
    """The SHA-256 of the package's source files: what tells its code from any other, also in an edited checkout."""
    return _SOURCES[0]


def _read_sources() -> tuple[str, bool]:
    """The SHA-256, and whether a file was written since the process's import of graphnn; dates to come say nothing."""
    root = Path(__file__).parents[1]
    found, young = hashlib.sha256(), False
    for path in sorted(root.rglob("*.py")):
        content = path.read_bytes()
        found.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
        young |= IMPORTED < path.stat().st_mtime <= time.time()
    return found.hexdigest(), young


def _dates() -> list[tuple[str, int, int]]:
    """Name, date and size of each source file: a look at these alone takes a tenth of the time."""
    found = []
    for folder, _, names in os.walk(Path(__file__).parents[1]):
        for name in names:
            if name.endswith(".py"):
                status = os.stat(path := f"{folder}/{name}")
                found.append((path, status.st_mtime_ns, status.st_size))
    return sorted(found)


_DATES, _SOURCES = _dates(), _read_sources()  # now: a file that changes later is not what this process has imported


def _sources_changed() -> bool:
    """Whether source files are others than this process began with, with a RuntimeWarning, once.

    What it compiled may then be the work of modules of both, since some are imported when they are first needed. It
    has the key of one, and whoever finds it later would run it by the conventions of that one.
    """
    with suppress(OSError):  # a file that vanishes meanwhile is a change
        if (not _SOURCES[1] and _dates() == _DATES) or _read_sources() == (_SOURCES[0], False):
            return False
    _warn_once("source files of graphnn changed after this process had imported it; start it anew")
    return True


def _read_own(path: Path) -> bytes:
    """The bytes of a regular file of this user. BoundaryError for any other."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or _distrust(status):
            raise BoundaryError(f"{os.fspath(path)!r} is not a file of this user's own")
        return file.read()


def _digest(key: str, code: bytes) -> bytes:
    return hashlib.sha256(key.encode() + code).digest()


def _mark_used(path: Path) -> None:
    with suppress(OSError):  # a folder on a medium that is only read
        os.utime(path)


def _distrust(status: os.stat_result) -> str:
    """Why somebody else could have written there; "" where nobody could."""
    if not hasattr(os, "geteuid"):  # Windows: the folder lies in the user's profile
        return ""
    if status.st_uid != os.geteuid():
        return f"belongs to user {status.st_uid}"
    return "may be written to by others" if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else ""


@cache
def _warn_once(message: str) -> None:
    warnings.warn(f"programs are compiled anew each time: {message}", RuntimeWarning, stacklevel=4)
