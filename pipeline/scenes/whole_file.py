"""A scene's file read once from start to end: its digest, and whether all of its blocks are there."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable
from typing import IO

from pipeline.formats.tiff.segments import SegmentCheck

_PIECE = 1 << 22


def digest_of_whole(file: IO[bytes], blocks: Iterable[tuple[int, int]], check: SegmentCheck) -> str:
    """SHA-256 of the file, in hex.

    ``blocks`` are offset and length of its strips or tiles. Raises ``ImageError("TRUNCATED")`` for one that
    ends early where GDAL, which reads them a band of rows at a time, would not notice.
    """
    digest, held, first = hashlib.sha256(), bytearray(), 0
    waiting = deque(sorted({block for block in blocks if all(block)}))
    while piece := file.read(_PIECE):
        digest.update(piece)
        held += piece
        end = first + len(held)
        while waiting and sum(waiting[0]) <= end:
            offset, count = waiting.popleft()
            start = max(offset - first, 0)
            check.add(bytes(held[start : start + count]))
        kept = min(waiting[0][0], end) if waiting else end
        del held[: max(kept - first, 0)]
        first = max(kept, first)
    check.finish()
    return digest.hexdigest()
