"""The device's part: degrade, restore and score a batch of images of one shape. No I/O, no threads.

Used by the report on the few images that it shows, and step by step by the worker on whole archives: it
degrades images on any thread while the device restores others.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from models.contract import Condition
from models.operators.resample import imresize
from pipeline.degradation.degradation import Degradation, Degraded
from pipeline.distances.columns import FeatureColumns
from pipeline.errors import ImageError
from pipeline.imaging.image import Image
from pipeline.imaging.radiometry import begin_to_store, in_units, quantised, returns_exactly, to_tensor
from pipeline.imaging.transfer import beside_other_work, hand_over
from pipeline.jobs.job import NO_RESTORER
from pipeline.metrics.bands import per_band
from pipeline.metrics.base import Metric, MetricInputs
from pipeline.processing.auto_tiled_restorer import AutoTiledRestorer
from pipeline.processing.bisection import bisected
from pipeline.processing.cases import Case, Failure, Loaded, Outcome, Restored, radiometry_of
from pipeline.processing.estimates import PsnrEstimates
from pipeline.processing.metric_inputs import METRIC_INPUTS, Images, of_input, valid_output
from pipeline.processing.pairs import found_case, found_input, in_reference_range, on_device
from pipeline.processing.tf32 import choose_tf32
from pipeline.processing.told import described, refuse_other_scale, shared_condition
from pipeline.processing.trust_columns import TrustColumns
from pipeline.recipe.recipe import BuiltRestorer, Recipe


class Processor:
    """``processor(batch)`` yields an ``Outcome`` for every image and every row it owes."""

    def __init__(
        self, recipe: Recipe, device: torch.device, *, maps: bool = False, memory_share: float = 1.0
    ) -> None:
        """``maps``: outcomes have maps for a page; ``memory_share``: what others leave of the machine."""
        self.recipe = recipe
        self.device = device
        if device.type == "cuda":
            choose_tf32(recipe.job)
        self._features = FeatureColumns(device) if recipe.job.distances else None
        bounds = recipe.calibration
        floors = bounds if bounds is not None and bounds.has_floors else None
        self._estimates = PsnrEstimates(floors) if recipe.job.estimates_psnr else None
        self._radiometry = {dataset.name: dataset.radiometry for dataset in recipe.job.datasets}
        self._fitted = {
            built.name: AutoTiledRestorer(
                built.restorer,
                built.sha256,
                device,
                compiled=recipe.job.resources.compile,
                memory_share=memory_share,
            )
            for built in recipe.restorers
        }
        self._trust = TrustColumns(recipe, self._fitted, device, maps=maps)

    def fitted(self, restorer: str) -> AutoTiledRestorer:
        """One of the recipe's restorers on this device, by its name."""
        return self._fitted[restorer]

    def __call__(self, batch: Sequence[Loaded]) -> Iterator[Outcome]:
        """The images of a batch share height, width, channels and domain. Their pixels are here."""
        for degradation in self.recipe.degradations or (None,):
            for outcome in self.restored([self.degraded(each, degradation) for each in batch], degradation):
                outcome.download.wait()
                yield outcome

    def degraded(self, loaded: Loaded, degradation: Degradation | None) -> Case | Failure:
        """An image under one degradation, on the device, or what went wrong. On any thread."""
        try:
            with beside_other_work(self.device):
                case = self._degrade(loaded, degradation)
                condition = case.degraded.condition
                hand_over(case.reference_1CHW, case.degraded.image_BCHW)
                hand_over(condition.noise_level_B, condition.mask_B1HW)
                hand_over(condition.frames_BTCHW, condition.guide_BPHW)
                return case
        except Exception as error:
            return Failure(loaded, error)

    @torch.inference_mode()
    def restored(
        self, degraded: Sequence[Case | Failure], degradation: Degradation | None
    ) -> Iterator[Outcome]:
        """The outcomes of images of one shape under one degradation, by every restorer.

        Their pixels may still be on their way from the device.
        """
        for each in degraded:
            if isinstance(each, Failure):
                yield from self._failed(each.loaded, degradation, each.error)
        if cases := [each for each in degraded if isinstance(each, Case)]:
            yield from self._restore_all(cases, degradation)

    @torch.inference_mode()
    def _degrade(self, loaded: Loaded, degradation: Degradation | None) -> Case:
        if loaded.reference is not None:
            case = found_case(loaded, self._radiometry[loaded.source.dataset], self.device)
            return replace(case, fields=case.fields | radiometry_of(case.reference))
        scale = degradation.scale if degradation else 1
        height, width, _ = loaded.image.size
        if height < scale or width < scale:
            raise ImageError("TOO_SMALL", f"{height} x {width} pixels cannot be shrunk by {scale}")
        image = in_units(loaded.image, self._radiometry[loaded.source.dataset])
        reference = image.cropped(height - height % scale, width - width % scale)
        reference_1CHW = to_tensor(reference, self.device)
        fields = radiometry_of(reference)
        if degradation is None:
            found = found_input(loaded, reference_1CHW, self._radiometry[loaded.source.dataset])
            return Case(loaded, reference, reference_1CHW, found, fields)
        seed = degradation.seed(self.recipe.job.seed, loaded.source.dataset, loaded.source.key)
        degraded = self._guided(degradation(reference_1CHW, seed), loaded, reference)
        fields |= {"seed": seed, "degradation_params": json.dumps(degraded.parameters)}
        return Case(loaded, reference, reference_1CHW, degraded, fields)

    def _guided(self, degraded: Degraded, loaded: Loaded, reference: Image) -> Degraded:
        """With the guide that its dataset names; it stays as sharp as what is to be restored."""
        radiometry = self._radiometry[loaded.source.dataset]
        condition = loaded.told.guided(degraded.condition, loaded.image, reference.size[:2], radiometry)
        return replace(degraded, condition=on_device(condition, self.device))

    def _restore_all(self, cases: list[Case], degradation: Degradation | None) -> Iterator[Outcome]:
        own_scores = bisected(lambda part: self._score_degraded(part, degradation), cases)
        name = degradation.name if degradation else self.recipe.job.input_name
        for built in self.recipe.restorers or (None,):
            results = bisected(lambda part, built=built: self._restore(part, built, degradation), cases)  # type: ignore[misc]
            for case, own, result in zip(cases, own_scores, results, strict=True):
                restorer = built.name if built else NO_RESTORER
                outcome = Outcome(case.loaded, name, restorer, dict(case.fields), case)
                if isinstance(own, Exception):
                    yield replace(outcome, error=own, stage="score")
                elif isinstance(result, Exception):
                    yield replace(outcome, error=result, stage="restore")
                else:
                    outcome.fields.update(own | result.fields)
                    yield replace(
                        outcome,
                        restored=result.image,
                        download=result.download,
                        uncertainty=result.uncertainty,
                        maps=result.maps,
                    )

    def _restore(
        self, cases: Sequence[Case], built: BuiltRestorer | None, degradation: Degradation | None
    ) -> list[Restored]:
        if built is None:
            return [Restored(None, {}) for _ in cases]
        started = time.perf_counter()
        condition = shared_condition(cases, built)
        if condition is None:
            return [each for case in cases for each in self._restore([case], built, degradation)]
        refuse_other_scale(cases[0], built, condition.scale)
        given_BCHW, cut = self._fitted[built.name](_joined(cases), condition)
        valid_B1HW = valid_output(cases, given_BCHW)
        domain = cases[0].model.domain
        # What was given is read once more where the stored type does not tell it all, and for estimates.
        in_place = returns_exactly(domain) and self._estimates is None
        restored_BCHW, clipped_B = quantised(given_BCHW, domain, valid_B1HW, in_place=in_place)
        download = begin_to_store(restored_BCHW, domain)
        scores = self._score(restored_BCHW, cases, degradation, self.recipe.metrics)
        self._add_features("features", restored_BCHW, scores)
        self._add_estimates(built, cases, condition, given_BCHW, scores)
        trusted = self._trust(built.name, cases, condition, restored_BCHW)
        seconds = (time.perf_counter() - started) / len(cases)
        known = described(condition) | cut
        each = zip(cases, given_BCHW, clipped_B.tolist(), scores, trusted, strict=True)
        return [
            Restored(
                case.with_pixels(download, place, given_CHW),
                {"seconds": seconds, "condition": json.dumps(known | case.loaded.told.row)}
                | {"clipped_pixels": clipped}
                | row
                | trust.columns,
                download,
                trust.uncertainty,
                trust.maps,
            )
            for place, (case, given_CHW, clipped, row, trust) in enumerate(each)
        ]

    def _add_estimates(
        self,
        built: BuiltRestorer,
        cases: Sequence[Case],
        condition: Condition,
        restored_BCHW: Tensor,
        rows: list[dict[str, Any]],
    ) -> None:
        if self._estimates is None:
            return
        restorer, needs = self._fitted[built.name], built.restorer.card.needs

        def restore(noisy_BCHW: Tensor, told: Condition) -> Tensor:
            return restorer(noisy_BCHW, told)[0]

        for row, columns in zip(
            rows, self._estimates(restore, needs, cases, condition, restored_BCHW), strict=True
        ):
            row |= columns

    def _score_degraded(self, cases: Sequence[Case], degradation: Degradation | None) -> list[dict[str, Any]]:
        """The input's own score; a smaller input is enlarged by MATLAB bicubic and rounded first."""
        if not self.recipe.metrics and self._features is None:
            return [{} for _ in cases]
        degraded_BCHW = torch.cat([case.degraded.image_BCHW for case in cases])
        height, width = cases[0].reference_1CHW.shape[-2:]
        if degraded_BCHW.shape[-2:] != (height, width):
            degraded_BCHW = imresize(degraded_BCHW, height, width, kernel="bicubic")
            degraded_BCHW, _ = quantised(degraded_BCHW, cases[0].model.domain)
        metrics = self.recipe.metrics
        # What somebody restored elsewhere is scored as what is restored here.
        suffix = "" if self.recipe.job.scores_only else "_degraded"
        scores = self._score(degraded_BCHW, cases, degradation, metrics if degradation else of_input(metrics))
        rows: list[dict[str, Any]] = [
            {f"{name}{suffix}": value for name, value in row.items()} for row in scores
        ]
        self._add_features(f"features{suffix}", degraded_BCHW, rows)
        if self._features is not None:
            self._add_features("features_reference", torch.cat([case.reference_1CHW for case in cases]), rows)
        return rows

    def _add_features(self, column: str, image_BCHW: Tensor, rows: list[dict[str, Any]]) -> None:
        if self._features is not None:
            for row, features in zip(rows, self._features(image_BCHW), strict=True):
                row[column] = features

    def _score(
        self,
        image_BCHW: Tensor,
        cases: Sequence[Case],
        degradation: Degradation | None,
        metrics: Mapping[str, Metric],
    ) -> list[dict[str, Any]]:
        border, (found, reference) = self._border(cases[0]), (cases[0].found, cases[0].reference)
        inputs: dict[MetricInputs, Images] = {}
        scores: dict[str, Tensor] = {}
        bands: list[dict[str, Any]] = [{} for _ in cases]
        for name, metric in metrics.items():
            kind = metric.protocol.pair
            if kind not in inputs:
                ranged = (
                    in_reference_range(image_BCHW, found, reference) if kind.needs_reference else image_BCHW
                )
                inputs[kind] = METRIC_INPUTS[kind](ranged, cases, border)
            scores[name] = metric(*inputs[kind])
            if name in self.recipe.job.per_band:
                for row, of_bands in zip(bands, per_band(metric, *inputs[kind]), strict=True):
                    row[f"{name}_bands"] = of_bands
        return [row | of_bands for row, of_bands in zip(_rows(scores, len(cases)), bands, strict=True)]

    def _border(self, case: Case) -> int:
        """Pixels that are cut from each side before scoring."""
        own, scale = self.recipe.job.border, case.degraded.condition.scale
        return own if own is not None else scale if scale > 1 else 0

    def _failed(self, loaded: Loaded, degradation: Degradation | None, error: Exception) -> Iterator[Outcome]:
        name = degradation.name if degradation else self.recipe.job.input_name
        for each, restorer in self.recipe.combinations:
            if each == name:
                yield Outcome(loaded, name, restorer, error=error, stage="degrade")


def _joined(cases: Sequence[Case]) -> Tensor:
    """What the restorer gets, for reading only: a lone image is not copied, for it may be large."""
    first_1CHW, *others = (case.degraded.image_BCHW for case in cases)
    return torch.cat([first_1CHW, *others]) if others else first_1CHW


def _rows(scores: Mapping[str, Tensor], images: int) -> list[dict[str, Any]]:
    """The scores of each image; one transfer for all. NaN means undefined."""
    if not scores:
        return [{} for _ in range(images)]
    score_BM = torch.stack([score_B.double() for score_B in scores.values()], dim=1)
    return [
        {name: None if score != score else score for name, score in zip(scores, row_M, strict=True)}
        for row_M in score_BM.tolist()
    ]
