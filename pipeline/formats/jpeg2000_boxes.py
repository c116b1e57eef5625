"""The container of JPEG 2000: boxes (ITU-T T.800, annex I)."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.errors import ImageError

_CODESTREAM = b"\xff\x4f\xff\x51"
_LONG, _TO_THE_END = 1, 0


def codestreams(data: bytes) -> Iterator[bytes]:
    """Those of a file, bare or in boxes; ``ImageError("TRUNCATED")`` where the file ends inside a box."""
    if data.startswith(_CODESTREAM):
        yield data
        return
    start = 0
    while start + 8 <= len(data):
        size, kind, head = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8], 8
        if size == _LONG:
            size, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        end = len(data) if size == _TO_THE_END else start + size
        if size not in (_LONG, _TO_THE_END) and (size < head or end > len(data)):
            raise ImageError("TRUNCATED", "the JPEG 2000 file ends inside a box")
        if kind == b"jp2c":
            yield data[start + head : end]
        start = max(end, start + head)
