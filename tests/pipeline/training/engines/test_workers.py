"""Several workers: the batch of one, shared out; another number of them goes on from the same checkpoint."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.weights import build_restorer, load_weights
from pipeline.errors import RunStopped
from pipeline.training.recipe.built_recipe import BuiltRecipe
from pipeline.training.recipe.sections import Length, Named
from pipeline.training.run import train
from pipeline.training.validation.restorer import RestorerValidation
from pipeline.training.world import World
from tests.helpers import folder_of_somebody
from tests.pipeline.training.training_data import denoiser, generator, photographs, super_resolver_gan
from tests.pipeline.training.training_process import (
    HERE,
    Process,
    assert_equal_weights,
    two_workers,
    weights_of,
)

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[4]


def assert_close_weights(first, second, start):
    """Sums in another order differ in the last bits; the steps themselves were many times larger."""
    assert first.keys() == second.keys()
    apart = sum(float((first[name] - second[name]).square().sum()) for name in first) ** 0.5
    moved = sum(float((first[name] - start[name]).square().sum()) for name in first) ** 0.5
    assert moved > 0
    assert apart < 1e-2 * moved, (apart, moved)


@pytest.mark.usefixtures("without_page")
@pytest.mark.parametrize("make", [denoiser, super_resolver_gan])
def test_from_two_workers_to_one_and_back_is_one_run(tmp_path, make):
    images = tmp_path / "photos"
    photographs(images, 3)
    fields = {"length": {"steps": 40}, "ema_decay": 0.5, "resources": {"workers": [1, 2]}}
    recipe = _without_means_over_images(make(images, **fields))
    whole, output, begun = (tmp_path / name for name in ("whole", "out", "begun"))
    train(recipe, str(whole), HERE)

    assert "stopped at step 10" in two_workers(recipe, output, 10)
    steps = []
    with pytest.raises(RunStopped, match="stopped at step 2"):
        train(
            recipe,
            str(output),
            HERE,
            on_progress=lambda event: steps.append(event.step),
            stopping=lambda: bool(steps) and steps[-1] >= 20,
        )
    two_workers(recipe, output)
    first = recipe.model_copy(update={"length": Length(steps=1)})
    train(first, str(begun), HERE)
    assert_close_weights(*(weights_of(each) for each in (whole, output, begun)))


def test_workers_share_a_validation_and_find_the_scores_of_one(tmp_path):
    images = tmp_path / "photos"
    photographs(images, 3)
    validation = {"datasets": [{"name": "photos", "uri": str(images)}], "images": 3, "samples": 2}
    recipe = denoiser(images, length={"steps": 10}, validation=validation, resources={"workers": 2})
    two_workers(recipe, tmp_path / "out")
    card, state = load_weights(tmp_path / "out" / "tiny.safetensors")
    built = BuiltRecipe.of(recipe)
    alone = RestorerValidation(
        recipe.validation, built.validation, channels=built.channels, seed=recipe.seed, world=World()
    )
    found = alone(build_restorer(card, state))
    assert card.training["validation"] == found.described()
    assert card.training["validation"]["noise"]["psnr"]["images"] == 3
    assert len(found.sheet) == 2


def _without_means_over_images(recipe):
    """The relativistic game compares with the mean over a worker's own images: fewer where there are two."""
    if recipe.discriminator is None:
        return recipe
    discriminator = recipe.discriminator.model_copy(update={"adversarial": Named(name="vanilla")})
    return recipe.model_copy(update={"discriminator": discriminator})


TRAIN = """
import sys
from pipeline.training.options import TrainingOptions
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.run import train

recipe, output, address = sys.argv[1:]
options = TrainingOptions(engine="ray", ray_address=address)
train(TrainingRecipe.model_validate_json(recipe), output, options)
"""


@pytest.mark.long  # as the two recipes above, with a second network that is trained from nothing
def test_two_workers_on_ray_train_an_unpaired_recipe_as_two_processes_do(tmp_path, on_ray):
    """Started from a folder whose packages are called as ours are."""
    photographs(tmp_path / "photos", 3)
    recipe = generator(tmp_path / "photos", length={"steps": 20}, resources={"workers": 2})
    given = recipe.model_dump_json(), str(tmp_path / "ray"), on_ray.ray_address
    with subprocess.Popen(
        [sys.executable, "-P", "-c", TRAIN, *given],
        cwd=folder_of_somebody(tmp_path / "project"),
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        two_workers(recipe, tmp_path / "out")
        _, errors = run.communicate(timeout=300)
    assert run.returncode == 0, errors[-3000:]
    name = "tiny-gan.safetensors"
    assert_equal_weights(weights_of(tmp_path / "ray", name), weights_of(tmp_path / "out", name))


def test_more_workers_than_resources_says_what_is_missing(tmp_path, on_ray):
    photographs(tmp_path / "photos", 1)
    resources = {"workers": 64, "cpus_per_worker": 2.0}
    run = Process(
        super_resolver_gan(tmp_path / "photos", batch=64, resources=resources), tmp_path / "out", on_ray
    )
    run.start()
    assert run.wait() == 1
    assert "64 workers of 2 CPU each, but the cluster has 4 CPU, enough for 2; lower --workers" in run.output
