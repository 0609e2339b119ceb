"""docs/course.md: every row has an expression of names that exist, an example of the gallery, and tests that exist."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import graphnn as gn
from tests.docs.pages import ROOT

PAGE, GALLERY = ROOT / "docs" / "course.md", ROOT / "docs" / "gallery.md"
SUBJECTS = ["Units and activations", "Losses", "Backpropagation", "Training", "Convolutional nets"]
_EXAMPLE = re.compile(r"\[`(examples/\w+\.py)`\]\(gallery\.md#([\w-]+)\)")


@dataclass(frozen=True)
class Row:
    """A fact, the expressions that say it, its (example, section of the gallery) and its tests."""

    fact: str
    expressions: list[str]
    examples: list[tuple[str, str]]
    tests: list[str]


def rows() -> list[Row]:
    found = []
    for line in PAGE.read_text().splitlines():
        if line.startswith("| ") and not line.startswith("| Fact |"):
            fact, said, shown, held = (cell.strip() for cell in line.strip("|").split(" | "))
            codes = (re.findall(r"`([^`]+)`", cell) for cell in (said, held))
            expressions, tests = codes
            found.append(Row(fact, expressions, _EXAMPLE.findall(shown), tests))
    return found


def anchor(title: str) -> str:
    """GitHub's name of a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def sections() -> dict[str, str]:
    """The anchor of each section of the gallery, by its example."""
    parts = re.split(r"^(?=##+ )", GALLERY.read_text(), flags=re.MULTILINE)
    named = ((re.search(r"^`python (examples/\w+\.py)`$", part, re.MULTILINE), part) for part in parts)
    return {found[1]: anchor(part.splitlines()[0].lstrip("# ")) for found, part in named if found}


@cache
def functions_of(path: Path) -> frozenset[str]:
    """What pytest would collect from a file of functions."""
    tree = ast.parse(path.read_text())
    return frozenset(n.name for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_"))


def missing(test: str) -> bool:
    name, _, function = test.partition("::")
    path = ROOT / name
    collected = re.fullmatch(r"tests/(\w+/)*test_\w+\.py", name) and path.is_file()
    return not collected or function not in functions_of(path)


def unknown(expression: str) -> list[str]:
    """The names of graphnn in an expression that do not exist."""
    found = []
    for node in ast.walk(ast.parse(expression)):
        parts = ast.unparse(node).split(".") if isinstance(node, ast.Attribute) else []
        if parts[:1] == ["gn"] and all(part.isidentifier() for part in parts):
            value = gn
            for part in parts[1:]:
                value = getattr(value, part, None)
            found += [".".join(parts)] if value is None else []
    return found


def test_the_page_has_the_subjects_of_the_course() -> None:
    assert re.findall(r"^## (.+)$", PAGE.read_text(), re.MULTILINE) == SUBJECTS
    assert len(rows()) > 80


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.fact[:40])
def test_a_row_names_what_exists(row: Row) -> None:
    assert row.expressions
    assert row.examples
    assert row.tests
    assert [name for expression in row.expressions for name in unknown(expression)] == []
    assert [example for example in row.examples if sections().get(example[0]) != example[1]] == []
    assert [test for test in row.tests if missing(test)] == []


def test_every_section_of_the_gallery_belongs_to_a_fact() -> None:
    linked = {example for row in rows() for example, _ in row.examples}
    assert sorted(linked) == sorted(sections())


def test_what_is_missing_is_found() -> None:
    assert unknown("gn.models.lenet5(x, gn.sigmoid)") == []
    assert unknown("gn.models.lenet6(gn.sigmod(x))") == ["gn.models.lenet6", "gn.sigmod"]
    assert not missing("tests/docs/test_course.py::test_what_is_missing_is_found")
    for name in ("tests/docs/test_course.py::test_gone", "tests/gone.py::test_a", "tests/docs/pages.py::rows", "a"):
        assert missing(name)
    assert anchor("Filters along one dimension: kernels, padding, stride") == (
        "filters-along-one-dimension-kernels-padding-stride"
    )
