"""What every page keeps to: its paths and names exist, its code runs, and it is about graphnn and nothing else."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import PAGES, ROOT, blocks, named_paths, run

DESIGN = sorted((ROOT / "docs" / "design").glob("*.md"))
# A folder of one machine has no place in a page, nor has what is still to be written.
_STRAY = re.compile(r"(?<![\w.])/(?:work|tmp|home|root|opt)\b|\b(?:TODO|FIXME)\b")
# `Definition`, `bind_definition`, `Network.adjoints`: names of the code. One word in lower case may be a word.
_NAME = re.compile(r"`((?:[A-Z]\w+|[a-z]+_\w+)(?:\.\w+)*)(?:\([^`]*\))?`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_names_what_exists(page: Path) -> None:
    assert [path.relative_to(ROOT).as_posix() for path in sorted(named_paths(page)) if not path.exists()] == []
    assert _STRAY.findall(page.read_text()) == []


def test_the_decisions_hold() -> None:
    page, names = ROOT / "docs" / "decisions.md", {"__name__": "decisions"}
    for block in blocks(page, "python"):
        run(page, block, names)


def unknown_names(page: Path) -> list[str]:
    """The code names of a page that the package's sources do not hold."""
    sources = "\n".join(path.read_text() for path in sorted((ROOT / "graphnn").rglob("*.py")))
    words = set(re.findall(r"\w+", sources))
    named: list[Any] = _NAME.findall(page.read_text())
    return [name for name in named if not set(name.split(".")) <= words]


@pytest.mark.parametrize("page", DESIGN, ids=lambda page: page.stem)
def test_a_design_page_is_short_and_names_what_is_in_the_code(page: Path) -> None:
    sources = ROOT / "graphnn"
    assert any(path.is_dir() for path in sources.rglob(page.stem)) or any(sources.rglob(f"{page.stem}.py"))
    assert page.read_text().count("\n") < 60
    assert unknown_names(page) == []


def test_the_patterns_find_what_is_missing(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("See `graphnn/nowhere.py`, [this](gone.md), `graphnn/pipeline.py`, `Definition`, `Nonsense.here`.")
    assert sorted(path.name for path in named_paths(page) if not path.exists()) == ["gone.md", "nowhere.py"]
    assert unknown_names(page) == ["Nonsense.here"]
