"""What is said about derivatives where there is none: at ties, and of steps."""

from __future__ import annotations

from typing import Literal

from graphnn.errors import DeriveError

Ties = Literal["first", "split"]  # of equal terms of a Max or Min reducer: which are selected


class StepError(DeriveError):
    """The body is a step of the access: its derivative is zero wherever there is one."""
