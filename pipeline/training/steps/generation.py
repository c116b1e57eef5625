"""One step of training a generator of images from latents, in plain torch.

Shapes: B batch, Z numbers of a latent, C channels, N the side of the image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Generator, Tensor

from pipeline.training.steps.adversarial_terms import AdversarialTerms
from pipeline.training.steps.discriminator import DiscriminatorStep, Microbatch
from pipeline.training.steps.groups import groups_of, shares_of
from pipeline.training.steps.growth import FullSize, Growth, Stage
from pipeline.training.steps.network_update import NetworkUpdate, synchronised
from pipeline.training.steps.precision import autocast, checked
from pipeline.training.steps.replay import NEVER, Made, Replay
from pipeline.training.steps.scalars import Scalars

DISTRIBUTIONS = ("normal", "uniform")


class GenerationStep:
    """``train(batches, step, rng)``: one step of the generator, then those of the discriminator.

    The discriminator's first step sees the fakes that the generator learned from, further ones new fakes.
    Latents have ``latent`` numbers from N(0, 1), or U(-1, 1) as in DCGAN's paper. Images are shown to the
    discriminator in ``value_range``, the generator's own. Raises ``ValueError`` where the parts do not fit.
    """

    def __init__(
        self,
        generator: NetworkUpdate,
        discriminator: NetworkUpdate,
        adversarial: AdversarialTerms,
        *,
        latent: int,
        latent_distribution: str = "normal",
        growth: Growth | None = None,
        precision: torch.dtype | None = None,
        value_range: tuple[float, float] = (-1.0, 1.0),
        replay: Replay = NEVER,
    ) -> None:
        if latent < 1:
            raise ValueError(f"latent must be 1 or more, got {latent}")
        if latent_distribution not in DISTRIBUTIONS:
            known = ", ".join(DISTRIBUTIONS)
            raise ValueError(f"latent_distribution must be one of {known}; got {latent_distribution!r}")
        self._generator, self._latent, self._distribution = generator, latent, latent_distribution
        self._steps, self._growth = adversarial.discriminator_steps, growth or FullSize()
        self._precision, self._range = checked(precision), value_range
        self._discriminate = DiscriminatorStep(discriminator, adversarial, self._precision, replay)
        self._replay = replay

    def __call__(self, batches: Sequence[Tensor], step: int, rng: Generator) -> dict[str, Tensor]:
        """Real images BCNN in [0, 1], shared out among the discriminator's steps in order.

        Detached scalars on the device as ``RestorationStep`` gives; those of the discriminator are of its
        last step. ``ValueError`` unless the number of batches is a multiple of the discriminator's steps.
        """
        stage = self._growth(step)
        low, high = self._range
        real = [stage.real(batch_BCNN * (high - low) + low) for batch_BCNN in batches]
        groups = groups_of(real, self._steps)
        report, fakes = self._move_generator(groups[0], stage, rng)
        finite = report["finite"]
        for number, group in enumerate(groups):
            microbatches = self._microbatches(group, fakes if number == 0 else None, stage, rng)
            moved = self._discriminate(microbatches, len(group), step, rng, stage.discriminator_arguments)
            finite = finite & moved["finite"]
            report |= moved
        return {**report, "finite": finite}

    def draw(self, batch: int, rng: Generator) -> Tensor:
        """Latents BZ on the random generator's device."""
        if self._distribution == "normal":
            return torch.randn(batch, self._latent, generator=rng, device=rng.device)
        return torch.rand(batch, self._latent, generator=rng, device=rng.device) * 2 - 1

    def _move_generator(
        self, real: Sequence[Tensor], stage: Stage, rng: Generator
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """The generator's step; what it reports, and the fakes the discriminator saw."""
        latents = [self.draw(len(each), rng).to(each.device, non_blocking=True) for each in real]

        def learn(tensors: Sequence[Tensor]) -> Made:
            return self._learn(tensors[: len(real)], tensors[len(real) :], stage)

        # What is handed over while images grow changes from step to step.
        kind = None if stage.generator_arguments or stage.discriminator_arguments else "generator"
        report, fakes = self._replay(kind, [*real, *latents], learn, self._generator.inner)
        self._generator.move()
        return report, fakes

    def _learn(self, real: Sequence[Tensor], latents: Sequence[Tensor], stage: Stage) -> Made:
        """The gradient, judged."""
        scalars, fakes = Scalars(), list[Tensor]()
        self._generator.begin()
        for number, ((share, real_BCNN), latent_BZ) in enumerate(
            zip(_shared(real), latents, strict=True), start=1
        ):
            with synchronised(self._generator.network, wanted=number == len(real)):
                with autocast(latent_BZ, self._precision):
                    fake_BCNN: Tensor = self._generator.network(latent_BZ, **stage.generator_arguments)
                fake_BCNN = fake_BCNN.float()
                losses = self._discriminate.generator_losses(
                    real_BCNN, fake_BCNN, stage.discriminator_arguments
                )
                loss = losses["generator_adversarial"]
                (share * loss).backward()  # type: ignore[no-untyped-call]
            scalars.add(share, loss=loss, loss_generator_adversarial=loss)
            fakes.append(fake_BCNN.detach())
        norm, finite = self._generator.judge()
        finite = finite & scalars.values["loss"].isfinite()
        return {**scalars.values, "gradient_norm": norm, "finite": finite}, fakes

    def _microbatches(
        self, real: Sequence[Tensor], fakes: Sequence[Tensor] | None, stage: Stage, rng: Generator
    ) -> Iterator[Microbatch]:
        for number, (share, real_BCNN) in enumerate(_shared(real)):
            yield share, real_BCNN, fakes[number] if fakes else self._fake(real_BCNN, stage, rng)

    @torch.no_grad()
    def _fake(self, real_BCNN: Tensor, stage: Stage, rng: Generator) -> Tensor:
        latent_BZ = self.draw(len(real_BCNN), rng).to(real_BCNN.device, non_blocking=True)
        with autocast(latent_BZ, self._precision):
            fake_BCNN: Tensor = self._generator.inner(latent_BZ, **stage.generator_arguments)
        return fake_BCNN.float()


def _shared(batches: Sequence[Tensor]) -> list[tuple[float, Tensor]]:
    """Each batch with its share of the images."""
    return list(zip(shares_of([len(each) for each in batches]), batches, strict=True))
