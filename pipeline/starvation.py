"""Errors that say no more than that a process may not have the memory, or the threads, that it wants."""

from __future__ import annotations

import errno

_SIGNS = (
    "start new thread",
    "failed to map segment",
    "annot allocate memory",
    "static TLS block",
    "bad_alloc",
)
"""What Python, the loader of libraries and C++ say instead of ``MemoryError``."""


def is_starved(error: BaseException | None) -> bool:
    """Whether it came of too little memory or too few threads, whatever a library made of it."""
    while error is not None:
        if _is_sign(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_sign(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    is_told = isinstance(error, RuntimeError | ImportError | OSError)
    return is_told and any(each in str(error) for each in _SIGNS)
