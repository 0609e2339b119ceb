"""By which algorithm a correlation is filtered, and how many tiles at a time: what the cost model finds cheapest."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from functools import cache, partial
from typing import Literal

from graphnn.lower.ir import Accumulate, Buffer, Contract, Store
from graphnn.lower.transforms import operations
from graphnn.schedule.affine import ZERO, default_layout, extent_of
from graphnn.schedule.algorithms import FEWEST_TERMS, Algorithm, accurate
from graphnn.schedule.correlations import Correlation
from graphnn.schedule.cost import LINE, MISS, SECOND_LINES, CostModel
from graphnn.schedule.extents import volume
from graphnn.schedule.kernel_gradients import KernelGradient
from graphnn.schedule.tiles import Plan
from graphnn.schedule.traffic import FAR, far_lines
from graphnn.simplify.expr import Axis, Load, Local, Range, index_constant

PARTS = 128  # of a sum that are added one after the other
# Of the direct cost, what a plan may cost: its transforms are long straight code, which takes compile time and more
# than the model sees. A step of LeNet took as long with one gradient at 0.56; one of vgg, at 0.27, 0.56 of the time.
WORTH = 0.5

Kind = Literal["outputs", "kernel", "data"]  # of the matrices of an algorithm
Work = Callable[[Plan, Kind], int]  # how many instructions a transform of a tile is taken to take
Product = Callable[[int], float]  # what the contraction of one product costs, over so many places


def cheapest_plan(c: Correlation | KernelGradient, model: CostModel, settled: Collection[str] = ()) -> Plan | None:
    """The cheapest plan of those that are accurate enough; None where the contraction is cheapest as it is.

    The transform of a kernel among the `settled` buffers is computed once for many calls, and costs nothing.
    """
    if isinstance(c, Correlation):
        least = volume(c.loops) * model.contraction(c.contract)
        if c.filters_in_lanes:
            least += FAR * far_lines(c.loops, c.contract, model)
        product: Product = cache(partial(_product_cost, c, model))
        price, plans = partial(_correlation_cost, c, model, c.kernel.buffer in settled, product), list(_plans(c))
    else:
        least = volume((*c.outer, *c.taps)) * model.contraction(c.contract)
        product = cache(partial(_gradient_product_cost, c, model))
        price, plans = partial(_gradient_cost, c, model, product), list(_gradient_plans(c))
    # Deriving an algorithm takes longer than all else: what a plan costs without its transforms is looked at first.
    bounds = [price(plan, _nothing) for plan in plans]
    best = WORTH * least, -1
    for place in sorted(range(len(plans)), key=bounds.__getitem__):
        if bounds[place] > best[0]:
            break
        best = min(best, (price(plans[place], _work), place))  # the first of equal ones
    return plans[best[1]] if best[1] >= 0 else None


def _correlation_cost(c: Correlation, model: CostModel, once: bool, product: Product, plan: Plan, work: Work) -> float:
    """All instructions, those of the kernel's transform unless it is made `once` for many calls."""
    kernel = 0 if once else _kernel_cost(c, model, plan, work)
    return kernel + (_image_cost if c.filters_in_lanes else _cost)(c, model, product, plan, work)


def _plans(c: Correlation) -> Iterator[Plan]:
    if volume(c.rest) < FEWEST_TERMS:
        return
    sizes = (1 if c.row is None else c.row.size, c.column.size)
    for m_row, m_column in accurate(volume(c.rest), *sizes):
        if c.filters_in_lanes:
            yield Plan(Algorithm(m_row, sizes[0]), Algorithm(m_column, sizes[1]), _tiles(c, m_row, m_column))
            continue
        rows = 1 if c.row is None else c.row.places // m_row
        columns = c.column.places // m_column
        for tiles in range(1, columns + 1):
            if rows and columns % tiles == 0:
                yield Plan(Algorithm(m_row, sizes[0]), Algorithm(m_column, sizes[1]), tiles)


def _cost(c: Correlation, model: CostModel, product: Product, plan: Plan, work: Work) -> float:
    """The instructions of the statements of each tile, and the lines that leave the second-level cache."""
    contract, lanes = c.contract, model.lanes(c.contract.body)
    rows = 1 if c.row is None else c.row.places // plan.row.m
    columns = c.column.places // plan.column.m
    outer, filters, rest = volume(c.outer), volume((c.filters,)), volume(c.rest)
    vectors = math.ceil(c.column.step / lanes) * columns * rows
    outputs = plan.row.m * plan.column.m

    data = rest * (work(plan, "data") + plan.products)
    epilogue = outputs * model.body(contract.body, contract.n.axis, lanes)
    results = filters * (work(plan, "outputs") + epilogue)
    width = plan.tiles * c.column.step
    chunks = rows * columns // plan.tiles
    products = plan.products * product(width)
    lines = plan.products * width * (filters + rest) / LINE
    misses = MISS * lines if lines > 2 * SECOND_LINES else 0.0
    filled = rows * columns * outputs / (c.column.places * (1 if c.row is None else c.row.places))
    tails = (1 - filled) * volume(c.loops) * model.contraction(contract)
    return outer * (vectors * (data + results) + chunks * (products + misses)) + tails


def _kernel_cost(c: Correlation, model: CostModel, plan: Plan, work: Work) -> float:
    """The instructions of the transform of the kernel."""
    taps = plan.row.r * plan.column.r / (model.lanes(c.contract.body) if c.filters_in_lanes else 1)
    each = taps + (work(plan, "kernel") + plan.products) / model.lanes(c.contract.body)
    return volume((c.filters, *c.rest)) * each


def _tiles(c: Correlation, m_row: int, m_column: int) -> int:
    """The tiles of an image, those that reach beyond it included."""
    return math.ceil((1 if c.row is None else c.row.places) / m_row) * math.ceil(c.column.places / m_column)


def _image_cost(c: Correlation, model: CostModel, product: Product, plan: Plan, work: Work) -> float:
    """The same for filters in the lanes and all tiles of an image at a time."""
    contract, lanes = c.contract, model.lanes(c.contract.body)
    tiles, filters, rest = plan.tiles, volume((c.filters,)), volume(c.rest)
    reads = rest / (lanes if model.distance(c.data, c.rest[-1].axis) == 1 else 1)
    data = reads * plan.row.products * plan.column.products + rest / lanes * (work(plan, "data") + plan.products)
    epilogue = plan.row.m * plan.column.m * model.body(contract.body, contract.n.axis, lanes)
    results = math.ceil(filters / lanes) * (work(plan, "outputs") + epilogue)
    products = plan.products * product(tiles)
    lines = plan.products * tiles * (filters + rest) / LINE
    misses = MISS * lines if lines > 2 * SECOND_LINES else 0.0
    return volume(c.outer) * (tiles * (data + results) + products + misses)


def _product_cost(c: Correlation, model: CostModel, width: int) -> float:
    """The contraction of one product; where filters are in the lanes, the lines that come from afar, too."""
    one, temps = _products(c, width), _with_temps(c, width, model)
    return temps.contraction(one) + (FAR * far_lines((), one, temps) if c.filters_in_lanes else 0.0)


def _with_temps(c: Correlation, width: int, model: CostModel) -> CostModel:
    """The model with one product's part of the transformed kernel U, data V, and the sums M."""
    q, dtype = _columns(width), c.kernel.dtype
    data = (q, *c.rest) if c.filters_in_lanes else (*c.rest, q)
    for name, ranges in (("U", c.along(c.filters, c.rest)), ("V", data), ("M", c.along(c.filters, (q,)))):
        shape = tuple(map(extent_of, ranges))
        model = model.beside(Buffer(name, dtype, shape, "temp", default_layout(shape)))
    return model


def _products(c: Correlation, width: int) -> Contract:
    """The contraction of one of the products, over as many columns."""
    q, dtype = _columns(width), c.kernel.dtype
    one, terms = Axis(c.filters.axis), tuple(Axis(r.axis) for r in c.rest)
    store = Store("M", c.along(one, (Axis(q.axis),)), Local("s", dtype))
    place = (Axis(q.axis), *terms) if c.filters_in_lanes else (*terms, Axis(q.axis))
    u, v = Load("U", c.along(one, terms), dtype), Load("V", place, dtype)
    (m, n), (a, b) = c.along(c.filters, (q,)), c.along(u, (v,))
    return Contract("s", m, n, c.rest, a, b, (store,))


def _columns(width: int) -> Range:
    return Range("q", ZERO, index_constant(width))


def _gradient_plans(c: KernelGradient) -> Iterator[Plan]:
    """Plans whose tiles cover all places, in sums of at most as many parts as have one chain elsewhere."""
    row, column = c.windows.row, c.windows.column
    sizes = (1 if row is None else row.size, column.size)
    if volume(c.rest) > PARTS:
        return
    for m_row, m_column in accurate(1, *sizes):
        rows, columns = 1 if row is None else row.places // m_row, column.places // m_column
        if column.places % m_column or (row is not None and row.places % m_row):
            continue
        for tiles in range(1, columns + 1):
            if columns % tiles == 0 and rows * columns // tiles <= PARTS:
                yield Plan(Algorithm(m_row, sizes[0]), Algorithm(m_column, sizes[1]), tiles)


def _gradient_cost(c: KernelGradient, model: CostModel, product: Product, plan: Plan, work: Work) -> float:
    """The instructions of all statements that `filter_kernel_gradient` makes, and lines as in `_cost`."""
    contract, lanes = c.contract, model.lanes(c.contract.body)
    row, column = c.windows.row, c.windows.column
    tiles = (1 if row is None else row.places // plan.row.m) * (column.places // plan.column.m)
    m, n, step = volume((contract.m,)), volume((contract.n,)), column.step
    data, errors = work(plan, "data") + plan.products, work(plan, "outputs") + plan.products
    first, second = (data, errors) if c.data_first else (errors, data)
    factors = tiles * step * (m / lanes * first + math.ceil(n / lanes) * second)

    width = plan.tiles * step
    lines = plan.products * (width * (m + n) + m * n) / LINE
    misses = MISS * lines if lines > 2 * SECOND_LINES else 0.0
    stretches = tiles / plan.tiles * (plan.products * product(width) + misses)

    elements = m * math.ceil(n / lanes)
    body = volume(c.taps) * model.body(contract.body, contract.n.axis, lanes)
    results = elements * (work(plan, "kernel") + body + plan.products * (2 + 3 * volume(c.rest)))
    return volume(c.outer) * (volume(c.rest) * (factors + stretches) + results)


def _gradient_product_cost(c: KernelGradient, model: CostModel, width: int) -> float:
    """The contraction of one product of a gradient."""
    contract, q, dtype = c.contract, _columns(width), c.data.dtype
    for name, ranges in (("E", (contract.m, q)), ("V", (q, contract.n)), ("S", (contract.m, contract.n))):
        shape = tuple(map(extent_of, ranges))
        model = model.beside(Buffer(name, dtype, shape, "temp", default_layout(shape)))
    i, k, j = Axis(contract.m.axis), Axis(q.axis), Axis(contract.n.axis)
    added = Accumulate("S", (i, j), "sum", Local("s", dtype))
    factors = Load("E", (i, k), dtype), Load("V", (k, j), dtype)
    return model.contraction(Contract("s", contract.m, contract.n, (q,), *factors, (added,)))


def _nothing(plan: Plan, matrix: Kind) -> int:
    """What a transform takes at least."""
    return 0


def _work(plan: Plan, matrix: Kind) -> int:
    """How many instructions the transform of a tile by these matrices takes, loads included."""
    rows, columns = (getattr(algorithm, matrix) for algorithm in (plan.row, plan.column))
    return operations(rows, columns) + len(rows[0]) * len(columns[0])
