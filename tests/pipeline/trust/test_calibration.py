"""Floors over many calibrations, and every image that a calibration says nothing of."""

import json
import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pipeline.results.calibrate import reliability_of, rows_of, strata_of
from pipeline.trust.calibration import Calibration, Seen
from pipeline.trust.evidence import LOCAL, REFINED, WHOLE, Evidence

SIDE = 64


def records(count, rng, levels=(5.0, 40.0)):
    """Images whose estimate is off as the noise's own energy makes it, more where there is more of it."""
    found = []
    for index in range(count):
        level = float(rng.uniform(*levels))
        risk = 0.1 * (level / 255) ** 2
        off = (level / 255) ** 2 * math.sqrt(2) / SIDE * rng.normal()
        evidence = Evidence("given", level, risk + off - 0.06 * risk, 0.03 * risk, SIDE**2, 0.5, 0.0)
        found.append(
            {
                "dataset": "photos",
                "key": f"{index}.png",
                "psnr": -10 * math.log10(risk) + 0.1 * rng.normal(),
                "psnr_evidence": evidence.to_json(),
            }
        )
    return found


@cache
def calibration(count=60, level=0.9):
    rows = rows_of(records(count, np.random.default_rng(1)))
    seen = Seen("given", (1,), ("uint8",), (SIDE**2, SIDE**2), (0.4, 0.6), 0.01)
    points, slack = reliability_of(rows, level)
    return Calibration(
        "ffdnet-grey", "ab" * 32, "float32", ({"name": "awgn-25"},), {"model": "gaussian"}, level, count,
        seen, strata_of(rows, level), points, slack, "cd" * 32, "1.0",
    )  # fmt: skip


GOOD = Evidence("given", 20.0, 5e-4, 1e-4, SIDE**2, 0.5, 0.0)


@pytest.mark.parametrize("noise", [(5.0, 6.0), (38.0, 40.0)])
def test_floors_cover_what_they_promise_at_every_noise_level(noise):
    rng, covered = np.random.default_rng(7), []
    for _ in range(150):
        strata = strata_of(rows_of(records(120, rng)), 0.9)
        fresh = rows_of(records(20, rng, noise))
        quantiles = [[each for each in strata if each.noise_low <= max(n, strata[0].noise_low)][-1].quantile
                     for n in fresh.noise]  # fmt: skip
        covered.append(np.mean(fresh.margin >= quantiles))
    assert len(strata) == 8
    assert np.mean(covered) >= 0.9 - 3 * np.std(covered) / math.sqrt(len(covered))


def test_the_reliability_of_held_out_images_is_near_the_level():
    points = dict(calibration(count=120).reliability)
    assert set(points) == {0.5, 0.6, 0.7, 0.8, 0.9, 0.95}
    for level, covered in points.items():
        assert covered == pytest.approx(level, abs=0.07)


def test_a_file_comes_back_and_a_changed_one_is_refused():
    whole = calibration()
    data = whole.to_json()
    assert Calibration.from_json(data) == whole
    fields = json.loads(data)
    fields["strata"][0]["quantile"] += 0.5
    for changed, said in (
        (json.dumps(fields).encode(), "was changed or damaged"),
        (data.replace(b"uint8", b"uint16"), "was changed or damaged"),
        (data[:-40], "is no calibration"),
        (b"[]", "is no calibration"),
        (b"\xff\xfe", "is no calibration"),
        (b'{"format": 99}', "another version"),
    ):
        with pytest.raises(ValueError, match=said):
            Calibration.from_json(changed)


@pytest.mark.parametrize(
    ("evidence", "bands", "dtype", "reason"),
    [
        (replace(GOOD, known="estimated"), 1, "uint8", "NOISE_KNOWLEDGE"),
        (GOOD, 3, "uint8", "BANDS"),
        (GOOD, 1, "uint16", "DTYPE"),
        (replace(GOOD, noise_level=60.0), 1, "uint8", "NOISE_LEVEL"),
        (replace(GOOD, noise_level=0.0), 1, "uint8", "NOISE_LEVEL"),
        (replace(GOOD, samples=4 * SIDE**2), 1, "uint8", "SIZE"),
        (replace(GOOD, samples=9), 1, "uint8", "SIZE"),
        (replace(GOOD, saturated=0.3), 1, "uint8", "SATURATED"),
        (replace(GOOD, brightness=0.9), 1, "uint8", "BRIGHTNESS"),
        (replace(GOOD, brightness=0.1), 1, "uint8", "BRIGHTNESS"),
    ],
)
def test_outside_the_calibration_there_is_a_reason_and_no_number(evidence, bands, dtype, reason):
    floor, said = calibration().floor(evidence, bands, dtype)
    assert floor is None
    assert said.startswith(f"{reason}: ")


def test_inside_it_the_floor_lies_below_the_estimate():
    floor, said = calibration().floor(GOOD, 1, "uint8")
    assert said is None
    assert GOOD.psnr - 3 < floor < GOOD.psnr


def test_a_calibration_of_before_keeps_its_estimate_and_its_digest():
    before = calibration()
    assert "estimator" not in json.loads(before.to_json())
    by_squares = replace(GOOD, error=2e-4, chance=1e-6, local=LOCAL)
    assert before.floor(by_squares, 1, "uint8") == before.floor(GOOD, 1, "uint8")
    now = replace(before, estimator=by_squares.estimator)
    assert Calibration.from_json(now.to_json()) == now
    assert now.floor(by_squares, 1, "uint8")[0] > before.floor(GOOD, 1, "uint8")[0]


def test_a_blind_estimate_of_now_is_off_by_more_where_less_is_left_and_one_of_before_alike():
    blind = replace(GOOD, known="estimated", error=2e-4, chance=1e-6)
    rough, smooth = (replace(blind, error=each, local=REFINED) for each in (2e-3, 2e-4))
    assert smooth.standard_error == pytest.approx(10**0.125 * rough.standard_error)
    assert [replace(each, local=LOCAL).standard_error for each in (rough, smooth)] == [1.0, 1.0]
    assert smooth.by(WHOLE).estimator == WHOLE
    now = replace(calibration(), seen=replace(calibration().seen, known="estimated"), estimator=REFINED)
    assert Calibration.from_json(now.to_json()) == now
    quantile = now.strata[-1].quantile
    assert now.floor(smooth, 1, "uint8")[0] != smooth.psnr + quantile


def test_what_rests_on_other_squares_is_told_apart():
    """Rows of an earlier version count as a whole, and a calibration by its squares is refused."""
    row = replace(GOOD, error=2e-4, chance=1e-6)
    assert row.estimator == WHOLE
    assert (row.psnr, row.standard_error) == (GOOD.psnr, GOOD.standard_error)
    data = replace(calibration(), estimator=2).to_json()
    with pytest.raises(ValueError, match="in another way; run its benchmark"):
        Calibration.from_json(data)


def test_a_smooth_image_is_not_said_to_be_better_than_anybody_can_tell():
    nothing_found = replace(GOOD, error=-1e-5, chance=1e-8, local=LOCAL)
    energy = (GOOD.noise_level / 255) ** 2 * math.sqrt(2 / GOOD.samples)
    assert nothing_found.psnr == pytest.approx(-10 * math.log10(energy))


def test_rows_of_before_among_those_of_now_are_all_taken_as_they_were():
    rng = np.random.default_rng(3)
    found = records(20, rng)
    estimates = [Evidence.from_json(each["psnr_evidence"]).psnr for each in found]
    for each in found[:10]:
        known = Evidence.from_json(each["psnr_evidence"])
        each["psnr_evidence"] = replace(known, error=known.spread, chance=1e-7, local=LOCAL).to_json()
    assert {each.estimator for each in rows_of(found[:10]).evidence} == {LOCAL}
    mixed = rows_of(found).evidence
    assert [each.psnr for each in mixed] == estimates


def test_a_few_given_levels_have_a_bound_each():
    rng = np.random.default_rng(4)
    found = [each for level in (10.0, 25.0, 40.0) for each in records(11, rng, (level, level))]
    for number, each in enumerate(found):
        each["key"] = f"{number}.png"
    strata = strata_of(rows_of(found), 0.9)
    assert [(each.noise_low, each.images) for each in strata] == [(10.0, 11), (25.0, 11), (40.0, 11)]
    assert len(strata_of(rows_of(found[:19]), 0.9)) == 1, "eight images warrant nothing"
    for number, each in enumerate(found):
        each["key"] = f"{number % 8}.png" if number < 11 else f"{number}.png"
    assert [each.images for each in strata_of(rows_of(found), 0.9)] == [22, 11], "nor eleven rows of eight"
