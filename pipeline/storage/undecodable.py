"""Names on a disk that are no UTF-8, escaped so that tables, ledgers and other stores can hold them.

Such a name's odd bytes and its percent signs become ``%XX``: ``M%FCnchen.png``. Names that are UTF-8 stay
what they are, so the escaped one could be that of another file of the folder: then more of it is escaped.
"""

from __future__ import annotations

import os
from collections.abc import Container
from urllib.parse import unquote_to_bytes


def escaped(name: str, beside: Container[str]) -> str:
    """A name as ``os.scandir`` gives it, as UTF-8 that none of the names ``beside`` it is."""
    if name.isascii() or _is_utf8(name):
        return name
    raw = os.fsencode(name)
    spellings = (_spelled(raw, count) for count in range(len(raw) + 1))
    return next(each for each in spellings if each not in beside)


def located(root: str, key: str) -> str:
    """The path of a key below a root: as it is named or, where nothing is called so, as it was escaped."""
    path = os.path.join(root, key)
    if "%" not in key or os.path.lexists(path):
        return path
    found = root
    for segment in key.split("/"):
        literal = os.path.join(found, segment)
        raw = os.path.join(found, os.fsdecode(unquote_to_bytes(segment)))
        found = literal if os.path.lexists(literal) or not _stands_for(raw, segment) else raw
    return found


def _stands_for(path: str, segment: str) -> bool:
    name = os.path.basename(path)
    return (
        not _is_utf8(name)
        and "/" not in unquote_to_bytes(segment).decode("latin-1")
        and os.path.lexists(path)
    )


def _spelled(raw: bytes, count: int) -> str:
    """The first ``count`` bytes escaped, whatever they are, and of the others those that must be."""
    text = "".join(f"%{byte:02X}" for byte in raw[:count])
    for character in os.fsdecode(raw[count:]):
        odd = character == "%" or not _is_utf8(character)
        text += "".join(f"%{byte:02X}" for byte in os.fsencode(character)) if odd else character
    return text


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
