"""The IDX format, against files put together by hand from its description."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from graphnn.errors import BoundaryError, DTypeError, ShapeError
from graphnn.nn.data.idx import read_idx, write_idx

# type, struct's letter, NumPy's dtype, values at the ends of the type
TYPES = [
    (0x08, "B", "uint8", (0, 255)),
    (0x09, "b", "int8", (-128, 127)),
    (0x0B, "h", "int16", (-(2**15), 2**15 - 1)),
    (0x0C, "i", "int32", (-(2**31), 2**31 - 1)),
    (0x0D, "f", "float32", (1.5, float("-inf"))),
    (0x0E, "d", "float64", (0.1, 1e300)),
]
IMAGES = b"\0\0\x08\x03" + struct.pack(">3I", 2, 2, 3) + bytes(range(12))


@pytest.mark.parametrize(("code", "letter", "dtype", "ends"), TYPES, ids=[t[2] for t in TYPES])
def test_each_type_is_read_and_written_as_described(tmp_path, code, letter, dtype, ends):
    path = tmp_path / "values"
    content = struct.pack(">4B2I6" + letter, 0, 0, code, 2, 3, 2, *ends, 0, 1, 2, 3)
    path.write_bytes(content)
    values = read_idx(path)
    assert values.dtype == np.dtype(dtype)
    assert values.flags.writeable
    np.testing.assert_array_equal(values, np.array([ends, (0, 1), (2, 3)], dtype))
    mapped = read_idx(path, memory_map=True)
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, values)
    write_idx(path, values)
    assert path.read_bytes() == content
    write_idx(path, values.astype(values.dtype.newbyteorder("<")))
    assert path.read_bytes() == content


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([t[2] for t in TYPES]).flatmap(
        lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4))
    ),
    st.sampled_from(["a.idx", "a.gz"]),
)
def test_what_is_written_is_read(tmp_path_factory, values, name):
    path = tmp_path_factory.mktemp("idx") / name
    write_idx(path, values)
    found = read_idx(path)
    assert found.dtype == values.dtype
    assert found.shape == values.shape
    assert found.tobytes() == values.tobytes()  # NaN included
    if name == "a.idx":
        np.testing.assert_array_equal(read_idx(path, memory_map=True), values)


def test_gzip_is_known_by_its_magic_and_written_by_its_name(tmp_path):
    path = tmp_path / "images.anything"
    path.write_bytes(gzip.compress(IMAGES))
    assert read_idx(path).tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]
    write_idx(tmp_path / "images.gz", read_idx(path))
    assert gzip.decompress((tmp_path / "images.gz").read_bytes()) == IMAGES
    with pytest.raises(BoundaryError, match="gzipped and cannot be mapped"):
        read_idx(path, memory_map=True)


def changed(offset, byte):
    return IMAGES[:offset] + bytes([byte]) + IMAGES[offset + 1 :]


BAD = [
    (b"", r"ends at offset 0: expected the magic number, 4 bytes"),
    (IMAGES[:3], r"ends at offset 3: expected the magic number, 4 bytes from offset 0"),
    (changed(0, 1), r"starts with 01 00 08 03: at offset 0 expected 00 00"),
    (changed(2, 0x0A), r"has the type 0a at offset 2: expected one of 08 uint8, 09 int8, 0b int16"),
    (changed(3, 65), r"has 65 dimensions at offset 3: expected at most 64"),
    (changed(3, 40), r"ends at offset 28: expected the sizes of 40 dimensions, 160 bytes from offset 4"),
    (IMAGES[:14], r"ends at offset 14: expected the sizes of 3 dimensions, 12 bytes"),
    (IMAGES[:-1], r"ends at offset 27: sizes 2 x 2 x 3 of uint8 .* end at 28"),
    (changed(4, 0x80), r"ends at offset 28: sizes 2147483650 x 2 x 3 of uint8 .* end at 12884901916"),
    (changed(2, 0x0E), r"sizes 2 x 2 x 3 of float64 after 16 bytes of header end at 112"),
    (IMAGES + b"\0", r"goes on to offset 29: sizes 2 x 2 x 3 of uint8 end at 28"),
    (b"\0\0\x08\x04" + b"\xff" * 16, r"more than any array holds"),
    (b"\0\0\x08\x04" + b"\0" * 4 + b"\xff" * 12, r"more than any array holds"),  # 0 bytes of it
]


@pytest.mark.parametrize(("content", "evidence"), BAD)
@pytest.mark.parametrize("memory_map", [False, True])
def test_what_does_not_fit_is_refused_with_the_evidence(tmp_path, content, evidence, memory_map):
    path = tmp_path / "images"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(BoundaryError, match=evidence) as error:
        read_idx(path, memory_map)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("content", "evidence"),
    [
        (gzip.compress(IMAGES)[:-9], "is damaged"),
        (gzip.compress(IMAGES[:-1]), "ends at offset 27: .* end at 28"),
        (gzip.compress(IMAGES + b"\0"), "goes on at offset 28: expected its end"),
        (gzip.compress(IMAGES)[:-8] + b"\0" * 8, "is damaged: CRC"),
        (b"\x1f\x8b" + b"\0" * 30, "is damaged"),
        (gzip.compress(changed(4, 0x80)), "gzipped bytes cannot hold them"),
    ],
    ids=["cut off", "less inside", "more inside", "no checksum", "zeros", "too large"],  # gzip writes the time of day
)
def test_damaged_gzip_data_is_refused(tmp_path, content, evidence):
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    with pytest.raises(BoundaryError, match=evidence):
        read_idx(path)


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 8 * len(IMAGES) - 1), st.booleans(), st.booleans())
def test_a_flipped_bit_is_refused_or_changes_one_value(tmp_path_factory, bit, packed, memory_map):
    path = tmp_path_factory.mktemp("idx") / "images"
    content = changed(bit // 8, IMAGES[bit // 8] ^ 1 << bit % 8)
    path.write_bytes(gzip.compress(content) if packed else content)
    try:
        values = read_idx(path, memory_map and not packed)
    except BoundaryError:
        assert bit // 8 < 16
    else:
        # uint8 and int8 differ by one bit of the type, and take the same room.
        assert bit // 8 >= 16 or values.dtype == np.int8


def test_arrays_that_idx_cannot_hold_are_refused_and_the_old_file_stays(tmp_path):
    path = tmp_path / "images"
    path.write_bytes(IMAGES)
    with pytest.raises(DTypeError, match="int64; IDX holds uint8, int8, int16, int32, float32, float64"):
        write_idx(path, np.arange(3))
    with pytest.raises(DTypeError, match="object"):
        write_idx(path, np.array([None]))
    with pytest.raises(ShapeError, match="extents up to"):
        write_idx(path, np.broadcast_to(np.uint8(0), (2**32, 0)))
    assert path.read_bytes() == IMAGES
    assert [p.name for p in tmp_path.iterdir()] == ["images"]
