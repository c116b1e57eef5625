"""What solvers share whose prior is a denoiser: its check, their card, their start and their data step.

Shapes: B batch, C channels, H and W height and width of the wanted image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.operators.resample import imresize
from models.restorer import Restorer
from models.solvers.conjugate_gradient import conjugate_gradient
from models.solvers.forward import Forward
from models.solvers.solver import Solver


@dataclass(frozen=True, kw_only=True)
class DenoiserPrior(Solver):
    """Base of solvers that go back and forth between the data and a denoiser."""

    summary: ClassVar[str]
    """Of the card, with ``{}`` for the denoiser's name."""
    source: ClassVar[str]
    """Of the card."""

    denoiser: Restorer
    """Any restorer that takes a noise level, or a blind one for noise, by its name in the catalog or the
    address of its weights. A blind one removes as much as it does, whatever the schedule says."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_denoiser(self.name, self.denoiser)

    def denoised(self, image_BCHW: Tensor, level_B111: Tensor) -> Tensor:
        """What the denoiser makes of an image on the way.

        Unguarded: against the noise that is assumed at first an image of little contrast may well become
        flat. What comes out at the end is judged as every result.
        """
        return self.denoiser.differentiable(image_BCHW, Condition(noise_level_B=level_B111.flatten()))

    def card(self, name: str) -> Card:
        """Takes the scale of the degradation and the denoiser's channels; every pixel can matter."""
        inner = self.denoiser.card
        return Card(
            name=name,
            summary=self.summary.format(inner.name),
            task="general",
            scale=None,
            channels=inner.channels,
            halo=None,
            tile_exact=False,
            needs=("operators", "noise_level"),
            licence=inner.licence,
            source=self.source,
        )


def start(degraded_BCHW: Tensor, condition: Condition) -> tuple[Forward, Tensor]:
    """The degradation, and the degraded image in the wanted size."""
    forward = Forward(condition, degraded_BCHW)
    return forward, imresize(degraded_BCHW, *forward.size) if condition.scale > 1 else degraded_BCHW


def data_step(forward: Forward, back_BCHW: Tensor, prior_BCHW: Tensor, rho_B111: Tensor) -> Tensor:
    """``argmin_x |A x - y|^2 + rho |x - prior|^2``, where ``back`` is ``A'y``."""
    return conjugate_gradient(
        lambda image_BCHW: forward.adjoint(forward(image_BCHW)) + rho_B111 * image_BCHW,
        back_BCHW + rho_B111 * prior_BCHW,
        prior_BCHW,
        iterations=50,
        tolerance=1e-4,
    )


def _require_denoiser(solver: str, denoiser: object) -> None:
    """Raises ``ValueError`` unless this is a restorer that a prior can be made of."""
    if not isinstance(denoiser, Restorer) or not _removes_noise(denoiser.card):
        name = denoiser.card.name if isinstance(denoiser, Restorer) else denoiser
        raise ValueError(
            f"{solver}: denoiser must be a restorer that takes a noise level, or one for noise that needs "
            f"nothing else, got {name!r}"
        )


def _removes_noise(card: Card) -> bool:
    """Released weights do not say what they are for: ``general`` may be noise."""
    if card.scale != 1 or not {*card.needs} <= {"noise_level"}:
        return False
    return bool(card.needs) or card.task in ("denoising", "general")
