"""docs/architecture.md is one program; its layering is the one that is enforced."""

import re
from typing import Any

from tests.check_sources import LAYERS
from tests.docs.pages import ROOT, blocks, run

PAGE = ROOT / "docs" / "architecture.md"


def test_the_walk_through_runs_from_top_to_bottom() -> None:
    names: dict[str, Any] = {"__name__": "architecture"}
    found = blocks(PAGE, "python")
    assert len(found) > 15
    for block in found:
        run(PAGE, block, names)


def test_every_block_states_something() -> None:
    silent = [block.line for block in blocks(PAGE, "python")[1:] if "assert" not in block.text]
    assert silent == []


def test_the_page_shows_the_layering_that_is_enforced() -> None:
    shown = " <- ".join(layer[0] if len(layer) == 1 else f"{{{', '.join(layer)}}}" for layer in LAYERS)
    assert shown in re.sub(r"\s+", " ", PAGE.read_text())


def test_every_folder_of_the_package_is_on_the_map() -> None:
    text = PAGE.read_text()
    folders = sorted(path.parent.name for path in (ROOT / "graphnn").glob("*/__init__.py"))
    assert [folder for folder in folders if f"`graphnn/{folder}/`" not in text] == []
