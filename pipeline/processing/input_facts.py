"""What is measured of inputs before a calibration may speak of them.

Shapes: B batch, C channels, H and W height and width of the restored image, h and w of the input, N valid
samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.noise_level import estimate_noise_level
from pipeline.processing.cases import Case
from pipeline.processing.metric_inputs import valid_mask, valid_output


@dataclass(frozen=True)
class TrustInputs:
    """Images of one shape under one degradation, and what is measured of them, once for all that ask."""

    cases: Sequence[Case]
    degraded_BChw: Tensor
    restored_BCHW: Tensor
    """As it is stored: rounded and clipped."""
    valid_B1HW: Tensor | None
    facts: list[dict[str, Any]]
    """The fields of ``InputFacts`` of each."""

    @classmethod
    def of(cls, cases: Sequence[Case], restored_BCHW: Tensor) -> TrustInputs:
        """Measures them."""
        degraded_BChw = torch.cat([case.degraded.image_BCHW for case in cases])
        valid_B1HW = valid_output(cases, restored_BCHW)
        facts = _input_facts(cases, degraded_BChw, valid_B1HW, restored_BCHW)
        return cls(cases, degraded_BChw, restored_BCHW, valid_B1HW, facts)


def _input_facts(
    cases: Sequence[Case], degraded_BChw: Tensor, valid_B1HW: Tensor | None, restored_BCHW: Tensor
) -> list[dict[str, Any]]:
    known_B1hw = valid_mask(cases, degraded_BChw.device)
    if known_B1hw is not None and known_B1hw.shape[-2:] != degraded_BChw.shape[-2:]:
        known_B1hw = None  # of the reference, which is larger: what is filled in counts as the input does
    levels = (255 * estimate_noise_level(degraded_BChw)).tolist()
    found = []
    for place, image_Chw in enumerate(degraded_BChw):
        input_N = chosen(image_Chw, None if known_B1hw is None else known_B1hw[place]).double()
        valid = None if valid_B1HW is None else int(valid_B1HW[place].sum())
        samples = restored_BCHW[place].numel() if valid is None else valid * restored_BCHW.shape[1]
        found.append(
            {
                "noise_level": levels[place],
                "samples": samples,
                "brightness": float(input_N.mean()) if len(input_N) else 0.0,
                "saturated": float(((input_N == 0) | (input_N == 1)).double().mean())
                if len(input_N)
                else 0.0,
            }
        )
    return found


def chosen(image_CHW: Tensor, valid_1HW: Tensor | None) -> Tensor:
    """(N,): the samples of valid pixels."""
    return image_CHW.flatten() if valid_1HW is None else image_CHW[:, valid_1HW[0]].flatten()
