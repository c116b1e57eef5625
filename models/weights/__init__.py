"""Weights and their card in one safetensors file: the card is JSON under ``card`` in the metadata.

Weights may be stored in half precision; they are loaded as float32.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from models.card import Card
from models.image_generator import ImageGenerator
from models.names import unknown
from models.networks import GENERATORS, NetworkModel, build_generator, build_network
from models.plugins import is_module_address
from models.restorer import Restorer

SHIPPED: dict[str, str] = {
    "basicvsr-clip": "basicvsr-clip.safetensors",
    "dcgan-photographs": "dcgan-photographs.safetensors",
    "despeckle": "despeckle.safetensors",
    "ffdnet-colour": "ffdnet-colour.safetensors",
    "ffdnet-grey": "ffdnet-grey.safetensors",
    "ffdnet-grey-quantiles": "ffdnet-grey-quantiles.safetensors",
    "frame-fusion-x3": "frame-fusion-x3.safetensors",
    "inpaint-gated": "inpaint-gated.safetensors",
    "nafnet-jpeg": "nafnet-jpeg.safetensors",
    "nafnet-motion": "nafnet-motion.safetensors",
    "nafnet-motion-gan": "nafnet-motion-gan.safetensors",
    "pannet-x2": "pannet-x2.safetensors",
    "srgan-x4": "srgan-x4.safetensors",
    "srvgg-x2": "srvgg-x2.safetensors",
    "srvgg-x4": "srvgg-x4.safetensors",
}
"""Restorer or generator -> file in this folder, trained by this project."""


def shipped_path(name: str) -> Path:
    """The file of a shipped restorer or generator; ``ValueError`` for an unknown name."""
    if name not in SHIPPED:
        raise ValueError(unknown("shipped weights", name, SHIPPED))
    return Path(__file__).parent / SHIPPED[name]


def save_weights(
    path: Path, card: Card, state: dict[str, Tensor], *, dtype: torch.dtype | None = None
) -> None:
    """Writes the file, through a temporary one beside it; ``dtype`` is what floats are stored as."""
    partial = path.with_name(f"{path.name}.part")
    partial.write_bytes(weights_bytes(card, state, dtype=dtype))
    partial.replace(path)


def weights_bytes(card: Card, state: dict[str, Tensor], *, dtype: torch.dtype | None = None) -> bytes:
    """What a file of weights holds; ``dtype`` is what floats are stored as."""
    stored = {name: _as_float(tensor.detach().cpu(), dtype).contiguous() for name, tensor in state.items()}
    unsigned = dataclasses.replace(card, weights_sha256="")
    return safetensors.torch.save(stored, metadata={"card": unsigned.to_json()})


def load_weights(data: bytes | Path) -> tuple[Card, dict[str, Tensor]]:
    """Card and float32 weights; the card's ``weights_sha256`` is that of the whole file.

    Raises ``ValueError`` for a file that is cut off or not safetensors, and for one without a card.
    """
    name = str(data) if isinstance(data, Path) else "these weights"
    content = data.read_bytes() if isinstance(data, Path) else data
    try:
        state = safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"{name}: not a whole safetensors file ({error}); fetch or export it again"
        ) from None
    card = dataclasses.replace(_card(content, name), weights_sha256=hashlib.sha256(content).hexdigest())
    return card, {key: _as_float(tensor, torch.float32) for key, tensor in state.items()}


def _as_float(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor


def _card(content: bytes, name: str) -> Card:
    # A safetensors file starts with the length of its JSON header, 8 bytes, least significant first.
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    text = header.get("__metadata__", {}).get("card")
    if text is None:
        raise ValueError(f"{name}: holds weights but no card; write it with models.weights.save_weights")
    try:
        return Card.from_json(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def build_restorer(card: Card, state: dict[str, Tensor], network: str | None = None) -> Restorer:
    """The network that the card names, with these weights; ``ValueError`` where they do not fit it.

    A card may come from anywhere, so that a ``module:attribute`` in it is imported only where the caller
    says the same one as ``network``.
    """
    _check_trusted(card, network)
    if card.architecture in GENERATORS:
        raise ValueError(
            f"{card.name!r} generates images and restores none; as the prior of a restoration: "
            'solver = "generative_prior", generator = "FILE"'
        )
    built = _with_weights(build_network, card, state)
    return Restorer(card, NetworkModel(built.requires_grad_(False)))


def build_part(card: Card, state: dict[str, Tensor]) -> Restorer | ImageGenerator:
    """What the card describes: a restorer, or a generator of images. Errors as ``build_restorer``."""
    _check_trusted(card, None)
    if card.architecture in GENERATORS:
        return ImageGenerator(card, _with_weights(build_generator, card, state))
    return build_restorer(card, state)


def _check_trusted(card: Card, network: str | None) -> None:
    if network != card.architecture and (network is not None or is_module_address(card.architecture)):
        raise ValueError(
            f'these weights are of "{card.architecture}"; a restorer with them says network = '
            f'"{card.architecture}" in the job, where that code is to be trusted'
        )


def _with_weights(
    build: Callable[[str, dict[str, Any]], nn.Module], card: Card, state: dict[str, Tensor]
) -> nn.Module:
    network = _without_values(lambda: build(card.architecture, card.arguments))
    _check_state(card, expected=network.state_dict(), found=state)
    network.load_state_dict(state, assign=True)
    return network


def _without_values(build: Callable[[], nn.Module]) -> nn.Module:
    """The network without initial weights, which would be drawn only to be replaced.

    One that computes with tensors while it is built, or keeps some that no state holds, has them.
    """
    try:
        with torch.device("meta"), _Undrawn():
            network = build()
    except RuntimeError:
        return build()
    replaced = network.state_dict().keys()
    kept = [each for name, each in network.named_buffers() if name not in replaced]
    kept += [
        each for module in network.modules() for each in vars(module).values() if isinstance(each, Tensor)
    ]
    return build() if any(each.is_meta for each in kept) else network


class _Undrawn(TorchFunctionMode):
    """No normal numbers for tensors without values: torch loaded its compiler for them, 3 s of a core."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is Tensor.normal_ and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))


def _check_state(card: Card, *, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    wanted, given = ({key: tuple(t.shape) for key, t in state.items()} for state in (expected, found))
    for key in sorted(wanted.keys() | given.keys()):
        if wanted.get(key) != given.get(key):
            raise ValueError(
                f"the weights of {card.name!r} are not of {card.architecture} with {card.arguments}: "
                f"expected {key} {wanted.get(key, 'to be absent')}, found {given.get(key, 'none')}; correct "
                "the card's architecture and arguments, or load the weights that belong to it"
            )
