"""Scores of a restorer in training: the degradations, restorer call, rounding and metrics of a benchmark.

Shapes: H and W height and width, C channels, N images, K scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.restorer import Restorer
from pipeline.degradation.degradation import Degradation
from pipeline.errors import JobError, RestoraError
from pipeline.formats.base import Limits
from pipeline.hashing import canonical_json, short_hash
from pipeline.imaging.image import Image
from pipeline.jobs.job import FOUND, Dataset, Job, RestorerSpec
from pipeline.metrics import METRICS
from pipeline.processing.cases import Loaded, Reference
from pipeline.processing.pairs import counted, facing, scale_of
from pipeline.processing.processor import Processor
from pipeline.recipe.recipe import BuiltRestorer, Recipe
from pipeline.results.bootstrap import bootstrap_interval
from pipeline.training.data.pictures import with_channels
from pipeline.training.data.places import Decoded, Places
from pipeline.training.recipe.sections import Validation
from pipeline.training.world import World
from pipeline.units import Source

SAMPLE_SIDE = 160
"""Longest side of a picture on a sheet."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Score:
    """One metric on one degradation, over the images of a validation."""

    degradation: str
    metric: str
    values: tuple[float, ...]
    """One an image; undefined ones are left out."""
    inputs: tuple[float, ...]
    """The degraded input's own."""
    higher_is_better: bool = True

    @property
    def mean(self) -> float:
        """Over the images; NaN without any."""
        return float(np.mean(self.values)) if self.values else float("nan")

    def described(self) -> dict[str, object]:
        """For a card: mean with its 95 % interval, and the input's mean."""
        low_K, high_K = bootstrap_interval(np.array(self.values, dtype=np.float64)[:, None])
        interval = [float(low_K[0]), float(high_K[0])] if len(self.values) > 1 else None
        return {
            "mean": round(self.mean, 4),
            "interval_95": interval and [round(end, 4) for end in interval],
            "input_mean": round(float(np.mean(self.inputs)), 4) if self.inputs else None,
            "images": len(self.values),
        }


@dataclass(frozen=True)
class Validated:
    """What a validation found."""

    scores: tuple[Score, ...] = ()
    sheet: tuple[tuple[Pixels, ...], ...] = ()
    """Rows of degraded, restored and true picture, HWC."""
    errors: dict[str, str] = field(default_factory=dict)
    """Image -> why it has no score."""

    @property
    def columns(self) -> dict[str, float]:
        """``validation_<degradation>_<metric>`` -> mean."""
        return {f"validation_{each.degradation}_{each.metric}": each.mean for each in self.scores}

    @property
    def baselines(self) -> dict[str, float]:
        """``baseline_<degradation>_<metric>`` -> mean of the degraded inputs' own scores."""
        return {
            f"baseline_{each.degradation}_{each.metric}": float(np.mean(each.inputs))
            for each in self.scores
            if each.inputs
        }

    @property
    def merit(self) -> float | None:
        """The first metric, mean over degradations, larger is better; ``None`` without scores, or where it is
        undefined."""
        if not self.scores:
            return None
        first = [each for each in self.scores if each.metric == self.scores[0].metric]
        mean = float(np.mean([each.mean for each in first]))
        if math.isnan(mean):
            return None
        return mean if first[0].higher_is_better else -mean

    def described(self) -> dict[str, object]:
        """For a card: degradation -> metric -> mean, interval, input."""
        found: dict[str, dict[str, object]] = {}
        for each in self.scores:
            found.setdefault(each.degradation, {})[each.metric] = each.described()
        return dict(found)


@dataclass(frozen=True)
class _ScoredImage:
    """What one worker found of one image."""

    place: int
    """In the validation."""
    cases: list[tuple[str, dict[str, Any]]]
    """Degradation, and the fields of its row."""
    errors: dict[str, str]
    rows: list[tuple[Pixels, ...]]


class RestorerValidation:
    """``validation(restorer)`` scores it on the images, read once. Never changes a network's state.

    ``JobError`` where there are datasets and none of their images can be read.
    """

    def __init__(
        self,
        settings: Validation,
        degradations: Sequence[Degradation],
        *,
        channels: int,
        seed: int,
        world: World,
    ) -> None:
        self._settings, self._degradations = settings, tuple(degradations)
        self._world, self._seed = world, seed
        self._images, self._errors = _loaded(settings, channels, pairs=not degradations)
        if settings.datasets and not self._images:
            first = "; ".join(f"{name}: {why}" for name, why in list(self._errors.items())[:3])
            raise JobError(f"validation.datasets: no image can be scored. {first or 'No object matches.'}")

    def __call__(self, restorer: Restorer) -> Validated:
        """Scores of all images, and a sheet of the first ones; each worker scores its share of them."""
        if not self._settings.datasets:
            return Validated()
        rank, size = self._world.rank, self._world.size
        processor = Processor(self._recipe(restorer), self._world.device)
        mine = [self._scored(processor, place) for place in range(rank, len(self._images), size)]
        of_all = self._world.gathered(mine)
        images = sorted((each for some in of_all for each in some), key=lambda each: each.place)
        return self._summed_up(images)

    def _scored(self, processor: Processor, place: int) -> _ScoredImage:
        image = self._images[place]
        cases, errors = [], {}
        rows: list[tuple[Pixels, ...]] = []
        shown = self._settings.samples if self._shows(image) else 0
        for outcome in processor([image]):
            if outcome.error is not None or outcome.case is None or outcome.restored is None:
                errors[f"{image.source.key} {outcome.degradation}"] = str(outcome.error)
                continue
            cases.append((outcome.degradation, dict(outcome.fields)))
            if len(rows) < shown:
                pictures = outcome.case.degraded_image(), outcome.restored, outcome.case.reference
                rows.append(_row(pictures))
        return _ScoredImage(place, cases, errors, rows)

    def _shows(self, image: Loaded) -> bool:
        private = {each.name for each in self._settings.datasets if each.private}
        return self._settings.show_private or image.source.dataset not in private

    def _summed_up(self, images: Sequence[_ScoredImage]) -> Validated:
        errors, sheet = dict(self._errors), list[tuple[Pixels, ...]]()
        found: dict[tuple[str, str], tuple[list[float], list[float]]] = {
            (name, metric): ([], [])
            for name in [each.name for each in self._degradations] or [FOUND]
            for metric in self._settings.metrics
        }
        for image in images:
            errors |= image.errors
            sheet += image.rows
            for degradation, fields in image.cases:
                for metric in self._settings.metrics:
                    values, inputs = found[degradation, metric]
                    _append(values, fields.get(metric))
                    _append(inputs, fields.get(f"{metric}_degraded"))
        if any(image.cases for image in images):
            undefined = [
                f"{degradation} {metric}" for (degradation, metric), each in found.items() if not each[0]
            ]
            errors |= dict.fromkeys(undefined, "is undefined on all images that were restored")
        scores = tuple(
            Score(*key, tuple(values), tuple(inputs), METRICS[key[1]].protocol.higher_is_better)
            for key, (values, inputs) in found.items()
        )
        return Validated(scores, tuple(sheet[: self._settings.samples]), errors)

    def _recipe(self, restorer: Restorer) -> Recipe:
        spec = RestorerSpec(name="trained")
        job = Job.parse(
            {
                "name": "validation",
                "output": ".",
                "datasets": [each.model_dump() for each in self._settings.collections],
                "degradations": [each.name for each in self._degradations],
                "restorers": [spec.name],
                "metrics": self._settings.metrics,
                "seed": self._seed,
            }
        )
        metrics = {name: METRICS[name] for name in self._settings.metrics}
        card = restorer.card
        digest = short_hash("validation", card.architecture, canonical_json(card.arguments))
        built = BuiltRestorer(spec, restorer, digest)
        return Recipe(job, self._degradations, (built,), metrics)


def middle(image: Image, side: int | None, scale: int = 1) -> Image:
    """The middle square of at most ``side`` pixels; the whole image where there is none.

    Of a reference that is ``scale`` times as large as its image: where the middle of that one is.
    """
    height, width, _ = image.size
    if side is None:
        return image
    top, left = (max(0, (length - side) // scale // 2 * scale) for length in (height, width))

    def cut(plane: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if plane is None else np.ascontiguousarray(plane[top : top + side, left : left + side])

    pixels = np.ascontiguousarray(image.pixels_HWC[top : top + side, left : left + side])
    return replace(image, pixels_HWC=pixels, valid_HW=cut(image.valid_HW), alpha_HW=cut(image.alpha_HW))


def _loaded(settings: Validation, channels: int, *, pairs: bool) -> tuple[list[Loaded], dict[str, str]]:
    images: list[Loaded] = []
    errors: dict[str, str] = {}
    places = Places(settings.collections, pairs=pairs, where="validation")
    for number, dataset in enumerate(settings.collections):
        for place in (each for page in places.listed(number) for each in page):
            if len(images) == settings.images:
                return images, errors
            try:
                pair = places.read(number, place, Limits())
                key = places.key_of(number, place)
                images.append(_load(dataset, key, pair, settings.side, channels))
            except (RestoraError, OSError) as error:
                errors[places.name_of(number, place)] = places.why(number, error)
    return images, errors


def _load(dataset: Dataset, key: str, pair: Decoded, side: int | None, channels: int) -> Loaded:
    source = Source(dataset.name, key, -1, "", short_hash(dataset.name, key))
    image, reference = (_of_channels(each, channels) for each in pair)
    assert image is not None
    if reference is None:
        return Loaded(source, "", 0, middle(image, side))
    reference = facing(image, reference)
    scale = scale_of(image, reference)
    true = middle(counted(image, reference, scale), side and side // scale * scale, scale)
    found = middle(image, side and side // scale)
    return Loaded(source, "", 0, found, Reference(true, "", 0, key, None, scale))


def _of_channels(image: Image | Exception | None, channels: int) -> Image | None:
    if isinstance(image, Exception):
        raise image
    return image and replace(image, pixels_HWC=with_channels(image.pixels_HWC, channels))


def _append(values: list[float], value: float | None) -> None:
    """Undefined and infinite ones are left out, as in the summary of a benchmark."""
    if value is not None and math.isfinite(value):
        values.append(float(value))


def _row(images: Sequence[Image]) -> tuple[Pixels, ...]:
    return tuple(_displayed(image) for image in images)


def _displayed(image: Image) -> Pixels:
    shown = middle(image, SAMPLE_SIDE).to_unit()
    pixels: Pixels = (np.nan_to_num(shown).clip(0, 1) * 255).round().astype(np.uint8)
    return pixels
