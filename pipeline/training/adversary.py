"""The discriminator of a run with all that it learns by: built from a recipe, kept in checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from models.discriminators import build_discriminator
from models.losses import build_adversarial, build_feature_matching, build_penalty
from pipeline.hashing import seed_of
from pipeline.training.recipe.sections import Discriminator
from pipeline.training.steps.adversarial_terms import AdversarialTerms
from pipeline.training.steps.network_update import NetworkUpdate


@dataclass(frozen=True)
class Adversary:
    """A discriminator, what updates it, and the adversarial terms."""

    network: nn.Module
    update: NetworkUpdate
    terms: AdversarialTerms

    def state_dict(self) -> dict[str, Any]:
        """Its entries of a checkpoint."""
        return {
            "discriminator": self.network.state_dict(),
            "discriminator_optimizer": self.update.optimizer.state_dict(),
            "adversarial": self.terms.loss.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a checkpoint."""
        self.network.load_state_dict(state["discriminator"])
        self.update.optimizer.load_state_dict(state["discriminator_optimizer"])
        self.terms.loss.load_state_dict(state["adversarial"])


def started_discriminator(spec: Discriminator, seed: int) -> nn.Module:
    """The discriminator with the weights that a run begins with."""
    torch.manual_seed(seed_of(str(seed), "discriminator"))
    return build_discriminator(spec.architecture, spec.arguments)


def adversarial_terms(spec: Discriminator) -> AdversarialTerms:
    """The terms of this section of a recipe."""
    penalty, matching = spec.penalty, spec.feature_matching
    return AdversarialTerms(
        loss=build_adversarial(spec.adversarial.name, spec.adversarial.arguments),
        weight=spec.weight,
        penalty=build_penalty(penalty.name, penalty.arguments) if penalty else None,
        penalty_weight=penalty.weight if penalty else 0.0,
        penalty_every=penalty.every if penalty else 1,
        feature_matching=build_feature_matching({"distance": matching.distance}) if matching else None,
        feature_matching_weight=matching.weight if matching else 0.0,
        start_step=spec.start_step,
        discriminator_steps=spec.steps,
        conditional=spec.conditional,
        augmentations=spec.augmentations,
        value_range=spec.value_range,
    )
