"""The scores of a scene in strips: from the scene and the blocks of its output, window by window.

They are those of the whole image: of what the restorer gave, rounded and clipped, and of the input. Every
strip does the windows that look at no other one's output; those across two strips are left to the assembly.

Shapes: C channels, H and W height and width of a window.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from pipeline.degradation.degradation import Degraded, as_found
from pipeline.degradation.replay import REACH
from pipeline.imaging.image import Image
from pipeline.imaging.radiometry import in_units, quantised, to_tensor
from pipeline.jobs.job import Job, Radiometry
from pipeline.metrics import METRICS
from pipeline.metrics.accumulating import Accumulating, Section
from pipeline.metrics.base import MetricInputs
from pipeline.processing.metric_inputs import METRIC_INPUTS, Images, of_input
from pipeline.scenes.geometry import Range, steps, widened
from pipeline.scenes.output import Output
from pipeline.scenes.reader import Scene
from pipeline.scenes.row_stream import rolling
from pipeline.scenes.score_totals import ScoreTotals

_ROWS = 192
"""Rows of the output that a window has, about: few, so that few windows lie across two strips."""
_SAMPLES = 1 << 20
"""Samples of the output that a window has, about; both give way to the grid of the metrics."""


def scored_in_strips(job: Job) -> dict[str, Accumulating]:
    """The metrics of a job that can be had window by window."""
    found = ((name, METRICS[name]) for name in job.metrics)
    return {name: metric for name, metric in found if isinstance(metric, Accumulating)}


@dataclass(frozen=True)
class _ScoredWindow:
    """A part of a scene as a restore run sees its images; more is shown than counts."""

    reference: Image
    reference_1CHW: Tensor
    degraded: Degraded
    section: Section
    found: Image | None = None


@dataclass(frozen=True)
class Scoring:
    """``scoring(output, bands)`` gives the totals of bands of rows. Raises what reading raises."""

    scene: Scene
    scale: int
    """Of the output to the scene."""
    radiometry: Radiometry | None
    device: torch.device
    metrics: Mapping[str, Accumulating]

    @cached_property
    def bands(self) -> list[Range]:
        """All bands: rows of the scene that count together. The same whatever the strips."""
        rows = max(_ROWS // self.scale // self._grid, 1) * self._grid
        return steps(self.scene.size[0], rows) if self.metrics else []

    def within(self, rows: Range) -> list[Range]:
        """The bands that look at the output of these rows alone."""
        shown = ((band, self._shown(band, 0)) for band in self.bands)
        return [band for band, (first, last) in shown if rows[0] <= first and last <= rows[1]]

    @torch.inference_mode()
    def __call__(self, output: Output, bands: Sequence[Range]) -> ScoreTotals:
        """``output`` covers what the bands look at."""
        totals = ScoreTotals(list(bands))
        for window in self._windows(bands):
            for name, metric, part_1K in self._parts(self.metrics, self._restored(window, output), window):
                totals.add(name, metric, part_1K, of_input=False)
            for name, metric, part_1K in self._parts(of_input(self.metrics), window.reference_1CHW, window):
                totals.add(name, metric, part_1K, of_input=True)
        return totals

    @property
    def _grid(self) -> int:
        return math.lcm(*(metric.grid for metric in self.metrics.values()))

    def _shown(self, side: Range, axis: int) -> Range:
        margin = max(metric.reach for metric in self.metrics.values()) + REACH
        return widened(side, margin, self.scene.size[axis])

    def _windows(self, bands: Sequence[Range]) -> Iterator[_ScoredWindow]:
        for run in _runs(bands):
            with rolling(self.scene, [self._shown(rows, 0) for rows in run]) as coming:
                for rows, groups in zip(run, coming, strict=True):
                    for columns in self._columns(rows):
                        shown = self._shown(rows, 0), self._shown(columns, 1)
                        image = in_units(self.scene.image(groups, *shown), self.radiometry)
                        if image.valid_HW is None or image.valid_HW.any():
                            section = Section(self.scene.size, rows, columns, (shown[0][0], shown[1][0]))
                            yield self._window(image, section)

    def _columns(self, rows: Range) -> list[Range]:
        samples = len(self.scene.header.channels) * (rows[1] - rows[0]) * self.scale**2
        return steps(self.scene.size[1], max(_SAMPLES // samples // self._grid, 1) * self._grid)

    def _window(self, image: Image, section: Section) -> _ScoredWindow:
        # What is outside the data is not filled: no score looks at it.
        reference_1CHW = to_tensor(replace(image, valid_HW=None), self.device)
        return _ScoredWindow(image, reference_1CHW, as_found(reference_1CHW), section)

    def _restored(self, window: _ScoredWindow, output: Output) -> Tensor:
        """1CHW, the numbers that are scored of an image in memory, to the last bit for whole numbers."""
        (top, left), (height, width, _) = window.section.origin, window.reference.size
        rows, columns = (
            (first * self.scale, last * self.scale)
            for first, last in ((top, top + height), (left, left + width))
        )
        pixels_HWC = output.pixels(rows, columns).transpose(1, 2, 0)
        image = replace(window.reference, pixels_HWC=pixels_HWC, valid_HW=None, alpha_HW=None)
        restored_1CHW, _ = quantised(to_tensor(image, self.device), image.domain)
        return restored_1CHW

    @staticmethod
    def _parts(
        metrics: Mapping[str, Accumulating], image_1CHW: Tensor, window: _ScoredWindow
    ) -> Iterator[tuple[str, Accumulating, Tensor]]:
        inputs: dict[MetricInputs, Images] = {}
        for name, metric in metrics.items():
            kind = metric.protocol.pair
            if kind not in inputs:
                inputs[kind] = METRIC_INPUTS[kind](image_1CHW, [window], 0)
            scale = inputs[kind][1].shape[-1] // window.reference_1CHW.shape[-1]
            yield name, metric, metric.part(*inputs[kind], window.section.enlarged(scale))


def _runs(bands: Sequence[Range]) -> list[list[Range]]:
    """The bands in runs without a gap."""
    runs: list[list[Range]] = []
    for band in bands:
        if runs and runs[-1][-1][1] == band[0]:
            runs[-1].append(band)
        else:
            runs.append([band])
    return runs
