"""Adversarial losses against their papers' formulas in numpy, and the balance of BEGAN."""

import numpy as np
import pytest
import torch

from models.losses import ADVERSARIAL, build_adversarial

RNG = np.random.default_rng(0)
REAL, FAKE = RNG.normal(0.5, 1.5, 7), RNG.normal(-0.3, 1.5, 7)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def log_sigmoid_game(real, fake, smoothing=0.0):
    right = (1 - smoothing) * np.log(sigmoid(real)) + smoothing * np.log(1 - sigmoid(real))
    return -np.mean(right) - np.mean(np.log(1 - sigmoid(fake)))


def relativistic(better, worse):
    """Jolicoeur-Martineau, equations 8 and 9, for either side."""
    lead, lag = better - worse.mean(), worse - better.mean()
    return -np.mean(np.log(sigmoid(lead))) - np.mean(np.log(1 - sigmoid(lag)))


def relativistic_squares(better, worse):
    """DeblurGAN-v2 (ICCV 2019), equation 4."""
    return np.mean((better - worse.mean() - 1) ** 2) + np.mean((worse - better.mean() + 1) ** 2)


# Name, arguments, discriminator's and generator's loss of REAL and FAKE by the paper.
FORMULAS = [
    ("vanilla", {}, log_sigmoid_game(REAL, FAKE), -np.mean(np.log(sigmoid(FAKE)))),
    ("vanilla", {"smoothing": 0.1}, log_sigmoid_game(REAL, FAKE, 0.1), -np.mean(np.log(sigmoid(FAKE)))),
    (
        "least_squares",
        {},
        np.mean((REAL - 1) ** 2) / 2 + np.mean(FAKE**2) / 2,
        np.mean((FAKE - 1) ** 2) / 2,
    ),
    ("wasserstein", {}, FAKE.mean() - REAL.mean(), -FAKE.mean()),
    ("wasserstein", {"drift": 0.1}, FAKE.mean() - REAL.mean() + 0.1 * np.mean(REAL**2), -FAKE.mean()),
    (
        "hinge",
        {},
        np.mean(np.maximum(0, 1 - REAL)) + np.mean(np.maximum(0, 1 + FAKE)),
        -FAKE.mean(),
    ),
    ("relativistic_average", {}, relativistic(REAL, FAKE), relativistic(FAKE, REAL)),
    (
        "relativistic_average",
        {"distance": "least_squares"},
        relativistic_squares(REAL, FAKE),
        relativistic_squares(FAKE, REAL),
    ),
    ("began", {}, -REAL.mean(), -FAKE.mean()),  # k is 0 at first
]


def test_every_loss_is_in_the_table():
    assert {name for name, *_ in FORMULAS} == ADVERSARIAL.keys()


@pytest.mark.parametrize(("name", "arguments", "discriminator", "generator"), FORMULAS)
class TestContract:
    def test_is_the_papers(self, name, arguments, discriminator, generator):
        loss = build_adversarial(name, arguments)
        real, fake = torch.tensor(REAL), torch.tensor(FAKE)
        assert float(loss.discriminator(real, fake)) == pytest.approx(discriminator, rel=1e-6)
        assert float(loss.generator(real, fake)) == pytest.approx(generator, rel=1e-6)

    def test_scales_count_alike_whatever_their_size(self, name, arguments, discriminator, generator):
        loss = build_adversarial(name, arguments)
        real, fake = torch.tensor(REAL), torch.tensor(FAKE)
        reals, fakes = [real, real.repeat(5).view(7, 1, 1, 5)], [fake, fake.repeat(5).view(7, 1, 1, 5)]
        assert float(loss.discriminator(reals, fakes)) == pytest.approx(discriminator, rel=1e-6)
        assert float(loss.generator(reals, fakes)) == pytest.approx(generator, rel=1e-6)

    def test_both_sides_pull_logits_their_way(self, name, arguments, discriminator, generator):
        loss = build_adversarial(name, arguments)
        real, fake = (torch.full((7,), x, requires_grad=True) for x in (0.2, 0.3))
        loss.discriminator(real, fake).backward()
        assert (real.grad < 0).all()
        assert (fake.grad > 0).all() or name == "began"  # k is 0 at first
        fake.grad = None
        loss.generator(real.detach(), fake).backward()
        assert (fake.grad < 0).all()

    def test_huge_logits_stay_finite(self, name, arguments, discriminator, generator):
        loss = build_adversarial(name, arguments)
        for size in (1e4, -1e4):
            real = torch.full((3,), size, requires_grad=True)
            fake = torch.full((3,), -size, requires_grad=True)
            (loss.discriminator(real, fake) + loss.generator(real, fake)).backward()
            assert real.grad.isfinite().all()
            assert fake.grad.isfinite().all()

    def test_half_precision_logits_are_summed_in_float32(self, name, arguments, discriminator, generator):
        real, fake = torch.tensor(REAL).bfloat16(), torch.tensor(FAKE).bfloat16()
        loss = build_adversarial(name, arguments)
        found = loss.discriminator(real, fake)
        assert found.dtype == torch.float32
        assert float(found) == pytest.approx(
            float(loss.discriminator(real.double(), fake.double())), rel=1e-5
        )

    def test_wrong_arguments_are_named(self, name, arguments, discriminator, generator):
        with pytest.raises(ValueError, match=rf'adversarial loss "{name}": unknown argument "power"'):
            build_adversarial(name, {"power": 1})


def test_wrong_names_and_values_are_put_right():
    with pytest.raises(
        ValueError, match=r'unknown adversarial loss "wassertein"; did you mean "wasserstein"'
    ):
        build_adversarial("wassertein", {})
    with pytest.raises(ValueError, match="distance must be one of logistic, least_squares; got 'l2'"):
        build_adversarial("relativistic_average", {"distance": "l2"})
    with pytest.raises(ValueError, match=r"smoothing must be a number from 0 to 0.5, got 0.9"):
        build_adversarial("vanilla", {"smoothing": 0.9})


def test_the_losses_that_need_real_logits_say_so():
    needing = {name for name, loss in ADVERSARIAL.items() if loss.needs_real}
    assert needing == {"relativistic_average"}
    for name in ADVERSARIAL.keys() - needing:
        build_adversarial(name, {}).generator(None, torch.zeros(2))


class TestBEGAN:
    def test_balance_is_the_recursion_written_out(self):
        loss, k = build_adversarial("began", {"diversity": 0.7, "gain": 0.05}), 0.0
        rng = np.random.default_rng(1)
        for _ in range(60):
            real_error, fake_error = rng.uniform(0.1, 1, 2)
            found = loss.discriminator(torch.tensor([-real_error]), torch.tensor([-fake_error]))
            assert float(found) == pytest.approx(real_error - k * fake_error, abs=1e-6)
            loss.update(torch.tensor(-real_error), torch.tensor(-fake_error))
            k = min(1.0, max(0.0, k + 0.05 * (0.7 * real_error - fake_error)))
            assert float(loss.k) == pytest.approx(k, abs=1e-6)

    def test_balance_stays_between_zero_and_one(self):
        loss = build_adversarial("began", {"gain": 1.0})
        loss.update(torch.tensor(-9.0), torch.tensor(-0.1))
        assert float(loss.k) == 1
        loss.update(torch.tensor(-0.1), torch.tensor(-9.0))
        assert float(loss.k) == 0

    def test_a_mean_that_is_not_finite_leaves_it(self):
        loss = build_adversarial("began", {"gain": 0.5})
        loss.update(torch.tensor(-1.0), torch.tensor(-0.1))
        before = float(loss.k)
        loss.update(torch.tensor(torch.nan), torch.tensor(-0.1))
        assert 0 < before == float(loss.k)

    def test_state_goes_over(self):
        loss, other = (build_adversarial("began", {"gain": 0.5}) for _ in range(2))
        loss.update(torch.tensor(-1.0), torch.tensor(-0.1))
        other.load_state_dict(loss.state_dict())
        assert torch.equal(other.k, loss.k)
        assert float(other.k) == pytest.approx(0.5 * (0.5 - 0.1))
        with pytest.raises(ValueError, match=r"Vanilla: its state has \[\], got \['k'\]"):
            build_adversarial("vanilla", {}).load_state_dict(loss.state_dict())
        with pytest.raises(ValueError, match=r"BEGAN: its state has \['k'\], got \[\]"):
            loss.load_state_dict({})

    def test_convergence_is_the_papers(self):
        loss = build_adversarial("began", {"diversity": 0.5})
        found = loss.convergence(torch.tensor(-0.8), torch.tensor(-0.3))
        assert float(found) == pytest.approx(0.8 + abs(0.5 * 0.8 - 0.3))
