"""Initial weights that several papers share."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.InstanceNorm2d)


def initialise_adversarial(module: nn.Module, deviation: float = 0.02) -> None:
    """Weights from N(0, 0.02), gains of normalisations from N(1, 0.02), biases zero.

    Radford, Metz and Chintala, "DCGAN", ICLR 2016, section 4 and its code; pix2pix took it over.
    """
    for layer in module.modules():
        if isinstance(layer, CONVOLUTIONS):
            nn.init.normal_(layer.weight, 0.0, deviation)
        elif isinstance(layer, NORMALISATIONS) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, deviation)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def initialise_residual(modules: Iterable[nn.Module], gain: float = 0.1) -> None:
    """He's normal weights, made ``gain`` times smaller, biases zero.

    Wang et al., "ESRGAN", ECCV workshops 2018, section 3.1: smaller initial weights make very deep
    residual networks without batch normalisation trainable.
    """
    for module in modules:
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
                layer.weight.data *= gain
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
