"""In which floating-point type the networks of a step run."""

from __future__ import annotations

import torch
from torch import Tensor

SAFE = (None, torch.float32, torch.bfloat16)


def checked(precision: torch.dtype | None) -> torch.dtype | None:
    """The same; ``ValueError`` for types whose range is too small for gradients."""
    if precision not in SAFE:
        raise ValueError(
            f"precision {precision} is not for training: small gradients become zero; use torch.bfloat16"
        )
    return None if precision == torch.float32 else precision


def autocast(like: Tensor, precision: torch.dtype | None) -> torch.autocast:
    """Within, convolutions on the device of ``like`` run in ``precision``; nothing: all in float32."""
    return torch.autocast(like.device.type, precision, enabled=precision is not None)
