"""What every metric owes, whatever it measures."""

import functools
import math
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import torch
from torch import Tensor

from pipeline.metrics import Metric
from pipeline.metrics.accumulating import Accumulating, Section
from pipeline.metrics.base import MetricInputs

EXACT = {"rtol": 0.0, "atol": 1e-12}


def noisy(reference_BCHW: Tensor, sigma: float, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return reference_BCHW + sigma * torch.randn(reference_BCHW.shape, generator=generator)


def check_identical(metric: Metric, reference_BCHW: Tensor) -> None:
    """Identical images give the best score to the last bit; no reference, no best score."""
    score_B = metric(reference_BCHW.clone(), reference_BCHW, None)
    if metric.protocol.pair is not MetricInputs.ALONE:
        torch.testing.assert_close(score_B, torch.full_like(score_B, metric.protocol.best), **EXACT)


def check_shape(metric: Metric, reference_BCHW: Tensor) -> None:
    """One finite float64 score per image, and the inputs are left alone."""
    restored_BCHW = noisy(reference_BCHW, 0.05)
    copies = restored_BCHW.clone(), reference_BCHW.clone()
    score_B = metric(restored_BCHW, reference_BCHW, None)
    assert score_B.shape == (reference_BCHW.shape[0],)
    assert score_B.dtype == torch.float64
    assert score_B.isfinite().all(), score_B
    assert torch.equal(restored_BCHW, copies[0])
    assert torch.equal(reference_BCHW, copies[1])


def check_batch(metric: Metric, reference_BCHW: Tensor) -> None:
    """A batch gives what its images give alone."""
    restored_BCHW = noisy(reference_BCHW, 0.05)
    for valid_B1HW in (None, hole(reference_BCHW)):
        together_B = metric(restored_BCHW, reference_BCHW, valid_B1HW)
        alone = [
            metric(
                restored_BCHW[i : i + 1],
                reference_BCHW[i : i + 1],
                None if valid_B1HW is None else valid_B1HW[i : i + 1],
            )
            for i in range(len(reference_BCHW))
        ]
        torch.testing.assert_close(together_B, torch.cat(alone), **EXACT)


def check_mask(metric: Metric, reference_BCHW: Tensor) -> None:
    """All valid is no mask; garbage under the mask changes nothing; nothing valid is NaN."""
    restored_BCHW = noisy(reference_BCHW, 0.05)
    everywhere_B1HW = torch.ones_like(reference_BCHW[:, :1], dtype=torch.bool)
    unmasked_B = metric(restored_BCHW, reference_BCHW, None)
    torch.testing.assert_close(metric(restored_BCHW, reference_BCHW, everywhere_B1HW), unmasked_B, **EXACT)

    valid_B1HW = hole(reference_BCHW)
    masked_B = metric(restored_BCHW, reference_BCHW, valid_B1HW)
    assert masked_B.isfinite().all(), masked_B
    exposed_B = metric(restored_BCHW.where(valid_B1HW, 7.0), reference_BCHW, None)
    assert not torch.equal(exposed_B, masked_B), "the mask was not looked at"
    # A number and what is none, side by side: whatever of it comes through changes the score or makes it NaN.
    kinds = torch.tensor([7.0, math.nan, -math.inf]).to(reference_BCHW)
    garbage_BCHW = kinds.repeat(reference_BCHW.numel() // 3 + 1)[: reference_BCHW.numel()]
    garbage_BCHW = garbage_BCHW.reshape(reference_BCHW.shape)
    hidden_BCHW = restored_BCHW
    if metric.protocol.pair is not MetricInputs.UNREGISTERED:  # which else is masked where the reference is
        hidden_BCHW = restored_BCHW.where(valid_B1HW, garbage_BCHW)
    spoilt_BCHW = reference_BCHW.where(valid_B1HW, garbage_BCHW)
    torch.testing.assert_close(metric(hidden_BCHW, spoilt_BCHW, valid_B1HW), masked_B, **EXACT)

    assert metric(restored_BCHW, reference_BCHW, ~everywhere_B1HW).isnan().all()


def check_undersized(metric: Metric, reference_BCHW: Tensor) -> None:
    """One pixel less than the minimum size is NaN in either direction; the minimum is not."""
    size = metric.protocol.minimum_size
    restored_BCHW = noisy(reference_BCHW, 0.05)

    def score(height: int, width: int) -> Tensor:
        return metric(restored_BCHW[:, :, :height, :width], reference_BCHW[:, :, :height, :width], None)

    assert score(size, size).isfinite().all()
    assert score(size - 1, size).isnan().all()
    assert score(size, size - 1).isnan().all()


def check_ladder(metric: Metric, ladder: list[Tensor], reference_BCHW: Tensor) -> None:
    """Worse and worse images score worse and worse, in the direction that the protocol claims."""
    scores = torch.stack([metric(restored_BCHW, reference_BCHW, None) for restored_BCHW in ladder])
    steps = scores.diff(dim=0) * (1 if metric.protocol.higher_is_better else -1)
    assert (steps < 0).all(), scores


def check_sections(metric: Accumulating, reference_BCHW: Tensor) -> None:
    """Section by section, in any order, with no more shown than its reach: the score of the whole image."""
    restored_BCHW = noisy(reference_BCHW, 0.05)
    height, width = reference_BCHW.shape[-2:]
    for valid_B1HW in (None, hole(reference_BCHW)):
        images = restored_BCHW, reference_BCHW, valid_B1HW
        parts = [
            metric.part(*shown(images, each, metric.reach)) for each in sections(height, width, metric.grid)
        ]
        assert len(parts) > 6
        for order in (parts, parts[::-1]):
            score_B = metric.score(functools.reduce(metric.merged, order))
            torch.testing.assert_close(score_B, metric(*images), rtol=1e-9, atol=0.0)


def sections(height: int, width: int, grid: int) -> list[Section]:
    """The image in sections of one and of two grids, the last ones longer; a grid of 1 goes by 40."""
    grid = grid if grid > 1 else 40
    down, across = (
        pairwise([0, grid, *range(3 * grid, side - grid + 1, grid), side]) for side in (height, width)
    )
    return [Section((height, width), rows, columns) for rows, columns in product(down, across)]


def shown(images: tuple[Tensor | None, ...], section: Section, reach: int) -> tuple[Any, ...]:
    """The arguments of ``part``: of each image what the section may look at, and no more."""
    top, left = (max(first - reach, 0) for first in (section.rows[0], section.columns[0]))
    cut = [None if each is None else section.around(each, reach) for each in images]
    return *cut, replace(section, origin=(top, left))


def check_precision(metric: Metric, reference_BCHW: Tensor) -> None:
    """float32 gives what float64 gives on bright 16-bit data of low contrast (mean 30000, range 400)."""
    level = (30000 + 400 * (reference_BCHW.double() - 0.5)).round()
    restored = noisy(level, 20.0).round()
    wide_B = metric(restored / 65535, level / 65535, None)
    narrow_B = metric((restored / 65535).float(), (level / 65535).float(), None)
    torch.testing.assert_close(narrow_B, wide_B, rtol=1e-5, atol=1e-5)


def hole(reference_BCHW: Tensor) -> Tensor:
    """A mask with a hole in the upper left and a few dead columns, another for each image."""
    valid_B1HW = torch.ones_like(reference_BCHW[:, :1], dtype=torch.bool)
    for index, valid_1HW in enumerate(valid_B1HW):
        valid_1HW[:, : 9 + index, :13] = False
        valid_1HW[:, :, -2 - index :] = False
    return valid_B1HW
