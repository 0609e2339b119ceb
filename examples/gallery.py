"""Runs the examples; writes docs/gallery.md and its pictures.

$ python examples/gallery.py                            every example, and the gallery anew
$ python examples/gallery.py nand slowdown              these, and the gallery with them
$ python examples/gallery.py --out examples-output      every picture into that folder; the gallery stays as it is
"""

import argparse
import importlib
import re
import sys
import time
from pathlib import Path
from types import ModuleType

from style import Example, make, save

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "gallery.md"
PICTURES = PAGE.parent / "gallery"

# In the order of a course.
CHAPTERS = {
    "Units": ("activations", "nand", "linear_collapse"),
    "Derivatives": ("backpropagation", "worked_2_2_2", "derive_losses", "slowdown", "own_op"),
    "Training": ("learning_rate", "optimizers", "own_optimizer", "mini_batches", "overfitting", "augmentation"),
    "Deep nets": ("saturation", "vanishing_gradients", "loss_landscape"),
    "Convolutional nets": (
        "filters",
        "edge_filters",
        "svm_on_edges",
        "classic_nets",
        "lenet",
        "colour_cnn",
        "feature_maps",
        "responses",
        "segmentation",
    ),
    "Recurrent nets": ("recurrent",),
}
NAMES = tuple(name for names in CHAPTERS.values() for name in names)

_HEAD = """# Gallery

One picture for each subject of a course on neural nets. Each comes from one short program in [examples/](../examples),
and stands beside formulas that graphnn derived or was given: they are printed by `gn.latex` when the program runs.
`make examples` draws all pictures into examples-output/; `make gallery` writes this page.
[Fact by fact](course.md), what they show, and the test that holds it.
"""


def load(name: str) -> ModuleType:
    return importlib.import_module(name)


def title_of(module: ModuleType) -> str:
    return (module.__doc__ or "").splitlines()[0]


def text_of(module: ModuleType) -> str:
    """The docstring without its title and its commands."""
    paragraphs = (module.__doc__ or "").strip().split("\n\n")[1:]
    return "\n\n".join(p for p in paragraphs if not p.startswith("$"))


def section(name: str, example: Example) -> str:
    """Title, text, picture, formulas, and the command."""
    module = load(name)
    shown = (formula.replace(r"\operatorname", r"\mathrm") for formula in example.formulas)  # GitHub refuses the former
    formulas = "\n\n".join(f"```math\n{formula}\n```" for formula in shown)
    lines = [
        f"### {title_of(module)}",
        text_of(module),
        f"![{title_of(module)}](gallery/{name}{example.suffix})",
        formulas,
    ]
    return "\n\n".join(filter(None, [*lines, f"`python examples/{name}.py`"])) + "\n"


def sections_of(page: str) -> dict[str, str]:
    """The sections of the page by example."""
    parts = re.split(r"^(?=##+ )", page, flags=re.MULTILINE)
    named = ((re.search(r"^`python examples/(\w+)\.py`$", part, re.MULTILINE), part) for part in parts)
    return {found[1]: part.rstrip() + "\n" for found, part in named if found}


def page_of(sections: dict[str, str]) -> str:
    """The page, chapter by chapter."""
    parts = [_HEAD]
    for chapter, names in CHAPTERS.items():
        parts += [f"## {chapter}\n", *(sections[name] for name in names if name in sections)]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the examples, and write the gallery.")
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="example", help="all of them unless given")
    parser.add_argument("--out", type=Path, help="pictures go to this folder, and the gallery stays as it is")
    parser.add_argument("--quick", action="store_true", help="sketches; wants --out")
    options = parser.parse_args()
    if options.quick and options.out is None:
        parser.error("the gallery shows full runs; give --out with --quick")
    for name in options.names or NAMES:
        start = time.perf_counter()
        example = make(load(name).main, options.quick)
        save(example.picture, (options.out or PICTURES) / f"{name}{example.suffix}")
        if options.out is None:
            sections = sections_of(PAGE.read_text()) if PAGE.exists() else {}
            PAGE.write_text(page_of({**sections, name: section(name, example)}))
        print(f"{name:<24} {time.perf_counter() - start:5.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
