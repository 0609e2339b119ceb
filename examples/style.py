"""What the examples share: how they are run, what they give, and how their pictures look.

An example is a module with a function main(quick) -> Example. Its docstring is its text in docs/gallery.md.
"""

import argparse
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

# Okabe and Ito's colours, which people with any kind of colour vision can tell apart.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442"
)  # fmt: skip
COLORS = (BLUE, RED, GREEN, ORANGE, PURPLE, SKY, YELLOW)
INK, FAINT = "#222222", "#8a8a8a"
DIVERGING = LinearSegmentedColormap.from_list(
    "diverging", ["#8c3a00", RED, "#fbe3d4", "white", "#d6e8f4", BLUE, "#003b5c"]
)
SURFACE = LinearSegmentedColormap.from_list("surface", ["#f4b183", "#fdf0e6", "#e6f0f7", "#7fb2d6"])

_STYLE: dict[str, Any] = {
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelsize": 11,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=COLORS),
    "axes.grid": True,
    "grid.color": "#e8e8e8",
    "axes.axisbelow": True,
    "lines.linewidth": 2,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "mathtext.fontset": "cm",
}


@dataclass(frozen=True)
class Example:
    """What an example gives: its picture, the formulas that it rests on as LaTeX, and figures that it reached.

    `notes` is what else it prints when it is run by itself; a `photograph` is stored as JPEG, other pictures as PNG.
    """

    picture: Figure
    formulas: tuple[str, ...]
    figures: dict[str, float] = field(default_factory=dict)
    notes: str = ""
    photograph: bool = False

    @property
    def suffix(self) -> str:
        return ".jpg" if self.photograph else ".png"


Main = Callable[[bool], Example]


def make(main: Main, quick: bool = False) -> Example:
    """Run an example in the common style; `quick` does with less of everything."""
    with matplotlib.rc_context(_STYLE):
        return main(quick)


LARGEST = 60_000  # bytes of a picture: the gallery is a part of the repository


def save(picture: Figure, path: Path) -> None:
    """A PNG of so few colours, or a JPEG so coarse, that it is not too large; a picture always gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        picture.savefig(buffer, dpi=120, metadata={"Software": None})
    image = Image.open(buffer).convert("RGB")
    for colors, quality in ((128, 80), (48, 60), (20, 42)):
        if path.suffix == ".jpg":
            image.save(path, quality=quality, optimize=True, progressive=True)
        else:
            image.quantize(colors, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < LARGEST:
            return


def run(main: Main) -> None:
    """The command line of an example: --out for the folder of the picture, --quick."""
    parser = argparse.ArgumentParser(description=sys.modules[main.__module__].__doc__)
    parser.add_argument("--out", type=Path, default=Path("examples-output"), help="folder for the picture")
    parser.add_argument("--quick", action="store_true", help="less training; the picture is a sketch")
    options = parser.parse_args()
    example = make(main, options.quick)
    print(example.notes, *example.formulas, sep="\n\n" if example.notes else "\n")
    for name, value in example.figures.items():
        print(f"{name} = {value:.6g}")
    path = options.out / f"{Path(sys.argv[0]).stem}{example.suffix}"
    save(example.picture, path)
    print(f"picture: {path}")


def panels(rows: int, columns: int, size: tuple[float, float], **options: Any) -> tuple[Figure, Any]:
    """A figure of `size` inches, and its axes as an array of rows by columns."""
    figure = Figure(figsize=size)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def picture(axes: Any, image: Any, title: str = "", **options: Any) -> Any:
    """An image without ticks."""
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_title(title)
    return axes.imshow(image, **options)


@dataclass(frozen=True)
class Digits:
    """Handwritten digits: pixels (n, 64) from 0 to 1 as float32, labels (n,) as int64."""

    x: Any
    y: Any

    def __getitem__(self, rows: Any) -> "Digits":
        return Digits(self.x[rows], self.y[rows])

    @property
    def data(self) -> dict[str, Any]:
        return {"x": self.x, "y": self.y}


def digits() -> tuple[Digits, Digits]:
    """scikit-learn's 1797 digits: 1344 to learn from, which is 42 batches of 32, and the others to test."""
    found = load_digits()
    pixels, labels = (found.data / 16).astype(np.float32), found.target.astype(np.int64)
    x, x_test, y, y_test = train_test_split(pixels, labels, train_size=1344, stratify=labels, random_state=0)
    return Digits(x, y), Digits(x_test, y_test)
