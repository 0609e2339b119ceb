"""What a contraction's epilogue touches is asked for before its tiles run."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from graphnn.emit.module import emit
from graphnn.emit.target import host
from graphnn.lower.ir import Program, Store
from graphnn.simplify.expr import Axis, Load, Local
from tests.emit.native import buffer, op, run
from tests.emit.test_tile import assert_is_product, factors, product_program

M, N = Axis("m"), Axis("n")
ACC = Local("acc", "float32")
PREFETCH = re.compile(r"call void @prefetch.(loaded|stored)\(")
TILE = re.compile(r"call void (@tile|%)")  # the only one, or one of several


def prefetches(p: Program) -> list[str]:
    """In the order of the code: whether rows will be loaded, or stored to."""
    text = emit(p, host()).text
    tile = TILE.search(text)
    assert tile is not None
    found = PREFETCH.findall(text)
    assert len(found) == len(PREFETCH.findall(text[: tile.start()]))
    return found


def with_body(body: tuple[Store, ...], k: int | str = 100) -> Program:
    """Over A, B, C, Z and H (33 x 37) and bias (37)."""
    p = product_program(33, 37, k, body=body)
    extra = (buffer("Z", (33, 37)), buffer("bias", (37,)), buffer("H", (37, 33), role="output"))
    return replace(p, buffers=(*p.buffers, *extra))


@pytest.mark.parametrize(("k", "expected"), [(8, []), (63, []), (64, ["stored"]), ("k", ["stored"])])
def test_sums_of_many_terms_prefetch_what_they_store_to(k: int | str, expected: list[str]) -> None:
    assert prefetches(product_program(33, 37, k)) == expected


@pytest.mark.parametrize(("rows", "k", "expected"), [(1 << 14, 15, []), (1 << 14, 16, ["stored"]), (1 << 13, 16, [])])
def test_sums_of_some_terms_prefetch_what_no_cache_holds(rows: int, k: int, expected: list[str]) -> None:
    """16,384 x 33 float32 are more than 2 MB."""
    assert prefetches(product_program(rows, 33, k)) == expected


def test_a_place_that_is_loaded_and_stored_is_asked_for_once() -> None:
    body = (Store("C", (M, N), op("add", ACC, op("mul", Load("C", (M, N), "float32"), Load("Z", (M, N), "float32")))),)
    assert sorted(prefetches(with_body(body))) == ["loaded", "stored"]


def test_a_row_that_all_rows_share_is_not_asked_for() -> None:
    body = (Store("C", (M, N), op("add", ACC, Load("bias", (N,), "float32"))),)
    assert prefetches(with_body(body)) == ["stored"]


def test_stores_across_the_lines_are_left_alone() -> None:
    assert prefetches(with_body((Store("H", (N, M), ACC),))) == []


def test_values_are_those_of_the_sum() -> None:
    a, b = factors(33, 37, 100)
    z = np.linspace(-3, 3, 33 * 37, dtype=np.float32).reshape(33, 37)
    body = (Store("C", (M, N), ACC), Store("H", (N, M), op("mul", Load("Z", (M, N), "float32"), ACC)))
    arrays = run(with_body(body), {"A": a, "B": b, "Z": z, "bias": np.zeros(37, np.float32)})
    assert_is_product(arrays["C"], a, b)
    assert np.array_equal(arrays["H"], (z * arrays["C"]).T)
