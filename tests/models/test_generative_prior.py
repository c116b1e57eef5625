"""The generative prior on images that its generator can make, whose true latent is known."""

import math

import numpy as np
import pytest
import torch

from models import catalog
from models.card import Card
from models.contract import Condition, RestorerError
from models.networks import build_generator
from models.operators.blur import GaussianBlur
from models.operators.resample import Bicubic
from models.solvers.data_term import DataTerm
from models.solvers.mosaic import Mosaic
from models.weights import build_part, load_weights, save_weights
from pipeline.errors import JobError
from pipeline.recipe.weights import fetch_part, fetch_restorer
from tests.helpers import benchmark, complete, encoded, fill
from tests.restorer_contract import check_refusals

CARD = Card(
    name="patterns",
    summary="A DCGAN with random weights.",
    task="general",
    channels=3,
    value_range=(-1.0, 1.0),
    halo=None,
    tile_exact=False,
    architecture="dcgan",
    arguments={"image_size": 32, "latent": 12, "features": 8},
)
RNG = torch.Generator()
SIGMA = 0.03
SEARCH = {"restarts": 4, "iterations": 200}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights, fixed; normalisation set to the features' statistics, and some contrast."""
    torch.manual_seed(0)
    network = build_generator(CARD.architecture, CARD.arguments)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(torch.randn(256, 12))
        network.enlarging[-2].weight.mul_(8)
    path = tmp_path_factory.mktemp("weights") / "patterns.safetensors"
    save_weights(path, CARD, network.state_dict())
    return path


@pytest.fixture(scope="module")
def generator(weights):
    return build_part(*load_weights(weights))


@pytest.fixture(scope="module")
def truth(generator):
    return generator(torch.randn(2, 12, generator=RNG.manual_seed(5)))


def noisy(image, seed=1):
    return image + SIGMA * torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))


def psnr(image, reference):
    return float(-10 * torch.log10((image - reference).square().mean()))


LEVEL = torch.tensor([SIGMA])


@pytest.mark.parametrize(
    ("operators", "scale", "loss", "least"),
    [
        ((GaussianBlur(sigma=1.5),), 1, "squared", 34.0),
        ((GaussianBlur(sigma=0.8), Bicubic(scale=2)), 2, "absolute", 28.0),
        ((), 1, "squared", 45.0),
    ],
    ids=["blur", "blur and half the size by absolute values", "noise alone"],
)
def test_finds_what_was_degraded(generator, truth, operators, scale, loss, least):
    truth = truth[:1]  # that images are searched for one by one, others tell
    exact = truth
    for operator in operators:
        exact = operator(exact, RNG)
    degraded = noisy(exact)
    condition = Condition(scale=scale, operators=operators, noise_level_B=LEVEL)
    solver = catalog.build_solver("generative_prior", generator=generator, loss=loss, **SEARCH)
    search = solver.model.search(degraded, condition)
    for index, found in enumerate(search):
        noise = float((degraded - exact)[index].square().mean().sqrt())
        assert found.residual < (1.0 if loss == "squared" else 1.03) * noise, "the truth explains no more"
        assert psnr(found.image_CHW, truth[index]) > least
    bicubic = catalog.build("bicubic")(degraded, condition=condition)
    assert psnr(torch.stack([found.image_CHW for found in search]), truth) > psnr(bicubic, truth) + 10


def test_paints_the_half_that_is_missing(generator, truth):
    known = torch.ones(2, 1, 32, 32)
    known[..., 16:] = 0
    degraded = noisy(truth) * known
    solver = catalog.build_solver("generative_prior", generator=generator, **SEARCH)
    level = 1.03 * SIGMA  # a little more than what 1,536 draws can come to
    condition = Condition(mask_B1HW=known, noise_level_B=torch.tensor([level]))
    for index, found in enumerate(solver.model.search(degraded, condition)):
        assert found.residual <= level
        assert found.steps < SEARCH["iterations"], "a known noise level ends the search"
        assert psnr(found.image_CHW[..., 16:], truth[index, ..., 16:]) > 35
    hidden = torch.where(known > 0, degraded, torch.nan)
    term = DataTerm(hidden[:1], Condition(mask_B1HW=known[:1]))
    assert torch.isfinite(term.residual(truth)).all()
    with pytest.raises(RestorerError, match="no known pixel"):
        solver(degraded, condition=Condition(mask_B1HW=0 * known))


def test_residual_is_that_of_the_image_it_gives(generator, truth):
    blur = GaussianBlur(sigma=1.5)
    degraded = noisy(blur(truth, RNG))
    solver = catalog.build_solver("generative_prior", generator=generator, restarts=2, iterations=20)
    (found, _) = solver.model.search(degraded, Condition(operators=(blur,)))
    again = blur(generator(found.latent_TZ), RNG)
    expected = math.sqrt(float((again - degraded[:1]).square().mean()))
    assert found.residual == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(found.image_CHW, generator(found.latent_TZ)[0])


def test_gradient_is_that_of_finite_differences():
    blur, image = GaussianBlur(sigma=0.7, size=5), torch.rand(1, 1, 8, 8, generator=RNG, dtype=torch.float64)
    known = (torch.rand(1, 1, 4, 4, generator=RNG) < 0.7).double()
    condition = Condition(scale=2, operators=(blur, Bicubic(scale=2)), mask_B1HW=known)
    for absolute in (False, True):
        data = DataTerm(torch.full((1, 1, 4, 4), 0.3, dtype=torch.float64), condition, absolute=absolute)
        slope = data.gradient(data.residual(image))
        for row, column in ((0, 0), (3, 5), (7, 2)):
            step = torch.zeros_like(image)
            step[..., row, column] = 1e-6
            up, down = (data.energy(data.residual(image + sign * step)).sum() for sign in (1, -1))
            assert float(slope[0, 0, row, column]) == pytest.approx(float(up - down) / 2e-6, abs=1e-6)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (20, 27), (33, 64), (50, 70)])
def test_mosaic_covers_any_size_with_the_fewest_tiles(height, width):
    mosaic = Mosaic(height, width, 32)
    assert mosaic.tiles == math.ceil(height / 32) * math.ceil(width / 32)
    numbers = torch.arange(2.0 * mosaic.tiles).reshape(-1, 1, 1, 1).expand(-1, 3, 32, 32)
    image = mosaic(numbers)
    assert image.shape == (2, 3, height, width)
    counts = mosaic.sums(torch.ones(2, height, width))
    expected = [(image[0, 0] == tile).sum() for tile in range(mosaic.tiles)]
    assert counts[0].tolist() == [float(count) for count in expected]
    if height % 2 == width % 2 == 0:
        halves = mosaic.sums(torch.ones(1, height // 2, width // 2))
        assert halves.sum() == height * width / 4


def test_larger_images_are_mosaics(generator):
    tiles = generator(torch.randn(4, 12, generator=RNG.manual_seed(8)))
    clean = torch.cat([torch.cat([tiles[0], tiles[1]], -1), torch.cat([tiles[2], tiles[3]], -1)], -2)
    clean = clean[None, :, 5:-5, 3:-3]  # as a mosaic of this size is cut
    blur = GaussianBlur(sigma=1.0)
    degraded = noisy(blur(clean, RNG))
    solver = catalog.build_solver("generative_prior", generator=generator, **SEARCH)
    (found,) = solver.model.search(degraded, Condition(operators=(blur,)))
    assert found.latent_TZ.shape == (4, 12)
    assert psnr(found.image_CHW, clean[0]) > psnr(degraded, clean) + 10


def test_an_image_does_not_depend_on_its_batch_or_on_the_call(generator, truth):
    solver = catalog.build_solver("generative_prior", generator=generator, restarts=2, iterations=40)
    degraded = noisy(truth)
    together = solver(degraded)
    assert torch.equal(solver(degraded[1:]), together[1:])
    assert torch.equal(solver.model.search(degraded, Condition())[0].image_CHW, together[0])
    assert torch.equal(solver(degraded), together)
    assert together.is_inference()
    assert all(not parameter.requires_grad for parameter in generator.parameters())


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (17, 5), (33, 32)])
def test_any_size_is_taken(generator, size):
    solver = catalog.build_solver("generative_prior", generator=generator, restarts=1, iterations=2)
    degraded = torch.rand(1, 3, *size, generator=RNG)
    assert solver(degraded).shape == (1, 3, *size)
    operators = (Bicubic(scale=2),)
    assert solver(degraded, condition=Condition(scale=2, operators=operators)).shape[2] == 2 * size[0]
    with pytest.raises(RestorerError, match="give the scale and all operators"):
        solver(degraded, condition=Condition(scale=2))
    check_refusals(solver)


def test_identity_and_card_follow_from_the_generator(weights, generator):
    solver = catalog.build_solver("generative_prior", generator=str(weights))
    other = catalog.build_solver("generative_prior", generator=str(weights), seed=1)
    assert solver.card.arguments["generator"] == "patterns"
    assert (solver.card.channels, solver.card.needs) == (3, ())
    assert solver.card.inverts_operators, "images with other operators must not share its call"
    assert catalog.identity(solver) != catalog.identity(other)
    assert catalog.identity(solver) == catalog.identity(
        catalog.build_solver("generative_prior", generator=generator)
    )


def test_jobs_take_the_file_of_a_generator(tmp_path, weights, truth):
    """Through the pipeline: operators drawn per image, a mask, and the file's address in the job."""
    pixels = (truth.permute(0, 2, 3, 1) * 255).round().byte().numpy()
    fill(
        tmp_path / "in", {f"{i}.png": encoded(np.ascontiguousarray(image)) for i, image in enumerate(pixels)}
    )
    job = benchmark(
        tmp_path / "in",
        tmp_path / "out",
        degradations=[
            {
                "name": "shaken",
                "operators": [{"op": "motion_blur", "length": 10.0}, {"op": "gaussian_noise", "sigma": 4.0}],
            },
            {"name": "holes", "operators": [{"op": "mask", "share": 0.5}]},
        ],
        restorers=[
            {"name": "prior", "solver": "generative_prior", "generator": str(weights), "restarts": 2}
            | {"iterations": 120},
            "identity",
        ],
        metrics=["psnr"],
    )
    rows = complete(job)
    assert [row["status"] for row in rows] == ["ok"] * 8, [row["error"] for row in rows if row["error"]]
    score = {(row["key"], row["degradation"], row["restorer"]): row["psnr"] for row in rows}
    for key in ("0.png", "1.png"):
        for degradation in ("shaken", "holes"):
            assert score[key, degradation, "prior"] > score[key, degradation, "identity"] + 12
            assert score[key, degradation, "prior"] > 33


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda path: catalog.build_solver("generative_prior"), "generative_prior: give generator, a name"),
        (
            lambda path: catalog.build_solver("generative_prior", generator="dcgam"),
            'unknown restorer or generator "dcgam"',
        ),
        (
            lambda path: catalog.build_solver("generative_prior", generator="ffdnet-colour"),
            "generator must be weights of a dcgan or another generator, got 'ffdnet-colour'",
        ),
        (
            lambda path: catalog.build_solver("generative_prior", generator="no/such.safetensors"),
            "No such file",
        ),
        (
            lambda path: catalog.build_solver("plug_and_play", denoiser=path),
            "denoiser must be a restorer that",
        ),
        (lambda path: fetch_restorer(path), "generates images and restores none"),
        (lambda path: fetch_part(path + "x.safetensors"), "x.safetensors"),
    ],
)
def test_errors_name_the_thing_and_the_cure(weights, call, message):
    with pytest.raises((ValueError, JobError)) as error:
        call(str(weights))
    assert message in str(error.value)


def test_the_shipped_generator_is_a_prior_by_its_name():
    """Of its own image with half the pixels hidden, far more comes back than the mean of what is seen."""
    restorer = catalog.build_solver(
        "generative_prior", generator="dcgan-photographs", iterations=150, restarts=2
    )
    generator = restorer.model.generator
    image_1CNN = generator(torch.randn(1, generator.latent, generator=RNG.manual_seed(3)))
    mask_11NN = (torch.rand(1, 1, 64, 64, generator=RNG) > 0.5).float()
    restored_1CNN = restorer(image_1CNN * mask_11NN, condition=Condition(mask_B1HW=mask_11NN))
    seen = (image_1CNN * mask_11NN).sum((2, 3), keepdim=True) / mask_11NN.sum()
    hidden_11NN = 1 - mask_11NN
    error, of_mean = (((each - image_1CNN) * hidden_11NN).square().sum() for each in (restored_1CNN, seen))
    assert error < 0.5 * of_mean
