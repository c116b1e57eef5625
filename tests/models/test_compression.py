"""Codecs against files written by hand, and the differentiable JPEG against libjpeg."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from torch import Tensor

from models.operators.batched import Batch
from models.operators.batched.compressing import code_in_whole_numbers
from models.operators.compression import Jpeg, Jpeg2000
from models.operators.differentiable_jpeg import DifferentiableJpeg
from tests.operator_contract import random_image, seeded


def photograph(side: int = 256) -> Tensor:
    pixels = data.astronaut()[:side, 100 : 100 + side].astype(np.float32) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean()))


def saved(pixels: np.ndarray, format: str, **options) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:2:2", "4:4:4"])
def test_jpeg_is_the_file_that_pillow_writes(subsampling: str):
    pixels = data.astronaut()[:200, :150]
    image = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
    coded = Jpeg(30, subsampling)(image, seeded())[0].permute(1, 2, 0).numpy() * 255
    assert np.array_equal(np.rint(coded), saved(pixels, "JPEG", quality=30, subsampling=subsampling))


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:2:2", "4:4:4"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_whole_numbers_give_the_bits_of_libjpeg(subsampling: str, channels: int):
    """Any quality, odd and narrow images in one batch, photographs and the hardest samples there are."""
    rng = np.random.default_rng(channels)
    for kind in ("photograph", "noise", "extremes"):
        images, coders = [], [Jpeg(quality, subsampling) for quality in (1, 10, 37, 50, 75, 90, 100)]
        for coder in coders:
            height, width = rng.integers(1, 50, 2)
            if kind == "photograph":
                band = photograph()[:, :, coder.quality :, 40:]
                image = torch.cat([band, band.flip(3)], 1)[:, :channels, :height, :width]
            else:
                levels = 256 if kind == "noise" else 2
                drawn = rng.integers(0, levels, (1, channels, height, width)) / (levels - 1)
                image = torch.from_numpy(drawn.astype(np.float32))
            images.append(image)
        made = code_in_whole_numbers(coders, Batch.joined(images)).images()
        for coder, image, found in zip(coders, images, made, strict=True):
            assert torch.equal(found, coder(image, seeded())), (kind, coder, tuple(image.shape))


def test_six_bands_are_coded_one_by_one():
    image = torch.cat([photograph(64), photograph(64).flip(3)], dim=1)
    for operator in (Jpeg(50), Jpeg2000(10.0)):
        together = operator(image, seeded())
        apart = torch.cat([operator(image[:, band : band + 1], seeded()) for band in range(6)], dim=1)
        assert torch.equal(together, apart)


def test_quality_and_ratio_order_the_loss():
    image = photograph()
    by_quality = [psnr(Jpeg(quality)(image, seeded()), image) for quality in (5, 10, 30, 60, 95)]
    assert by_quality == sorted(by_quality)
    by_ratio = [psnr(Jpeg2000(ratio)(image, seeded()), image) for ratio in (100, 40, 10, 4)]
    assert by_ratio == sorted(by_ratio)


def test_jpeg2000_keeps_its_ratio():
    pixels = (photograph()[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(
        file, "JPEG2000", irreversible=True, quality_mode="rates", quality_layers=[20.0], num_resolutions=6
    )
    assert pixels.nbytes / len(file.getvalue()) == pytest.approx(20, rel=0.1)
    coded = Jpeg2000(20.0)(photograph(), seeded())[0].permute(1, 2, 0).numpy() * 255
    assert np.array_equal(np.rint(coded), np.asarray(Image.open(file)))


def test_jpeg2000_of_16_bits_is_finer_than_8():
    """A ramp across 1/20 of the range: 8 bits leave steps of 1/255, 16 bits do not."""
    ramp = torch.linspace(0.5, 0.55, 128).expand(1, 1, 128, 128).contiguous()
    errors = [
        (Jpeg2000(2.0, dtype)(ramp, seeded()) - ramp).abs().max().item() for dtype in ("uint8", "uint16")
    ]
    assert errors[0] > 1e-3 > 10 * errors[1]


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 3), (17, 33)])
def test_codecs_take_tiny_images(size: tuple[int, int]):
    image = random_image(1, 3, *size)
    for operator in (Jpeg(90), Jpeg2000(2.0), Jpeg2000(2.0, "uint16"), DifferentiableJpeg(90)):
        assert operator(image, seeded()).shape == image.shape


def test_jpeg_refuses_what_the_format_cannot_hold():
    with pytest.raises(ValueError, match="at most 65500, got 1 x 65501"):
        Jpeg(50)(torch.zeros(1, 1, 1, 65501), seeded())


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
@pytest.mark.parametrize("quality", [10, 30, 75, 95])
def test_differentiable_jpeg_is_close_to_libjpeg(quality: int, subsampling: str):
    """It differs from libjpeg far less than libjpeg differs from the image."""
    image = photograph()
    coded, expected = (
        DifferentiableJpeg(quality, subsampling)(image, seeded()),
        Jpeg(quality, subsampling)(image, seeded()),
    )
    assert psnr(coded, expected) > psnr(expected, image) + 4
    assert psnr(coded, image) == pytest.approx(psnr(expected, image), abs=1.5)


def test_differentiable_jpeg_of_grey_images_is_close_to_libjpeg():
    image = photograph()[:, :1]
    coded, expected = DifferentiableJpeg(50)(image, seeded()), Jpeg(50)(image, seeded())
    assert psnr(coded, expected) > psnr(expected, image) + 5


def test_gradients_flow_through_the_differentiable_jpeg():
    """The gradient is that of finite differences, in float64, away from the jumps of the rounding."""
    image = photograph(16).double().requires_grad_()
    operator = DifferentiableJpeg(50)
    weights = random_image(1, 3, 16, 16, dtype=torch.float64)
    (operator(image, seeded()) * weights).sum().backward()
    assert image.grad is not None
    direction = random_image(1, 3, 16, 16, dtype=torch.float64, seed=9) - 0.5
    step = 1e-6
    with torch.no_grad():
        ahead = (operator(image + step * direction, seeded()) * weights).sum()
        behind = (operator(image - step * direction, seeded()) * weights).sum()
    numeric = ((ahead - behind) / (2 * step)).item()
    assert (image.grad * direction).sum().item() == pytest.approx(numeric, rel=1e-4)
    assert abs(numeric) > 1e-3
