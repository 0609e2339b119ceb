"""Names and other text from people and files, made inert for a terminal or a picture."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    """Text that moves no cursor and rings no bell: what does not print is shown as an escape, except for `keep`."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)
