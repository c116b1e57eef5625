"""Masks, clouds and haze: shares, shapes and formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.draw import disk

from models.operators.atmosphere import Clouds, Haze, fractal
from models.operators.gaps import ScanLineGaps
from models.operators.mask import BoxMask, IrregularMask, Mask, draw_segment
from models.operators.sensor import DeadColumns
from tests.operator_contract import random_image, seeded


def hidden_share(operator, height: int, width: int, seed: int = 0) -> float:
    return 1 - operator.mask(height, width, seeded(seed)).mean().item()


@pytest.mark.parametrize("share", [0.0, 0.05, 0.25, 0.9])
@pytest.mark.parametrize("size", [(256, 256), (64, 300), (40, 1)])
def test_boxes_hit_their_share(share: float, size: tuple[int, int]):
    for seed in range(4):
        tolerance = max(1 / 200, 1 / (size[0] * size[1]))
        hidden = hidden_share(Mask(share), *size, seed)
        assert share - tolerance - 1 / (size[0] * size[1]) <= hidden <= share + 1e-6


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_strokes_hit_their_share(share: float):
    for seed in range(3):
        assert hidden_share(Mask(share, "strokes"), 200, 256, seed) == pytest.approx(share, abs=0.01)


def test_a_segment_is_the_pixels_near_the_line():
    hidden = np.zeros((60, 70), dtype=bool)
    draw_segment(hidden, (20.0, 30.0), (20.0, 30.0), 17.0)
    rows, columns = disk((20, 30), 8.5000001)
    expected = np.zeros_like(hidden)
    expected[rows, columns] = True
    assert np.array_equal(hidden, expected)
    hidden = np.zeros((60, 70), dtype=bool)
    draw_segment(hidden, (10.0, -5.0), (50.0, 60.0), 6.0)
    y, x = np.indices(hidden.shape)
    # Distance from the infinite line, for pixels beside the segment.
    along = ((y - 10) * 40 + (x + 5) * 65) / (40**2 + 65**2)
    distance = abs((y - 10) * 65 - (x + 5) * 40) / math.hypot(40, 65)
    beside = (along > 0) & (along < 1)
    assert np.array_equal(hidden[beside], (distance <= 3.0)[beside])


def test_the_box_lies_in_the_middle():
    mask = BoxMask(0.5).mask(100, 60, seeded())[0]
    assert mask[25:75, 15:45].sum() == 0
    assert mask.sum() == 100 * 60 - 50 * 30


@pytest.mark.parametrize(
    ("thickness", "low", "high"), [("thin", 0.02, 0.5), ("medium", 0.05, 0.5), ("thick", 0.1, 0.5)]
)
def test_irregular_masks_hide_at_most_half_and_scale_with_the_image(thickness: str, low: float, high: float):
    operator = IrregularMask(thickness)
    small = [hidden_share(operator, 64, 64, seed) for seed in range(30)]
    large = [hidden_share(operator, 256, 256, seed) for seed in range(30)]
    assert max(small + large) <= high
    assert low < sum(large) / 30 < high
    assert sum(small) / 30 == pytest.approx(sum(large) / 30, abs=0.05)


def test_thicker_masks_have_wider_holes():
    widths = []
    for thickness in ("thin", "medium", "thick"):
        holes = [1 - IrregularMask(thickness).mask(256, 256, seeded(seed))[0].numpy() for seed in range(6)]
        widths.append(sum(ndimage.distance_transform_edt(hole).max() for hole in holes))
    assert widths[0] < widths[1] < widths[2]


def test_scan_line_gaps_lose_their_share_and_widen_to_one_side():
    operator = ScanLineGaps()
    shares = [hidden_share(operator, 640, 500, seed) for seed in range(4)]
    assert shares == pytest.approx([0.22] * 4, abs=0.005)
    lost_W = 1 - operator.mask(640, 500, seeded(1))[0].mean(dim=0)
    ends = sorted([lost_W[:25].mean().item(), lost_W[-25:].mean().item()])
    assert ends[0] == pytest.approx(0.22 * 0.5, abs=0.02)
    assert ends[1] == pytest.approx(0.22 * 1.5, abs=0.02)


def test_scan_line_gaps_have_their_period_and_tilt():
    mask = ScanLineGaps(period=40, tilt=10, wedge=0).mask(400, 400, seeded())[0]
    assert torch.equal(mask[:-40], mask[40:])
    shift = 40 / math.tan(math.radians(10))
    assert (mask[:, : 400 - round(shift)] == mask[:, round(shift) :]).float().mean() > 0.98


def test_dead_columns_are_whole_columns_and_hit_their_share():
    mask = DeadColumns(0.1).mask(20, 20_000, seeded())[0]
    assert torch.equal(mask, mask[:1].expand_as(mask))
    assert 1 - mask.mean().item() == pytest.approx(0.1, abs=5 * math.sqrt(0.09 / 20_000))
    rows = DeadColumns(0.3, direction="rows").mask(50, 20, seeded())[0]
    assert torch.equal(rows, rows[:, :1].expand_as(rows))


def test_clouds_cover_their_share_to_the_pixel_in_few_pieces():
    mask = Clouds(0.3).mask(128, 200, seeded())[0]
    assert int((mask == 0).sum()) == math.floor(0.3 * 128 * 200)
    _, pieces = ndimage.label(1 - mask.numpy())
    rough = Clouds(0.3, exponent=1.0).mask(128, 200, seeded())[0]
    _, rough_pieces = ndimage.label(1 - rough.numpy())
    assert pieces < 200 < rough_pieces


def test_fractal_spectrum_falls_with_its_exponent():
    """The slope of log power against log frequency over a decade and a half, averaged over rows."""
    field = fractal(512, 512, 3.0, seeded())
    window = torch.hann_window(512, dtype=torch.float64)
    power = torch.fft.rfft2((field - field.mean()) * window[:, None] * window[None, :]).abs().square()
    fy, fx = torch.fft.fftfreq(512)[:, None], torch.fft.rfftfreq(512)[None, :]
    frequency = torch.hypot(fy, fx)
    band = (frequency > 0.015) & (frequency < 0.45)
    x, y = frequency[band].double().log(), power[band].log()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    assert slope.item() == pytest.approx(-3.0, abs=0.15)


def test_haze_is_koschmieders_law():
    image = random_image(1, 3, 16, 16, dtype=torch.float64)
    hazy = Haze(density=0.7, airlight=0.8, depth="flat")(image, seeded())
    clear = math.exp(-0.7)
    torch.testing.assert_close(hazy, image * clear + 0.8 * (1 - clear))
    vertical = Haze(density=2.0, airlight=0.8, depth="vertical")(image, seeded())
    torch.testing.assert_close(vertical[:, :, -1], image[:, :, -1])
    torch.testing.assert_close(vertical[:, :, 0], image[:, :, 0] * math.exp(-2) + 0.8 * (1 - math.exp(-2)))
    contrast = Haze(density=2.0)(image, seeded()).std() / image.std()
    assert math.exp(-2) < contrast < 1
