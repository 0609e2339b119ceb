import json
import sys
import textwrap

import pytest
from click.testing import CliRunner

import graphnn as gn
from graphnn.cli import main

MODEL = """
    import graphnn as gn

    net = gn.Network("small")
    x, y = net.input("x", ("N", 4)), net.input("y", ("N",), dtype="int64")
    hidden = gn.dense(x, 3, activation=gn.sigmoid, name="hidden")
    logits = gn.dense(hidden, 3, name="logits")
    loss = gn.softmax_cross_entropy(logits, y, name="loss")
    number = 3

    def make():
        return net
"""


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "model.py"
    path.write_text(textwrap.dedent(MODEL))
    return str(path)


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(main, [str(a) for a in arguments], env={"COLUMNS": "160"})


def check(result):
    assert result.exit_code == 0, result.output
    return result.output


def test_help_names_every_command(run):
    output = check(run("--help"))
    for command in ("demo", "show", "derive", "compile", "compare", "cache"):
        assert f"\n  {command} " in output


def test_show_lists_nodes_and_draws(run, model, tmp_path):
    output = check(run("show", f"{model}:net", "--dot", tmp_path / "n.dot", "--png", tmp_path / "n.png"))
    assert "network small" in output
    rows = [line.split() for line in output.splitlines()]
    assert ["hidden.W", "parameter", "float32[4,", "3]"] in rows
    assert ["hidden", "sigmoid", "float32[N,", "3]", "1/(1", "+", "exp(-hidden.z[i0,", "i1]))"] in rows
    assert (tmp_path / "n.dot").read_text().startswith("digraph {")
    assert (tmp_path / "n.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("attribute", ["net", "loss", "make"])
def test_a_model_is_a_network_a_tensor_or_a_function(run, model, attribute):
    assert "network small" in check(run("show", f"{model}:{attribute}"))


def test_a_model_is_a_saved_network(run, tmp_path):
    net = gn.Network("saved")
    gn.exp(net.input("x", (2,)), name="[bold]y")
    path = tmp_path / "net.json"
    path.write_text(net.to_json())
    output = check(run("show", path))
    assert "network saved" in output
    assert "[bold]y" in output
    assert "exp(x[i0])" in output


def test_a_model_may_import_its_neighbours(run, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "neighbour_of_the_model.py").write_text("SIZE = 7")
    path = tmp_path / "model.py"
    path.write_text("import graphnn as gn\nfrom neighbour_of_the_model import SIZE\n"
                    "net = gn.Network()\nnet.input('x', (SIZE,))\n")  # fmt: skip
    assert "[7]" in check(run("show", f"{path}:net"))


def test_derive_an_op(run):
    output = check(run("derive", "sigmoid"))
    assert "y*(1 - y)" in output
    assert "exp(-t)/(1 + exp(-t))**2" in output
    assert "y*(1 - y)" not in check(run("derive", "sigmoid", "--accuracy", "tight")).split("emitted")[1]


def test_derive_an_op_with_arguments(run):
    assert "gelu(t)/dt" in check(run("derive", "gelu"))


def test_derive_latex(run):
    assert check(run("derive", "sigmoid", "--latex")).startswith("\\begin{align*}\n& y = \\frac{1}{1 + e^{")


def test_derive_a_tensor_by_what_is_named(run, model):
    output = check(run("derive", f"{model}:net", "loss", "--wrt", "logits"))
    assert "d loss / d logits" in output
    assert "result" in output


def test_derive_a_tensor_by_its_parameters(run, model):
    output = check(run("derive", f"{model}:logits"))
    for name in ("hidden.W", "hidden.b", "logits.W", "logits.b"):
        assert f"d logits / d {name}" in output


@pytest.mark.parametrize(
    ("stage", "start"),
    [("declare", "network small"), ("simplify", "formulas "), ("lower", "program "), ("schedule", "program ")],
)
def test_compile_prints_a_stage(run, model, stage, start):
    output = check(run("compile", f"{model}:net", "hidden", "--until", stage, "--size", "N=4"))
    assert output.startswith(start)
    assert "logits" not in output


def test_compile_prints_the_assembly(run, model):
    output = check(run("compile", f"{model}:hidden", "--until", "run"))
    assert "graphnn_entry:" in output
    assert "\tret" in output


def test_compile_binds_sizes_and_takes_all_ends(run, model):
    output = check(run("compile", f"{model}:net", "--until", "simplify", "--size", "N=17"))
    assert "loss" in output
    assert "17" in output
    assert check(run("compile", f"{model}:loss", "--until", "simplify", "--size", "N=17")) == output


def test_compare_draws_labels_in_range(run, model, tmp_path):
    output = check(run("compare", f"{model}:net", "loss", "--seed", 3, "--size", "N=5", "--plot", tmp_path / "p.png"))
    assert "N = 5" in output
    assert output.count("agrees") == 4
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert check(run("compare", f"{model}:loss", "--seed", 3, "--size", "N=5")) == output


def test_compare_exits_with_1_where_gradients_differ(run, model, monkeypatch):
    from graphnn.check import compare as module
    from graphnn.ops.elementwise import negative

    derive = module.gradients
    monkeypatch.setattr(module, "gradients", lambda *args: [negative(g) for g in derive(*args)])
    result = run("compare", f"{model}:loss")
    assert result.exit_code == 1
    assert result.output.count("DIFFERS") == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "{model}:missing"), "defines no 'missing'"),
        (("show", "{model}:number"), "is a int, neither a Network nor a Tensor"),
        (("show", "{model}"), "name what to take from the file"),
        (("show", "nowhere.json"), "there is no file 'nowhere.json'"),
        (("show", "nowhere.py:net"), "there is no file 'nowhere.py'"),
        (("show", "{model}:net", "--dot", "/nonexistent/n.dot"), "No such file or directory"),
        (("derive", "nonsense"), "unknown op 'nonsense'"),
        (("derive", "softmax"), "graphnn derive FILE.py:LOSS"),
        (("derive", "add"), "'add' is no function of one number"),
        (("derive", "{model}:net"), "name a tensor of network 'small'"),
        (("derive", "{model}:net", "nonsense"), "no node 'nonsense'"),
        (("derive", "{model}:net", "x"), "depends on no trainable parameter"),
        (("derive", "{model}:net", "y", "--wrt", "x"), "'y' is int64"),
        (("compile", "{model}:net", "nonsense"), "no node 'nonsense'"),
        (("compile", "{model}:net", "--size", "M=3"), "no symbolic size 'M'"),
        (("compare", "{model}:net"), "name a tensor of network 'small'"),
        (("compare", "{model}:net", "y"), "no trainable parameter and on no float input"),
    ],
)
def test_an_error_is_one_line_and_exit_code_1(run, model, arguments, message):
    result = run(*(a.format(model=model) for a in arguments))
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    *_, line = result.output.splitlines()
    assert line.startswith("Error: ")
    assert message in line
    assert "Traceback" not in result.output


def test_a_file_that_holds_no_network_is_refused(run, tmp_path):
    path = tmp_path / "net.json"
    for content in (b"__import__('os').system('true')", b"{}", b"\xff\xfe", json.dumps({"nodes": 3}).encode()):
        path.write_bytes(content)
        result = run("show", path)
        assert result.exit_code == 1
        assert result.output.startswith("Error: ")
        assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("pair", ["N", "N=", "=3", "N=x", "N=-1"])
def test_a_size_is_a_name_and_a_number(run, model, pair):
    result = run("compile", f"{model}:net", "--size", pair)
    assert result.exit_code == 2
    assert "is not of the form N=64" in result.output


def test_names_are_inert(run, tmp_path):
    net = gn.Network("[bold]n\x1b[2J")
    name = "[link=x]w\x1b]0;title\x07:smile:"
    gn.sum(gn.exp(net.parameter(name, (2,))), name="loss")
    path = tmp_path / "net.json"
    path.write_text(net.to_json())
    shown = r"[link=x]w\x1b]0;title\x07:smile:"
    for arguments in (("show", path), ("derive", path, "loss"), ("compile", path), ("compare", path, "loss")):
        result = run(*arguments)
        assert result.exit_code == 0, result.output
        assert "\x1b" not in result.output
        assert "\x07" not in result.output
        assert shown in result.output
    assert r"no node '\x1b'" in run("derive", path, "\x1b").output.replace("\\\\", "\\")


def test_demo_passes_its_options_on(run, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("graphnn.demo.run_demo", lambda *arguments: calls.append(arguments))
    check(run("demo", "--out", tmp_path / "d", "--epochs", 3))
    assert calls == [(tmp_path / "d", 3)]
    assert run("demo", "--epochs", 0).exit_code == 2


def test_the_demo_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "graphnn.demo", None)
    result = CliRunner().invoke(main, ["demo"])
    assert result.exit_code == 1
    assert "pip install 'graphnn[data]'" in result.output


def test_cache_lists_and_clears_programs(run, tmp_path, monkeypatch):
    folder = tmp_path / "programs"
    monkeypatch.setenv("GRAPHNN_CACHE_DIR", str(folder))
    monkeypatch.setenv("GRAPHNN_CACHE", "1")
    assert check(run("cache", "path")).strip() == str(folder)
    assert "0  bytes in 0 programs" in check(run("cache", "list"))
    x = gn.Network().input("x", (3,))
    gn.compile(gn.exp(x))
    (entry,) = folder.glob("*.gnn")
    shared = sum(file.stat().st_size for file in folder.glob("*.o"))
    listed = check(run("cache", "list")).splitlines()
    assert shared > 0
    assert listed[-1].split()[0] == str(shared)
    assert listed[0].split()[0] == str(entry.stat().st_size)
    assert listed[0].endswith(entry.stem)
    assert check(run("cache", "clear")) == "1 programs removed\n"
    assert list(folder.iterdir()) == []
    folder.chmod(0o777)
    refused = run("cache", "clear")
    assert refused.exit_code == 1
    assert "may be written to by others" in refused.output
