"""rasterio prints GDAL's messages that are no UTF-8 as errors that it ignores, and they quote the file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_CALLBACK = "rasterio._env.log_error"
_MARK = "_without_gdal"


def keep_quiet() -> None:
    """From now on those are dropped, in the whole process; all others go where they went."""
    if not hasattr(sys.unraisablehook, _MARK):
        sys.unraisablehook = _marked(sys.unraisablehook, _is_of_gdal)
    if not hasattr(sys.excepthook, _MARK):
        sys.excepthook = _marked(sys.excepthook, _comes_from_nowhere)


def _marked(hook: Callable[..., Any], is_dropped: Callable[..., bool]) -> Callable[..., Any]:
    @wraps(hook)
    def quiet(*args: Any) -> None:
        if not is_dropped(*args):
            hook(*args)

    setattr(quiet, _MARK, True)
    return quiet


def _is_of_gdal(args: UnraisableHookArgs) -> bool:
    return args.object == _CALLBACK


def _comes_from_nowhere(
    _: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> bool:
    """As a callback in C prints it; whatever Python code raises has a traceback."""
    return isinstance(error, UnicodeDecodeError) and traceback is None
