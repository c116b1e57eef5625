"""CutBlur: which pixels of a sample are true ones."""

import pytest
import torch

from pipeline.errors import JobError
from pipeline.training.data.cut_blur import SIDE, cut_blur
from pipeline.training.recipe.built_recipe import BuiltRecipe
from pipeline.training.recipe.recipe import TrainingRecipe
from tests.pipeline.training.training_data import denoiser, super_resolver_gan

DEGRADED, TARGET = torch.zeros(40, 3, 20, 30), torch.ones(40, 3, 20, 30)


def test_a_rectangle_or_all_but_one_is_true():
    mixed = cut_blur(DEGRADED, TARGET, range(40), 1.0)
    inside = round(SIDE * 20) * round(SIDE * 30)
    counts = mixed[:, 0].sum(dim=(1, 2)).int()
    assert set(counts.tolist()) == {inside, 20 * 30 - inside}
    assert torch.equal(mixed[:, :1].expand(-1, 3, -1, -1), mixed)
    assert len({tuple(each.flatten().tolist()) for each in mixed}) > 20


def test_the_chance_is_kept_and_a_sample_depends_on_its_seed_alone():
    assert torch.equal(cut_blur(DEGRADED, TARGET, range(40), 0.0), DEGRADED)
    mixed = cut_blur(DEGRADED, TARGET, range(40), 0.4)
    assert 6 <= int((mixed.amax(dim=(1, 2, 3)) > 0).sum()) <= 26
    assert torch.equal(cut_blur(DEGRADED[:2], TARGET[:2], [7, 9], 0.4), mixed[[7, 9]])


def test_networks_that_enlarge_and_trainings_without_true_images_have_none(tmp_path):
    data = {"datasets": [{"name": "photos", "uri": str(tmp_path)}], "crop": 32, "cut_blur": 0.5}
    with pytest.raises(JobError, match=r"data\.cut_blur: only for networks that do not enlarge; .* by 2"):
        BuiltRecipe.of(super_resolver_gan(tmp_path, data=data))
    with pytest.raises(JobError, match=r"data\.cut_blur: is for true images"):
        denoiser(tmp_path, data=data, self_supervision="neighbor2neighbor")


def test_recipes_of_before_are_what_they_were(tmp_path):
    plain = super_resolver_gan(tmp_path)
    identity = plain.identity()
    assert "cut_blur" not in identity["data"]
    assert "augmentations" not in identity["discriminator"]
    fields = plain.model_dump()
    fields["discriminator"]["augmentations"] = ["cutout"]
    assert TrainingRecipe.parse(fields).identity()["discriminator"]["augmentations"] == ["cutout"]
