"""Reading pages: their fenced blocks, and the paths that they name.

`python -m tests.docs.pages` writes what README.md's examples print now into their output blocks.
"""

import contextlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"`((?:graphnn|tests|docs|examples|\.ci)/[\w./-]*)`")
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text and the number of its first line."""

    language: str
    text: str
    line: int


def blocks(page: Path, language: str) -> list[Block]:
    """The blocks of a language, in order."""
    text = page.read_text()
    found = (Block(m[1], m[2], text.count("\n", 0, m.start()) + 2) for m in _FENCE.finditer(text))
    return [block for block in found if block.language == language]


def run(page: Path, block: Block, names: dict[str, Any]) -> str:
    """Execute a block in `names`; what it printed. Tracebacks show the page and its line."""
    code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    return printed.getvalue()


def named_paths(page: Path) -> set[Path]:
    """Every file or folder that a page names in backquotes (from the root) or links to (from its folder)."""
    text = _FENCE.sub("", page.read_text())
    return {ROOT / m for m in _PATH.findall(text)} | {(page.parent / m).resolve() for m in _LINK.findall(text)}


def refresh_readme() -> None:
    page, names = ROOT / "README.md", {"__name__": "readme"}
    text = page.read_text()
    for example, output in zip(blocks(page, "python"), blocks(page, "text"), strict=True):
        text = text.replace(f"```text\n{output.text}```", f"```text\n{run(page, example, names)}```", 1)
    page.write_text(text)


if __name__ == "__main__":
    refresh_readme()
