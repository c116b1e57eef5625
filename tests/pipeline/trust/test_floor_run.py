"""Benchmark -> calibration -> restore run with floors, end to end, and what the way is refused for."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from flows.cli.restore_options import Trust
from flows.trust_findings import trust_findings
from pipeline import run
from pipeline.errors import JobError
from pipeline.ledger.run_folder import open_run
from pipeline.results.calibrate import calibrate
from pipeline.trust.calibration import CONDITION, Calibration
from pipeline.trust.flags import FlagEvidence
from pipeline.trust.intervals import SHARES, IntervalEvidence
from tests.helpers import benchmark, complete, decoded, encoded, fill, photograph, photographs_in, restore

NOISE = {"name": "noise", "operators": [{"op": "gaussian_noise", "sigma": [15, 30], "rounding": "uint8"}]}


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    """A benchmark's job and rows, and its calibration as a file."""
    place = tmp_path_factory.mktemp("trust")
    photographs_in(place / "photos", 39, 40, 40)
    job = benchmark(
        place / "photos",
        place / "out",
        degradations=[NOISE],
        restorers=[{"name": "median", "uncertainty": "posterior"}],
        psnr_estimate=True,
        flags=True,
    )
    rows = complete(job)
    file = place / "median.calibration.json"
    file.write_bytes(calibrate(open_run(job)).to_json())
    return job, rows, file


def noisy(index, sigma=20):
    rng = np.random.default_rng(index)
    clean = photograph(index, 40, 40)
    return np.clip(np.rint(clean + sigma * rng.normal(size=clean.shape)), 0, 255).astype(np.uint8)


def test_an_estimate_is_near_the_truth(calibrated):
    _, rows, _ = calibrated
    off = [row["psnr_estimate"] - row["psnr"] for row in rows]
    assert abs(np.median(off)) < 0.5
    assert np.quantile(np.abs(off), 0.75) < 0.8  # the rest are crops of night, where noise is cut off at 0
    assert all(row["psnr_floor"] is None and row["psnr_reason"] is None for row in rows)


def test_images_without_a_reference_get_a_floor_or_a_reason(calibrated, tmp_path):
    _, _, file = calibrated
    names = [f"{i:02d}.png" for i in range(12)]
    files = {key: encoded(noisy(i + 50)) for i, key in enumerate(names)}
    files |= {"large.png": encoded(np.tile(noisy(1), (3, 3, 1))), "grey.png": encoded(noisy(3)[:, :, 0])}
    files |= {"mistold.png": encoded(noisy(2, sigma=60)), "smooth.png": encoded(noisy(2, sigma=1))}
    fill(tmp_path / "in", files)
    job = restore(
        tmp_path / "in",
        tmp_path / "out",
        restorers=[{"name": "median", "noise_level": 20}],
        calibration=str(file),
        psnr_needed=99,
    )
    rows = {row["key"]: row for row in complete(job)}
    assert rows["large.png"]["psnr_floor"] is None
    assert rows["large.png"]["psnr_reason"].startswith("SIZE: ")
    assert rows["grey.png"]["psnr_reason"].startswith("BANDS: ")
    for key in ("mistold.png", "smooth.png"):
        assert rows[key]["psnr_reason"].startswith("NOISE_LEVEL: 20 was told, the image itself has about ")
        assert rows[key]["psnr_estimate"] is None
    inside = [rows[key] for key in names if rows[key]["psnr_floor"] is not None]
    assert len(inside) >= 9
    assert all(row["psnr_floor"] < row["psnr_estimate"] and row["psnr_reason"] is None for row in inside)
    metadata = json.loads(
        pq.read_schema(tmp_path / "out" / "_restora" / "tables" / "metrics.parquet").metadata[b"restora"]
    )
    run.report(open_run(job))
    said = list(trust_findings(open_run(job)))
    assert said[0].startswith(
        f"{len(inside)} of {len(inside)} images with a floor under the PSNR have one below"
    )
    assert any(line.startswith("  no floor: 1 image, BANDS: it has 1, the calibration 3") for line in said)
    page = (tmp_path / "out" / "_restora" / "report" / "index.html").read_text()
    assert "with a floor under the PSNR" in page
    assert CONDITION in page
    assert "<code>BANDS</code>" in page
    floor = metadata["psnr_estimate"]["psnr_floor"]
    assert floor["level"] == 0.9
    assert CONDITION in floor["condition"]
    assert floor["calibration"] == Calibration.from_json(file.read_bytes()).digest


def test_what_a_job_is_refused_for(calibrated, tmp_path):
    job, _, file = calibrated
    photographs_in(tmp_path / "in", 1)

    def refused(text, **fields):
        with pytest.raises(JobError, match=text):
            open_run(restore(tmp_path / "in", tmp_path / "out", **fields))

    refused(
        "is of .median., the job restores with|is of .median.", restorers=["identity"], calibration=str(file)
    )
    refused("no such file", calibration=str(tmp_path / "none.json"))
    (tmp_path / "changed.json").write_bytes(file.read_bytes().replace(b'"images": 39', b'"images": 99'))
    refused("was changed or damaged", calibration=str(tmp_path / "changed.json"))
    refused("enlarges, and psnr_estimate", restorers=["srvgg-x4"], psnr_estimate=True)
    with pytest.raises(JobError, match='add "psnr"'):
        benchmark(tmp_path / "in", tmp_path / "out", psnr_estimate=True, metrics=["mae"])
    with pytest.raises(JobError, match="is for restore runs"):
        benchmark(tmp_path / "in", tmp_path / "out", calibration=str(file))
    with pytest.raises(JobError, match="39 images with an estimate cannot warrant"):
        calibrate(open_run(job), level=0.99)
    with pytest.raises(JobError, match="none of them"):
        calibrate(open_run(job), "wiener")


def test_a_degradation_that_is_no_noise_has_a_reason_and_cannot_be_calibrated(tmp_path):
    photographs_in(tmp_path / "in", 2)
    job = benchmark(
        tmp_path / "in", tmp_path / "out", degradations=["blur"], restorers=["median"], psnr_estimate=True
    )
    for row in complete(job):
        assert row["status"] == "ok"
        assert row["psnr_estimate"] is None
        assert row["psnr_reason"].startswith("DEGRADATION: ")
    with pytest.raises(JobError, match="a calibration is of Gaussian noise, or of one sensor"):
        calibrate(open_run(job))


def test_a_sensor_is_calibrated_by_its_gain_and_read_noise(tmp_path):
    photographs_in(tmp_path / "in", 10, 40, 40)
    sensor = {"name": "ccd", "operators": [{"op": "poisson_gaussian_noise", "gain": 0.01, "sigma": 5}]}
    job = benchmark(
        tmp_path / "in", tmp_path / "out", degradations=[sensor], restorers=["median"], psnr_estimate=True
    )
    rows = complete(job)
    assert abs(np.mean([row["psnr_estimate"] - row["psnr"] for row in rows])) < 0.5
    found = calibrate(open_run(job))
    assert found.noise == {"model": "poisson-gaussian", "gain": 0.01, "sigma": 5}
    assert found.seen.known == "sensor"


def test_intervals_of_images_without_a_reference(calibrated, tmp_path):
    _, rows, file = calibrated
    whole = Calibration.from_json(file.read_bytes())
    bounds = whole.intervals
    assert (bounds.method, bounds.images) == ("posterior", 39)
    evidence = [IntervalEvidence.from_json(row["uncertainty_evidence"]) for row in rows]
    missed = [SHARES[int(np.sum(np.array(each.ratios) > bounds.scale))] for each in evidence]
    assert np.mean(missed) <= 0.1
    # So few images warrant nothing narrower than what none of their samples left.
    narrow = tmp_path / "narrow.json"
    narrow.write_bytes(replace(whole, intervals=replace(bounds, scale=bounds.scale / 3)).to_json())
    files = {f"{i}.png": encoded(noisy(i + 50)) for i in range(3)}
    fill(tmp_path / "in", files | {"grey.png": encoded(noisy(3)[:, :, 0])})
    fields = {"restorers": [{"name": "median", "uncertainty": "posterior"}], "calibration": str(narrow)}
    job = restore(tmp_path / "in", tmp_path / "out", save_uncertainty=True, **fields)
    found = {row["key"]: row for row in complete(job)}
    assert found["grey.png"]["uncertainty_reason"].startswith("BANDS: ")
    assert found["grey.png"]["uncertainty_uri"] is None
    inside = [row for row in found.values() if row["uncertainty_mean"] is not None]
    assert inside
    said = list(trust_findings(open_run(job)))
    assert said[0].startswith(f"Intervals about the pixels of {len(inside)} image")
    assert any(line.startswith("  images without intervals: 1 image, BANDS: it has 1") for line in said)
    for row in inside:
        map_HWC = decoded((tmp_path / "out" / "_restora" / "uncertainty" / row["key"]).read_bytes())
        assert row["uncertainty_uri"].endswith(f"_restora/uncertainty/{row['key']}")
        assert map_HWC.mean() / 255 == pytest.approx(row["uncertainty_mean"] + 0.5 / 255, abs=0.2 / 255)
        truth = photograph(int(row["key"][0]) + 50, 40, 40)
        given = decoded((tmp_path / "out" / row["key"]).read_bytes()).astype(int)
        assert (np.abs(given - truth) > map_HWC).mean() < 0.1
    table = tmp_path / "out" / "_restora" / "tables" / "metrics.parquet"
    assert CONDITION in json.loads(pq.read_schema(table).metadata[b"restora"])["uncertainty"]["condition"]
    (tmp_path / "out" / "_restora" / "uncertainty" / inside[0]["key"]).unlink()
    assert not run.verify(open_run(job)).is_whole


def test_a_command_asks_for_floors_beside_intervals(calibrated, tmp_path):
    _, _, file = calibrated
    fill(tmp_path / "in", {f"{i}.png": encoded(noisy(i + 50)) for i in range(6)})
    fields = Trust(calibration=str(file), floors=True, psnr_needed=12.5).of_job()
    restorer = {"name": "median", "uncertainty": "posterior", "noise_level": 20}
    job = restore(tmp_path / "in", tmp_path / "out", restorers=[restorer], **fields)
    floors = [row["psnr_floor"] for row in complete(job) if row["psnr_floor"] is not None]
    assert floors
    assert all(floor > 12.5 for floor in floors)
    said = list(trust_findings(open_run(job)))
    assert said[0].startswith("0 of ")
    assert "with a floor under the PSNR have one below 12.5 dB" in said[0]
    assert any(line.startswith("Intervals about the pixels of ") for line in said)


def test_intervals_that_cannot_be_had(calibrated, tmp_path):
    _, _, file = calibrated
    photographs_in(tmp_path / "in", 1)

    def refused(text, **fields):
        with pytest.raises(JobError, match=text):
            open_run(restore(tmp_path / "in", tmp_path / "out", **fields))

    unsure = {"name": "median", "uncertainty": "posterior"}
    turned = {"name": "median", "uncertainty": "self_ensemble"}
    refused("need a calibration with them, and none is given", restorers=[unsure])
    refused('is of "posterior", not "self_ensemble"', restorers=[turned], calibration=str(file))
    refused("unknown uncertainty", restorers=[{"name": "median", "uncertainty": "postrior"}])
    with pytest.raises(JobError, match="is for restore runs of a restorer with"):
        restore(tmp_path / "in", tmp_path / "out", save_uncertainty=True)
    bounds = Calibration.from_json(file.read_bytes()).intervals
    level, light, spread = (sum(each) / 2 for each in (bounds.noise, bounds.brightness, bounds.spread))
    middle = IntervalEvidence(
        method="posterior", noise_level=level, samples=bounds.samples[0], brightness=light, saturated=0.0,
        spread=spread,
    )  # fmt: skip
    assert bounds.refusal(middle, 3, "uint8") is None
    for known, reason in (
        ({"brightness": 2.0}, "BRIGHTNESS"),
        ({"samples": 10**9}, "SIZE"),
        ({"noise_level": 99.0}, "NOISE_LEVEL"),
        ({"saturated": 1.0}, "SATURATED"),
        ({"spread": 0.0}, "NO_SPREAD"),
        ({"spread": 0.9}, "SPREAD"),
    ):
        assert bounds.refusal(replace(middle, **known), 3, "uint8").startswith(f"{reason}: ")


def test_flags_of_images_without_a_reference(calibrated, tmp_path):
    _, rows, file = calibrated
    bounds = Calibration.from_json(file.read_bytes()).flags
    evidence = [FlagEvidence.from_json(row["flags_evidence"]) for row in rows]
    above = [each.residual > bounds.residual or each.detail > bounds.detail for each in evidence]
    assert np.mean(above) <= 0.05
    fill(tmp_path / "in", {"0.png": encoded(noisy(50)), "grey.png": encoded(noisy(3)[:, :, 0])})
    job = restore(tmp_path / "in", tmp_path / "out", flags=True, calibration=str(file))
    found = {row["key"]: row for row in complete(job)}
    assert found["0.png"]["flags"] == 0
    assert found["grey.png"]["flags"] is None
    assert found["grey.png"]["flags_reason"].startswith("BANDS: ")
    table = tmp_path / "out" / "_restora" / "tables" / "metrics.parquet"
    assert CONDITION in json.loads(pq.read_schema(table).metadata[b"restora"])["flags"]["condition"]
    without = tmp_path / "without.json"
    without.write_bytes(replace(Calibration.from_json(file.read_bytes()), flags=None).to_json())
    with pytest.raises(JobError, match="flags: need a calibration with them, and this one was made without"):
        open_run(restore(tmp_path / "in", tmp_path / "other", flags=True, calibration=str(without)))
