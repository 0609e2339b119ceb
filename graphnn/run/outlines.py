"""What declarations found out, kept between processes: one object in the folder of compiled programs."""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from graphnn.declare.outlines import OUTLINES
from graphnn.run.cache import Cache, key_of, open_cache, source_state


def read_outlines() -> bytes | None:
    """What was kept; None where there is nothing that can be trusted."""
    folder = open_cache()
    return None if folder is None else folder.find_object(_key())


def keep_outlines(folder: Cache) -> None:
    """Keep what is new in this process beside what other processes kept."""
    if OUTLINES.has_new and (content := OUTLINES.updated(folder.find_object(_key()))) is not None:
        folder.store_object(_key(), content)


def _key() -> str:
    """They depend on the sources and on sympy, whose normal forms definitions are in."""
    return key_of({"outlines": 1, "versions": [sympy_version(), source_state()]})


@cache
def sympy_version() -> str:
    """The version of sympy, which is not imported for that."""
    spec = find_spec("sympy")
    release = Path((spec and spec.origin) or "").with_name("release.py")
    return release.read_text() if release.is_file() else str(getattr(sys.modules.get("sympy"), "__version__", ""))
