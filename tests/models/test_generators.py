"""Generators: images out of codes, against the papers of DCGAN and Progressive GAN."""

import math

import pytest
import torch

from models.networks import GENERATORS, build_generator
from models.networks.dcgan import DCGANGenerator
from models.networks.equalised import EqualisedConv2d, EqualisedLinear, growing_widths, pixel_norm
from models.networks.progressive_gan import ProgressiveGenerator

# Adding a generator: one line, with arguments small enough to be fast.
SMALL = {
    "dcgan": {"image_size": 32, "code": 10, "features": 4},
    "progressive": {"image_size": 32, "code": 12, "features": 64, "widest": 8},
}


def generator_and_codes(name, batch=3):
    torch.manual_seed(0)
    generator = build_generator(name, SMALL[name]).eval()
    return generator, torch.randn(batch, generator.code)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_every_generator_is_in_the_contract():
    assert SMALL.keys() == GENERATORS.keys()


@pytest.mark.parametrize("name", SMALL)
class TestContract:
    def test_gives_images_and_repeats_itself(self, name):
        generator, code_BZ = generator_and_codes(name)
        image_BCNN = generator(code_BZ)
        assert image_BCNN.shape == (3, 3, 32, 32)
        assert image_BCNN.dtype == torch.float32
        assert torch.equal(generator(code_BZ), image_BCNN)

    def test_batch_of_three_is_three_batches_of_one(self, name):
        generator, code_BZ = generator_and_codes(name)
        # Pixel normalisation enlarges the rounding of float32 where features are near zero.
        generator, code_BZ = generator.double(), code_BZ.double()
        alone = torch.cat([generator(code_BZ[i : i + 1]) for i in range(3)])
        torch.testing.assert_close(generator(code_BZ), alone, rtol=0, atol=1e-9)

    def test_gradient_reaches_the_code_and_every_parameter(self, name):
        generator, code_BZ = generator_and_codes(name)
        code_BZ.requires_grad_()
        sizes = [4, 8, 16, 32] if name == "progressive" else [32]
        for size in sizes:
            given = {"image_size": size} if name == "progressive" else {}
            generator(code_BZ, **given).square().sum().backward()
        assert code_BZ.grad.abs().sum(1).min() > 0
        still = [key for key, p in generator.named_parameters() if p.grad is None or not p.grad.any()]
        assert not still, f"no gradient reaches {still}"

    def test_weights_load_strictly(self, name):
        generator, code_BZ = generator_and_codes(name)
        other = build_generator(name, SMALL[name]).eval()
        other.load_state_dict(generator.state_dict(), strict=True)
        assert torch.equal(other(code_BZ), generator(code_BZ))

    def test_bfloat16_autocast_stays_near_float32(self, name):
        generator, code_BZ = generator_and_codes(name)
        expected = generator(code_BZ)
        with torch.autocast("cpu", torch.bfloat16):
            found = generator(code_BZ).float()
        assert (found - expected).norm() < 0.05 * expected.norm()

    def test_wrong_arguments_are_named(self, name):
        with pytest.raises(ValueError, match="image_size must be a power of two of 8 or more, got 48"):
            build_generator(name, {"image_size": 48})
        with pytest.raises(ValueError, match="code must be a whole number of 1 or more, got 0"):
            build_generator(name, {"code": 0})


class TestDCGAN:
    @pytest.mark.parametrize("kernel", [4, 5])
    @pytest.mark.parametrize("size", [8, 16, 64, 256])
    def test_makes_any_power_of_two(self, kernel, size):
        generator = DCGANGenerator(image_size=size, features=2, kernel=kernel, code=5).eval()
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

    def test_draws_codes_from_the_callers_generator(self):
        generator = DCGANGenerator(image_size=8, features=2)
        codes = [generator.draw(500, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
        assert torch.equal(codes[0], codes[1])
        assert not torch.equal(codes[0], codes[2])
        assert codes[0].std().item() == pytest.approx(1, abs=0.02)

    def test_wrong_codes_and_kernels_are_named(self):
        generator = DCGANGenerator(image_size=8, features=2, code=7)
        with pytest.raises(ValueError, match=r"codes must be batch x 7, got \(2, 7, 1, 1\)"):
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
        generator, code_BZ = generator_and_codes("progressive")
        old_BCNN = generator(code_BZ, image_size=16)
        start, middle, end = (generator(code_BZ, image_size=32, fade=fade) for fade in (0.0, 0.5, 1.0))
        enlarged = old_BCNN.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        torch.testing.assert_close(start, enlarged, rtol=0, atol=1e-6)
        torch.testing.assert_close(middle, (start + end) / 2, rtol=0, atol=1e-6)
        assert torch.equal(end, generator(code_BZ))

    def test_codes_lie_on_a_sphere(self):
        generator, code_BZ = generator_and_codes("progressive")
        generator, code_BZ = generator.double(), code_BZ.double()
        torch.testing.assert_close(generator(5 * code_BZ), generator(code_BZ), rtol=0, atol=1e-6)

    def test_sizes_it_was_not_built_for_are_refused(self):
        generator, code_BZ = generator_and_codes("progressive")
        with pytest.raises(ValueError, match="image_size is at most 32, got 64"):
            generator(code_BZ, image_size=64)
        with pytest.raises(ValueError, match="image_size must be a power of two of 4 or more, got 2"):
            generator(code_BZ, image_size=2)
        with pytest.raises(ValueError, match=r"fade must be in \[0, 1\], got 1.5"):
            generator(code_BZ, fade=1.5)


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
