"""A whole run on one worker: what it writes, when it stops, and what is made of its weights."""

import io
import json
import math
from dataclasses import replace

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest
import torch

from models.weights import load_weights
from pipeline.errors import JobError, RunStopped, StorageError
from pipeline.storage.folder import Folder
from pipeline.training import run
from pipeline.training.generate import generate
from pipeline.training.run import train
from tests.helpers import benchmark, complete, encoded, fill, photograph
from tests.pipeline.training.training_data import denoiser, generator, photographs, super_resolver_gan
from tests.pipeline.training.training_process import HERE, newest_step


def trained(recipe, output, **more):
    events = []
    finished = train(recipe, str(output), HERE, on_progress=events.append, **more)
    return finished, events


def table(output):
    return pq.read_table(output / "table.parquet").to_pylist()


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    place = tmp_path_factory.mktemp("photographs")
    photographs(place, 3, 64)
    fill(place, {"broken.png": b"no image", "small.png": encoded(photograph(9, 10, 10))})
    return place


@pytest.fixture(scope="module")
def finished_run(images, tmp_path_factory):
    """A denoiser that was trained for long enough to be better than nothing."""
    output = tmp_path_factory.mktemp("run")
    recipe = denoiser(
        images,
        length={"steps": 250},
        optimizer={"learning_rate": 5e-3, "schedule": {"name": "cosine", "warm_up": 0.05}},
        degradations=["awgn-50"],
        batch=8,
        export="float16",
        validation={
            "datasets": [{"name": "photos", "uri": str(images), "pattern": "000*"}],
            "metrics": ["psnr", "mae"],
            "every_steps": 100,
            "samples": 2,
        },
    )
    finished, events = trained(recipe, output)
    return recipe, output, finished, events


def test_card_says_how_the_weights_came_to_be(finished_run):
    recipe, output, finished, _ = finished_run
    card, state = load_weights(output / "tiny.safetensors")
    assert finished.weights == str(output / "tiny.safetensors")
    assert (card.name, card.task, card.channels, card.scale, card.halo) == ("tiny", "denoising", 3, 1, 3)
    facts = card.training
    assert (facts["steps"], facts["finished"], facts["images"], facts["images_left_out"]) == (250, True, 3, 2)
    assert facts["recipe"]["optimizer"]["learning_rate"] == recipe.optimizer.learning_rate
    assert facts["recipe"]["degradations"][0]["operators"] == [{"op": "gaussian_noise", "sigma": 50}]
    assert len(facts["data_sha256"]) == len(facts["recipe_sha256"]) == 64
    score = facts["validation"]["awgn-50"]["psnr"]
    low, high = score["interval_95"]
    assert low <= score["mean"] <= high
    assert score["images"] == 3
    assert all(tensor.half().float().equal(tensor) for tensor in state.values())


def test_scores_on_the_card_are_those_of_a_benchmark(finished_run, tmp_path):
    recipe, output, finished, _ = finished_run
    weights = str(output / "tiny.safetensors")
    job = benchmark(
        recipe.validation.datasets[0].uri,
        tmp_path / "out",
        datasets=[each.model_dump() for each in recipe.validation.datasets],
        degradations=["awgn-50"],
        restorers=[{"name": "tiny", "weights": weights}],
        metrics=["psnr", "mae"],
        seed=recipe.seed,
    )
    rows = complete(job)
    assert len(rows) == 3
    for metric in ("psnr", "mae"):
        mean = np.mean([row[metric] for row in rows])
        assert finished.scores[f"validation_awgn-50_{metric}"] == pytest.approx(mean, abs=1e-5)
    # It has learnt something: better than the noisy input.
    assert np.mean([row["psnr"] for row in rows]) > np.mean([row["psnr_degraded"] for row in rows]) + 2


def test_table_holds_losses_rates_and_scores(finished_run):
    _, output, finished, _ = finished_run
    rows = table(output)
    assert [row["step"] for row in rows] == list(range(10, 251, 10))
    assert all(math.isfinite(row["loss"]) and row["loss"] == pytest.approx(row["loss_l1"]) for row in rows)
    assert rows[-1]["loss"] < rows[0]["loss"] / 1.5
    assert rows[0]["learning_rate"] > rows[-1]["learning_rate"]
    assert all(0 <= row["input_wait_share"] < 1 and row["images_per_second"] > 0 for row in rows)
    scored = {row["step"]: row["validation_awgn-50_psnr"] for row in rows if row["validation_awgn-50_psnr"]}
    assert list(scored) == [100, 200, 250]
    assert scored[250] == finished.scores["validation_awgn-50_psnr"]


def test_page_and_sheets_show_the_run(finished_run):
    _, output, _, events = finished_run
    page = (output / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 5
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page.replace("http://www.w3.org", "")
    newest = table(output)[-1]
    score, baseline = (newest[f"{each}_awgn-50_psnr"] for each in ("validation", "baseline"))
    assert f"{score - baseline:.2f} dB better than its input, which has {baseline:.2f} dB" in page
    sheet = PIL.Image.open(output / "samples" / "step-000000250.png")
    assert sheet.size == (3 * (72 + 4), 2 * (64 + 4))
    messages = [each.message for each in events if each.message]
    assert any("2 images left out" in message for message in messages)
    skipped = json.loads((output / "skipped.json").read_text())
    assert {name.partition("/")[2] for name in skipped} == {"broken.png", "small.png"}


@pytest.mark.usefixtures("without_page")
def test_stopping_keeps_a_checkpoint_and_going_on_gives_the_same_weights(images, tmp_path):
    recipe = super_resolver_gan(images, length={"steps": 8})
    trained(recipe, tmp_path / "whole")
    asked = iter([False, False, True])
    with pytest.raises(RunStopped, match=r"stopped at step \d+; the last good checkpoint is .*step-00000000"):
        trained(recipe, tmp_path / "parts", stopping=lambda: next(asked, True))
    assert 0 < table(tmp_path / "parts")[-1]["step"] < 8
    _, events = trained(recipe, tmp_path / "parts")
    assert any(each.message.startswith("going on from step") for each in events)
    first, second = (load_weights(tmp_path / each / "tiny.safetensors")[1] for each in ("whole", "parts"))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    steps = [row["step"] for row in table(tmp_path / "parts")]
    assert steps == sorted(set(steps))


@pytest.mark.usefixtures("without_page")
def test_a_changed_recipe_or_other_images_are_refused(images, tmp_path):
    trained(denoiser(images), tmp_path)
    with pytest.raises(JobError, match="batch: 4 -> 2"):
        trained(denoiser(images, batch=2), tmp_path)
    photographs(tmp_path / "others", 2)
    with pytest.raises(JobError, match="data_sha256: "):
        trained(denoiser(tmp_path / "others"), tmp_path)
    # A copy elsewhere is the same data.
    photographs(tmp_path / "copy", 3, 64)
    assert trained(denoiser(tmp_path / "copy"), tmp_path)[0].steps == 6


def test_a_diverging_run_stops_and_names_the_last_good_checkpoint(images, tmp_path):
    """The rate climbs to 1: good steps at first, then losses that no float holds."""
    recipe = denoiser(
        images,
        length={"steps": 100},
        optimizer={"learning_rate": 1.0, "schedule": {"name": "constant", "warm_up": 1.0}},
        network={"architecture": "srvgg", "arguments": {"features": 8, "layers": 16, "scale": 1}},
        losses=[{"name": "mse"}],
        checkpoints={"every_steps": 10},
    )
    with pytest.raises(RunStopped, match=r"not finite; .*Lower the learning rate") as stopped:
        trained(recipe, tmp_path)
    (newest, *_) = sorted((tmp_path / "checkpoints").glob("*.pt"), reverse=True)
    assert f"the last good checkpoint is {newest}" in str(stopped.value)
    kept = torch.load(newest, weights_only=True)
    assert all(bool(each.isfinite().all()) for each in kept["network"].values())
    assert kept["position"]["failed"] == 0
    assert kept["position"]["step"] == newest_step(tmp_path) > 0


def test_what_cannot_begin_says_why(images, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="checkpoints cannot be written there"):
        trained(denoiser(images), tmp_path / "file" / "out")
    with pytest.raises(JobError, match="the local engine has one; use --engine ray"):
        trained(denoiser(images, resources={"workers": 2}), tmp_path)
    with pytest.raises(JobError, match="--device nonsense"):
        train(denoiser(images), str(tmp_path), replace(HERE, device="nonsense"))
    network = {
        "architecture": "dncnn",
        "arguments": {"features": 6, "layers": 3},
        "start": "none.safetensors",
    }
    with pytest.raises(JobError, match=r"network\.start: none\.safetensors: .*train those weights first"):
        trained(denoiser(images, network=network), tmp_path)


@pytest.mark.usefixtures("without_page")
def test_warm_start_begins_with_the_weights_and_only_with_fitting_ones(finished_run, images, tmp_path):
    _, output, _, _ = finished_run
    weights = str(output / "tiny.safetensors")
    arguments = {"features": 6, "layers": 3, "batch_norm": False}
    network = {"architecture": "dncnn", "arguments": arguments, "start": weights}
    still = {"learning_rate": 1e-12}
    recipe = denoiser(images, network=network, optimizer=still, length={"steps": 1}, ema_decay=None)
    trained(recipe, tmp_path / "warm")
    before, after = (load_weights(path / "tiny.safetensors")[1] for path in (output, tmp_path / "warm"))
    assert all(torch.allclose(tensor, after[name], atol=1e-9) for name, tensor in before.items())
    wider = network | {"arguments": arguments | {"features": 8}}
    with pytest.raises(JobError, match=r"network\.start: the weights in .* are not of this network"):
        trained(denoiser(images, network=wider), tmp_path / "wider")


def test_generator_is_trained_sampled_and_published(images, tmp_path):
    pytest.importorskip("efficientnet_lite_pytorch", reason="the extra perceptual is not installed")
    recipe = generator(images, length={"steps": 20}, validation={"generated": 8, "every_steps": 10})
    finished, _ = trained(recipe, tmp_path / "run")
    rows = table(tmp_path / "run")
    distances = [row["validation_generated_frechet_lite0"] for row in rows]
    assert [row["step"] for row in rows] == [10, 20]
    assert min(distances) > 0
    assert finished.scores == {"validation_generated_frechet_lite0": distances[-1]}
    kept = json.loads((tmp_path / "run" / "checkpoints" / "newest.json").read_text())["checkpoints"]
    # The smaller the distance, the better.
    assert {each["step"]: each["score"] for each in kept}[10] == -distances[0]
    assert {"d_real", "d_fake", "loss_discriminator"} <= rows[-1].keys()
    sheet = generate(finished.weights, str(tmp_path / "images"), count=10, seed=4, device="cpu")
    assert sheet == str(tmp_path / "images" / "sheet.png")
    names = sorted(path.name for path in (tmp_path / "images").glob("*.png"))
    assert names == [*(f"{i:04d}.png" for i in range(10)), "sheet.png"]
    assert PIL.Image.open(tmp_path / "images" / "0003.png").size == (8, 8)
    generate(finished.weights, str(tmp_path / "fewer"), count=3, seed=4, device="cpu")
    first, second = (
        np.asarray(PIL.Image.open(tmp_path / p / "0002.png")).astype(int) for p in ("images", "fewer")
    )
    assert np.abs(first - second).max() <= 1  # sums of another batch are rounded otherwise
    generate(finished.weights, str(tmp_path / "others"), count=3, seed=4, device="cpu")
    generate(finished.weights, str(tmp_path / "others"), count=3, seed=5, device="cpu")
    others = np.asarray(PIL.Image.open(tmp_path / "others" / "0002.png")).astype(int)
    assert (first != others).mean() > 0.1
    PIL.Image.new("L", (8, 8)).save(tmp_path / "others" / "0001.png")
    with pytest.raises(JobError, match=r"0001\.png: is there, and no image of restora generate"):
        generate(finished.weights, str(tmp_path / "others"), count=2, seed=5, device="cpu")


def test_publishing_keeps_an_index(finished_run, tmp_path):
    _, output, finished, _ = finished_run
    address = run.publish(finished.weights, str(tmp_path / "registry"))
    index = json.loads((tmp_path / "registry" / "index.json").read_text())
    assert address == str(tmp_path / "registry" / "tiny.safetensors")
    card, _ = load_weights(tmp_path / "registry" / "tiny.safetensors")
    assert index["tiny"]["sha256"] == card.weights_sha256 == index["tiny"]["card"]["weights_sha256"]
    assert index["tiny"]["bytes"] == (output / "tiny.safetensors").stat().st_size
    with pytest.raises(JobError, match="restores images and generates none"):
        generate(finished.weights, str(tmp_path / "images"), count=1, seed=0, device="cpu")


@pytest.mark.usefixtures("without_page")
def test_table_of_any_store(images, tmp_path):
    """The output may be any URL that fsspec knows."""
    finished, _ = trained(denoiser(images), "memory://run")
    folder = Folder("memory://run")
    assert finished.weights == "memory://run/tiny.safetensors"
    rows = pq.read_table(io.BytesIO(folder.read("table.parquet"))).to_pylist()
    assert rows[-1]["step"] == 6
