"""Every example runs; what it prints is right."""

import runpy

import pytest

from tests.course import FIGURES
from tests.docs.pages import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def output(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    return capsys.readouterr().out


def test_every_example_is_checked_here_and_named_in_the_readme() -> None:
    assert [path.stem for path in EXAMPLES] == ["derive_losses", "own_op", "worked_2_2_2"]
    readme = (ROOT / "README.md").read_text()
    assert all(f"`examples/{path.name}`" in readme for path in EXAMPLES)


def test_the_worked_network_prints_the_course_s_figures(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.split(" = ") for line in output("worked_2_2_2", capsys).splitlines() if line.count(" = ") == 1]
    shown = {name.strip(): value for name, value in lines}
    expected = {figure.name: figure.text for figure in FIGURES if figure.name != "g(-6)"}  # that is another neuron's
    assert {name: shown.get(name) for name in expected} == expected


def test_losses_are_derived_to_their_textbook_forms(capsys: pytest.CaptureFixture[str]) -> None:
    printed = output("derive_losses", capsys)
    for form in ("y*(1 - y)", "1 - y**2", "1 - exp(-y)", "(1 - a[i0])*(a[i0] - y[i0])*a[i0]/N", " (a[i0] - y[i0])/N"):
        assert form in printed
    assert "a step is not differentiable" in printed


def test_own_ops_agree_with_numeric_gradients(capsys: pytest.CaptureFixture[str]) -> None:
    printed = output("own_op", capsys)
    assert "loss equals m'Hm/2: True" in printed
    assert printed.count("agrees") == 3
    assert "DIFFERS" not in printed
