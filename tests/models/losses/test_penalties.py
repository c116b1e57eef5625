"""Gradient penalty, R1 and feature matching against slopes that are known."""

import numpy as np
import pytest
import torch
from torch import nn

from models.discriminators import build_discriminator
from models.losses import PENALTIES, build_feature_matching, build_penalty


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(batch=3, channels=3, side=6, seed=1):
    return torch.rand(batch, channels, side, side, generator=generator(seed), dtype=torch.float64)


class Quadratic(nn.Module):
    """D(x) = |x|^2 / 2, whose slope at x is x."""

    def forward(self, image_BCHW):
        return image_BCHW.square().sum((1, 2, 3)) / 2


class TestGradientPenalty:
    def test_slope_of_a_linear_critic_is_the_norm_of_its_weights_over_all_dimensions(self):
        weight = torch.randn(3, 6, 6, generator=generator(), dtype=torch.float64)
        for target in (1.0, 0.0, 3.5):
            penalty = build_penalty("gradient", {"target": target})
            found = penalty(lambda x: (x * weight).sum((1, 2, 3)), images(), images(seed=2), generator())
            expected = (np.sqrt((weight.numpy() ** 2).sum()) - target) ** 2
            assert found.item() == pytest.approx(expected, rel=1e-9)

    def test_each_image_has_a_place_of_its_own_between_real_and_fake(self):
        real, fake, seen = images(), images(seed=2), []

        def critic(image_BCHW):
            seen.append(image_BCHW.detach())
            return Quadratic()(image_BCHW)

        found = build_penalty("gradient", {})(critic, real, fake, generator(5))
        share_B111 = (seen[0] - fake) / (real - fake)
        share_B = share_B111.mean((1, 2, 3))
        assert float(share_B111.std((1, 2, 3)).max()) < 1e-9
        assert ((share_B > 0) & (share_B < 1)).all()
        assert len(set(share_B.tolist())) == 3
        norms = np.sqrt((seen[0].numpy() ** 2).sum((1, 2, 3)))
        assert found.item() == pytest.approx(np.mean((norms - 1) ** 2))

    def test_random_numbers_come_from_the_generator(self):
        penalty = build_penalty("gradient", {})
        values = [penalty(Quadratic(), images(), images(seed=2), generator(s)).item() for s in (0, 0, 1)]
        assert values[0] == values[1] != values[2]

    def test_slope_of_a_network_is_that_of_finite_differences(self):
        torch.manual_seed(0)
        critic = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(16, 1), nn.Flatten(0))
        critic.double()
        point, step = images(1, 1, 4), 1e-6
        slope = np.zeros(16)
        for i in range(16):
            moved = torch.zeros(16, dtype=torch.float64)
            moved[i] = step
            moved = moved.view_as(point)
            slope[i] = float(critic(point + moved) - critic(point - moved)) / (2 * step)
        norm = np.sqrt((slope**2).sum())
        found = build_penalty("gradient", {})(critic, point, point, generator())
        assert found.item() == pytest.approx((norm - 1) ** 2, rel=1e-6)
        squared = build_penalty("r1", {})(critic, point, point, generator())
        assert float(squared) == pytest.approx(norm**2 / 2, rel=1e-6)

    def test_moves_the_critic_towards_the_target(self):
        weight = torch.full((3, 6, 6), 0.2, dtype=torch.float64, requires_grad=True)
        penalty = build_penalty("gradient", {})
        penalty(lambda x: (x * weight).sum((1, 2, 3)), images(), images(seed=2), generator()).backward()
        norm = 0.2 * np.sqrt(108)
        expected = 2 * (norm - 1) * 0.2 / norm  # derivative of (|w| - 1)^2
        torch.testing.assert_close(weight.grad, torch.full_like(weight, expected))

    def test_a_flat_critic_gives_a_finite_gradient(self):
        critic = nn.Sequential(nn.Flatten(), nn.Linear(108, 1), nn.Flatten(0)).double()
        nn.init.zeros_(critic[1].weight)
        build_penalty("gradient", {})(critic, images(), images(seed=2), generator()).backward()
        assert critic[1].weight.grad.isfinite().all()


class TestR1:
    def test_is_half_the_squared_slope_at_the_real_images(self):
        real = images()
        found = build_penalty("r1", {})(Quadratic(), real, images(seed=2), generator())
        assert found.item() == pytest.approx(float(real.square().sum((1, 2, 3)).mean() / 2))

    def test_linear_critic(self):
        weight = torch.randn(3, 6, 6, generator=generator(), dtype=torch.float64, requires_grad=True)
        found = build_penalty("r1", {})(
            lambda x: (x * weight).sum((1, 2, 3)), images(), images(), generator()
        )
        assert found.item() == pytest.approx(float(weight.detach().square().sum() / 2))
        found.backward()
        torch.testing.assert_close(weight.grad, weight.detach())


@pytest.mark.parametrize("name", PENALTIES)
class TestPenalties:
    def test_many_logits_are_averaged_or_added_up(self, name):
        def patches(image_BCHW):
            return image_BCHW.square().sum((1, 2, 3)).view(-1, 1, 1, 1).expand(-1, 1, 4, 5)

        def added(image_BCHW):
            return 20 * image_BCHW.square().sum((1, 2, 3))

        mean, alone = (
            float(build_penalty(name, {})(critic, images(), images(seed=2), generator()))
            for critic in (patches, lambda x: x.square().sum((1, 2, 3)))
        )
        total = float(build_penalty(name, {"places": "sum"})(patches, images(), images(seed=2), generator()))
        assert mean == pytest.approx(alone)
        assert total == pytest.approx(
            float(build_penalty(name, {})(added, images(), images(seed=2), generator()))
        )

    def test_scales_are_averaged(self, name):
        def two(image_BCHW):
            value_B = Quadratic()(image_BCHW)
            return [value_B, 3 * value_B.view(-1, 1, 1, 1).expand(-1, 1, 2, 2)]

        found = build_penalty(name, {})(two, images(), images(seed=2), generator())
        expected = build_penalty(name, {})(
            lambda x: 2 * Quadratic()(x), images(), images(seed=2), generator()
        )
        assert found.item() == pytest.approx(float(expected))

    def test_leaves_no_gradient_on_the_images(self, name):
        real, fake = images(), images(seed=2).requires_grad_()
        critic = nn.Sequential(nn.Flatten(), nn.Linear(108, 5), nn.Tanh(), nn.Linear(5, 1)).double()
        build_penalty(name, {})(critic, real, fake, generator()).backward()
        assert real.grad is None
        assert fake.grad is None
        assert critic[1].weight.grad.abs().sum() > 0

    def test_wrong_values_are_named(self, name):
        with pytest.raises(ValueError, match="places must be one of mean, sum; got 'all'"):
            build_penalty(name, {"places": "all"})


def test_wrong_names_are_put_right():
    with pytest.raises(ValueError, match=r'unknown penalty "gradients"; did you mean "gradient"'):
        build_penalty("gradients", {})


class TestFeatureMatching:
    @pytest.mark.parametrize(("distance", "power"), [("l1", 1), ("mse", 2)])
    def test_is_the_mean_over_layers_but_the_last(self, distance, power):
        class Shown(nn.Module):
            def features(self, image_BCHW):
                return [image_BCHW, 10 * image_BCHW.mean((2, 3)), 1e6 * image_BCHW]

        real, fake = images(), images(seed=2)
        first = (np.abs((real - fake).numpy()) ** power).mean()
        second = ((10 * np.abs((real - fake).mean((2, 3)).numpy())) ** power).mean()
        found = build_feature_matching({"distance": distance})(Shown(), real, fake)
        assert found.item() == pytest.approx((first + second) / 2, rel=1e-6)

    @pytest.mark.parametrize("name", ["patch", "multi_scale"])
    def test_discriminators_that_show_features_teach_the_fakes(self, name):
        torch.manual_seed(0)
        discriminator = build_discriminator(name, {"features": 4, "channels": 3, "layers": 2}).eval()
        real = torch.rand(2, 3, 48, 48)
        matching = build_feature_matching({})
        assert float(matching(discriminator, real, real)) == 0
        fake = torch.rand(2, 3, 48, 48, requires_grad=True)
        matching(discriminator, real, fake).backward()
        assert fake.grad.abs().sum() > 0

    def test_scales_are_averaged(self):
        class Pyramid(nn.Module):
            def features(self, image_BCHW):
                return [[image_BCHW, image_BCHW], [3 * image_BCHW, image_BCHW]]

        real, fake = images(), images(seed=2)
        found = build_feature_matching({})(Pyramid(), real, fake)
        assert found.item() == pytest.approx(2 * float((real - fake).abs().mean()), rel=1e-6)

    def test_others_are_told(self):
        with pytest.raises(
            ValueError, match=r"UNetDiscriminator does not show its features; use .* patch or"
        ):
            build_feature_matching({})(build_discriminator("unet", {"features": 2}), images(), images())
        with pytest.raises(ValueError, match="distance must be one of l1, mse; got 'l3'"):
            build_feature_matching({"distance": "l3"})
