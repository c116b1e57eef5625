"""The discriminator's part in training: its own step, and the losses that it gives the generator.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from models.losses import Logits
from models.losses.adversarial import mean_logit
from pipeline.training.steps.adversarial_terms import AdversarialTerms
from pipeline.training.steps.augmentation import augmented
from pipeline.training.steps.network_update import NetworkUpdate, frozen, synchronised, unwrapped
from pipeline.training.steps.precision import autocast
from pipeline.training.steps.replay import NEVER, Made, Replay
from pipeline.training.steps.scalars import Scalars, mean_over_ranks

Microbatch = tuple[float, Tensor, Tensor]
"""Share of the step, real images, fake images: both in the discriminator's range."""


class DiscriminatorStep:
    """``discriminate(microbatches, ...)`` moves the discriminator; ``generator_losses`` is for the generator.

    Real and fake images go through it apart: batch normalisation and the standard deviation of a group
    are of one kind of images (Chintala et al., "How to train a GAN", NIPS 2016 tutorial).
    """

    def __init__(
        self,
        update: NetworkUpdate,
        terms: AdversarialTerms,
        precision: torch.dtype | None = None,
        replay: Replay = NEVER,
    ) -> None:
        self.update, self.terms, self.precision, self._replay = update, terms, precision, replay

    def generator_losses(
        self, real_BCHW: Tensor, fake_BCHW: Tensor, arguments: Mapping[str, Any]
    ) -> dict[str, Tensor]:
        """The generator's losses by name; their gradients reach the fakes alone."""
        inner = self.update.inner
        with frozen(inner), autocast(fake_BCHW, self.precision):
            real: Logits | None = None
            if self.terms.loss.needs_real:
                with torch.no_grad():
                    real = inner(self._shown(real_BCHW), **arguments)
            fake: Logits = inner(self._shown(fake_BCHW), **arguments)
            losses = {"generator_adversarial": self.terms.loss.generator(real, fake)}
            if self.terms.feature_matching is not None:
                # Its own forward pass: not every discriminator gives logits and features at once.
                shown: Any = unwrapped(inner)
                losses["feature_matching"] = self.terms.feature_matching(shown, real_BCHW, fake_BCHW)
        return losses

    def __call__(
        self,
        microbatches: Iterable[Microbatch],
        count: int,
        step: int,
        rng: Generator,
        arguments: Mapping[str, Any],
    ) -> dict[str, Tensor]:
        """One step of the optimizer over ``count`` microbatches, whose shares add up to one."""
        terms, penalised = self.terms, self.terms.penalises(step)
        parts = list(microbatches)
        shares = [share for share, _, _ in parts]

        def learn(tensors: Sequence[Tensor]) -> Made:
            images = iter(tensors)
            given = [(share, next(images), next(images)) for share in shares]
            return self._learn(given, count, penalised, rng, arguments), []

        # A penalty's draws are the host's, and what is remembered or handed over changes from step to step.
        is_same = not (penalised or terms.loss.remembers or arguments)
        kind = ("discriminator", *shares) if is_same else None
        tensors = [image_BCHW for _, *pair in parts for image_BCHW in pair]
        values, _ = self._replay(kind, tensors, learn, self.update.inner)
        self.update.move()
        if terms.loss.remembers:
            terms.loss.update(mean_over_ranks(values["d_real"]), mean_over_ranks(values["d_fake"]))
        return values

    def _learn(
        self,
        microbatches: Sequence[Microbatch],
        count: int,
        penalised: bool,
        rng: Generator,
        arguments: Mapping[str, Any],
    ) -> dict[str, Tensor]:
        """The gradient, judged; what there is to report."""
        terms, scalars = self.terms, Scalars()
        self.update.begin()
        for number, (share, real_BCHW, fake_BCHW) in enumerate(microbatches, start=1):
            with synchronised(self.update.network, wanted=number == count):
                loss, mean_logits = self._loss(real_BCHW, fake_BCHW.detach(), arguments)
                scalars.add(share, loss_discriminator=loss, **mean_logits)
                if penalised:
                    penalty = self._slope(real_BCHW, fake_BCHW.detach(), rng, arguments)
                    scalars.add(share, penalty=penalty)
                    loss = loss + terms.penalty_weight * terms.penalty_every * penalty
                (share * loss).backward()  # type: ignore[no-untyped-call]
        norm, finite = self.update.judge()
        values = scalars.values
        finite = finite & values["loss_discriminator"].isfinite()
        return {**values, "gradient_norm_discriminator": norm, "finite": finite}

    def _loss(
        self, real_BCHW: Tensor, fake_BCHW: Tensor, arguments: Mapping[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        with autocast(real_BCHW, self.precision):
            real: Logits = self.update.network(self._shown(real_BCHW), **arguments)
            fake: Logits = self.update.inner(self._shown(fake_BCHW), **arguments)
        mean_logits = {"d_real": mean_logit(real), "d_fake": mean_logit(fake)}
        return self.terms.loss.discriminator(real, fake), mean_logits

    def _shown(self, image_BCHW: Tensor) -> Tensor:
        """What it judges. Penalties and matched features are of the images themselves."""
        return augmented(image_BCHW, self.terms.augmentations)

    def _slope(
        self, real_BCHW: Tensor, fake_BCHW: Tensor, rng: Generator, arguments: Mapping[str, Any]
    ) -> Tensor:
        """In float32, and past any compiled code, which cannot be differentiated twice."""
        assert self.terms.penalty is not None
        forward: Callable[..., Logits] = unwrapped(self.update.network).forward
        with autocast(real_BCHW, None):
            return self.terms.penalty(
                lambda image_BCHW: forward(image_BCHW, **arguments), real_BCHW.float(), fake_BCHW.float(), rng
            )
