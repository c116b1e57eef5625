"""The job: a frozen, validated description of a run, written by people in TOML.

Only the form is checked here, so that a scheduler can hold and show a job without torch;
``pipeline.recipe.recipe`` checks what the names mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, model_validator

from models.names import WEIGHTS as WEIGHTS
from pipeline.addresses import redacted_values
from pipeline.errors import JobError
from pipeline.jobs.datasets import Address as Address
from pipeline.jobs.datasets import Dataset as Dataset
from pipeline.jobs.datasets import Name as Name
from pipeline.jobs.datasets import Radiometry as Radiometry
from pipeline.jobs.effects import PSNR_NEEDED, refuse_without_effect
from pipeline.jobs.frozen import WRITTEN, Frozen, is_written
from pipeline.jobs.operators import OperatorSpec as OperatorSpec
from pipeline.jobs.specs import Degradation as Degradation
from pipeline.jobs.specs import DegradationSpec as DegradationSpec
from pipeline.jobs.specs import MetricWeights as MetricWeights
from pipeline.jobs.specs import Restorer as Restorer
from pipeline.jobs.specs import RestorerSpec as RestorerSpec
from pipeline.jobs.stores import StoreSpec
from pipeline.jobs.toml_errors import faults_of, read_toml

NO_DEGRADATION = "none"
NO_RESTORER = "none"
"""What the tables call their absence."""
FOUND = "found"
"""What the tables call the degradation of images that have references: nobody here made it."""
RESERVED = {"degraded", NO_DEGRADATION, NO_RESTORER}


class Quarantine(Frozen):
    """How many images may fail."""

    threshold: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share above which a finished run ends with exit code 3."""
    stop_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share above which a running run stops: so many bad images mean something else is wrong."""
    stop_after: Annotated[int, Field(ge=1)] = 100
    """Images to see before ``stop_share`` counts."""


class Resources(Frozen):
    """What a run may use. Provenance, not identity: never changes a result's place or name."""

    workers: Annotated[int, Field(ge=1)] | None = None
    """Replicas; ``None``: one per GPU, else one per core (Ray) or one (local)."""
    gpus_per_worker: Annotated[float, Field(ge=0)] | None = None
    """``None``: one where the cluster has GPUs, else none."""
    cores_per_worker: Annotated[int, Field(ge=1)] | None = None
    """Cores that decode, degrade and encode for one replica, and that Ray is asked for. ``None``: its GPUs'
    share of its node's cores; without a GPU one (Ray) or all (local)."""
    unit_images: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Images per unit, which is what a kill may repeat; ``None``: by the size of the archive, up to 32."""
    compile: bool = False
    """Networks through ``torch.compile``: a wait at first, then faster. Pixels may differ by rounding."""
    tf32: bool | None = None
    """Whether a GPU may round what it multiplies in convolutions of float32 to TF32, which is faster: it
    costs the shipped restorers at most 0.001 dB. ``None``: only where nothing is degraded or scored."""
    image_seconds: Annotated[float, Field(gt=0)] = 600.0
    """How long one image may take alone in a subprocess after it killed workers."""
    scene_pixels: Annotated[int, Field(ge=1)] = 1 << 23
    """Height times width above which a GeoTIFF is restored strip by strip, if the restorer is tile-exact:
    the same pixels in bounded memory."""
    strip_samples: Annotated[int, Field(ge=1)] = 1 << 27
    """Pixels times bands of one strip of a scene, which is what a kill may repeat. The default is about ten
    minutes of a small network on a core; more where a GPU does them in seconds."""


class Limits(Frozen):
    """What one image may be."""

    max_pixels: Annotated[int, Field(ge=1)] = 100_000_000
    """Height times width; larger ones are quarantined as ``TOO_LARGE``, but for scenes in strips."""
    max_scene_pixels: Annotated[int, Field(ge=1)] = 20_000_000_000
    """The same for GeoTIFFs that are restored strip by strip: see ``resources.scene_pixels``."""
    decode_seconds: Annotated[float, Field(gt=0)] = 120.0
    """How long decoding may take of what is decoded in a process of its own: compressed DICOM, whose
    libraries may crash or hang; and of a strip of a scene, in seconds of a core. ``TIMED_OUT`` after that."""


class Job(Frozen):
    """Everything that a run is told. ``Job.from_toml`` reads one; ``Job.model_json_schema`` describes it."""

    name: Name
    """What people call this run."""
    kind: Literal["benchmark", "restore", "degrade"] = "benchmark"
    """benchmark: degrade, restore, score; or, with references, score images as they were found. restore:
    restore as it is. degrade: only degrade."""
    output: Address
    """Where everything goes: any fsspec URL, or a path."""
    output_profile: str | None = None
    """Named profile of the output store's credentials, for ``s3://``."""
    output_store: StoreSpec | None = None
    """What restored or degraded images are written as: a name of ``restora list stores``. ``None``: as the
    datasets are kept, tar shards as tar shards, where there is a way; else one object an image."""
    overwrite: bool = False
    """Whether a restore or degrade run may write over objects in its output that no run wrote there."""
    datasets: Annotated[tuple[Dataset, ...], Field(min_length=1)]
    """Collections to work through."""
    degradations: tuple[Degradation, ...] = ()
    """Presets by name, or explicit lists of operators; none where the datasets have references."""
    restorers: tuple[Restorer, ...] = ()
    """Names of the catalog, solvers, or weights. With references, none: the images are scored themselves."""
    metrics: tuple[str, ...] = ()
    """Names from ``restora list metrics``, or ``module:attribute`` of an installed package."""
    metric_weights: Mapping[str, MetricWeights] = {}
    """Files of yours for those of the metrics that need some: ``lpips_alex``, ``lpips_vgg``, ``dists``."""
    per_band: tuple[str, ...] = ()
    """Those of the metrics that each band is to have alone as well, in the column ``M_bands``."""
    distances: tuple[str, ...] = ()
    """``frechet_lite0``, ``kernel_lite0``: between all restored and all reference images of a dataset."""
    psnr_estimate: bool = False
    """Whether rows of denoised images have an estimate of their PSNR, for one more call of the restorer: what
    ``restora calibrate`` makes a calibration of. A restore run takes the one beside its weights, if any."""
    calibration: str | None = None
    """A file that ``restora calibrate`` wrote: rows of a restore run have ``psnr_floor``, or those of a
    restorer with ``uncertainty`` intervals (and floors with ``psnr_estimate``). "none": not even by the one
    beside the weights."""
    flags: bool = False
    """Whether patches are counted that hold what their input does not support. A benchmark's is what
    ``restora calibrate`` draws the line by; a restore run needs that calibration."""
    save_uncertainty: bool = False
    """Whether a restore run keeps the half-widths of its intervals, an image each, under
    ``_restora/uncertainty/``."""
    psnr_needed: Annotated[float, Field(gt=0, le=100)] = PSNR_NEEDED
    """Decibels that images should have at least: the report counts those whose floor is lower."""
    save: Literal["none", "restored", "all"] = "none"
    """Which images a benchmark keeps under ``objects/``; a restore or degrade run keeps its result."""
    output_format: str | None = None
    """Format of saved images; ``None``: the source's own (restore, degrade) or PNG (benchmark)."""
    border: Annotated[int, Field(ge=0)] | None = None
    """Pixels cut from each side before scoring, where the datasets have references; ``None``: the scale."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Changes every random draw of every degradation."""
    quarantine: Quarantine = Quarantine()
    """How many images may fail."""
    limits: Limits = Limits()
    """What one image may be."""
    resources: Resources = Resources()
    """What the run may use."""

    @property
    def stored_format(self) -> str | None:
        """Format of every saved image; ``None``: that of its source."""
        return self.output_format or ("png" if self.kind == "benchmark" else None)

    def shown(self) -> dict[str, Any]:
        """Its plain values as they may be written down: addresses without signatures and tokens."""
        values: dict[str, Any] = redacted_values(self.model_dump(mode="json"))
        return values

    @property
    def estimates_psnr(self) -> bool:
        """Whether rows have the columns of an estimated PSNR."""
        alone = not (self.has_uncertainty or self.flags)
        return self.psnr_estimate or (self.calibration not in (None, "none") and alone)

    @property
    def has_uncertainty(self) -> bool:
        """Whether rows have the columns of intervals."""
        return any(each.uncertainty is not None for each in self.restorers)

    @property
    def is_paired(self) -> bool:
        """Whether its images are taken as they were found, and scored against references."""
        return self.kind == "benchmark" and not self.degradations

    @property
    def scores_only(self) -> bool:
        """Whether what is scored are the images of the datasets themselves, which somebody restored."""
        return self.is_paired and not self.restorers

    @property
    def input_name(self) -> str:
        """Column ``degradation`` of rows whose input nobody here degraded."""
        return FOUND if self.is_paired else NO_DEGRADATION

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Self:
        for field in ("datasets", "degradations", "restorers"):
            distinct(field, [each.name for each in getattr(self, field)])
        distinct("metrics", list(self.metrics))
        distinct("per_band", list(self.per_band))
        distinct("distances", list(self.distances))
        for index, each in enumerate(self.restorers):
            if each.name in RESERVED:
                raise ValueError(f"restorers[{index}]: the name {each.name!r} is reserved; choose another")
        if self.estimates_psnr and (self.kind == "degrade" or self.is_paired):
            raise ValueError("psnr_estimate, calibration: for restore runs, and benchmarks with degradations")
        if self.calibration is not None and self.kind != "restore":
            raise ValueError("calibration: is for restore runs; a benchmark knows the truth, leave it out")
        if self.save_uncertainty and not (self.kind == "restore" and self.has_uncertainty):
            raise ValueError('save_uncertainty: is for restore runs of a restorer with uncertainty = "..."')
        if not is_written(info):
            refuse_without_effect(self)
        if (self.has_uncertainty or self.flags) and (self.is_paired or self.kind == "degrade"):
            raise ValueError("uncertainty, flags: for restore runs, and benchmarks with degradations")
        _CHECKS[self.kind](self)
        return self

    @classmethod
    def from_toml(cls, path: Path | str) -> Self:
        """The job in a TOML file. Raises ``JobError`` naming file, field, value and cure."""
        return cls.parse(read_toml(Path(path)), where=str(path))

    @classmethod
    def parse(cls, fields: Mapping[str, Any], where: str = "job", written: bool = False) -> Self:
        """A job out of plain values; ``JobError`` lists every fault by its path.

        ``written``: by a run, which took fields without effect; they are refused in a new job alone.
        """
        try:
            return cls.model_validate(fields, context=WRITTEN if written else None)
        except ValidationError as error:
            raise JobError("\n".join(f"{where}: {line}" for line in faults_of(cls, error))) from None


def distinct(field: str, names: list[str]) -> None:
    """``ValueError`` with the path of a name that is there twice."""
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ValueError(f"{field}[{index}]: {name!r} is there twice; give each its own name")


def _refuse_conditions(job: Job) -> None:
    for index, each in enumerate(job.datasets):
        for field in ("mask", "operators", "group"):
            if getattr(each, field) is not None:
                raise ValueError(
                    f"datasets[{index}].{field}: is told of images that are taken as they were found; here "
                    "the degradation decides; leave it out"
                )


def _check_benchmark(job: Job) -> None:
    tables = not job.degradations and any(each.is_manifest for each in job.datasets)
    if tables or any(each.references for each in job.datasets):
        _check_pairs(job)
        return
    _refuse_conditions(job)
    for field in ("degradations", "restorers", "metrics"):
        if not getattr(job, field):
            raise ValueError(f"{field}: a benchmark needs at least one; see restora list {field}")
    if job.border is not None:
        raise ValueError("border: counts where datasets have references; leave it out")
    if job.psnr_estimate and "psnr" not in job.metrics:
        raise ValueError('psnr_estimate: is calibrated by the true PSNR; add "psnr" to the metrics')


def _check_pairs(job: Job) -> None:
    if job.degradations:
        raise ValueError("degradations: images with references are taken as they are found; leave it out")
    if not job.metrics:
        raise ValueError("metrics: a benchmark needs at least one; see restora list metrics")
    for index, each in enumerate(job.datasets):
        if each.references is None and not each.is_manifest:
            raise ValueError(f"datasets[{index}].references: is needed, as others have it; or use two jobs")


def _refuse_references(job: Job) -> None:
    for index, each in enumerate(job.datasets):
        if each.references is not None:
            raise ValueError(
                f"datasets[{index}].references: a {job.kind} run compares with nothing; use "
                'kind = "benchmark", with save = "restored" to keep the images'
            )
    if job.border is not None:
        raise ValueError("border: counts in a benchmark of images with references; leave it out")


def _check_restore(job: Job) -> None:
    _refuse_references(job)
    if job.degradations:
        raise ValueError('degradations: a restore run takes images as they are; use kind = "benchmark"')
    if job.distances:
        raise ValueError("distances: need references, which a restore run does not have; leave them out")
    if len(job.restorers) != 1:
        raise ValueError(f"restorers: a restore run takes exactly one, got {len(job.restorers)}")


def _check_degrade(job: Job) -> None:
    _refuse_references(job)
    _refuse_conditions(job)
    if job.restorers or job.metrics or job.distances:
        raise ValueError('restorers, metrics, distances: a degrade run has none; use kind = "benchmark"')
    if len(job.degradations) != 1:
        raise ValueError(f"degradations: a degrade run takes exactly one, got {len(job.degradations)}")


_CHECKS = {"benchmark": _check_benchmark, "restore": _check_restore, "degrade": _check_degrade}
