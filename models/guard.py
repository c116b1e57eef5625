"""Tells a finite and plausible restoration from one that cannot be true.

Shapes: B batch, C channels, H and W height and width of the degraded image, N values.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_FLAT = 1e-6
"""Range of values below which an image shows nothing, a hundredth of a 16-bit step."""
_FEW = 1e-3
"""Share of an image's values that may lie farther outside the range than it is wide."""
_FARTHEST = 8.0
"""Widths of the range beyond which a single value is too far."""
_STRUCTURE = 0.05
"""Spread between the tenth and ninetieth percentile that no restoration can take away: impulses and holes
that cover less of the image do not count."""


class Fault(NamedTuple):
    """Why an output is refused."""

    reason: str
    """Code of the quarantine row."""
    what: str
    """What the restorer gave, to be read after "gave"."""


def find_fault(restored_BCHW: Tensor, degraded_BCHW: Tensor, mask_B1HW: Tensor | None) -> Fault | None:
    """The first fault of a batch, or nothing.

    NaN and infinity; values farther outside the input's range than that range is wide, unless they are few
    and not farther than ``_FARTHEST`` times that, as where a network overshoots at a glint; an image without
    any structure where the known pixels of its input have some.
    """
    found_4B = torch.cat([limits(restored_BCHW), limits(degraded_BCHW)]).cpu()
    restored_2B, degraded_2B = found_4B[:2], found_4B[2:]
    if not restored_2B.isfinite().all():
        return Fault("NONFINITE_OUTPUT", "NaN or infinite values")
    low, high = min(0.0, float(degraded_2B[0].min())), max(1.0, float(degraded_2B[1].max()))
    lowest, highest = float(restored_2B[0].min()), float(restored_2B[1].max())
    if _is_outside(restored_BCHW, lowest, highest, low, high):
        given = f"values from {lowest:.3g} to {highest:.3g} where {low:.3g} to {high:.3g} came in"
        return Fault("IMPLAUSIBLE_OUTPUT", given)
    for index in (restored_2B[1] - restored_2B[0] <= _FLAT).nonzero().flatten().tolist():
        known_1HW = None if mask_B1HW is None else mask_B1HW.expand_as(degraded_BCHW[:, :1])[index] > 0.5
        if _spread(degraded_BCHW[index], known_1HW) > _STRUCTURE:
            return Fault("IMPLAUSIBLE_OUTPUT", "a flat image where the input was not flat")
    return None


def _is_outside(restored_BCHW: Tensor, lowest: float, highest: float, low: float, high: float) -> bool:
    width = high - low
    if lowest >= low - width and highest <= high + width:
        return False
    if lowest < low - _FARTHEST * width or highest > high + _FARTHEST * width:
        return True
    outside_BCHW = (restored_BCHW < low - width) | (restored_BCHW > high + width)
    return float(outside_BCHW.flatten(1).float().mean(dim=1).max()) > _FEW


def limits(image_BCHW: Tensor) -> Tensor:
    """2B: least and greatest value of each image, NaN where it holds one; a single pass over the pixels."""
    if image_BCHW.is_cuda:
        return torch.stack(torch.aminmax(image_BCHW.flatten(1), dim=1))
    # Over a dimension the same call is 17 times slower on a CPU.
    return torch.stack([torch.stack(torch.aminmax(image_CHW)) for image_CHW in image_BCHW], dim=1)


def _spread(image_CHW: Tensor, known_1HW: Tensor | None) -> float:
    values_N = image_CHW.flatten() if known_1HW is None else image_CHW[known_1HW.expand_as(image_CHW)]
    if values_N.numel() == 0:
        return 0.0
    sampled_N = values_N[:: max(values_N.numel() // 100_000, 1)].float()
    low, high = sampled_N.quantile(torch.tensor([0.1, 0.9]).to(sampled_N))
    return float(high - low)
