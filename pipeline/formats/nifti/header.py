"""The header of a NIfTI volume: what its fields say, and what another grid changes in them.

Fields that do not change keep their bytes: the header's structure is patched, never made again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

from pipeline.errors import ImageError
from pipeline.formats.grid import Grid
from pipeline.formats.nifti.head import version_of

_TYPES = frozenset("iuf")
_LABELS = frozenset({1002, 1003})
"""NIFTI_INTENT_LABEL and NIFTI_INTENT_NEURONAME."""
_CIFTI = range(3000, 3100)
"""Intents of CIFTI-2: matrices of grey ordinates, parcels and times."""
_NO_PLACES = {
    **dict.fromkeys(_CIFTI, "a CIFTI matrix; take its volumes out (wb_command -cifti-separate)"),
    **dict.fromkeys((1008, 1009, 2002), "points, triangles or nodes of a surface; leave the file out"),
    **dict.fromkeys(
        (2007, 2008, 2009, 2016, 2017),
        "coefficients of a warp by FSL; turn them into a field of shifts (fnirtfileutils --outformat=field)",
    ),
}
"""Intents of what does not lie side by side on a grid of pixels, and the cure: of nifti1.h, and FSL's own."""


@dataclass(frozen=True)
class NiftiHeader:
    """Fields of the header that reading and writing need."""

    fields: Any
    """nibabel's header, its structure in the byte order of the file."""
    shape: tuple[int, ...]
    """Sizes of all axes; two at least."""
    dtype: np.dtype[Any]
    """Of the samples, in the byte order of the file."""
    offset: int
    """Place of the first sample."""
    slope: float | None
    """Physical value of one stored step; ``None`` where the header gives none."""
    intercept: float
    """Physical value of a stored 0."""
    calibrated: tuple[float, float] | None
    """Stored values that cal_min and cal_max stand for, ascending; ``None`` where they are not set."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.shape[0], self.shape[1]

    @property
    def length(self) -> int:
        """Bytes of the structure: 348 or 540."""
        return int(self.fields.sizeof_hdr)

    @property
    def end(self) -> int:
        """Place behind the last sample."""
        return self.offset + math.prod(self.shape) * self.dtype.itemsize


def read_header(head: bytes) -> NiftiHeader:
    """Raises ``ImageError`` with ``UNREADABLE`` or ``UNSUPPORTED_DTYPE``, naming fields and no values."""
    kind = Nifti1Header if version_of(head) == 1 else Nifti2Header
    if len(head) < kind.sizeof_hdr:
        raise ImageError("TRUNCATED", "the NIfTI file ends inside its header")
    fields = kind(head[: kind.sizeof_hdr], check=False)  # type: ignore[no-untyped-call]
    if int(fields["intent_code"]) in _LABELS:
        raise ImageError(
            "UNSUPPORTED_COLOUR",
            "intent_code says labels: names of regions, not measurements; leave the volume out",
        )
    if cure := _NO_PLACES.get(int(fields["intent_code"])):
        raise ImageError("NO_PIXELS", f"intent_code says {cure}")
    axes = int(fields["dim"][0])
    shape = tuple(int(size) for size in fields["dim"][1 : axes + 1])
    if not 2 <= axes <= 7 or min(shape) < 1:
        raise ImageError("UNREADABLE", "dim holds no sizes of two to seven axes")
    if sum(size > 1 for size in shape[:3]) < 2:
        raise ImageError(
            "NO_PIXELS",
            "dim has no plane of pixels: values of one place, or a list as of the vertices of a surface; "
            "leave the file out",
        )
    offset = _offset(float(fields["vox_offset"]), kind.sizeof_hdr + 4)
    slope, intercept = float(fields["scl_slope"]), float(fields["scl_inter"])
    if slope == 0 or not math.isfinite(slope) or not math.isfinite(intercept):
        slope, intercept = 0.0, 0.0
    calibrated = _calibrated(fields, slope or 1.0, intercept)
    return NiftiHeader(fields, shape, _dtype(fields), offset, slope or None, intercept, calibrated)


def _offset(declared: float, least: int) -> int:
    offset = int(declared) if math.isfinite(declared) else -1
    if offset == 0:
        return least
    if offset < least:
        raise ImageError("UNREADABLE", "vox_offset points inside the header")
    return offset


def _dtype(fields: Any) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = fields.get_data_dtype()
    except Exception:
        raise ImageError("UNSUPPORTED_DTYPE", "datatype is no type that NIfTI knows") from None
    if dtype.kind not in _TYPES or dtype.itemsize > 8:
        raise ImageError(
            "UNSUPPORTED_DTYPE", f"samples of {dtype.name}; split them into volumes of integers or floats"
        )
    return dtype


def _calibrated(fields: Any, slope: float, intercept: float) -> tuple[float, float] | None:
    """cal_min and cal_max are physical values: back to stored ones."""
    low, high = float(fields["cal_min"]), float(fields["cal_max"])
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return None
    first, last = sorted(((low - intercept) / slope, (high - intercept) / slope))
    return (first, last) if first < last else None


def move_grid(header: NiftiHeader, grid: Grid) -> NiftiHeader:
    """The header with sizes, steps and affines of the output's grid; the rest of it untouched.

    An affine maps voxel centres, so that its origin moves by ``grid.shift`` voxels along both axes.
    """
    fields = header.fields.copy()
    fields["dim"][1:3] = grid.size
    if not grid.is_same:
        if int(fields["qform_code"]) > 0:
            affine = _qform(fields)
            origin = affine @ [grid.shift, grid.shift, 0.0, 1.0]
            fields["qoffset_x"], fields["qoffset_y"], fields["qoffset_z"] = origin[:3]
        if int(fields["sform_code"]) > 0:
            for name in ("srow_x", "srow_y", "srow_z"):
                row = fields[name].astype(np.float64)
                row[3] += grid.shift * (row[0] + row[1])
                row[:2] /= float(grid.factor)
                fields[name] = row
        fields["pixdim"][1:3] /= float(grid.factor)
        _drop_slice_times(fields)
    return NiftiHeader(fields, header.shape, header.dtype, header.offset, None, 0.0, None)


def affine_of(header: NiftiHeader) -> tuple[Any, str] | None:
    """From voxels to millimetres, 4 x 4, and which of the spaces of nifti1.h these are counted in; ``None``
    where the header says neither."""
    fields = header.fields
    if (code := int(fields["sform_code"])) > 0:
        return fields.get_sform(), f"NIfTI {code}"
    code = int(fields["qform_code"])
    return (_qform(fields), f"NIfTI {code}") if code > 0 else None


def _qform(fields: Any) -> Any:
    try:
        return fields.get_qform()
    except Exception:
        raise ImageError(
            "BAD_GEOMETRY", "quatern_b, quatern_c, quatern_d and pixdim are no rotation"
        ) from None


def _drop_slice_times(fields: Any) -> None:
    """Where the slices were acquired along an axis that has another size now, their times no longer hold."""
    if int(fields["dim_info"]) >> 4 & 3 in (1, 2):
        for name in ("slice_start", "slice_end", "slice_code", "slice_duration"):
            fields[name] = 0


def write_header(header: NiftiHeader) -> bytes:
    """The structure's bytes, in the byte order it was read in."""
    binary: bytes = header.fields.binaryblock
    return binary
