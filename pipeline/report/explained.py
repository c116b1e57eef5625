"""Pictures of an explanation: maps over the image, sheets of channels; and what is said of them.

Shapes: C channels, H and W height and width.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.insight.explanation import SHARES, Explanation
from pipeline.report.explained_image import ExplainedImage, Shown
from pipeline.report.pixels import Pixels, data_uri, displayable, resized
from pipeline.report.sheets import magma
from pipeline.wording import number_of

SIDE = 420
"""Longest side of a map on the page, in pixels."""
TILE = 84
"""Of a channel."""
MOST_VALUES = 1 << 24
"""That quantiles are taken of: PyTorch takes no more."""
PERCENTILE = 99.5
"""Of a map that is its bright end."""


def show(
    title: str, found: Explanation, input_HWC: Pixels, restored_HWC: Pixels, unit: str = ""
) -> ExplainedImage:
    """``input_HWC`` and ``restored_HWC``: the whole image as it is displayed."""
    window, scale = found.window, found.scale
    seen = displayable(_cut(input_HWC, window.top, window.left, window.height, window.width))
    made = displayable(
        _cut(restored_HWC, *(scale * each for each in (window.top, window.left, window.height, window.width)))
    )
    share_HW = found.attribution.share_CHW.sum(0)
    box = _box(found)
    pictures = [
        Shown("Input", _size(seen), f"The input around the region, {_size(seen)}", _uri(seen), box),
        Shown(
            "Restored", _size(made), f"The restored image around the region, {_size(made)}", _uri(made), box
        ),
        Shown(
            "Attribution",
            f"what the region's {found.target} was made of",
            "Map of how much each input pixel matters to the region",
            _uri(_over(seen, share_HW.abs())),
            box,
        ),
        Shown(
            "Effective receptive field",
            "of one place, brightness by root",
            "Map of the gradient of the place in the middle on the input",
            _uri(_map(found.field_HW.sqrt())),
        ),
    ]
    return ExplainedImage(title, pictures, _sheet(found), _facts(found), found.layers, _note(found, unit))


def headline(found: Explanation) -> str:
    """One sentence on how far the restorer looked."""
    half, most = found.radii[0], found.radii[1]
    around = "at its own place" if most == 0 else f"within {number_of(most, 'pixel')} of it"
    near = "" if half == most else f", half of it {'at its place' if half == 0 else f'within {half}'}"
    beside = "" if found.halo is None else f"; the network could see {number_of(found.halo, 'pixel')} far"
    return f"Of what decides a pixel here, 95 % lies {around}{near}{beside}."


def _facts(found: Explanation) -> list[tuple[str, str]]:
    region, made = found.region, found.attribution
    held = ", ".join(
        f"{share:.0%} within {radius}" for share, radius in zip(SHARES, found.radii, strict=True)
    )
    return [
        ("Region", f"{region.left},{region.top},{region.width},{region.height} of the restored image"),
        ("Explained", f"{found.target}, which blur changes by {made.change:.4g}"),
        ("Diffusion index", f"{made.diffusion:.1f} of 100"),
        ("Shares add up to it", f"within {made.error:.1e}, in {made.steps} steps"),
        ("Effective receptive field", f"{held} pixels"),
        ("Halo of the card", "the whole image" if found.halo is None else f"{found.halo} pixels"),
    ]


def _note(found: Explanation, unit: str) -> str:
    window = found.window
    looked = f"Looked at: {window.width} x {window.height} input pixels around the region"
    beyond = "; those beyond may matter too, as far as the card says" if found.is_cut else ""
    return f"{looked}{beyond}.{f' Shown: {unit}.' if unit else ''}"


def _box(found: Explanation) -> tuple[float, float, float, float]:
    region, window, scale = found.region, found.window, found.scale
    top, left = region.top / scale - window.top, region.left / scale - window.left
    tall, wide = region.height / scale / window.height, region.width / scale / window.width
    sides = (top / window.height, left / window.width, tall, wide)
    top, left, tall, wide = (round(100 * each, 2) for each in sides)
    return top, left, tall, wide


def _cut(image_HWC: Pixels, top: int, left: int, height: int, width: int) -> Pixels:
    return image_HWC[top : top + height, left : left + width]


def _size(image_HW3: Pixels) -> str:
    return f"{image_HW3.shape[1]} × {image_HW3.shape[0]}"


def _uri(image_HW3: Pixels) -> str:
    """Enlarged by whole pixels up to the page's side, so that single ones can be seen."""
    height, width = image_HW3.shape[:2]
    factor = max(1, SIDE // max(height, width))
    return data_uri(resized(image_HW3, factor * height, factor * width), "PNG")


def _unit(map_HW: Tensor) -> NDArray[np.float64]:
    values_HW = map_HW.detach().double().cpu().numpy()
    bright = float(np.percentile(values_HW, PERCENTILE)) or float(values_HW.max()) or 1.0
    return np.clip(values_HW / bright, 0, 1)


def _map(map_HW: Tensor) -> Pixels:
    return magma()[np.rint(_unit(map_HW) * 255).astype(np.uint8)]


def _over(image_HW3: Pixels, map_HW: Tensor) -> Pixels:
    """The map in colour over a faint grey picture: where it is dark, the picture shows."""
    weight_HW1 = np.sqrt(_unit(map_HW))[..., None]
    grey_HW1 = image_HW3.mean(axis=2, keepdims=True) * 0.55
    colour_HW3 = magma()[np.rint(_unit(map_HW.sqrt()) * 255).astype(np.uint8)].astype(np.float64)
    return np.asarray(np.rint((1 - weight_HW1) * grey_HW1 + weight_HW1 * colour_HW3), np.uint8)


def _sheet(found: Explanation) -> Shown | None:
    if found.layer is None:
        return None
    tiles = [_tile(each) for each in found.layer.channel_CHW]
    across = min(8, len(tiles))
    tall, wide = tiles[0].shape[:2]
    rows = -(-len(tiles) // across)
    sheet = np.full((rows * (tall + 2) - 2, across * (wide + 2) - 2, 3), 127, np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // across * (tall + 2), place % across * (wide + 2)
        sheet[top : top + tall, left : left + wide] = tile
    count = (
        f"{len(tiles)} of {found.layer.channels} channels"
        if len(tiles) < found.layer.channels
        else (f"{len(tiles)} channels")
    )
    under = (
        f"{count}, those that vary most first; each from its lowest hundredth, black, to its highest, white"
    )
    text = f"Answers of the layer {found.layer.name} to the input: {count}"
    return Shown(found.layer.name, under, text, data_uri(sheet, "PNG"))


def _tile(channel_HW: Tensor) -> Pixels:
    values_HW = channel_HW.double()
    low, high = torch.quantile(values_HW.flatten()[:MOST_VALUES], torch.tensor([0.01, 0.99]).double())
    grey_HW = ((values_HW - low) / (high - low).clamp_min(1e-12)).clamp(0, 1)
    pixels = displayable(np.rint(grey_HW.cpu().numpy() * 255).astype(np.uint8))
    height, width = pixels.shape[:2]
    factor = TILE / max(height, width)
    return resized(pixels, max(1, round(height * factor)), max(1, round(width * factor)))
