import pytest
import sympy
from rich.console import Console

import graphnn as gn
from graphnn.explain.terminal import derivation_table, network_table
from graphnn.explain.text import expression_text

A, B = sympy.symbols("a b")


def printed(table, width=200):
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_equations_and_cases_read_as_written():
    assert expression_text(sympy.Eq(A, B + 1)) == "a = b + 1"
    assert expression_text(sympy.Piecewise((A, A > 0), (0, True))) == "(a if a > 0 else 0)"
    cases = sympy.Piecewise((1, sympy.Eq(A, B)), (2, A < 0), evaluate=False)
    assert expression_text(3 * cases) == "3*(1 if a = b else 2 if a < 0)"


def test_a_network_row_by_row():
    net = gn.Network("net")
    gn.exp(net.input("[red]x[/]", ("N", 3)), name="y\x1b[31m")
    rows = [line.split() for line in printed(network_table(net)).splitlines()]
    assert ["[red]x[/]", "input", "float32[N,", "3]"] in rows
    assert [r"y\x1b[31m", "exp", "float32[N,", "3]", "exp([red]x[/][i0,", "i1])"] in rows


def column(lines, heading):
    start = lines[1].index(heading)
    return [line[start:] for line in lines]


@pytest.mark.parametrize("width", [60, 100, 160])
def test_formulas_get_half_of_the_width_at_least_and_all_that_is_left(width):
    net = gn.Network("net")
    x = net.input("a_name_that_is_longer_than_any_person_would_like_to_read_in_a_table", ("N", 3))
    for _ in range(3):
        x = gn.tanh(x)
    lines = printed(network_table(net, width), width).splitlines()[1:]
    assert max(map(len, lines)) <= width
    assert max(len(text.rstrip()) for text in column(lines, "formula")[2:]) >= width * 0.4


def test_nothing_is_folded_where_everything_fits():
    net = gn.Network("net")
    gn.exp(gn.exp(net.input("x", (2,)), name="y"), name="z")
    _, _, _, _, *rows = printed(network_table(net, 60), 60).rstrip().splitlines()
    assert [row.split()[0] for row in rows] == ["x", "y", "z"]


def test_elements_of_scalars_have_no_brackets():
    net = gn.Network()
    total = gn.sum(net.input("x", ("N",)), name="total")
    assert expression_text(gn.formula(total)) == "sum[r0](x[r0])"
    assert expression_text(gn.formula(total * 2)) == "2*total"


def test_a_derivation_ends_in_both_forms():
    lines = [line.split() for line in printed(derivation_table(gn.derivation(gn.sigmoid))).splitlines()]
    assert ["definition", "y", "=", "1/(1", "+", "exp(-t))"] in lines
    assert ["result", "y*(1", "-", "y)"] in lines
    assert ["emitted", "y*(1", "-", "y)"] in lines
