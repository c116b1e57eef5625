"""Collections larger than memory: planned by seed and step, shared by the workers, read as steps go on."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from models.weights import load_weights
from pipeline.errors import JobError, RunStopped, StorageError
from pipeline.jobs.job import Dataset
from pipeline.training.data.collection import read_collection
from pipeline.training.data.samples import Samples
from pipeline.training.data.shards import HELD, LIVE, ShardPlan
from pipeline.training.data.streaming import StreamedCollection
from pipeline.training.options import TrainingOptions
from pipeline.training.recipe.built_recipe import BuiltRecipe
from pipeline.training.run import train
from tests.helpers import encoded, fill, photograph
from tests.pipeline.training.training_data import denoiser

SIZES = [(20 + 3 * (i % 7)) * 24 for i in range(40)]
BATCH = 8


def plan(seed=1, sizes=SIZES, **fields):
    given = {"batch": BATCH, "shard_bytes": 5000, "crops_per_image": 200}
    return ShardPlan(sizes, sizes, seed=seed, **(given | fields))


class TestPlan:
    def test_every_epoch_has_every_picture_once_in_shards_that_fit(self):
        ours, seen, number = plan(), [], 0
        while len(seen) < 3 * len(SIZES):
            shard = ours.shard(number)
            assert sum(SIZES[each] for each in shard.pictures) <= 5000
            seen += shard.pictures
            number += 1
        epochs = [seen[first : first + len(SIZES)] for first in range(0, len(seen), len(SIZES))]
        assert all(sorted(each) == list(range(len(SIZES))) for each in epochs)
        assert epochs[0] != epochs[1] != epochs[2]

    def test_is_a_function_of_seed_and_step(self):
        steps = [0, 5000, 3, 777]
        assert [plan().live(step) for step in steps] == [plan().live(step) for step in steps]
        assert plan(seed=2).live(0) != plan().live(0)
        ours = plan()
        before, after = ours.live(ours.shard_steps - 1), ours.live(ours.shard_steps)
        assert len(before) == LIVE
        assert before[1:] == after[:-1]

    @pytest.mark.parametrize("size", [1, 2, 4, 8])
    def test_a_worker_holds_all_that_its_samples_need_and_its_part_only(self, size):
        ours = plan()
        for step in range(0, 4 * ours.shard_steps, ours.shard_steps // 2):
            for rank in range(size):
                held = [
                    each
                    for shard in ours.live(step)
                    for each in shard.between(rank / size, (rank + 1) / size)
                ]
                share = BATCH // size
                for index in range(rank * share, (rank + 1) * share):
                    for round_ in range(20):
                        rng = random.Random(f"{step} {index} {round_}")
                        assert ours.choose(rng, step, index + BATCH * (round_ % 3)) in held
                whole = sum(len(shard.pictures) for shard in ours.live(step))
                assert len(held) <= whole / size + 2 * LIVE

    def test_pictures_are_drawn_by_their_area(self):
        ours, found = plan(), Counter()
        steps = 2 * len(SIZES) * ours.shard_steps // 5
        for step in range(0, steps, 7):
            for index in range(BATCH):
                found[ours.choose(random.Random(f"{step} {index}"), step, index)] += 1
        by_area = {area: [found[i] for i, each in enumerate(SIZES) if each == area] for area in set(SIZES)}
        rates = [np.mean(counts) / area for area, counts in by_area.items()]
        assert max(rates) / min(rates) < 1.35


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("streamed")
    fill(place, {f"{i:02d}.png": encoded(photograph(i % 4, 24 + i, 32)) for i in range(16)})
    return place


def streamed(folder, most_bytes=30_000):
    return read_collection(
        [Dataset(name="set", uri=str(folder))],
        channels=3,
        smallest=16,
        most_bytes=most_bytes,
        most_pixels=10**6,
    )


def samples(place, collection, rank=0, size=1):
    recipe = denoiser(place, batch=4)
    return Samples(
        recipe, collection, BuiltRecipe.of(recipe).degradations, torch.device("cpu"), rank=rank, size=size
    )


STEPS = (0, 63, 64, 200, 1000)


def degraded(ours):
    return [torch.cat([each.degraded_BCHW for each in ours.examples(step)]) for step in STEPS]


def test_samples_are_those_of_seed_and_step_whoever_makes_them(tmp_path, folder):
    whole = degraded(samples(tmp_path, streamed(folder)))
    for step, expected in reversed(list(zip(STEPS, whole, strict=True))):  # as after a stop at any place
        again = samples(tmp_path, streamed(folder)).examples(step)
        assert torch.equal(torch.cat([each.degraded_BCHW for each in again]), expected)
    shared = [degraded(samples(tmp_path, streamed(folder), rank=rank, size=2)) for rank in (0, 1)]
    for expected, *parts in zip(whole, *shared, strict=True):
        assert torch.equal(torch.cat(parts), expected)


def test_what_is_held_is_bounded(tmp_path, folder):
    for size in (1, 2):
        collection = streamed(folder)
        ours = samples(tmp_path, collection, rank=size - 1, size=size)
        largest = max(each.nbytes for each in collection.facts)
        for step in range(0, 1500, 32):
            ours.examples(step)
            assert len(collection._held) <= HELD
            held = sum(p.pixels_HWC.nbytes for f in collection._held.values() for p in f.result().values())
            assert held <= 30_000 / size + (HELD * largest if size > 1 else 0)


@pytest.mark.parametrize("damage", ["other", "truncated", "gone", "unreadable"])
def test_images_that_change_while_they_stream_end_the_run_with_a_cure(tmp_path, monkeypatch, damage):
    place = tmp_path / "set"
    fill(place, {f"{i}.png": encoded(photograph(i, 32, 32)) for i in range(8)})
    collection = streamed(place, 8 * 32 * 32 * 3 - 1)
    for path in Path(place).glob("*.png"):
        if damage == "other":
            path.write_bytes(encoded(photograph(9, 32, 32)))
        elif damage == "truncated":
            path.write_bytes(path.read_bytes()[:200])
        elif damage == "gone":
            path.unlink()
    if damage == "unreadable":
        monkeypatch.setattr("pipeline.storage.folder.Folder.read", failing)
        error, message = StorageError, "set/.*: disk on fire; once it can be read"
    else:
        error, message = JobError, r"data\.datasets: set/\d\.png changed while the training reads it.* go on"
    with pytest.raises(error, match=message):
        samples(tmp_path, collection).examples(0)


def failing(self, key):
    raise OSError("disk on fire")


@pytest.mark.usefixtures("without_page")
def test_a_streamed_training_goes_on_bit_for_bit_and_its_memory_is_part_of_what_it_is(tmp_path, folder):
    recipe = denoiser(folder, data=data(folder, 30_000), length={"steps": 4}, validation={})
    options = TrainingOptions("local", device="cpu", threads=1)
    train(recipe, str(tmp_path / "whole"), options)
    asked = iter([False, False])
    with pytest.raises(RunStopped, match="stopped at step 3"):
        train(recipe, str(tmp_path / "half"), options, stopping=lambda: next(asked, True))
    other = denoiser(folder, data=data(folder, 40_000), length={"steps": 4}, validation={})
    with pytest.raises(JobError, match=r"data\.streamed\.shard_bytes: 6000 -> 8000"):
        train(other, str(tmp_path / "half"), options)
    train(recipe, str(tmp_path / "half"), options)
    whole, half = (load_weights(tmp_path / run / "tiny.safetensors") for run in ("whole", "half"))
    assert all(torch.equal(whole[1][name], half[1][name]) for name in whole[1])
    assert whole[0].training["images"] == 16


def data(folder, most_bytes):
    datasets = [{"name": "set", "uri": str(folder)}]
    return {"datasets": datasets, "crop": 16, "memory_gigabytes": most_bytes / 1e9}


def test_it_streams_only_where_it_must(folder):
    assert isinstance(streamed(folder), StreamedCollection)
    assert not isinstance(streamed(folder, 1e9), StreamedCollection)
