"""Scanning Fourier ring correlation: up to which frequency patches agree with the reference.

KC, Zeng, Soni and Badano 2026, "sFRC for assessing hallucinations in medical image restoration", arXiv
2603.04673; the rings are those of the authors' code: every frequency counts in the ring below and in the one
above its radius.
The Hann window is applied as such; their function multiplies the windowed patch with its own transpose.

Shapes: B batch, C channels, H and W height and width, P patches, S side of a patch, R = S / 2 rings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.base import ALL_CHANNELS, FULL_RANGE, MetricProtocol

_SOURCE = "KC et al. 2026, arXiv 2603.04673; numbers of the authors' code (MIT)"


@dataclass(frozen=True)
class Task:
    """What the authors set for a kind of image."""

    ending: str
    """Of the metrics' names."""
    side: int
    """Of a patch, in pixels."""
    threshold: float
    """Correlation below which patches part."""
    hallucinated: float
    """Cycles per pixel: patches that part there or before are flagged."""

    @property
    def formula(self) -> str:
        """How a patch's frequency is found."""
        return (
            "each patch scaled to 0..1 and weighted by a Hann window; ring correlation |sum F G*| / "
            "sqrt(sum |F|^2 sum |G|^2) of the two spectra; the lowest frequency, in cycles per pixel, where "
            f"it meets {self.threshold}, between rings by straight lines; 0.5 where it never does"
        )

    @property
    def window(self) -> str:
        """Which patches."""
        return (
            f"patches of {self.side} x {self.side}, side by side, the last ones moved inside; only those "
            "wholly inside the valid mask"
        )

    def protocol(self) -> MetricProtocol:
        """Of the mean frequency."""
        return MetricProtocol(
            name=f"sfrc{self.ending}",
            formula=f"mean over patches and channels; {self.formula}",
            colour=ALL_CHANNELS,
            border="scale",
            data_range=FULL_RANGE,
            unit="cycles per pixel",
            higher_is_better=True,
            best=0.5,
            source=_SOURCE,
            minimum_size=self.side,
            window=self.window,
        )

    def flagged_protocol(self) -> MetricProtocol:
        """Of the share of patches that part early."""
        share = f"share of patches and channels that agree up to {self.hallucinated} cycles per pixel at most"
        return replace(
            self.protocol(),
            name=f"sfrc{self.ending}_flagged",
            formula=f"{share}; {self.formula}",
            unit="1",
            higher_is_better=False,
            best=0.0,
        )


CT = Task("", 64, 0.5, 0.16)
"""Enlarged CT, and other images: a third of the way to Nyquist, where the authors' example draws the line."""
MRI = Task("_mri", 48, 0.75, 0.16)
"""MRI from a third of its samples, as the authors set it for their U-Net."""


@dataclass(frozen=True)
class SFRC:
    """Mean frequency up to which patches agree; NaN where the image is smaller than a patch."""

    task: Task = CT

    @property
    def protocol(self) -> MetricProtocol:
        """The task's."""
        return self.task.protocol()

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        frequency_BCP, whole_BP = agreement(restored_BCHW, reference_BCHW, valid_B1HW, self.task)
        return _mean(frequency_BCP, whole_BP)


@dataclass(frozen=True)
class SFRCFlagged:
    """Share of patches that part from the reference at coarse detail: candidates for hallucination."""

    task: Task = CT

    @property
    def protocol(self) -> MetricProtocol:
        """The task's."""
        return self.task.flagged_protocol()

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        frequency_BCP, whole_BP = agreement(restored_BCHW, reference_BCHW, valid_B1HW, self.task)
        return _mean((frequency_BCP <= self.task.hallucinated).double(), whole_BP)


def agreement(
    restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None, task: Task = CT
) -> tuple[Tensor, Tensor]:
    """(B, C, P) frequencies up to which patches agree, and (B, P) which of them are wholly valid."""
    batch, channels, height, width = reference_BCHW.shape
    if min(height, width) < task.side:
        nothing = reference_BCHW.new_zeros(batch, 0, dtype=torch.bool)
        return reference_BCHW.new_zeros(batch, channels, 0, dtype=torch.float64), nothing
    correlation_BCPR = ring_correlation(
        *(_patches(valid.blanked(image, valid_B1HW), task.side) for image in (restored_BCHW, reference_BCHW))
    )
    if valid_B1HW is None:
        whole_BP = torch.ones_like(correlation_BCPR[:, 0, :, 0], dtype=torch.bool)
    else:
        whole_BP = _patches(valid_B1HW.bool(), task.side)[:, 0].flatten(-2).all(dim=-1)
    return _meeting(correlation_BCPR, task.threshold), whole_BP


def ring_correlation(first_BCPSS: Tensor, second_BCPSS: Tensor) -> Tensor:
    """(..., R) float64 of any number of pairs of patches; 1 where a ring holds no energy."""
    f, g = (torch.fft.rfft2(_weighted(patches)).flatten(-2) for patches in (first_BCPSS, second_BCPSS))
    rings_SR = _rings(first_BCPSS.shape[-1]).to(f.device)
    cross = ((f * g.conj()).real @ rings_SR).abs()
    energy = (f.abs().square() @ rings_SR) * (g.abs().square() @ rings_SR)
    correlation: Tensor = torch.where(energy > 0, cross / energy.sqrt(), 1.0)
    return correlation


def _weighted(patches: Tensor) -> Tensor:
    patches = patches.double()
    low, high = (end(patches.flatten(-2), dim=-1).values[..., None, None] for end in (torch.min, torch.max))
    scaled = (patches - low) / torch.where(high > low, high - low, 1.0)
    side = patches.shape[-1]
    hann = torch.hann_window(side, periodic=False, dtype=torch.float64, device=patches.device)
    return scaled * hann[:, None] * hann


@lru_cache
def _rings(side: int) -> Tensor:
    """(S (S / 2 + 1), R): 1 where a frequency counts in a ring, 2 where it lies right on it.

    Twice that for those whose mirror image is not among them.
    """
    down, across = (
        each(side, 1 / side, dtype=torch.float64) for each in (torch.fft.fftfreq, torch.fft.rfftfreq)
    )
    radius = torch.hypot(down[:, None], across).flatten()[:, None]
    twice = ((across > 0) & (across < side / 2)).double().expand(side, -1).flatten()[:, None]
    ring = torch.arange(side // 2)
    member: Tensor = (radius.floor() == ring).double() + (radius.ceil() == ring).double()
    rings: Tensor = member * (1 + twice)
    return rings


def _meeting(correlation_BCPR: Tensor, threshold: float) -> Tensor:
    """Cycles per pixel; the last ring does not count, as in the authors' code."""
    side = 2 * correlation_BCPR.shape[-1]
    above = correlation_BCPR[..., :-1] - threshold
    before, after = above[..., :-1], above[..., 1:]
    meets = before * after <= 0
    place = torch.arange(before.shape[-1], device=above.device) + torch.where(
        before == after, 0.0, before / (before - after)
    )
    return torch.where(meets, place / side, 0.5).amin(dim=-1)


def _patches(image_BCHW: Tensor, side: int) -> Tensor:
    """(B, C, P, S, S)."""
    for dim in (-2, -1):
        length = image_BCHW.shape[dim]
        start = torch.arange(0, length, side, device=image_BCHW.device).clamp_max(length - side)
        index = start[:, None] + torch.arange(side, device=image_BCHW.device)
        image_BCHW = image_BCHW.index_select(dim, index.flatten())
    batch, channels, height, width = image_BCHW.shape
    rows, columns = height // side, width // side
    cut = image_BCHW.reshape(batch, channels, rows, side, columns, side).transpose(3, 4)
    return cut.reshape(batch, channels, rows * columns, side, side)


def _mean(score_BCP: Tensor, whole_BP: Tensor) -> Tensor:
    """NaN where no patch is whole."""
    kept = torch.where(whole_BP[:, None], score_BCP, 0.0).sum(dim=(1, 2))
    return kept / (whole_BP.sum(dim=1) * score_BCP.shape[1])
