"""A discriminator's convolution with the normalisation that its loss allows."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

NORMALISATIONS = ("batch", "instance", "spectral", "none")
"""Penalties on the gradient per sample (WGAN-GP, R1) forbid ``batch``: it mixes samples (Gulrajani et
al., "Improved Training of Wasserstein GANs", NeurIPS 2017, section 4)."""


def convolution(
    inner: int, outer: int, kernel: int, stride: int, normalisation: str, *, padding: int | None = None
) -> list[nn.Module]:
    """The convolution and its normalisation, but for the spectral one, which ``normalise_spectrally`` adds.

    There is a bias only where no normalisation takes it away.
    """
    layer = nn.Conv2d(
        inner,
        outer,
        kernel,
        stride,
        (kernel - 1) // 2 if padding is None else padding,
        bias=normalisation in ("spectral", "none"),
    )
    match normalisation:
        case "batch":
            return [layer, nn.BatchNorm2d(outer)]
        case "instance":
            return [layer, nn.InstanceNorm2d(outer)]
        case _:
            return [layer]


def normalise_spectrally(module: nn.Module) -> None:
    """Divides the weight of every layer by its largest singular value; call it after initialisation.

    Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018.
    """
    for layer in list(module.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            spectral_norm(layer)
