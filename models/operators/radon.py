"""The Radon transform and its inversion by filtered back-projection, each with its exact transpose.

A value of the detector is the sum of the image at places one pixel apart along a ray, bilinearly between
pixels and 0 outside. Kak and Slaney, "Principles of Computerized Tomographic Imaging", 1988, chapter 3.

Shapes: B batch, C channels, H and W height and width, V views, D detector elements, P planes (B x C), S
places along a ray, N pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.operators.convolution import fast_length
from models.operators.scanner import Scanner


def project(image_BCHW: Tensor, scanner: Scanner) -> Tensor:
    """BCVD: line integrals of the image, in values times pixels."""
    planes_1PHW = image_BCHW.flatten(0, 1)[None]
    views = []
    for view in range(scanner.views):
        sampled_1PDS = F.grid_sample(
            planes_1PHW, _grid(scanner, view, planes_1PHW), padding_mode="zeros", align_corners=False
        )
        views.append(sampled_1PDS[0].sum(-1))
    return torch.stack(views, dim=1).view(*image_BCHW.shape[:2], scanner.views, -1)


def project_transposed(measured_BCVD: Tensor, scanner: Scanner, height: int, width: int) -> Tensor:
    """BCHW: each measured value laid back along its ray."""
    planes_PVD = measured_BCVD.flatten(0, 1)
    image_1PHW = planes_PVD.new_zeros(1, len(planes_PVD), height, width)
    for view in range(scanner.views):
        grid_1DS2 = _grid(scanner, view, image_1PHW)
        spread_1PDS = planes_PVD[None, :, view, :, None].expand(-1, -1, -1, grid_1DS2.shape[2])
        # The gradient of sampling, called by itself: solvers run where nothing is recorded for gradients.
        laid_1PHW, _ = torch.ops.aten.grid_sampler_2d_backward(
            spread_1PDS.contiguous(), image_1PHW, grid_1DS2, 0, 0, False, [True, False]
        )
        image_1PHW = image_1PHW + laid_1PHW
    return image_1PHW.view(*measured_BCVD.shape[:2], height, width)


def filter_views(measured_BCVD: Tensor, scanner: Scanner) -> Tensor:
    """BCVD: the values weighted and filtered by the ramp, ready for back-projection."""
    return _ramp_filtered(measured_BCVD * scanner.measured_weights().to(measured_BCVD), scanner)


def filter_views_transposed(filtered_BCVD: Tensor, scanner: Scanner) -> Tensor:
    """BCVD: the filter is even, so that its transpose is itself; the weights come last."""
    return _ramp_filtered(filtered_BCVD, scanner) * scanner.measured_weights().to(filtered_BCVD)


def back_project(filtered_BCVD: Tensor, scanner: Scanner, height: int, width: int) -> Tensor:
    """BCHW: the sum over views of what the element sees that sees a pixel, linearly between elements."""
    planes_PVD = filtered_BCVD.flatten(0, 1)
    image_PN = planes_PVD.new_zeros(len(planes_PVD), height * width)
    for view in range(scanner.views):
        element_N, lower_N, upper_N = _shares(scanner, view, planes_PVD)
        values_PD = planes_PVD[:, view]
        image_PN += values_PD[:, element_N] * lower_N + values_PD[:, element_N + 1] * upper_N
    return image_PN.view(*filtered_BCVD.shape[:2], height, width)


def back_project_transposed(image_BCHW: Tensor, scanner: Scanner) -> Tensor:
    """BCVD: each pixel given to the two elements around the place that sees it."""
    planes_PN = image_BCHW.flatten(2).flatten(0, 1)
    values_PVD = planes_PN.new_zeros(len(planes_PN), scanner.views, scanner.elements)
    for view in range(scanner.views):
        element_N, lower_N, upper_N = _shares(scanner, view, planes_PN)
        values_PVD[:, view].index_add_(1, element_N, planes_PN * lower_N)
        values_PVD[:, view].index_add_(1, element_N + 1, planes_PN * upper_N)
    return values_PVD.view(*image_BCHW.shape[:2], scanner.views, scanner.elements)


def _grid(scanner: Scanner, view: int, image_1PHW: Tensor) -> Tensor:
    """1DS2: the places of the rays as ``grid_sample`` counts them, -1 and 1 at the image's edges."""
    height, width = image_1PHW.shape[2:]
    x_DS, y_DS = scanner.rays(view)
    return torch.stack((2 * x_DS / width, 2 * y_DS / height), dim=-1)[None].to(image_1PHW)


def _shares(scanner: Scanner, view: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """N each: the element before a pixel's place on the detector; its weight, and the next one's."""
    place_HW, weight_HW = scanner.shadows(view)
    element_N = place_HW.flatten().floor().clamp(0, scanner.elements - 2)
    fraction_N = place_HW.flatten() - element_N
    weight_N = weight_HW.flatten()
    lower_N, upper_N = weight_N * (1 - fraction_N), weight_N * fraction_N
    return element_N.long().to(like.device), lower_N.to(like), upper_N.to(like)


def _ramp_filtered(values_BCVD: Tensor, scanner: Scanner) -> Tensor:
    elements = scanner.elements
    length = fast_length(2 * elements - 1)
    ramp_D = scanner.ramp()
    kernel = torch.cat((ramp_D, ramp_D.new_zeros(length - 2 * elements + 1), ramp_D[1:].flip(0)))
    spectrum = torch.fft.rfft(kernel).real.to(values_BCVD)
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(values_BCVD, n=length) * spectrum, n=length)
    return filtered[..., :elements].contiguous()
