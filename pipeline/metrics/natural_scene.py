"""Statistics of natural scenes, block by block (Mittal, Soundararajan, Bovik 2013, sec. II).

Shapes: B images, N blocks, H and W height and width, b the side of a block, F = 36 features.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from models.operators.resample import imresize
from pipeline.metrics.accumulating import Section
from pipeline.metrics.window import gaussian

BLOCK = 96
"""Side of a block in pixels."""
REACH = 10
"""Pixels beyond a block that its features look at: the window at half size, and the resampling."""

FEATURES = 36
"""Numbers of a block: 18 of each size."""

_WINDOW = gaussian(7, 7 / 6)
_ROUNDING = 1e-4
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))


def block_features(grey_BHW: Tensor, section: Section | None = None) -> tuple[Tensor, Tensor]:
    """36 features (B, N, F) and the sharpness (B, N) of the whole blocks from the upper left corner.

    ``grey_BHW`` is float64 in grey levels, 0..255. Without a section it is an image of at least one block;
    else the blocks are those that begin in the section, at least one. A flat block has NaN.
    """
    section = section or Section.whole(grey_BHW)
    blocks = section.cut(*(side // BLOCK * BLOCK for side in section.size))
    full_BHW = blocks.around(grey_BHW, REACH)
    height, width = full_BHW.shape[-2:]
    half_BHW = imresize(full_BHW[:, None], height // 2, width // 2)[:, 0]
    structure_BHW, deviation_BHW = (blocks.counted(each, REACH) for each in _normalised(full_BHW))
    sharpness_BN = _blocks(deviation_BHW, BLOCK).mean(dim=(-2, -1))
    half_structure_BHW = blocks.counted(_normalised(half_BHW)[0], REACH, 2)
    parts = (_features(_blocks(structure_BHW, BLOCK)), _features(_blocks(half_structure_BHW, BLOCK // 2)))
    return torch.cat(parts, dim=-1), sharpness_BN


def whole_blocks(valid_B1HW: Tensor, section: Section | None = None) -> Tensor:
    """(B, N): whether all that a block's features look at is valid."""
    section = section or Section.whole(valid_B1HW)
    blocks = section.cut(*(side // BLOCK * BLOCK for side in section.size))
    # Beyond the last whole block too, though nothing looks there: as ever, so that no score changes.
    shown_B1HW = replace(blocks, size=section.size).around(valid_B1HW, REACH)
    invalid_B1HW = F.pad((~shown_B1HW.bool()).float(), (REACH,) * 4)
    near_B1HW = F.max_pool2d(invalid_B1HW, (2 * REACH + 1, 1), stride=1)
    near_B1HW = F.max_pool2d(near_B1HW, (1, 2 * REACH + 1), stride=1)
    return F.max_pool2d(blocks.counted(near_B1HW, REACH), BLOCK).flatten(1) == 0


def _normalised(grey_BHW: Tensor) -> tuple[Tensor, Tensor]:
    """(x - mean) / (deviation + 1) under the window, eq. 1-3, and the deviation itself."""
    padded_BHW = F.pad(grey_BHW[:, None], (3, 3, 3, 3), mode="replicate")[:, 0]
    rows_HBW = padded_BHW.transpose(0, 1)
    mean_BHW = _WINDOW.means_(rows_HBW.clone()).transpose(0, 1)
    power_BHW = _WINDOW.means_(rows_HBW.square()).transpose(0, 1)
    deviation_BHW = (power_BHW - mean_BHW.square()).abs().sqrt()
    centred_BHW = grey_BHW - mean_BHW
    # A flat region is zero, neither left nor right of it: the sign of rounding errors must not count.
    centred_BHW = centred_BHW.where(centred_BHW.abs() > _ROUNDING, 0.0)
    return centred_BHW / (deviation_BHW + 1), deviation_BHW


def _blocks(plane_BHW: Tensor, size: int) -> Tensor:
    """(B, N, b, b), row by row."""
    return plane_BHW.unfold(1, size, size).unfold(2, size, size).flatten(1, 2)


def _features(structure_BNbb: Tensor) -> Tensor:
    """18 features of one scale: shape and width of the values, and of the products of neighbours."""
    shape, left, right = _asymmetric_gaussian(structure_BNbb)
    features = [shape, (left + right) / 2]
    for shift in _NEIGHBOURS:
        product_BNbb = structure_BNbb * structure_BNbb.roll(shift, dims=(-2, -1))
        shape, left, right = _asymmetric_gaussian(product_BNbb)
        mean = (right - left) * torch.exp(torch.lgamma(2 / shape) - torch.lgamma(1 / shape))
        features += [shape, mean, left, right]
    return torch.stack(features, dim=-1)


def _asymmetric_gaussian(values_BNbb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shape and left and right width of the asymmetric generalised Gaussian, by moments: each (B, N).

    Lasmar, Stitou and Berthoumieu, ICIP 2009.
    """
    squared = values_BNbb.square()

    def deviation(side: Tensor) -> Tensor:
        return (squared.where(side, 0.0).sum(dim=(-2, -1)) / side.sum(dim=(-2, -1))).sqrt()

    left, right = deviation(values_BNbb < 0), deviation(values_BNbb > 0)
    skew = left / right
    ratio = values_BNbb.abs().mean(dim=(-2, -1)).square() / squared.mean(dim=(-2, -1))
    shape = _shape_of(ratio * (skew**3 + 1) * (skew + 1) / (skew.square() + 1).square())
    width = torch.exp((torch.lgamma(1 / shape) - torch.lgamma(3 / shape)) / 2)
    return shape, left * width, right * width


def _shape_of(ratio: Tensor) -> Tensor:
    """The shape a in 0.2..10 of which gamma(2/a)^2 / (gamma(1/a) gamma(3/a)) is the ratio.

    Between the steps of a table it is interpolated, so that no score jumps.
    """
    shapes, table = _shapes_and_ratios(ratio.device)
    upper = torch.searchsorted(table, ratio.contiguous()).clamp(1, len(table) - 1)
    low, high = table[upper - 1], table[upper]
    share = ((ratio - low) / (high - low)).clamp(0, 1)
    return shapes[upper - 1] + share * (shapes[upper] - shapes[upper - 1])


@lru_cache
def _shapes_and_ratios(device: torch.device) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):  # for whoever comes next, in inference mode or not
        shapes = torch.arange(0.2, 10.0005, 0.001, dtype=torch.float64).to(device)
        ratios = torch.exp(2 * torch.lgamma(2 / shapes) - torch.lgamma(1 / shapes) - torch.lgamma(3 / shapes))
    return shapes, ratios
