"""Batches that fail, halved until the culprit is alone: one image costs no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from pipeline.processing.cases import Case
from pipeline.quarantine import is_out_of_memory

T = TypeVar("T")


def bisected(run: Callable[[Sequence[Case]], list[T]], cases: Sequence[Case]) -> list[T | Exception]:
    """Runs the batch; where it fails, its halves, so that one image costs no other.

    The same cure serves a batch that is too large for the device's memory.
    """
    try:
        return list(run(cases))
    except Exception as error:
        if is_out_of_memory(error) and torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(cases) == 1:
            return [error]
    middle = len(cases) // 2
    return [*bisected(run, cases[:middle]), *bisected(run, cases[middle:])]
