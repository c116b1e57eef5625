"""What is told of an image in memory, checked: ``ValueError`` by argument, with the cure.

Imports inside functions keep torch out of the start-up of a notebook.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from models.card import Card

_OF_CARDS = {"noise_level": "noise_level", "mask": "mask", "kernel": "operators", "guide": "guide"}
"""Argument -> what a card calls it."""
LOUDEST = 255.0


def refuse_unused(card: Card, told: dict[str, Any]) -> None:
    """Where something is told that this restorer would not listen to; ``None`` is nothing told."""
    for argument, value in told.items():
        if value is not None and _OF_CARDS[argument] not in (*card.needs, *card.takes):
            raise ValueError(
                f"{argument}: {card.name} takes none, it would have no effect; leave it out, or "
                "see restora list restorers for one that does"
            )


def checked_noise_level(noise_level: float) -> float:
    """As a fraction of the value range."""
    if isinstance(noise_level, bool | str) or not 0 <= float(noise_level) <= LOUDEST:
        raise ValueError(
            f"noise_level: must be a number from 0 to 255, in 1/255 of the value range; got {noise_level!r}"
        )
    return float(noise_level) / 255


def checked_mask(mask: NDArray[Any], height: int, width: int) -> NDArray[np.bool_]:
    """HW, true where a pixel is known: whatever is not 0."""
    import numpy as np

    values = np.asarray(mask)
    if values.shape != (height, width) or values.dtype.kind not in "buif":
        raise ValueError(
            f"mask: needs HW numbers or truths of the image's {height} x {width} pixels, got {values.dtype} "
            f"of shape {values.shape}"
        )
    known_HW: NDArray[np.bool_] = values != 0
    if np.isnan(values).any() or not known_HW.any():
        raise ValueError(
            "mask: every pixel is a hole, or NaN; give true, or anything but 0, where one is known"
        )
    return known_HW


def checked_range(value_range: tuple[float, float]) -> tuple[float, float]:
    """The values that mean 0 and 1."""
    if len(value_range) != 2 or not all(map(math.isfinite, value_range)):
        raise ValueError(f"value_range: needs two finite numbers, (low, high); got {value_range!r}")
    low, high = value_range
    if not low < high:
        raise ValueError(f"value_range: low must be less than high, got {low:g} and {high:g}")
    return low, high


def checked_device(device: str | None) -> torch.device:
    """The one of this name, else the best."""
    import torch

    try:
        return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError:
        raise ValueError(f"device: {device!r} is none that torch knows; give cpu, cuda, cuda:1 ...") from None
