"""Every uncertainty: what it owes, and that it is larger where the restorer errs more."""

import numpy as np
import pytest
import scipy.stats
import torch
from skimage import data

from models.catalog import build, build_solver
from models.contract import Condition
from models.uncertainties import UNCERTAINTIES
from pipeline.errors import JobError
from pipeline.inventory import record_of, take_inventory

SIGMA = 25 / 255


def noisy(batch=2, side=32):
    clean = torch.from_numpy(data.camera()).float() / 255
    clean_B1HW = torch.stack(
        [clean[60 * i + 40 : 60 * i + 40 + side, 160 : 160 + side] for i in range(batch)]
    )
    rng = torch.Generator().manual_seed(0)
    return clean_B1HW[:, None], clean_B1HW[:, None] + SIGMA * torch.randn(batch, 1, side, side, generator=rng)


@pytest.mark.parametrize("name", UNCERTAINTIES)
def test_contract(name):
    restorer, uncertainty = build("ffdnet-grey"), UNCERTAINTIES[name]
    assert uncertainty.subject(restorer) is restorer
    clean_BCHW, noisy_BCHW = noisy()
    told = Condition(noise_level_B=torch.full((2,), SIGMA))
    calls = []

    def restore(image_BCHW, condition):
        calls.append(1)
        return restorer(image_BCHW, condition=condition)

    restored_BCHW = restorer(noisy_BCHW, condition=told)
    spread_BCHW = uncertainty(restore, noisy_BCHW, told, restored_BCHW)
    assert len(calls) in (uncertainty.calls, uncertainty.calls + 1)
    assert spread_BCHW.shape == restored_BCHW.shape
    assert bool((spread_BCHW > 0).all())
    alone_BCHW = uncertainty(restore, noisy_BCHW[1:], told.select([1]), restored_BCHW[1:])
    torch.testing.assert_close(alone_BCHW, spread_BCHW[1:], rtol=1e-3, atol=1e-6)
    error = (restored_BCHW - clean_BCHW).abs()
    found = scipy.stats.spearmanr(np.ravel(spread_BCHW), np.ravel(error)).statistic
    assert found > 0.25


def test_the_list_of_names_says_what_each_costs():
    assert {each["name"]: each["calls"] for each in take_inventory("uncertainties")} == {
        "self_ensemble": 7,
        "posterior": 1,
    }
    with pytest.raises(JobError, match="unknown uncertainty"):
        record_of("uncertainties", "postrior")


def test_what_has_no_uncertainty_is_refused_and_a_self_ensemble_hands_on_its_restorer():
    ensemble = build_solver("self_ensemble", restorer="ffdnet-grey")
    assert UNCERTAINTIES["self_ensemble"].subject(ensemble) is ensemble.model.restorer
    with pytest.raises(ValueError, match="inverts operators"):
        UNCERTAINTIES["self_ensemble"].subject(build("wiener"))
    with pytest.raises(ValueError, match='srvgg-x4 enlarges; use "self_ensemble"'):
        UNCERTAINTIES["posterior"].subject(build("srvgg-x4"))
