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


SIZE = photograph(1).shape[:2]
JOB = restora.job(
    name="x", kind="restore", output="out", datasets=[{"name": "a", "uri": "in"}], restorers=["median"]
)


def restored(restorer="median", **told):
    return restora.restore_array(photograph(1), restorer, **told)


def test_a_mask_of_any_numbers_is_that_of_truths():
    """Masks in files are 0 and 255."""
    known = np.ones(SIZE, bool)
    known[10:14, 8:20] = False
    expected = restored("fast-marching-inpainting", mask=known)
    for mask in (known.astype(np.uint8) * 255, known * 0.5, known.astype(int) * -1):
        np.testing.assert_array_equal(restored("fast-marching-inpainting", mask=mask), expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: restora.restore_array(np.zeros(3), "median"), "needs HW or HWC"),
        (lambda: restora.restore_array(photograph(1), "medain"), 'did you mean "median"'),
        (lambda: restora.restore_array(photograph(1), "median", value_range=(1, 0)), "value_range"),
        (lambda: restored(value_range=(0, np.inf)), "value_range: needs two finite numbers"),
        (lambda: restored(value_range=(0, 1, 2)), "value_range: needs two finite numbers"),
        (lambda: restored(noise_level=20), "noise_level: median takes none"),
        (lambda: restored(mask=np.ones(SIZE, bool)), "mask: median takes none"),
        (lambda: restored(kernel=np.ones((3, 3)) / 9), "kernel: median takes none"),
        (lambda: restored(guide=photograph(1)), "guide: median takes none"),
        (lambda: restored(device="nonsense"), "device: 'nonsense' is none that torch knows"),
        *[
            (
                lambda level=level: restored("ffdnet-colour", noise_level=level),
                "noise_level: must be a number from 0",
            )
            for level in (-1, 256, np.nan, "25")
        ],
        *[
            (lambda mask=mask: restored("fast-marching-inpainting", mask=mask), said)
            for mask, said in (
                (
                    np.ones((5, 5), bool),
                    f"mask: needs HW numbers or truths of the image's {SIZE[0]} x {SIZE[1]} pixels",
                ),
                (np.ones((*SIZE, 3), bool), "mask: needs HW numbers"),
                (np.zeros(SIZE, np.uint8), "mask: every pixel is a hole"),
                (np.full(SIZE, np.nan), "mask: every pixel is a hole, or NaN"),
            )
        ],
        (
            lambda: restored("wiener", kernel=np.ones((121, 121)) / 121**2),
            "it has 121 x 121 values, the image only",
        ),
        (lambda: restora.run({"name": "x"}), "job: needs what restora.job(...) gives, got dict"),
        (lambda: restora.run(JOB, engine="spark"), "engine: must be one of local, ray, auto, got 'spark'"),
        (lambda: restora.run(JOB, ray_address="head:1"), "ray_address: has no effect"),
        (lambda: restora.run(JOB, limit=0), "limit: must be 1 or more, got 0"),
        (lambda: restora.run(JOB, workers=-1), "workers: must be 1 or more, got -1"),
        (lambda: restora.run(JOB, progress="yes"), "progress: must be true, false or a function"),
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
