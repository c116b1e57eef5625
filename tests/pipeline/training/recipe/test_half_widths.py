"""Recipes of networks that learn how far they may be off: what they need, and what they refuse."""

import pytest
import torch

from models.networks import build_network
from pipeline.errors import JobError
from pipeline.training.recipe.built_recipe import BuiltRecipe
from pipeline.training.recipe.half_widths import load_start
from pipeline.training.recipe.recipe import TrainingRecipe
from tests.pipeline.training.training_data import ROOT

RECIPE = ROOT / "conf" / "train" / "ffdnet-grey-quantiles-small.toml"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            'losses=[{ name = "l1" }]',
            'losses: ffdnet_quantiles learns half-widths alone; give { name = "laplace" }',
        ),
        (
            'network={ architecture = "ffdnet" }',
            'losses: "laplace" judges half-widths, and ffdnet gives none; take architecture =',
        ),
        (
            'network={ architecture = "ffdnet_quantiles" }',
            "network.start: ffdnet_quantiles learns half-widths of a network that restores already; name",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_the_cure(override, message):
    with pytest.raises(JobError) as error:
        BuiltRecipe.of(TrainingRecipe.from_toml(RECIPE, (override,)))
    assert message in str(error.value)


def test_weights_to_begin_with_may_lack_the_head_whole_and_nothing_else():
    torch.manual_seed(0)
    small = {"channels": 1, "features": 8, "layers": 3, "predicts": "noise"}
    base, network = build_network("ffdnet", small), build_network("ffdnet_quantiles", small)
    head = {name: each.clone() for name, each in network.state_dict().items() if name.startswith("head.")}
    load_start(network, base.state_dict())
    found = network.state_dict()
    assert all(torch.equal(found[name], each) for name, each in {**base.state_dict(), **head}.items())
    whole = network.state_dict()
    load_start(network, whole)
    with pytest.raises(RuntimeError, match=r"head\.0\.bias"):
        load_start(network, {name: each for name, each in whole.items() if name != "head.0.bias"})
    with pytest.raises(RuntimeError, match=r"convolutions\.0\.bias"):
        load_start(
            network, {name: each for name, each in base.state_dict().items() if name != "convolutions.0.bias"}
        )
