"""docs/python.md, run block after block; and what the face adds to what it shows."""

import re
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import restora
from flows.cli.demo import copy_photographs
from tests.helpers import photograph, photographs_in

ROOT = Path(__file__).parents[2]


def test_every_block_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    copy_photographs(tmp_path / "out" / "demo" / "images")
    for path in (tmp_path / "out" / "demo" / "images").iterdir():  # quarters, so that the test is quick
        with PIL.Image.open(path) as image:
            image.crop((96, 96, 224, 224)).save(path)
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    assert len(blocks) == 5
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert names["best"] == "total-variation"
    assert Path(names["result"].report).is_file()
    assert "6 of 6" not in capsys.readouterr().out, "three were done before"


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_arrays_come_back_as_they_were(dtype):
    image = photograph(1)
    samples = image.astype(dtype) if dtype != "float32" else (image / 255).astype(dtype)
    clean = restora.restore_array(samples, "median")
    assert (clean.shape, clean.dtype) == (samples.shape, samples.dtype)
    grey = restora.restore_array(samples[..., 0], "median")
    assert grey.shape == samples.shape[:2]
    assert np.array_equal(grey, clean[..., 0])
    larger = restora.restore_array(samples, "bicubic-x2")
    assert larger.shape == (2 * samples.shape[0], 2 * samples.shape[1], 3)


def test_a_mask_says_what_is_known():
    image = photograph(2)
    mask = np.ones(image.shape[:2], bool)
    mask[10:14, 10:14] = False
    filled = restora.restore_array(
        np.where(mask[..., None], image, 0), "total-variation-inpainting", mask=mask
    )
    assert np.array_equal(filled[mask], image[mask])
    assert filled[~mask].mean() > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: restora.restore_array(np.zeros(3), "median"), "needs HW or HWC"),
        (lambda: restora.restore_array(photograph(1), "medain"), 'did you mean "median"'),
        (lambda: restora.restore_array(photograph(1), "median", value_range=(1, 0)), "value_range"),
        (lambda: restora.job(name="x"), "output: is needed"),
        (lambda: restora.open_result("/nonexistent"), "holds no run"),
    ],
)
def test_what_is_wrong_is_a_value_error_with_its_cure(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_a_file_with_fields_replaced_and_the_quarantine(tmp_path):
    photographs_in(tmp_path / "in", 2)
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    job = restora.job(
        ROOT / "conf" / "set5-x4.toml",
        output=str(tmp_path / "out"),
        datasets=[{"name": "photos", "uri": str(tmp_path / "in")}],
        metrics=["psnr_y"],
    )
    seen = []
    result = restora.run(job, progress=lambda progress: seen.append(progress.quarantined))
    assert seen[-1] == 1
    rows = result.metrics().to_pylist()
    assert {row["reason"] for row in rows if row["key"] == "bad.png"} == {"UNREADABLE"}
