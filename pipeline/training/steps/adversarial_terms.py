"""What an adversarial training adds to the losses of a step, for all steps alike."""

from __future__ import annotations

from dataclasses import dataclass

from models.losses import Adversarial, FeatureMatching, Penalty


@dataclass(frozen=True, kw_only=True)
class AdversarialTerms:
    """The adversarial loss, what goes with it, and how often the discriminator steps.

    Raises ``ValueError`` where the terms do not fit together.
    """

    loss: Adversarial
    """Of generator and discriminator."""
    weight: float = 1.0
    """Of the generator's adversarial loss in the sum of a restorer's losses."""
    penalty: Penalty | None = None
    """On the discriminator's gradient."""
    penalty_weight: float = 0.0
    """In the discriminator's loss; times ``penalty_every``, so that the mean over steps stays the same."""
    penalty_every: int = 1
    """Steps from one penalty to the next (lazy regularisation)."""
    feature_matching: FeatureMatching | None = None
    """Of a restorer: distance of the discriminator's features of restored and true images."""
    feature_matching_weight: float = 0.0
    """In the sum of a restorer's losses."""
    start_step: int = 0
    """Of a restorer: before this step its other losses train alone."""
    discriminator_steps: int = 1
    """Steps of the discriminator for one of the generator."""
    conditional: bool = False
    """Of a restorer: the discriminator sees the degraded image's channels first, as in pix2pix."""
    augmentations: tuple[str, ...] = ()
    """Changes of all images that the discriminator judges, as in ``pipeline.training.steps.augmentation``."""
    value_range: tuple[float, float] | None = None
    """The range in which the discriminator sees a restorer's images; ``None``: that of the network."""

    def __post_init__(self) -> None:
        if self.penalty_every < 1 or self.discriminator_steps < 1:
            raise ValueError(
                "penalty_every and discriminator_steps must be 1 or more, "
                f"got {self.penalty_every} and {self.discriminator_steps}"
            )
        if self.penalty_weight and self.penalty is None:
            raise ValueError(f"penalty_weight is {self.penalty_weight:g}, but there is no penalty; give one")

    @property
    def generator_weights(self) -> dict[str, float]:
        """The weights of the generator's losses in its sum, by their names in the report."""
        return {"generator_adversarial": self.weight, "feature_matching": self.feature_matching_weight}

    def penalises(self, step: int) -> bool:
        """Whether the discriminator's loss has the penalty at this step."""
        return self.penalty is not None and self.penalty_weight > 0 and step % self.penalty_every == 0
