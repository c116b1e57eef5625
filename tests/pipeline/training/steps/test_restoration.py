"""A step of restoration: which network moves, by how much, and what it reports."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from models.contract import Condition
from models.discriminators import build_discriminator
from models.losses import ADVERSARIAL, build_adversarial, build_feature_matching, build_loss, build_penalty
from models.networks import build_network
from pipeline.training.steps.adversarial_terms import AdversarialTerms
from pipeline.training.steps.example import Example
from pipeline.training.steps.network_update import NetworkUpdate
from pipeline.training.steps.restoration import RestorationStep


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def example(batch=2, side=16, seed=0, scale=1, channels=3, **condition):
    target = torch.rand(batch, channels, side * scale, side * scale, generator=rng(seed))
    degraded = torch.rand(batch, channels, side, side, generator=rng(seed + 1))
    return Example(degraded, target, Condition(**condition))


def sgd(network, rate=0.1):
    return NetworkUpdate(network, torch.optim.SGD(network.parameters(), lr=rate))


def convolution(seed=0, channels=3):
    torch.manual_seed(seed)
    return nn.Conv2d(channels, channels, 3, padding=1)


def critic(seed=1, channels=3, normalisation="none"):
    torch.manual_seed(seed)
    return build_discriminator(
        "patch", {"features": 4, "channels": channels, "layers": 1, "normalisation": normalisation}
    )


def l1():
    return [("l1", 1.0, build_loss("l1", {}))]


def weights(network):
    return [each.detach().clone() for each in network.parameters()]


def moved(network, before):
    return any(not torch.equal(a, b) for a, b in zip(network.parameters(), before, strict=True))


def adversarial_step(generator, discriminator, name="vanilla", weight=0.1, precision=None, **terms):
    return RestorationStep(
        generator,
        l1(),
        discriminator=discriminator,
        adversarial=AdversarialTerms(loss=build_adversarial(name, {}), weight=weight, **terms),
        precision=precision,
    )


class TestFidelity:
    def test_is_gradient_descent_on_the_weighted_sum(self):
        network, by_hand = convolution(), convolution()
        given = example()
        losses = [("l1", 2.0, build_loss("l1", {})), ("mse", 0.5, build_loss("mse", {}))]
        report = RestorationStep(sgd(network), losses)([given], 0, rng())

        difference = by_hand(given.degraded_BCHW) - given.target_BCHW
        terms = difference.abs().mean(), difference.square().mean()
        (2.0 * terms[0] + 0.5 * terms[1]).backward()
        with torch.no_grad():
            for parameter in by_hand.parameters():
                parameter -= 0.1 * parameter.grad
        for found, expected in zip(network.parameters(), by_hand.parameters(), strict=True):
            torch.testing.assert_close(found, expected)
        assert report["loss_l1"].item() == pytest.approx(terms[0].item(), rel=1e-6)
        assert report["loss_mse"].item() == pytest.approx(terms[1].item(), rel=1e-6)
        assert report["loss"].item() == pytest.approx(2 * terms[0].item() + 0.5 * terms[1].item(), rel=1e-6)
        norm = np.sqrt(sum(float(each.grad.square().sum()) for each in by_hand.parameters()))
        assert report["gradient_norm"].item() == pytest.approx(norm, rel=1e-5)
        assert bool(report["finite"])
        assert not any(value.requires_grad for value in report.values())

    def test_two_losses_of_one_name_are_two_columns(self):
        losses = [("charbonnier", 1.0, build_loss("charbonnier", {"epsilon": each})) for each in (1e-3, 1.0)]
        report = RestorationStep(sgd(convolution()), losses)([example()], 0, rng())
        assert report["loss_charbonnier"] != report["loss_charbonnier_2"]
        total = report["loss_charbonnier"] + report["loss_charbonnier_2"]
        assert report["loss"].item() == pytest.approx(total.item(), rel=1e-6)

    def test_gradient_is_clipped_and_its_norm_told_before(self):
        network, given = convolution(), example()
        before = weights(network)
        update = NetworkUpdate(network, torch.optim.SGD(network.parameters(), lr=1.0), clip_gradient=0.01)
        report = RestorationStep(update, l1())([given], 0, rng())
        steps = [a.detach() - b for a, b in zip(network.parameters(), before, strict=True)]
        assert np.sqrt(sum(float(s.square().sum()) for s in steps)) == pytest.approx(0.01, rel=1e-3)
        assert report["gradient_norm"].item() > 0.05

    def test_network_gets_its_own_range_and_losses_see_zero_to_one(self):
        class Watching(nn.Module):
            def __init__(self):
                super().__init__()
                self.gain = nn.Parameter(torch.ones(()))

            def forward(self, image_BCHW):
                self.seen = image_BCHW
                return image_BCHW * self.gain

        network, given = Watching(), example()
        step = RestorationStep(sgd(network), l1(), value_range=(-1.0, 1.0))
        report = step([given], 0, rng())
        torch.testing.assert_close(network.seen, given.degraded_BCHW * 2 - 1)
        expected = (given.degraded_BCHW - given.target_BCHW).abs().mean()
        assert report["loss_l1"].item() == pytest.approx(float(expected), rel=1e-5)

    def test_conditions_reach_the_networks_that_take_them(self):
        torch.manual_seed(0)
        network = build_network("ffdnet", {"channels": 3, "features": 8, "layers": 3})
        values = []
        for level in (0.0, 0.3):
            given = example(noise_level_B=torch.tensor([level]))
            step = RestorationStep(sgd(copy.deepcopy(network)), l1())
            values.append(step([given], 0, rng())["loss_l1"].item())
        assert values[0] != values[1]
        with pytest.raises(ValueError, match="needs the noise level"):
            RestorationStep(sgd(network), l1())([example()], 0, rng())

    def test_a_whole_batch_is_normalised_at_once(self):
        """Batch statistics are of all images of an example, however many: not of parts of eight."""
        network = nn.Sequential(nn.BatchNorm2d(3, momentum=1.0), nn.Conv2d(3, 3, 1))
        given = example(batch=20, side=4)
        RestorationStep(sgd(network), l1())([given], 0, rng())
        torch.testing.assert_close(network[0].running_mean, given.degraded_BCHW.mean((0, 2, 3)))

    def test_losses_that_need_a_mask_get_it(self):
        network = convolution()
        mask = (torch.rand(2, 1, 16, 16, generator=rng(9)) > 0.5).float()
        given = example(mask_B1HW=mask)
        losses = [("masked_l1", 1.0, build_loss("masked_l1", {"known": 0.0, "missing": 1.0}))]
        difference = (network(given.degraded_BCHW) - given.target_BCHW).abs()
        report = RestorationStep(sgd(network), losses)([given], 0, rng())
        expected = ((1 - mask) * difference).mean()
        assert report["loss_masked_l1"].item() == pytest.approx(float(expected.detach()), rel=1e-5)
        with pytest.raises(ValueError, match="MaskedL1 needs a mask, but the degradation hides no pixels"):
            RestorationStep(sgd(network), losses)([example()], 0, rng())

    def test_wrong_scales_are_told(self):
        step = RestorationStep(sgd(convolution()), l1())
        with pytest.raises(ValueError, match="let degradation and network have one scale"):
            step([example(scale=2)], 0, rng())

    def test_bfloat16_is_near_float32_and_float16_is_refused(self):
        given, reports = example(), {}
        for precision in (None, torch.float32, torch.bfloat16):
            step = RestorationStep(sgd(convolution()), l1(), precision=precision)
            reports[precision] = step([given], 0, rng())
        assert torch.equal(reports[None]["loss"], reports[torch.float32]["loss"])
        assert not torch.equal(reports[None]["loss"], reports[torch.bfloat16]["loss"])
        torch.testing.assert_close(reports[None]["loss"], reports[torch.bfloat16]["loss"], rtol=0.02, atol=0)
        with pytest.raises(ValueError, match=r"float16 is not for training: .*; use torch\.bfloat16"):
            RestorationStep(sgd(convolution()), l1(), precision=torch.float16)

    def test_a_gradient_that_is_not_finite_is_told_and_moves_nothing(self):
        network = convolution()
        before = weights(network)
        given = example()
        given.degraded_BCHW[0, 0, 0, 0] = torch.inf
        update = NetworkUpdate(network, torch.optim.SGD(network.parameters(), lr=0.1), clip_gradient=1.0)
        step = RestorationStep(update, [("mse", 1.0, build_loss("mse", {}))])
        report = step([given], 0, rng())
        assert not bool(report["finite"])
        assert not bool(report["gradient_norm"].isfinite())
        assert not moved(network, before)
        assert bool(step([example()], 1, rng())["finite"])
        assert moved(network, before)

    def test_a_loss_that_is_not_finite_is_told_though_its_gradient_is(self):
        given = example()
        given.target_BCHW[0, 0, 0, 0] = torch.nan  # the slope of |nan| is 0
        report = RestorationStep(sgd(convolution()), l1())([given], 0, rng())
        assert bool(report["gradient_norm"].isfinite())
        assert not bool(report["finite"])


class TestAccumulation:
    @pytest.mark.parametrize("adversarial", ["vanilla", "hinge", "least_squares", "wasserstein", "began"])
    def test_microbatches_make_the_step_of_the_whole(self, adversarial):
        """Microbatches of unequal size too: each counts by its images."""
        whole, halves = (([], []) for _ in range(2))
        together = example(batch=6, noise_level_B=torch.linspace(0, 0.1, 6))
        microbatches = [
            Example(
                together.degraded_BCHW[part],
                together.target_BCHW[part],
                together.condition.select(range(6)[part]),
            )
            for part in (slice(0, 1), slice(1, 3), slice(3, 6))
        ]
        for kept, given in ((whole, [together]), (halves, microbatches)):
            torch.manual_seed(0)
            network = build_network("ffdnet", {"channels": 3, "features": 8, "layers": 3})
            discriminator = critic(normalisation="instance")
            step = adversarial_step(
                sgd(network),
                sgd(discriminator),
                adversarial,
                penalty=build_penalty("r1", {}),
                penalty_weight=2.0,
                feature_matching=build_feature_matching({}),
                feature_matching_weight=0.5,
            )
            for number in range(3):
                report = step(given, number, rng(number))
            kept[0].extend([*network.parameters(), *discriminator.parameters()])
            kept[1].append(report)
        for one, other in zip(whole[0], halves[0], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
        for name, value in whole[1][0].items():
            torch.testing.assert_close(value.float(), halves[1][0][name].float(), rtol=1e-3, atol=1e-6)

    def test_penalty_draws_one_place_per_image_in_order(self):
        results = []
        together = example(batch=4)
        microbatches = [
            Example(together.degraded_BCHW[s], together.target_BCHW[s]) for s in (slice(0, 2), slice(2, 4))
        ]
        for given in ([together], microbatches):
            network, discriminator = convolution(), critic()
            step = adversarial_step(
                sgd(network),
                sgd(discriminator),
                "wasserstein",
                penalty=build_penalty("gradient", {}),
                penalty_weight=10.0,
            )
            results.append(step(given, 0, rng())["penalty"])
        torch.testing.assert_close(*results)


class TestTwoNetworks:
    @pytest.mark.parametrize("name", sorted(ADVERSARIAL))
    def test_each_optimizer_moves_its_own_network_only(self, name):
        """The other network's rate is zero: what moves then moved by the wrong gradient."""
        for rates in ((0.1, 0.0), (0.0, 0.1)):
            network, discriminator = convolution(), critic()
            before = weights(network), weights(discriminator)
            step = adversarial_step(sgd(network, rates[0]), sgd(discriminator, rates[1]), name)
            step([example()], 0, rng())
            assert moved(network, before[0]) == (rates[0] > 0)
            assert moved(discriminator, before[1]) == (rates[1] > 0)

    @pytest.mark.parametrize("name", sorted(ADVERSARIAL))
    def test_gradients_are_those_of_the_two_losses_alone(self, name):
        network, discriminator = convolution(), critic()
        network_0, discriminator_0 = copy.deepcopy(network), copy.deepcopy(discriminator)
        given, adversarial = example(), build_adversarial(name, {})
        step = adversarial_step(sgd(network, 0.0), sgd(discriminator, 0.0), name, weight=0.3)
        step([given], 0, rng())

        restored = network_0(given.degraded_BCHW)
        loss = (restored - given.target_BCHW).abs().mean()
        loss = loss + 0.3 * adversarial.generator(
            discriminator_0(given.target_BCHW).detach(), discriminator_0(restored)
        )
        loss.backward()
        for ours, theirs in zip(network.parameters(), network_0.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad)
        discriminator_0.zero_grad()
        adversarial.discriminator(
            discriminator_0(given.target_BCHW), discriminator_0(restored.detach())
        ).backward()
        for ours, theirs in zip(discriminator.parameters(), discriminator_0.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad)

    def test_layers_that_the_caller_froze_stay_frozen(self):
        network, discriminator = convolution(), critic()
        frozen = next(discriminator.parameters()).requires_grad_(False)
        before = frozen.clone()
        adversarial_step(sgd(network), sgd(discriminator))([example()], 0, rng())
        assert torch.equal(frozen, before)
        assert [each.requires_grad for each in discriminator.parameters()].count(False) == 1

    def test_reported_logits_are_those_before_the_step(self):
        network, discriminator = convolution(), critic()
        given = example()
        with torch.no_grad():
            real, fake = (
                discriminator(given.target_BCHW).mean(),
                discriminator(network(given.degraded_BCHW)).mean(),
            )
        report = adversarial_step(sgd(network), sgd(discriminator))([given], 0, rng())
        torch.testing.assert_close(report["d_real"], real)
        torch.testing.assert_close(report["d_fake"], fake)

    def test_real_and_fake_images_are_not_normalised_together(self):
        class Statistics(nn.Module):
            def __init__(self):
                super().__init__()
                self.scale, self.seen = nn.Parameter(torch.ones(())), []

            def forward(self, image_BCHW):
                self.seen.append(image_BCHW.detach())
                return self.scale * image_BCHW.mean((1, 2, 3))

        network, discriminator, given = convolution(), Statistics(), example()
        with torch.no_grad():
            restored = network(given.degraded_BCHW)
        adversarial_step(sgd(network), sgd(discriminator))([given], 0, rng())
        fake_of_generator, real, fake = discriminator.seen
        assert torch.equal(real, given.target_BCHW)
        assert torch.equal(fake, restored)
        assert torch.equal(fake_of_generator, restored)

    def test_conditional_discriminators_see_the_degraded_image_first(self):
        network, discriminator, given, seen = convolution(), critic(channels=6), example(), []
        discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
        step = adversarial_step(sgd(network), sgd(discriminator), conditional=True, value_range=(-1.0, 1.0))
        step([given], 0, rng())
        for image in seen:
            torch.testing.assert_close(image[:, :3], given.degraded_BCHW * 2 - 1)
        torch.testing.assert_close(seen[1][:, 3:], given.target_BCHW * 2 - 1)

    def test_begins_with_fidelity_alone(self):
        network, discriminator = convolution(), critic()
        before = weights(discriminator)
        step = adversarial_step(sgd(network), sgd(discriminator), start_step=2)
        for number in range(2):
            report = step([example()], number, rng())
            assert report.keys() == {"loss", "loss_l1", "gradient_norm", "finite"}
        assert not moved(discriminator, before)
        assert "d_real" in step([example()], 2, rng())
        assert moved(discriminator, before)

    def test_penalty_comes_every_so_often_with_the_same_mean_weight(self):
        """Between the gradients with and without the penalty lies that of ``every`` times the penalty."""
        given, results = example(), {}
        for every, number in ((1, 0), (4, 0), (4, 1)):
            network, discriminator = convolution(), critic()
            step = adversarial_step(
                sgd(network, 0.0),
                sgd(discriminator, 0.0),
                "wasserstein",
                penalty=build_penalty("r1", {}),
                penalty_weight=1.0,
                penalty_every=every,
            )
            report = step([given], number, rng())
            assert ("penalty" in report) == (number % every == 0)
            results[every, number] = [each.grad for each in discriminator.parameters()]
        for one, four, none in zip(results[1, 0], results[4, 0], results[4, 1], strict=True):
            torch.testing.assert_close(four - none, 4 * (one - none), rtol=1e-4, atol=1e-6)

    def test_balance_of_began_moves_with_the_step(self):
        adversarial = build_adversarial("began", {"gain": 0.5})
        network, discriminator = (
            convolution(),
            build_discriminator("autoencoder", {"image_size": 16, "features": 2, "latent": 4}),
        )
        step = RestorationStep(
            sgd(network),
            l1(),
            discriminator=sgd(discriminator),
            adversarial=AdversarialTerms(loss=adversarial, weight=0.1),
        )
        report = step([example()], 0, rng())
        expected = 0.5 * (0.5 * -report["d_real"] + report["d_fake"])
        assert adversarial.k.item() == pytest.approx(max(0.0, expected.item()), rel=1e-5)
        assert adversarial.k.item() > 0

    def test_further_steps_of_the_discriminator_see_what_the_moved_network_makes_of_further_examples(self):
        network, given = convolution(), [example(seed=seed) for seed in (0, 10)]
        discriminator, seen = critic(), []
        before = copy.deepcopy(network)
        discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
        report = adversarial_step(sgd(network), sgd(discriminator), discriminator_steps=2)(given, 0, rng())
        assert bool(report["finite"])
        of_generator, real_0, fake_0, real_1, fake_1 = seen
        assert torch.equal(fake_0, of_generator)
        with torch.no_grad():
            torch.testing.assert_close(fake_0, before(given[0].degraded_BCHW))
            torch.testing.assert_close(fake_1, network(given[1].degraded_BCHW))
        assert torch.equal(real_0, given[0].target_BCHW)
        assert torch.equal(real_1, given[1].target_BCHW)

    def test_examples_that_cannot_be_shared_out_are_refused(self):
        step = adversarial_step(sgd(convolution()), sgd(critic()), discriminator_steps=2)
        with pytest.raises(ValueError, match="3 batches cannot be shared out among 2 steps of the discrim"):
            step([example()] * 3, 0, rng())

    def test_a_discriminator_that_is_not_finite_is_told_and_stays(self):
        network, discriminator = convolution(), critic()
        before = weights(discriminator)
        penalty = build_penalty("r1", {})
        step = adversarial_step(
            sgd(network), sgd(discriminator), penalty=penalty, penalty_weight=float("inf"), penalty_every=2
        )
        assert not bool(step([example()], 0, rng())["finite"])
        assert not moved(discriminator, before)
        assert bool(step([example()], 1, rng())["finite"])


@pytest.mark.parametrize("precision", [None, torch.bfloat16])
@pytest.mark.parametrize("name", ["vanilla", "least_squares", "wasserstein", "hinge"])
def test_fifty_steps_do_not_diverge(name, precision):
    """A blurred picture is sharpened; fidelity falls with each of the games."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 5, padding=2))
    discriminator = critic(channels=1)
    updates = [
        NetworkUpdate(n, torch.optim.Adam(n.parameters(), 2e-3, (0.5, 0.99)), 1.0)
        for n in (network, discriminator)
    ]
    step = adversarial_step(
        updates[0],
        updates[1],
        name,
        weight=0.01,
        penalty=build_penalty("gradient", {}) if name == "wasserstein" else None,
        penalty_weight=10.0 if name == "wasserstein" else 0.0,
        precision=precision,
    )
    losses = []
    for number in range(50):
        target = (torch.rand(4, 1, 4, 4, generator=rng(number)) > 0.5).float()
        target = target.repeat_interleave(4, -1).repeat_interleave(4, -2)
        degraded = nn.functional.avg_pool2d(nn.functional.pad(target, [1] * 4, mode="replicate"), 3, 1)
        report = step([Example(degraded, target)], number, rng(number))
        assert bool(report["finite"])
        losses.append(report["loss_l1"].item())
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:3])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"losses": []}, "needs losses or a discriminator"),
        ({"adversarial": build_adversarial("hinge", {})}, "go together: give both or neither"),
    ],
)
def test_parts_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RestorationStep(**{"generator": sgd(convolution()), "losses": l1(), **arguments})


def test_wrong_penalties_are_refused():
    updates = sgd(convolution()), sgd(critic())
    with pytest.raises(ValueError, match="penalty_weight is 10, but there is no penalty; give one"):
        adversarial_step(*updates, penalty_weight=10.0)
    with pytest.raises(ValueError, match="must be 1 or more, got 0 and 1"):
        adversarial_step(*updates, penalty=build_penalty("r1", {}), penalty_weight=1.0, penalty_every=0)
