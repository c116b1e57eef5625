"""Every recipe in conf/train: parses, means something, and takes two steps once it is made small."""

import csv
import math
import re

import pytest

from pipeline.training.data.collection import read_collection
from pipeline.training.recipe.built_recipe import BuiltRecipe
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.trainer import Trainer
from tests.pipeline.training.training_data import ROOT, photographs

NAME = re.compile(r"`([^`]+)`")
FILES = sorted((ROOT / "conf" / "train").glob("*.toml"))

SHIPPED = [
    "ffdnet-colour",
    "dncnn-grey-25",
    "drunet-colour",
    "nafnet-denoise",
    "nafnet-motion",
    "restormer-denoise",
    "swinir-x4",
    "srresnet-x2",
    "srresnet-x4",
    "srgan-x4",
    "esrgan-x4",
    "real-esrgan-x4",
    "deblurgan",
    "deblurgan-v2",
    "pix2pix-restore",
    "inpaint-gated",
    "lama",
    "noise2void",
    "dcgan",
    "lsgan",
    "wgan-gp",
    "hinge-sn",
    "began",
    "pggan",
    "srresnet-x2-small",
    "srresnet-x4-small",
    "srgan-x4-small",
    "dncnn-grey-small",
    "nafnet-motion-small",
    "nafnet-motion-gan-small",
    "inpaint-gated-small",
    "jpeg-small",
    "despeckle-small",
    "dcgan-small",
    "srvgg-x2-small",
    "srvgg-x4-small",
    "ffdnet-grey-small",
    "ffdnet-grey-quantiles-small",
    "ffdnet-colour-quantiles-small",
    "restormer-denoise-small",
    "swinir-x2-small",
    "student-colour-small",
    "frame-fusion-x3-small",
    "srvgg-x3-small",
    "pannet-x2-small",
    "basicvsr-clip-small",
]

SMALL = {  # what makes each network a matter of milliseconds
    "pannet": ("arguments.features=4", "arguments.layers=2"),
    "basicvsr": ("arguments.features=2", "arguments.blocks=1"),
    "frame_fusion": ("arguments.features=2", "arguments.layers=1", "arguments.frame_features=1"),
    "dncnn": ("arguments.features=4", "arguments.layers=3"),
    "ffdnet": ("arguments.features=12", "arguments.layers=3"),
    "ffdnet_quantiles": ("arguments.head_features=4",),  # on shipped weights
    "drunet": ("arguments.features=[4, 4, 8, 8]", "arguments.blocks=1"),
    "nafnet": (
        "arguments.features=2",
        "arguments.encoders=[1, 1]",
        "arguments.decoders=[1, 1]",
        "arguments.middle=1",
    ),
    "msrresnet": ("arguments.features=4", "arguments.blocks=1"),
    "srvgg": ("arguments.features=4", "arguments.layers=1"),
    "srresnet": ("arguments.features=4", "arguments.blocks=1"),
    "restormer": (
        "arguments.features=4",
        "arguments.blocks=[1, 1, 1, 1]",
        "arguments.refinement=1",
        "arguments.heads=[1, 1, 1, 1]",
    ),
    "swinir": ("arguments.features=8", "arguments.blocks=[1, 2]", "arguments.heads=2"),
    "rrdbnet": ("arguments.features=4", "arguments.growth=2", "arguments.blocks=1"),
    "deblurgan": ("arguments.features=2", "arguments.blocks=1"),
    "deblurgan_v2": ("arguments.features=4", "arguments.pyramid=4", "arguments.encoder_width=0.1"),
    "pix2pix_unet": ("arguments.features=2", "arguments.levels=4"),
    "gated_unet": ("arguments.features=2",),
    "lama": ("arguments.features=4", "arguments.blocks=1"),
    "dcgan": ("arguments.features=4",),
    "progressive": ("arguments.features=64", "arguments.widest=8", "arguments.latent=8"),
}
OPPONENTS = {
    "patch": ("arguments.features=2", "arguments.layers=2"),
    "multi_scale": ("arguments.features=2", "arguments.layers=2"),
    "srgan": ("arguments.features=2", "arguments.hidden=4"),
    "unet": ("arguments.features=2",),
    "dcgan": ("arguments.features=4",),
    "autoencoder": ("arguments.features=4", "arguments.latent=8"),
    "progressive": ("arguments.features=64", "arguments.widest=8"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return photographs(tmp_path_factory.mktemp("photographs"), 2, 136)


def small(path, folder):
    """The recipe's networks of few features, crops of at most 64 pixels, two samples a step."""
    recipe = TrainingRecipe.from_toml(path)
    overrides = [f"network.{each}" for each in SMALL[recipe.network.architecture]]
    if recipe.discriminator is not None:
        overrides += [f"discriminator.{each}" for each in OPPONENTS[recipe.discriminator.architecture]]
    dataset = f'[{{ name = "photographs", uri = "{folder.url}" }}]'
    if recipe.kind == "restoration":
        side = min(64, recipe.data.crop)
        side -= side % recipe.network.arguments.get("scale", 1)
        overrides += [f"data.crop={side}", f"validation.datasets={dataset}"]
    if recipe.growth is not None:
        overrides.append("growth.steps_per_size=1")
    overrides += [f"data.datasets={dataset}", "length={ steps = 2 }"]
    overrides += ["batch=2", "accumulation=1", "precision=float32"]
    fields = TrainingRecipe.from_toml(path, tuple(overrides)).model_dump()
    if recipe.network.architecture != "ffdnet_quantiles":
        fields["network"]["start"] = None  # weights of a run that comes before it
    fields["data"]["attribution"] = None
    return TrainingRecipe.parse(fields)


def test_all_are_there():
    assert {path.stem for path in FILES} == set(SHIPPED)


def test_the_page_lists_all_of_them_and_says_which_wait_for_a_gpu():
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    core, _, gpu = page.partition("### For one core")[2].partition("### Waiting for a GPU")
    rows = [
        [line.split("|")[1] for line in part.splitlines() if line.startswith("|")] for part in (core, gpu)
    ]
    listed = [set(NAME.findall(" ".join(cells))) for cells in rows]
    recipes = [TrainingRecipe.from_toml(path) for path in FILES]
    assert listed[0] == {each.name for each in recipes if not each.resources.gpus_per_worker}
    assert listed[1] == {each.name for each in recipes if each.resources.gpus_per_worker}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_means_something_as_it_is(path):
    recipe = TrainingRecipe.from_toml(path)
    assert recipe.name == path.stem
    built = BuiltRecipe.of(recipe)
    assert built.channels in (1, 3)
    text = path.read_text(encoding="utf-8")
    assert re.search(r"^# .*(et al|Zhang|Wang)", text), "name the paper in the comment"
    assert f"restora train conf/train/{path.name} " in text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_takes_two_steps_that_move_the_weights(path, folder):
    if "perceptual" in path.read_text(encoding="utf-8"):
        pytest.importorskip("efficientnet_lite_pytorch", reason="the extra perceptual is not installed")
    recipe = small(path, folder)
    data = recipe.data
    built = BuiltRecipe.of(recipe)
    collection = read_collection(
        data.datasets, channels=built.channels, smallest=data.crop, most_bytes=1e9, most_pixels=10**6
    )
    training = Trainer(built, collection)
    before = {name: tensor.clone() for name, tensor in training.network.named_parameters()}
    for step in (1, 2):
        scalars, _ = training.step()
        assert training.position.step == step
        assert bool(scalars["finite"])
        assert all(math.isfinite(float(value)) for value in scalars.values())
    training.close()
    after = dict(training.network.named_parameters())
    moved = [name for name, tensor in before.items() if not tensor.equal(after[name])]
    assert moved, "no weight moved"
    if recipe.discriminator is not None:
        assert {"d_real", "d_fake", "loss_discriminator"} <= scalars.keys()


def test_every_listed_photograph_has_a_licence_that_lets_us_publish():
    lines = (ROOT / "conf/train/photographs.tsv").read_text().splitlines()
    rows = list(csv.reader((line for line in lines if not line.startswith("#")), delimiter="\t"))
    assert rows
    assert all(row[0] in {"train", "more", "validate", "held-out"} for row in rows)
    assert all(re.fullmatch("[0-9a-f]{64}", row[5]) and len(row) == 6 for row in rows)
    assert len({row[2] for row in rows}) == len(rows), "a photograph has one use"
    allowed = ("BSD-3-Clause", "CC0-1.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "public domain")
    assert all(row[3] in allowed for row in rows)
