"""Tensor: a handle of a node, with Python's operators; Requested: the handle of a node that is not made yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from graphnn.declare.definition import Definition
from graphnn.declare.extents import Dims
from graphnn.declare.outline import LateDefinition, Outline
from graphnn.declare.registry import find_op
from graphnn.declare.sizes import as_exprs
from graphnn.errors import GraphError
from graphnn.late import sympy

if TYPE_CHECKING:
    from graphnn.declare.network import Network
    from graphnn.declare.requests import Request


class Tensor:
    """A node of a network. `==` is identity; the other Python operators add nodes."""

    __slots__ = ("_name", "network")
    __array_ufunc__ = None  # numpy leaves the operators to us

    def __init__(self, network: Network, name: str) -> None:
        self.network, self._name = network, name

    @property
    def name(self) -> str:
        return self._name

    @property
    def shape(self) -> Dims:
        """The extents: ints, and str for symbolic sizes and expressions of them."""
        shape: Dims = self.network.made.nodes[self.name]["shape"]
        return shape

    @property
    def shape_exprs(self) -> tuple[sympy.Expr, ...]:
        """The extents as sympy integers and size symbols."""
        return as_exprs(self.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> str:
        dtype: str = self.network.made.nodes[self.name]["dtype"]
        return dtype

    @property
    def kind(self) -> str:
        kind: str = self.network.made.nodes[self.name]["kind"]
        return kind

    @property
    def definition(self) -> Definition | None:
        """The formula of an op node; None for inputs and state."""
        data = self.network.made.nodes[self.name]
        found: Definition | LateDefinition | None = data.get("definition")
        if isinstance(found, LateDefinition):
            found = data["definition"] = found.make()
        return found

    @property
    def outline(self) -> Outline | None:
        """What there is to know of the formula without making it; None for inputs and state."""
        found: Definition | LateDefinition | None = self.network.made.nodes[self.name].get("definition")
        if found is None or isinstance(found, LateDefinition):
            return None if found is None else found.outline
        from graphnn.declare.describe import describe  # where formulas are

        return describe(found)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name!r} {self.dtype}[{', '.join(map(str, self.shape))}]>"

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Tensor) and self.network is other.network and self.name == other.name
        )

    def __hash__(self) -> int:
        return hash((id(self.network), self.name))

    def __iter__(self) -> NoReturn:
        raise GraphError(
            f"'{self.name}' {self.shape} cannot be iterated over: a network is static; slice it, as in x[:, 0], or use "
            "an op with axis="
        )

    def __bool__(self) -> bool:
        raise GraphError(f"'{self.name}' has no truth value: a network is static; use gn.where")

    # fmt: off
    def __add__(self, other: Any) -> Tensor: return _apply("add", self, other)
    def __radd__(self, other: Any) -> Tensor: return _apply("add", other, self)
    def __sub__(self, other: Any) -> Tensor: return _apply("subtract", self, other)
    def __rsub__(self, other: Any) -> Tensor: return _apply("subtract", other, self)
    def __mul__(self, other: Any) -> Tensor: return _apply("multiply", self, other)
    def __rmul__(self, other: Any) -> Tensor: return _apply("multiply", other, self)
    def __truediv__(self, other: Any) -> Tensor: return _apply("divide", self, other)
    def __rtruediv__(self, other: Any) -> Tensor: return _apply("divide", other, self)
    def __pow__(self, other: Any) -> Tensor: return _apply("power", self, other)
    def __rpow__(self, other: Any) -> Tensor: return _apply("power", other, self)
    def __matmul__(self, other: Any) -> Tensor: return _apply("matmul", self, other)
    def __neg__(self) -> Tensor: return _apply("negative", self)
    def __abs__(self) -> Tensor: return _apply("abs", self)
    def __lt__(self, other: Any) -> Tensor: return _apply("less", self, other)
    def __le__(self, other: Any) -> Tensor: return _apply("less_equal", self, other)
    def __gt__(self, other: Any) -> Tensor: return _apply("greater", self, other)
    def __ge__(self, other: Any) -> Tensor: return _apply("greater_equal", self, other)
    def __getitem__(self, index: Any) -> Tensor: return _apply("slice", self, index=index)
    # fmt: on

    @property
    def T(self) -> Tensor:
        """The transpose (all axes reversed)."""
        return _apply("transpose", self)


def _apply(op: str, *operands: Any, **attributes: Any) -> Tensor:
    tensor: Tensor = find_op(op)(*operands, **attributes)
    return tensor


class Requested(Tensor):
    """A node that was asked for and is made when somebody looks: its shape and dtype are known, its name is not yet.

    Its `name`, `definition`, `==` and hash make it, and raise what making it raised.
    """

    __slots__ = ("position", "request")

    def __init__(self, network: Network, request: Request, position: int) -> None:
        self.network, self.request, self.position = network, request, position

    @property
    def name(self) -> str:
        return self.network.requests.names(self.request)[self.position]

    @property
    def shape(self) -> Dims:
        return self.request.types[self.position].shape

    @property
    def dtype(self) -> str:
        return self.request.types[self.position].dtype

    @property
    def kind(self) -> str:
        return "op"
