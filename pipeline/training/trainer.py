"""A training: everything that changes from step to step, and how it changes. No files, no engine.

``step()`` is a function of the state and the step's number alone: samples, degradations, latents and dropout
are seeded by seed and step, so that the state needs no random numbers and the position is the step.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from models.losses import build_loss
from pipeline.hashing import seed_of
from pipeline.training.adversary import Adversary, adversarial_terms, started_discriminator
from pipeline.training.data.collection import Collection
from pipeline.training.data.prefetch import Prefetch
from pipeline.training.data.samples import Samples
from pipeline.training.data.streaming import StreamedCollection
from pipeline.training.recipe.built_recipe import BuiltRecipe, optimizer, started
from pipeline.training.recipe.sections import Discriminator, Optimizer, Teacher
from pipeline.training.recipe.teaching import model_of, teacher_of
from pipeline.training.steps.distillation import Distillation
from pipeline.training.steps.generation import GenerationStep
from pipeline.training.steps.growth import ProgressiveGrowth
from pipeline.training.steps.moving_average import MovingAverage
from pipeline.training.steps.network_update import NetworkUpdate
from pipeline.training.steps.recomputed import recompute_blocks
from pipeline.training.steps.replay import Replay
from pipeline.training.steps.restoration import RestorationStep
from pipeline.training.steps.schedules import build_schedule
from pipeline.training.world import World

FINE = 1_000_000
"""A schedule that follows the clock has so many places."""


@dataclass
class Position:
    """How far a run has come."""

    step: int = 0
    """Steps taken."""
    seconds: float = 0.0
    """Time spent on them, over all sessions."""
    failed: int = 0
    """Steps in a row whose gradients were not finite."""


class Trainer:
    """One run on one worker: networks, moving average, optimizers, position; ``step()`` moves them all."""

    def __init__(
        self, built: BuiltRecipe, collection: Collection | StreamedCollection, world: World | None = None
    ) -> None:
        self.built, self.recipe, self.world = built, built.recipe, world or World()
        recipe, device = self.recipe, self.world.device
        self.position = Position()
        self.network = started(recipe).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network_update = self._update_of(self.network, recipe.optimizer)
        self.ema = MovingAverage(self.network, recipe.ema_decay) if recipe.ema_decay is not None else None
        self.adversary = self._adversary(recipe.discriminator) if recipe.discriminator else None
        self.samples = Samples(
            recipe, collection, built.degradations, device, rank=self.world.rank, size=self.world.size
        )
        self._take_step: Any = self._restoration() if recipe.kind == "restoration" else self._generation()
        self._prefetch: Prefetch[Any] | None = None

    @property
    def progress(self) -> float:
        """The share of the length that is done; 1 or more ends the run."""
        length = self.recipe.length
        if length.steps is not None:
            return self.position.step / length.steps
        assert length.minutes is not None
        return self.position.seconds / (60.0 * length.minutes)

    def step(self) -> tuple[Mapping[str, Tensor], float]:
        """Takes one step; its scalars, on the device, and the seconds that it waited for its samples."""
        begun = time.perf_counter()
        if self._prefetch is None:
            self._prefetch = Prefetch(
                self.samples.maker(), self.position.step, threads=self.recipe.data.threads
            )
        waited = self._prefetch.waited
        batch = self._prefetch.take()
        waited = self._prefetch.waited - waited
        self._schedule()
        step = self.position.step
        # Of one worker among several: its own noise, another one at every step.
        seed = seed_of(str(self.recipe.seed), "step", str(step), str(self.world.rank))
        _seed_draws(seed, self.world.device)
        scalars: Mapping[str, Tensor] = self._take_step(batch, step, Generator().manual_seed(seed))
        if self.ema is not None:
            self.ema.update(step)
        self.position.step += 1
        self.position.seconds += time.perf_counter() - begun
        return scalars, waited

    def close(self) -> None:
        """Ends the threads that make samples."""
        if self._prefetch is not None:
            self._prefetch.close()
            self._prefetch = None

    def delivered(self) -> dict[str, Tensor]:
        """The weights that the run delivers: averaged ones where there is a moving average."""
        source = self.ema.state if self.ema is not None else self.network.state_dict()
        return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in source.items()}

    def learning_rates(self) -> dict[str, float]:
        """As the last step used them."""
        rates = {"learning_rate": _rate(self._network_update)}
        if self.adversary is not None:
            rates["learning_rate_discriminator"] = _rate(self.adversary.update)
        return rates

    def state_dict(self) -> dict[str, Any]:
        """Everything that a later session needs: plain values and tensors."""
        state: dict[str, Any] = {
            "position": vars(self.position).copy(),
            "network": self.network.state_dict(),
            "optimizer": self._network_update.optimizer.state_dict(),
        }
        if self.ema is not None:
            state["ema"] = self.ema.state_dict()
        if self.adversary is not None:
            state |= self.adversary.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there: the next step is the one that would have come next."""
        self.close()
        self.position = Position(**state["position"])
        self.network.load_state_dict(state["network"])
        self._network_update.optimizer.load_state_dict(state["optimizer"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        if self.adversary is not None:
            self.adversary.load_state_dict(state)

    def _adversary(self, spec: Discriminator) -> Adversary:
        network = started_discriminator(spec, self.recipe.seed).to(self.world.device)
        return Adversary(network, self._update_of(network, spec.optimizer), adversarial_terms(spec))

    def _update_of(self, network: nn.Module, spec: Optimizer) -> NetworkUpdate:
        if self.recipe.resources.recompute:
            recompute_blocks(network)
        if self.recipe.resources.sync_batch_norm:
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        if self.recipe.resources.compile:
            network.compile()
        moved = optimizer(spec, network, self._replay)
        return NetworkUpdate(self.world.wrapped(network), moved, spec.clip_gradient)

    def _schedule(self) -> None:
        steps = self.recipe.length.steps
        place, total = (self.position.step, steps) if steps else (int(min(1.0, self.progress) * FINE), FINE)
        updates = [(self._network_update, self.recipe.optimizer)]
        if self.adversary is not None and self.recipe.discriminator is not None:
            updates.append((self.adversary.update, self.recipe.discriminator.optimizer))
        for update, spec in updates:
            factor = build_schedule(spec.schedule.name, spec.schedule.arguments)(place, total)
            for group in update.optimizer.param_groups:
                group["lr"] = spec.learning_rate * factor

    def _restoration(self) -> RestorationStep:
        recipe, adversary = self.recipe, self.adversary
        losses = [
            (each.name, each.weight, _moved(build_loss(each.name, each.arguments), self.world.device))
            for each in recipe.losses
        ]
        return RestorationStep(
            self._network_update,
            losses,
            discriminator=adversary.update if adversary else None,
            adversarial=adversary.terms if adversary else None,
            value_range=recipe.network.value_range,
            precision=self._precision,
            distillation=self._distillation(recipe.teacher) if recipe.teacher is not None else None,
            replay=self._replay,
        )

    def _distillation(self, spec: Teacher) -> Distillation:
        restorer = teacher_of(spec).to(self.world.device)
        return Distillation(
            model_of(restorer),
            self.network,
            value_range=restorer.card.value_range,
            weight=spec.weight,
            distance=spec.distance,
            feature_weight=spec.feature_weight,
        )

    def _generation(self) -> GenerationStep:
        recipe, growth = self.recipe, self.recipe.growth
        assert self.adversary is not None
        generator: Any = self.network
        sizes = None
        if growth is not None:
            sizes = ProgressiveGrowth(
                image_size=generator.image_size, steps_per_size=growth.steps_per_size, fading=growth.fading
            )
        return GenerationStep(
            self._network_update,
            self.adversary.update,
            self.adversary.terms,
            latent=generator.latent,
            latent_distribution=recipe.latents,
            growth=sizes,
            value_range=recipe.network.value_range,
            precision=self._precision,
            replay=self._replay,
        )

    @property
    def _replay(self) -> Replay:
        resources, world = self.recipe.resources, self.world
        changes_code = resources.compile or resources.recompute
        alone_on_a_gpu = world.device.type == "cuda" and world.size == 1
        return Replay(wanted=resources.cuda_graphs and alone_on_a_gpu and not changes_code)

    @property
    def _precision(self) -> torch.dtype | None:
        return torch.bfloat16 if self.recipe.precision == "bfloat16" else None


def _seed_draws(seed: int, device: torch.device) -> None:
    """Of steps on this device. Torch's own function takes a millisecond to seed GPUs that are not there."""
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.manual_seed(seed)


def _moved(loss: Any, device: torch.device) -> Any:
    return loss.to(device) if isinstance(loss, nn.Module) else loss


def _rate(update: NetworkUpdate) -> float:
    return float(update.optimizer.param_groups[0]["lr"])
