"""Networks told by the tensors of released weights: which architecture of ours it is, and its arguments.

Released files name neither. What they can be taken for is read off the shapes; a file that differs from the
network so found in any tensor is none of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from models.networks import build_network

_WRAPPED = ("params_ema", "params", "state_dict", "model_state_dict", "model", "net")
_FOLLOWS = ("relative_position_index", "attn_mask")
"""What released files of SwinIR hold beside weights; it follows from the window."""


def network_of(tensors: Mapping[str, Any]) -> tuple[str, dict[str, Any], dict[str, Tensor]] | None:
    """Architecture, arguments and float32 weights; ``None`` where no network of ours has these tensors."""
    state = _unwrapped(tensors)
    if not all(isinstance(each, Tensor) for each in state.values()):
        return None
    state = {name: each for name, each in state.items() if name.rpartition(".")[2] not in _FOLLOWS}
    for architecture, arguments_of in _KNOWN.items():
        try:
            arguments = arguments_of(state)
            with torch.device("meta"):
                expected = build_network(architecture, arguments).state_dict()
        except (KeyError, ValueError, IndexError):
            continue  # a tensor is missing by which this architecture would be told, or does not fit it
        if {k: v.shape for k, v in expected.items()} == {k: v.shape for k, v in state.items()}:
            return architecture, arguments, {name: each.float() for name, each in state.items()}
    return None


def _unwrapped(tensors: Mapping[str, Any]) -> dict[str, Any]:
    for name in _WRAPPED:
        if isinstance(tensors.get(name), Mapping):
            tensors = tensors[name]
            break
    names = list(tensors)
    prefix = "module." if names and all(name.startswith("module.") for name in names) else ""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbers follow the prefix: the length of a list of layers."""
    return len({name[len(prefix) :].partition(".")[0] for name in state if name.startswith(prefix)})


def _swinir(state: Mapping[str, Tensor]) -> dict[str, Any]:
    features, channels = state["conv_first.weight"].shape[:2]
    first = "layers.0.residual_group.blocks.0"
    offsets, heads = state[f"{first}.attn.relative_position_bias_table"].shape
    window = (round(offsets**0.5) + 1) // 2
    groups = _count(state, "layers.")
    tail, scale = _tail_of(state, channels)
    return {
        "channels": channels,
        "features": features,
        "blocks": [_count(state, f"layers.{index}.residual_group.blocks.") for index in range(groups)],
        "heads": heads,
        "window": window,
        "expansion": state[f"{first}.mlp.fc1.weight"].shape[0] / features,
        "scale": scale,
        "tail": tail,
        "bottleneck": "conv_after_body.weight" not in state,
        # The paper's networks for JPEG artefacts alone have windows of 7, as wide as a block less one.
        "gain": 255.0 if window == 7 else 1.0,
    }


def _tail_of(state: Mapping[str, Tensor], channels: int) -> tuple[str, int]:
    if "conv_up1.weight" in state:
        return "nearest", 4 if "conv_up2.weight" in state else 2
    if "conv_before_upsample.0.weight" in state:
        shuffled = state["upsample.0.weight"].shape
        return "pixel_shuffle", 3 if shuffled[0] == 9 * shuffled[1] else 2 ** _count(state, "upsample.")
    if "upsample.0.weight" in state:
        return "pixel_shuffle_direct", round((state["upsample.0.weight"].shape[0] / channels) ** 0.5)
    return "residual", 1


def _restormer(state: Mapping[str, Tensor]) -> dict[str, Any]:
    features, channels = state["patch_embed.proj.weight"].shape[:2]
    levels = ["encoder_level1", "encoder_level2", "encoder_level3", "latent"]
    hidden, deepest = state["latent.0.ffn.project_out.weight"].shape[1], 8 * features
    return {
        "channels": channels,
        "features": features,
        "blocks": [_count(state, f"{level}.") for level in levels],
        "refinement": _count(state, "refinement."),
        "heads": [state[f"{level}.0.attn.temperature"].shape[0] for level in levels],
        # The paper's factor, or one amid those that give as many hidden features on every level.
        "expansion": 2.66 if int(2.66 * deepest) == hidden else (hidden + 0.5) / deepest,
        "bias": "encoder_level1.0.attn.qkv.bias" in state,
        "norm_bias": "encoder_level1.0.norm1.body.bias" in state,
    }


_KNOWN: dict[str, Callable[[Mapping[str, Tensor]], dict[str, Any]]] = {
    "swinir": _swinir,
    "restormer": _restormer,
}
"""Architectures whose parameters bear the released names, and how their arguments are read off."""
