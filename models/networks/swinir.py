"""SwinIR: residual groups of Swin transformer blocks between convolutions.

Liang et al., "SwinIR: Image Restoration Using Swin Transformer", ICCVW 2021, section 3. Parameters bear the
names of the released weights, which ``load_state_dict`` takes as they are.

Shapes: B batch, C channels, H and W height and width, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from models.networks.arguments import require_at_least, require_one_of, require_positive
from models.networks.receptive_field import Window, halo_of
from models.networks.shifted_windows import SwinBlock

MEAN = (0.4488, 0.4371, 0.4040)
"""Of the DIV2K photographs, red to blue: what colour images are centred by."""
WIDTH = 64
"""Features between body and enlarging layers."""

Layers = dict[str, nn.Module]
"""Layers by their names in the released weights, in the order in which they are applied."""


def _convolution(inner: int, outer: int) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, 3, padding=1)


def _shuffles(features: int, scale: int) -> nn.Sequential:
    """Sub-pixel convolutions by two, or one by three."""
    factors = [3] if scale == 3 else [2] * (scale.bit_length() - 1)
    return nn.Sequential(
        *(
            layer
            for factor in factors
            for layer in (_convolution(features, factor**2 * features), nn.PixelShuffle(factor))
        )
    )


def _narrowed(features: int, slope: float = 0.01) -> nn.Sequential:
    return nn.Sequential(_convolution(features, WIDTH), nn.LeakyReLU(slope))


def _residual(features: int, channels: int, scale: int) -> Layers:
    return {"conv_last": _convolution(features, channels)}


def _pixel_shuffle(features: int, channels: int, scale: int) -> Layers:
    return {
        "conv_before_upsample": _narrowed(features),
        "upsample": _shuffles(WIDTH, scale),
        "conv_last": _convolution(WIDTH, channels),
    }


def _pixel_shuffle_direct(features: int, channels: int, scale: int) -> Layers:
    return {
        "upsample": nn.Sequential(_convolution(features, scale**2 * channels), nn.PixelShuffle(scale)),
    }


def _nearest(features: int, channels: int, scale: int) -> Layers:
    layers: Layers = {"conv_before_upsample": _narrowed(features)}
    for step in range(1, scale.bit_length()):
        layers |= {
            f"nearest{step}": nn.Upsample(scale_factor=2, mode="nearest"),
            f"conv_up{step}": _convolution(WIDTH, WIDTH),
            f"relu{step}": nn.LeakyReLU(0.2),
        }
    return layers | {
        "conv_hr": _convolution(WIDTH, WIDTH),
        "relu_hr": nn.LeakyReLU(0.2),
        "conv_last": _convolution(WIDTH, channels),
    }


TAILS: dict[str, tuple[Callable[[int, int, int], Layers], tuple[int, ...]]] = {
    "residual": (_residual, (1,)),
    "pixel_shuffle": (_pixel_shuffle, (2, 3, 4, 8)),
    "pixel_shuffle_direct": (_pixel_shuffle_direct, (2, 3, 4)),
    "nearest": (_nearest, (2, 4)),
}
"""How the image comes out of the features, and for which scales: for denoising and artefacts; classical,
lightweight and real-world super-resolution."""


class _Blocks(nn.Module):
    """Swin blocks one after the other, every second one shifted."""

    def __init__(self, features: int, count: int, window: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            SwinBlock(features, window, index % 2 * (window // 2), heads, expansion) for index in range(count)
        )

    def forward(self, features_BHWF: Tensor) -> Tensor:
        for block in self.blocks:
            features_BHWF = block(features_BHWF)
        return features_BHWF


class ResidualGroup(nn.Module):
    """Swin blocks and a convolution beside the identity (RSTB, section 3.2)."""

    def __init__(
        self, features: int, count: int, window: int, heads: int, expansion: float, bottleneck: bool
    ) -> None:
        super().__init__()
        self.residual_group = _Blocks(features, count, window, heads, expansion)
        self.conv = _bottleneck(features) if bottleneck else _convolution(features, features)

    def forward(self, features_BHWF: Tensor) -> Tensor:
        """The same shape."""
        features_BFHW = self.residual_group(features_BHWF).permute(0, 3, 1, 2)
        added_BHWF: Tensor = self.conv(features_BFHW).permute(0, 2, 3, 1)
        return features_BHWF + added_BHWF


def _bottleneck(features: int) -> nn.Sequential:
    """Three convolutions through a quarter of the features, of the large network."""
    narrow = features // 4
    return nn.Sequential(
        _convolution(features, narrow),
        nn.LeakyReLU(0.2),
        nn.Conv2d(narrow, narrow, 1),
        nn.LeakyReLU(0.2),
        _convolution(narrow, features),
    )


class _Embedding(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)

    def forward(self, features_BHWF: Tensor) -> Tensor:
        normalised_BHWF: Tensor = self.norm(features_BHWF)
        return normalised_BHWF


class SwinIR(nn.Module):
    """BCHW in [0, 1] -> ``scale`` times the size, not clipped; height and width are multiples of ``window``.

    The defaults are the paper's network for classical super-resolution. With ``features=60,
    blocks=(6,) * 4, tail="pixel_shuffle_direct"`` it is the lightweight one, with ``scale=1,
    tail="residual"`` the one for denoising. The one for JPEG artefacts has ``window=7`` and works on
    values up to ``gain=255``; the large one has ``features=240, blocks=(6,) * 9, heads=8, bottleneck=True,
    tail="nearest"``.
    """

    minimum_size = 1

    def __init__(
        self,
        channels: int = 3,
        features: int = 180,
        blocks: Sequence[int] = (6, 6, 6, 6, 6, 6),
        heads: int = 6,
        window: int = 8,
        expansion: float = 2.0,
        scale: int = 4,
        tail: str = "pixel_shuffle",
        bottleneck: bool = False,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        require_at_least("SwinIR", 1, channels=channels, features=features, heads=heads)
        require_at_least("SwinIR", 2, window=window)
        require_positive("SwinIR", expansion=expansion, gain=gain)
        require_one_of("SwinIR", TAILS, tail=tail)
        build_tail, scales = TAILS[tail]
        require_one_of(f"SwinIR with tail {tail!r}", scales, scale=scale)
        if not blocks or min(blocks) < 1:
            raise ValueError(
                f"SwinIR: blocks must name one group or more of one block or more, got {blocks!r}"
            )
        if features % heads:
            raise ValueError(f"SwinIR: features must be a multiple of heads {heads}, got {features}")
        self.channels, self.scale, self.window, self.gain = channels, scale, window, gain
        self.multiple_of = window
        self._mean = MEAN if channels == len(MEAN) else (0.0,) * channels
        self.conv_first = _convolution(channels, features)
        self.patch_embed = _Embedding(features)
        self.layers = nn.ModuleList(
            ResidualGroup(features, count, window, heads, expansion, bottleneck) for count in blocks
        )
        self.norm = nn.LayerNorm(features)
        self.conv_after_body = _bottleneck(features) if bottleneck else _convolution(features, features)
        layers = build_tail(features, channels, scale)
        self._tail = tuple(layers)
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Linear layers from a normal of 0.02, cut at two deviations, without biases."""
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    @property
    def halo(self) -> int:
        """Radius of the receptive field in pixels: windows end where attention ends."""

        def needed(window: Window) -> Window:
            for name in reversed(self._tail):
                window = _before(self.get_submodule(name), window)
            window = _before(self.conv_after_body, window)
            for group in reversed(self.layers):
                assert isinstance(group, ResidualGroup)
                window = _before(group.conv, window)
                for block in reversed(group.residual_group.blocks):
                    assert isinstance(block, SwinBlock)
                    window = window.before_attention(block.window, block.shift)
            return _before(self.conv_first, window)

        return halo_of(needed, scale=self.scale, multiple_of=self.multiple_of)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The restored or enlarged image."""
        height, width = image_BCHW.shape[-2:]
        assert height % self.window == width % self.window == 0, (height, width)
        mean_1C11 = image_BCHW.new_tensor(self._mean).view(1, -1, 1, 1)
        centred_BCHW = (image_BCHW - mean_1C11) * self.gain
        shallow_BFHW = self.conv_first(centred_BCHW)
        features_BHWF = self.patch_embed(shallow_BFHW.permute(0, 2, 3, 1))
        for group in self.layers:
            features_BHWF = group(features_BHWF)
        deep_BFHW = self.norm(features_BHWF).permute(0, 3, 1, 2)
        values = self.conv_after_body(deep_BFHW) + shallow_BFHW
        for name in self._tail:
            values = self.get_submodule(name)(values)
        if self.scale == 1:
            values = values + centred_BCHW
        restored_BCHW: Tensor = values / self.gain + mean_1C11
        return restored_BCHW


def _before(layer: nn.Module, window: Window) -> Window:
    """What is needed before convolutions and enlarging layers to know these samples after them."""
    if isinstance(layer, nn.Sequential):
        for inner in reversed(layer):
            window = _before(inner, window)
    elif isinstance(layer, nn.Conv2d):
        window = window.before_convolution(layer.kernel_size[0])
    elif isinstance(layer, nn.PixelShuffle):
        window = window.before_enlarging(layer.upscale_factor)
    elif isinstance(layer, nn.Upsample):
        window = window.before_enlarging(2)
    return window
