"""What a training run is: frozen, read from TOML, refused by path where a field is unknown or wrong.

Only the form is checked here, without torch; ``built_recipe`` checks what the names mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PositiveInt, ValidationError, model_validator

from pipeline.addresses import redacted_values
from pipeline.errors import JobError
from pipeline.jobs.datasets import Frozen
from pipeline.jobs.job import Degradation, Name, distinct
from pipeline.jobs.toml_errors import faults_of, read_toml
from pipeline.training.recipe.effects import without_effect
from pipeline.training.recipe.overrides import overridden
from pipeline.training.recipe.renamed import with_current_names
from pipeline.training.recipe.sections import (
    Checkpoints,
    Data,
    Discriminator,
    Growth,
    Guard,
    Length,
    Network,
    Optimizer,
    Resources,
    Teacher,
    Validation,
    Weighted,
    taught,
)

_NO_PART_OF_IDENTITY = (
    *("summary", "task", "source", "licence", "export", "resources", "checkpoints", "guard"),
    *("trackers", "tracks_private"),
)
"""Fields that decide no weight."""
_NOT_IN_IDENTITY = frozenset(
    ("datasets", "references", "memory_gigabytes", "crops_per_image", "max_pixels", "attribution", "threads")
)
"""Fields of ``data``; the two that decide how a collection streams are added where one does."""


def _without_later_defaults(values: dict[str, Any]) -> None:
    """Takes out what recipes of before had no word for, where it says what they meant."""
    if values["teacher"] is None:
        del values["teacher"]
    if values["network"]["rounding"] is None:
        del values["network"]["rounding"]
    if not values["data"]["cut_blur"]:
        del values["data"]["cut_blur"]
    if values["discriminator"] and not values["discriminator"]["augmentations"]:
        del values["discriminator"]["augmentations"]
    for section in (values, values["discriminator"] or {}):
        if section.get("optimizer", {}).get("name") != "sgd":
            section.get("optimizer", {}).pop("momentum", None)


class TrainingRecipe(Frozen):
    """Everything that decides a training run."""

    name: Name
    """Name on the card, and of the weights' file."""
    summary: str
    """One sentence for the card."""
    kind: Literal["restoration", "generation"] = "restoration"
    """restoration: pairs of degraded and true images. generation: images out of latents."""
    task: str = "general"
    """As on cards: super-resolution, denoising, deblurring, inpainting, artefact-removal, general."""
    source: str = ""
    """The paper, for the card."""
    licence: str = "Apache-2.0"
    """Of the weights, as an SPDX expression."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Decides the first weights, the samples and their degradation."""
    data: Data
    """What is trained on."""
    degradations: tuple[Degradation, ...] = ()
    """Presets or chains, as in a job, all of one scale; each sample draws one."""
    self_supervision: Literal["none", "neighbor2neighbor", "noise2void"] = "none"
    """Without clean images. neighbor2neighbor: pairs are cut from the degraded image itself (Huang 2021).
    noise2void: the degraded image is its own target, at hidden pixels (Krull 2019); take the loss
    ``masked_mse`` or ``masked_l1`` with ``known = 0``."""
    network: Network
    """What is trained."""
    losses: tuple[Weighted, ...] = ()
    """Distances of restored and true image; their weighted sum is minimised."""
    teacher: Annotated[Teacher | None, BeforeValidator(taught, json_schema_input_type=str | Teacher)] = None
    """A larger network that it learns from too (distillation)."""
    optimizer: Optimizer
    """How the network learns."""
    discriminator: Discriminator | None = None
    """Its opponent, where there is one."""
    batch: PositiveInt
    """Samples in a step, over all workers."""
    accumulation: PositiveInt = 1
    """BuiltRecipe in which one worker takes the batch through the network."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the products; weights stay in float32."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] | None = 0.999
    """Decay of the moving average of the weights, which is what the run delivers; ``None``: the weights."""
    export: Literal["float32", "float16"] = "float32"
    """What the delivered weights are stored as."""
    length: Length
    """When the run is over."""
    latents: Literal["normal", "uniform"] = "normal"
    """What a generator's latents are drawn from: N(0, 1) or U(-1, 1)."""
    growth: Growth | None = None
    """Of the pictures, for the generator ``progressive``."""
    validation: Validation = Validation()
    """What is looked at while training."""
    checkpoints: Checkpoints = Checkpoints()
    """What is kept to go on from."""
    guard: Guard = Guard()
    """When it is given up."""
    trackers: tuple[Literal["tensorboard", "mlflow", "wandb"], ...] = ()
    """What hears of the table's rows while it runs, each once its package is installed."""
    tracks_private: bool = False
    """Whether a tracker on another machine may hear of a training on private data."""
    resources: Resources = Resources()
    """What it may use."""

    @model_validator(mode="before")
    @classmethod
    def _spelling_of_before(cls, fields: Any) -> Any:
        return with_current_names(fields) if isinstance(fields, Mapping) else fields

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for field, names in self._named_twice():
            distinct(field, names)
        if self.kind == "generation" and self.discriminator is None:
            raise ValueError("discriminator: a generator needs one to learn from; add [discriminator]")
        if self.kind == "restoration" and not self.losses:
            raise ValueError('losses: a restorer needs at least one, such as [{ name = "l1" }]')
        self._check_degradations()
        if self.kind == "generation" and (self.losses or self.degradations):
            raise ValueError('losses, degradations: generators have none; use kind = "restoration"')
        if self.batch % self.accumulation:
            raise ValueError(f"accumulation: {self.accumulation} does not divide the batch of {self.batch}")
        if self.data.crop % self.data.downsample:
            raise ValueError(
                f"data.downsample: {self.data.downsample} does not divide the crop of {self.data.crop}"
            )
        if self.data.attribution is not None and any(each.private for each in self.data.datasets):
            raise ValueError("data.attribution: would name private images on the card; leave it out")
        self._check_workers()
        for fault in without_effect(self):
            raise ValueError(fault)
        return self

    def _named_twice(self) -> Iterator[tuple[str, list[str]]]:
        """Lists whose entries need names of their own, as in a job."""
        yield "degradations", [each.name for each in self.degradations]
        yield "validation.degradations", [each.name for each in self.validation.degradations]
        yield "validation.metrics", list(self.validation.metrics)
        yield "data.datasets", [each.name for each in self.data.datasets]
        yield "validation.datasets", [each.name for each in self.validation.datasets]

    def _check_degradations(self) -> None:
        named = self.data.names_references or self.validation.names_references
        if self.kind != "restoration":
            if named:
                raise ValueError("references: a generator of images has none; leave them out")
        elif self.degradations:
            if named:
                raise ValueError("degradations: images with references are taken as found; leave it out")
        elif not self.data.names_references and not any(each.is_manifest for each in self.data.datasets):
            raise ValueError(
                "degradations: a restorer needs at least one; see restora list degradations; or "
                "data.references, where the images come with their true ones"
            )
        else:
            self._check_pairs()

    def _check_pairs(self) -> None:
        if self.self_supervision != "none":
            raise ValueError("self_supervision: learns without true images, and data.references names them")
        if self.validation.degradations:
            raise ValueError("validation.degradations: pairs are validated as they are found; leave it out")
        for name, section in (("data", self.data), ("validation", self.validation)):
            if any(each.references is None and not each.is_manifest for each in section.collections):
                raise ValueError(f"{name}.references: is needed, as the training learns from pairs")

    @property
    def has_private_data(self) -> bool:
        """Whether any of the images are private."""
        return any(each.private for each in (*self.data.datasets, *self.validation.datasets))

    @property
    def is_paired(self) -> bool:
        """Whether the images come with references, and nothing is degraded."""
        return self.kind == "restoration" and not self.degradations

    def _check_workers(self) -> None:
        low, high = self.workers
        if low > high:
            raise ValueError(f"resources.workers: a range goes from low to high, got [{low}, {high}]")
        if wrong := [count for count in range(low, high + 1) if self.batch % count]:
            raise ValueError(
                f"resources.workers: the batch of {self.batch} cannot be dealt to {wrong[0]} workers; choose "
                "a batch that every number of workers divides"
            )
        if high > 1 and self.length.minutes is not None:
            raise ValueError("length.minutes: only one worker can follow its clock; give length.steps")

    @property
    def workers(self) -> tuple[int, int]:
        """Fewest and most workers."""
        workers = self.resources.workers
        return workers if isinstance(workers, tuple) else (workers, workers)

    def identity(self) -> dict[str, Any]:
        """What decides the weights, as plain values: a checkpoint goes on only where it is the same.

        Without the signatures of addresses: it is stored, and another one means the same object.
        """
        values: dict[str, Any] = redacted_values(self.model_dump(mode="json"))
        for name in _NO_PART_OF_IDENTITY:
            del values[name]
        del values["validation"]
        _without_later_defaults(values)
        # What the images are is in their digest; where they are stored does not matter.
        kept = values["data"].items()
        values["data"] = {name: value for name, value in kept if name not in _NOT_IN_IDENTITY}
        return values

    @classmethod
    def from_toml(cls, path: Path | str, overrides: tuple[str, ...] = ()) -> Self:
        """The recipe in a TOML file; ``overrides`` are ``path=value`` lines.

        Raises ``JobError`` naming file, field, value and cure.
        """
        fields = read_toml(Path(path), "; recipes to start from are in conf/train")
        try:
            fields = with_current_names(fields)
        except ValueError as error:
            raise JobError(f"{path}: {error}") from None
        return cls.parse(overridden(fields, overrides), where=str(path))

    @classmethod
    def parse(cls, fields: Mapping[str, Any], where: str = "recipe") -> Self:
        """A recipe out of plain values; ``JobError`` lists every fault by its path."""
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise JobError("\n".join(f"{where}: {line}" for line in faults_of(cls, error))) from None
