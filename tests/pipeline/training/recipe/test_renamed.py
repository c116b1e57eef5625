"""The spelling of before: recipes, ``--set`` paths, checkpoints and cards that were written with it."""

import io
import json

import pytest
import torch

from models.networks import build_generator
from pipeline.errors import JobError
from pipeline.training.checkpoints import POINTER, RENAMED_STATE
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.recipe.renamed import FIELDS, with_current_names
from pipeline.training.run import TrainingOptions, train
from tests.pipeline.training.training_data import denoiser, generator, photographs, super_resolver_gan

OLD = """
name = "old"
summary = "As it was spelt."
kind = "generation"
batch = 4
average = 0.9
codes = "uniform"
length = { steps = 3 }
[data]
datasets = [{ name = "photos", uri = "photos" }]
crop = 16
shrink = 2
busiest_of = 3
sources = "photographs.tsv"
[network]
architecture = "dcgan"
arguments = { code = 6, image_size = 8 }
[optimiser]
learning_rate = 1e-3
[discriminator]
architecture = "autoencoder"
arguments = { code = 4, image_size = 8 }
adversarial = { name = "began" }
begins = 0
optimiser = { learning_rate = 2e-3 }
"""
NEW = OLD
for _old, _new in (
    ("average", "ema_decay"),
    ("codes", "latents"),
    ("code", "latent"),
    ("shrink", "downsample"),
    ("busiest_of", "crop_candidates"),
    ("sources", "attribution"),
    ("begins", "start_step"),
    ("optimiser", "optimizer"),
):
    NEW = NEW.replace(f"{_old} =", f"{_new} =").replace(f"[{_old}]", f"[{_new}]")


def renamed_back(fields):
    """Plain fields by the names of before."""
    back = {(*path[:-1], now): path[-1] for path, now in FIELDS.items()}

    def walk(value, path):
        if not isinstance(value, dict):
            return {"neighbor2neighbor": "neighbours", "noise2void": "blind_spots"}.get(str(value), value)
        return {back.get((*path, name), name): walk(each, (*path, name)) for name, each in value.items()}

    # Parents are looked up by today's names, as the table writes them.
    return walk(fields, ())


def test_a_recipe_may_be_spelt_as_before(tmp_path):
    (tmp_path / "old.toml").write_text(OLD)
    (tmp_path / "new.toml").write_text(NEW)
    old, new = (TrainingRecipe.from_toml(tmp_path / f"{name}.toml") for name in ("old", "new"))
    assert old == new
    assert old.identity() == new.identity()
    assert (new.ema_decay, new.latents, new.data.crop_candidates) == (0.9, "uniform", 3)


@pytest.mark.parametrize(
    ("value", "now"), [("neighbours", "neighbor2neighbor"), ("blind_spots", "noise2void")]
)
def test_values_may_be_spelt_as_before(tmp_path, value, now):
    assert denoiser(tmp_path, self_supervision=value).self_supervision == now


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
def test_both_spellings_at_once_are_refused(tmp_path, path):
    (tmp_path / "both.toml").write_text("")
    fields = {path[-1]: 1, FIELDS[path]: 1}
    for name in reversed(path[:-1]):
        fields = {name: fields}
    now = ".".join((*path[:-1], FIELDS[path]))
    with pytest.raises(ValueError, match=rf"{'.'.join(path)}: the old name of {now}, .*; give {now} alone"):
        with_current_names(fields)


def test_both_spellings_in_a_file_or_in_fields_are_a_fault_of_the_recipe(tmp_path):
    (tmp_path / "both.toml").write_text("average = 0.9\nema_decay = 0.99\n")
    with pytest.raises(JobError, match=r"both\.toml: average: the old name of ema_decay"):
        TrainingRecipe.from_toml(tmp_path / "both.toml")
    fields = denoiser(tmp_path).model_dump() | {"average": 0.5}
    with pytest.raises(JobError, match="recipe: average: the old name of ema_decay"):
        TrainingRecipe.parse(fields)


def test_set_takes_either_spelling_whatever_the_file_has(tmp_path):
    for text in (OLD, NEW):
        (tmp_path / "recipe.toml").write_text(text)
        given = ("average=0.5", "discriminator.optimiser.learning_rate=0.25", "network.arguments.code=7")
        recipe = TrainingRecipe.from_toml(tmp_path / "recipe.toml", given)
        assert recipe.ema_decay == 0.5
        assert recipe.discriminator.optimizer.learning_rate == 0.25
        assert recipe.network.arguments["latent"] == 7


@pytest.mark.usefixtures("without_page")
@pytest.mark.parametrize("make", [denoiser, super_resolver_gan, generator])
def test_checkpoints_of_before_are_gone_on_with(tmp_path, make):
    """Pointer and state in the spelling of before: the same weights as without a stop."""
    folder = str(photographs(tmp_path / "photos").url)
    recipe = make(folder, length={"steps": 4}, checkpoints={"every_steps": 1})
    options = TrainingOptions("local", device="cpu", threads=1)
    whole = train(recipe, str(tmp_path / "whole"), options)
    asked = iter([False, False])
    with pytest.raises(Exception, match="stopped at step 3"):
        train(recipe, str(tmp_path / "half"), options, stopping=lambda: next(asked, True))
    spelt_as_before(tmp_path / "half" / "checkpoints")
    events = []
    half = train(recipe, str(tmp_path / "half"), options, on_progress=events.append)
    assert any(event.message == "going on from step 3" for event in events)
    first, second = (weights_of(tmp_path / name / f"{recipe.name}.safetensors") for name in ("whole", "half"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert whole.scores == half.scores


def spelt_as_before(checkpoints):
    from pipeline.hashing import sha256_hex

    pointer = json.loads((checkpoints / POINTER).read_text())
    pointer["identity"] = renamed_back(pointer["identity"])
    assert "optimiser" in pointer["identity"]
    back = {now: old for old, now in RENAMED_STATE.items()}
    for entry in pointer["checkpoints"]:
        state = torch.load(checkpoints / entry["key"], weights_only=True)
        buffer = io.BytesIO()
        torch.save({back.get(name, name): value for name, value in state.items()}, buffer)
        (checkpoints / entry["key"]).write_bytes(buffer.getvalue())
        entry["sha256"] = sha256_hex(buffer.getvalue())
    (checkpoints / POINTER).write_text(json.dumps(pointer))


def weights_of(path):
    from models.weights import load_weights

    return load_weights(path)[1]


def test_generators_of_cards_of_before():
    old, new = (
        build_generator("dcgan", {"image_size": 8, "features": 2, name: 5}) for name in ("code", "latent")
    )
    assert old.latent == new.latent == 5
    with pytest.raises(ValueError, match="code and latent are the same argument; give latent alone"):
        build_generator("dcgan", {"code": 5, "latent": 5})
