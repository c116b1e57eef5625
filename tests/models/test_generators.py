"""Generators: images out of latents, against the papers of DCGAN and Progressive GAN."""

import math

import pytest
import torch

from models.networks import GENERATORS, build_generator
from models.networks.dcgan import DCGANGenerator
from models.networks.equalised import EqualisedConv2d, EqualisedLinear, growing_widths, pixel_norm
from models.networks.progressive_gan import ProgressiveGenerator

# Adding a generator: one line, with arguments small enough to be fast.
SMALL = {
    "dcgan": {"image_size": 32, "latent": 10, "features": 4},
    "progressive": {"image_size": 32, "latent": 12, "features": 64, "widest": 8},
}


def generator_and_latents(name, batch=3):
    torch.manual_seed(0)
    generator = build_generator(name, SMALL[name]).eval()
    return generator, torch.randn(batch, generator.latent)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_every_generator_is_in_the_contract():
    assert SMALL.keys() == GENERATORS.keys()


@pytest.mark.parametrize("name", SMALL)
class TestContract:
    def test_gives_images_and_repeats_itself(self, name):
        generator, latent_BZ = generator_and_latents(name)
        image_BCNN = generator(latent_BZ)
        assert image_BCNN.shape == (3, 3, 32, 32)
        assert image_BCNN.dtype == torch.float32
        assert torch.equal(generator(latent_BZ), image_BCNN)

    def test_batch_of_three_is_three_batches_of_one(self, name):
        generator, latent_BZ = generator_and_latents(name)
        # Pixel normalisation enlarges the rounding of float32 where features are near zero.
        generator, latent_BZ = generator.double(), latent_BZ.double()
        alone = torch.cat([generator(latent_BZ[i : i + 1]) for i in range(3)])
        torch.testing.assert_close(generator(latent_BZ), alone, rtol=0, atol=1e-9)

    def test_gradient_reaches_the_latent_and_every_parameter(self, name):
        generator, latent_BZ = generator_and_latents(name)
        latent_BZ.requires_grad_()
        sizes = [4, 8, 16, 32] if name == "progressive" else [32]
        for size in sizes:
            given = {"image_size": size} if name == "progressive" else {}
            generator(latent_BZ, **given).square().sum().backward()
        assert latent_BZ.grad.abs().sum(1).min() > 0
        still = [key for key, p in generator.named_parameters() if p.grad is None or not p.grad.any()]
        assert not still, f"no gradient reaches {still}"

    def test_weights_load_strictly(self, name):
        generator, latent_BZ = generator_and_latents(name)
        other = build_generator(name, SMALL[name]).eval()
        other.load_state_dict(generator.state_dict(), strict=True)
        assert torch.equal(other(latent_BZ), generator(latent_BZ))

    def test_bfloat16_autocast_stays_near_float32(self, name):
        generator, latent_BZ = generator_and_latents(name)
        expected = generator(latent_BZ)
        with torch.autocast("cpu", torch.bfloat16):
            found = generator(latent_BZ).float()
        assert (found - expected).norm() < 0.05 * expected.norm()

    def test_wrong_arguments_are_named(self, name):
        with pytest.raises(ValueError, match="image_size must be a power of two of 8 or more, got 48"):
            build_generator(name, {"image_size": 48})
        with pytest.raises(ValueError, match="latent must be a whole number of 1 or more, got 0"):
            build_generator(name, {"latent": 0})

    def test_the_former_name_of_an_argument_is_read(self, name):
        former = {"code" if key == "latent" else key: value for key, value in SMALL[name].items()}
        assert build_generator(name, former).latent == SMALL[name]["latent"]


class TestDCGAN:
    @pytest.mark.parametrize("kernel", [4, 5])
    @pytest.mark.parametrize("size", [8, 16, 64, 256])
    def test_makes_any_power_of_two(self, kernel, size):
        generator = DCGANGenerator(image_size=size, features=2, kernel=kernel, latent=5).eval()
        image_BCNN = generator(torch.randn(2, 5))
        assert image_BCNN.shape == (2, 3, size, size)
        assert image_BCNN.abs().max() < 1

    def test_parameters_are_those_of_the_example_and_of_the_paper(self):
        assert count(DCGANGenerator()) == 3_576_704
        # Projection with a gain and a bias per value, then 5 x 5 kernels between 1024, 512, 256, 128 and 3.
        kernels = 25 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3)
        by_hand = 100 * 16_384 + 2 * 16_384 + kernels + 2 * (512 + 256 + 128)
        assert count(DCGANGenerator(features=128, kernel=5)) == by_hand == 18_885_760

    def test_starts_from_a_normal_of_two_hundredths(self):
        torch.manual_seed(0)
        generator = DCGANGenerator()
        weights = torch.cat([p.flatten() for p in generator.parameters() if p.ndim > 1])
        assert weights.std().item() == pytest.approx(0.02, rel=0.01)

    def test_draws_latents_from_the_callers_generator(self):
        generator = DCGANGenerator(image_size=8, features=2)
        latents = [generator.draw(500, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
        assert torch.equal(latents[0], latents[1])
        assert not torch.equal(latents[0], latents[2])
        assert latents[0].std().item() == pytest.approx(1, abs=0.02)

    def test_wrong_latents_and_kernels_are_named(self):
        generator = DCGANGenerator(image_size=8, features=2, latent=7)
        with pytest.raises(ValueError, match=r"latents must be batch x 7, got \(2, 7, 1, 1\)"):
            generator(torch.randn(2, 7, 1, 1))
        with pytest.raises(ValueError, match="kernel must be one of 4, 5; got 3"):
            DCGANGenerator(kernel=3)


class TestProgressive:
    def test_parameters_at_1024_pixels_are_the_papers(self):
        with torch.device("meta"):
            generator = ProgressiveGenerator()
        assert round(count(generator) / 1e6, 1) == 23.1  # table 2

    def test_widths_are_those_of_table_two(self):
        assert growing_widths(1024, 8192, 512) == [512, 512, 512, 512, 256, 128, 64, 32, 16]
        with pytest.raises(ValueError, match="features must be 512 or more for images of 1024, got 511"):
            growing_widths(1024, 511, 512)

    def test_a_new_size_fades_in_from_the_enlarged_old_one(self):
        generator, latent_BZ = generator_and_latents("progressive")
        old_BCNN = generator(latent_BZ, image_size=16)
        start, middle, end = (generator(latent_BZ, image_size=32, fade=fade) for fade in (0.0, 0.5, 1.0))
        enlarged = old_BCNN.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        torch.testing.assert_close(start, enlarged, rtol=0, atol=1e-6)
        torch.testing.assert_close(middle, (start + end) / 2, rtol=0, atol=1e-6)
        assert torch.equal(end, generator(latent_BZ))

    def test_latents_lie_on_a_sphere(self):
        generator, latent_BZ = generator_and_latents("progressive")
        generator, latent_BZ = generator.double(), latent_BZ.double()
        torch.testing.assert_close(generator(5 * latent_BZ), generator(latent_BZ), rtol=0, atol=1e-6)

    def test_sizes_it_was_not_built_for_are_refused(self):
        generator, latent_BZ = generator_and_latents("progressive")
        with pytest.raises(ValueError, match="image_size is at most 32, got 64"):
            generator(latent_BZ, image_size=64)
        with pytest.raises(ValueError, match="image_size must be a power of two of 4 or more, got 2"):
            generator(latent_BZ, image_size=2)
        with pytest.raises(ValueError, match=r"fade must be a number from 0 to 1, got 1\.5"):
            generator(latent_BZ, fade=1.5)


class TestEqualisedLayers:
    def test_keep_the_variance_with_weights_from_the_unit_normal(self):
        torch.manual_seed(0)
        convolution, dense = EqualisedConv2d(64, 128, gain=1.0), EqualisedLinear(256, 512)
        for layer in (convolution, dense):
            assert layer.weight.std().item() == pytest.approx(1, abs=0.02)
        out = convolution(torch.randn(4, 64, 16, 16))[..., 1:-1, 1:-1]
        assert out.std().item() == pytest.approx(1, rel=0.03)
        assert dense(torch.randn(64, 256)).std().item() == pytest.approx(math.sqrt(2), rel=0.03)

    def test_pixel_norm_gives_unit_mean_squares(self):
        features = torch.randn(2, 8, 3, 3) * 7
        mean_square = pixel_norm(features).square().mean(1)
        torch.testing.assert_close(mean_square, torch.ones_like(mean_square))
