"""Weights fitted to the archive of a dataset, from a file to a file.

Shapes: C channels, H and W height and width.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch import Tensor

from models.weights import load_weights, weights_bytes
from pipeline.errors import ImageError, JobError
from pipeline.formats.base import Limits
from pipeline.jobs.job import Dataset
from pipeline.privacy.datasets import describe_dataset
from pipeline.recipe.weights import weights_file
from pipeline.storage.output_file import check_output_file, write_output
from pipeline.training.adaptation.adapt import Adapted, OnLook, Settings, adapt
from pipeline.training.data.pictures import Takes, span_of, usable_pair
from pipeline.training.data.places import Places
from pipeline.training.engines.local import device_of

MOST_IMAGES = 32
_MOST_LISTED = 10_000
_MOST_PIXELS = 100_000_000
_SIDE = 1024
"""Of a larger image only the middle so many pixels: an adaptation is minutes long."""


def adapt_to_archive(
    weights: str,
    dataset: Dataset,
    out: Path,
    settings: Settings,
    *,
    device: str | None = None,
    on_look: OnLook = lambda steps, gain_db: None,
) -> tuple[Adapted, int]:
    """Writes ``out``, with the weights as they were where nothing was gained; how many images were read.

    ``weights`` is a shipped name, a path or a URL. ``JobError`` names what cannot be adapted, or to what not.
    """
    check_output_file(out, ".safetensors", [weights])
    try:
        card, state = load_weights(weights_file(weights))
    except (ValueError, OSError) as error:
        raise JobError(f"{weights}: {error}; give a shipped name or a safetensors file with a card") from None
    images = _images(dataset, card.channels or 3, settings.seed)
    try:
        adapted = adapt(card, state, images, settings, device=device_of(device), on_look=on_look)
    except ValueError as error:
        raise JobError(f"{describe_dataset(dataset)}: {error}") from None
    write_output(out, weights_bytes(adapted.card, adapted.state))
    return adapted, len(images)


def _images(dataset: Dataset, channels: int, seed: int) -> list[Tensor]:
    """1CHW in [0, 1]: some of the images, drawn from the first thousands of the listing."""
    places, found, why = Places([dataset], pairs=False, where="SOURCE"), list[Tensor](), ""
    listed = []
    for page in places.listed(0):
        listed += page
        if len(listed) >= _MOST_LISTED:
            break
    random.Random(seed).shuffle(listed)
    for place in listed:
        if len(found) == MOST_IMAGES:
            break
        name = places.name_of(0, place)
        try:
            pair = places.read(0, place, Limits(_MOST_PIXELS))
            picture = usable_pair(name, pair, Takes(channels, 1))
        except ImageError as error:
            why = why or f"{name}: {places.why(0, error)}"
            continue
        height, width, _ = picture.pixels_HWC.shape
        top, left = max(0, height - _SIDE) // 2, max(0, width - _SIDE) // 2
        middle_HWC = picture.pixels_HWC[top : top + _SIDE, left : left + _SIDE]
        tensor = torch.from_numpy(middle_HWC.copy()).permute(2, 0, 1)[None].float()
        found.append(tensor / span_of(picture.pixels_HWC))
    if not found:
        raise JobError(f"no images in {describe_dataset(dataset)}; {why or 'no object matches'}")
    return found
