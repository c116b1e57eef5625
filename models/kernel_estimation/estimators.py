"""Estimators of blurs by the word that a job says, each called with CHW in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from models.kernel_estimation.blind import blind
from models.kernel_estimation.found import Estimate
from models.kernel_estimation.spectral import defocus, straight_motion

ESTIMATORS: dict[str, Callable[[Tensor], Estimate]] = {
    "blind": blind,
    "blind_defocus": defocus,
    "blind_motion": straight_motion,
}
