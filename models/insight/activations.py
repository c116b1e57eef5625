"""What the layers of a network answer to an image: their channels as pictures.

Shapes: C channels, H and W height and width, at the layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from models.insight.tracing import Traced
from models.names import did_you_mean
from models.restorer import Restorer, inner_parts


def network_of(restorer: Restorer) -> nn.Module | None:
    """The restorer's network, or that of the denoiser, generator or restorer within a solver, if any."""
    if isinstance(restorer.model, nn.Module):
        inner = getattr(restorer.model, "network", None)
        return inner if isinstance(inner, nn.Module) else restorer.model
    for part in inner_parts(restorer.model):
        found = network_of(part) if isinstance(part, Restorer) else part
        if found is not None:
            return found
    return None


def layers_of(network: nn.Module, restored: Traced, image_1CHW: Tensor) -> list[str]:
    """The names of the layers that answer with channels of pixels, in the order in which they do."""
    seen: dict[str, None] = {}

    def note(name: str, output: Any) -> None:
        if _is_map(output):
            seen[name] = None

    with _watched(network, note), torch.no_grad():
        restored(image_1CHW)
    return list(seen)


def activations_of(network: nn.Module, restored: Traced, image_1CHW: Tensor, layer: str) -> Tensor:
    """CHW of the layer's first answer; ``ValueError`` for a name that no layer has, with the nearest."""
    found: list[Tensor] = []

    def note(name: str, output: Any) -> None:
        if name == layer and not found and _is_map(output):
            found.append(output[0].detach().float().clone())

    with _watched(network, note), torch.no_grad():
        restored(image_1CHW)
    if not found:
        known = layers_of(network, restored, image_1CHW)
        raise ValueError(f'layer: no layer "{layer}" gives pictures; {did_you_mean(layer, known)}')
    return found[0]


def _is_map(output: Any) -> bool:
    return isinstance(output, Tensor) and output.ndim == 4


@contextmanager
def _watched(network: nn.Module, note: Callable[[str, Any], None]) -> Iterator[None]:
    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        return lambda _module, _given, output: note(name, output)

    leaves = [
        (name, each) for name, each in network.named_modules() if not any(True for _ in each.children())
    ]
    handles = [each.register_forward_hook(hook(name)) for name, each in leaves if name]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
