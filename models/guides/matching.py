"""A guide and an image of fewer pixels: how large one is beside the other, and one guide for each band.

The image's bands are explained by the guide's, as a sensor with the image's pixels would see them: a guide of
several bands so becomes one for each band of the image (Selva et al., "Hyper-Sharpening: A First Approach on
SIM-GA Data", IEEE JSTARS 2015, section II-B).

Shapes: B batch, C channels of the image, P of the guide, h and w of the image, H and W of the guide.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from models.contract import Condition, RestorerError
from models.operators.resample import Mtf, imresize

MTF = 0.3
"""Response of most optical sensors at their Nyquist frequency, where nobody says another."""
SMOOTH = 2
"""Pixels of the image on each side of one whose mean is what is smooth there."""
_RIDGE = 1e-6
"""Of the guide's variance: bands of a guide that are the same share what they explain."""


def guide_of(condition: Condition, image_BChw: Tensor, scale: int) -> Tensor:
    """BPHW of the image's type, one for each image; ``RestorerError`` where it lacks or does not fit."""
    guide_BPHW = condition.guide_BPHW
    if guide_BPHW is None:
        raise RestorerError("CONDITION_MISSING", "this restorer needs a guide")
    refuse_other_size(guide_BPHW, image_BChw, scale)
    return guide_BPHW.to(image_BChw).expand(len(image_BChw), -1, -1, -1)


def refuse_other_size(guide_BPHW: Tensor, image_BChw: Tensor, scale: int) -> None:
    """``RestorerError`` unless the guide is ``scale`` times as large as the image."""
    (height, width), (tall, wide) = image_BChw.shape[-2:], guide_BPHW.shape[-2:]
    if (tall, wide) != (scale * height, scale * width):
        raise RestorerError(
            "GUIDE_UNFIT",
            f"the guide has {tall} x {wide} pixels, the image {height} x {width}: {scale} times as many a "
            f"side are wanted, {scale * height} x {scale * width}",
        )


def seen_coarsely(image_BPHW: Tensor, scale: int, mtf: float = MTF) -> Tensor:
    """BPhw: as a sensor with ``scale`` times larger pixels sees it."""
    return image_BPHW if scale == 1 else Mtf(scale=scale, mtf=mtf)(image_BPHW, Generator())


def enlarged(image_BChw: Tensor, scale: int) -> Tensor:
    """BCHW, bicubic, pixel centres where a sensor's were."""
    height, width = image_BChw.shape[-2:]
    return image_BChw if scale == 1 else imresize(image_BChw, scale * height, scale * width)


def matched(guide_BPHW: Tensor, image_BChw: Tensor, scale: int, mtf: float = MTF) -> Tensor:
    """BCHW: of the guide's bands, what explains each of the image's best, least squares over the image.

    Of details, without what is smooth: land and water tell nothing of how a band's edges follow the guide's.
    """
    coarse_BPhw = seen_coarsely(guide_BPHW, scale, mtf)
    found_BCHW = explained(details(coarse_BPhw), details(image_BChw), guide_BPHW)
    mean_BC11 = image_BChw.mean(dim=(-2, -1), keepdim=True)
    return found_BCHW - found_BCHW.mean(dim=(-2, -1), keepdim=True) + mean_BC11


def details(image_BChw: Tensor) -> Tensor:
    """The image without the mean about each pixel."""
    side = 2 * SMOOTH + 1
    return image_BChw - F.avg_pool2d(image_BChw, side, stride=1, padding=SMOOTH, count_include_pad=False)


def explained(bands_BPhw: Tensor, wanted_BChw: Tensor, like_BPHW: Tensor) -> Tensor:
    """BCHW: the affine map that takes the bands nearest to what is wanted, applied to others."""
    batch, channels = wanted_BChw.shape[:2]
    bands_BPN, wanted_BCN = bands_BPhw.flatten(2).double(), wanted_BChw.flatten(2).double()
    mean_BP1, mean_BC1 = bands_BPN.mean(2, keepdim=True), wanted_BCN.mean(2, keepdim=True)
    centred_BPN = bands_BPN - mean_BP1
    covariance_BPP = centred_BPN @ centred_BPN.mT
    ridge_B = (
        _RIDGE * covariance_BPP.diagonal(dim1=1, dim2=2).mean(1) + torch.finfo(torch.float64).tiny ** 0.5
    )
    covariance_BPP = covariance_BPP + torch.diag_embed(ridge_B[:, None].expand(-1, bands_BPN.shape[1]))
    slope_BPC = torch.linalg.solve(covariance_BPP, centred_BPN @ (wanted_BCN - mean_BC1).mT)
    values_BCN = slope_BPC.mT @ (like_BPHW.flatten(2).double() - mean_BP1) + mean_BC1
    values_BCHW: Tensor = values_BCN.to(wanted_BChw.dtype).view(batch, channels, *like_BPHW.shape[-2:])
    return values_BCHW
