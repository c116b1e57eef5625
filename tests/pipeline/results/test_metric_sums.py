"""Sums that add up give the summary that the whole table gives."""

import json

import numpy as np
import pyarrow as pa
import pytest

from pipeline.hashing import short_hash
from pipeline.results import metric_sums
from pipeline.results.metric_sums import SumTable
from pipeline.results.statistics import summarise


def table_of(images):
    """Two restorers and one metric; an infinite score, an undefined one, some quarantined rows."""
    rng = np.random.default_rng(1)
    score = rng.normal(28, 3, 2 * images)
    degraded = score - 8 + rng.normal(0, 1, 2 * images)
    score[3], score[4] = np.inf, np.nan
    status = np.where(np.arange(2 * images) % 50 == 7, "quarantined", "ok")
    keys = [f"{i:06d}.png" for i in range(images)] * 2
    table = pa.table(
        {
            "dataset": ["a"] * 2 * images,
            "key": keys,
            "source_id": [short_hash(key) for key in keys],
            "degradation": ["d"] * 2 * images,
            "restorer": ["r1"] * images + ["r2"] * images,
            "status": status,
            "psnr": pa.array(score, from_pandas=False),
            "psnr_degraded": degraded,
        }
    )
    header = {"protocols": {"psnr": {"higher_is_better": True}}}
    return table.replace_schema_metadata({b"restora": json.dumps(header).encode()})


def summed(table, parts):
    merged = SumTable({"psnr": 1.0})
    for rows in np.array_split(np.random.default_rng(2).permutation(len(table)), parts):
        part = SumTable({"psnr": 1.0})
        part.add(table.take(rows))
        merged.merge(part.stored())
    return merged.rows()


@pytest.mark.parametrize("parts", [1, 7])
def test_while_the_sample_holds_all_images_the_numbers_are_exact(parts):
    table = table_of(300)
    for found, expected in zip(summed(table, parts), summarise(table).to_pylist(), strict=True):
        for name, value in expected.items():
            if name in ("low", "high", "gain_low", "gain_high"):  # another order: ends differ by some 1.5 %
                width = expected[name.replace("low", "high")] - expected[name.replace("high", "low")]
                assert found[name] == pytest.approx(value, abs=0.05 * width), name
            else:
                assert found[name] == (pytest.approx(value) if isinstance(value, float) else value), name


def test_beyond_the_sample_counts_stay_exact_and_the_rest_within_its_error(monkeypatch):
    monkeypatch.setattr(metric_sums, "SAMPLE", 4000)
    table = table_of(20_000)
    for found, expected in zip(summed(table, 5), summarise(table).to_pylist(), strict=True):
        for name in ("n", "n_infinite", "n_undefined", "n_quarantined"):
            assert found[name] == expected[name]
        for name in ("mean", "mean_degraded", "gain"):
            assert found[name] == pytest.approx(expected[name], rel=1e-12)
        assert found["median"] == pytest.approx(expected["median"], abs=3 * 3 * 1.25 / 4000**0.5)
        for low, high in (("low", "high"), ("gain_low", "gain_high")):
            width = expected[high] - expected[low]
            assert found[high] - found[low] == pytest.approx(width, rel=0.06)
            assert found[low] == pytest.approx(expected[low], abs=0.06 * width)


def test_the_sample_is_the_same_however_images_were_parted(monkeypatch):
    monkeypatch.setattr(metric_sums, "SAMPLE", 100)
    table = table_of(1000)
    assert [row["median"] for row in summed(table, 1)] == [row["median"] for row in summed(table, 9)]
