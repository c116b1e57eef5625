"""Training on a hospital's images: no name of theirs is in anything that a run leaves or says."""

import json

import pytest
from pydantic import ValidationError

from models.catalog import build
from pipeline.errors import JobError
from pipeline.privacy.key import VARIABLE, load_key, make_key
from pipeline.training.data.collection import read_collection
from pipeline.training.data.streaming import StreamedCollection
from pipeline.training.recipe.built_recipe import BuiltRecipe
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.run import train
from pipeline.training.validation.restorer import RestorerValidation
from pipeline.training.world import World
from tests.canary import CANARY, archive, hits
from tests.pipeline.training.training_data import denoiser
from tests.pipeline.training.training_process import HERE

ARGUMENTS = {"features": 4, "layers": 3, "batch_norm": False, "channels": 1}
GREY = {"architecture": "dncnn", "arguments": ARGUMENTS}


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


def test_pictures_of_private_images_are_shown_on_request_alone(hospital, key):
    validation = recipe_of(hospital).validation
    degradations = BuiltRecipe.of(recipe_of(hospital)).validation
    restorer = build("identity")
    sheets = [
        RestorerValidation(settings, degradations, channels=1, seed=0, world=World())(restorer).sheet
        for settings in (validation, validation.model_copy(update={"show_private": True}))
    ]
    assert [len(each) for each in sheets] == [0, 2]


def test_images_that_stream_change_and_fail_under_their_ids(hospital, key, tmp_path):
    (path,) = hospital.rglob("*IM0001*")
    for number in range(8):
        (tmp_path / f"{CANARY}-{number}").mkdir()
        (tmp_path / f"{CANARY}-{number}" / "IM").write_bytes(path.read_bytes())
    datasets = recipe_of(tmp_path, data={"datasets": private(tmp_path), "crop": 16}).data.datasets

    def read(most_bytes):
        return read_collection(datasets, channels=1, smallest=16, most_bytes=most_bytes, most_pixels=10**6)

    with pytest.raises(JobError, match=r"memory_gigabytes: too little") as error:
        read(100)
    assert CANARY not in str(error.value)
    streamed = read(100_000)
    assert isinstance(streamed, StreamedCollection)
    (tmp_path / f"{CANARY}-0" / "IM").unlink()
    with pytest.raises(JobError, match=r"scans/[0-9a-f]{32} changed while .*: NOT_FOUND;") as error:
        streamed.picture(0)
    assert error.value.__cause__ is None
    streamed.close()


def test_what_is_not_declared_or_has_no_key_is_refused(hospital, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.key"))
    with pytest.raises(JobError, match=r"data\.datasets: private datasets: need a privacy key"):
        train(recipe_of(hospital), str(tmp_path / "out"), HERE)
    undeclared = {"datasets": [{"name": "scans", "uri": str(hospital)}], "crop": 16}
    with pytest.raises(JobError, match=r"data\.datasets\[0\]: holds medical images") as error:
        train(recipe_of(hospital, data=undeclared, validation={}), str(tmp_path / "out"), HERE)
    assert CANARY not in str(error.value)
    with pytest.raises(ValidationError, match=r"data\.attribution: would name private images"):
        TrainingRecipe.model_validate(
            recipe_of(hospital).model_dump()
            | {"data": {"datasets": private(hospital), "crop": 16, "attribution": "table.tsv"}}
        )
