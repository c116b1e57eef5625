"""Noise of each image with parameters of its own, in one call.

Shapes: B batch, C channels, H and W height and width. Values: fractions of the value range.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from models.operators.batched.batch import Batch, fields
from models.operators.batched.draws import Draws
from models.operators.noise import LEVELS
from models.operators.parameters import ROUNDINGS, per_band


def add_gaussian(operators: Sequence[Any], batch: Batch, draws: Draws) -> Batch:
    """Of one ``grey``."""
    plane = _one_channel(batch) if operators[0].grey else batch
    level_B111 = batch.column([each.noise_level for each in operators])
    noisy_BCHW = batch.image_BCHW + level_B111 * draws.normal(plane)
    tops = [ROUNDINGS[each.rounding] for each in operators]
    if any(tops):
        top_B111 = batch.column([top or 1 for top in tops])
        whole_BCHW = (noisy_BCHW * top_B111).round().clamp_min(0).minimum(top_B111) / top_B111
        noisy_BCHW = torch.where(batch.column(tops) > 0, whole_BCHW, noisy_BCHW)
    return batch.with_pixels(noisy_BCHW)


def add_correlated(operators: Sequence[Any], batch: Batch, draws: Draws) -> Batch:
    """The mixing of channels is drawn from each sample's generator."""
    channels, roots = batch.image_BCHW.shape[1], list[Tensor]()
    for index in range(len(operators)):
        rng = draws.generator(index)
        shares_C = torch.rand(channels, generator=rng)
        roots.append(torch.linalg.qr(torch.randn(channels, channels, generator=rng)).Q * shares_C.sqrt())
    mixed_BCHW = torch.einsum("bkc,bchw->bkhw", torch.stack(roots).to(batch.image_BCHW), draws.normal(batch))
    sigma_B111 = batch.column(fields(operators, "sigma")) / LEVELS
    return batch.with_pixels(batch.image_BCHW + sigma_B111 * mixed_BCHW)


def add_poisson(operators: Sequence[Any], batch: Batch, draws: Draws) -> Batch:
    """Of one ``grey``."""
    light = batch.with_pixels(batch.image_BCHW.clamp_min(0))
    photons_B111 = batch.column(fields(operators, "photons"))
    if not operators[0].grey:
        counts_BCHW = draws.poisson(batch.with_pixels(light.image_BCHW * photons_B111))
        return batch.with_pixels(counts_BCHW / photons_B111)
    mean_B1HW = light.image_BCHW.mean(dim=1, keepdim=True)
    counts_B1HW = draws.poisson(batch.with_pixels(mean_B1HW * photons_B111))
    return batch.with_pixels(batch.image_BCHW + (counts_B1HW / photons_B111 - mean_B1HW))


def add_poisson_gaussian(operators: Sequence[Any], batch: Batch, draws: Draws) -> Batch:
    """Per band where the operators say so."""
    channels = batch.image_BCHW.shape[1]
    gain_BC11, sigma_BC11 = (
        batch.image_BCHW.new_tensor([per_band(each, name, channels) for each in operators])[:, :, None, None]
        for name in ("gain", "sigma")
    )
    counts_BCHW = draws.poisson(batch.with_pixels(batch.image_BCHW.clamp_min(0) / gain_BC11))
    return batch.with_pixels(counts_BCHW * gain_BC11 + draws.normal(batch) * sigma_BC11 / LEVELS)


def multiply_speckle(operators: Sequence[Any], batch: Batch, draws: Draws) -> Batch:
    """Of one ``domain``."""
    looks = fields(operators, "looks")
    factor_BCHW = draws.gamma(batch, looks) / batch.column(looks)
    return batch.with_pixels(
        batch.image_BCHW * (factor_BCHW.sqrt() if operators[0].domain == "amplitude" else factor_BCHW)
    )


def add_impulses(operators: Sequence[Any], batch: Batch, draws: Draws) -> Batch:
    """Salt and pepper."""
    draw_BCHW = draws.uniform(batch)
    share_B111, salt_B111 = batch.column(fields(operators, "share")), batch.column(fields(operators, "salt"))
    hit_BCHW = (draw_BCHW < share_B111 * salt_B111).to(batch.image_BCHW)
    return batch.with_pixels(torch.where(draw_BCHW < share_B111, hit_BCHW, batch.image_BCHW))


def add_rician(operators: Sequence[Any], batch: Batch, draws: Draws) -> Batch:
    """Magnitude of a complex image."""
    sigma_B111 = batch.column(fields(operators, "sigma")) / LEVELS
    real_BCHW = batch.image_BCHW + sigma_B111 * draws.normal(batch)
    return batch.with_pixels(torch.hypot(real_BCHW, sigma_B111 * draws.normal(batch)))


def _one_channel(batch: Batch) -> Batch:
    return batch.with_pixels(batch.image_BCHW[:, :1])
