"""Training on a hospital's images: no name of theirs is in anything that a run leaves or says."""

import json

import pytest
from pydantic import ValidationError

from pipeline.errors import JobError
from pipeline.privacy.key import VARIABLE, load_key, make_key
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.run import train
from tests.canary import CANARY, archive, hits
from tests.pipeline.training.training_data import denoiser, generator
from tests.pipeline.training.training_process import HERE

GREY = {"architecture": "dncnn", "arguments": {"features": 4, "layers": 3, "batch_norm": False, "channels": 1}}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    place = tmp_path_factory.mktemp("hospital")
    archive(place)
    return place / CANARY


@pytest.fixture
def key(tmp_path, monkeypatch):
    make_key(tmp_path / "privacy.key")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "privacy.key"))
    return load_key()


def private(place, **fields) -> list[dict[str, object]]:
    return [{"name": "scans", "uri": str(place), "private": True} | fields]


def recipe_of(place, **fields) -> TrainingRecipe:
    validation = {"datasets": private(place, pattern="*1*"), "images": 3, "side": 32, "metrics": ["mae"]}
    defaults = {
        "data": {"datasets": private(place), "crop": 16},
        "network": GREY,
        "length": {"steps": 2},
        "validation": validation,
    }
    return denoiser(place, **(defaults | fields))


def test_nothing_that_a_training_leaves_or_says_names_anyone(hospital, key, tmp_path):
    events = []
    finished = train(recipe_of(hospital), str(tmp_path / "out"), HERE, on_progress=events.append)
    assert finished.skipped == 4
    assert hits(tmp_path / "out") == []
    assert CANARY not in repr(events)
    skipped = json.loads((tmp_path / "out" / "skipped.json").read_text())
    broken = next(path for path in hospital.rglob("empty-*"))
    opaque = key.id_of("scans", str(broken.relative_to(hospital)))
    assert skipped[f"scans/{opaque}.dcm"] == "EMPTY"
    assert all(why.isupper() for why in skipped.values())
    assert finished.scores
    assert not (tmp_path / "out" / "samples").exists()
    with_pictures = recipe_of(hospital).model_copy(update={"name": "shown"})
    validation = with_pictures.validation.model_copy(update={"show_private": True})
    train(with_pictures.model_copy(update={"validation": validation}), str(tmp_path / "shown"), HERE)
    assert len(list((tmp_path / "shown" / "samples").glob("*.png"))) == 1
    assert hits(tmp_path / "shown") == []


def test_images_that_stream_change_and_fail_under_their_ids(hospital, key, tmp_path):
    place = tmp_path / CANARY
    for path in (each for each in hospital.rglob("*IM0001*")):
        for number in range(2):
            (place / f"{CANARY}-{number}").mkdir(parents=True)
            (place / f"{CANARY}-{number}" / "IM").write_bytes(path.read_bytes())
    data = {"datasets": private(place), "crop": 16, "memory_gigabytes": 6e-5}
    recipe = recipe_of(hospital, data=data, validation={})

    def on_progress(event):
        for path in place.rglob("IM"):
            path.unlink(missing_ok=True)

    with pytest.raises(JobError) as error:
        train(recipe_of(hospital, data=data | {"memory_gigabytes": 1e-6}), str(tmp_path / "none"), HERE)
    assert CANARY not in str(error.value)
    long = recipe.model_copy(update={"length": recipe.length.model_copy(update={"steps": 1000})})
    with pytest.raises(JobError, match=r"scans/[0-9a-f]{32} changed while .*: NOT_FOUND;") as error:
        train(long, str(tmp_path / "out"), HERE, on_progress=on_progress)
    assert error.value.__cause__ is None
    assert hits(tmp_path / "out") == []


def test_what_is_not_declared_or_has_no_key_is_refused(hospital, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.key"))
    with pytest.raises(JobError, match=r"data\.datasets: private datasets: need a privacy key"):
        train(recipe_of(hospital), str(tmp_path / "out"), HERE)
    undeclared = {"datasets": [{"name": "scans", "uri": str(hospital)}], "crop": 16}
    with pytest.raises(JobError, match=r"data\.datasets\[0\]: holds medical images") as error:
        train(recipe_of(hospital, data=undeclared), str(tmp_path / "out"), HERE)
    assert CANARY not in str(error.value)
    with pytest.raises(ValidationError, match=r"data\.attribution: would name private images"):
        TrainingRecipe.model_validate(
            recipe_of(hospital).model_dump()
            | {"data": {"datasets": private(hospital), "crop": 16, "attribution": "table.tsv"}}
        )


def test_a_generator_of_private_images_draws_no_sheet(hospital, key, tmp_path):
    grey = {"channels": 1, "features": 4, "image_size": 8}
    recipe = generator(
        hospital,
        length={"steps": 1},
        data={"datasets": private(hospital), "crop": 16, "downsample": 2},
        network={"architecture": "dcgan", "arguments": grey | {"latent": 6}, "value_range": [-1.0, 1.0]},
    )
    discriminator = recipe.discriminator
    assert discriminator is not None
    arguments = discriminator.arguments | {"channels": 1}
    recipe = recipe.model_copy(
        update={"discriminator": discriminator.model_copy(update={"arguments": arguments})}
    )
    train(recipe, str(tmp_path / "out"), HERE)
    assert not (tmp_path / "out" / "samples").exists()
    assert hits(tmp_path / "out") == []
