"""Teachers, blocks that are computed again, and gradient descent: what each changes, and what it must not."""

import pytest
import torch
from torch import nn

from models.contract import Condition
from models.networks import NetworkModel, build_network
from pipeline.errors import JobError
from pipeline.training.data.collected import collected
from pipeline.training.recipe.built_recipe import BuiltRecipe, optimizer
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.recipe.sections import Optimizer
from pipeline.training.steps.distillation import Distillation
from pipeline.training.steps.example import Example
from pipeline.training.steps.recomputed import recompute_blocks
from pipeline.training.trainer import Trainer
from tests.pipeline.training.training_data import denoiser, photographs, super_resolver_gan


def dncnn(features, seed=0):
    torch.manual_seed(seed)
    return build_network("dncnn", {"features": features, "layers": 4, "batch_norm": False})


def terms_of(teacher, student, **given):
    image = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    distil = Distillation(
        NetworkModel(teacher), student, value_range=(0.0, 1.0), weight=2.0, feature_weight=0.5, **given
    )
    restored = student(image)
    return distil(Example(image, image, Condition()), restored)


def test_who_is_the_teacher_has_nothing_to_learn_and_who_is_not_learns_by_both_terms():
    same = terms_of(dncnn(6), dncnn(6))
    assert [name for name, _, _ in same] == ["teacher", "teacher_features"]
    assert all(float(value) == pytest.approx(0, abs=1e-10) for _, _, value in same)
    teacher, student = dncnn(6), dncnn(4, seed=2)
    terms = terms_of(teacher, student, distance="mse")
    assert [weight for _, weight, _ in terms] == [2.0, 0.5]
    for _, _, value in terms:
        assert float(value) > 0
        gradients = torch.autograd.grad(
            value, list(student.parameters()), allow_unused=True, retain_graph=True
        )
        assert any(each is not None and bool(each.abs().sum() > 0) for each in gradients)
    assert not any(each.requires_grad for each in teacher.parameters())


def test_a_recipe_with_a_teacher_reports_its_loss_and_one_that_does_not_fit_is_refused(tmp_path):
    photographs(tmp_path, 1)
    recipe = denoiser(tmp_path, teacher="ffdnet-colour")
    built = BuiltRecipe.of(recipe)
    trainer = Trainer(built, collected(recipe, built))
    scalars, _ = trainer.step()
    trainer.close()
    assert float(scalars["loss"]) == pytest.approx(float(scalars["loss_l1"] + scalars["loss_teacher"]))
    assert recipe.identity()["teacher"]["weights"] == "ffdnet-colour"
    assert "teacher" not in denoiser(tmp_path).identity()
    for teacher, said in (
        ("srvgg-x4", "enlarges by 4, the network by 1"),
        ("ffdnet-grey", "takes 1 channels, the network 3"),
        ("nobody.safetensors", "give a shipped name or a file with a card"),
        ("dcgan-photographs", "generates images and restores none"),
    ):
        with pytest.raises(JobError, match=said):
            BuiltRecipe.of(denoiser(tmp_path, teacher=teacher))
    with pytest.raises(JobError, match=r"teacher\.weights: srvgg-x4 enlarges by 4, the network by 2"):
        BuiltRecipe.of(super_resolver_gan(tmp_path, teacher={"weights": "srvgg-x4"}))


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("nafnet", {"features": 4, "encoders": [1, 1], "middle": 1, "decoders": [1, 1]}),
        ("rrdbnet", {"blocks": 2}),
    ],
)
def test_blocks_that_are_computed_again_give_the_same_gradients(architecture, arguments):
    found = []
    for again in (False, True):
        torch.manual_seed(0)
        network = build_network(architecture, arguments)
        names = list(network.state_dict())
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.1)
        if again:
            assert recompute_blocks(network) >= 2
        assert list(network.state_dict()) == names
        network(torch.linspace(0, 1, 3 * 256).view(1, 3, 16, 16)).square().mean().backward()
        found.append([each.grad for each in network.parameters()])
    assert all(torch.equal(first, second) for first, second in zip(*found, strict=True))
    assert recompute_blocks(nn.Sequential(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)))) == 0


def test_gradient_descent_is_torchs_with_the_recipes_settings(tmp_path):
    spec = Optimizer(name="sgd", learning_rate=0.1, momentum=0.8, weight_decay=0.01)
    built = optimizer(spec, nn.Linear(1, 1))
    assert isinstance(built, torch.optim.SGD)
    group = built.param_groups[0]
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.8, 0.01, True)
    plain = denoiser(tmp_path).model_dump()
    for fields, said in (
        ({"optimizer": {"learning_rate": 0.1, "momentum": 0.5}}, r"optimizer\.momentum: is for sgd alone"),
        ({"optimizer": {"name": "sgd", "learning_rate": 0.1, "betas": [0.5, 0.9]}}, r"adamw, not for sgd"),
        ({"resources": {"sync_batch_norm": True}}, "sync_batch_norm: is for workers with GPUs"),
    ):
        with pytest.raises(ValueError, match=said):
            TrainingRecipe.model_validate(plain | fields)
    assert "momentum" not in denoiser(tmp_path).identity()["optimizer"]
    descending = plain | {"optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.5}}
    assert TrainingRecipe.model_validate(descending).identity()["optimizer"]["momentum"] == 0.5
