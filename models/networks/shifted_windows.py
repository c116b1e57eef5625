"""Attention within windows of an image, every second time shifted by half a window.

Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV 2021, sections
3.1 and 3.2. Parameters bear the names of the released weights.

Shapes: B batch, H and W height and width, F features, N windows, T tokens (pixels of one window), A heads,
P pixels of all images.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_AT_ONCE = 256
"""Windows of one call of the attention: its biases, T x T for each window and head, must fit in memory."""

_PIXELS_AT_ONCE = 1 << 16
"""Pixels of one call of the feed-forward part, whose hidden features are twice as many."""


class WindowAttention(nn.Module):
    """Self-attention of the tokens of a window, with a learned bias for each offset between two of them."""

    def __init__(self, features: int, window: int, heads: int) -> None:
        super().__init__()
        self.window, self.heads = window, heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.qkv = nn.Linear(features, 3 * features)
        self.proj = nn.Linear(features, features)

    def forward(self, tokens_NTF: Tensor, regions_NT: Tensor | None) -> Tensor:
        """The same shape. Tokens see those of their own region only, where regions are given."""
        table = self.relative_position_bias_table
        bias_ATT = table[_offsets(self.window, table.device)].permute(2, 0, 1)
        parts = [slice(first, first + _AT_ONCE) for first in range(0, len(tokens_NTF), _AT_ONCE)]
        return torch.cat(
            [
                self._attend(tokens_NTF[part], bias_ATT, None if regions_NT is None else regions_NT[part])
                for part in parts
            ]
        )

    def _attend(self, tokens_NTF: Tensor, bias_ATT: Tensor, regions_NT: Tensor | None) -> Tensor:
        windows, tokens, features = tokens_NTF.shape
        bias_NATT = bias_ATT.to(tokens_NTF.dtype).expand(windows, -1, -1, -1)
        if regions_NT is not None:
            apart_NTT = regions_NT[:, :, None] != regions_NT[:, None, :]
            bias_NATT = bias_NATT.masked_fill(apart_NTT[:, None], -torch.inf)
        parted = linear(self.qkv, tokens_NTF).view(windows, tokens, 3, self.heads, -1)
        query_NATD, key_NATD, value_NATD = parted.permute(2, 0, 3, 1, 4)
        mixed_NATD = F.scaled_dot_product_attention(
            query_NATD, key_NATD, value_NATD, attn_mask=bias_NATT.to(query_NATD.dtype)
        )
        return linear(self.proj, mixed_NATD.transpose(1, 2).reshape(windows, tokens, features))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # Released files hold it beside the weights; it follows from the window.
        state_dict.pop(f"{prefix}relative_position_index", None)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class FeedForward(nn.Module):
    """Two linear layers with a GELU between them, on each pixel by itself."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(features, hidden)
        self.fc2 = nn.Linear(hidden, features)

    def forward(self, features_BHWF: Tensor) -> Tensor:
        """The same shape."""
        pixels_PF = features_BHWF.flatten(0, 2)
        parts = [
            linear(self.fc2, F.gelu(linear(self.fc1, pixels_PF[first : first + _PIXELS_AT_ONCE])))
            for first in range(0, len(pixels_PF), _PIXELS_AT_ONCE)
        ]
        return torch.cat(parts).view(features_BHWF.shape)


class SwinBlock(nn.Module):
    """Attention within windows, then the feed-forward part, each normalised before and beside the identity.

    Windows begin ``shift`` pixels from the corner; those at the border are cut, not wrapped around.
    """

    def __init__(self, features: int, window: int, shift: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1 = nn.LayerNorm(features)
        self.attn = WindowAttention(features, window, heads)
        self.norm2 = nn.LayerNorm(features)
        self.mlp = FeedForward(features, int(features * expansion))

    def forward(self, features_BHWF: Tensor) -> Tensor:
        """The same shape; height and width are multiples of the window."""
        features_BHWF = features_BHWF + self._attended(self.norm1(features_BHWF))
        fed_BHWF: Tensor = self.mlp(self.norm2(features_BHWF))
        return features_BHWF + fed_BHWF

    def _attended(self, features_BHWF: Tensor) -> Tensor:
        batch, height, width, _ = features_BHWF.shape
        regions_NT = None
        if self.shift:
            regions_NT = _regions(height, width, self.window, self.shift, features_BHWF.device)
            regions_NT = regions_NT.repeat(batch, 1)
        # Of a large image every name would keep some hundred megabytes: few are given.
        features_BHWF = torch.roll(features_BHWF, (-self.shift, -self.shift), dims=(1, 2))
        tokens_NTF = self.attn(to_windows(features_BHWF, self.window), regions_NT)
        features_BHWF = from_windows(tokens_NTF, self.window, height, width)
        return torch.roll(features_BHWF, (self.shift, self.shift), dims=(1, 2))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # Released files hold the mask for the size of their training crops.
        state_dict.pop(f"{prefix}attn_mask", None)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def linear(layer: nn.Linear, tokens: Tensor) -> Tensor:
    """The layer applied to the last axis."""
    applied: Tensor = layer(tokens)
    return applied


def to_windows(image_BHWF: Tensor, window: int) -> Tensor:
    """NTF: the windows of all images, in reading order."""
    batch, height, width, features = image_BHWF.shape
    rows, columns = height // window, width // window
    parted = image_BHWF.view(batch, rows, window, columns, window, features).transpose(2, 3)
    return parted.reshape(batch * rows * columns, window * window, features)


def from_windows(tokens_NTF: Tensor, window: int, height: int, width: int) -> Tensor:
    """BHWF: the images of which these are the windows."""
    rows, columns, features = height // window, width // window, tokens_NTF.shape[-1]
    parted = tokens_NTF.view(-1, rows, columns, window, window, features).transpose(2, 3)
    return parted.reshape(-1, height, width, features)


def _offsets(window: int, device: torch.device) -> Tensor:
    """TT: which entry of the table of biases belongs to the offset between two tokens."""
    side = torch.arange(window, device=device)
    places_2T = torch.cartesian_prod(side, side).T
    down_TT, right_TT = places_2T[:, :, None] - places_2T[:, None, :] + window - 1
    index_TT: Tensor = down_TT * (2 * window - 1) + right_TT
    return index_TT


def _regions(height: int, width: int, window: int, shift: int, device: torch.device) -> Tensor:
    """NT, for one image: numbers that differ where rolling brought together what lies apart."""

    def beyond(side: int) -> Tensor:
        return (torch.arange(side, device=device) >= side - shift).long()

    regions_HW = 2 * beyond(height)[:, None] + beyond(width)
    return to_windows(regions_HW[None, :, :, None], window)[..., 0]
