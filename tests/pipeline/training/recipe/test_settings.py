"""Every setting of a recipe does something: other weights, another card, other scores, or what a test says.

A setting without effect is a fault. One that is added without a line here fails this test.
"""

from __future__ import annotations

import copy
import typing
from functools import cache
from typing import Any

import pytest
import torch
from pydantic import BaseModel

from models.weights import build_restorer
from pipeline.errors import JobError
from pipeline.training.data.collected import collected
from pipeline.training.data.collection import Collection
from pipeline.training.data.pictures import Picture
from pipeline.training.export import card_of
from pipeline.training.recipe.built_recipe import BuiltRecipe
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.recipe.sections import Named
from pipeline.training.run import train
from pipeline.training.trainer import Trainer
from pipeline.training.validation.restorer import RestorerValidation
from pipeline.training.world import World
from tests.helpers import photograph
from tests.pipeline.training.training_data import ROOT, denoiser, generator, photographs
from tests.pipeline.training.training_process import HERE as HERE_ALONE

STEPS = 2
PICTURES = Collection(tuple(Picture(f"set/{i}", photograph(i, 48, 56)) for i in range(2)))
GROWING = {
    "network.architecture": "progressive",
    "network.arguments": {"image_size": 8, "features": 8, "widest": 4, "latent": 6},
    "discriminator.architecture": "progressive",
    "discriminator.arguments": {"image_size": 8, "features": 8, "widest": 4},
    "growth": {"steps_per_size": 1, "fading": 0.0},
}
BLOCKS = {"network.architecture": "nafnet", "network.arguments": {"features": 2, "encoders": [1], "middle": 1,
                                                                 "decoders": [1]}}  # fmt: skip
MATCHING = {"discriminator.feature_matching": {"weight": 1.0, "distance": "l1"}}
TAUGHT = {"teacher": {"weights": "ffdnet-colour", "feature_weight": 0.0}}
SGD, ADAMW = {"optimizer.name": "sgd"}, {"optimizer.name": "adamw"}
SGD_2, ADAMW_2 = {"discriminator.optimizer.name": "sgd"}, {"discriminator.optimizer.name": "adamw"}
CLIPPED = {"optimizer.name": "sgd", "optimizer.momentum": 0.0}
CLIPPED_2 = {"discriminator.optimizer.name": "sgd", "discriminator.optimizer.momentum": 0.0}
FALLING = {"name": "linear_decay", "start": 0.0}

LEARNT: dict[str, tuple[str, dict[str, Any], Any]] = {
    "seed": ("restorer", {}, 4),
    "data.crop": ("restorer", {}, 20),
    "data.downsample": ("maker", {}, 1),
    "data.flip": ("restorer", {}, False),
    "data.rotate": ("restorer", {}, False),
    "data.shuffle_channels": ("restorer", {}, True),
    "data.crop_candidates": ("restorer", {}, 4),
    "data.cut_blur": ("restorer", {}, 1.0),
    "degradations": ("restorer", {}, ["blur"]),
    "self_supervision": ("restorer", {}, "neighbor2neighbor"),
    "network.architecture": ("restorer", {"network.arguments": {"features": 6}}, "ffdnet"),
    "network.arguments": ("restorer", {}, {"features": 6, "layers": 4, "batch_norm": False}),
    "network.value_range": ("restorer", {}, [-1.0, 1.0]),
    "network.rounding": ("restorer", {}, "int8"),
    "losses": ("restorer", {}, [{"name": "mse"}]),
    "teacher": ("restorer", {}, "ffdnet-colour"),
    "teacher.weight": ("restorer", TAUGHT, 5.0),
    "teacher.distance": ("restorer", TAUGHT, "mse"),
    "teacher.feature_weight": ("restorer", TAUGHT, 10.0),
    "optimizer.name": ("restorer", {}, "muon"),
    "optimizer.learning_rate": ("restorer", {}, 2e-3),
    "optimizer.betas": ("restorer", {}, [0.1, 0.9]),
    "optimizer.momentum": ("restorer", SGD, 0.1),
    "optimizer.weight_decay": ("restorer", ADAMW, 0.5),
    "optimizer.schedule": ("restorer", {}, {"name": "constant"}),
    "optimizer.clip_gradient": ("restorer", CLIPPED, 1e-3),
    "discriminator": ("adversary", {}, None),
    "discriminator.architecture": ("adversary", {}, "unet"),
    "discriminator.arguments": ("adversary", {}, {"channels": 3, "features": 3, "layers": 1}),
    "discriminator.optimizer.name": ("adversary", {}, "muon"),
    "discriminator.optimizer.learning_rate": ("adversary", {}, 5e-2),
    "discriminator.optimizer.betas": ("adversary", {}, [0.1, 0.9]),
    "discriminator.optimizer.momentum": ("adversary", SGD_2, 0.1),
    "discriminator.optimizer.weight_decay": ("adversary", ADAMW_2, 0.5),
    "discriminator.optimizer.schedule": ("adversary", {}, {"name": "cosine", "warm_up": 0.5}),
    "discriminator.optimizer.clip_gradient": ("adversary", CLIPPED_2, 1e-4),
    "discriminator.adversarial": ("adversary", {}, {"name": "hinge"}),
    "discriminator.weight": ("adversary", {}, 5.0),
    "discriminator.penalty": ("adversary", {}, None),
    "discriminator.feature_matching": ("adversary", {}, {"weight": 5.0}),
    "discriminator.feature_matching.weight": ("adversary", MATCHING, 9.0),
    "discriminator.feature_matching.distance": ("adversary", MATCHING, "mse"),
    "discriminator.conditional": ("adversary", {}, True),
    "discriminator.augmentations": ("adversary", {}, ["colour", "translation", "cutout"]),
    "discriminator.value_range": ("adversary", {}, [-1.0, 1.0]),
    "discriminator.steps": ("adversary", {}, 2),
    "discriminator.start_step": ("adversary", {}, 1),
    "batch": ("restorer", {}, 2),
    "precision": ("restorer", {}, "bfloat16"),
    "ema_decay": ("restorer", {}, None),
    "length.steps": ("restorer", {}, 4),
    "latents": ("maker", {}, "uniform"),
    "growth": ("maker", GROWING, None),
    "growth.steps_per_size": ("maker", GROWING, 2),
    "growth.fading": ("maker", GROWING, 1.0),
}  # fmt: skip
"""Path -> recipe, what else it needs, another value: the weights after two steps are others."""

ALSO: dict[str, dict[str, Any]] = {
    "data.downsample": {"data.crop": 8},  # the pictures keep their size
    "discriminator.conditional": {"discriminator.arguments.channels": 6},  # as in pix2pix
    "discriminator.architecture": {"discriminator.arguments": {"channels": 3, "features": 2}},
}
"""Path -> what the other value needs beside it."""

ON_THE_CARD = {
    "name": "another",
    "summary": "Another.",
    "task": "deblurring",
    "source": "Someone, 2020",
    "licence": "MIT",
    "network.value_range": [-1.0, 1.0],
}

SCORED: dict[str, Any] = {
    "validation.datasets": [],
    "validation.degradations": ["blur"],
    "validation.metrics": ["ssim"],
    "validation.images": 2,
    "validation.side": 16,
    "validation.samples": 2,
}
"""Path -> another value: scores or sheet of a validation are others."""

TESTS = "tests/pipeline/training"
ELSEWHERE = {
    "kind": f"{TESTS}/recipe/test_recipe.py::test_wrong_fields_are_named_with_their_cure",
    "data.datasets": f"{TESTS}/test_loop.py::test_a_changed_recipe_or_other_images_are_refused",
    "data.references": f"{TESTS}/data/test_found_pairs.py::test_a_training_on_pairs_is_validated_on_pairs",
    "data.memory_gigabytes": f"{TESTS}/data/test_streaming.py::test_it_streams_only_where_it_must",
    "data.crops_per_image": f"{TESTS}/data/test_streaming.py::test_a_streamed_training_goes_on_bit_for_bit",
    "data.attribution": f"{TESTS}/data/test_collection.py::test_every_image_needs_its_licence",
    "network.start": f"{TESTS}/test_loop.py::test_warm_start_begins_with_the_weights",
    "teacher.weights": f"{TESTS}/steps/test_distillation.py::test_a_recipe_with_a_teacher_reports_its_loss",
    "length.minutes": f"{TESTS}/test_training_state.py::test_time_is_counted_over_sessions",
    "export": f"{TESTS}/test_loop.py::test_card_says_how_the_weights_came_to_be",
    "validation.references": f"{TESTS}/data/test_found_pairs.py::test_a_training_on_pairs_is_validated",
    "validation.every_steps": f"{TESTS}/test_early_stopping.py::test_the_table_says_when_a_run_is_over",
    "validation.patience": f"{TESTS}/test_early_stopping.py::test_the_best_weights_are_delivered",
    "validation.show_private": f"{TESTS}/test_private_training.py::test_pictures_of_private_images_are_shown",
    "validation.generated": f"{TESTS}/test_loop.py::test_generator_is_trained_sampled_and_published",
    "checkpoints.every_steps": f"{TESTS}/recipe/test_renamed.py::test_checkpoints_of_before_are_gone_on_with",
    "checkpoints.keep": f"{TESTS}/test_checkpoints.py::test_newest_and_best_are_kept",
    "guard.limit": f"{TESTS}/test_loop.py::test_a_diverging_run_stops_and_names_the_last_good_checkpoint",
    "trackers": f"{TESTS}/test_watching.py::test_a_run_that_is_watched_learns_the_same",
    "tracks_private": f"{TESTS}/test_watching.py::test_trackers_that_would_tell_others_of_private_data",
    "resources.workers": f"{TESTS}/engines/test_workers.py::test_two_workers_on_ray_train",
    "resources.cpus_per_worker": f"{TESTS}/engines/test_workers.py::test_more_workers_than_resources_says",
    "resources.gpus_per_worker": f"{TESTS}/test_shipped_recipes.py::test_",
    "resources.cuda_graphs": "tests/test_gpu.py::test_steps_that_are_played_again_are_those_of_before",
    "resources.sync_batch_norm": f"{TESTS}/steps/test_distillation.py::test_gradient_descent_is_torchs",
}
"""Path -> the test that shows what it does."""

HERE = ("accumulation", "data.threads", "data.max_pixels", "resources.recompute", "resources.compile",
        "checkpoints.every_minutes", "validation.every_minutes")  # fmt: skip
"""Shown by tests of their own below."""


def paths(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Of every setting; of an optional section also its own."""
    found = []
    for name, field in model.model_fields.items():
        sections = [
            each
            for each in (field.annotation, *typing.get_args(field.annotation))
            if isinstance(each, type) and issubclass(each, BaseModel) and each.__module__ == Named.__module__
        ]
        inner = (
            [] if not sections or issubclass(sections[0], Named) else paths(sections[0], f"{prefix}{name}.")
        )
        found += inner
        if not inner or type(None) in typing.get_args(field.annotation):
            found.append(f"{prefix}{name}")
    return found


def changed(recipe: TrainingRecipe, changes: dict[str, Any]) -> TrainingRecipe:
    fields = copy.deepcopy(recipe.model_dump(exclude_unset=True))
    for path, value in changes.items():
        *sections, name = path.split(".")
        place = fields
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
    return TrainingRecipe.parse(fields)


def base(name: str) -> TrainingRecipe:
    fields: dict[str, Any] = {"length": {"steps": 6}, "validation": {}}
    if name == "adversary":
        fields["discriminator"] = {
            "architecture": "patch",
            "arguments": {"channels": 3, "features": 2, "layers": 1},
            "adversarial": {"name": "relativistic_average"},
            "penalty": {"name": "r1", "every": 2},
            "optimizer": {"learning_rate": 1e-3},
        }
    return (generator if name == "maker" else denoiser)("photos", **fields)


@cache
def weights_after(recipe: str) -> dict[str, torch.Tensor]:
    trainer = Trainer(BuiltRecipe.of(TrainingRecipe.model_validate_json(recipe)), PICTURES)
    for _ in range(STEPS):
        trainer.step()
    trainer.close()
    state = trainer.state_dict()
    opponent = state.get("discriminator", {})
    return trainer.delivered() | {f"discriminator.{name}": each for name, each in opponent.items()}


def trained(recipe: TrainingRecipe) -> dict[str, torch.Tensor]:
    return weights_after(recipe.model_dump_json(exclude_unset=True))


def test_every_setting_has_a_line_here():
    shown = [*LEARNT, *ON_THE_CARD, *SCORED, *ELSEWHERE, *HERE]
    assert set(paths(TrainingRecipe)) == set(shown)


@pytest.mark.parametrize("path", LEARNT)
def test_what_shall_change_the_weights_does(path):
    name, needs, value = LEARNT[path]
    before = changed(base(name), needs)
    after = changed(before, {path: value} | ALSO.get(path, {}))
    assert before.identity() != after.identity()
    first, second = trained(before), trained(after)
    assert first.keys() != second.keys() or any(
        tensor.shape != second[key].shape or not torch.equal(tensor, second[key])
        for key, tensor in first.items()
    )


def test_what_shall_be_on_the_card_is():
    before = base("restorer")
    for path, value in ON_THE_CARD.items():
        assert card_of(before) != card_of(changed(before, {path: value})), path


def test_what_shall_change_a_validation_does(tmp_path):
    uri = str(photographs(tmp_path, 3).url)
    first = changed(base("restorer"), {
        "validation": {"datasets": [{"name": "photos", "uri": uri}], "images": 3, "side": 32, "samples": 3}
    })  # fmt: skip
    state = Trainer(BuiltRecipe.of(first), PICTURES).delivered()

    def validated(recipe: TrainingRecipe) -> object:
        built = BuiltRecipe.of(recipe)
        validation = RestorerValidation(
            recipe.validation, built.validation, channels=3, seed=recipe.seed, world=World()
        )
        found = validation(build_restorer(card_of(recipe), state, recipe.network.architecture))
        return found.columns, [picture.shape for row in found.sheet for picture in row]

    before = validated(first)
    for path, value in SCORED.items():
        given = {path: value}
        after = changed(first, {"validation": {}} if path == "validation.datasets" else given)
        assert validated(after) != before, path


def test_others_have_a_test_of_their_own():
    for path, place in ELSEWHERE.items():
        file, _, test = place.partition("::")
        assert f"def {test}" in (ROOT / file).read_text(encoding="utf-8"), path


def test_accumulation_is_the_number_of_parts_and_threads_that_of_threads():
    recipe = changed(base("restorer"), {"accumulation": 2, "data.threads": 3})
    trainer = Trainer(BuiltRecipe.of(recipe), PICTURES)
    assert [len(each.target_BCHW) for each in trainer.samples.examples(0)] == [2, 2]
    trainer.step()
    assert trainer._prefetch._pool._max_workers == 3
    trainer.close()


def test_blocks_are_computed_again_and_networks_compiled_where_it_is_asked_for(monkeypatch):
    compiled = []
    # torch's own takes seconds to come up.
    monkeypatch.setattr(torch.nn.Module, "compile", lambda network: compiled.append(network))
    for setting, replaces, compiles in (("recompute", True, False), ("compile", False, True)):
        recipe = changed(base("restorer"), {f"resources.{setting}": True} | BLOCKS)
        trainer = Trainer(BuiltRecipe.of(recipe), PICTURES)
        assert any("forward" in vars(module) for module in trainer.network.modules()) is replaces
        assert any(each is trainer.network for each in compiled) is compiles
    with pytest.raises(JobError, match=r"resources\.recompute: has no effect on this network"):
        BuiltRecipe.of(changed(base("restorer"), {"resources.recompute": True}))


@pytest.mark.usefixtures("without_page")
def test_clocks_say_when_to_keep_and_to_look_and_large_images_are_left_out(tmp_path):
    uri = str(photographs(tmp_path / "photos", 1).url)
    data = [{"name": "photos", "uri": uri}]
    recipe = changed(base("restorer"), {
        "data.datasets": data, "length.steps": 12, "checkpoints.every_minutes": 1e-9,
        "validation": {"datasets": data, "images": 1, "side": 16, "every_minutes": 1e-9},
    })  # fmt: skip
    events = []
    train(recipe, str(tmp_path / "out"), HERE_ALONE, on_progress=events.append)
    assert any(event.message.startswith("step 10: ") for event in events)
    kept = [each.name for each in (tmp_path / "out" / "checkpoints").iterdir()]
    assert any("10" in name for name in kept)
    too_few = changed(recipe, {"data.max_pixels": 100})
    with pytest.raises(JobError, match="nothing to train on"):
        collected(too_few, BuiltRecipe.of(too_few))
