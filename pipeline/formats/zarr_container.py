"""A block of an array as bytes: what the door hands to the pipeline, and gets back from it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = b"restora block of a Zarr array\n"
ENDING = ".zblock"
"""Of the keys of blocks."""


@dataclass(frozen=True)
class Header:
    """What the samples of a block are. Shapes: C bands, H rows, W columns."""

    dtype: str
    """NumPy name of the type, native byte order."""
    shape: tuple[int, int, int]
    """CHW, with the margin around the block."""
    core: tuple[int, int, int, int] | None = None
    """Top, left, height and width of the block within its margin; ``None``: there is none."""
    nodata: float | str | tuple[float | str, ...] | None = None
    """The stored value that means no data, or all that do, as the attributes write them."""
    valid: tuple[float, float] | None = None
    """Least and greatest sample that is a measurement, perhaps infinite; ``None``: each is."""
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    whole: bool = True
    """Whether it is a whole plane: only that can be shrunk."""
    absent: tuple[tuple[int, int, int, int], ...] = ()
    """First and last row, first and last column of chunks that were never written."""

    def pack(self) -> bytes:
        """The bytes before the samples."""
        return MAGIC + json.dumps(asdict(self), separators=(",", ":"), sort_keys=True).encode() + b"\n"


def pack(header: Header, samples_CHW: NDArray[Any]) -> bytes:
    """The same block gives the same bytes."""
    return header.pack() + np.ascontiguousarray(samples_CHW, header.dtype).tobytes()


def unpack(data: bytes) -> tuple[Header, NDArray[Any]]:
    """Header and samples, CHW. ``ValueError`` for bytes that are no block, or end early."""
    if not data.startswith(MAGIC):
        raise ValueError("no block")
    end = data.index(b"\n", len(MAGIC))
    fields: dict[str, Any] = json.loads(data[len(MAGIC) : end])
    core = fields["core"] and tuple(fields["core"])
    absent = tuple(tuple(each) for each in fields["absent"])
    nodata = tuple(fields["nodata"]) if isinstance(fields["nodata"], list) else fields["nodata"]
    valid = fields.get("valid") and tuple(fields["valid"])
    exact = {
        "valid": valid,
        "shape": tuple(fields["shape"]),
        "core": core,
        "absent": absent,
        "nodata": nodata,
    }
    header = Header(**fields | exact)
    samples = np.frombuffer(data, header.dtype, int(np.prod(header.shape)), offset=end + 1)
    return header, samples.reshape(header.shape)
