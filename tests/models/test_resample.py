"""imresize against MATLAB's own images, torch, Pillow and block means."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import ndimage
from skimage import data
from torch import Tensor

from models.operators.resample import Area, Bicubic, Mtf, Nearest, axis_weights, imresize
from tests.operator_contract import random_image, seeded

SET5 = Path(__file__).parents[3] / "shared" / "data" / "Set5"


def read(path: Path) -> Tensor:
    pixels = np.asarray(Image.open(path).convert("RGB"), dtype=np.float32) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


def to_uint8(image: Tensor) -> Tensor:
    return (image * 255 + 0.5).floor().clamp(0, 255)


@pytest.mark.skipif(not SET5.is_dir(), reason="the Set5 images are not beside the checkout")
@pytest.mark.parametrize(("scale", "rounding"), [(2, "uint8"), (3, "uint8"), (4, "uint8"), (8, "none")])
def test_bicubic_gives_the_very_pixels_of_matlab(scale: int, rounding: str):
    names = sorted(path.stem for path in (SET5 / "HR").glob("*.png"))
    assert len(names) == 5
    for name in names:
        image = read(SET5 / "HR" / f"{name}.png")
        height, width = (side // scale * scale for side in image.shape[2:])
        smaller = Bicubic(scale, rounding)(image[..., :height, :width], seeded())
        expected = read(SET5 / "LR_bicubic" / f"X{scale}" / f"{name}x{scale}.png")
        assert int((to_uint8(smaller) != to_uint8(expected)).sum()) == 0, name


def cubic(x: float) -> float:
    """Keys 1981, equation 4, a = -1/2."""
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def resized_by_hand(line: list[float], size: int, stretch: float) -> list[float]:
    """One line, pixel by pixel, as MATLAB's documentation of imresize describes it."""
    result = []
    for index in range(size):
        centre = (index + 0.5) * len(line) / size - 0.5
        total = weight_sum = 0.0
        for position in range(math.floor(centre - 2 * stretch), math.ceil(centre + 2 * stretch) + 1):
            weight = cubic((centre - position) / stretch)
            mirrored = position % (2 * len(line))
            mirrored = mirrored if mirrored < len(line) else 2 * len(line) - 1 - mirrored
            total += weight * line[mirrored]
            weight_sum += weight
        result.append(total / weight_sum)
    return result


@pytest.mark.parametrize(("size_in", "size_out"), [(21, 7), (20, 9), (7, 23), (5, 2), (1, 4), (3, 12)])
def test_bicubic_is_the_formula(size_in: int, size_out: int):
    line = random_image(1, 1, size_in, 1, dtype=torch.float64)
    resized = imresize(line, size_out, 1)
    expected = resized_by_hand(line.flatten().tolist(), size_out, max(1.0, size_in / size_out))
    torch.testing.assert_close(
        resized.flatten(), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-14
    )


@pytest.mark.parametrize("sizes", [(48, 48), (31, 70), (100, 90), (20, 45)])
@pytest.mark.parametrize("kernel", ["bilinear", "bicubic", "lanczos"])
def test_antialiased_kernels_agree_with_pillow_inside(kernel: str, sizes: tuple[int, int]):
    """Pillow cuts the kernel at the border where MATLAB mirrors the image; inside they agree."""
    height, width = sizes
    image = random_image(1, 1, 64, 60)
    filters = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}
    expected = Image.fromarray(image[0, 0].numpy(), "F").resize((width, height), filters[kernel])
    inside = (slice(height // 4, -(height // 4)), slice(width // 4, -(width // 4)))
    difference = (imresize(image, height, width, kernel)[0, 0] - torch.from_numpy(np.array(expected)))[inside]
    assert difference.abs().max() < 2e-6


def test_without_antialiasing_bilinear_is_that_of_torch():
    image = random_image(2, 3, 24, 36)
    for height, width in ((11, 20), (48, 50), (24, 36)):
        expected = F.interpolate(image, (height, width), mode="bilinear", align_corners=False)
        torch.testing.assert_close(imresize(image, height, width, "bilinear", antialias=False), expected)


def test_nearest_is_that_of_torch():
    image = random_image(2, 3, 24, 36)
    for height, width in ((11, 20), (48, 50), (8, 9)):
        expected = F.interpolate(image, (height, width), mode="nearest-exact")
        assert torch.equal(imresize(image, height, width, "nearest"), expected)
    assert torch.equal(Nearest(3)(image, seeded()), image[..., 1::3, 1::3])


def test_area_is_the_block_mean_and_keeps_the_total():
    image = random_image(2, 3, 24, 36, dtype=torch.float64)
    torch.testing.assert_close(Area(3)(image, seeded()), F.avg_pool2d(image, 3))
    # Each input pixel gives its whole area away, whatever the ratio.
    smaller = imresize(image, 7, 11, "area")
    torch.testing.assert_close(smaller.mean(dim=(2, 3)), image.mean(dim=(2, 3)))


def test_uint8_rounding_is_half_up_between_and_after_the_passes():
    image = torch.tensor([[[[0.0, 1.0], [0.0, 2.0]]]]) / 255
    # Columns first: means 0 and 1.5, which rounds to 2; their mean is 1.
    assert (Area(2, "uint8")(image, seeded()) * 255).item() == 1.0
    assert (Area(2, "none")(image, seeded()) * 255).item() == pytest.approx(0.75)


def test_rounded_results_lie_on_their_grid_and_clip():
    image = torch.zeros(1, 1, 40, 40)
    image[..., 20:] = 1.0
    for rounding, top in (("uint8", 255), ("uint16", 65535)):
        larger = imresize(image, 80, 80, rounding=rounding).double() * top
        torch.testing.assert_close(larger, larger.round(), rtol=0, atol=top * 1e-7)
        assert larger.min() == 0
        assert larger.max() == top
    assert imresize(image, 80, 80).max() > 1.01, "the cubic overshoots where nothing clips it"


def test_a_constant_stays_constant_and_a_ramp_stays_a_ramp():
    ramp = torch.arange(64, dtype=torch.float64).expand(1, 1, 64, 64)
    for kernel in ("bicubic", "bilinear", "area"):
        smaller = imresize(ramp, 16, 16, kernel)[0, 0, 8, 4:12]
        torch.testing.assert_close(smaller, torch.arange(4, 12, dtype=torch.float64) * 4 + 1.5)
    for size in (5, 64, 200):
        constant = imresize(torch.full((1, 1, 64, 64), 0.3, dtype=torch.float64), size, size, "lanczos")
        torch.testing.assert_close(constant, torch.full_like(constant, 0.3))


def test_weights_are_the_dense_matrix_of_the_operation():
    identity = torch.eye(20, dtype=torch.float64)[None, None]
    matrix = imresize(identity, 9, 20)[0, 0]
    weights = axis_weights(20, 9)
    dense = torch.zeros(9, 20, dtype=torch.float64).scatter_add_(1, weights.columns_RT, weights.weights_RT)
    torch.testing.assert_close(matrix, dense)
    transposed = weights.transposed(torch.eye(9, dtype=torch.float64))
    torch.testing.assert_close(transposed, dense.T)


def test_mtf_has_the_wanted_response_at_nyquist():
    """The finest wave that the large pixels can hold keeps ``mtf`` of its amplitude."""
    for scale, mtf in ((2, 0.3), (3, 0.2), (4, 0.1)):
        position = torch.arange(60 * scale, dtype=torch.float64)
        # Nyquist of the large pixels, with its crests on their centres.
        wave = torch.cos(math.pi * (position + 0.5) / scale - math.pi / 2)
        smaller = Mtf(scale, mtf)(wave.expand(1, 1, 60 * scale, -1), seeded())[0, 0, 30]
        assert smaller[10:-10].abs().mean() == pytest.approx(mtf, abs=0.004)


def test_mtf_of_odd_scale_is_scipys_gaussian_decimated():
    image = random_image(1, 2, 45, 60, dtype=torch.float64)
    sigma = 3 * math.sqrt(-2 * math.log(0.25)) / math.pi
    smaller = Mtf(3, (0.25, 0.25))(image, seeded())
    for band in range(2):
        blurred = ndimage.gaussian_filter(
            image[0, band].numpy(), sigma, mode="reflect", radius=int(4 * sigma + 0.5)
        )
        assert np.abs(smaller[0, band].numpy() - blurred[1::3, 1::3]).max() < 1e-4


def test_better_kernels_bring_a_photograph_closer():
    photograph = torch.from_numpy(data.camera().astype(np.float32) / 255)[None, None]
    smaller = Bicubic(2)(photograph, seeded())
    errors = [
        (imresize(smaller, 512, 512, kernel) - photograph).square().mean()
        for kernel in ("nearest", "bilinear", "bicubic", "lanczos")
    ]
    assert errors == sorted(errors, reverse=True)


def test_wrong_words_are_named():
    image = random_image(1, 1, 8, 8)
    with pytest.raises(ValueError, match=r"kernel must be one of bicubic, .*got 'cubic'"):
        imresize(image, 4, 4, "cubic")
    with pytest.raises(ValueError, match="rounding must be one of none, uint8, uint16; got 'int'"):
        imresize(image, 4, 4, rounding="int")
    with pytest.raises(ValueError, match="at least 1, got 0"):
        imresize(image, 0, 4)
