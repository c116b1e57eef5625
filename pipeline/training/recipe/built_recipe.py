"""What a recipe names, looked up and built: ``JobError`` by path, with the cure, before any training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from models.card import TASKS
from models.discriminators import build_discriminator
from models.edge.rounding import round_layers
from models.losses import LOSSES, build_adversarial, build_loss, build_penalty
from models.names import unknown
from models.networks import GENERATORS, NETWORKS, build_generator, build_network, card_facts
from models.operators import OPERATORS
from models.weights import load_weights
from pipeline.degradation.degradation import Degradation, build_degradation
from pipeline.errors import JobError, describe
from pipeline.hashing import seed_of
from pipeline.metrics import METRICS
from pipeline.metrics.features import NeedsWeights
from pipeline.recipe.plugins import Plugins, origins
from pipeline.recipe.weights import weights_file
from pipeline.training.recipe.fitting import check_batch_norm, check_fitting, check_judge
from pipeline.training.recipe.half_widths import check_half_widths, load_start
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.recipe.sections import Optimizer
from pipeline.training.recipe.teaching import check_teacher
from pipeline.training.steps.muon import Muon
from pipeline.training.steps.recomputed import has_blocks
from pipeline.training.steps.replay import NEVER, Replay
from pipeline.training.steps.schedules import build_schedule

T = TypeVar("T")


@dataclass(frozen=True)
class BuiltRecipe:
    """The names of a recipe, understood. Making one checks the whole recipe."""

    recipe: TrainingRecipe
    degradations: tuple[Degradation, ...]
    validation: tuple[Degradation, ...]
    """What validation degrades with."""
    channels: int
    """Of the network's input."""
    halo: int | None
    scale: int = 1
    """How many times the network enlarges."""

    @classmethod
    def of(cls, recipe: TrainingRecipe) -> BuiltRecipe:
        """Looks up, builds and checks everything that the recipe names."""
        degradations = _degradations(recipe.degradations, "degradations")
        validation = _degradations(recipe.validation.degradations, "validation.degradations")
        with torch.device("meta"):
            network: Any = build_trained(recipe)
        built = cls(
            recipe,
            degradations,
            validation or degradations,
            network.channels,
            getattr(network, "halo", None),
            int(card_facts(network)["scale"]) if recipe.kind == "restoration" else 1,
        )
        _check_names(recipe)
        if recipe.resources.recompute and not has_blocks(network):
            raise JobError(
                "resources.recompute: has no effect on this network, which has no blocks; leave it out"
            )
        check_half_widths(recipe, network)
        needs = check_teacher(recipe.teacher, network, built.scale) if recipe.teacher is not None else ()
        if recipe.kind == "restoration":
            _check_pairs(recipe, card_facts(network), degradations + validation)
        else:
            _check_size(recipe, network)
        _try(lambda: [build_loss(each.name, each.arguments) for each in recipe.losses], "losses")
        if recipe.kind == "restoration":
            check_fitting(recipe, network, degradations, validation, needs)
        judges = [_judge(recipe, built.channels)] if recipe.discriminator is not None else []
        check_batch_norm(recipe, [network, *judges])
        _try(lambda: optimizer(recipe.optimizer, nn.Linear(1, 1)), "optimizer")
        return built

    @property
    def plugins(self) -> Plugins:
        """What is of other packages, with their versions: part of a checkpoint's identity."""
        chains = (each for degradation in self.degradations for each in degradation.operators)
        networks = NETWORKS if self.recipe.kind == "restoration" else GENERATORS
        return origins(
            [
                (networks, [self.recipe.network.architecture]),
                (LOSSES, [each.name for each in self.recipe.losses]),
                (OPERATORS, [each.op for each in chains]),
            ]
        )


def build_trained(recipe: TrainingRecipe) -> nn.Module:
    """The network or generator, with weights drawn from torch's global generator."""
    build = build_network if recipe.kind == "restoration" else build_generator
    network = _try(lambda: build(recipe.network.architecture, recipe.network.arguments), "network")
    if recipe.network.rounding is not None and not round_layers(network):
        raise JobError(
            "network.rounding: has no effect on this network, which has no convolution; leave it out"
        )
    return network


def started(recipe: TrainingRecipe) -> nn.Module:
    """The network with the weights that a run begins with."""
    torch.manual_seed(seed_of(str(recipe.seed), "weights"))
    network = build_trained(recipe)
    if (content := start_of(recipe)) is not None:
        _warm(network, content, recipe.network.start)
    return network


def check_start(recipe: TrainingRecipe) -> None:
    """``JobError`` where a run cannot begin with the weights it names: before an image of it is read."""
    if (content := start_of(recipe)) is not None:
        with torch.device("meta"):
            _warm(build_trained(recipe), content, recipe.network.start)


def start_of(recipe: TrainingRecipe) -> bytes | None:
    """The file of weights to begin with; ``JobError`` where it cannot be fetched."""
    url = recipe.network.start
    if url is None:
        return None
    try:
        return weights_file(url)
    except OSError as error:
        raise JobError(
            f"network.start: {url}: {describe(error)}; train those weights first, or --set "
            "network.start=FILE_OR_NAME, of restora list restorers one with weights"
        ) from error


def optimizer(spec: Optimizer, network: nn.Module, replay: Replay = NEVER) -> torch.optim.Optimizer:
    """The optimizer of one network."""
    if spec.name == "muon":
        return Muon(network.parameters(), lr=spec.learning_rate, replay=replay)
    # One kernel for all parameters where there is one; a CPU keeps the sums of before, bit for bit.
    fused = True if all(each.is_cuda for each in network.parameters()) else None
    rate, betas = spec.learning_rate, spec.betas
    if spec.name == "sgd":
        return torch.optim.SGD(
            network.parameters(),
            rate,
            spec.momentum,
            weight_decay=spec.weight_decay,
            nesterov=spec.momentum > 0,
            fused=fused,
        )
    if spec.name == "adamw":
        return torch.optim.AdamW(
            network.parameters(), rate, betas, weight_decay=spec.weight_decay, fused=fused
        )
    return torch.optim.Adam(network.parameters(), rate, betas, fused=fused)


def _warm(network: nn.Module, content: bytes, url: str | None) -> None:
    try:
        _, state = load_weights(content)
        device = next(network.parameters()).device  # "meta" where shapes alone are looked at
        load_start(network, {name: each.to(device) for name, each in state.items()})
    except ValueError as error:
        raise JobError(f"network.start: {url}: {error}") from error
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise JobError(
            f"network.start: the weights in {url} are not of this network: {first}; "
            "give the network the architecture and arguments of their card"
        ) from None


def _try(build: Callable[[], T], where: str) -> T:
    try:
        return build()
    except ValueError as error:
        raise JobError(f"{where}: {error}") from error


def _degradations(specs: Any, where: str) -> tuple[Degradation, ...]:
    return tuple(build_degradation(spec, f"{where}[{i}]") for i, spec in enumerate(specs))


def _check_names(recipe: TrainingRecipe) -> None:
    if recipe.task not in TASKS:
        raise JobError(f"task: {unknown('task', recipe.task, TASKS)}")
    for index, name in enumerate(recipe.validation.metrics):
        if name not in METRICS:
            raise JobError(f"validation.metrics[{index}]: {unknown('metric', name, METRICS)}")
        if isinstance(metric := METRICS[name], NeedsWeights):
            raise JobError(f'validation.metrics[{index}]: "{name}" takes files; use "{metric.instead}"')
    optimizers = {"optimizer": recipe.optimizer}
    if recipe.discriminator is not None:
        optimizers["discriminator.optimizer"] = recipe.discriminator.optimizer
    for where, spec in optimizers.items():
        schedule = spec.schedule
        _try(lambda schedule=schedule: build_schedule(schedule.name, schedule.arguments), f"{where}.schedule")  # type: ignore[misc]


def _check_pairs(
    recipe: TrainingRecipe, facts: dict[str, Any], degradations: tuple[Degradation, ...]
) -> None:
    scale = facts["scale"]
    for each in degradations:
        if each.scale != scale:
            raise JobError(
                f'degradations: "{each.name}" shrinks by {each.scale}, but the network enlarges by {scale}; '
                "give the network that scale, or take another degradation"
            )
    if recipe.self_supervision != "none" and scale != 1:
        raise JobError(f"self_supervision: only for networks that do not enlarge; this one does, by {scale}")
    if recipe.data.cut_blur and scale != 1:
        raise JobError(f"data.cut_blur: only for networks that do not enlarge; this one does, by {scale}")
    halves = 2 if recipe.self_supervision == "neighbor2neighbor" else 1
    multiple = scale * facts["multiple_of"] * halves
    least = scale * facts["minimum_size"] * halves
    if recipe.data.crop % multiple or recipe.data.crop < least:
        raise JobError(
            f"data.crop: {recipe.data.crop} does not suit this network: take a multiple of {multiple}, "
            f"at least {least}"
        )
    if recipe.data.downsample != 1:
        raise JobError("data.downsample: only generators take it; a restorer's crops stay as they are")


def _check_size(recipe: TrainingRecipe, network: Any) -> None:
    side = recipe.data.crop // recipe.data.downsample
    if side != network.image_size:
        raise JobError(
            f"data.crop: crops of {recipe.data.crop} / downsample {recipe.data.downsample} are {side} pixels "
            f"a side, the generator makes {network.image_size}; make both the same"
        )


def _judge(recipe: TrainingRecipe, channels: int) -> nn.Module:
    """The discriminator, without weights; ``JobError`` where it does not fit."""
    spec = recipe.discriminator
    assert spec is not None
    with torch.device("meta"):
        network: Any = _try(lambda: build_discriminator(spec.architecture, spec.arguments), "discriminator")
    sees = channels * (2 if spec.conditional else 1)
    if (takes := getattr(network, "channels", sees)) != sees:
        raise JobError(
            f"discriminator.arguments.channels: {takes}, but it is shown {sees}"
            f"{' (the degraded image too)' if spec.conditional else ''}; give channels = {sees}"
        )
    game = spec.adversarial
    _try(lambda: build_adversarial(game.name, game.arguments), "discriminator.adversarial")
    if spec.penalty is not None:
        penalty = spec.penalty
        _try(lambda: build_penalty(penalty.name, penalty.arguments), "discriminator.penalty")
    check_judge(spec, network, sees, recipe.data.crop // recipe.data.downsample)
    return network  # type: ignore[no-any-return]
