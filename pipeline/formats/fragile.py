"""Which objects are decoded by a library that is known to end its process on damaged data.

What DICOM needs, an extra, is imported late, for start-up and for hosts without it.
"""

from __future__ import annotations

import io

from pipeline.formats import FORMATS


def may_crash(data: bytes) -> bool:
    """Whether it is a DICOM object of compressed frames, which GDCM decodes."""
    return FORMATS["dicom"].recognises(data) and _is_compressed(data)


def _is_compressed(data: bytes) -> bool:
    try:
        from pydicom import dcmread

        from pipeline.formats.dicom.silence import silence

        with silence():
            head = dcmread(io.BytesIO(data), stop_before_pixels=True, specific_tags=[], force=True)
            return bool(head.file_meta.TransferSyntaxUID.is_encapsulated)
    except Exception:  # not installed, or no header that can be read: nothing gets as far as a codec
        return False
