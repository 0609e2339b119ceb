"""Where elements lie in memory: addresses of scalars, of vectors, and one for each lane."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

from graphnn.emit.access import names_in, offset_of, product, slope, total
from graphnn.emit.environment import Environment
from graphnn.emit.writer import Value, constant, vector_type
from graphnn.lower.affine import affine
from graphnn.lower.ir import Buffer, Stored
from graphnn.schedule.affine import folded
from graphnn.schedule.statements import Access
from graphnn.simplify.expr import Axis, Const, Expr, index_constant, substitute

MEMORY: dict[Stored, str] = {"float32": "float", "float64": "double", "int64": "i64", "bool": "i8", "int8": "i8"}


class Addresses(Environment, ABC):
    """An Environment that addresses memory."""

    @abstractmethod
    def value(self, e: Expr) -> Value:
        """The value of an expression: a scalar if it does not vary by lane."""

    @abstractmethod
    def expr(self, e: Expr) -> Value:
        """The value of an expression, with `lanes` elements."""

    def varies(self, e: Expr) -> bool:
        """Whether the lanes may hold different values of `e`."""
        return not self.varying.isdisjoint(names_in(e))

    def iota(self) -> Value:
        """<0, 1, 2, ...>, one i64 a lane."""
        return Value(vector_type("i64", self.lanes), f"<{', '.join(f'i64 {k}' for k in range(self.lanes))}>")

    def offset(self, buffer: Buffer, index: tuple[Expr, ...]) -> Expr:
        """`offset_of`, the same object for an index that comes again: what was found about it stays with it."""
        place = buffer.name, index
        if place not in self.offsets:
            self.offsets[place] = offset_of(buffer, index)
        return self.offsets[place]

    def is_contiguous(self, offset: Expr) -> bool:
        """Whether neighbouring lanes address neighbouring elements."""
        assert self.vector_axis is not None
        by_axis_only = self.varying.isdisjoint(names_in(offset) - {self.vector_axis})
        return by_axis_only and slope(offset, self.vector_axis) == index_constant(1)

    @contextmanager
    def anchored(self, found: Iterable[Access], axes: Collection[str]) -> Iterator[None]:
        """Where `point` binds these axes, address accesses by their distances from the first point, if those are known.

        What the elements of an access have in common is computed here, once.
        """
        first: dict[Expr, Expr] = {Axis(name): index_constant(0) for name in axes}
        anchors = {}
        for access in dict.fromkeys(found):
            buffer = self.buffers[access.buffer].buffer
            offset = self.offset(buffer, access.index)
            steps = {name: slope(offset, name) for name in axes if name in names_in(offset)}
            numbers = {name: int(step.value) for name, step in steps.items() if isinstance(step, Const)}
            if not numbers or len(numbers) < len(steps):
                continue
            start = offset_of(buffer, tuple(folded(substitute(e, first)) for e in access.index))
            together = not self.varies(start) or self.is_contiguous(start)
            common = self.address(access.buffer, start) if together else self.expr(start)
            anchors[access.buffer, offset] = common, numbers
        outer, self.anchors = self.anchors, anchors
        yield
        self.anchors = outer

    def address(self, name: str, offset: Expr) -> Value:
        """The address of the first lane's element.

        What it depends on is added up from the outermost axis inwards, and what is constant at last: neighbours share
        all of it but the constant, which is no instruction. W[2*i + 1, j] -> (W + 2*rows*i + j) + rows
        """
        bound = self.buffers[name]
        element = MEMORY[bound.buffer.stored]
        if (anchor := self.anchors.get((name, offset))) is not None:
            return self.writer.gep(element, anchor[0], self.distance(anchor[1]))
        form = affine(offset)
        constant_part = form.constant
        terms: list[tuple[int, Expr]] = []
        order = list(self.axes)
        for atom, coefficient in form.terms:
            known = self.axes[atom.name].ref if isinstance(atom, Axis) else "%"
            if known[0] != "%":
                constant_part += coefficient * int(known)
            else:
                depth = order.index(atom.name) if isinstance(atom, Axis) else len(order)
                terms.append((depth, product(atom, index_constant(coefficient))))
        terms.sort(key=lambda term: term[0])
        moving: Expr = index_constant(0)
        for _, term in terms:
            moving = total(moving, term)
        place = self.known.get((name, moving))
        if place is None:
            first = self.writer.gep(element, bound.base, self.first_lane(moving))
            self.remember((name, moving), first, names_in(moving))
        else:
            first = place[0]
        return self.writer.gep(element, first, constant("i64", constant_part))

    def distance(self, steps: Mapping[str, int]) -> Value:
        """How far the present point is from the first one."""
        return constant("i64", sum(self.places[name] * step for name, step in steps.items()))

    def first_lane(self, e: Expr) -> Value:
        """The scalar that an expression of axes is in the first lane."""
        outer = self.lanes, self.varying
        self.lanes, self.varying = 1, frozenset()
        value = self.value(e)
        self.lanes, self.varying = outer
        return value

    def addresses(self, name: str, offset: Expr) -> Value:
        """The address of each lane's element."""
        bound, axis, anchor = self.buffers[name], self.vector_axis, self.anchors.get((name, offset))
        assert axis is not None
        element, many = MEMORY[bound.buffer.stored], vector_type("ptr", self.lanes)
        step = slope(offset, axis) if names_in(offset) & self.varying == {axis} else None
        if anchor is not None:
            base, index = self.writer.gep(element, bound.base, self.distance(anchor[1])), anchor[0]
        elif isinstance(step, Const):
            base = self.address(name, offset)
            items = ", ".join(f"i64 {k * int(step.value)}" for k in range(self.lanes))
            index = Value(vector_type("i64", self.lanes), f"<{items}>")
        else:
            base, index = bound.base, self.expr(offset)
        return self.writer.ins(many, f"getelementptr {element}, {base}, {index}")
