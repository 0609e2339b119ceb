"""The README's examples print what the README says, and its commands exist."""

import re
from typing import Any

import pytest

from graphnn.cli import main
from tests.docs.pages import ROOT, blocks, run

PAGE = ROOT / "README.md"
_NUMBER = re.compile(r"(?<![\w.])-?\d+\.\d+(?:e[+-]?\d+)?")


def test_the_examples_print_what_the_page_says() -> None:
    names: dict[str, Any] = {"__name__": "readme"}
    for example, shown in zip(blocks(PAGE, "python"), blocks(PAGE, "text"), strict=True):
        printed = run(PAGE, example, names)
        assert _NUMBER.sub("#", printed) == _NUMBER.sub("#", shown.text), "python -m tests.docs.pages writes it anew"
        found, expected = ([float(n) for n in _NUMBER.findall(text)] for text in (printed, shown.text))
        assert found == pytest.approx(expected, rel=0.02)


def test_the_first_example_is_short() -> None:
    lines = [line for line in blocks(PAGE, "python")[0].text.splitlines() if line.strip()]
    assert len(lines) <= 20


def test_every_command_of_the_page_exists() -> None:
    shown = dict.fromkeys(re.findall(r"^    graphnn (\w+)", PAGE.read_text(), re.MULTILINE))
    assert list(shown) == ["demo", "derive", "show", "compile", "compare", "cache"]
    assert set(shown) == set(main.commands)


def test_the_make_targets_of_the_page_exist() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    shown = re.findall(r"^    make (\w+)", PAGE.read_text(), re.MULTILINE)
    assert shown
    assert set(shown) <= set(targets)
