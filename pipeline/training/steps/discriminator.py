"""The discriminator's part in training: its own step, and the losses that it gives the generator.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Generator, Tensor

from models.losses import Adversarial, FeatureMatching, Logits, Penalty
from models.losses.adversarial import mean_logit
from pipeline.training.steps.network_update import NetworkUpdate, frozen, synchronised, unwrapped
from pipeline.training.steps.precision import autocast
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
        adversarial: Adversarial,
        *,
        penalty: Penalty | None = None,
        penalty_weight: float = 0.0,
        penalty_every: int = 1,
        feature_matching: FeatureMatching | None = None,
        precision: torch.dtype | None = None,
    ) -> None:
        if penalty_every < 1:
            raise ValueError(f"penalty_every must be 1 or more, got {penalty_every}")
        if penalty_weight and penalty is None:
            raise ValueError(f"penalty_weight is {penalty_weight:g}, but there is no penalty; give one")
        self.update, self.adversarial, self.precision = update, adversarial, precision
        self._penalty, self._penalty_weight, self._penalty_every = penalty, penalty_weight, penalty_every
        self._feature_matching = feature_matching

    def generator_losses(
        self, real_BCHW: Tensor, fake_BCHW: Tensor, arguments: Mapping[str, Any]
    ) -> dict[str, Tensor]:
        """The generator's losses by name; their gradients reach the fakes alone."""
        inner = self.update.inner
        with frozen(inner), autocast(fake_BCHW, self.precision):
            real: Logits | None = None
            if self.adversarial.needs_real:
                with torch.no_grad():
                    real = inner(real_BCHW, **arguments)
            losses = {
                "generator_adversarial": self.adversarial.generator(real, inner(fake_BCHW, **arguments))
            }
            if self._feature_matching is not None:
                # Its own forward pass: not every discriminator gives logits and features at once.
                shown: Any = unwrapped(inner)
                losses["feature_matching"] = self._feature_matching(shown, real_BCHW, fake_BCHW)
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
        penalised = self._penalty is not None and self._penalty_weight > 0 and step % self._penalty_every == 0
        scalars = Scalars()
        self.update.begin()
        for number, (share, real_BCHW, fake_BCHW) in enumerate(microbatches, start=1):
            with synchronised(self.update.network, wanted=number == count):
                loss, mean_logits = self._loss(real_BCHW, fake_BCHW.detach(), arguments)
                scalars.add(share, loss_discriminator=loss, **mean_logits)
                if penalised:
                    penalty = self._slope(real_BCHW, fake_BCHW.detach(), rng, arguments)
                    scalars.add(share, penalty=penalty)
                    loss = loss + self._penalty_weight * self._penalty_every * penalty
                (share * loss).backward()  # type: ignore[no-untyped-call]
        norm, finite = self.update.finish()
        values = scalars.values
        if self.adversarial.remembers:
            self.adversarial.update(mean_over_ranks(values["d_real"]), mean_over_ranks(values["d_fake"]))
        finite = finite & values["loss_discriminator"].isfinite()
        return {**values, "gradient_norm_discriminator": norm, "finite": finite}

    def _loss(
        self, real_BCHW: Tensor, fake_BCHW: Tensor, arguments: Mapping[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        with autocast(real_BCHW, self.precision):
            real: Logits = self.update.network(real_BCHW, **arguments)
            fake: Logits = self.update.inner(fake_BCHW, **arguments)
        mean_logits = {"d_real": mean_logit(real), "d_fake": mean_logit(fake)}
        return self.adversarial.discriminator(real, fake), mean_logits

    def _slope(
        self, real_BCHW: Tensor, fake_BCHW: Tensor, rng: Generator, arguments: Mapping[str, Any]
    ) -> Tensor:
        """In float32, and past any compiled code, which cannot be differentiated twice."""
        assert self._penalty is not None
        forward: Callable[..., Logits] = unwrapped(self.update.network).forward
        with autocast(real_BCHW, None):
            return self._penalty(
                lambda image_BCHW: forward(image_BCHW, **arguments), real_BCHW.float(), fake_BCHW.float(), rng
            )
