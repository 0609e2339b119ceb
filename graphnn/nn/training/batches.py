"""Arrays by input name, checked once, and mini-batches of them, drawn ahead of the step that needs them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphnn.declare.definition import FLOATS
from graphnn.declare.network import Tensor
from graphnn.errors import BoundaryError, GraphError
from graphnn.nn.training.converted import Converted
from graphnn.run.arrays import PLAIN
from graphnn.run.steps import Stretch

Arrays = dict[str, npt.NDArray[Any]]
Sources = dict[str, npt.NDArray[Any] | Converted]  # what batches are drawn from
Augment = Callable[[npt.NDArray[Any], int, int], npt.NDArray[Any]]  # (rows of a batch, epoch, number of the batch)

AHEAD = 2  # batches drawn while a step runs: one to go on with at once, one for where drawing is the slower half


def batch_symbol(inputs: Sequence[Tensor]) -> str | None:
    """The symbolic size that the inputs lead with: the number of rows of a batch. None where all extents are ints."""
    leading = [t.shape[0] for t in inputs if t.ndim and isinstance(t.shape[0], str)]
    if len(set(leading)) > 1:
        shapes = ", ".join(f"'{t.name}' {t.shape}" for t in inputs)
        raise GraphError(
            f"mini-batches need one leading size, the inputs have several: {shapes}; batch_size=None takes whole arrays"
        )
    return leading[0] if leading else None


@dataclass(frozen=True, slots=True)
class Expected:
    """What the array of an input must be.

    `rows` tells that its first extent is the number of rows of a batch, `open` that this extent is no fixed one;
    `fixed` are the axes whose extents are numbers, and these.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str, ...]
    rows: bool
    open: bool
    fixed: tuple[tuple[int, int], ...]


def expect(inputs: Sequence[Tensor], batch: str | None, dtype: str | None) -> dict[str, Expected]:
    """What the array of each input must be, by name; floats are `dtype` where it is given."""
    found = {}
    for tensor in inputs:
        chosen = dtype if dtype is not None and tensor.dtype in FLOATS else tensor.dtype
        leading = tensor.shape[0] if tensor.ndim else None
        rows, is_open = leading is not None and leading == batch, isinstance(leading, str)
        fixed = tuple((axis, extent) for axis, extent in enumerate(tensor.shape) if isinstance(extent, int))
        found[tensor.name] = Expected(tensor.name, np.dtype(chosen), tensor.shape, rows, is_open, fixed)
    return found


def check_arrays(expected: Mapping[str, Expected], data: object, what: str) -> tuple[Arrays, int]:
    """(the arrays of `data`, their number of rows; 1 without a batch size); what is `Converted` becomes an array.

    Raises BoundaryError as `check_sources` does.
    """
    sources, rows = check_sources(expected, data, what)
    return {name: np.asarray(source) for name, source in sources.items()}, rows


def check_sources(expected: Mapping[str, Expected], data: object, what: str) -> tuple[Sources, int]:
    """(what `data` gives for each input; its number of rows, 1 without a batch size).

    Nothing is copied but integers that are narrower than int64, as labels often are: they are converted, once, and
    batch by batch where they are a memory map.

    Raises BoundaryError, naming `what`, for arrays without names, a missing or unknown name, another dtype, another
    number of dimensions or fixed extent, different lengths, or no rows. The values of labels are checked by the
    executable.
    """
    if type(data) is not dict and not isinstance(data, Mapping):
        named = ", ".join(f"{name!r}: ..." for name in expected)
        raise BoundaryError(f"{what}: give the arrays by name: {{{named}}}, not a bare {type(data).__name__}")
    for name in data:
        if name not in expected:
            raise BoundaryError(f"{what}: there is no input '{name}'; the inputs are {', '.join(expected)}")
    sources: Sources = {}
    rows, alike = -1, True
    for name, needed in expected.items():
        if name not in data:
            raise BoundaryError(f"{what}: no array is given for the input '{name}'")
        given = data[name]
        known = type(given) is np.ndarray and given.dtype is needed.dtype
        array = sources[name] = given if known else _source(given, needed)
        if array.dtype != needed.dtype:
            lazily = f", or gn.data.Converted(..., '{needed.dtype}') to convert batch by batch" if needed.rows else ""
            raise BoundaryError(
                f"{what}: '{name}' is {array.dtype}, not {needed.dtype}; use .astype('{needed.dtype}'){lazily}"
            )
        if array.ndim != len(needed.shape):
            raise BoundaryError(f"{what}: '{name}' has shape {array.shape}, the input is {needed.shape}")
        shape = array.shape
        for axis, extent in needed.fixed:
            if shape[axis] != extent:
                raise BoundaryError(
                    f"{what}: '{name}' has shape {shape}, extent {shape[axis]} in axis {axis}; the input is "
                    f"{needed.shape}, it must be {extent}"
                )
        if needed.open and shape[0] == 0:
            raise BoundaryError(f"{what}: '{name}' has shape {shape}: there are no rows; give at least one")
        if needed.rows:
            alike, rows = rows in (-1, shape[0]) and alike, shape[0]
    if not alike:
        listed = ", ".join(f"'{name}' {len(sources[name])}" for name, needed in expected.items() if needed.rows)
        raise BoundaryError(f"{what}: the arrays have different lengths: {listed}")
    return sources, 1 if rows < 0 else rows


def _source(given: Any, needed: Expected) -> npt.NDArray[Any] | Converted:
    """The array or `Converted`, narrower integers as the int64 that is needed."""
    if isinstance(given, Converted):
        return given
    array = np.asarray(given)
    integers = array.dtype.kind in "iu" and needed.dtype.kind == "i"
    if not integers or array.dtype == needed.dtype or not np.can_cast(array.dtype, needed.dtype):
        return array
    mapped = needed.rows and array.ndim > 0 and is_mapped(array)
    return Converted(array, "int64") if mapped else array.astype(needed.dtype)


class Batches:
    """Mini-batches of `size` rows, the last one as long as what is left.

    Rows are gathered into buffers made once, so a batch is good until the next one is asked for. `augment` changes the
    batch of an input. `background` draws AHEAD batches ahead on a thread; unless given, where there is more to do than
    to gather rows of memory. It changes no batch.

    `plain` tells that all there is to do is to gather rows that native code can read.
    """

    def __init__(
        self,
        arrays: Mapping[str, npt.NDArray[Any] | Converted],
        batched: Sequence[str],
        rows: int,
        size: int,
        augment: Mapping[str, Augment] | None = None,
        background: bool | None = None,
    ) -> None:
        self._sources: Mapping[str, Any] = arrays
        self._batched, self._rows, self._size = batched, rows, min(size, rows)
        self._augment, self._background, self._count = augment or {}, background, -(-rows // self._size)
        self.plain = not augment and all(map(is_plain, arrays.values()))
        self._buffers: list[Arrays] = []  # made when the first batch is drawn

    def __len__(self) -> int:
        return self._count

    def over(
        self, order: npt.NDArray[np.int64], epoch: int = 0, first: int = 0
    ) -> Generator[tuple[Arrays, int], None, None]:
        """(arrays, number of rows) of each batch from number `first` on, the rows in this order.

        `epoch` is for `augment`. Close the iterator if you leave it early: that ends the thread.
        """
        ahead = self._ahead()
        drawn_from = {name: source for name, source in self._sources.items() if name in self._batched}
        self._buffers = self._buffers or [
            {name: np.empty((self._size, *source.shape[1:]), source.dtype) for name, source in drawn_from.items()}
            for _ in range(ahead + 1)
        ]
        if not ahead:
            for number in range(first, len(self)):
                yield self._draw(order, epoch, number)
            return
        drawn: deque[Future[tuple[Arrays, int]]] = deque()
        worker = ThreadPoolExecutor(1, "batches")
        try:
            for number in range(first, len(self)):
                drawn.append(worker.submit(self._draw, order, epoch, number))
                if len(drawn) > ahead:
                    yield drawn.popleft().result()
            while drawn:
                yield drawn.popleft().result()
        finally:
            worker.shutdown(cancel_futures=True)

    def stretches(
        self, order: npt.NDArray[np.int64] | None, epoch: int = 0, first: int = 0
    ) -> Generator[Stretch, None, None]:
        """The same batches for native code, which gathers them itself where they are `plain`.

        They are two stretches then, since the last batch may be a smaller one; else each batch is one. Without an
        order, the rows as they lie. Close the iterator as that of `over`.
        """
        if not self.plain:
            rows = np.arange(self._rows) if order is None else order
            with closing(self.over(rows, epoch, first)) as drawn:
                for batch, count in drawn:
                    arrays = {name: np.require(array, requirements=("C", "A")) for name, array in batch.items()}
                    yield Stretch(arrays, self._batched, count, 0, 1)
            return
        whole, rest = divmod(self._rows, self._size)
        if first < whole:
            yield Stretch(self._sources, self._batched, self._size, first * self._size, whole - first, order)
        if rest and first <= whole:
            yield Stretch(self._sources, self._batched, rest, whole * self._size, 1, order)

    def _ahead(self) -> int:
        """How many batches are drawn before they are asked for."""
        if self._background is None:
            read = () if self.plain else [self._sources[name] for name in self._batched]
            slow = any(isinstance(source, Converted) or is_mapped(source) for source in read)
            return AHEAD if self._augment or slow else 0
        return AHEAD if self._background else 0

    def _draw(self, order: npt.NDArray[np.int64], epoch: int, number: int) -> tuple[Arrays, int]:
        chosen = order[number * self._size : (number + 1) * self._size]
        batch = {name: np.asarray(source) for name, source in self._sources.items() if name not in self._batched}
        for name, buffer in self._buffers[number % len(self._buffers)].items():
            batch[name] = _take(self._sources[name], chosen, buffer[: len(chosen)])
        for name, augment in self._augment.items():
            changed = augment(batch[name], epoch, number)
            batch[name] = _check_augmented(name, batch[name], changed)
        return batch, len(chosen)


def is_plain(array: npt.NDArray[Any] | Converted) -> bool:
    """Whether native code can read the array as it is, without waiting for a disk."""
    if type(array) is not np.ndarray or array.flags.num & PLAIN != PLAIN:
        return False
    return array.base is None or not is_mapped(array)


def is_mapped(array: npt.NDArray[Any] | Converted) -> bool:
    """Whether the array is a view of a memory map."""
    base: object = array
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    return isinstance(base, np.memmap)


def _take(
    source: npt.NDArray[Any] | Converted, chosen: npt.NDArray[np.int64], out: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    if isinstance(source, Converted):
        return source.take(chosen, out)
    if source.flags.c_contiguous and source.flags.aligned:
        # The indices are a permutation's: mode="clip" only spares NumPy the copy that "raise" makes with out=.
        return np.take(source, chosen, axis=0, out=out, mode="clip")
    out[...] = source[chosen]  # np.take would first copy the whole source
    return out


def _check_augmented(name: str, given: npt.NDArray[Any], changed: object) -> npt.NDArray[Any]:
    if isinstance(changed, np.ndarray) and (changed.dtype, changed.shape) == (given.dtype, given.shape):
        return changed
    is_array = isinstance(changed, np.ndarray)
    found = f"{changed.dtype} {changed.shape}" if is_array else f"a {type(changed).__name__}"  # type: ignore[attr-defined]
    raise BoundaryError(f"augment: '{name}' was {given.dtype} {given.shape} and became {found}; keep dtype and shape")


def match_augment(
    augment: Augment | Mapping[str, Augment] | None, expected: Mapping[str, Expected]
) -> dict[str, Augment]:
    """What augments the batches of each input, by its name; a function by itself is for the one input of images.

    Raises GraphError for a name that is no input with rows, for what is no function, and where no input or several
    are images (N, C, H, W).
    """
    if augment is None:
        return {}
    batched = {name: needed for name, needed in expected.items() if needed.rows}
    if not isinstance(augment, Mapping):
        images = [name for name, needed in batched.items() if len(needed.shape) == 4 and needed.dtype.kind == "f"]
        if len(images) != 1:
            raise GraphError(
                f"augment: the inputs of images (N, C, H, W) are {images}; name one: augment={{name: ...}}"
            )
        augment = {images[0]: augment}
    for name, function in augment.items():
        if name not in batched:
            raise GraphError(f"augment: '{name}' is no input with rows; there are {', '.join(batched) or 'none'}")
        if not callable(function):
            raise GraphError(f"augment: '{name}' takes a function (rows, epoch, batch) -> rows, not {function!r}")
    return dict(augment)


def mean_over(batches: Batches, rows: int, run: Callable[[Arrays], Mapping[str, Any]]) -> dict[str, float]:
    """The means over all rows of values that are means over the rows of each batch."""
    totals: dict[str, float] = {}
    with closing(batches.over(np.arange(rows))) as drawn:
        for batch, count in drawn:
            for name, value in run(batch).items():
                totals[name] = totals.get(name, 0.0) + count * float(value)
    return {name: total / rows for name, total in totals.items()}
