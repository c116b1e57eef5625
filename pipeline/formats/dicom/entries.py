"""Names of the metadata entries that a DICOM image carries."""

from __future__ import annotations

DICOM_HEADER = "dicom_header"
"""Metadata entry: the object as bytes without its pixel data; holds what identifies the patient."""

PADDING = "dicom_padding"
"""Metadata entry: compressed places and stored values of padding pixels."""

READ_ONLY = "read_only"
"""Metadata entry: (reason code, text) where the object can be read and scored, but not written."""
