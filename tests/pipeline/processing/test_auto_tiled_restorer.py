"""What fits is found by trying: out-of-memory errors are those of PyTorch's own allocator."""

import json
from dataclasses import replace

import pytest
import torch

from models import catalog
from models.card import Card
from models.contract import Condition
from models.restorer import Restorer
from pipeline.errors import JobError
from pipeline.processing.auto_tiled_restorer import AutoTiledRestorer, MemoryBudget
from pipeline.quarantine import is_out_of_memory
from pipeline.recipe.recipe import Recipe
from pipeline.storage.folder import Folder
from tests.helpers import complete, encoded, fill, photograph, restore
from tests.restorer_contract import scene

CPU = torch.device("cpu")
UNHEARD_OF = 1 << 46
"""Bytes that no machine has."""


class Hungry:
    """Copies its input, and asks for too much memory where a call has more than ``most`` pixels."""

    def __init__(self, most):
        self.most, self.calls = most, []

    def __call__(self, image, condition):
        self.calls.append(tuple(image.shape))
        if len(image) * image.shape[-2] * image.shape[-1] > self.most:
            torch.empty(UNHEARD_OF, dtype=torch.uint8)
        return image.clone()


def tiled(most, tmp_path, **facts):
    card = Card(**{"name": "probe", "summary": "A probe.", "task": "general", **facts})
    model = Hungry(most)
    return AutoTiledRestorer(Restorer(card, model), "digest", CPU, cache=Folder(str(tmp_path))), model


def kept(tmp_path):
    return [json.loads(path.read_text()) for path in sorted(tmp_path.rglob("*.json"))]


def test_a_batch_is_halved_until_it_fits(tmp_path):
    restorer, model = tiled(2 * 32 * 32, tmp_path)
    batch = scene(3, 32, 32, batch=8)
    restored, cut = restorer(batch, Condition())
    assert torch.equal(restored, batch)
    assert cut == {}
    assert [shape[0] for shape in model.calls] == [8, 4, 2, 2, 2, 2]
    assert kept(tmp_path) == [{"pixels": 2 * 32 * 32, "core": 512, "whole": None}]


def test_an_image_that_does_not_fit_is_cut_into_smaller_and_smaller_tiles(tmp_path):
    restorer, model = tiled(150 * 150, tmp_path, halo=8)
    image = scene(1, 200, 310)
    restored, cut = restorer(image, Condition())
    assert torch.equal(restored, image)
    assert cut == {"tiling": {"tile": 128, "halo": 8, "blend": "crop"}}
    assert all(shape[-2] * shape[-1] <= 150 * 150 for shape in model.calls[-6:])
    calls = len(model.calls)
    restorer(image, Condition())
    assert all(shape[-2] * shape[-1] <= 150 * 150 for shape in model.calls[calls:]), "tried again what failed"


def test_a_restorer_that_is_not_exact_is_whole_as_long_as_it_fits(tmp_path):
    restorer, model = tiled(600 * 600, tmp_path, halo=None, tile_exact=False)
    image = scene(1, 300, 300).repeat(1, 1, 1, 3)
    restored, cut = restorer(image, Condition())
    assert cut == {}
    assert torch.equal(restored, image)
    assert model.calls == [(1, 1, 300, 900)]
    assert kept(tmp_path) == []


def test_one_that_does_not_fit_whole_is_blended_and_the_row_says_so(tmp_path):
    restorer, _ = tiled(200_000, tmp_path, halo=None, tile_exact=False)
    image = scene(1, 300, 300).repeat(1, 1, 1, 3)
    restored, cut = restorer(image, Condition())
    assert cut == {"tiling": {"tile": 512, "halo": 64, "blend": "feather"}}
    torch.testing.assert_close(restored, image, atol=1e-6, rtol=0)
    small, cut = restorer(image[..., :300], Condition())
    assert cut == {}
    assert torch.equal(small, image[..., :300])


def test_what_cannot_be_cut_says_that_it_does_not_fit(tmp_path):
    facts = {"halo": None, "tile_exact": False, "needs": ("operators",)}
    restorer, _ = tiled(100, tmp_path, **facts)
    condition = Condition(operators=(object(),))
    with pytest.raises(RuntimeError) as error:
        restorer(scene(1, 32, 32), condition)
    assert is_out_of_memory(error.value)
    restorer, _ = tiled(100, tmp_path / "exact")
    with pytest.raises(RuntimeError) as error:
        restorer(scene(1, 32, 32), Condition())
    assert is_out_of_memory(error.value)


def test_other_faults_are_not_tried_again(tmp_path):
    restorer, model = tiled(10**9, tmp_path, channels=1)
    with pytest.raises(ValueError, match="takes 1 channels, the image has 3"):
        restorer(scene(3, 32, 32), Condition())
    assert model.calls == []


def test_the_next_process_begins_with_twice_what_fitted(tmp_path):
    restorer, _ = tiled(2 * 32 * 32, tmp_path)
    restorer(scene(3, 32, 32, batch=8), Condition())
    again, model = tiled(2 * 32 * 32, tmp_path)
    assert again.budget == MemoryBudget(4 * 32 * 32)
    again(scene(3, 32, 32, batch=8), Condition())
    assert [shape[0] for shape in model.calls] == [4, 2, 2, 2, 2]
    other = AutoTiledRestorer(again.restorer, "another digest", CPU, cache=Folder(str(tmp_path)))
    assert other.budget.pixels > again.budget.pixels


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\xff\x00", b"[]", b'{"pixels": -4, "core": 512, "whole": null}', b'{"pixels": true, "core": 1}'],
)
def test_garbage_in_the_cache_is_as_good_as_nothing(tmp_path, garbage):
    restorer, _ = tiled(2 * 32 * 32, tmp_path)
    fresh = restorer.budget
    restorer(scene(3, 32, 32, batch=8), Condition())
    (path,) = tmp_path.rglob("*.json")
    path.write_bytes(garbage)
    again, _ = tiled(2 * 32 * 32, tmp_path)
    assert again.budget == fresh


def test_a_cache_that_cannot_be_written_costs_no_image(tmp_path):
    (tmp_path / "capacity").write_text("a file where a folder should be")
    restorer, _ = tiled(2 * 32 * 32, tmp_path)
    batch = scene(3, 32, 32, batch=8)
    assert torch.equal(restorer(batch, Condition())[0], batch)


def test_rows_say_how_an_image_was_cut(tmp_path):
    wide = photograph(3, 40, 600)
    source = fill(tmp_path / "in", {"wide.png": encoded(wide), "small.png": encoded(photograph(0))})
    rows = complete(restore(source.url, tmp_path / "out"))
    told = {row["key"]: json.loads(row["condition"]) for row in rows}
    assert told["wide.png"]["tiling"] == {"tile": 512, "halo": 1, "blend": "crop"}
    assert "tiling" not in told["small.png"]


def test_precision_is_part_of_the_recipe_and_only_where_it_is_safe(tmp_path):
    job = restore(tmp_path, tmp_path / "out", restorers=[{"name": "median", "precision": "float16"}])
    with pytest.raises(JobError, match=r"restorers\[0\]: median: float16 was not measured to be safe"):
        Recipe.of(job)
    plain = Recipe.of(restore(tmp_path, tmp_path / "out"))
    assert plain.specification["restorers"][0]["precision"] == "float32"
    resources = {"compile": True}
    assert Recipe.of(restore(tmp_path, tmp_path / "out", resources=resources)).recipe_id == plain.recipe_id


@pytest.mark.long
def test_a_compiled_network_gives_the_same_image(tmp_path):
    plain = catalog.build("ffdnet-colour")
    compiled = AutoTiledRestorer(
        catalog.build("ffdnet-colour"), "digest", CPU, compiled=True, cache=Folder(str(tmp_path))
    )
    image, condition = scene(3, 48, 64), Condition(noise_level_B=torch.tensor([0.1]))
    restored, _ = compiled(image, replace(condition))
    torch.testing.assert_close(restored, plain(image, condition=condition), atol=1e-5, rtol=0)
