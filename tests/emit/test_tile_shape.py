"""The choice of register tiles: every element covered exactly once, within the register budget, at little waste."""

from __future__ import annotations

import pytest

from graphnn.emit.tile_shape import Cover, choose_cover

EXTENTS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 512, 784)
MACHINES = [(16, 32), (8, 32), (8, 16), (4, 16), (2, 16), (1, 32), (1, 16)]  # lanes, registers


def walk(extent: int, sizes: list[int]) -> list[int]:
    """The sizes taken along an extent: the first that fits, else the last."""
    taken = []
    while extent > 0:
        taken.append(next((size for size in sizes if size <= extent), sizes[-1]))
        extent -= taken[-1]
    return taken


@pytest.mark.parametrize(("lanes", "registers"), MACHINES)
@pytest.mark.parametrize("known", [(True, True), (False, True), (True, False), (False, False)])
def test_every_row_and_column_is_covered(lanes: int, registers: int, known: tuple[bool, bool]) -> None:
    for rows in EXTENTS:
        for columns in EXTENTS:
            cover = choose_cover(rows if known[0] else None, columns if known[1] else None, lanes, registers)
            assert sum(walk(rows, list(cover.heights))) == rows
            widths = walk(columns, [vectors * lanes for vectors, _ in cover.widths])
            assert sum(widths[:-1]) < columns <= sum(widths)
            whole_vectors = columns % lanes == 0
            assert whole_vectors or cover.widths[-1][1], "a ragged last vector is masked"
            assert not any(masked for _, masked in cover.widths[:-1])
            assert not (known[1] and whole_vectors and cover.widths[-1][1]), "no mask where none is needed"


@pytest.mark.parametrize(("lanes", "registers"), MACHINES)
def test_accumulators_b_and_two_more_fit_the_registers(lanes: int, registers: int) -> None:
    for rows in (*EXTENTS, None):
        for columns in (*EXTENTS, None):
            cover = choose_cover(rows, columns, lanes, registers)
            assert cover.heights[0] * cover.widths[0][0] + cover.widths[0][0] + 2 <= registers
            assert list(cover.heights) == sorted(cover.heights, reverse=True)


def test_constant_extents_need_at_most_two_heights_and_two_widths() -> None:
    for rows in EXTENTS:
        for columns in EXTENTS:
            cover = choose_cover(rows, columns, 16, 32)
            assert len(cover.heights) <= 2
            assert len(cover.widths) <= 2


@pytest.mark.parametrize(
    ("rows", "columns", "cover"),
    [
        (784, 128, Cover((14,), ((2, False),))),
        (64, 128, Cover((6, 4), ((4, False),))),
        (33, 10, Cover((11,), ((1, True),))),
        (1, 128, Cover((1,), ((8, False),))),  # one row: eight chains hide the latency
        (0, 0, Cover((1,), ((1, True),))),
    ],
)
def test_chosen_covers(rows: int, columns: int, cover: Cover) -> None:
    assert choose_cover(rows, columns, 16, 32) == cover


def test_avx2_takes_the_six_by_two_tile() -> None:
    assert choose_cover(None, 512, 8, 16).heights[0] == 6
    assert choose_cover(None, 512, 8, 16).widths[0] == (2, False)


def test_a_cover_wastes_little_of_what_it_computes() -> None:
    """Lanes beyond the last column are the only waste; a tile too small to hide latency stays rare."""
    for rows, columns in ((64, 128), (784, 64), (512, 512), (100, 96), (33, 64)):
        cover = choose_cover(rows, columns, 16, 32)
        tiles = [
            h * w for h in walk(rows, list(cover.heights)) for w in walk(columns, [v * 16 for v, _ in cover.widths])
        ]
        assert sum(tiles) == rows * columns
        assert min(tiles) >= 8 * 16


def test_a_tile_that_exists_is_taken_again() -> None:
    """784 x 128 would take 14 x 2 vectors; 6 x 4 and 4 x 4 are as good if nothing has to be compiled for them."""
    written = {(6, 4, False), (4, 4, False)}
    assert set(choose_cover(784, 128, 16, 32).tiles).isdisjoint(written)
    assert set(choose_cover(784, 128, 16, 32, written.__contains__).tiles) == written
    slow = {(1, 1, False)}
    assert set(choose_cover(784, 128, 16, 32, slow.__contains__).tiles).isdisjoint(slow)
