"""The identities of many sources at once: the messages that are hashed are put together by column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.hashing import framed, short_digest


def short_hashes(first: Sequence[str], columns: Sequence[pa.Array], last: pa.Array | None = None) -> pa.Array:
    """For each row ``pipeline.hashing.short_hash`` of the parts ``first``, which are the same in all, of its
    value in each of the columns, all texts, and of that in ``last``, where it is not empty."""
    pieces: list[pa.Scalar | pa.Array] = [pa.scalar(framed(*first), pa.binary())]
    for column in columns:
        pieces += [_lengths(column), column.cast(pa.binary())]
    if last is not None:
        empty = pa.scalar(b"", pa.binary())
        pieces += [pc.if_else(pc.equal(last, ""), empty, _lengths(last)), last.cast(pa.binary())]
    messages = pc.binary_join_element_wise(*pieces, b"")
    return texts_of(b"".join(map(short_digest, messages.to_pylist())))


def texts_of(digests: bytes) -> pa.Array:
    """Identities of 16 bytes each as a column of 32 hex digits."""
    count = len(digests) // 16
    offsets = np.arange(count + 1, dtype=np.int32) * 32
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(digests.hex().encode()))


def _lengths(column: pa.Array) -> pa.Array:
    """In bytes, as they stand before each part."""
    lengths = pc.binary_length(column).to_numpy(zero_copy_only=False).astype("<i8")
    frames = pa.FixedSizeBinaryArray.from_buffers(pa.binary(8), len(lengths), [None, pa.py_buffer(lengths)])
    return frames.cast(pa.binary())
