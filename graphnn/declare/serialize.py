"""Networks to and from JSON.

The file holds the nodes in the order of declaration (operands first), a table of the distinct definitions as
trees (`trees.py`), and the initialisers. The values of state are not in it; save them as arrays beside it.
Whatever is read is data: names stay labels, nothing is parsed as code, and every definition is verified again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sympy

from graphnn.declare.attributes import plain
from graphnn.declare.definition import Access, Definition, Extent, OperandType, Step, access_symbol
from graphnn.declare.initializer import initializer_from_json, initializer_to_json
from graphnn.declare.notation import axis_symbol
from graphnn.declare.sizes import as_exprs
from graphnn.declare.trees import Scope, Tree, decode, encode
from graphnn.declare.verify import check_extent, verify_definition
from graphnn.errors import DTypeError, GraphError, ShapeError

if TYPE_CHECKING:
    from graphnn.declare.network import Network, Tensor

FORMAT = "graphnn network"
VERSION = 1


def to_json(network: Network) -> str:
    """The whole network as JSON text, but for the values of its state. Equal networks give equal text.

    A user's own initialiser is code and is not stored: its variable starts at 0 when the file is read. Raises
    GraphError where a formula holds a function that is not in the table of `trees.py`.
    """
    table: dict[tuple[Definition, str], int] = {}
    nodes = []
    for name, data in network.graph.nodes(data=True):
        node: dict[str, Any] = {"name": name, "kind": data["kind"], "dtype": data["dtype"]}
        node["shape"] = [encode(size, {}) for size in as_exprs(data["shape"])]
        if data["kind"] == "op":
            definition = data.get("definition")
            if definition is None:
                raise GraphError(f"'{name}' has no definition to store")
            node["op"] = data["op"]
            node["definition"] = table.setdefault((definition, definition.op), len(table))
            node["operands"] = [operand.name for operand in network.operands(network[name])]
        if data.get("derived"):
            node["derived"] = True
        if name in network.initializers:
            node["init"] = initializer_to_json(network.initializers[name])
        if data["attributes"]:
            node["attributes"] = {str(k): plain(v) for k, v in data["attributes"].items()}
        nodes.append(node)
    definitions = [_encode_definition(definition) for definition, _ in table]
    content = {"format": FORMAT, "version": VERSION, "name": network.name, "definitions": definitions, "nodes": nodes}
    if network.updates:
        content["updates"] = {name: value.name for name, value in network.updates.items()}
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def read_json(text: str, network: Network) -> None:
    """Fill an empty network from `to_json` text; its state is not yet drawn.

    Raises GraphError, ShapeError or DTypeError, which names the node or definition, for anything malformed.
    """
    try:
        content = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
    except RecursionError as error:
        raise GraphError("the JSON of a network is nested too deeply") from error
    except (TypeError, ValueError) as error:
        raise GraphError(f"this is not the JSON of a network: {error!s:.120}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise GraphError(f"this is not the JSON of a network: its format is not {FORMAT!r}")
    if content.get("version") != VERSION:
        raise GraphError(
            f"the network's format version is {content.get('version')!r:.20}; this reads version {VERSION}"
        )
    try:
        _read_network(content, network)
    except RecursionError as error:
        raise GraphError("the JSON of a network is nested too deeply") from error


def _read_network(content: dict[str, Any], network: Network) -> None:
    network.rename(_field(content, "name", str, "the network"))
    definitions = [
        _decode_definition(data, f"definition {number}")
        for number, data in enumerate(_field(content, "definitions", list, "the network"))
    ]
    for number, data in enumerate(_field(content, "nodes", list, "the network")):
        if not isinstance(data, dict):
            raise GraphError(f"node {number} is not an object")
        _read_node(network, data, definitions, f"node {_field(data, 'name', str, f'node {number}')!r:.80}")
    updates = _field(content, "updates", dict, "the network") if "updates" in content else {}
    for variable, value in updates.items():
        for name in (variable, value):
            if not isinstance(name, str) or name not in network:
                raise GraphError(f"updates: {name!r:.80} is no node of the network")
        network.update(network[variable], network[value])


def _read_node(network: Network, data: dict[str, Any], definitions: list[Definition], where: str) -> None:
    kind, name = _field(data, "kind", str, where), _field(data, "name", str, where)
    dtype = _field(data, "dtype", str, where)
    shape = tuple(decode(size, {}, f"{where}: shape") for size in _field(data, "shape", list, where))
    attributes = _field(data, "attributes", dict, where) if "attributes" in data else {}
    if kind == "op":
        _read_op(network, data, definitions, shape, attributes, where)
        return
    for size in shape:
        check_extent(size, f"{where}: shape")
    dims = [int(d) if d.is_Integer else str(d) for d in shape]
    if kind == "input":
        network.input(name, dims, dtype)
    elif kind == "parameter":
        role, trainable = attributes.get("role", "weight"), attributes.get("trainable", True)
        if not isinstance(trainable, bool):
            raise GraphError(f"{where}: trainable is true or false")
        initializer = initializer_from_json(data.get("init"))
        network.parameter(name, _whole(dims, where), initializer, dtype, role, trainable)
    elif kind == "state":
        network.variable(name, _whole(dims, where), initializer_from_json(data.get("init")), dtype)
    elif kind == "mode":
        network.mode(name)
        if dtype != "bool":
            raise DTypeError(f"{where}: a mode is bool, not {dtype!r:.40}")
    else:
        raise GraphError(f"{where}: unknown kind {kind!r:.40}; kinds are input, parameter, state, mode and op")
    if network[name].shape_exprs != shape:
        raise ShapeError(f"{where}: its extents are integers and names of sizes, not {shape}")
    network.graph.nodes[name]["attributes"] |= attributes


def _whole(dims: list[Any], where: str) -> list[int]:
    if not all(isinstance(d, int) and d < 2**63 for d in dims):
        raise ShapeError(f"{where}: the extents of a state variable are integers, got {dims}")
    return dims


def _read_op(
    network: Network,
    data: dict[str, Any],
    definitions: list[Definition],
    shape: tuple[sympy.Expr, ...],
    attributes: dict[str, Any],
    where: str,
) -> None:
    number, names = _field(data, "definition", int, where), _field(data, "operands", list, where)
    if not 0 <= number < len(definitions):
        raise GraphError(f"{where}: there is no definition {number}; there are {len(definitions)}")
    definition = definitions[number]
    operands: list[Tensor] = []
    for slot, operand in enumerate(names):
        if not isinstance(operand, str) or operand not in network:
            raise GraphError(
                f"{where}: operand {slot} is {operand!r:.80}, which is no node before it: operands come first, "
                "so a later name is a cycle or a node that does not exist"
            )
        operands.append(network[operand])
    if len(operands) != len(definition.operands):
        raise GraphError(f"{where}: {len(operands)} operands for a definition of {len(definition.operands)}")
    for slot, (tensor, expected) in enumerate(zip(operands, definition.operands, strict=True)):
        if tensor.shape_exprs != expected.shape:
            raise ShapeError(
                f"{where}: operand {slot}, '{tensor.name}', has shape {tensor.shape_exprs}, "
                f"but the definition is of shape {expected.shape}"
            )
        if tensor.dtype != expected.dtype:
            raise DTypeError(f"{where}: operand {slot}, '{tensor.name}', is {tensor.dtype}, not {expected.dtype}")
    if shape != definition.shape:
        raise ShapeError(f"{where}: its shape {shape} is not that of its definition, {definition.shape}")
    if data["dtype"] != definition.dtype:
        raise DTypeError(f"{where}: it is {data['dtype']!r:.40}, its definition gives {definition.dtype}")
    recipe = (Step(definition, tuple(range(len(operands)))),)
    network.add_recipe(recipe, operands, _field(data, "op", str, where), data["name"], attributes)
    if "derived" in data and _field(data, "derived", bool, where):
        network.graph.nodes[data["name"]]["derived"] = True


def _encode_definition(definition: Definition) -> dict[str, Any]:
    scope = _axis_scope(len(definition.axes), len(definition.reduced))
    accesses = []
    for access in definition.accesses:
        accesses.append({"operand": access.operand, "index": [encode(i, scope) for i in access.index]})
        scope[access.symbol.name] = access.symbol
    return {
        "op": definition.op,
        "operands": [{"shape": _encode_shape(o.shape), "dtype": o.dtype} for o in definition.operands],
        "axes": _encode_shape(definition.shape),
        "reducer": definition.reducer,
        "reduced": [encode(e.size, {}) for e in definition.reduced],
        "guard": encode(definition.guard, scope),
        "accesses": accesses,
        "body": encode(definition.body, scope),
        "dtype": definition.dtype,
    }


def _encode_shape(shape: tuple[sympy.Expr, ...]) -> list[Tree]:
    return [encode(size, {}) for size in shape]


def _axis_scope(count: int, reduced: int) -> dict[str, sympy.Symbol]:
    names = [*(f"i{n}" for n in range(count)), *(f"r{n}" for n in range(reduced))]
    return {name: axis_symbol(name) for name in names}


def _decode_definition(data: Any, where: str) -> Definition:
    if not isinstance(data, dict):
        raise GraphError(f"{where} is not an object")
    operands = []
    for slot, operand in enumerate(_field(data, "operands", list, where)):
        place = f"{where}: operand {slot}"
        shape = tuple(decode(size, {}, place) for size in _field(operand, "shape", list, place))
        operands.append(OperandType(shape, _field(operand, "dtype", str, place)))
    axes, reduced = _field(data, "axes", list, where), _field(data, "reduced", list, where)
    scope = _axis_scope(len(axes), len(reduced))
    symbols = list(scope.values())
    sizes = [
        decode(size, {}, f"{where}: the extent of {s}") for s, size in zip(symbols, [*axes, *reduced], strict=True)
    ]
    extents = tuple(Extent(symbol, size) for symbol, size in zip(symbols, sizes, strict=True))
    accesses = []
    for number, access in enumerate(_field(data, "accesses", list, where)):
        place = f"{where}: access t{number}"
        operand = _field(access, "operand", int, place)
        if not 0 <= operand < len(operands):
            raise GraphError(f"{place}: there is no operand {operand}; there are {len(operands)}")
        index = tuple(decode(i, scope, place) for i in _field(access, "index", list, place))
        symbol = access_symbol(number, operands[operand].dtype)
        accesses.append(Access(symbol, operand, index))
        scope[symbol.name] = symbol
    reducer = data.get("reducer")
    definition = Definition(
        operands=tuple(operands),
        axes=extents[: len(axes)],
        reducer=None if reducer is None else _field(data, "reducer", str, where),
        reduced=extents[len(axes) :],
        guard=_formula(data, "guard", scope, where),
        accesses=tuple(accesses),
        body=_formula(data, "body", scope, where),
        dtype=_field(data, "dtype", str, where),
        op=_field(data, "op", str, where),
    )
    verify_definition(definition, where)
    return definition


def _formula(data: dict[str, Any], key: str, scope: Scope, where: str) -> Any:
    return decode(_field(data, key, list, where), scope, f"{where}: {key}")


def _field(data: Any, key: str, kind: type, where: str) -> Any:
    value = data.get(key) if isinstance(data, dict) else None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise GraphError(f"{where}: '{key}' is missing or no {kind.__name__}")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("an object has two equal keys")
    return made


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")
