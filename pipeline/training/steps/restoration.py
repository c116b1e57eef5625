"""One step of training a restorer on pairs, with a discriminator or without, in plain torch.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from models.losses import Adversarial, FeatureMatching, Loss, MaskedLoss, Penalty
from models.networks import CONDITIONS
from pipeline.training.steps.discriminator import DiscriminatorStep
from pipeline.training.steps.example import Example
from pipeline.training.steps.network_update import NetworkUpdate, synchronised, unwrapped
from pipeline.training.steps.precision import autocast, checked
from pipeline.training.steps.scalars import Scalars

WeightedLoss = tuple[str, float, Loss | MaskedLoss]
"""Name in the report, weight, loss."""


class RestorationStep:
    """``train(examples, step, rng)``: one step of the generator over all examples, then one of the
    discriminator on the images that the generator had made.

    Networks get and give ``value_range``; losses see [0, 1]. The discriminator sees ``discriminator_range``,
    that of the networks if not given, and with ``conditional`` the degraded image's channels first, as in
    pix2pix.
    Below step ``fidelity_only_until`` only the pixel losses train. Raises ``ValueError`` where the
    parts do not fit together.
    """

    def __init__(
        self,
        generator: NetworkUpdate,
        losses: Sequence[WeightedLoss],
        *,
        discriminator: NetworkUpdate | None = None,
        adversarial: Adversarial | None = None,
        adversarial_weight: float = 0.0,
        penalty: Penalty | None = None,
        penalty_weight: float = 0.0,
        penalty_every: int = 1,
        feature_matching: FeatureMatching | None = None,
        feature_matching_weight: float = 0.0,
        precision: torch.dtype | None = None,
        fidelity_only_until: int = 0,
        value_range: tuple[float, float] = (0.0, 1.0),
        discriminator_range: tuple[float, float] | None = None,
        conditional: bool = False,
    ) -> None:
        if not losses and discriminator is None:
            raise ValueError("a restorer needs losses or a discriminator to learn from")
        if (discriminator is None) != (adversarial is None):
            raise ValueError("discriminator and adversarial loss go together: give both or neither")
        self._generator, self._losses = generator, tuple(losses)
        self._precision, self._fidelity_only_until = checked(precision), fidelity_only_until
        self._range, self._discriminator_range = value_range, discriminator_range or value_range
        self._conditional = conditional
        self._weights = {
            "generator_adversarial": adversarial_weight,
            "feature_matching": feature_matching_weight,
        }
        self._discriminate: DiscriminatorStep | None = None
        if discriminator is not None and adversarial is not None:
            self._discriminate = DiscriminatorStep(
                discriminator,
                adversarial,
                penalty=penalty,
                penalty_weight=penalty_weight,
                penalty_every=penalty_every,
                feature_matching=feature_matching,
                precision=self._precision,
            )

    def __call__(self, examples: Sequence[Example], step: int, rng: Generator) -> dict[str, Tensor]:
        """Detached scalars on the device; nothing waits for it.

        ``loss`` is what the generator made small, ``loss_NAME`` each term before its weight, ``d_real``
        and ``d_fake`` mean logits, ``gradient_norm`` that of the generator before clipping, ``finite``
        whether losses and gradients of both networks were; a gradient that is not counts as zero.
        """
        total = sum(len(each.target_BCHW) for each in examples)
        shares = [len(each.target_BCHW) / total for each in examples]
        discriminate = self._discriminate if step >= self._fidelity_only_until else None
        scalars, restored = Scalars(), list[Tensor]()
        self._generator.begin()
        for number, (share, example) in enumerate(zip(shares, examples, strict=True), start=1):
            with synchronised(self._generator.network, wanted=number == len(examples)):
                restored_BCHW = self._restore(example)
                loss = self._loss(restored_BCHW, example, discriminate, share, scalars)
                (share * loss).backward()  # type: ignore[no-untyped-call]
            restored.append(restored_BCHW.detach())
        norm, finite = self._generator.finish()
        finite = finite & scalars.values["loss"].isfinite()
        report = {**scalars.values, "gradient_norm": norm, "finite": finite}
        if discriminate is not None:
            pairs = zip(shares, examples, restored, strict=True)
            microbatches = ((share, *self._discriminator_images(each, fake)) for share, each, fake in pairs)
            moved = discriminate(microbatches, len(examples), step, rng, {})
            report |= moved | {"finite": finite & moved["finite"]}
        return report

    def _restore(self, example: Example) -> Tensor:
        """The network's output in [0, 1], float32; through the wrapper, all of the batch at once."""
        low, high = self._range
        degraded_BCHW = example.degraded_BCHW * (high - low) + low
        wanted = getattr(unwrapped(self._generator.network), "conditions", ())
        given = [CONDITIONS[name](degraded_BCHW, example.condition) for name in wanted]
        with autocast(degraded_BCHW, self._precision):
            restored_BCHW: Tensor = self._generator.network(degraded_BCHW, *given)
        if restored_BCHW.shape != example.target_BCHW.shape:
            raise ValueError(
                f"the network made {tuple(degraded_BCHW.shape)} into {tuple(restored_BCHW.shape)}, but the "
                f"target is {tuple(example.target_BCHW.shape)}; let degradation and network have one scale"
            )
        return (restored_BCHW.float() - low) / (high - low)

    def _loss(
        self,
        restored_BCHW: Tensor,
        example: Example,
        discriminate: DiscriminatorStep | None,
        share: float,
        scalars: Scalars,
    ) -> Tensor:
        terms = [(name, weight, _term(loss, restored_BCHW, example)) for name, weight, loss in self._losses]
        if discriminate is not None:
            losses = discriminate.generator_losses(*self._discriminator_images(example, restored_BCHW), {})
            terms += [(name, self._weights[name], term) for name, term in losses.items()]
        if not terms:
            raise ValueError("no losses before fidelity_only_until: give the generator pixel losses too")
        loss = torch.stack([weight * term for _, weight, term in terms]).sum()
        scalars.add(share, loss=loss, **{f"loss_{name}": term for name, _, term in terms})
        return loss

    def _discriminator_images(self, example: Example, restored_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """The target and the restored image as the discriminator sees them."""
        low, high = self._discriminator_range
        images = [example.target_BCHW, restored_BCHW]
        if self._conditional:
            images = [torch.cat((example.degraded_BCHW, each), dim=1) for each in images]
        real_BCHW, fake_BCHW = (each * (high - low) + low for each in images)
        return real_BCHW, fake_BCHW


def _term(loss: Loss | MaskedLoss, restored_BCHW: Tensor, example: Example) -> Tensor:
    if not getattr(loss, "needs_mask", False):
        return loss(restored_BCHW, example.target_BCHW)  # type: ignore[call-arg]  # needs_mask says which
    mask_B1HW = example.condition.mask_B1HW
    if mask_B1HW is None:
        raise ValueError(f"{type(loss).__name__} needs a mask, but the degradation hides no pixels")
    return loss(restored_BCHW, example.target_BCHW, mask_B1HW.to(restored_BCHW))  # type: ignore[call-arg]
