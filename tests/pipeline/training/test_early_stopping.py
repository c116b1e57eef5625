"""A run that gains nothing any more ends, delivers its best weights, and stays ended."""

import json

import pytest
import torch
from pydantic import ValidationError

from models.weights import load_weights
from pipeline.training.early_stopping import is_exhausted
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.run import train
from tests.pipeline.training.training_data import denoiser, photographs
from tests.pipeline.training.training_process import HERE


def stopping_after(place, patience, **fields):
    datasets = [{"name": "photos", "uri": str(place)}]
    validation = {
        "datasets": datasets,
        "images": 1,
        "side": 32,
        "every_steps": 10,
        "samples": 1,
        "patience": patience,
    }
    return denoiser(place, **({"validation": validation | {"metrics": ["psnr", "mae"]}} | fields))


def test_the_table_says_when_a_run_is_over(tmp_path):
    recipe = stopping_after(tmp_path, 2)

    def rows(*scores):
        empty = [{"step": 5, "loss": 1.0}, {"step": 6, "validation_noise_psnr": None}]
        return empty + [{"validation_noise_psnr": each, "validation_noise_mae": -each} for each in scores]

    assert [is_exhausted(rows(*range(count)), recipe) for count in range(4)] == [False] * 4
    assert not is_exhausted(rows(3.0, 2.0), recipe)
    assert is_exhausted(rows(3.0, 2.0, 3.0), recipe)
    assert not is_exhausted(rows(3.0, 2.0, 3.1), recipe)
    assert not is_exhausted(rows(3.0, 2.0, 3.0), stopping_after(tmp_path, None))
    lower = stopping_after(tmp_path, 1).model_dump()
    lower["validation"]["metrics"] = ["mae"]
    lower = TrainingRecipe.model_validate(lower)
    assert is_exhausted([{"validation_noise_mae": 1.0}, {"validation_noise_mae": 1.5}], lower)
    assert not is_exhausted([{"validation_noise_mae": 1.0}, {"validation_noise_mae": 0.5}], lower)
    with pytest.raises(ValidationError, match=r"validation\.patience: has no effect without validation"):
        denoiser(tmp_path).model_validate(denoiser(tmp_path).model_dump() | {"validation": {"patience": 2}})


@pytest.mark.usefixtures("without_page")
def test_the_best_weights_are_delivered_and_the_same_command_changes_nothing(tmp_path):
    """At a rate of 0.3 each step makes it worse: the first validation stays the best."""
    photographs(tmp_path / "photos", 1)
    recipe = stopping_after(
        tmp_path / "photos",
        1,
        length={"steps": 60},
        optimizer={"name": "sgd", "learning_rate": 0.3},
        losses=[{"name": "mse"}],
        ema_decay=None,
        guard={"limit": 1000},
    )
    events = []
    done = train(recipe, str(tmp_path / "out"), HERE, on_progress=events.append)
    assert events[-1].message.startswith("no gain in 1 validations") or done.steps < 60
    kept = json.loads((tmp_path / "out" / "checkpoints" / "newest.json").read_text())["checkpoints"]
    best = max(kept, key=lambda each: (each["score"] or float("-inf"), each["step"]))
    assert done.steps == best["step"] < kept[-1]["step"]
    card, first = load_weights(tmp_path / "out" / "tiny.safetensors")
    assert (card.training["finished"], card.training["steps"]) == (True, best["step"])
    again = train(recipe, str(tmp_path / "out"), HERE)
    assert again.steps == done.steps
    assert all(
        torch.equal(tensor, first[name])
        for name, tensor in load_weights(tmp_path / "out" / "tiny.safetensors")[1].items()
    )
