"""Training on images that come with their references: crops of both are of the same place."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F

from pipeline.errors import JobError
from pipeline.training.data.collection import read_collection
from pipeline.training.data.samples import Samples
from pipeline.training.data.streaming import StreamedCollection
from pipeline.training.run import train
from tests.helpers import encoded, fill, photograph
from tests.pipeline.training.training_data import denoiser, super_resolver_gan
from tests.pipeline.training.training_process import HERE

FOUND = {"degradations": [], "validation": {}}


def recipe_of(folder, make=denoiser, **fields):
    data = {"datasets": [{"name": "set", "uri": str(folder / "in")}], "references": str(folder / "sharp")}
    data |= {"crop": 16, "crop_candidates": 3, "shuffle_channels": True} | fields.pop("data", {})
    return make(folder, **(FOUND | {"data": data} | fields))


def negatives(folder, count: int = 3) -> None:
    """Images that are the negatives of their references: any other place would show."""
    for i in range(count):
        image = photograph(i, 40 + i, 48)
        fill(folder / "in", {f"{i}.png": encoded(255 - image)})
        fill(folder / "sharp", {f"{i}.png": encoded(image)})


def collected(recipe, scale: int = 1, most_bytes: float = 1e9):
    data = recipe.data
    return read_collection(data.collections, channels=3, smallest=data.crop, most_bytes=most_bytes,
                           most_pixels=10**6, pairs=True, scale=scale)  # fmt: skip


@pytest.mark.parametrize("most_bytes", [1e9, 65_000])
def test_crops_of_both_are_of_the_same_place(tmp_path, most_bytes):
    negatives(tmp_path, 8)
    recipe = recipe_of(tmp_path)
    collection = collected(recipe, most_bytes=most_bytes)
    assert isinstance(collection, StreamedCollection) == (most_bytes < 1e9)
    samples = Samples(recipe, collection, (), torch.device("cpu"))
    for step in range(3):
        for example in samples.examples(step):
            torch.testing.assert_close(example.degraded_BCHW, 1 - example.target_BCHW, rtol=0, atol=1e-6)
            assert example.target_BCHW.std() > 0
    collection.close()


def test_a_smaller_image_is_cut_where_its_reference_is(tmp_path):
    for i in range(2):
        large = photograph(i, 65, 80)  # a row more than the image times two
        small = large[:64].reshape(32, 2, 40, 2, 3).mean(axis=(1, 3)).round().astype(np.uint8)
        fill(tmp_path / "in", {f"{i}.png": encoded(small)})
        fill(tmp_path / "sharp", {f"{i}.png": encoded(large)})
    recipe = recipe_of(tmp_path, super_resolver_gan, data={"crop": 32})
    samples = Samples(recipe, collected(recipe, scale=2), (), torch.device("cpu"))
    (example,) = samples.examples(0)
    assert example.condition.scale == 2
    assert example.degraded_BCHW.shape[-1] == 16
    torch.testing.assert_close(
        example.degraded_BCHW, F.avg_pool2d(example.target_BCHW, 2), rtol=0, atol=0.51 / 255
    )


def test_images_without_a_good_reference_are_left_out_and_said(tmp_path):
    negatives(tmp_path, 4)
    fill(tmp_path / "sharp", {"1.png": b"no image", "2.png": encoded(photograph(2, 30, 30))})
    (tmp_path / "sharp/3.png").unlink()
    found = collected(recipe_of(tmp_path))
    assert found.names == ["set/0.png"]
    reasons = {name: why.partition(":")[0] for name, why in found.skipped.items()}
    assert reasons == {"set/1.png": "REFERENCE_UNREADABLE", "set/2.png": "REFERENCE_SIZE",
                       "set/3.png": "NO_REFERENCE"}  # fmt: skip


@pytest.mark.usefixtures("without_page")
def test_a_training_on_pairs_is_validated_on_pairs(tmp_path):
    negatives(tmp_path)
    place = {"datasets": [{"name": "set", "uri": str(tmp_path / "in")}],
             "references": str(tmp_path / "sharp")}  # fmt: skip
    recipe = recipe_of(tmp_path, length={"steps": 2}, validation=place | {"images": 2, "side": 24})
    finished = train(recipe, str(tmp_path / "out"), HERE)
    rows = pq.read_table(tmp_path / "out/table.parquet").to_pylist()
    assert finished.steps == 2
    assert any(row.get("validation_found_psnr") for row in rows)
    assert json.dumps(rows[-1], default=str)


def test_a_manifest_names_references_too(tmp_path):
    negatives(tmp_path)
    rows = [{"uri": f"in/{i}.png", "reference": f"sharp/{i}.png"} for i in range(3)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "list.parquet")
    dataset = {"name": "list", "uri": str(tmp_path / "list.parquet")}
    recipe = denoiser(tmp_path, **FOUND, data={"datasets": [dataset], "crop": 16})
    assert recipe.is_paired
    assert all(each.found_HWC is not None for each in collected(recipe).pictures)


@pytest.mark.parametrize(("fields", "said"), [
    ({"degradations": ["awgn-25"]}, "taken as found"),
    ({"self_supervision": "noise2void"}, "learns without true images"),
    ({"validation": {"datasets": [{"name": "a", "uri": "a"}]}}, "validation.references: is needed"),
    ({"data": {"references": None}}, "degradations: a restorer needs at least one"),
])  # fmt: skip
def test_what_does_not_go_together_is_refused(tmp_path, fields, said):
    with pytest.raises(JobError) as error:
        recipe_of(tmp_path, **fields)
    assert said in str(error.value)
