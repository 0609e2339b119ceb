"""Every example runs, reaches its figures and has its place in the gallery.

The bounds are those of the course, or hold for what the example is to show; none is a number that the example printed.
"""

import importlib
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.course import FIGURES
from tests.docs.pages import ROOT

FOLDER = ROOT / "examples"
SHARED = ("style", "gallery")
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in SHARED)
PAGE = ROOT / "docs" / "gallery.md"

Bounds = dict[str, tuple[float, float]]
EXACT = 1e-12
# For quick runs.
BOUNDS: dict[str, Bounds] = {
    "activations": {
        "g(1 + 3 x1 - 2 x2) at (-1, 2)": (0.002465, 0.002475),
        "greatest slope of sigmoid": (0.25 - EXACT, 0.25 + EXACT),  # s' <= 1/4
        "greatest slope of tanh": (1 - EXACT, 1 + EXACT),
        "greatest slope of relu": (1, 1),
    },
    "augmentation": {
        "mean change, as they are": (0, 0),
        "reflected images that are mirror images": (1, 1),
        "drawn again with the same seed": (1, 1),
    },
    "backpropagation": {"largest difference from the equations in NumPy": (0, 1e-12)},
    "classic_nets": {
        "parameters of LeNet-5, 1998": (60_000, 60_000),
        "parameters of AlexNet, 2012": (60_965_224, 60_965_224),
        # From the kernels and maps of the paper: 666 million in convolutions and 59 million in dense layers.
        "share of multiplications, convolution": (665.5 / (665.5 + 59.5), 666.5 / (666.5 + 58.5)),
    },
    "colour_cnn": {
        "accuracy on test digits, dense": (0.7, 1),
        "parameters, dense": (6_440, 6_440),
        "parameters, global average pooling": (4_940, 4_940),
    },
    "derive_losses": {"gradient at z = -4, hinge": (-1, -1), "gradient at z = -4, squared error": (-10, -10)},
    "edge_filters": {"horizontal edges against NumPy": (0, 1e-5), "vertical edges against NumPy": (0, 1e-5)},
    "feature_maps": {"accuracy on new digits": (0.85, 1)},
    "filters": {
        "convolution against numpy.convolve": (0, EXACT),
        "correlation against numpy.correlate": (0, EXACT),
        "stride 4 against every fourth": (0, EXACT),
        "windows": (44, 44),  # 48 samples, windows of 5
        "padding before only against numpy.pad": (0, EXACT),
        **{f"{mode} padding against numpy.pad": (0, EXACT) for mode in ("zero", "reflect", "symmetric", "replicate")},
    },
    "learning_rate": {
        # (1 - rate)^12 of the distance 2 are left on the parabola w^2/2.
        "|w| after 12 steps, too small": (2 * 0.94**12 - EXACT, 2 * 0.94**12 + EXACT),
        "|w| after 12 steps, right": (2 * 0.3**12 - EXACT, 2 * 0.3**12 + EXACT),
        "|w| after 12 steps, too large": (2 * 1.05**12 - EXACT, 2 * 1.05**12 + EXACT),
        "accuracy, too small": (0, 0.7),
        "accuracy, right": (0.85, 1),
        "accuracy, too large": (0, 0.7),
    },
    "lenet": {"parameters": (61_706, 61_706), "accuracy on new digits": (0.6, 1)},
    "linear_collapse": {
        "|W(U(Vx)) - (WUV)x|": (0, 1e-12),
        "accuracy of three linear layers": (0.4, 0.65),
        "accuracy of the same with tanh": (0.98, 1),
        "accuracy of the same with ReLU": (0.98, 1),
    },
    "loss_landscape": {
        "loss of the trained net, fourteen layers": (0, math.log(10)),
        "loss of the trained net, the same with skip connections": (0, 1.0),
    },
    "mini_batches": {
        "distance from the best line, all rows": (0, 0.25),
        "distance from the best line, 16 rows": (0, 0.25),
        "distance from the best line, 1 row": (0, 0.7),
    },
    "nand": {"wrong by hand": (0, 0), "wrong when learnt": (0, 0), "derivation refused": (1, 1)},
    "optimizers": {"distance left, momentum": (0, 0.05), "distance left, Adam": (0, 0.05)},
    "overfitting": {
        "accuracy, none": (0.75, 1),
        "accuracy, dropout": (0.75, 1),
        "accuracy, early stopping": (0.75, 1),
    },
    "own_op": {"gradients agree": (1, 1), "largest relative error": (0, 1e-9)},
    "own_optimizer": {
        "largest difference from NumPy": (0, 1e-12),
        "distance left, and the gradient's norm clipped": (0, 1e-3),
    },
    "recurrent": {"error, LSTM": (0, 1 / 6), "error, GRU": (0, 1 / 6)},  # the error of always answering 1
    "responses": {"accuracy on new digits": (0.85, 1), "outside of the receptive field": (0, 0)},
    "saturation": {
        "share of slopes below 0.01, N(0, 1)": (0.3, 1),
        "share of slopes below 0.01, N(0, 1/n)": (0, 0.01),
    },
    "segmentation": {"windows against the classifier": (0, 1e-4)},
    "slowdown": {
        "first output, quadratic": (0.982, 0.9821),  # sigmoid(4)
        "epochs to 0.5, quadratic": (100, 300),
        "epochs to 0.5, cross-entropy": (5, 30),
        "gradient at z = 4, cross-entropy": (0.982, 0.9821),  # s(z) - 0
        "gradient at z = 4, quadratic": (0.0173, 0.0174),  # (s - 0) s (1 - s)
    },
    "svm_on_edges": {"accuracy on new digits": (0.8, 1)},
    "vanishing_gradients": {
        "error of layer 1 / layer 12, sigmoid": (0, 0.25**11 * 100),
        "error of layer 1 / layer 12, ReLU": (0.1, 10),
        "loss, sigmoid": (0.95 * math.log(10), 2.5),
        "loss, ReLU": (0, 2.0),
    },
    "worked_2_2_2": {},  # tests of its own
}


@pytest.fixture(scope="module")
def examples() -> Iterator[Any]:
    """Runs an example quickly, once."""
    sys.path.insert(0, str(FOLDER))
    before, done = set(sys.modules), {}
    style = importlib.import_module("style")

    def run(name: str) -> Any:
        if name not in done:
            done[name] = style.make(importlib.import_module(name).main, quick=True)
        return done[name]

    yield run
    sys.path.remove(str(FOLDER))
    for name in set(sys.modules) - before & {*NAMES, *SHARED}:
        del sys.modules[name]


def test_every_example_is_in_the_gallery_and_has_bounds(examples: Any) -> None:
    gallery = importlib.import_module("gallery")
    assert sorted(gallery.NAMES) == NAMES == sorted(BOUNDS)
    assert list(gallery.sections_of(PAGE.read_text())) == list(gallery.NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_reaches_its_figures(name: str, examples: Any) -> None:
    figures = examples(name).figures
    assert all(math.isfinite(value) for value in figures.values())
    assert {f: figures[f] for f, (low, high) in BOUNDS[name].items() if not low <= figures[f] <= high} == {}


@pytest.mark.parametrize("name", NAMES)
def test_an_example_gives_a_picture_that_is_not_too_large(name: str, examples: Any, tmp_path: Path) -> None:
    style = importlib.import_module("style")
    path = tmp_path / f"a{examples(name).suffix}"
    style.save(examples(name).picture, path)
    assert path.stat().st_size < style.LARGEST


@pytest.mark.parametrize("name", NAMES)
def test_the_gallery_shows_what_the_example_gives(name: str, examples: Any) -> None:
    gallery = importlib.import_module("gallery")
    assert gallery.sections_of(PAGE.read_text())[name] == gallery.section(name, examples(name)), "make gallery"
    picture = ROOT / "docs" / "gallery" / f"{name}{examples(name).suffix}"
    assert picture.stat().st_size < importlib.import_module("style").LARGEST
    with Image.open(picture) as image:
        assert image.width >= 800
        assert len(np.unique(np.asarray(image.convert("L")))) > 10


def test_the_same_picture_gives_the_same_bytes(examples: Any, tmp_path: Path) -> None:
    style = importlib.import_module("style")
    for name in ("a.png", "b.png"):
        style.save(examples("activations").picture, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("command", [["nand.py"], ["gallery.py", "nand"]])
def test_an_example_is_a_command(command: list[str], tmp_path: Path) -> None:
    arguments = [sys.executable, str(FOLDER / command[0]), *command[1:], "--quick", "--out", str(tmp_path / "pictures")]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert [path.name for path in tmp_path.rglob("*.*")] == ["nand.png"]


def test_a_sketch_does_not_become_the_gallery(
    examples: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery = importlib.import_module("gallery")
    monkeypatch.setattr(sys, "argv", ["gallery.py", "--quick"])
    with pytest.raises(SystemExit):
        gallery.main()
    assert "the gallery shows full runs" in capsys.readouterr().err


def test_the_worked_network_reaches_the_course_s_figures(examples: Any) -> None:
    found = examples("worked_2_2_2").figures
    expected = {f.name: f for f in FIGURES if f.name != "g(-6)"}  # that is another neuron's
    assert {name: format(found[name], f.spec) for name, f in expected.items()} == {
        n: f.text for n, f in expected.items()
    }


def test_backpropagation_is_printed_as_its_four_equations(examples: Any) -> None:
    printed = re.sub(r"\s", "", "\n".join(examples("backpropagation").formulas))
    assert r"BP1:}\quad\delta^3_{ij}=\frac{\left(1-a^3_{ij}\right)\left(a^3_{ij}-y_{ij}\right)a^3_{ij}}{N}" in printed
    assert r"BP2:}\quad\delta^2_{ij}=\left(1-a^2_{ij}\right)a^2_{ij}\sum_{r}W^3_{jr}\delta^3_{ir}" in printed
    assert r"\left(\frac{\partialC}{\partialW^2}\right)_{ij}=\sum_{r}a^1_{ri}\delta^2_{rj}" in printed
    assert r"\left(\frac{\partialC}{\partialb^2}\right)_{i}=\sum_{r}\delta^2_{ri}" in printed


def test_the_slope_of_the_sigmoid_cancels_under_cross_entropy(examples: Any) -> None:
    quadratic, cross_entropy = examples("slowdown").formulas
    assert quadratic.endswith(r"= \frac{\left(1 - a_{i}\right) \left(a_{i} - y_{i}\right) a_{i}}{N}")
    assert cross_entropy.endswith(r"= \frac{a_{i} - y_{i}}{N}")


def test_derivatives_are_found_in_their_textbook_forms(examples: Any) -> None:
    shown = "\n".join(examples("activations").formulas)
    for form in (r"y' = y \left(1 - y\right)", "y' = 1 - y^{2}", "y' = 1 - e^{- y}"):
        assert form in shown


def test_the_second_derivative_of_a_quadratic_form_gives_it_back(examples: Any) -> None:
    figures = examples("own_op").figures
    assert figures["m'Hm/2"] == pytest.approx(figures["loss"], rel=1e-4)
