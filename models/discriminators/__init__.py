"""The discriminators this project can build, by name: what adversarial training judges with.

Adding one is its file, its line in ``DISCRIMINATORS``, and its line in the contract test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from models.discriminators.autoencoder import AutoencoderDiscriminator
from models.discriminators.dcgan import DCGANDiscriminator
from models.discriminators.multi_scale import MultiScaleDiscriminator
from models.discriminators.patch import PatchDiscriminator
from models.discriminators.progressive import ProgressiveDiscriminator
from models.discriminators.srgan import SRGANDiscriminator
from models.discriminators.unet import UNetDiscriminator
from models.registry import build_named

DISCRIMINATORS: dict[str, Callable[..., nn.Module]] = {
    "autoencoder": AutoencoderDiscriminator,
    "dcgan": DCGANDiscriminator,
    "multi_scale": MultiScaleDiscriminator,
    "patch": PatchDiscriminator,
    "progressive": ProgressiveDiscriminator,
    "srgan": SRGANDiscriminator,
    "unet": UNetDiscriminator,
}
"""Each takes keyword arguments. Its instances are called with images and give logits, high for real:
one per image (B), per patch (B1hw) or pixel (B1HW), or a list of those, one per scale."""


def build_discriminator(name: str, arguments: dict[str, Any]) -> nn.Module:
    """A discriminator with its initial weights; ``ValueError`` naming what is unknown or wrong."""
    return build_named("discriminator", DISCRIMINATORS, name, arguments)
