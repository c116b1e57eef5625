"""The volumes of a NIfTI file of several times, each as a file of its own: header and samples as they were.

Every volume says the range of all of them, where the file says none (cal_min, cal_max): a time series has one
scale.
"""

from __future__ import annotations

from typing import IO

from pipeline.formats.base import Limits, codec_errors
from pipeline.formats.nifti.head import NIFTI_HEADER, head_of, version_of
from pipeline.formats.nifti.header import read_header, write_header
from pipeline.formats.nifti.volume import read_volume

_HEAD = 1 << 16
_TIMES = 4
"""The axis of dim that counts them."""


def count_times(file: IO[bytes]) -> int:
    """How many volumes follow each other; 1 where what follows is no time: a vector, a tensor."""
    head = head_of(file.read(_HEAD))
    if version_of(head) is None:
        return 1
    shape = read_header(head).shape
    return shape[_TIMES - 1] if len(shape) == _TIMES or set(shape[_TIMES:]) == {1} else 1


class NiftiPages:
    """``pages[number]``: the file of one time, from 0, not zipped."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        with codec_errors("NIfTI"):
            image = read_volume(data, limits)
        before: bytes = image.metadata.entries[NIFTI_HEADER]
        header = read_header(before)
        shape, fields = header.shape, header.fields
        fields["dim"][0], fields["dim"][_TIMES:] = _TIMES - 1, 1
        if image.domain.rule == "volume":
            ends = (
                each * (header.slope or 1) + header.intercept
                for each in (image.domain.low, image.domain.high)
            )
            fields["cal_min"], fields["cal_max"] = sorted(ends)
        self._samples_HWst = image.pixels_HWC.reshape(*shape[:2], shape[_TIMES - 1], -1).swapaxes(2, 3)
        self._before, self._dtype = write_header(header) + before[header.length :], header.dtype

    def __getitem__(self, number: int) -> bytes:
        """Samples in the byte order of the file."""
        samples_HWs = self._samples_HWst[..., number].astype(self._dtype)
        return self._before + samples_HWs.tobytes(order="F")
