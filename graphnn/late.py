"""sympy, imported when something of it is first used: what declares and trains by programs from disk needs none of it.

`from graphnn.late import sympy` stands for `import sympy` in modules that such a process imports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["sympy"]

if TYPE_CHECKING:
    import sympy
else:

    class _Late:
        """The module, each of whose names is looked up once."""

        def __getattr__(self, name: str) -> Any:
            import sympy as module

            value = getattr(module, name)
            setattr(self, name, value)
            return value

    sympy = _Late()
