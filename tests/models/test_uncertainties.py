"""Every uncertainty: what it owes, and that it is larger where the restorer errs more."""

import numpy as np
import pytest
import scipy.stats
import torch
from skimage import data

from models.card import Card
from models.catalog import build, build_solver
from models.contract import Condition
from models.networks import NetworkModel, build_network, card_facts
from models.restorer import Restorer
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


# Adding an uncertainty: one line, with a restorer that has it.
SUBJECTS = {
    "self_ensemble": "ffdnet-grey",
    "posterior": "ffdnet-grey",
    "quantile_head": "ffdnet-grey-quantiles",
}


def test_every_uncertainty_is_in_the_contract():
    assert SUBJECTS.keys() == UNCERTAINTIES.keys()


@pytest.mark.parametrize("name", UNCERTAINTIES)
def test_contract(name):
    restorer, uncertainty = build(SUBJECTS[name]), UNCERTAINTIES[name]
    subject = uncertainty.subject(restorer)
    clean_BCHW, noisy_BCHW = noisy()
    told = Condition(noise_level_B=torch.full((2,), SIGMA))
    calls = []

    def restore(image_BCHW, condition):
        calls.append(1)
        return subject(image_BCHW, condition=condition)

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
        "quantile_head": 1,
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
    with pytest.raises(ValueError, match='srvgg-x4 did not; use ffdnet-grey-quantiles, or "self_ensemble"'):
        UNCERTAINTIES["quantile_head"].subject(build("srvgg-x4"))


def test_a_head_leaves_the_image_as_it_was_bit_for_bit_and_works_band_by_band():
    _, noisy_BCHW = noisy()
    told = Condition(noise_level_B=torch.full((2,), SIGMA))
    head, plain = build("ffdnet-grey-quantiles"), build("ffdnet-grey")
    assert torch.equal(head(noisy_BCHW, condition=told), plain(noisy_BCHW, condition=told))
    widths = UNCERTAINTIES["quantile_head"].subject(head)(noisy_BCHW, condition=told)
    bands = UNCERTAINTIES["quantile_head"].subject(build_solver("per_band", restorer="ffdnet-grey-quantiles"))
    torch.testing.assert_close(
        bands(torch.cat([noisy_BCHW, noisy_BCHW.flip(0)], 1), condition=told),
        torch.cat([widths, widths.flip(0)], 1),
    )


def test_half_widths_of_a_network_with_another_range_are_fractions_of_it():
    torch.manual_seed(0)
    network = build_network("ffdnet_quantiles", {"features": 8, "layers": 3})
    card = Card(name="x", summary="x", task="denoising", value_range=(-1.0, 1.0), **card_facts(network))
    subject = UNCERTAINTIES["quantile_head"].subject(Restorer(card, NetworkModel(network)))
    _, noisy_BCHW = noisy()
    level_B = torch.full((2,), SIGMA)
    expected = network.half_width(2 * noisy_BCHW - 1, level_B) / 2
    torch.testing.assert_close(subject(noisy_BCHW, condition=Condition(noise_level_B=level_B)), expected)
