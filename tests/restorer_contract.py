"""What every restorer of the catalog owes; ``tests/models/test_restorers.py`` calls it for each name."""

from __future__ import annotations

import pickle
from dataclasses import replace
from functools import cache

import skimage.data
import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition, RestorerError
from models.guides.matching import matched
from models.network_call import call_network
from models.operators.blur import GaussianBlur
from models.restorer import Restorer


@cache
def _photograph() -> Tensor:
    """The whole, decoded once: small scenes are asked for thousands of times."""
    photograph_CHW = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1).float() / 255
    for axis in (1, 2):  # and of its mirror images, where it ends
        photograph_CHW = torch.cat([photograph_CHW, photograph_CHW.flip(axis)], axis)
    return photograph_CHW


def scene(channels: int, height: int, width: int, *, batch: int = 1) -> Tensor:
    """BCHW float32 crops of a photograph, in [0, 1]; more than three channels repeat in other places."""
    photograph_CHW = _photograph()
    crops = []
    for each in range(batch):
        layers = [
            photograph_CHW[layer % 3, 60 + 9 * each + layer :, 160 + 5 * each :][:height, :width]
            for layer in range(channels)
        ]
        crops.append(torch.stack(layers))
    return torch.stack(crops)


def condition_for(card: Card, batch: int, height: int, width: int, channels: int = 3) -> Condition:
    """What the card needs, and nothing else."""
    known_B1HW = torch.rand(batch, 1, height, width, generator=torch.Generator().manual_seed(5)) < 0.8
    known_B1HW[..., 0, 0] = True
    return Condition(
        scale=2 if card.scale is None and "operators" not in card.needs else 1,
        noise_level_B=torch.linspace(0.04, 0.08, 3)[:batch] if "noise_level" in card.needs else None,
        mask_B1HW=known_B1HW.float() if "mask" in card.needs else None,
        frames_BTCHW=frames_for(channels, batch, height, width) if "frames" in card.needs else None,
        guide_BPHW=guide_for(card, batch, height, width) if "guide" in card.needs else None,
        operators=(GaussianBlur(sigma=0.6, size=3),) if "operators" in card.needs else (),
    )


def guide_for(card: Card, batch: int, height: int, width: int) -> Tensor:
    """Two bands of the wanted size."""
    scale = card.scale or 2
    return scene(2, scale * height, scale * width, batch=batch)


def moved(condition: Condition, device: torch.device) -> Condition:
    """All its tensors on a device."""
    return condition.changed(lambda known: known.to(device))


def frames_for(channels: int, batch: int, height: int, width: int) -> Tensor:
    """The scene moved by whole pixels, and a black frame."""
    whole = scene(channels, height + 2, width + 1, batch=batch)
    moved = (whole[..., 1:-1, :-1], whole[..., 2:, 1:], torch.zeros_like(whole[..., 1:-1, 1:]))
    return torch.stack(moved, 1)


def one_of(condition: Condition, index: int) -> Condition:
    """The condition of a single image of the batch."""
    return Condition(
        scale=condition.scale,
        noise_level_B=None if condition.noise_level_B is None else condition.noise_level_B[index : index + 1],
        mask_B1HW=None if condition.mask_B1HW is None else condition.mask_B1HW[index : index + 1],
        frames_BTCHW=None if condition.frames_BTCHW is None else condition.frames_BTCHW[index : index + 1],
        guide_BPHW=None if condition.guide_BPHW is None else condition.guide_BPHW[index : index + 1],
        operators=condition.operators,
    )


def check_shapes(restorer: Restorer) -> None:
    """Sides of 1 to 17, each once: ``scale`` times height and width, or what the smallest size is."""
    card = restorer.card
    for shorter in range(1, 10):
        longer = 18 - shorter
        height, width = (shorter, longer) if shorter % 2 else (longer, shorter)
        channels = card.channels or (1, 4)[height % 2]
        condition = condition_for(card, 1, height, width, channels)
        scale = card.scale or condition.scale
        try:
            restored = restorer(scene(channels, height, width), condition=condition)
        except RestorerError as error:
            refusal = error
        else:
            refusal = None
        if refusal is not None:
            assert refusal.reason == "TOO_SMALL", f"{card.name} at {height} x {width}: {refusal}"
            assert "at least" in str(refusal), f"{card.name} does not say which size would do: {refusal}"
            assert min(height, width) < 3, f"{card.name} refuses {height} x {width} though the kernel fits"
            continue
        assert restored.shape == (1, channels, height * scale, width * scale), (
            f"{card.name} gave {tuple(restored.shape)} for {height} x {width}; "
            f"a multiple_of other than {card.multiple_of} might do"
        )
        assert restored.dtype == torch.float32


def check_pure(restorer: Restorer) -> None:
    """The same result on a repeated call, and the input untouched; the card survives pickling."""
    card = restorer.card
    degraded = scene(card.channels or 3, 24, 21)
    before, condition = degraded.clone(), condition_for(card, 1, 24, 21)
    first = restorer(degraded, condition=condition)
    assert torch.equal(first, restorer(degraded, condition=condition)), f"{card.name} gives a second answer"
    assert torch.equal(degraded, before), f"{card.name} writes into its input"
    assert first.data_ptr() != degraded.data_ptr(), f"{card.name} hands out its input"
    assert pickle.loads(pickle.dumps(card)) == card
    assert Card.from_json(card.to_json()) == card


def check_batch(restorer: Restorer) -> None:
    """An image's pixels do not depend on the others of its batch."""
    card = restorer.card
    batch = scene(card.channels or 3, 24, 21, batch=2)
    condition = condition_for(card, 2, 24, 21)
    together = restorer(batch, condition=condition)
    for index in range(2):
        alone = restorer(batch[index : index + 1], condition=one_of(condition, index))
        difference = float((together[index] - alone[0]).abs().max())
        assert difference <= 1e-6, f"{card.name}: image {index} differs by {difference:g} in a batch"


def check_refusals(restorer: Restorer) -> None:
    """NaN, a wrong number of channels and missing conditions are refused with their reasons."""
    card = restorer.card
    channels = card.channels or 3
    degraded, condition = scene(channels, 24, 21), condition_for(card, 1, 24, 21)
    poisoned = degraded.clone()
    poisoned[0, 0, 7, 7] = float("nan")
    assert _reason(restorer, poisoned, condition) == "NONFINITE_INPUT"
    if card.channels is not None:
        assert _reason(restorer, scene(channels + 1, 24, 21), condition) == "BAND_MISMATCH"
    if {"mask", "operators", "frames", "guide"} & set(card.needs):
        assert _reason(restorer, degraded, Condition()) == "CONDITION_MISSING"


def check_halo(restorer: Restorer) -> None:
    """Where the card says that tiles are exact, a pixel changes nothing farther away than the halo."""
    card = restorer.card
    if not card.tile_exact:
        return
    assert card.halo is not None, f"{card.name} cannot be exact under tiling without a halo"
    side = 2 * (card.halo + 4 + card.multiple_of)
    degraded, condition = scene(card.channels or 1, side, side), condition_for(card, 1, side, side)
    changed = degraded.clone()
    changed[..., side // 2, side // 2] = 1 - changed[..., side // 2, side // 2]
    scale = card.scale or condition.scale
    if condition.guide_BPHW is not None and isinstance(restorer.model, torch.nn.Module):
        # What whole images decide stays, as it does for tiles: a guide for each band.
        matched_BCHW = matched(condition.guide_BPHW, degraded, scale)
        told = replace(condition, guide_BPHW=matched_BCHW)
        images = [call_network(restorer.model, each, told) for each in (changed, degraded)]
    else:
        images = [restorer(each, condition=condition) for each in (changed, degraded)]
    difference = (images[0] - images[1]).abs()
    touched = (difference[0].amax(dim=0) > 1e-6).nonzero() // scale
    assert len(touched), f"{card.name} ignores its input"
    reach = int((touched - side // 2).abs().max())
    assert reach <= card.halo, f"{card.name} reaches {reach} pixels, its card says {card.halo}"


CHECKS = (check_shapes, check_pure, check_batch, check_refusals, check_halo)


def _reason(restorer: Restorer, degraded: Tensor, condition: Condition) -> str:
    try:
        restorer(degraded, condition=condition)
    except RestorerError as error:
        return error.reason
    return "accepted"
