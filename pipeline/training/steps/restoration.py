"""One step of training a restorer on pairs, with a discriminator or without, in plain torch.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from models.losses import AnyLoss
from models.networks import CONDITIONS
from pipeline.training.steps.adversarial_terms import AdversarialTerms
from pipeline.training.steps.discriminator import DiscriminatorStep, Microbatch
from pipeline.training.steps.distillation import Distillation
from pipeline.training.steps.example import Example, kind_of
from pipeline.training.steps.groups import groups_of, shares_of
from pipeline.training.steps.network_update import NetworkUpdate, synchronised, unwrapped
from pipeline.training.steps.precision import autocast, checked
from pipeline.training.steps.replay import NEVER, Made, Replay
from pipeline.training.steps.scalars import Scalars

WeightedLoss = tuple[str, float, AnyLoss]
"""Name in the report, weight, loss."""


class Output(NamedTuple):
    """What a network made of a batch, in [0, 1] and float32."""

    image_BCHW: Tensor
    half_width_BCHW: Tensor | None
    """Of networks that say how far they may be off."""


class RestorationStep:
    """``train(examples, step, rng)``: one step of the generator, then those of the discriminator.

    With several steps of the discriminator the examples are shared out among them in order. The generator
    learns from the first group, and the first step of the discriminator sees the images it made of that
    group; further steps see what it makes of the others. Networks get and give ``value_range``; losses see
    [0, 1]. Raises ``ValueError`` where the parts do not fit together.
    """

    def __init__(
        self,
        generator: NetworkUpdate,
        losses: Sequence[WeightedLoss],
        *,
        discriminator: NetworkUpdate | None = None,
        adversarial: AdversarialTerms | None = None,
        precision: torch.dtype | None = None,
        value_range: tuple[float, float] = (0.0, 1.0),
        distillation: Distillation | None = None,
        replay: Replay = NEVER,
    ) -> None:
        if not losses and discriminator is None:
            raise ValueError("a restorer needs losses or a discriminator to learn from")
        if (discriminator is None) != (adversarial is None):
            raise ValueError("discriminator and adversarial terms go together: give both or neither")
        self._generator, self._losses = generator, _told_apart(losses)
        self._precision, self._range, self._terms = checked(precision), value_range, adversarial
        self._discriminate: DiscriminatorStep | None = None
        self._distillation, self._replay = distillation, replay
        if discriminator is not None and adversarial is not None:
            self._discriminate = DiscriminatorStep(discriminator, adversarial, self._precision, replay)

    def __call__(self, examples: Sequence[Example], step: int, rng: Generator) -> dict[str, Tensor]:
        """Detached scalars on the device; nothing waits for it.

        ``loss`` is what the generator made small, ``loss_NAME`` each term before its weight, ``d_real``
        and ``d_fake`` mean logits of the discriminator's last step, ``gradient_norm`` that of the generator
        before clipping, ``finite`` whether losses and gradients of both networks were; a gradient that is
        not counts as zero.
        """
        terms = self._terms
        if self._discriminate is None or terms is None or step < terms.start_step:
            return self._update_generator(examples, None)[0]
        groups = groups_of(examples, terms.discriminator_steps)
        report, restored = self._update_generator(groups[0], self._discriminate)
        finite = report["finite"]
        for number, group in enumerate(groups):
            microbatches = self._microbatches(group, restored if number == 0 else None)
            moved = self._discriminate(microbatches, len(group), step, rng, {})
            finite = finite & moved["finite"]
            report |= moved
        return report | {"finite": finite}

    def _update_generator(
        self, examples: Sequence[Example], discriminate: DiscriminatorStep | None
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """The generator's step; what it reports, and the images it made for the discriminator."""

        def learn(tensors: Sequence[Tensor]) -> Made:
            given = iter(tensors)
            return self._learn([each.of_tensors(given) for each in examples], discriminate)

        tensors = [tensor for each in examples for tensor in each.tensors()]
        kind = ("generator", discriminate is not None, known) if (known := kind_of(examples)) else None
        report, restored = self._replay(kind, tensors, learn, self._generator.inner)
        self._generator.move()
        return report, restored

    def _learn(self, examples: Sequence[Example], discriminate: DiscriminatorStep | None) -> Made:
        """The gradient, judged."""
        scalars, restored = Scalars(), list[Tensor]()
        self._generator.begin()
        for number, (share, example) in enumerate(_shared(examples), start=1):
            with synchronised(self._generator.network, wanted=number == len(examples)):
                output = self._restore(self._generator.network, example)
                loss = self._loss(output, example, discriminate, share, scalars)
                (share * loss).backward()  # type: ignore[no-untyped-call]
            if discriminate is not None:
                restored.append(output.image_BCHW.detach())
        norm, finite = self._generator.judge()
        finite = finite & scalars.values["loss"].isfinite()
        return {**scalars.values, "gradient_norm": norm, "finite": finite}, restored

    def _microbatches(
        self, examples: Sequence[Example], restored: Sequence[Tensor] | None
    ) -> Iterator[Microbatch]:
        for number, (share, example) in enumerate(_shared(examples)):
            fake_BCHW = restored[number] if restored else self._restored_now(example)
            yield share, *self._discriminator_images(example, fake_BCHW)

    @torch.no_grad()
    def _restored_now(self, example: Example) -> Tensor:
        return self._restore(self._generator.inner, example).image_BCHW

    def _restore(self, network: torch.nn.Module, example: Example) -> Output:
        """Through the wrapper, all of the batch at once."""
        low, high = self._range
        degraded_BCHW = example.degraded_BCHW * (high - low) + low
        wanted = getattr(unwrapped(network), "conditions", ())
        given = [CONDITIONS[name](degraded_BCHW, example.condition) for name in wanted]
        with autocast(degraded_BCHW, self._precision):
            made: Tensor | tuple[Tensor, Tensor] = network(degraded_BCHW, *given)
        restored_BCHW, half_width_BCHW = made if isinstance(made, tuple) else (made, None)
        if restored_BCHW.shape != example.target_BCHW.shape:
            raise ValueError(
                f"the network made {tuple(degraded_BCHW.shape)} into {tuple(restored_BCHW.shape)}, but the "
                f"target is {tuple(example.target_BCHW.shape)}; let degradation and network have one scale"
            )
        if half_width_BCHW is not None:
            half_width_BCHW = half_width_BCHW.float() / (high - low)
        return Output((restored_BCHW.float() - low) / (high - low), half_width_BCHW)

    def _loss(
        self,
        output: Output,
        example: Example,
        discriminate: DiscriminatorStep | None,
        share: float,
        scalars: Scalars,
    ) -> Tensor:
        restored_BCHW = output.image_BCHW
        terms = [(name, weight, _term(loss, output, example)) for name, weight, loss in self._losses]
        if self._distillation is not None:
            terms += self._distillation(example, restored_BCHW)
        if discriminate is not None:
            weights = discriminate.terms.generator_weights
            losses = discriminate.generator_losses(*self._discriminator_images(example, restored_BCHW), {})
            terms += [(name, weights[name], term) for name, term in losses.items()]
        if not terms:
            raise ValueError("no losses before start_step: give the generator pixel losses too")
        loss = torch.stack([weight * term for _, weight, term in terms]).sum()
        scalars.add(share, loss=loss, **{f"loss_{name}": term for name, _, term in terms})
        return loss

    def _discriminator_images(self, example: Example, restored_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """The target and the restored image as the discriminator sees them."""
        assert self._terms is not None
        low, high = self._terms.value_range or self._range
        images = [example.target_BCHW, restored_BCHW]
        if self._terms.conditional:
            images = [torch.cat((example.degraded_BCHW, each), dim=1) for each in images]
        real_BCHW, fake_BCHW = (each * (high - low) + low for each in images)
        return real_BCHW, fake_BCHW


def _told_apart(losses: Sequence[WeightedLoss]) -> tuple[WeightedLoss, ...]:
    """Of several of one name the second is ``name_2``: each is a column of the report."""
    names = [name for name, _, _ in losses]
    numbers = [names[:at].count(name) + 1 for at, name in enumerate(names)]
    return tuple(
        (name if number == 1 else f"{name}_{number}", weight, loss)
        for number, (name, weight, loss) in zip(numbers, losses, strict=True)
    )


def _shared(examples: Sequence[Example]) -> list[tuple[float, Example]]:
    """Each example with its share of the images."""
    shares = shares_of([len(each.target_BCHW) for each in examples])
    return list(zip(shares, examples, strict=True))


def _term(loss: AnyLoss, output: Output, example: Example) -> Tensor:
    given = [output.image_BCHW, example.target_BCHW]
    if getattr(loss, "needs_mask", False):
        mask_B1HW = example.condition.mask_B1HW
        if mask_B1HW is None:
            raise ValueError(f"{type(loss).__name__} needs a mask, but the degradation hides no pixels")
        given.append(mask_B1HW.to(output.image_BCHW))
    if getattr(loss, "needs_half_width", False):
        if output.half_width_BCHW is None:
            raise ValueError(f"{type(loss).__name__} judges half-widths, but the network gives none")
        given.append(output.half_width_BCHW)
    return loss(*given)
