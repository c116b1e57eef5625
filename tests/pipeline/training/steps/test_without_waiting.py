"""No step asks the device for a number: on a GPU each such question stops the queue.

Fake tensors have shapes and no values; whoever asks for one (``item``, ``float``, ``if``) fails.
"""

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from models.contract import Condition
from models.discriminators import build_discriminator
from models.losses import ADVERSARIAL, build_adversarial, build_feature_matching, build_loss, build_penalty
from models.networks import build_generator, build_network
from pipeline.training.steps.adversarial_terms import AdversarialTerms
from pipeline.training.steps.example import Example
from pipeline.training.steps.generation import GenerationStep
from pipeline.training.steps.moving_average import MovingAverage
from pipeline.training.steps.network_update import NetworkUpdate
from pipeline.training.steps.restoration import RestorationStep


@pytest.fixture
def fake():
    with FakeTensorMode() as mode:
        yield mode


def update_of(network):
    return NetworkUpdate(
        network, torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9), clip_gradient=1.0
    )


def test_the_method_finds_a_question(fake):
    with pytest.raises(DataDependentOutputException):
        float(torch.rand(3).sum())


@pytest.mark.parametrize(
    ("name", "precision"), [*((name, None) for name in sorted(ADVERSARIAL)), ("hinge", torch.bfloat16)]
)
def test_restoration(fake, name, precision):
    network = build_network("ffdnet", {"channels": 3, "features": 8, "layers": 3})
    # Fake operations are slow: all losses with one of the discriminator's, which they know nothing of.
    with_one = ("mse", "charbonnier", "psnr", "ssim", "frequency", "total_variation", "masked_l1")
    losses = [(each, 1.0, build_loss(each, {})) for each in ("l1", *with_one * (name == "hinge"))]
    step = RestorationStep(
        update_of(network),
        losses,
        discriminator=update_of(build_discriminator("patch", {"features": 4, "channels": 3, "layers": 1})),
        adversarial=AdversarialTerms(
            loss=build_adversarial(name, {}),
            weight=0.1,
            penalty=build_penalty("r1", {}),
            penalty_weight=1.0,
            feature_matching=build_feature_matching({}),
            feature_matching_weight=1.0,
        ),
        precision=precision,
    )
    known = Condition(noise_level_B=torch.rand(2), mask_B1HW=torch.ones(2, 1, 16, 16))
    given = Example(torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16), known)
    average = MovingAverage(network, 0.9)
    for number in range(2):
        report = step([given, given], number, torch.Generator())
        average.update(number)
    assert all(value.shape == () for value in report.values())


@pytest.mark.parametrize("name", sorted(ADVERSARIAL))
def test_generation(fake, name):
    discriminator = {"image_size": 8, "features": 4, "normalisation": "none"}
    step = GenerationStep(
        update_of(build_generator("dcgan", {"image_size": 8, "features": 4, "latent": 8})),
        update_of(build_discriminator("dcgan", discriminator)),
        AdversarialTerms(
            loss=build_adversarial(name, {}),
            penalty=build_penalty("gradient", {}),
            penalty_weight=10.0,
            discriminator_steps=2,
        ),
        latent=8,
    )
    for number in range(2):
        report = step([torch.rand(4, 3, 8, 8)] * 2, number, torch.Generator())
    assert all(value.shape == () for value in report.values())
