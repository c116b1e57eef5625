"""Disks on which names that differ in case or Unicode form only are one file: those of Windows and macOS, and
what shares and sticks bring from there."""

from __future__ import annotations

import os
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path

from pipeline.storage.folder import Folder

Fold = Callable[[str], str]
"""Gives names that are one file the same text."""
_COMPOSED, _DECOMPOSED = "\u00e9", "e\u0301"
"""The same letter in two forms."""


def folding_of(folder: Folder) -> Fold | None:
    """How the disk of a folder folds names; ``None`` where it tells all apart, as object stores do.

    Found out by a file that is written there for a moment. Makes the folder.
    """
    if not folder.is_local:
        return None
    root = Path(folder.root)
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".restora-", suffix=".part", dir=root) as place:
        Path(place, f"a{_COMPOSED}").touch()
        case, form = (os.path.exists(f"{place}/{name}") for name in (f"A{_COMPOSED}", f"a{_DECOMPOSED}"))
    if case and form:
        return lambda name: unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    if case:
        return str.casefold
    return (lambda name: unicodedata.normalize("NFC", name)) if form else None
