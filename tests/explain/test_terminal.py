import sympy
from rich.console import Console

import graphnn as gn
from graphnn.explain.terminal import derivation_table, expression_text, network_table

A, B = sympy.symbols("a b")


def printed(table):
    console = Console(width=200)
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
    assert ["[red]x[/]", "input", "[N,", "3]", "float32"] in rows
    assert [r"y\x1b[31m", "op", "exp", "[N,", "3]", "float32", "exp([red]x[/][i0,", "i1])"] in rows


def test_a_derivation_ends_in_both_forms():
    lines = [line.split() for line in printed(derivation_table(gn.derivation(gn.sigmoid))).splitlines()]
    assert ["definition", "y", "=", "1/(1", "+", "exp(-t0))"] in lines
    assert ["textbook", "form", "y*(1", "-", "y)"] in lines
    assert ["what", "runs", "y*(1", "-", "y)"] in lines
