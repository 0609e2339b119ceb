"""Members of zip archives: what zipfile wrote, with sizes of 32 and of 64 bits; damage is an error."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest

from graphnn.run.container import read_members

MEMBERS = [("first", b"stored"), ("empty", b""), ("folder/päcked", b"again " * 1000)]


def archive(large: bool = False) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as container:
        for name, content in MEMBERS:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED if len(content) > 100 else zipfile.ZIP_STORED
            with container.open(info, "w", force_zip64=large) as file:
                file.write(content)
    return buffer.getvalue()


@pytest.mark.parametrize("large", [False, True])
def test_members_are_as_zipfile_wrote_them(large):
    data = archive(large)
    assert (b"\xff\xff\xff\xff" in data) is large
    assert read_members(data) == MEMBERS


def test_an_archive_without_members():
    buffer = io.BytesIO()
    zipfile.ZipFile(buffer, "w").close()
    assert read_members(buffer.getvalue()) == []


def test_what_is_cut_off_is_an_error():
    data = archive()
    for length in range(len(data)):
        with pytest.raises((ValueError, struct.error, zlib.error)):
            read_members(data[:length])


def test_what_is_flipped_is_an_error_or_plain_data():
    data = archive()
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0xFF
        try:
            found = read_members(bytes(damaged))
        except (ValueError, struct.error, zlib.error):
            continue
        assert all(isinstance(name, str) and isinstance(content, memoryview) for name, content in found)


def test_another_packing_is_an_error():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as container:
        container.writestr("a", b"a")
    with pytest.raises(ValueError, match="packed in another way"):
        read_members(buffer.getvalue())
