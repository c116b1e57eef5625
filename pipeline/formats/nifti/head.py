"""The first bytes of a NIfTI file: its header, plain or gzipped, and the names of its metadata entries."""

from __future__ import annotations

import struct
import zlib

NIFTI_HEADER = "nifti_header"
"""Metadata entry: everything before the samples as bytes: header, extensions and what lies between."""

ZIPPED = "nifti_zipped"
"""Metadata entry: whether the file was gzipped."""

GAPS = "nifti_gaps"
"""Metadata entry: compressed places and values of samples that are not finite."""

GZIP = b"\x1f\x8b"

_LONGEST_HEADER = 540


def head_of(data: bytes) -> bytes:
    """The bytes of the header, unzipped; fewer where there are no more."""
    if not data.startswith(GZIP):
        return data[:_LONGEST_HEADER]
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data[: 1 << 16], _LONGEST_HEADER)
    except zlib.error:
        return b""


def version_of(head: bytes) -> int | None:
    """1 or 2; ``None`` for what is no single-file NIfTI."""
    sizes = {struct.unpack(order + "i", head[:4])[0] for order in "<>"} if len(head) >= 4 else set()
    if 348 in sizes and head[344:348] == b"n+1\0":
        return 1
    return 2 if 540 in sizes and head[4:12] == b"n+2\0\r\n\x1a\n" else None
