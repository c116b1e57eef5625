"""The sections of a training recipe, each field documented where it stands."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, PositiveInt, model_validator

from pipeline.jobs.datasets import Frozen
from pipeline.jobs.frozen import Typed
from pipeline.jobs.job import Degradation
from pipeline.training.recipe.datasets import Referenced, TrainingDataset

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


def _rising(given: tuple[float, float]) -> tuple[float, float]:
    if not given[0] < given[1]:
        raise ValueError(f"goes from low to high, got {list(given)}")
    return given


ValueRange = Annotated[tuple[float, float], AfterValidator(_rising)]
"""What 0 and 1 are to a network."""


class Named(Typed):
    """A part by its name; every other field is an argument of it."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True, allow_inf_nan=False)

    name: str
    """As in its table: losses, adversarial losses, penalties, schedules."""

    @property
    def arguments(self) -> dict[str, Any]:
        """What the part is built with."""
        return dict(self.model_extra or {})


class Weighted(Named):
    """A loss of the sum."""

    weight: Positive = 1.0
    """Factor in the sum."""


class Penalty(Weighted):
    """A penalty on the discriminator's gradient."""

    every: PositiveInt = 1
    """Steps from one to the next (lazy regularisation)."""


class Data(Referenced):
    """What is trained on."""

    datasets: Annotated[tuple[TrainingDataset, ...], Field(min_length=1)]
    """Collections, as in a job; every image is decoded once, and kept in memory where all fit in."""
    crop: Annotated[int, Field(ge=4)]
    """Side of a sample in pixels of the source; of a pair, of the reference."""
    downsample: PositiveInt = 1
    """Crops are averaged over squares of this many pixels a side first, for generators of small pictures."""
    flip: bool = True
    """Mirrors half of the samples."""
    rotate: bool = True
    """Turns samples by 0, 90, 180 or 270 degrees."""
    shuffle_channels: bool = False
    """Puts the channels in any order."""
    cut_blur: Share = 0.0
    """Chance of a sample to have a rectangle of the true image in it, or of it in the true one (CutBlur, Yoo
    2020): for networks that do not enlarge, which shall leave alone what is not degraded."""
    crop_candidates: PositiveInt = 1
    """Places looked at for one sample; the one with the strongest gradients is taken."""
    memory_gigabytes: Positive = 4.0
    """Decoded images that one worker holds at most. A collection that is larger streams: shards of it are
    read while steps go on, and each of several workers holds its part of them."""
    crops_per_image: PositiveInt = 64
    """Of a collection that streams: crops taken of an image, in the mean, each time it is read."""
    max_pixels: PositiveInt = 100_000_000
    """Height times width of one image; larger ones are left out."""
    attribution: str | None = None
    """Tab-separated table of package, file, licence and author of every image, for the card."""
    threads: PositiveInt = 1
    """Threads that make samples while the networks work."""


class Network(Frozen):
    """What is trained to restore or to generate."""

    architecture: str
    """As in ``models.networks``."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """What it is built with."""
    value_range: ValueRange = (0.0, 1.0)
    """The range that it takes and gives: (-1, 1) for those that end in tanh."""
    start: str | None = None
    """Weights to begin with: a shipped name, or a path or URL of a safetensors file; else random ones."""
    rounding: Literal["int8"] | None = None
    """int8: convolutions round as int8 will, so that what is learnt bears it; the weights stay float."""


class Teacher(Frozen):
    """A network that the trained one learns from, beside the true images."""

    weights: str
    """A shipped name, a path or a URL of a safetensors file: of the same scale and channels."""
    weight: Positive = 1.0
    """Of the distance from its output."""
    distance: Literal["l1", "mse"] = "l1"
    """From its output."""
    feature_weight: Annotated[float, Field(ge=0)] = 0.0
    """Of the distance of the attention maps in the middle of both."""


def taught(value: Any) -> Any:
    """A name or an address alone stands for the teacher."""
    return {"weights": value} if isinstance(value, str) else value


class Optimizer(Frozen):
    """How the weights of one network are updated."""

    name: Literal["adam", "adamw", "muon", "sgd"] = "adam"
    """Adam, AdamW, Muon (``pipeline.training.steps.muon``), or gradient descent with Nesterov's momentum."""
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    """At the peak of the schedule."""
    betas: tuple[Share, Share] = (0.9, 0.999)
    """Of Adam and AdamW."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of gradient descent."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Of AdamW and gradient descent."""
    schedule: Named = Named(name="constant")
    """Factor of the learning rate over the run."""
    clip_gradient: Positive | None = None
    """Largest Euclidean norm of the gradient."""


class FeatureMatching(Frozen):
    """The distance of what the discriminator sees in restored and true images, a loss of the generator."""

    weight: Positive
    """In the generator's sum."""
    distance: Literal["l1", "mse"] = "l1"
    """Between the features."""


class Discriminator(Frozen):
    """The discriminator of an adversarial training."""

    architecture: str
    """As in ``models.discriminators``."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """What it is built with."""
    optimizer: Optimizer
    """How it learns."""
    adversarial: Named
    """The adversarial loss, of generator and discriminator."""
    weight: Positive = 1.0
    """Of the adversarial loss in the sum of a restorer's losses."""
    penalty: Penalty | None = None
    """On its gradient."""
    feature_matching: FeatureMatching | None = None
    """Of a restorer; the discriminator must show its features (``patch``, ``multi_scale``)."""
    conditional: bool = False
    """Whether it sees the degraded image too, as in pix2pix: its ``channels`` count those."""
    augmentations: tuple[Literal["colour", "translation", "cutout"], ...] = ()
    """Random changes of all that it judges, real and made, for few images (DiffAugment, Zhao 2020)."""
    value_range: ValueRange | None = None
    """The range in which it sees images; ``None``: that of the network."""
    steps: PositiveInt = 1
    """Its steps for one of the generator or restorer; each sees a batch of its own."""
    start_step: Annotated[int, Field(ge=0)] = 0
    """Steps of a restorer with the other losses alone, before it comes in."""


class Length(Frozen):
    """When a run is over."""

    steps: PositiveInt | None = None
    """Optimizer steps: repeats exactly."""
    minutes: Positive | None = None
    """Time spent on steps, over all sessions: the schedule follows the clock."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("give either steps or minutes")
        return self


class Growth(Frozen):
    """Progressive growing, from 4 pixels a side, doubling."""

    steps_per_size: PositiveInt
    """Steps that each size lasts."""
    fading: Share = 0.5
    """Share of them in which a new size fades in."""


class Validation(Referenced):
    """What is looked at while training. Never changes the weights."""

    datasets: tuple[TrainingDataset, ...] = ()
    """Collections that are not trained on; none: no scores."""
    degradations: tuple[Degradation, ...] = ()
    """Presets or chains, as in a job; none: those of the training."""
    metrics: tuple[str, ...] = ("psnr", "ssim")
    """As in a job; the first one decides which checkpoint is the best."""
    images: PositiveInt = 16
    """Images scored while training: the first of the listing."""
    side: Annotated[int, Field(ge=16)] | None = None
    """Only the middle so many pixels of each; ``None``: whole images."""
    every_steps: PositiveInt | None = None
    """Steps between validations."""
    every_minutes: Positive = 10.0
    """Time between validations where ``every_steps`` is not given."""
    patience: PositiveInt | None = None
    """Validations in a row without a gain of the first metric that end the run: the best weights are
    delivered. ``None``: it goes on for its length."""
    samples: PositiveInt = 4
    """Pictures on a sheet."""
    show_private: bool = False
    """Whether sheets and report may hold pictures of private datasets, and what a generator makes of them."""
    generated: PositiveInt = 256
    """Images of a generator that are compared with as many crops."""


class Checkpoints(Frozen):
    """What is kept to go on from."""

    every_steps: PositiveInt | None = None
    """Steps between checkpoints."""
    every_minutes: Positive = 5.0
    """Time between checkpoints where ``every_steps`` is not given."""
    keep: PositiveInt = 2
    """Newest ones kept, beside the best one by the first metric."""


class Resources(Frozen):
    """What a run may use; never changes its identity."""

    workers: PositiveInt | tuple[PositiveInt, PositiveInt] = 1
    """Of the engine ``ray``; a pair is an elastic range."""
    cpus_per_worker: Positive = 1.0
    """Cores of one worker."""
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0.0
    """GPUs of one worker."""
    sync_batch_norm: bool = False
    """Batch normalisation over the samples of all workers: of GPUs, for which torch has it."""
    recompute: bool = False
    """Blocks' inner values are made again for the gradient: less memory, about a third more time."""
    compile: bool = False
    """Networks through ``torch.compile``."""
    cuda_graphs: bool = False
    """Steps of a single worker on a GPU are recorded once and played again, where nothing in them changes."""


class Guard(Frozen):
    """When a run that diverges is stopped."""

    limit: PositiveInt = 5
    """Steps with a loss that is not finite, in a row."""
