"""Names in a job: telling them from the addresses of files, and what is said of an unknown one.

Imports nothing of weight: what reads a job without torch needs it too.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

WEIGHTS = (".safetensors", ".onnx", ".pth", ".pt", ".ckpt")
"""Endings of files of weights, which tell an address from a name; all but the first two are PyTorch's."""


def is_address(text: str) -> bool:
    """Whether this is the path or URL of a file of weights, and not a name of the catalog."""
    return "/" in text or text.lower().endswith(WEIGHTS)


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The message: what kind of name is not known, and the nearest one, or all."""
    return f'unknown {kind} "{name}"; {did_you_mean(name, known)}'


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest known name as a question, else the list of all."""
    names = sorted(known)
    nearest = difflib.get_close_matches(name, names, n=1)
    return f'did you mean "{nearest[0]}"?' if nearest else f"known are {', '.join(names) or 'none'}"
