"""State dicts out of the bytes of a file that a user has; nothing is unpickled but tensors."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping

import safetensors.torch
import torch
from torch import Tensor, nn


def read_state(content: bytes) -> dict[str, Tensor]:
    """What a ``.safetensors`` or ``.pth`` file holds. ``ValueError`` for all else."""
    try:
        if content[8:9] == b"{":
            return safetensors.torch.load(content)
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and safetensors each fail in their own ways
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"it holds no weights that can be read ({reason})") from error
    if not isinstance(state, dict) or not all(isinstance(each, Tensor) for each in state.values()):
        raise ValueError(f"it holds no state dict but a {type(state).__name__}")
    return state


def load_convolutions(
    convolutions: nn.ModuleList, numbers: Iterable[int], state: Mapping[str, Tensor], network: str
) -> None:
    """Copies ``features.NUMBER.weight`` and ``.bias`` in. ``ValueError`` where some are not there, or not of
    this network."""
    wanted = {
        f"{place}.{kind}": state.get(f"features.{number}.{kind}")
        for place, number in enumerate(numbers)
        for kind in ("weight", "bias")
    }
    if missing := [key for key, value in wanted.items() if value is None]:
        raise ValueError(
            f"not the weights of {network} in torchvision's layout, {len(missing)} of {len(wanted)} "
            "tensors are missing (features.0.weight and so on)"
        )
    try:
        convolutions.load_state_dict(wanted)
    except RuntimeError as error:
        raise ValueError(f"not the weights of {network}: {str(error).splitlines()[-1].strip()}") from None
