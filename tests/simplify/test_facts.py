"""What the call must check of sizes and indices, seen from outside: the refusals of compiled programs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import graphnn as gn


@pytest.mark.parametrize("extents", [(5, 3), (3, 5), (5, "V"), ("V", 5)])
def test_an_index_of_two_tables_must_fit_the_smaller(extents: tuple[int | str, int | str]) -> None:
    net = gn.Network("tables")
    labels = net.input("labels", ("N",), "int64")
    tables = [net.input(name, (extent,), "float64") for name, extent in zip("ab", extents, strict=True)]
    total = gn.compile(gn.gather(tables[0], labels) + gn.gather(tables[1], labels))
    a, b = (np.arange(3.0 if isinstance(extent, str) else float(extent)) for extent in extents)
    np.testing.assert_array_equal(total(a=a, b=b, labels=np.array([0, 2])), [0, 4])
    with pytest.raises(gn.BoundaryError, match=r"the value 3 at \[1\] is not in \[0, 3\)"):
        total(a=a, b=b, labels=np.array([0, 3]))


@pytest.mark.parametrize("extreme", [gn.max, gn.min])
def test_an_extreme_over_a_size_of_the_call_needs_a_term(extreme: Callable[..., gn.Tensor]) -> None:
    net = gn.Network("extreme")
    found = gn.compile(extreme(net.input("x", ("N", "M")), axis=1))
    assert found(x=np.zeros((0, 0), np.float32)).shape == (0,)
    assert found(x=np.full((2, 1), 7, np.float32)).tolist() == [7, 7]
    with pytest.raises(gn.BoundaryError, match=r"a max or min over no elements \(M is 0\)"):
        found(x=np.zeros((2, 0), np.float32))


@pytest.mark.parametrize("extent", [0, 1, 3])
@pytest.mark.parametrize("bind", [False, True])
def test_an_extreme_needs_a_term_whoever_knows_the_size(extent: int, bind: bool) -> None:
    """x[:, 3:] has M - 3 columns: none of 3, and a number below none of 1. It is read in place and is no array."""
    net = gn.Network("extreme")
    x = net.input("x", ("N", "M"))
    sizes = {"M": extent} if bind else {}
    for found in (gn.max(x[:, 3:], axis=1), gn.argmax(x[:, 3:], axis=1)):
        program = gn.compile(found, sizes=sizes)
        with pytest.raises(gn.BoundaryError, match="a max or min over no elements"):
            program(x=np.zeros((2, extent), np.float32))
