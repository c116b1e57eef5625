"""What training makes small, by name: losses of pixels, adversarial losses, penalties on the discriminator.

Adding one is its file, its line in one of the tables, and its line in the contract test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from models.losses.adversarial import Adversarial, Logits
from models.losses.began import BEGAN
from models.losses.feature_matching import FeatureMatching
from models.losses.frequency import Frequency
from models.losses.gradient_penalty import R1, GradientPenalty
from models.losses.hinge import Hinge
from models.losses.laplace import Laplace
from models.losses.least_squares import LeastSquares
from models.losses.loss import AnyLoss, Loss, MaskedLoss
from models.losses.masked import MaskedL1, MaskedMSE
from models.losses.perceptual import Perceptual
from models.losses.pixel import L1, MSE, PSNR, Charbonnier
from models.losses.relativistic_average import RelativisticAverage
from models.losses.structural_similarity import SSIM
from models.losses.total_variation import TotalVariation
from models.losses.vanilla import Vanilla
from models.losses.wasserstein import Wasserstein
from models.plugins import Parts
from models.registry import build_named

__all__ = [
    "ADVERSARIAL",
    "LOSSES",
    "PENALTIES",
    "Adversarial",
    "AnyLoss",
    "FeatureMatching",
    "Logits",
    "Loss",
    "MaskedLoss",
    "Penalty",
    "build_adversarial",
    "build_feature_matching",
    "build_loss",
    "build_penalty",
]

Penalty = GradientPenalty | R1

_LOSSES: dict[str, Callable[..., Any]] = {
    "charbonnier": Charbonnier,
    "frequency": Frequency,
    "l1": L1,
    "laplace": Laplace,
    "masked_l1": MaskedL1,
    "masked_mse": MaskedMSE,
    "mse": MSE,
    "perceptual": Perceptual,
    "psnr": PSNR,
    "ssim": SSIM,
    "total_variation": TotalVariation,
}


def _accepted(_: str, value: Any) -> Callable[..., Any]:
    if not isinstance(value, type) or "__call__" not in dir(value):
        raise TypeError(f"it is {value!r}, not a class whose instances are called with two images")
    return value


LOSSES: Parts[Callable[..., Any]] = Parts("losses", _LOSSES, _accepted)
"""Built with keywords, called ``loss(restored_BCHW, target_BCHW)`` with images in [0, 1]; those with
``needs_mask`` also with the mask (1 known), those with ``needs_half_width`` with the network's
half-widths."""

ADVERSARIAL: dict[str, type[Adversarial]] = {
    "began": BEGAN,
    "hinge": Hinge,
    "least_squares": LeastSquares,
    "relativistic_average": RelativisticAverage,
    "vanilla": Vanilla,
    "wasserstein": Wasserstein,
}
"""Built with keywords; see ``models.losses.adversarial.Adversarial``."""

PENALTIES: dict[str, Callable[..., Penalty]] = {
    "gradient": GradientPenalty,
    "r1": R1,
}
"""Built with keywords, called ``penalty(discriminator, real_BCHW, fake_BCHW, rng)``."""


def build_loss(name: str, arguments: Mapping[str, Any]) -> AnyLoss:
    """The loss of this name; ``ValueError`` naming what is unknown or wrong."""
    built: AnyLoss = build_named("loss", LOSSES, name, arguments)
    return built


def build_adversarial(name: str, arguments: Mapping[str, Any]) -> Adversarial:
    """The adversarial loss of this name; ``ValueError`` naming what is unknown or wrong."""
    return build_named("adversarial loss", ADVERSARIAL, name, arguments)


def build_penalty(name: str, arguments: Mapping[str, Any]) -> Penalty:
    """The penalty of this name; ``ValueError`` naming what is unknown or wrong."""
    return build_named("penalty", PENALTIES, name, arguments)


def build_feature_matching(arguments: Mapping[str, Any]) -> FeatureMatching:
    """Feature matching, a loss of the generator that asks the discriminator; ``ValueError`` as above."""
    return build_named("loss", {"feature_matching": FeatureMatching}, "feature_matching", arguments)
