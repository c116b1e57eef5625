"""Where an image's output goes: keys made safe for every store, one to one."""

from __future__ import annotations

import re

RUN_FOLDER = "_restora"
"""Folder of the ledger, plan, tables and report beside restored objects."""

_AMBIGUOUS = re.compile(r"%(25|2E|2F|5F)")


def safe_key(key: str) -> str:
    """The key as it can be written anywhere, distinct keys staying distinct.

    Only what could leave the folder or meet our own files is escaped: empty, ``.`` and ``..``
    segments, a leading slash, and a first segment ``_restora``.
    """
    segments = [_safe_segment(segment) for segment in key.split("/")]
    if segments[0] == RUN_FOLDER:
        segments[0] = "%5F" + RUN_FOLDER[1:]
    return "/".join(segments)


def _safe_segment(segment: str) -> str:
    segment = _AMBIGUOUS.sub(lambda found: "%25" + found.group(1), segment)
    if segment == "":
        return "%2F"
    if segment in (".", ".."):
        return "%2E" * len(segment)
    return segment


def with_extension(key: str, extensions: tuple[str, ...]) -> str:
    """The key as it is if it ends in one of the output format's extensions, else with one appended.

    Appended, not replaced, so that ``a.jpg`` and ``a.tif`` never meet in ``a.png``.
    """
    return key if key.lower().endswith(extensions) else key + extensions[0]
