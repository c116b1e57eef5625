"""Haar wavelet-based perceptual similarity index (Reisenhofer, Bosse, Kutyniok, Wiegand 2018).

Shapes: B batch, P planes, h and w height and width after halving.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.base import FULL_RANGE, MetricProtocol
from pipeline.metrics.box import box_sum, halved
from pipeline.metrics.luma import weighted_sum

_C = 30.0 / 255.0**2
_ALPHA = 4.2
_YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
_REACH = 8  # the largest wavelet


@dataclass(frozen=True)
class HaarPSI:
    """Perceptual similarity of Haar coefficients; NaN under 16 x 16 and where both images are black."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="haarpsi",
        formula=(
            "(logit(sum W s(S) / sum W) / a)^2 over pixels of the halved image and both orientations; S: "
            "mean of (2 x y + C) / (x^2 + y^2 + C) of the Haar coefficients of scales 1 and 2; W: the larger "
            "coefficient of scale 3; s: logistic of slope a = 4.2; C = 30 / 255^2"
        ),
        colour="YIQ, I and Q as a third term, for 3 channels; else each channel, scores averaged",
        border="scale",
        data_range=FULL_RANGE,
        unit="1",
        higher_is_better=True,
        best=1.0,
        source="Reisenhofer et al., Signal Processing: Image Communication 61, 2018, eq. 9-15",
        minimum_size=2 * _REACH,
        window="Haar 2, 4 and 8 after halving; zeros outside the image, as in the authors' code",
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        if min(reference_BCHW.shape[-2:]) < self.protocol.minimum_size:
            return valid.undefined(reference_BCHW)
        x_BPhw = _planes(valid.blanked(restored_BCHW, valid_B1HW))
        y_BPhw = _planes(valid.blanked(reference_BCHW, valid_B1HW))
        in_colour = reference_BCHW.shape[1] == 3
        brightness = slice(0, 1) if in_colour else slice(None)
        terms = [_orientation(x_BPhw[:, brightness], y_BPhw[:, brightness], down) for down in (True, False)]
        if in_colour:
            chroma_B2hw = _similarity(_chroma(x_BPhw), _chroma(y_BPhw))
            weight_B1hw = (terms[0][1] + terms[1][1]) / 2
            terms.append((chroma_B2hw.mean(dim=1, keepdim=True), weight_B1hw))
        return _pooled(terms, _whole(valid_B1HW))


def _planes(image_BCHW: Tensor) -> Tensor:
    """Halved; RGB as Y, I, Q."""
    if image_BCHW.shape[1] != 3:
        return halved(image_BCHW)
    return halved(torch.cat([weighted_sum(image_BCHW, weights) for weights in _YIQ], dim=1))


def _orientation(x_BPhw: Tensor, y_BPhw: Tensor, down: bool) -> tuple[Tensor, Tensor]:
    """Local similarity and its weight in one orientation."""
    fine = [_similarity(_haar(x_BPhw, size, down), _haar(y_BPhw, size, down)) for size in (2, 4)]
    weight_BPhw = torch.maximum(_haar(x_BPhw, _REACH, down), _haar(y_BPhw, _REACH, down))
    return (fine[0] + fine[1]) / 2, weight_BPhw


def _haar(plane_BPhw: Tensor, size: int, down: bool) -> Tensor:
    """Magnitude of the mean difference between the halves of a box, centred as conv2's 'same' centres it."""
    before, after = size // 2 - 1, size // 2
    padded = F.pad(plane_BPhw, (before, after, before, after))
    half = box_sum(padded, size // 2, size) if down else box_sum(padded, size, size // 2)
    dim = 2 if down else 3
    count = half.shape[dim] - size // 2
    return (half.narrow(dim, 0, count) - half.narrow(dim, size // 2, count)).abs() / size


def _chroma(yiq_B3hw: Tensor) -> Tensor:
    """Magnitude of the 2 x 2 means of I and Q."""
    return box_sum(F.pad(yiq_B3hw[:, 1:], (0, 1, 0, 1)), 2, 2).abs() / 4


def _similarity(x: Tensor, y: Tensor) -> Tensor:
    return (2 * x * y + _C) / (x.square() + y.square() + _C)


def _pooled(terms: list[tuple[Tensor, Tensor]], whole_B1hw: Tensor | None) -> Tensor:
    # The logit magnifies rounding 70 times near 1: from here on float64.
    terms = [(torch.sigmoid(_ALPHA * similarity.double()), weight.double()) for similarity, weight in terms]
    weighted_BP = sum(valid.channel_sum(s * w, whole_B1hw) for s, w in terms)
    weight_BP = sum(valid.channel_sum(w, whole_B1hw) for _, w in terms)
    mean_BP = torch.as_tensor(weighted_BP / weight_BP)
    return (torch.logit(mean_BP) / _ALPHA).square().mean(dim=1)


def _whole(valid_B1HW: Tensor | None) -> Tensor | None:
    """Halved pixels whose largest wavelet rests on valid pixels only; beyond the border all are valid."""
    if valid_B1HW is None:
        return None
    invalid_B1hw = F.max_pool2d((~valid_B1HW.bool()).float(), 2, ceil_mode=True)
    before, after = _REACH // 2 - 1, _REACH // 2
    return F.max_pool2d(F.pad(invalid_B1hw, (before, after, before, after)), _REACH, stride=1) == 0
