"""Computed tomography from few views, or from few photons.

A degraded image is what filtered back-projection makes of the scan, ``A = B F R``: an image of its size, in
its units, with the streaks and the noise of the scan. Each part has its transpose, and so has A.

Shapes: B batch, C channels, H and W height and width, V views, D detector elements.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.operators.draws import each_image, poisson_like
from models.operators.radon import (
    back_project,
    back_project_transposed,
    filter_views,
    filter_views_transposed,
    project,
    project_transposed,
)
from models.operators.scanner import FanScanner, ParallelScanner, Scanner
from models.parameters import Checked, choice, number, whole

GEOMETRIES = ("parallel", "fan")
"""Parallel rays over half a turn; a fan of equal angles from one source, over a whole turn."""
_LEAST_COUNT = 0.1
"""Photons that stand for none: a logarithm must be taken."""


@dataclass(frozen=True)
class Tomography(Checked):
    """Filtered back-projection of a scan without noise: streaks where views are few. Linear."""

    name: ClassVar[str] = "tomography"

    views: int = whole(60, 1, 10_000)
    """From how many sides the image is seen, in [1, 10000]."""
    geometry: str = choice(*GEOMETRIES)
    """One of ``GEOMETRIES``."""
    distance: float = number(2.5, 1.1, 100)
    """Of a fan's source from the image's centre, in half diagonals of the image, in [1.1, 100]."""

    def scanner(self, height: int, width: int) -> Scanner:
        """The rays, for images of this size."""
        if self.geometry == "fan":
            return FanScanner(height, width, self.views, self.distance)
        return ParallelScanner(height, width, self.views)

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The back-projected image, same size."""
        height, width = image_BCHW.shape[2:]
        scanner = self.scanner(height, width)
        return back_project(filter_views(project(image_BCHW, scanner), scanner), scanner, height, width)

    def adjoint(self, image_BCHW: Tensor, height: int, width: int) -> Tensor:
        """``A'``: the transposes of its parts, in the other order."""
        assert tuple(image_BCHW.shape[2:]) == (height, width), (image_BCHW.shape, height, width)
        scanner = self.scanner(height, width)
        views_BCVD = filter_views_transposed(back_project_transposed(image_BCHW, scanner), scanner)
        return project_transposed(views_BCVD, scanner, height, width)


@dataclass(frozen=True)
class TomographyNoise(Checked):
    """Adds what few photons leave in a filtered back-projection: noise with a texture, and dark streaks.

    Photons are counted (Poisson) behind what attenuates them, and the logarithm is taken. As in LoDoPaB-CT
    (Leuschner et al., Scientific Data 2021), a pixel of value 1 attenuates as the densest bone of their
    scans, over an image 26 cm wide.
    """

    name: ClassVar[str] = "tomography_noise"

    photons: float = number(10_000.0, 1, 1e9)
    """That reach an element of the detector, per view, where nothing is in the way; in [1, 1e9]."""
    attenuation: float = number(21.15, 0, 1000, above=True)
    """Of a ray along the longer side of an image whose pixels are all 1 (natural logarithm), in (0, 1000]."""
    views: int = whole(360, 1, 10_000)
    """From how many sides the image is seen, in [1, 10000]."""
    geometry: str = choice(*GEOMETRIES)
    """One of ``GEOMETRIES``."""
    distance: float = number(2.5, 1.1, 100)
    """Of a fan's source from the image's centre, in half diagonals of the image, in [1.1, 100]."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The image and the noise; each channel is a slice of its own."""
        return each_image(image_BCHW, self._noisy(rng))

    def _noisy(self, rng: Generator) -> Callable[[Tensor], Tensor]:
        scan = Tomography(self.views, self.geometry, self.distance)

        def noisy(image_CHW: Tensor) -> Tensor:
            height, width = image_CHW.shape[1:]
            scanner = scan.scanner(height, width)
            per_pixel = self.attenuation / max(height, width)
            attenuated_1CVD = project(image_CHW[None], scanner) * per_pixel
            rates_1CVD = self.photons * torch.exp(-attenuated_1CVD)
            counted_1CVD = poisson_like(rates_1CVD, rng).clamp_min(_LEAST_COUNT)
            logarithm_1CVD = (rates_1CVD / counted_1CVD).log()
            # Behind much, the expected number is less than float32 can hold; its logarithm is not.
            expected_1CVD = math.log(self.photons) - attenuated_1CVD - math.log(_LEAST_COUNT)
            logarithm_1CVD = torch.where(rates_1CVD > 0, logarithm_1CVD, expected_1CVD)
            noise_1CVD = logarithm_1CVD / per_pixel
            noise_1CHW = back_project(filter_views(noise_1CVD, scanner), scanner, height, width)
            return image_CHW + noise_1CHW[0]

        return noisy
