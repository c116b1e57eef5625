"""Wiener filtering of a known blur that finds its own balance, by scikit-image.

Orieux, Giovannelli and Rodet 2010, "Bayesian estimation of regularization and point spread function
parameters for Wiener-Hunt deconvolution": Gibbs sampling of the noise's and the image's precision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.restorer import Condition, RestorerError
from models.solvers.boundary import double_mirrored
from models.solvers.point_spread import point_spread
from models.solvers.solver import Solver, whole


@dataclass(frozen=True, kw_only=True)
class UnsupervisedWiener(Solver):
    """Needs the blur, not the noise level; edges are mirrored. Runs on the CPU, channel by channel."""

    name: ClassVar[str] = "unsupervised_wiener"

    seed: int = whole(0, 0)
    """Of the Gibbs sampling, the same for every channel of every image."""

    def card(self, name: str) -> Card:
        """Every pixel can matter: the inverse of a blur has no end."""
        return Card(
            name=name,
            summary="Wiener-Hunt deconvolution of a known blur that estimates the noise itself.",
            task="deblurring",
            halo=None,
            tile_exact=False,
            needs=("operators",),
            source="Orieux, Giovannelli and Rodet 2010; scikit-image",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW; ``TOO_SMALL`` where the mirrored image is smaller than the kernel or the Laplacian."""
        kernel_CKK = point_spread(condition.operators, degraded_BCHW.shape[1], degraded_BCHW)
        least = max(2, (kernel_CKK.shape[-1] + 1) // 2)
        if min(degraded_BCHW.shape[-2:]) < least:
            raise RestorerError(
                "TOO_SMALL", f"unsupervised_wiener needs at least {least} x {least} pixels for this blur"
            )
        images = [
            torch.stack(
                [
                    self._deconvolve(image_HW, kernel_KK)
                    for image_HW, kernel_KK in zip(image_CHW, kernel_CKK, strict=True)
                ]
            )
            for image_CHW in degraded_BCHW
        ]
        return torch.stack(images)

    def _deconvolve(self, image_HW: Tensor, kernel_KK: Tensor) -> Tensor:
        from skimage.restoration import unsupervised_wiener  # slow to import, and few runs use it

        height, width = image_HW.shape
        extended_HW = double_mirrored(image_HW[None, None])[0, 0].double().cpu().numpy()
        kernel = kernel_KK.double().cpu().numpy()
        deconvolve: Callable[..., Any] = unsupervised_wiener  # scikit-image annotates half of its functions
        deconvolved_HW, _ = deconvolve(extended_HW, kernel, clip=False, rng=self.seed)
        return torch.as_tensor(deconvolved_HW[:height, :width]).to(image_HW)
