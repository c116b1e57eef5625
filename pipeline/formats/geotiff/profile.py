"""Colour profile and XMP: what rasters have in common with photographs."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipeline.formats.base import ICC_PROFILE, XMP
from pipeline.formats.geotiff.header import RasterHeader

DOMAIN, PROFILE = "COLOR_PROFILE", "SOURCE_ICC_PROFILE"
_XMP = "xml:XMP"


def profile_entries(header: RasterHeader) -> dict[str, bytes]:
    """Both as the other formats know them, so that they go along into those."""
    entries = {}
    profile = header.tags.get(DOMAIN, {}).get(PROFILE)
    if profile:
        entries[ICC_PROFILE] = base64.b64decode(profile)
    if _XMP in header.documents:
        entries[XMP] = header.documents[_XMP].encode()
    return entries


def with_profile(header: RasterHeader, entries: Mapping[str, Any]) -> RasterHeader:
    """The header with what another format read."""
    tags, documents = dict(header.tags), dict(header.documents)
    if ICC_PROFILE in entries:
        tags[DOMAIN] = {PROFILE: base64.b64encode(entries[ICC_PROFILE]).decode()}
    if XMP in entries:
        documents[_XMP] = entries[XMP].decode(errors="replace")
    return replace(header, tags=tags, documents=documents)
