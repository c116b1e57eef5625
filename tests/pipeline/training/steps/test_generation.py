"""A step of generation: its two networks, its latents, its sizes."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from models.discriminators import build_discriminator
from models.losses import ADVERSARIAL, build_adversarial, build_penalty
from models.networks import build_generator
from pipeline.training.steps.adversarial_terms import AdversarialTerms
from pipeline.training.steps.generation import GenerationStep
from pipeline.training.steps.growth import FullSize, ProgressiveGrowth
from pipeline.training.steps.network_update import NetworkUpdate

LATENT = 16  # torch draws 16 normal numbers at a time: parts of a batch then draw what the batch would


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def sgd(network, rate=0.1):
    return NetworkUpdate(network, torch.optim.SGD(network.parameters(), lr=rate))


def adam(network, rate=2e-3):
    return NetworkUpdate(network, torch.optim.Adam(network.parameters(), lr=rate, betas=(0.5, 0.99)))


class Painter(nn.Module):
    """The least generator: a dense layer, no normalisation over the batch."""

    def __init__(self, side=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(LATENT, 32),
            nn.LeakyReLU(0.2),
            nn.Linear(32, side * side),
            nn.Unflatten(1, (1, side, side)),
        )

    def forward(self, latent_BZ):
        return torch.tanh(self.layers(latent_BZ))


class Critic(nn.Module):
    def __init__(self, side=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(side * side, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1), nn.Flatten(0)
        )

    def forward(self, image_BCNN):
        return self.layers(image_BCNN)


def networks(seed=0):
    torch.manual_seed(seed)
    return Painter(), Critic()


def real(batch=4, seed=5):
    return torch.rand(batch, 1, 8, 8, generator=rng(seed))


def weights(network):
    return [each.detach().clone() for each in network.parameters()]


def moved(network, before):
    return any(not torch.equal(a, b) for a, b in zip(network.parameters(), before, strict=True))


@pytest.mark.parametrize("name", sorted(ADVERSARIAL))
class TestTwoNetworks:
    def test_each_optimizer_moves_its_own_network_only(self, name):
        for rates in ((0.1, 0.0), (0.0, 0.1)):
            painter, critic = networks()
            before = weights(painter), weights(critic)
            step = GenerationStep(
                sgd(painter, rates[0]),
                sgd(critic, rates[1]),
                AdversarialTerms(loss=build_adversarial(name, {}), discriminator_steps=2),
                latent=LATENT,
            )
            step([real(), real(seed=6)], 0, rng())
            assert moved(painter, before[0]) == (rates[0] > 0)
            assert moved(critic, before[1]) == (rates[1] > 0)

    def test_gradients_are_those_of_the_two_losses_alone(self, name):
        painter, critic = networks()
        painter_0, critic_0 = copy.deepcopy(painter), copy.deepcopy(critic)
        adversarial, shown = build_adversarial(name, {}), real() * 2 - 1
        step = GenerationStep(
            sgd(painter, 0.0), sgd(critic, 0.0), AdversarialTerms(loss=adversarial), latent=LATENT
        )
        report = step([real()], 0, rng())

        fake = painter_0(torch.randn(4, LATENT, generator=rng()))
        loss = adversarial.generator(critic_0(shown).detach(), critic_0(fake))
        loss.backward()
        for ours, theirs in zip(painter.parameters(), painter_0.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad)
        assert report["loss_generator_adversarial"].item() == pytest.approx(loss.item(), rel=1e-5)
        critic_0.zero_grad()
        adversarial.discriminator(critic_0(shown), critic_0(fake.detach())).backward()
        for ours, theirs in zip(critic.parameters(), critic_0.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad)


# Not relativistic_average: its average is over the images of one part.
@pytest.mark.parametrize("name", sorted(ADVERSARIAL.keys() - {"relativistic_average"}))
def test_parts_make_the_step_of_the_whole(name):
    results = []
    for batches in ([real(6)], list(real(6).split([1, 2, 3]))):
        painter, critic = networks()
        step = GenerationStep(
            sgd(painter),
            sgd(critic),
            AdversarialTerms(
                loss=build_adversarial(name, {}), penalty=build_penalty("gradient", {}), penalty_weight=10.0
            ),
            latent=LATENT,
        )
        for number in range(3):
            step(batches, number, rng(number))
        results.append(weights(painter) + weights(critic))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


class TestCritic:
    def test_each_of_its_steps_has_its_own_real_images_and_new_fakes(self):
        painter, critic, seen = *networks(), []
        step = GenerationStep(
            sgd(painter),
            sgd(critic),
            AdversarialTerms(loss=build_adversarial("wasserstein", {}), discriminator_steps=3),
            latent=LATENT,
        )
        critic.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
        batches = [real(seed=s) for s in range(3)]
        step(batches, 0, rng())
        generator_saw, *pairs = seen
        assert len(pairs) == 6
        for batch, shown in zip(batches, pairs[::2], strict=True):
            torch.testing.assert_close(shown, batch * 2 - 1)
        fakes = pairs[1::2]
        assert torch.equal(fakes[0], generator_saw)
        assert not torch.equal(fakes[1], fakes[0])
        assert not torch.equal(fakes[2], fakes[1])

    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_batches_that_cannot_be_shared_out_are_refused(self, count):
        painter, critic = networks()
        adversarial = build_adversarial("hinge", {})
        step = GenerationStep(
            sgd(painter),
            sgd(critic),
            AdversarialTerms(loss=adversarial, discriminator_steps=2),
            latent=LATENT,
        )
        with pytest.raises(ValueError, match=f"{count} batches cannot be shared out among 2 steps"):
            step([real()] * count, 0, rng())


class TestLatents:
    def step(self, distribution):
        painter, critic = networks()
        return GenerationStep(
            sgd(painter),
            sgd(critic),
            AdversarialTerms(loss=build_adversarial("vanilla", {})),
            latent=LATENT,
            latent_distribution=distribution,
        )

    def test_have_their_distribution(self):
        normal, uniform = (self.step(name).draw(4000, rng()) for name in ("normal", "uniform"))
        assert normal.shape == (4000, LATENT)
        assert normal.std().item() == pytest.approx(1, abs=0.02)
        assert normal.abs().max() > 3
        assert uniform.std().item() == pytest.approx(2 / np.sqrt(12), abs=0.02)
        assert uniform.abs().max() <= 1

    def test_come_from_the_generator_alone(self):
        step = self.step("normal")
        torch.manual_seed(1)
        first = step.draw(3, rng(4))
        torch.manual_seed(2)
        assert torch.equal(first, step.draw(3, rng(4)))

    def test_wrong_arguments_are_named(self):
        with pytest.raises(ValueError, match="must be one of normal, uniform; got 'cauchy'"):
            self.step("cauchy")
        painter, critic = networks()
        with pytest.raises(ValueError, match="latent must be 1 or more, got 0"):
            GenerationStep(
                sgd(painter), sgd(critic), AdversarialTerms(loss=build_adversarial("vanilla", {})), latent=0
            )


class TestGrowth:
    def test_sizes_and_fades_follow_the_steps(self):
        growth = ProgressiveGrowth(image_size=16, steps_per_size=8, fading=0.5)
        stages = [growth(step) for step in range(30)]
        assert [s.image_size for s in stages] == [4] * 8 + [8] * 8 + [16] * 14
        assert [s.fade for s in stages[:8]] == [1.0] * 8
        assert [s.fade for s in stages[8:16]] == [0, 0.25, 0.5, 0.75, 1, 1, 1, 1]
        assert [s.fade for s in stages[16:]] == [0, 0.25, 0.5, 0.75] + [1] * 10
        assert growth(10**9).image_size == 16
        assert ProgressiveGrowth(image_size=8, steps_per_size=4, fading=0)(4).fade == 1

    def test_real_images_are_averaged_and_faded_like_the_fakes(self):
        image = torch.rand(2, 3, 16, 16, generator=rng())
        growth = ProgressiveGrowth(image_size=16, steps_per_size=8)
        x = image.numpy()
        eight = x.reshape(2, 3, 8, 2, 8, 2).mean((3, 5))
        four = x.reshape(2, 3, 4, 4, 4, 4).mean((3, 5))
        np.testing.assert_allclose(growth(0).real(image), four, atol=1e-6)
        np.testing.assert_allclose(growth(15).real(image), eight, atol=1e-6)
        doubled = four.repeat(2, 2).repeat(2, 3)
        np.testing.assert_allclose(growth(9).real(image), 0.75 * doubled + 0.25 * eight, atol=1e-6)
        assert torch.equal(FullSize()(3).real(image), image)

    def test_networks_work_at_the_size_of_the_step(self):
        torch.manual_seed(0)
        small = {"image_size": 16, "features": 32, "widest": 8}
        painter = build_generator("progressive", {**small, "latent": LATENT})
        critic = build_discriminator("progressive", small)
        seen = []
        critic.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-1]))
        step = GenerationStep(
            adam(painter),
            adam(critic),
            AdversarialTerms(
                loss=build_adversarial("wasserstein", {"drift": 1e-3}),
                penalty=build_penalty("gradient", {}),
                penalty_weight=10.0,
            ),
            latent=LATENT,
            growth=ProgressiveGrowth(image_size=16, steps_per_size=2),
        )
        batch = torch.rand(4, 3, 16, 16, generator=rng())
        for number, side in enumerate([4, 4, 8, 8, 16, 16, 16]):
            seen.clear()
            before = painter.to_image[2].weight.detach().clone()
            assert bool(step([batch], number, rng(number))["finite"])
            assert set(seen) == {side}
            # Layers of sizes that are not there yet stay; at fade 0 the new size is not seen either.
            assert torch.equal(painter.to_image[2].weight, before) == (number < 5)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                {"image_size": 12, "steps_per_size": 1},
                "image_size must be a power of two of 4 or more, got 12",
            ),
            ({"image_size": 8, "steps_per_size": 0}, "steps_per_size must be 1 or more, got 0"),
            ({"image_size": 8, "steps_per_size": 1, "fading": 2}, "fading must be from 0 to 1, got 2"),
        ],
    )
    def test_wrong_arguments_are_named(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            ProgressiveGrowth(**arguments)


class Autoencoder(nn.Module):
    """BEGAN's kind of discriminator, small."""

    def __init__(self):
        super().__init__()
        self.discriminator = build_discriminator(
            "autoencoder", {"channels": 1, "image_size": 8, "features": 4, "latent": 8}
        )

    def forward(self, image_BCNN):
        return self.discriminator(image_BCNN)


@pytest.mark.parametrize("name", sorted(ADVERSARIAL))
def test_generators_learn_where_the_images_are(name):
    """Real images are bright on the left and dark on the right; after some steps so are the fakes."""
    painter, critic = networks()
    if name == "began":
        torch.manual_seed(0)
        critic = Autoencoder()
    step = GenerationStep(
        adam(painter),
        adam(critic),
        AdversarialTerms(
            loss=build_adversarial(name, {"gain": 0.05} if name == "began" else {}),
            penalty=build_penalty("gradient", {}) if name == "wasserstein" else None,
            penalty_weight=10.0 if name == "wasserstein" else 0.0,
        ),
        latent=LATENT,
    )
    picture = torch.cat((torch.full((8, 4), 0.9), torch.full((8, 4), 0.1)), dim=1)

    def contrast():
        with torch.no_grad():
            image = (painter(step.draw(64, rng(99))) + 1) / 2
        return (image[..., :4].mean() - image[..., 4:].mean()).item()

    assert abs(contrast()) < 0.1
    for number in range(150):
        batch = picture + 0.05 * torch.randn(16, 1, 8, 8, generator=rng(number))
        assert bool(step([batch], number, rng(1000 + number))["finite"])
    assert contrast() > 0.3
