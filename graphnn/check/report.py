"""What a comparison found: numbers, a table, a plot, plain data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphnn.declare.labels import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

TABLE_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a gradient, four times; `complex_step` is None where the loss is not analytic."""

    index: tuple[int, ...]
    native: float
    exact: float
    difference: float
    complex_step: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The gradient by one leaf. Errors are the largest relative ones over the elements that were judged.

    worst             the sampled element whose native value is off the most; None where no element is finite
    native_error      native against the formula in high precision, over all elements
    difference_error  central difference against that formula, over a sample; at a kink the one-sided interval counts
    complex_error     complex step against that formula, over a sample; None where the loss is not analytic
    obstacle          where it is not analytic, else ""
    kinks             elements of the sample whose interval crosses a kink
    step, curve       the step with the least error, and the (median) error at each step
    agrees            whether all are within what rounding explains
    """

    name: str
    shape: tuple[int, ...]
    worst: Element | None
    native_error: float
    difference_error: float
    complex_error: float | None
    obstacle: str
    kinks: int
    step: float
    curve: tuple[tuple[float, float], ...]
    agrees: bool


@dataclass(frozen=True, slots=True)
class Report:
    """Four gradients of `loss`, leaf by leaf. `sizes` are those of the batch that was evaluated."""

    loss: str
    dtype: str
    accuracy: str
    sizes: dict[str, int]
    comparisons: tuple[Comparison, ...]

    @property
    def max_relative_error(self) -> float:
        """The largest relative error of the native gradient against the formula in high precision."""
        return max((c.native_error for c in self.comparisons), default=0.0)

    @property
    def agrees(self) -> bool:
        """Whether all four gradients are the same, up to what rounding explains, for every leaf."""
        return all(c.agrees for c in self.comparisons)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as JSON takes it (a number that is not finite becomes None)."""
        plain: dict[str, Any] = _finite(asdict(self))
        return plain | {"max_relative_error": _finite(self.max_relative_error), "agrees": self.agrees}

    def table(self) -> str:
        """The table as text: for each leaf its worst element, and below the values their relative errors."""
        from rich.console import Console

        console = Console(width=TABLE_WIDTH, color_system=None, force_terminal=False, legacy_windows=False)
        with console.capture() as captured:
            console.print(self)
        return captured.get()

    def __str__(self) -> str:
        return self.table()

    def __rich__(self) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=Text(self._title()), title_justify="left")
        table.add_column("leaf", overflow="fold", min_width=8)
        for heading in ("element", "native", "formula,\n50 digits", "central\ndifference", "complex\nstep"):
            table.add_column(heading, justify="right", no_wrap=True)
        for c in self.comparisons:
            w = c.worst
            cells = [""] * 5
            if w is not None:
                numbers = (w.native, w.exact, w.difference, w.complex_step)
                cells = [f"[{', '.join(map(str, w.index))}]", *("-" if v is None else f"{v:.4e}" for v in numbers)]
            table.add_row(Text(printable(c.name), style="bold"), *map(Text, cells))
            shape = " x ".join(map(str, c.shape)) or "scalar"
            shape += f", {c.kinks} kinked" if c.kinks else ""
            verdict = Text("agrees", style="green") if c.agrees else Text("DIFFERS", style="bold red")
            native, difference = (Text(f"{e:.1e}", style="dim") for e in (c.native_error, c.difference_error))
            imaginary = "not analytic" if c.complex_error is None else f"{c.complex_error:.1e}"
            step = Text(f"h = {c.step:.0e}", style="dim")
            row = (Text(shape, style="dim"), step, native, verdict, difference, Text(imaginary, style="dim"))
            table.add_row(*row, end_section=True)
        return table

    def _title(self) -> str:
        sizes = "".join(f", {name} = {value}" for name, value in self.sizes.items())
        name = printable(self.loss)
        return f"gradients of {name} ({self.dtype}, {self.accuracy}{sizes}); below each: relative errors"

    def plot(self, path: str | Path | None = None) -> Figure:
        """The error of central differences by step size, a line per leaf, its best step marked; saved to `path`."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.subplots()
        for c in self.comparisons:
            points = [(step, error) for step, error in c.curve if 0 < error < math.inf]
            if not points:
                continue
            steps, errors = zip(*points, strict=True)
            (line,) = axes.loglog(steps, errors, label=_inert(c.name), marker=".", markersize=4, linewidth=1.5)
            best = min(points, key=lambda point: point[1])
            axes.plot(*best, marker="o", markersize=9, markerfacecolor="none", color=line.get_color())
        axes.set(xlabel="step size h", ylabel="relative error of the central difference")
        axes.set_title(f"symbolic against numeric: {_inert(self.loss)}", loc="left", fontsize=11)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(frameon=False)
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure


def _inert(name: str) -> str:
    """A name that matplotlib takes neither for mathematics nor for one to hide."""
    shown = printable(name).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
