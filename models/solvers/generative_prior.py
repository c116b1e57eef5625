"""Restoration by search among the images that a generator can make.

Bora, Jalal, Price and Dimakis 2017, "Compressed sensing using generative models": the latent z whose image
G(z), degraded as the given one was, comes closest to it. With a mask it is the inpainting of Yeh et al.
2017, "Semantic image inpainting with deep generative models", without their discriminator.

Shapes: B batch, C channels, H and W height and width of the wanted image, R restarts, T tiles of the
mosaic, Z numbers of a latent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.image_generator import ImageGenerator
from models.restorer import Restorer
from models.solvers.data_term import DataTerm
from models.solvers.mosaic import Mosaic
from models.solvers.solver import Solver, choice, number, whole


@dataclass(frozen=True)
class Found:
    """What the search ended with."""

    image_CHW: Tensor
    """The generator's image for the best latents."""
    latent_TZ: Tensor
    """One latent per tile, in reading order."""
    residual: float
    """Root mean square of ``A(G(z)) - y`` over the known values, fraction of the value range."""
    steps: int
    """How many were taken until the residual was that of the noise, or until there were no more."""


@dataclass(frozen=True, kw_only=True)
class GenerativePrior(Solver):
    """``min_z |A(G(z)) - y|^2 + weight |z|^2`` by Adam, from many starts at once.

    The first half of the steps goes to all starts, the second to the best latent of each tile. The search
    ends as soon as the residual is no larger than noise of the known level would leave.

    A generator makes images of one size: smaller ones are cut from the middle of its image, larger ones
    are a mosaic of its images side by side, each with its own latent, whose seams may show. Any linear
    operators and any mask will do; without either, the nearest image of the generator is found.
    """

    name: ClassVar[str] = "generative_prior"

    generator: ImageGenerator
    """A generator of images (``dcgan``, ``progressive``) by the path or URL of its weights."""
    restarts: int = whole(8, 1, 1000)
    """Codes from N(0, 1) that the search starts from: it ends in local minima."""
    iterations: int = whole(400, 1, 100_000)
    """Steps at most."""
    rate: float = number(0.1, 1e-5, 10.0)
    """Length of a step in units of the latents' standard deviation; it falls to 0 in the second half."""
    prior_weight: float | None = number(None, 0.0, 1e9)
    """Weight of the squared latent against the sum over all values; nothing takes the most probable one for
    noise of a known level and latents from N(0, 1), or 0 where the level is not known."""
    loss: str = choice("squared", "absolute")
    """What is summed over the values: squares, or absolute values where some pixels are far off."""
    seed: int = whole(0, 0)
    """Of the starts, the same for every image."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_generator(self.name, self.generator)

    def card(self, name: str) -> Card:
        """Takes the scale of the degradation and the generator's channels; every pixel can matter."""
        card, side = self.generator.card, self.generator.image_size
        return Card(
            name=name,
            summary=f"The image of {card.name} ({side} x {side}) that explains the degraded one best.",
            task="general",
            scale=None,
            channels=self.generator.channels,
            halo=None,
            tile_exact=False,
            takes=("operators", "mask", "noise_level"),
            licence=card.licence,
            source="Bora et al. 2017, Compressed sensing using generative models; Yeh et al. 2017",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and the condition's scale times H and W; errors as ``search``."""
        return torch.stack([found.image_CHW for found in self.search(degraded_BCHW, condition)])

    def search(self, degraded_BCHW: Tensor, condition: Condition) -> list[Found]:
        """What was found for each image.

        Raises ``RestorerError`` (``CONDITION_MISSING``) where a mask leaves no pixel of an image, or where
        the operators do not lead to the size of the degraded image.
        """
        # One by one: rounding depends on the batch, and hundreds of steps would make a difference of it.
        return [
            self._search(degraded_BCHW[index : index + 1], condition.select([index]))
            for index in range(len(degraded_BCHW))
        ]

    def _search(self, degraded_1CHW: Tensor, condition: Condition) -> Found:
        data = DataTerm(degraded_1CHW, condition, absolute=self.loss == "absolute")
        mosaic = Mosaic(*data.size, self.generator.image_size)
        level = 0.0 if condition.noise_level_B is None else float(condition.noise_level_B)
        numbers = mosaic.tiles * self.generator.latent
        # As many numbers as were fitted are missing from the residual of the truth.
        enough = level * math.sqrt(max(1 - numbers / data.values, 0))
        shape = (self.restarts, mosaic.tiles, self.generator.latent)
        latent_RTZ = torch.randn(shape, generator=torch.Generator().manual_seed(self.seed))
        latent_RTZ, steps = latent_RTZ.to(degraded_1CHW.device), 0
        half = self.iterations // 2
        for rates in ([self.rate] * half, self._falling(self.iterations - half)):
            latent_RTZ, taken = self._descend(latent_RTZ, data, mosaic, rates, enough, self._weight(level))
            steps += taken
            latent_RTZ = self._best(latent_RTZ, data, mosaic)
        image_1CHW = self._image(latent_RTZ, mosaic)
        residual = float(data.root_mean_square(data.residual(image_1CHW)))
        return Found(image_1CHW[0].to(degraded_1CHW), latent_RTZ[0], residual, steps)

    def _falling(self, steps: int) -> list[float]:
        return [self.rate * (1 - step / steps) for step in range(steps)]

    def _descend(
        self,
        latent_RTZ: Tensor,
        data: DataTerm,
        mosaic: Mosaic,
        rates: list[float],
        enough: float,
        weight: float,
    ) -> tuple[Tensor, int]:
        """The latents after Adam's steps (Kingma and Ba 2015), and how many were taken."""
        # Restorers run where nothing records gradients; this one needs its own.
        with torch.inference_mode(False), torch.enable_grad():
            latent_RTZ = latent_RTZ.clone().requires_grad_()
            adam = torch.optim.Adam([latent_RTZ])
            for step, rate in enumerate(rates):
                image_RCHW = self._image(latent_RTZ, mosaic)
                residual_RCHW = data.residual(image_RCHW.detach())
                if enough and float(data.root_mean_square(residual_RCHW).min()) <= enough:
                    return latent_RTZ.detach(), step
                slope_RCHW = data.gradient(residual_RCHW).to(image_RCHW)
                (slope_RTZ,) = torch.autograd.grad(image_RCHW, latent_RTZ, slope_RCHW)
                latent_RTZ.grad = slope_RTZ + 2 * weight * latent_RTZ.detach()
                adam.param_groups[0]["lr"] = rate
                adam.step()
        return latent_RTZ.detach(), len(rates)

    def _weight(self, level: float) -> float:
        if self.prior_weight is not None:
            return self.prior_weight
        # -log p(z | y) times 2 sigma^2 for Gaussian noise; times b = sigma / sqrt(2) for Laplacian noise.
        return level**2 if self.loss == "squared" else level / math.sqrt(8)

    def _best(self, latent_RTZ: Tensor, data: DataTerm, mosaic: Mosaic) -> Tensor:
        """1TZ: of each tile the start that explains its part of the image best."""
        energy_RHW = data.energy(data.residual(self._image(latent_RTZ, mosaic)))
        best_T = mosaic.sums(energy_RHW).argmin(dim=0)
        return latent_RTZ[best_T, torch.arange(mosaic.tiles, device=best_T.device)][None]

    def _image(self, latent_RTZ: Tensor, mosaic: Mosaic) -> Tensor:
        return mosaic(self.generator(latent_RTZ.flatten(0, 1)))


def require_generator(solver: str, generator: object) -> None:
    """``ValueError`` that names what was given, unless it makes images."""
    if isinstance(generator, ImageGenerator):
        return
    given = generator.card.name if isinstance(generator, Restorer) else generator
    raise ValueError(f"{solver}: generator must be weights of a dcgan or another generator, got {given!r}")
