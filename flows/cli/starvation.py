"""Processes that may not have the memory, or the threads, to say so in more than a line."""

from __future__ import annotations

import resource
from collections.abc import Sequence

from pipeline.errors import JobError

ENOUGH = 11 << 28
"""Bytes of addresses that every command starts in: libraries map far more than they use."""
LIGHT = ("init", "key", "list", "doctor")
"""Commands that load none of those."""


def cure() -> str:
    """What is too little, and how much is enough."""
    allowed = _allowed()
    told = (
        ""
        if allowed is None
        else f" ({allowed >> 20:,} MiB of addresses now; {ENOUGH >> 20:,} to begin with)"
    )
    return (
        f"too little memory is allowed, or too few threads: raise ulimit -v{told} and ulimit -u, or the "
        "limits of the container"
    )


def refuse_little(command: str | None, arguments: Sequence[str]) -> None:
    """``JobError`` below what libraries load in: there they hang, or end this process themselves."""
    allowed = _allowed()
    asks_for_help = any(each in arguments for each in ("--help", "-h"))
    if allowed is not None and allowed < ENOUGH and command not in LIGHT and not asks_for_help:
        raise JobError(
            f"ulimit -v allows {allowed >> 20:,} MiB of addresses, and below {ENOUGH >> 20:,} libraries "
            "hang or end this process without a word: raise it; it counts what is mapped, not what is used"
        )


def _allowed() -> int | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit
