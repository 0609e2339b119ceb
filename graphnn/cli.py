"""The command line: graphnn demo, show, derive, compile, compare, cache.

A model is named as file.py:attribute, where the attribute is a Network, a Tensor, or a function that returns one (the
file is run), or as a saved network, net.json (nothing in it is run). Names are inert: they format and move nothing.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

import graphnn.ops  # noqa: F401 - fills the registry, in which saved networks and `derive` look
from graphnn.check.compare import compare as compare_gradients
from graphnn.check.sample import draw_inputs
from graphnn.declare.labels import printable
from graphnn.declare.network import Network, Tensor
from graphnn.declare.registry import find_op
from graphnn.errors import DeriveError, GraphError, GraphnnError
from graphnn.explain.derivation import Derivation, derivation
from graphnn.explain.drawing import dot, draw
from graphnn.explain.terminal import derivation_table, network_table
from graphnn.pipeline import STAGES
from graphnn.pipeline import compile as compile_native
from graphnn.run.cache import Cache, cache_directory, check_owner


class _Group(click.Group):
    """An error of graphnn or of a file is one line and exit code 1; any other is a defect and keeps its traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (GraphnnError, OSError) as error:
            raise click.ClickException(printable(str(error).replace("\n", " "))) from error


def _show(*parts: Any) -> None:
    Console().print(*parts, highlight=False, markup=False, emoji=False)


def _sizes(ctx: click.Context, parameter: click.Parameter, pairs: Sequence[str]) -> dict[str, int]:
    sizes = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if not name or not value.isdecimal():
            raise click.BadParameter(f"{pair!r} is not of the form N=64", ctx, parameter)
        sizes[name] = int(value)
    return sizes


_size_option = click.option("--size", "sizes", multiple=True, metavar="N=64", callback=_sizes, help="A symbolic size.")
_accuracy_option = click.option("--accuracy", type=click.Choice(["fast", "tight"]), default="fast", show_default=True)


def load_model(model: str) -> Network | Tensor:
    """The Network or Tensor that a command names. GraphError says what is not there."""
    path, colon, attribute = model.rpartition(":")
    if not colon or not path.endswith(".py"):
        path, attribute = model, ""
    if not Path(path).is_file():
        raise GraphError(f"there is no file '{path}'; a model is file.py:attribute, or net.json")
    if not path.endswith(".py"):
        return Network.from_json(Path(path).read_text(encoding="utf-8", errors="replace"))
    if not attribute:
        raise GraphError(f"name what to take from the file, as {path}:net")
    sys.path.insert(0, str(Path(path).resolve().parent))  # as if Python had been started with the file
    names = runpy.run_path(path)
    if attribute not in names:
        raise GraphError(f"'{path}' defines no '{attribute}'")
    found = names[attribute]
    made = found() if callable(found) and not isinstance(found, Network | Tensor) else found
    if not isinstance(made, Network | Tensor):
        raise GraphError(f"'{model}' is a {type(made).__name__}, neither a Network nor a Tensor")
    return made


def _network(model: Network | Tensor) -> Network:
    return model.network if isinstance(model, Tensor) else model


def _tensor(model: Network | Tensor, name: str | None) -> Tensor:
    """The tensor of that name; without one the model itself."""
    if name is not None:
        return _network(model)[name]
    if isinstance(model, Network):
        raise GraphError(f"name a tensor of network '{model.name}': {', '.join(model.graph)}")
    return model


def _outputs(model: Network | Tensor, names: Sequence[str]) -> list[Tensor]:
    """The named tensors; without names the model itself, or every tensor that nothing reads."""
    if names or isinstance(model, Tensor):
        return [_tensor(model, name) for name in names or (None,)]
    return [model[name] for name, readers in model.graph.out_degree() if not readers and model[name].kind == "op"]


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="graphnn")
def main() -> None:
    """A symbolic computation-graph compiler for neural nets."""


@main.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("demo-output"), show_default=True)
@click.option("--epochs", type=click.IntRange(1), help="60 unless given.")
def demo(out: Path, epochs: int | None) -> None:
    """Train a network on handwritten digits, and show how it was derived and compiled."""
    try:
        from graphnn.demo import EPOCHS, run_demo  # scikit-learn takes longer to import than the other commands to run
    except ModuleNotFoundError as error:
        raise GraphnnError(f"the demo needs {error.name}: pip install 'graphnn[data]'") from error
    run_demo(out, epochs or EPOCHS)


@main.command()
@click.argument("model")
@click.option("--dot", "dot_file", type=click.Path(dir_okay=False, path_type=Path), help="Write Graphviz text.")
@click.option("--png", "png_file", type=click.Path(dir_okay=False, path_type=Path), help="Write a drawing.")
def show(model: str, dot_file: Path | None, png_file: Path | None) -> None:
    """List the nodes of MODEL with their formulas."""
    network = _network(load_model(model))
    _show(network_table(network, Console().width))
    if dot_file is not None:
        dot_file.write_text(dot(network), encoding="utf-8")
    if png_file is not None:
        draw(network, png_file)


@main.command()
@click.argument("model")
@click.argument("tensor", required=False)
@click.option("--wrt", multiple=True, metavar="NAME", help="By what; the trainable parameters unless given.")
@_accuracy_option
@click.option("--latex", is_flag=True, help="Print LaTeX.")
def derive(model: str, tensor: str | None, wrt: Sequence[str], accuracy: Any, latex: bool) -> None:
    """Derive the gradient of TENSOR of MODEL, or of an op by its name: graphnn derive sigmoid."""
    for found in _derivations(model, tensor, wrt, accuracy):
        if latex:
            click.echo(printable(found.latex(), keep="\n"))
        else:
            _show(derivation_table(found))


def _derivations(model: str, tensor: str | None, wrt: Sequence[str], accuracy: Any) -> list[Derivation]:
    if tensor is None and not wrt and model.isidentifier():
        op: Any = find_op(model)
        try:
            return [derivation(op, accuracy=accuracy)]
        except DeriveError as error:
            raise DeriveError(
                f"'{model}' is no function of one number; a gradient through it is that of a network: "
                "graphnn derive FILE.py:LOSS"
            ) from error
    target = _tensor(load_model(model), tensor)
    network = target.network
    if wrt:
        leaves = [network[name] for name in wrt]
    else:
        trainable = (t for t in network.ancestors([target]) if t.kind == "parameter")
        leaves = [t for t in trainable if network.graph.nodes[t.name]["attributes"].get("trainable")]
        if not leaves:
            raise GraphError(f"'{target.name}' depends on no trainable parameter; say by what with --wrt NAME")
    return [derivation(target, leaf, accuracy) for leaf in leaves]


@main.command()
@click.argument("model")
@click.argument("outputs", nargs=-1)
@click.option("--until", type=click.Choice(STAGES), default="schedule", show_default=True, help="The stage to print.")
@_size_option
@_accuracy_option
@click.option("--dtype", type=click.Choice(["float32", "float64"]), help="As declared unless given.")
def compile(model: str, outputs: Sequence[str], until: Any, sizes: dict[str, int], accuracy: Any, dtype: Any) -> None:
    """Print the text of a compiler stage for OUTPUTS of MODEL (all tensors that nothing reads unless named)."""
    tensors = _outputs(load_model(model), outputs)
    compilation = compile_native(tensors, sizes=sizes, accuracy=accuracy, dtype=dtype, until=until)
    click.echo(printable(compilation.stage(until), keep="\n\t"), nl=False)


@main.command()
@click.argument("model")
@click.argument("loss", required=False)
@_size_option
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random inputs and the sample.")
@click.option(
    "--sample", type=click.IntRange(1), default=16, show_default=True, help="Elements differentiated numerically."
)
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="Write the error by step size as a picture."
)
@click.pass_context
def compare(
    ctx: click.Context, model: str, loss: str | None, sizes: dict[str, int], seed: int, sample: int, plot: Path | None
) -> None:
    """Compare native, symbolic and numeric gradients of LOSS at random inputs; exit code 1 where they differ."""
    tensor = _tensor(load_model(model), loss)
    leaves = [t for t in tensor.network.ancestors([tensor]) if t.kind == "input"]
    free = {s.name for t in leaves for extent in t.shape_exprs for s in extent.free_symbols}
    report = compare_gradients(
        tensor, draw_inputs(tensor, dict.fromkeys(sorted(free), 8) | sizes, seed), sample=sample, seed=seed
    )
    _show(report)
    if plot is not None:
        report.plot(plot)
    if not report.agrees:
        ctx.exit(1)


@main.group()
def cache() -> None:
    """The programs that were compiled and are kept on disk."""


@cache.command()
def path() -> None:
    """Print the folder; GRAPHNN_CACHE_DIR names another one."""
    click.echo(cache_directory())


@cache.command(name="list")
def list_programs() -> None:
    """List the programs: size in bytes, time of last use, key; the one used last first."""
    entries = _kept().entries()
    programs = [entry for entry in entries if entry.is_program]
    for entry in programs:
        used = datetime.fromtimestamp(entry.used).astimezone().isoformat(" ", "seconds")
        click.echo(f"{entry.size:>12}  {used}  {entry.path.stem}")
    total = sum(entry.size for entry in programs)
    click.echo(f"{total:>12}  bytes in {len(programs)} programs")
    click.echo(f"{sum(entry.size for entry in entries) - total:>12}  bytes that they share: runtime and declarations")


@cache.command()
def clear() -> None:
    """Remove every program, and what they share."""
    click.echo(f"{_kept().clear()} programs removed")


def _kept() -> Cache:
    """The cache as it lies there, switched off or not. BoundaryError for a folder that others may write to."""
    directory = cache_directory()
    if directory.exists():
        check_owner(directory)
    return Cache(directory)
