"""pyarrow without pandas, until somebody imports it.

The first list that pyarrow is given has it import pandas, which that list might be a column of: half a second
of a core in every process, in none of which anything of ours uses pandas.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pyarrow as pa

_NAME = "pandas"


def put_off_pandas() -> None:
    """From now on pyarrow imports pandas no more by itself, and knows of it as soon as it is imported.

    For processes of our own, before they have threads. Whoever hands pyarrow a frame has imported pandas.
    """
    if _NAME in sys.modules:
        return
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    pa.array([None])  # pyarrow looks for pandas once
    finder.is_hidden = False


class _Finder(MetaPathFinder):
    """Finds no pandas; later finds it as everybody does, and has pyarrow look again once it is loaded."""

    def __init__(self) -> None:
        self.is_hidden = True

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _NAME:
            return None
        if self.is_hidden:
            raise ModuleNotFoundError(f"{_NAME} is put off", name=_NAME)
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            _announce(spec.loader)
        return spec


def _announce(loader: Any) -> None:
    """Has pyarrow look for pandas as soon as this loader has loaded it."""
    load = loader.exec_module

    def load_and_announce(module: ModuleType) -> None:
        load(module)
        with suppress(AttributeError, ImportError):  # of a pyarrow that keeps it elsewhere
            _ = pa.lib._pandas_api.pd

    loader.exec_module = load_and_announce
