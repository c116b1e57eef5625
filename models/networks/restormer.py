"""Restormer: a U-Net of transformer blocks whose attention is between channels.

Zamir et al., "Restormer: Efficient Transformer for High-Resolution Image Restoration", CVPR 2022, section 3.
Parameters bear the names of the released weights, which ``load_state_dict`` takes as they are.

Shapes: B batch, C channels, H and W height and width, F features, A heads, D features of a head, P pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.arguments import require_at_least, require_positive

EPSILON = 1e-5
LEVELS = 4


class PixelNorm(nn.Module):
    """Variance one over the channels of each pixel, in float32, then gain; with ``bias`` also mean zero."""

    def __init__(self, features: int, bias: bool) -> None:
        super().__init__()
        self.body = nn.Module()
        self.body.weight = nn.Parameter(torch.ones(features))
        self.body.register_parameter("bias", nn.Parameter(torch.zeros(features)) if bias else None)

    def forward(self, features_BFHW: Tensor) -> Tensor:
        """The same shape."""
        features_BHWF = features_BFHW.permute(0, 2, 3, 1).float()
        weight, bias = self.body.weight, self.body.bias
        assert isinstance(weight, Tensor)
        if isinstance(bias, Tensor):
            normalised_BHWF = F.layer_norm(features_BHWF, weight.shape, weight, bias, EPSILON)
        else:  # the mean counts for the variance but stays
            variance_BHW1 = features_BHWF.var(-1, keepdim=True, correction=0)
            normalised_BHWF = features_BHWF / (variance_BHW1 + EPSILON).sqrt() * weight
        return normalised_BHWF.to(features_BFHW.dtype).permute(0, 3, 1, 2)


class ChannelAttention(nn.Module):
    """Attention between the channels of a head, by their correlation over all pixels (MDTA, section 3.1)."""

    def __init__(self, features: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(features, 3 * features, 1, bias=bias)
        self.qkv_dwconv = nn.Conv2d(3 * features, 3 * features, 3, padding=1, groups=3 * features, bias=bias)
        self.project_out = nn.Conv2d(features, features, 1, bias=bias)

    def forward(self, features_BFHW: Tensor) -> Tensor:
        """The same shape."""
        batch, features, height, width = features_BFHW.shape
        parts = (
            self.qkv_dwconv(self.qkv(features_BFHW))
            .contiguous()
            .view(batch, 3, self.heads, features // self.heads, height * width)
        )
        query_BADP, key_BADP, value_BADP = parts.unbind(1)
        query_BADP, key_BADP = F.normalize(query_BADP, dim=-1), F.normalize(key_BADP, dim=-1)
        scores_BADD = (query_BADP @ key_BADP.transpose(-2, -1)) * self.temperature
        mixed_BADP = scores_BADD.softmax(-1) @ value_BADP
        attended_BFHW: Tensor = self.project_out(mixed_BADP.reshape(batch, features, height, width))
        return attended_BFHW


class GatedFeedForward(nn.Module):
    """Two depthwise paths, one of which gates the other by a GELU (GDFN, section 3.2)."""

    def __init__(self, features: int, expansion: float, bias: bool) -> None:
        super().__init__()
        hidden = int(features * expansion)
        self.project_in = nn.Conv2d(features, 2 * hidden, 1, bias=bias)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=bias)
        self.project_out = nn.Conv2d(hidden, features, 1, bias=bias)

    def forward(self, features_BFHW: Tensor) -> Tensor:
        """The same shape."""
        gate_BFHW, value_BFHW = self.dwconv(self.project_in(features_BFHW)).chunk(2, dim=1)
        fed_BFHW: Tensor = self.project_out(F.gelu(gate_BFHW) * value_BFHW)
        return fed_BFHW


class TransformerBlock(nn.Module):
    """Attention, then the feed-forward part, each normalised before and beside the identity."""

    def __init__(self, features: int, heads: int, expansion: float, bias: bool, norm_bias: bool) -> None:
        super().__init__()
        self.norm1 = PixelNorm(features, norm_bias)
        self.attn = ChannelAttention(features, heads, bias)
        self.norm2 = PixelNorm(features, norm_bias)
        self.ffn = GatedFeedForward(features, expansion, bias)

    def forward(self, features_BFHW: Tensor) -> Tensor:
        """The same shape."""
        features_BFHW = features_BFHW + self.attn(self.norm1(features_BFHW))
        fed_BFHW: Tensor = self.ffn(self.norm2(features_BFHW))
        return features_BFHW + fed_BFHW


class _Resampling(nn.Module):
    """A convolution without bias, then a pixel shuffle or its opposite."""

    def __init__(self, features: int, convolved: int, shuffle: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(features, convolved, 3, padding=1, bias=False), shuffle)

    def forward(self, features_BFHW: Tensor) -> Tensor:
        resampled_BFHW: Tensor = self.body(features_BFHW)
        return resampled_BFHW


def _half(features: int) -> _Resampling:
    return _Resampling(features, features // 2, nn.PixelUnshuffle(2))


def _double(features: int) -> _Resampling:
    return _Resampling(features, 2 * features, nn.PixelShuffle(2))


class _Embedding(nn.Module):
    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, features, 3, padding=1, bias=False)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        features_BFHW: Tensor = self.proj(image_BCHW)
        return features_BFHW


class Restormer(nn.Module):
    """BCHW in [0, 1] -> the restored image, not clipped; height and width are multiples of 8.

    The defaults are the paper's network for deraining and deblurring; the ones for denoising have
    ``norm_bias=False``, those for grey images also ``channels=1``.
    """

    minimum_size = 1
    multiple_of = 2 ** (LEVELS - 1)
    halo = None
    """Channels are correlated over the whole image: every pixel matters."""

    def __init__(
        self,
        channels: int = 3,
        features: int = 48,
        blocks: Sequence[int] = (4, 6, 6, 8),
        refinement: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        expansion: float = 2.66,
        bias: bool = False,
        norm_bias: bool = True,
    ) -> None:
        super().__init__()
        require_at_least("Restormer", 1, channels=channels, features=features, refinement=refinement)
        require_positive("Restormer", expansion=expansion)
        for name, values in (("blocks", blocks), ("heads", heads)):
            if len(values) != LEVELS or min(values) < 1:
                raise ValueError(f"Restormer: {name} must be {LEVELS} whole numbers >= 1, got {values!r}")
        if features % 2 or any((features << level) % heads[level] for level in range(LEVELS)):
            raise ValueError(
                f"Restormer: features must be even, and features x 1, 2, 4, 8 multiples of heads {heads!r}; "
                f"got {features}"
            )
        self.channels = channels

        def level(width: int, index: int, count: int) -> nn.Sequential:
            return nn.Sequential(
                *(TransformerBlock(width, heads[index], expansion, bias, norm_bias) for _ in range(count))
            )

        one, two, four, eight = (features << index for index in range(LEVELS))
        self.patch_embed = _Embedding(channels, one)
        self.encoder_level1 = level(one, 0, blocks[0])
        self.down1_2 = _half(one)
        self.encoder_level2 = level(two, 1, blocks[1])
        self.down2_3 = _half(two)
        self.encoder_level3 = level(four, 2, blocks[2])
        self.down3_4 = _half(four)
        self.latent = level(eight, 3, blocks[3])
        self.up4_3 = _double(eight)
        self.reduce_chan_level3 = nn.Conv2d(eight, four, 1, bias=bias)
        self.decoder_level3 = level(four, 2, blocks[2])
        self.up3_2 = _double(four)
        self.reduce_chan_level2 = nn.Conv2d(four, two, 1, bias=bias)
        self.decoder_level2 = level(two, 1, blocks[1])
        self.up2_1 = _double(two)
        self.decoder_level1 = level(two, 0, blocks[0])
        self.refinement = level(two, 0, refinement)
        self.output = nn.Conv2d(two, channels, 3, padding=1, bias=bias)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The image plus what the network adds to it."""
        height, width = image_BCHW.shape[-2:]
        assert height % self.multiple_of == width % self.multiple_of == 0, (height, width)
        first = self.encoder_level1(self.patch_embed(image_BCHW))
        second = self.encoder_level2(self.down1_2(first))
        third = self.encoder_level3(self.down2_3(second))
        deepest = self.latent(self.down3_4(third))
        third = self.reduce_chan_level3(torch.cat((self.up4_3(deepest), third), dim=1))
        third = self.decoder_level3(third)
        second = self.reduce_chan_level2(torch.cat((self.up3_2(third), second), dim=1))
        second = self.decoder_level2(second)
        first = self.decoder_level1(torch.cat((self.up2_1(second), first), dim=1))
        added_BCHW: Tensor = self.output(self.refinement(first))
        return image_BCHW + added_BCHW
