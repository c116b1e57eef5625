"""Everything that computes on a GPU, on one: the numbers of the CPU, and trainings that take steps.

``tests/pretended_gpu.py`` finds what mixes devices without one. What a GPU computes otherwise (order of sums,
TF32, streams, memory) and gradients are found here alone.
"""

import importlib.util
import itertools
import math

import numpy as np
import pytest
import torch

from models.weights import build_restorer, load_weights, shipped_path
from pipeline.degradation.batched import counter_draws, degrade_batch
from pipeline.errors import RunStopped
from pipeline.metrics import METRICS
from pipeline.storage.folder import Folder
from pipeline.training.adaptation.adapt import Settings, adapt
from pipeline.training.data.collection import read_collection
from pipeline.training.engines.local import train_here
from pipeline.training.options import TrainingOptions
from pipeline.training.recipe.built_recipe import BuiltRecipe
from pipeline.training.trainer import Trainer
from pipeline.training.world import World
from tests.operator_contract import random_image
from tests.pipeline.degradation.test_batched import HOLES, NOISY, SEEDS, SHAKEN, chain
from tests.pipeline.metrics.test_metrics import WITHOUT_FILES
from tests.pipeline.training.adaptation.test_adaptation import clean, noisy
from tests.pipeline.training.test_shipped_recipes import FILES, small
from tests.pipeline.training.training_data import denoiser, photographs
from tests.test_pretended_gpu import CPU, OF_MORE_BANDS, PRESETS, outcomes, photos

assert photos, "a fixture"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
GPU = torch.device("cuda", 0)
HAS_FEATURES = importlib.util.find_spec("efficientnet_lite_pytorch") is not None
METRICS_HERE = [name for name in WITHOUT_FILES if HAS_FEATURES or "lite0" not in name]


def require_near(photos, *, pixels=1, **fields):
    """Restored samples within so many grey levels of the CPU's, scores within what that explains."""
    expected, found = outcomes(photos, CPU, **fields), outcomes(photos, GPU, **fields)
    for (scores, pixels_HWC), (its_scores, its_pixels_HWC) in zip(expected, found, strict=True):
        off = np.abs(pixels_HWC.astype(float) - its_pixels_HWC.astype(float))
        assert off.max() <= pixels
        assert off.mean() <= 0.02
        assert its_scores["seed"] == scores["seed"]
        for name, value in scores.items():
            if name in METRICS and value is not None and not math.isnan(value):
                assert its_scores[name] == pytest.approx(value, rel=5e-3, abs=5e-4), name


def test_metrics(photos):
    require_near(photos, degradations=["awgn-25"], restorers=["median"], metrics=METRICS_HERE)


@pytest.mark.parametrize("name", sorted(PRESETS.keys() - OF_MORE_BANDS))
def test_degradations(photos, name):
    scale = int(name[-1]) if name[-2] == "x" and not name.startswith("mri") else 1
    restorer = (
        {"solver": "interpolation", "name": "enlarged", "scale": 8} if scale == 8 else f"bicubic-x{scale}"
    )
    restorers = [restorer if scale > 1 else "identity"]
    require_near(photos, degradations=[name], restorers=restorers, metrics=["psnr"])


@pytest.mark.parametrize("uncertainty", ["self_ensemble", "posterior"])
def test_trust(photos, uncertainty):
    require_near(
        photos,
        degradations=["awgn-25"],
        restorers=[{"name": "ffdnet-colour", "uncertainty": uncertainty}],
        metrics=["psnr", "consistency"],
        psnr_estimate=True,
        flags=True,
    )


def test_half_precision_costs_little(photos):
    restorers = ["ffdnet-colour", {"name": "ffdnet-colour", "precision": "float16"}]
    (whole, _), (half, _) = (
        outcomes(photos[:1], GPU, degradations=["awgn-25"], restorers=[each], metrics=["psnr"])[0]
        for each in restorers
    )
    assert half["psnr"] == pytest.approx(whole["psnr"], abs=0.05)


@pytest.mark.parametrize(
    "degradations", [[NOISY], [NOISY, SHAKEN], [HOLES, NOISY]], ids=["noise", "jpeg", "holes"]
)
def test_batches_are_degraded_as_on_the_cpu(degradations):
    image_BCHW = random_image(4, 3, 40, 40)
    expected_BCHW, known = degrade_batch(degradations, image_BCHW, SEEDS, counter_draws(CPU))
    found_BCHW, its = degrade_batch(degradations, image_BCHW.to(GPU), SEEDS, counter_draws(GPU))
    assert found_BCHW.is_cuda
    off = (found_BCHW.cpu() - expected_BCHW).abs()
    assert float(off.mean()) < 1e-3, "a block of JPEG may round to the other side"
    assert float(off.median()) < 1e-5
    torch.testing.assert_close(its.noise_level_B.cpu(), known.noise_level_B)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return photographs(tmp_path_factory.mktemp("photographs"), 2, 136)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_recipes_take_steps(path, folder, precision):
    if "perceptual" in path.read_text(encoding="utf-8") and not HAS_FEATURES:
        pytest.skip("the extra perceptual is not installed")
    recipe = small(path, folder).model_copy(update={"precision": precision})
    data, built = recipe.data, BuiltRecipe.of(recipe)
    collection = read_collection(
        data.datasets, channels=built.channels, smallest=data.crop, most_bytes=1e9, most_pixels=10**6
    )
    training = Trainer(built, collection, World(device=GPU))
    before = {name: tensor.clone() for name, tensor in training.network.named_parameters()}
    for _ in range(2):
        scalars, _ = training.step()
        assert all(math.isfinite(float(value)) for value in scalars.values())
    training.close()
    assert any(not tensor.equal(before[name]) for name, tensor in training.network.named_parameters())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_steps_that_are_played_again_are_those_of_before(path, folder, caplog):
    if "perceptual" in path.read_text(encoding="utf-8") and not HAS_FEATURES:
        pytest.skip("the extra perceptual is not installed")
    recipe = small(path, folder)
    played, plain = (losses_of(recipe, cuda_graphs=each) for each in (True, False))
    for step, (values, expected) in enumerate(zip(played, plain, strict=True)):
        assert values.keys() == expected.keys()
        for name, value in expected.items():
            assert values[name] == pytest.approx(value, rel=0.02, abs=2e-3), (step, name)
    assert "not recorded" not in caplog.text


def losses_of(recipe, **resources):
    """What each of six steps reports; the last ones are played where they can be."""
    resources = recipe.resources.model_copy(update=resources)
    built = BuiltRecipe.of(recipe.model_copy(update={"resources": resources}))
    data = recipe.data
    collection = read_collection(
        data.datasets, channels=built.channels, smallest=data.crop, most_bytes=1e9, most_pixels=10**6
    )
    training = Trainer(built, collection, World(device=GPU))
    found = [{name: float(value) for name, value in training.step()[0].items()} for _ in range(6)]
    training.close()
    return found


def test_a_run_goes_on_from_its_checkpoint(folder, tmp_path):
    output, options = Folder(str(tmp_path)), TrainingOptions(device="cuda")
    validation = {"datasets": [{"name": "photos", "uri": str(folder.url)}], "metrics": ["psnr"]}
    recipe = denoiser(folder.url, length={"steps": 24}, validation=validation)
    looks = itertools.chain([False] * 11, itertools.repeat(True))
    with pytest.raises(RunStopped):
        train_here(recipe, output, options, lambda event: None, lambda: next(looks))
    messages = []
    result = train_here(recipe, output, options, lambda event: messages.append(event.message), bool)
    assert result.steps == 24
    assert any(each.startswith("going on from step") for each in messages)
    card, state = load_weights(tmp_path / f"{recipe.name}.safetensors")
    assert torch.isfinite(build_restorer(card, state)(torch.rand(1, 3, 32, 32))).all()


def test_adaptation_gains_what_it_gains_on_the_cpu():
    card, state = load_weights(shipped_path("ffdnet-grey"))
    images = noisy(clean(), shared=True)
    found = [adapt(card, state, images, Settings(steps=6), device=each) for each in (CPU, GPU)]
    assert found[0].kept == found[1].kept
    assert found[0].gain_db == pytest.approx(found[1].gain_db, abs=0.2)
    assert found[0].noise.described() == found[1].noise.described()
    assert all(not tensor.is_cuda for tensor in found[1].state.values())


def test_noise_of_counters_is_that_of_the_cpu():
    noise = [chain("noise", {"op": "gaussian_noise", "sigma": [5, 50]})]
    image_BCHW = random_image(4, 3, 64, 64)
    made = [degrade_batch(noise, image_BCHW.to(each), SEEDS, counter_draws(each))[0] for each in (CPU, GPU)]
    torch.testing.assert_close(made[0], made[1].cpu(), atol=1e-5, rtol=0)
