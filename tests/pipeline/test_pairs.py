"""Benchmarks of pairs as they were found, and scores of what was restored elsewhere, from end to end."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline import run
from pipeline.errors import JobError
from pipeline.jobs.job import Job
from pipeline.ledger.run_folder import open_run
from pipeline.privacy.key import VARIABLE, make_key
from pipeline.results.tables import read_summary
from tests.canary import CANARY, hits
from tests.helpers import benchmark, complete, encoded, fill, metric_rows, photograph, plan_and_execute

ROOT = Path(__file__).parents[2]
ANY_SHARE = {"threshold": 1.0, "stop_share": 1.0}


def pairs(folder: Path, out: str = "out", **fields) -> Job:
    dataset = {"name": "set", "uri": str(folder / "in"), "references": str(folder / "sharp")}
    dataset |= fields.pop("dataset", {})
    defaults = {"degradations": [], "restorers": ["bicubic"], "quarantine": ANY_SHARE}
    return benchmark("", folder / out, **(defaults | {"datasets": [dataset]} | fields))


def score(folder: Path, **fields) -> Job:
    datasets = [
        {"name": name, "uri": str(folder / name), "references": str(folder / "sharp")} for name in ("a", "b")
    ]
    defaults = {"degradations": [], "restorers": [], "datasets": datasets, "quarantine": ANY_SHARE}
    return benchmark("", folder / "scores", **(defaults | fields))


def enlarged(count: int, factor: int = 2) -> dict[str, bytes]:
    return {f"{i}.png": encoded(photograph(i, 16 * factor, 20 * factor)) for i in range(count)}


def test_pairs_score_what_the_same_pixels_score_when_they_are_degraded_here(tmp_path):
    fill(tmp_path / "sharp", enlarged(3))
    degraded = benchmark(
        tmp_path / "sharp", tmp_path / "in", kind="degrade", restorers=[], metrics=[],
        degradations=["bicubic-x2"], datasets=[{"name": "set", "uri": str(tmp_path / "sharp")}],
    )  # fmt: skip
    plan_and_execute(degraded)
    metrics = ["psnr", "ssim", "psnr_y", "mae"]
    found = complete(pairs(tmp_path, metrics=metrics, dataset={"pattern": "/*.png"}))
    made = benchmark(tmp_path / "sharp", tmp_path / "made", degradations=["bicubic-x2"], metrics=metrics,
                     restorers=["bicubic"])  # fmt: skip
    for row, other in zip(found, complete(made), strict=True):
        assert row["degradation"] == "found"
        for name in metrics:
            assert row[name] == pytest.approx(other[name], abs=1e-6)
            assert row[f"{name}_degraded"] == pytest.approx(other[f"{name}_degraded"], abs=1e-6)


def faulty(folder: Path) -> dict[str, str]:
    """Images of which most have no good reference; key -> reason."""
    photos = {f"{i}.png": encoded(photograph(i)) for i in range(8)}
    sharp = dict(photos)
    del sharp["1.png"]
    sharp |= {"2.tiff": sharp.pop("2.png"), "2.jpg": b""}
    sharp["3.png"] = encoded(photograph(3, 31, 40))
    sharp["4.png"] = encoded(photograph(4)[..., 0])
    sharp["5.png"] = sharp["5.png"][:-200]
    photos["6.png"] = photos["6.png"][:-200]
    fill(folder / "in", photos)
    fill(folder / "sharp", sharp)
    return {"1.png": "NO_REFERENCE", "2.png": "TWO_REFERENCES", "3.png": "REFERENCE_SIZE",
            "4.png": "REFERENCE_BANDS", "5.png": "REFERENCE_UNREADABLE", "6.png": "TRUNCATED"}  # fmt: skip


def test_every_faulty_partner_costs_its_own_row_and_a_mended_one_is_done_alone(tmp_path):
    reasons = faulty(tmp_path)
    job = pairs(tmp_path, restorers=["identity", "median"], dataset={"references": str(tmp_path / "sharp")})
    rows = complete(job)
    assert len(rows) == 16
    assert {row["key"]: row["reason"] for row in rows if row["status"] != "ok"} == reasons
    assert {row["key"]: row["stage"] for row in rows if row["reason"] == "REFERENCE_SIZE"} == {
        "3.png": "pair"
    }
    run.report(open_run(job))

    fill(tmp_path / "sharp", {"5.png": encoded(photograph(5)), "0.png": encoded(photograph(20))})
    planned, progress = plan_and_execute(job)
    assert (planned.left, progress.images) == (2, 2), "the two whose references changed, and no other"
    run.compact(open_run(job))
    again = {row["key"]: row for row in metric_rows(job) if row["restorer"] == "identity"}
    assert again["5.png"]["psnr"] == np.inf
    assert again["0.png"]["psnr"] < 30, "another reference, another score"
    assert run.verify(open_run(job)).is_whole


def test_the_image_keeps_its_type_whatever_its_reference_has(tmp_path):
    deep = photograph(0)[..., 0].astype(np.uint16) * 257
    fill(tmp_path / "in", {"a.png": encoded(photograph(0)[..., 0])})
    fill(tmp_path / "sharp", {"a.png": encoded(deep)})
    (row,) = complete(pairs(tmp_path, save="all", restorers=["identity"]))
    assert row["psnr"] == pytest.approx(np.inf) or row["psnr"] > 140
    assert Path(row["output_uri"]).read_bytes()
    assert row["dtype"] == "uint8"


def test_a_mask_says_which_pixels_of_a_reference_count(tmp_path):
    sharp = photograph(0)
    clouded, clear = sharp.copy(), np.full(sharp.shape[:2], 255, np.uint8)
    clouded[:10], clear[:10] = 255, 0
    fill(tmp_path / "in", {"x/LR0.png": encoded(sharp)})
    fill(tmp_path / "sharp", {"x/HR.png": encoded(clouded), "x/SM.png": encoded(clear)})
    rule = {"uri": str(tmp_path / "sharp"), "match": r"(?P<id>.+)/LR\d+\.png", "reference": "{id}/HR.png"}
    (all_of_it,) = complete(pairs(tmp_path, restorers=["identity"], dataset={"references": rule}))
    rule["clear"] = "{id}/SM.png"
    (masked,) = complete(pairs(tmp_path, "masked", restorers=["identity"], dataset={"references": rule}))
    assert all_of_it["psnr"] < 20
    assert masked["psnr"] == np.inf


@pytest.mark.parametrize(("restorers", "said"), [
    ([{"name": "w", "solver": "wiener"}], "needs to know what blurred"), (["nonsense"], "nonsense"),
])  # fmt: skip
def test_restorers_that_need_more_than_a_pair_tells_are_refused(tmp_path, restorers, said):
    with pytest.raises(JobError, match=said):
        open_run(pairs(tmp_path, restorers=restorers))


def test_a_restorer_of_another_scale_is_told_so_image_by_image(tmp_path):
    fill(tmp_path / "in", {key: encoded(photograph(int(key[0]), 16, 20)) for key in enlarged(1)})
    fill(tmp_path / "sharp", enlarged(1))
    rows = {row["restorer"]: row for row in complete(pairs(tmp_path, restorers=["bicubic", "median"]))}
    assert rows["bicubic"]["status"] == "ok"
    assert rows["median"]["reason"] == "REFERENCE_SIZE"
    assert "enlarges by 1" in rows["median"]["message"]


def test_folders_that_others_restored_are_ranked_by_their_references(tmp_path):
    fill(tmp_path / "sharp", {f"{i}.png": encoded(photograph(i)) for i in range(4)})
    noisy = {i: (photograph(i) ^ np.uint8(8)) for i in range(4)}
    fill(tmp_path / "a", {f"{i}.png": encoded(photograph(i) ^ np.uint8(1)) for i in range(4)})
    fill(tmp_path / "b", {f"{i}.tiff": encoded(noisy[i], "TIFF") for i in range(3)})
    fill(tmp_path / "b", {"stray.png": encoded(noisy[0])})
    job = score(tmp_path, metrics=["psnr", "ssim"])
    rows = complete(job)
    run.report(open_run(job))
    assert [(row["restorer"], row["key"]) for row in rows if row["restorer"] == "b"] == [
        ("b", "0.png"), ("b", "1.png"), ("b", "2.png"), ("b", "stray.png (no reference)")
    ]  # fmt: skip
    assert {row["dataset"] for row in rows} == {"test"}
    assert {row["psnr_degraded"] for row in rows} == {None}
    for row in (each for each in rows if each["status"] == "ok"):
        assert row["psnr"] == pytest.approx(
            20 * np.log10(255 / (1 if row["restorer"] == "a" else 8)), abs=1e-6
        )
    means = {(each["restorer"], each["metric"]): each for each in read_summary(open_run(job)).to_pylist()}
    assert means["a", "psnr"]["n"] == 4
    assert means["b", "psnr"]["n_quarantined"] == 1
    with pytest.raises(JobError, match="needs the input of a restorer"):
        open_run(score(tmp_path, metrics=["consistency"]))


def test_a_private_pair_tells_no_name(tmp_path, monkeypatch):
    make_key(tmp_path / "key")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "key"))
    names = [f"{CANARY}-{i}.png" for i in range(3)]
    fill(tmp_path / "in", {name: encoded(photograph(i)) for i, name in enumerate(names)})
    fill(tmp_path / "sharp", {name: encoded(photograph(i)) for i, name in enumerate(names[:2])})
    rule = {"uri": str(tmp_path / "sharp"), "match": f"(?P<id>{CANARY}.+)", "reference": "{id}"}
    job = pairs(
        tmp_path, dataset={"private": True, "references": rule}, restorers=["identity"], save="restored"
    )
    rows = complete(job)
    run.report(open_run(job))
    assert sorted(str(row["reason"]) for row in rows) == ["NO_REFERENCE", "None", "None"]
    assert {row["psnr"] for row in rows if row["status"] == "ok"} == {np.inf}
    assert all(
        row["reference_uri"] is None and row["reference_sha256"] for row in rows if row["reason"] is None
    )
    assert hits(tmp_path / "out") == []


def test_killed_at_any_write_no_pair_is_lost_or_doubled():
    """A few points of the many that ``python -m benchmarks.pairs deaths`` tries."""
    program = [sys.executable, "-m", "benchmarks.pairs", "deaths"]
    done = subprocess.run(
        [*program, "--pairs", "12", "--faulty", "5", "--points", "3"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "'REFERENCE_UNREADABLE': 1" in done.stdout
