"""A generator that is bent to one image: first the latent is found, then latent and weights move together.

Hussein, Tirer and Giryes, "Image-Adaptive GAN based Reconstruction", AAAI 2020: what no latent can make, a
generator whose weights give way a little can; what was seen is put back at the end (their section 3.2).

Shapes: C channels, H and W height and width of the wanted image, T tiles of the mosaic, Z numbers of a
latent.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.image_generator import ImageGenerator
from models.solvers.conjugate_gradient import conjugate_gradient
from models.solvers.data_term import DataTerm
from models.solvers.generative_prior import GenerativePrior, require_generator
from models.solvers.mosaic import Mosaic
from models.solvers.solver import Solver, number, whole

_LEAST_TRUST = 1e-4
"""Of the generator's image beside what was seen, where no noise is known."""
_SOLVING = 60
"""Steps of the last fit to what was seen, at most."""


@dataclass(frozen=True, kw_only=True)
class AdaptedGenerativePrior(Solver):
    """``min |A(G_w(z)) - y|^2`` over z, as ``generative_prior`` does; then over z and the weights w.

    Weights start anew for every image. The result is the image nearest to the generator's that explains what
    was seen, as far as its noise says. The second search ends where the residual is that of the known noise.
    """

    name: ClassVar[str] = "adapted_generative_prior"

    generator: ImageGenerator
    """A generator of images (``dcgan``, ``progressive``) by the path or URL of its weights."""
    restarts: int = whole(8, 1, 1000)
    """Of the first search, as in ``generative_prior``."""
    iterations: int = whole(400, 1, 100_000)
    """Steps of the first search."""
    adaptations: int = whole(300, 0, 100_000)
    """Steps of the second."""
    rate: float = number(3e-4, 1e-7, 1.0)
    """Adam's step for the weights."""
    latent_rate: float = number(1e-2, 0.0, 10.0)
    """Adam's step for the latents in the second search."""
    seed: int = whole(0, 0)
    """Of the starts, the same for every image."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_generator(self.name, self.generator)

    def card(self, name: str) -> Card:
        """As ``generative_prior``."""
        inner = GenerativePrior(generator=self.generator).card(name)
        return replace(
            inner,
            summary=f"{self.generator.card.name}, its weights moved until it explains the degraded image.",
            source="Hussein, Tirer and Giryes 2020, Image-Adaptive GAN based Reconstruction",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and the condition's scale times H and W; errors as ``generative_prior``."""
        first = GenerativePrior(
            generator=self.generator, restarts=self.restarts, iterations=self.iterations, seed=self.seed
        )
        found = first.search(degraded_BCHW, condition)
        restored = [
            self._adapted(degraded_BCHW[index : index + 1], condition.select([index]), each.latent_TZ)
            for index, each in enumerate(found)
        ]
        return torch.cat(restored).to(degraded_BCHW)

    def _adapted(self, degraded_1CHW: Tensor, condition: Condition, latent_TZ: Tensor) -> Tensor:
        data = DataTerm(degraded_1CHW, condition)
        mosaic = Mosaic(*data.size, self.generator.image_size)
        level = 0.0 if condition.noise_level_B is None else float(condition.noise_level_B)
        # Restorers run where nothing records gradients; this one needs its own.
        with torch.inference_mode(False), torch.enable_grad():
            generator = copy.deepcopy(self.generator).requires_grad_()
            latent_TZ = latent_TZ.clone().requires_grad_()
            groups = [
                {"params": list(generator.parameters()), "lr": self.rate},
                {"params": [latent_TZ], "lr": self.latent_rate},
            ]
            adam = torch.optim.Adam(groups)
            for _ in range(self.adaptations):
                image_1CHW = mosaic(generator(latent_TZ))
                residual_1CHW = data.residual(image_1CHW.detach())
                if level and float(data.root_mean_square(residual_1CHW)) <= level:
                    break
                adam.zero_grad()
                image_1CHW.backward(data.gradient(residual_1CHW).to(image_1CHW))  # type: ignore[no-untyped-call]
                adam.step()
            image_1CHW = mosaic(generator(latent_TZ)).detach()
        return self._fitted(image_1CHW.to(degraded_1CHW), data, level)

    def _fitted(self, image_1CHW: Tensor, data: DataTerm, level: float) -> Tensor:
        """``argmin_x |A x - y|^2 + trust |x - image|^2``: trust is noise beside what the image missed."""
        residual_1CHW = data.residual(image_1CHW)
        missed = float(data.root_mean_square(residual_1CHW))
        trust = max(_LEAST_TRUST, (level / missed) ** 2 if missed else 1.0)
        zero_1CHW = data.residual(torch.zeros_like(image_1CHW))

        def normal(step_1CHW: Tensor) -> Tensor:
            seen_1CHW = data.residual(step_1CHW) - zero_1CHW
            return data.gradient(seen_1CHW) / 2 + trust * step_1CHW

        right_1CHW = -data.gradient(residual_1CHW) / 2
        start_1CHW = torch.zeros_like(right_1CHW)
        return image_1CHW + conjugate_gradient(normal, right_1CHW, start_1CHW, iterations=_SOLVING)
